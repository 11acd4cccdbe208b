"""A logical copy of the whole store, the same for both databases.

Lines of JSON, UTF-8, each with a line feed::

    {"format": "strongroom-backup", "version": 1, "schema": ..., "program": ..., "instance": ..., "created_at": ...}
    {"table": "secret_groups", "columns": ["pk", "id", ...]}
    [1, "default", ...]
    ...
    {"rows": {"secret_groups": 1, ...}, "sha256": "<of every byte before this line>"}

Bytes are base64. Tables come in an order in which every row finds what it refers to; rows in order of
their key, with the keys they have. What can be made again from the rest (counters, labels, search
texts) is not copied. Sealed values stay sealed. The stream itself is plain: encrypting it is the
caller's duty, and whoever reads it has checked that nobody changed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import strongroom
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.time import format_rfc3339
from strongroom.storage.engine import Connection, DuplicateRow, StillReferenced, WriteConnection
from strongroom.storage.migrate import REVISION
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import SECRET_COLUMNS, search_text, secret_of
from strongroom.storage.statements import POSTGRESQL, Statement, insert_into, sa, tables

if TYPE_CHECKING:
    from strongroom.storage.store import SqlStorage

FORMAT: Final = "strongroom-backup"
VERSION: Final = 1
READABLE_REVISIONS: Final = frozenset({REVISION})
"""Schema revisions whose backups this program can restore."""

DERIVED: Final = frozenset({"secret_counts", "secret_labels", "secret_search"})
"""Tables that are made again from the others."""
_ALWAYS_THERE: Final = "identity_generation"
"""The migration puts its row there, so it is no sign of use."""

_ROWS_AT_ONCE: Final = 32
"""Rows in memory while dumping; one may hold a megabyte."""
_BATCH_ROWS: Final = 500
_BATCH_BYTES: Final = 4 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_LINE_BYTES: Final = 64 * 1024 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class ByteSink(Protocol):
    """Anything that takes bytes: a file opened for binary writing, or what encrypts into one."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


