"""The texts in ``src/strongroom/storage/compiled``: what the store would otherwise build at every start."""

# ruff: noqa: SLF001 - the shapes of statements belong to their repositories; only this file enumerates them
from __future__ import annotations

import importlib
import io
import itertools
import json
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from strongroom.kernel.result import Sort
from strongroom.storage import repositories
from strongroom.storage.compiled import digest_of_sources
from strongroom.storage.repositories import audit, configurations, jobs, locks, order_statements, versions
from strongroom.storage.repositories import identity_statements as identities
from strongroom.storage.repositories import secret_list_statements as secret_lists
from strongroom.storage.repositories.secret_list_statements import Filters, Find, Order, Shape, Way
from strongroom.storage.statements import Statement

MODULES: Final = ("migrate", "pending", "writer")
SIZES: Final = (1, 2, 4, 8, 16)


def compiled_statements(dialect: str) -> str:
    """Return the whole file for one database."""
    statements: dict[str, str] = {}
    for statement in (*_of_modules(), *_of_factories()):
        if dialect == "postgresql" and statement.name.startswith(("trigrams.", "pending.index", "pending.forget")):
            continue
        if dialect == "sqlite" and (statement.name.startswith("pieces.") or "Find.PIECES" in statement.name):
            continue
        text = statement.compile(dialect)
        if statements.setdefault(statement.name, text) != text:
            message = f"two statements are called {statement.name}"
            raise ValueError(message)
    document = {
        "sources": digest_of_sources(),
        "schema": _schema(dialect),
        "statements": dict(sorted(statements.items())),
    }
    return json.dumps(document, indent=1) + "\n"


def _of_modules() -> Iterator[Statement]:
    """Yield the statements that stand in modules."""
    names = [info.name for info in pkgutil.iter_modules(repositories.__path__, repositories.__name__ + ".")]
    for name in (*names, *(f"strongroom.storage.{module}" for module in MODULES)):
        yield from _statements_in(importlib.import_module(name))


def _statements_in(module: ModuleType) -> Iterator[Statement]:
    return (value for value in vars(module).values() if isinstance(value, Statement))


def _of_factories() -> Iterator[Statement]:
    """Yield the ordinary ones among those that exist in many shapes."""
    yield from _of_identities()
    for shape in (
        (False, False, False, None, True),
        (False, False, True, None, True),
        (True, False, False, None, True),
    ):
        yield from jobs._page(shape)
    for filters in ((), ("start",), ("target_id",), ("initiator",), ("action",), ("trouble",)):
        yield audit._page(filters)
    for size in SIZES:
        yield from (jobs._claim(size), jobs._next_due(size), secret_lists.groups_statement(size))
        yield from (locks._secrets_by_pk(size), locks._lockable_versions(size), locks._names_by_pk(size))
        yield from (versions._erase_except(size), order_statements.find_many(size))
        for groups in (0, *SIZES):
            yield identities.policies_of_subjects(size, groups)
    for of_version, names in itertools.product((False, True), (0, 1, 2)):
        yield locks._remove(of_version=of_version, names=names)
    for of_version in (False, True):
        yield from locks._list_statements(of_version=of_version, search=False, key="pk", descending=True)
    for groups in (0, 1):
        yield from locks._locked_secrets(groups=groups, search=False)
    yield versions._erase_except(0)
    yield from _of_configurations()
    yield from _of_lists()


def _of_identities() -> Iterator[Statement]:
    keys = {
        identities.USERS: ("iam_id", "name"),
        identities.SERVICE_IDS: ("id", "iam_id"),
        identities.API_KEYS: ("id", "digest"),
        identities.POLICIES: ("id",),
        identities.ACCESS_GROUPS: ("id", "name"),
        identities.REFRESH_TOKENS: ("digest",),
    }
    filters = {
        identities.SERVICE_IDS: "name",
        identities.API_KEYS: "iam_id",
        identities.POLICIES: "subject",
    }
    for table, columns in keys.items():
        yield from (identities.find_by(table, column) for column in columns)
        yield identities.remove_by(table, (columns[0],))
        if table not in {identities.USERS, identities.REFRESH_TOKENS}:
            yield identities.save_in(table, columns[0], checked=True)
        if table != identities.REFRESH_TOKENS:
            yield identities.save_in(table, columns[0], checked=False)
            yield identities.add_to(table)
            yield from identities.page_by(table, ())
    for table, column in filters.items():
        yield from identities.page_by(table, (column,))
    yield identities.remove_by(identities.API_KEYS, ("iam_id",))
    yield identities.remove_by(identities.POLICIES, ("subject_kind", "subject"))
    yield identities.remove_by(identities.REFRESH_TOKENS, ("api_key_id",))
    yield from (identities.groups_of_member(windowed=windowed) for windowed in (False, True))


def _of_configurations() -> Iterator[Statement]:
    sorts = [Sort(key=key, descending=down) for key in configurations.SORT_KEYS for down in (False, True)]
    for types, search, sort in itertools.product((0, 4, 8), (False, True), (None, *sorts)):
        yield from configurations.list_statements(types=types, search=search, sort=sort)


def _of_lists() -> Iterator[Statement]:
    orders = [secret_lists.NEWEST]
    orders += [Order(key, descending) for key in secret_lists.KEYS for descending in (False, True)]
    scopes = [Filters(groups, types) for groups in (0, 1) for types in (0, 1)]
    for scope in scopes:
        yield secret_lists.counters_statement(scope)
        for order in orders:
            yield secret_lists.page_statement(Shape(Way.WALK, scope, order, reverse=False))
            if scope.groups:
                yield secret_lists.page_statement(Shape(Way.GROUP, scope, order, reverse=False))
            if scope.types:
                yield secret_lists.page_statement(Shape(Way.TYPE, scope, order, reverse=False))
    for find in (Find.TRIGRAMS, Find.PIECES, Find.SCAN):
        filters = Filters(find=find)
        yield secret_lists.count_statement(filters)
        yield secret_lists.page_statement(Shape(Way.TEXT, filters, secret_lists.NEWEST, reverse=False))
    labelled = Filters(labels=1)
    yield secret_lists.count_statement(labelled)
    yield secret_lists.page_statement(Shape(Way.LABEL, labelled, secret_lists.NEWEST, reverse=False))


def _schema(dialect: str) -> list[str]:
    """Return what all migrations do to an empty database."""
    from alembic import command
    from alembic.config import Config

    output = io.StringIO()
    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")
    config.attributes.update(dialect=dialect, output=output)
    command.upgrade(config, "head", sql=True)
    texts = (text.strip() for text in output.getvalue().split(";\n\n"))
    return [
        "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip() for text in texts if text
    ]
