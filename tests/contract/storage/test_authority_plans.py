"""What an authority issued can be millions of rows: no statement walks them, and a revocation costs the same always."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import sqlalchemy as sa

from strongroom.domain.authorities.model import Authority, IssuedKind
from strongroom.domain.ports import Unit
from strongroom.kernel.ids import ConfigurationId
from strongroom.storage import schema as tables
from strongroom.storage.postgresql import PostgresConnection
from strongroom.storage.repositories import authority_statements as statements
from strongroom.storage.sqlite import SqliteConnection
from strongroom.storage.statements import Statement
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    NOW,
    YEAR,
    add_authority,
    add_group,
    later,
    make_crl,
    make_issued,
    make_secret,
    make_signer,
)

REVOKED: Final = 5_000
TEMPLATE: Final = ConfigurationId("t1")

Caught = dict[str, tuple[Statement, dict[str, Any]]]
Plan = Callable[[str, dict[str, Any]], str]

# SQLite gives indexes of constraints names of its own.
_BY_SERIAL: Final = "(sqlite_autoindex_issued_certificates_1|uq_issued_certificates_configuration_pk_serial)"
BY_INDEX: Final = {
    statements.FIND_ISSUED: _BY_SERIAL,
    statements.SERIALS_OF_CHILD: "ix_issued_certificates_authority",
    statements.HAS_ISSUED: "ix_issued_certificates_authority",
    statements.TEMPLATE_USERS: "ix_issued_certificates_template",
    statements.REVOKE: _BY_SERIAL,
    statements.REVOKED_ENTRIES: "ix_issued_certificates_revoked",
    statements.PURGE_ISSUED: "ix_issued_certificates_not_after",
}


def fill(storage: SqlStorage, revoked: int = REVOKED) -> Authority:
    """Store an authority with so many revoked certificates and some more that are not."""
    add_group(storage)
    authority = add_authority(storage)
    configuration_id = authority.configuration_id

    def issue(unit: Unit) -> None:
        secrets = [make_secret(f"s{number}") for number in range(20)]
        for secret in secrets:
            unit.secrets.add(secret)
        for number in range(revoked + 200):
            secret = secrets[number % len(secrets)]
            issued = make_issued(
                authority,
                f"{number:x}",
                secret_id=secret.id,
                template_id=TEMPLATE,
                not_after=later(YEAR + number),
            )
            unit.authorities.add_issued(issued)
        for number in range(revoked):
            unit.authorities.revoke(configuration_id, f"{number:x}", later(number), b"entry %d" % number)

    storage.write(issue)
    if storage.dialect == "postgresql":
        connection = storage.engine.open_writer()
        connection.run(Statement("tests.analyze", lambda _: "ANALYZE"))
        connection.close()
    return authority


def everything(unit: Unit, authority: Authority) -> None:
    """Call every method that an authority's certificates are reached by."""
    authorities, configuration_id = unit.authorities, authority.configuration_id
    authorities.find(authority.id)
    authorities.find_for_update(authority.id)
    authorities.generations(configuration_id)
    authorities.current()
    authorities.save(authority)
    authorities.want_crl(authority.id)
    authorities.add_issued(make_issued(authority, "abcdef"))
    authorities.find_issued(configuration_id, "abcdef")
    authorities.has_issued(authority.id, IssuedKind.LEAF)
    authorities.serials_of_child(authority.id, authority.id)
    authorities.template_users(TEMPLATE, 5)
    assert authorities.revoke(configuration_id, "abcdef", NOW, b"entry")
    next(iter(authorities.revoked_entries(authority.id, NOW)))
    authorities.put_crl(make_crl(authority, 1))
    authorities.find_crl(authority.id)
    authorities.crls_due(NOW, 5)
    authorities.put_ocsp_signer(make_signer(authority))
    authorities.find_ocsp_signer(authority.id)
    authorities.purge_issued(later(-YEAR), 5)