class ByteSource(Protocol):
    """Anything that gives bytes: a file opened for binary reading, or what decrypts one."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        ...


@cache
def _read_table(name: str) -> Statement:
    def build(_: str) -> sa.Executable:
        table = tables.metadata.tables[name]
        return sa.select(*table.columns).order_by(*table.primary_key.columns)

    return Statement(f"backup.read.{name}", build, prepare=False)


@cache
def _is_used(name: str) -> Statement:
    return Statement(
        f"backup.is_used.{name}",
        lambda _: (
            sa.select(sa.literal_column("1")).select_from(tables.metadata.tables[name]).limit(sa.literal_column("1"))
        ),
    )


@cache
def _add_row(name: str) -> Statement:
    return Statement(f"backup.add.{name}", lambda _: insert_into(tables.metadata.tables[name], without=()))


@cache
def _set_sequence(name: str) -> Statement:
    # setval keeps the next number behind the highest one; an empty table leaves the sequence as it is.
    text = f"SELECT setval(pg_get_serial_sequence('{name}', 'pk'), max(pk)) FROM {name} HAVING max(pk) IS NOT NULL"  # noqa: S608 - our own table
    return Statement(f"backup.set_sequence.{name}", lambda _: text, prepare=False)


def _lock_tables(_: str) -> str:
    # Nobody may move in while the store is being filled; reading goes on.
    return "LOCK TABLE " + ", ".join(sorted(tables.metadata.tables)) + " IN EXCLUSIVE MODE"


_INSTANCE: Final = Statement("backup.instance", lambda _: sa.select(tables.instance.c.id))
_LOCK: Final = Statement("backup.lock", _lock_tables, prepare=False)
_ANALYZE: Final = Statement("backup.analyze", lambda _: "ANALYZE", prepare=False)
_CLEAR_GENERATION: Final = Statement("backup.clear_generation", lambda _: sa.delete(tables.identity_generation))


def copied_tables() -> list[str]:
    """Return the names of the tables that a backup holds, each after those it refers to."""
    return [table.name for table in tables.metadata.sorted_tables if table.name not in DERIVED]


def dump(storage: SqlStorage, out: ByteSink, *, at: datetime) -> dict[str, int]:
    """Write a copy of the store as it is at one instant, while others go on changing it.

    Args:
        storage: the store; the calling thread must not be inside one of its units.
        out: where the copy goes, unencrypted.
        at: the time to write down in it.

    Returns:
        The number of rows of each table.
    """
    connection = storage.engine.begin_read()
    try:
        return _Dump(connection, out).run(at)
    finally:
        storage.engine.end_read(connection)


class _Dump:
    """One copy that is being written."""

    def __init__(self, connection: Connection, out: ByteSink) -> None:
        self._connection = connection
        self._out = out
        self._digest = hashlib.sha256()

    def run(self, at: datetime) -> dict[str, int]:
        instance = self._connection.row(_INSTANCE)
        self._line(
            {
                "format": FORMAT,
                "version": VERSION,
                "schema": REVISION,
                "program": strongroom.__version__,
                "instance": None if instance is None else instance[0],
                "created_at": format_rfc3339(at),
            }
        )
        counts = {name: self._table(name) for name in copied_tables()}
        self._line({"rows": counts, "sha256": self._digest.hexdigest()})
        return counts

    def _table(self, name: str) -> int:
        columns = _columns(name)
        self._line({"table": name, "columns": [column.name for column in columns]})
        kinds = [column.kind for column in columns]
        count = 0
        for row in self._connection.stream(_read_table(name), size=_ROWS_AT_ONCE):
            self._line([_to_json(value, kind) for value, kind in zip(row, kinds, strict=True)])
            count += 1
        return count

    def _line(self, value: object) -> None:
        line = _encode(value).encode() + b"\n"
        self._digest.update(line)
        self._out.write(line)


def load(storage: SqlStorage, source: ByteSource) -> dict[str, int]:
    """Fill an empty store from a copy, in one transaction: wholly, or not at all.

    Args:
        storage: a store with its tables and nothing in them; nobody else should use it meanwhile.
        source: where the copy comes from, decrypted.

    Returns:
        The number of rows of each table.

    Raises:
        Conflict: ``store_not_empty`` if there is anything in the store.
        Invalid: ``backup_unreadable`` if the copy is cut off, damaged, or of a version this program
            cannot read.
    """
    connection = storage.engine.open_writer()
    try:
        connection.begin()
        if connection.dialect == POSTGRESQL:
            connection.run(_LOCK)
        for name in copied_tables():
            if name != _ALWAYS_THERE and connection.row(_is_used(name)) is not None:
                raise Conflict(
                    ErrorCode.STORE_NOT_EMPTY,
                    "The store is not empty: a backup is restored into a new one only.",
                    hint="Name a data directory or a database that nothing was stored in yet.",
                )
        connection.run(_CLEAR_GENERATION)
        counts = _Load(connection, source).run()
        if connection.dialect == POSTGRESQL:
            for name in counts:
                if name in _with_sequence():
                    connection.row(_set_sequence(name))
            # Lists are planned by figures that would come minutes later by themselves.
            connection.run(_ANALYZE)
        connection.commit()
    except (DuplicateRow, StillReferenced) as error:
        raise _unreadable("two of its rows do not go together") from error
    finally:
        connection.rollback()
        connection.close()
    return counts


class _Load:
    """One copy that is being read."""

    def __init__(self, connection: WriteConnection, source: ByteSource) -> None:
        self._connection = connection
        self._lines = _lines(source)
        self._digest = hashlib.sha256()
        self._number = 0
        self._counts: dict[str, int] = {}

    def run(self) -> dict[str, int]:
        _check_header(self._next())
        expected = copied_tables()
        rows: _Rows | None = None
        while True:
            digest = self._digest.hexdigest()
            line = self._next()
            if isinstance(line, list) and rows is not None:
                rows.add(line, self._number)
            elif isinstance(line, dict) and "table" in line:
                self._finish(rows)
                rows = self._begin(line, expected)
            elif isinstance(line, dict) and "rows" in line:
                self._finish(rows)
                self._check_footer(line, digest, expected)
                return self._counts
            else:
                raise _unreadable(f"line {self._number} is neither a table nor a row of one")

    def _begin(self, line: dict[str, Any], expected: Sequence[str]) -> _Rows:
        name = line["table"]
        place = len(self._counts)
        if place == len(expected) or name != expected[place]:
            raise _unreadable(f"line {self._number} begins a table that does not belong there")
        if line.get("columns") != [column.name for column in _columns(name)]:
            raise _unreadable(f"the columns of table {name} are not those of its schema")
        self._counts[name] = 0
        return _Rows(self._connection, name)

    def _finish(self, rows: _Rows | None) -> None:
        if rows is not None:
            rows.flush()
            self._counts[rows.name] = rows.count

    def _check_footer(self, line: dict[str, Any], digest: str, expected: Sequence[str]) -> None:
        if line.get("sha256") != digest or line.get("rows") != self._counts or list(self._counts) != list(expected):
            raise _unreadable("it is damaged: what it holds is not what its last line says")
        if next(self._lines, None) is not None:
            raise _unreadable("there is something behind its last line")

    def _next(self) -> Any:
        line = next(self._lines, None)
        if line is None:
            raise _unreadable("it is cut off: its last line is missing")
        self._number += 1
        self._digest.update(line + b"\n")
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise _unreadable(f"line {self._number} is not JSON") from None


class _Rows:
    """Rows of one table, stored in batches, with what is derived from them."""

    def __init__(self, connection: WriteConnection, name: str) -> None:
        self.name = name
        self.count = 0
        self._connection = connection
        self._columns = _columns(name)
        self._keeps_nul = connection.dialect != POSTGRESQL
        self._batch: list[dict[str, Any]] = []
        self._size = 0

    def add(self, values: list[Any], number: int) -> None:
        if len(values) != len(self._columns):
            raise _unreadable(f"line {number} has not as many values as table {self.name} has columns")
        row = {}
        for column, value in zip(self._columns, values, strict=True):
            where = f"line {number}, column {column.name} of table {self.name},"
            row[column.name] = _from_json(value, column, where)
            if isinstance(value, str):
                self._size += len(value)
                if not self._keeps_nul and column.kind is str and "\0" in value:
                    raise _unreadable(f"{where} has a NUL character, which PostgreSQL cannot store")
        self._batch.append(row)
        self.count += 1
        if len(self._batch) >= _BATCH_ROWS or self._size >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._batch:
            return
        self._connection.many(_add_row(self.name), self._batch)
        if self.name == tables.secrets.name:
            _derive(self._connection, self._batch)
        self._batch = []
        self._size = 0


def _derive(connection: WriteConnection, secrets: Sequence[dict[str, Any]]) -> None:
    """Make counters, labels and search texts of secrets again."""
    pending = Pending()
    labels: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for row in secrets:
        try:
            secret = secret_of(tuple(row[column] for column in SECRET_COLUMNS))
        except (ValueError, TypeError, LookupError, OverflowError, StopIteration):
            raise _unreadable(f"secret {row['id']} cannot be read") from None
        place = {"group_no": row["group_no"], "type_no": row["type_no"]}
        labels += [{"label": label, "secret_pk": row["pk"], **place} for label in dict.fromkeys(secret.labels)]
        text = search_text(secret)
        texts.append({"pk": row["pk"], "text": text, **place})
        pending.index_text(row["pk"], text)
        pending.count(row["group_no"], row["type_no"], 1)
    if labels:
        connection.many(_add_row(tables.secret_labels.name), labels)
    connection.many(_add_row(tables.secret_search.name), texts)
    pending.apply(connection)


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _unreadable("it does not begin like one")
    program = header.get("program")
    if header.get("version") != VERSION or header.get("schema") not in READABLE_REVISIONS:
        raise Invalid(
            ErrorCode.BACKUP_UNREADABLE,
            f"The backup was made by Strongroom {program} with schema revision {header.get('schema')}, "
            f"and this is {strongroom.__version__} with revision {REVISION}.",
            hint=f"Restore it with Strongroom {program}, start this version on the result, and make a new backup.",
        )


def _lines(source: ByteSource) -> Iterator[bytes]:
    """Yield the lines without their ends; what follows the last line feed is nothing but a cut."""
    rest = bytearray()
    while chunk := source.read(_CHUNK_BYTES):
        first, *others = chunk.split(b"\n")
        rest += first
        for line in others:
            yield bytes(rest)
            rest = bytearray(line)
        if len(rest) > _LINE_BYTES:
            raise _unreadable("one of its lines is too long")
    if rest:
        raise _unreadable("it is cut off in the middle of a line")


@dataclass(frozen=True, slots=True)
class _Column:
    """What may stand in a column: ``bytes``, ``bool``, ``int`` below a bound, or ``str``."""

    name: str
    kind: type
    bound: int
    nullable: bool


@cache
def _columns(name: str) -> list[_Column]:
    """Return the columns of a table in order."""
    found = []
    for column in tables.metadata.tables[name].columns:
        kind, bound = next(
            (pair for type_, pair in _kinds() if isinstance(column.type, type_)),
            (str, 0),
        )
        found.append(_Column(column.name, kind, bound, bool(column.nullable)))
    return found


def _kinds() -> Sequence[tuple[type, tuple[type, int]]]:
    """Return how values of a column type stand in a copy; the first type that fits counts."""
    return (
        (sa.LargeBinary, (bytes, 0)),
        (sa.Boolean, (bool, 0)),
        (sa.SmallInteger, (int, 1 << 15)),
        (sa.BigInteger, (int, 1 << 63)),
        (sa.Integer, (int, 1 << 31)),
    )


@cache
def _with_sequence() -> frozenset[str]:
    return frozenset(
        table.name for table in tables.metadata.sorted_tables if any(column.identity for column in table.columns)
    )


def _to_json(value: Any, kind: type) -> object:
    if value is None:
        return None
    if kind is bytes:
        return base64.b64encode(value).decode("ascii")
    # SQLite has numbers for booleans.
    return bool(value) if kind is bool else value


def _from_json(value: Any, column: _Column, where: str) -> Any:
    """Return the value for the driver, which takes it without complaint."""
    if value is None and column.nullable:
        return None
    if column.kind is bytes and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise _unreadable(f"{where} is not base64") from None
    # True is an int to isinstance.
    kind: type = type(value)
    if kind is not column.kind or (kind is int and not -column.bound <= value < column.bound):
        raise _unreadable(f"{where} has a value of another kind")
    if kind is str and not value.isascii():
        _check_text(value, where)
    return value


def _check_text(value: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _unreadable(f"{where} is not UTF-8") from None


def _unreadable(why: str) -> Invalid:
    return Invalid(
        ErrorCode.BACKUP_UNREADABLE,
        f"This is no backup that can be restored: {why}.",
        hint="Nothing was restored. Fetch the file again, or take another backup.",
    )
