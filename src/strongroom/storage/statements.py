"""Statements that are built once and run on the driver.

A `Statement` is a name and a function that builds a SQLAlchemy Core construct. It is compiled at its
first use, once per database, to text with named parameters; after that it costs what the driver costs.
SQLAlchemy takes a quarter of a second and 25 MB to import, so ``sa`` and ``tables`` below are imported when
a statement is really built, and never before: the texts of ordinary statements lie ready beside the
package (`strongroom.storage.compiled`).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from strongroom.storage.compiled import compiled_texts

__all__ = (
    "POSTGRESQL",
    "SQLITE",
    "Statement",
    "bucket",
    "columns_of",
    "conflict_insert",
    "insert_into",
    "insert_unless_there",
    "one_of",
    "sa",
    "spread",
    "tables",
    "values_of",
)

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import insert as conflict_insert
    from sqlalchemy.dialects.postgresql.dml import Insert

    from strongroom.storage import schema as tables
else:

    class _Later:
        """Stands for a module until one of its names is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, item: str) -> object:
            value = getattr(importlib.import_module(self._name), item)
            setattr(self, item, value)
            return value

    sa = _Later("sqlalchemy")
    tables = _Later("strongroom.storage.schema")

    def conflict_insert(table: object) -> object:
        """Return an insert that may say what to do on a conflict; SQLite spells it like PostgreSQL."""
        return importlib.import_module("sqlalchemy.dialects.postgresql").insert(table)


SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

Builder = Callable[[str], "sa.Executable | str"]


class Statement:
    """One statement for both databases.

    Args:
        name: dotted, unique; for people and tests.
        build: gets the dialect's name and returns the construct. Every value in it is a named
            ``bindparam`` or a literal column: text must not depend on values. A plain text without
            parameters is taken as it is.
        prepare: whether PostgreSQL keeps a plan for it. Off where the best plan depends on the values.
    """

    def __init__(self, name: str, build: Builder, *, prepare: bool = True) -> None:
        self.name = name
        self.prepare = prepare
        self._build = build

    @cached_property
    def sqlite(self) -> str:
        """Text for ``sqlite3``."""
        return compiled_texts(SQLITE).get(self.name) or self.compile(SQLITE)

    @cached_property
    def postgresql(self) -> str:
        """Text for ``psycopg``."""
        return compiled_texts(POSTGRESQL).get(self.name) or self.compile(POSTGRESQL)

    def compile(self, dialect: str) -> str:
        """Build the statement and return its text, whatever was compiled before."""
        return _compile(self.name, dialect, self._build)


def _compile(name: str, dialect_name: str, build: Builder) -> str:
    construct: Any = build(dialect_name)
    if isinstance(construct, str):
        return construct
    dialect: Any
    if dialect_name == SQLITE:
        from sqlalchemy.dialects import sqlite

        dialect = sqlite.dialect(paramstyle="named")
        dialect.statement_compiler = _with_index_hints()
    else:
        from sqlalchemy.dialects.postgresql import psycopg

        dialect = psycopg.dialect()  # type: ignore[no-untyped-call]
    compiled = construct.compile(dialect=dialect)
    text = str(compiled)
    for parameter, value in compiled.params.items():
        if value is None:
            continue
        if type(value) is not int:
            message = f"statement {name} has a value where it needs a named parameter: {parameter}"
            raise TypeError(message)
        # A number that the construct brought along (OFFSET 0) becomes part of the text.
        text = re.sub(rf":{parameter}\b|%\({parameter}\)s(::[A-Z]+)?", str(value), text)
    return text


@cache
def _with_index_hints() -> type[Any]:
    """Return SQLite's compiler, made to write the hints of `with_hint` after the table."""
    from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

    class HintingCompiler(SQLiteCompiler):
        def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
            return text

    return HintingCompiler


def columns_of(table: sa.Table, *, without: Sequence[str] = ()) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a table in order, without some."""
    return [column for column in table.columns if column.name not in without]


def values_of(columns: Sequence[str]) -> Mapping[str, sa.BindParameter[Any]]:
    """Return one parameter per column, of the same name."""
    return {name: sa.bindparam(name) for name in columns}


def insert_into(table: sa.Table, *, without: Sequence[str] = ("pk",)) -> sa.Insert:
    """Return an insert with one parameter per column, of the same name."""
    names = [column.name for column in table.columns if column.name not in without]
    return sa.insert(table).values(values_of(names)).inline()


def insert_unless_there(
    table: sa.Table, *, conflict: Sequence[str] = (), without: Sequence[str] = ("pk",), where: Any = None
) -> Insert:
    """Return an insert that changes nothing, and counts no row, where a unique key is taken.

    A failed statement spoils a transaction of PostgreSQL, so repositories never provoke one.

    Args:
        table: where to.
        conflict: columns of the unique key; without any, every unique key counts.
        without: columns that the database fills.
        where: condition of a partial unique index.
    """
    names = [column.name for column in table.columns if column.name not in without]
    insert = conflict_insert(table).values(values_of(names)).inline()
    if conflict:
        return insert.on_conflict_do_nothing(index_elements=list(conflict), index_where=where)
    return insert.on_conflict_do_nothing()


def bucket(count: int) -> int:
    """Return the next power of two: lists of values are padded to it, so that few texts exist."""
    return 1 << max(count - 1, 0).bit_length()


def one_of(column: sa.ColumnElement[Any], prefix: str, size: int) -> sa.ColumnElement[bool]:
    """Return ``column IN (:prefix0, :prefix1, ...)``; `spread` gives the values."""
    type_ = column.type
    if size == 1:
        return column == sa.bindparam(f"{prefix}0", type_=type_)
    return column.in_([sa.bindparam(f"{prefix}{i}", type_=type_) for i in range(size)])


def spread(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return the parameters of `one_of`, padded with the last value to the bucket's size."""
    last = len(values) - 1
    return {f"{prefix}{i}": values[min(i, last)] for i in range(bucket(len(values)))}