def catch(storage: SqlStorage, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Caught:
    """Return each statement that is run, with the values of its first time."""
    kind: type[Any] = SqliteConnection if storage.dialect == "sqlite" else PostgresConnection
    caught: Caught = {}
    for method in ("row", "rows", "run", "stream"):
        plain = getattr(kind, method)

        def keeps(self: Any, statement: Statement, /, *, plain: Any = plain, **parameters: Any) -> Any:
            caught.setdefault(
                statement.name, (statement, {name: parameters[name] for name in parameters if name != "size"})
            )
            return plain(self, statement, **parameters)

        monkeypatch.setattr(kind, method, keeps)
    storage.write(lambda unit: everything(unit, authority))
    monkeypatch.undo()
    return {name: found for name, found in caught.items() if "issued_certificates" in found[0].sqlite}


@pytest.fixture
def plan_of(storage: SqlStorage) -> Iterator[Plan]:
    """Give what tells how the database would run a statement."""
    connection = storage.engine.begin_read()

    def on_sqlite(text: str, parameters: dict[str, Any]) -> str:
        assert isinstance(connection, SqliteConnection)
        rows = connection._raw.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()
        return "\n".join(str(row[3]) for row in rows)

    def on_postgresql(text: str, parameters: dict[str, Any]) -> str:
        assert isinstance(connection, PostgresConnection)
        # The planner is free to read and sort few rows whole; what counts is that it does not have to.
        for way in ("seqscan", "sort", "hashagg", "bitmapscan"):
            connection.plain(f"SET LOCAL enable_{way} = off")
        rows = connection._cursor.execute(f"EXPLAIN {text}", parameters, prepare=False).fetchall()
        return "\n".join(str(row[0]) for row in rows)

    yield on_sqlite if storage.dialect == "sqlite" else on_postgresql
    storage.engine.end_read(connection)


def text_of(storage: SqlStorage, statement: Statement) -> str:
    return statement.sqlite if storage.dialect == "sqlite" else statement.postgresql


def test_every_statement_on_certificates_uses_its_index(
    storage: SqlStorage, plan_of: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = fill(storage, 500)

    caught = catch(storage, authority, monkeypatch)

    assert set(caught) == {statement.name for statement in (*BY_INDEX, statements.ADD_ISSUED)}
    for name, (statement, parameters) in caught.items():
        plan = plan_of(text_of(storage, statement), parameters)
        assert not re.search(r"SCAN issued_certificates|Seq Scan on issued_certificates", plan), f"{name}\n{plan}"
        assert re.search(BY_INDEX.get(statement, ""), plan), f"{name}\n{plan}"


def test_entries_are_read_in_the_order_of_their_index_and_from_nowhere_else(storage: SqlStorage, plan_of: Plan) -> None:
    authority = fill(storage, 500)

    plan = plan_of(text_of(storage, statements.REVOKED_ENTRIES), {"authority_id": authority.id, "now": 0})

    assert re.search(r"COVERING INDEX|Index Only Scan", plan), plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def test_users_of_a_template_are_found_without_looking_at_all_that_it_issued(
    storage: SqlStorage, plan_of: Plan
) -> None:
    fill(storage, 500)

    plan = plan_of(text_of(storage, statements.TEMPLATE_USERS), {"template_id": TEMPLATE, "limit": 5})

    assert "TEMP B-TREE" not in plan
    assert not re.search(r"\bSort\b|HashAggregate", plan), plan


@pytest.mark.parametrize("column", ["secret_pk", "authority_pk", "configuration_pk"])
def test_rows_that_refer_to_what_is_removed_are_found_by_an_index(
    storage: SqlStorage, plan_of: Plan, column: str
) -> None:
    fill(storage, 500)

    # What both databases run when the row goes that this column points to.
    table = tables.issued_certificates
    finds = Statement("tests.refers", lambda _: sa.delete(table).where(table.c[column] == sa.literal_column("1")))
    plan = plan_of(text_of(storage, finds), {})

    assert re.search(r"SEARCH issued_certificates USING|Index (Only )?Scan", plan), plan


def steps_of_a_revocation(storage: SqlStorage, authority: Authority, serial: str) -> int:
    """Return how many steps SQLite's machine takes to revoke a certificate."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def unit_of_work(unit: Unit) -> None:
        connection: Any = unit.authorities._connection  # type: ignore[attr-defined]
        connection._raw.set_progress_handler(count, 1)
        try:
            assert unit.authorities.revoke(authority.configuration_id, serial, NOW, b"entry")
        finally:
            connection._raw.set_progress_handler(None, 0)

    storage.write(unit_of_work)
    return steps


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_revocation_costs_the_same_after_thousands(storage: SqlStorage) -> None:
    authority = fill(storage, 0)
    first = steps_of_a_revocation(storage, authority, "0")

    def revoke_many(unit: Unit) -> None:
        for number in range(REVOKED):
            unit.authorities.add_issued(make_issued(authority, f"f{number:x}"))
            unit.authorities.revoke(authority.configuration_id, f"f{number:x}", NOW, b"entry")

    storage.write(revoke_many)

    assert 0 < steps_of_a_revocation(storage, authority, "1") <= first + 10


def test_entries_of_thousands_come_whole_and_in_order(storage: SqlStorage) -> None:
    authority = fill(storage)

    entries = storage.read(lambda unit: list(unit.authorities.revoked_entries(authority.id, NOW)))

    assert entries == [b"entry %d" % number for number in range(REVOKED)]
