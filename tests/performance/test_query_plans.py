"""No list walks a table: each statement that a list runs over 20,000 secrets shows an index in its plan.

The statements are caught where they are run, so a new list is judged as soon as somebody adds its call here.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.domain.audit.record import AuditQuery, Outcome
from strongroom.domain.authorities.model import AuthorityId
from strongroom.domain.configurations.model import ConfigKind, ConfigurationQuery
from strongroom.domain.jobs.model import JobQuery, JobState
from strongroom.domain.notifications.model import DestinationId
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.model import LockQuery, RenewalQuery, SecretQuery, SecretType
from strongroom.kernel.ids import AccessGroupId, ConfigurationId, GroupId, IamId, JobId, SecretId, VersionId
from strongroom.kernel.result import Sort
from strongroom.storage.engine import open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.postgresql import PostgresConnection
from strongroom.storage.repositories import secret_list_statements as secret_lists
from strongroom.storage.repositories.pieces import rare_pieces
from strongroom.storage.sqlite import SqliteConnection
from strongroom.storage.statements import Statement
from strongroom.storage.store import SqlStorage, open_storage
from tests.soak.seed import COMMON_WORD, NOW, RARE_WORD, group_ids, seed

SECRETS: Final = 20_000
GROUPS: Final = 40

SMALL: Final = frozenset(
    {
        "authorities",
        "configurations",
        "crls",
        "identity_generation",
        "instance",
        "keys",
        "notification_destinations",
        "notification_registration",
        "secret_counts",
        "secret_groups",
    }
)
"""Tables that are read whole, because they hold a few rows in the largest store."""

Caught = tuple[Statement, dict[str, Any]]
Call = Callable[[ReadUnit], object]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStorage]:
    """Give an SQLite store with 20,000 secrets."""
    yield from _seeded(str(tmp_path_factory.mktemp("plans") / "strongroom.db"))


@pytest.fixture(scope="module")
def postgres_store(request: pytest.FixtureRequest) -> Iterator[SqlStorage]:
    """Give a PostgreSQL store with 20,000 secrets."""
    server = request.getfixturevalue("postgres_server")
    name = server.create_database()
    try:
        yield from _seeded(server.url(name))
    finally:
        server.drop_database(name)


def _seeded(url: str) -> Iterator[SqlStorage]:
    engine = open_engine(url, read_pool=1)
    ensure_schema(engine)
    seed(engine, secrets=SECRETS, groups=GROUPS, payload_bytes=32)
    engine.close()
    store = open_storage(url, stream="plans", read_pool=2)
    yield store
    store.close()


def secret_queries() -> Iterator[SecretQuery]:
    """Yield every shape of the list of secrets."""
    groups = group_ids(GROUPS)
    all_sorts = [None, *(Sort(key=key, descending=down) for key in secret_lists.KEYS for down in (False, True))]
    chosen: list[dict[str, Any]] = [
        {},
        {"groups": frozenset({groups[0]})},
        {"groups": frozenset({groups[-1]})},
        {"groups": frozenset(groups[3:10])},
        {"secret_types": frozenset({SecretType.IMPORTED_CERT})},
        {"secret_types": frozenset({SecretType.SERVICE_CREDENTIALS, SecretType.KV})},
        {"groups": frozenset({groups[0]}), "secret_types": frozenset({SecretType.KV})},
        {"labels": ("team-7",)},
        {"labels": ("prod", "eu-de"), "groups": frozenset({groups[0]})},
        {"search": RARE_WORD},
        {"search": RARE_WORD, "groups": frozenset({groups[0]}), "labels": ("prod",)},
        {"search": f"-0010000.{COMMON_WORD}"},
    ]
    for sort, filters in itertools.product(all_sorts, chosen):
        for offset in (0, SECRETS // 2, SECRETS - 300):
            yield SecretQuery(limit=200, offset=offset if not filters else offset // 100, sort=sort, **filters)


def lists() -> Iterator[Call]:
    """Yield a call of every list and every look for due work."""
    group, secret, version = GroupId("default"), SecretId("1"), VersionId("1")
    iam_id, many = IamId("IBMid-1"), frozenset(group_ids(GROUPS)[:5])
    for query in secret_queries():
        yield lambda unit, query=query: unit.secrets.page(query)  # type: ignore[misc]
    yield lambda unit: unit.secrets.find_current(secret)
    yield lambda unit: unit.secrets.find_by_name(SecretType.KV, "name")
    yield lambda unit: unit.secrets.due_for_expiry(NOW, 100, unless_job="secret.expire")
    yield lambda unit: unit.secrets.due_for_rotation(NOW, 100, unless_job="secret.rotate")
    yield lambda unit: unit.secrets.due_for_notice(NOW, 100)
    yield lambda unit: unit.notifications.registration()
    yield lambda unit: unit.notifications.listing()
    yield lambda unit: unit.notifications.next_delivery(DestinationId("d"))
    yield lambda unit: unit.notifications.deliveries(DestinationId("d"), limit=10, offset=0)
    yield lambda unit: unit.notifications.open_deliveries()
    yield lambda unit: unit.secrets.find_many([secret, SecretId("2")])
    for groups, before in itertools.product((None, frozenset({group}), many), (None, NOW)):
        renewals = RenewalQuery(limit=200, groups=groups, before=before)
        yield lambda unit, query=renewals: unit.secrets.renewals(query)  # type: ignore[misc]
    yield lambda unit: unit.statistics.gather(NOW, [NOW + timedelta(days=1)])
    yield lambda unit: unit.versions.listing(secret)
    yield lambda unit: unit.versions.find(secret, version)
    yield lambda unit: unit.groups.listing()
    for sort in (None, Sort(key="name"), Sort(key="created_at", descending=True)):
        for search in (None, "app"):
            locks = LockQuery(limit=25, sort=sort, search=search)
            yield lambda unit, query=locks: unit.locks.page_of_secret(secret, query)  # type: ignore[misc]
            yield lambda unit, query=locks: unit.locks.page_of_version(secret, version, query)  # type: ignore[misc]
    for groups in (None, frozenset({group}), many):
        yield lambda unit, groups=groups: unit.locks.page_of_secrets(LockQuery(limit=200, groups=groups))  # type: ignore[misc]
    jobs: list[dict[str, Any]] = [
        {},
        {"kind": "secret.rotate"},
        {"state": JobState.FAILED},
        {"secret_id": secret},
        {"groups": many},
        {"groups": many, "include_instance": False},
    ]
    for filters in jobs:
        yield lambda unit, filters=filters: unit.jobs.page(JobQuery(limit=200, **filters))  # type: ignore[misc]
    yield lambda unit: unit.jobs.last_of_secret(secret)
    yield lambda unit: unit.jobs.next_due(["secret.rotate"])
    trail: list[dict[str, Any]] = [
        {},
        {"from_time": NOW - timedelta(days=1), "to_time": NOW},
        {"initiator": "x"},
        {"action": "x"},
        {"target_id": "x"},
        {"outcome": Outcome.DENIED},
        {"request_id": "x"},
        {"initiator": "x", "action": "y", "from_time": NOW},
    ]
    for filters in trail:
        yield lambda unit, filters=filters: unit.audit_trail.page(AuditQuery(limit=100, **filters))  # type: ignore[misc]
    yield lambda unit: unit.audit_trail.records_after("plans", 5, 100)
    configuration, authority = ConfigurationId("1"), AuthorityId("1")
    for sort in (None, Sort(key="name"), Sort(key="secret_type", descending=True)):
        for search in (None, "app"):
            configurations = ConfigurationQuery(limit=200, search=search, sort=sort)
            yield lambda unit, query=configurations: unit.configurations.page(query)  # type: ignore[misc]
    yield lambda unit: unit.configurations.of_kind(ConfigKind.TEMPLATE)
    yield lambda unit: unit.authorities.generations(configuration)
    yield lambda unit: unit.authorities.find_issued(configuration, "1")
    yield lambda unit: unit.authorities.has_issued(authority, "leaf")
    yield lambda unit: unit.authorities.template_users(configuration, 10)
    yield lambda unit: unit.authorities.crls_due(NOW, 50)
    yield lambda unit: list(unit.authorities.revoked_entries(authority, NOW))
    order = JobId("1")
    yield lambda unit: unit.orders.find(order)
    yield lambda unit: unit.orders.find_many([order] * 3)
    yield lambda unit: unit.orders.open_of_secret(secret)
    yield lambda unit: unit.orders.last_of_secret(secret)
    yield lambda unit: unit.orders.open_total()
    yield lambda unit: unit.orders.forsaken(100)
    yield lambda unit: unit.orders.with_records(100)
    yield lambda unit: unit.orders.uses("ca", "certificate", "example.com", NOW)
    yield lambda unit: unit.orders.find_renewal_check(secret)
    yield lambda unit: unit.orders.renewal_checks_due(NOW, 100)
    yield lambda unit: unit.identities.find_api_key_by_digest("x")
    yield lambda unit: unit.identities.users(limit=10, offset=0)
    yield lambda unit: unit.identities.service_ids(limit=10, offset=0, name="x")
    yield lambda unit: unit.identities.api_keys(iam_id=iam_id, limit=10, offset=0)
    yield lambda unit: unit.identities.policies(subject="x")
    yield lambda unit: unit.identities.policies(group_id=group)
    yield lambda unit: unit.identities.access_groups(limit=10, offset=0, iam_id=iam_id)
    yield lambda unit: unit.identities.access_groups_of(iam_id)
    yield lambda unit: unit.identities.members(AccessGroupId("x"), limit=10, offset=0)


def catch(store: SqlStorage, kind: type[Any], monkeypatch: pytest.MonkeyPatch) -> list[Caught]:
    """Run every list and return the statements that it ran, each once."""
    caught: dict[str, Caught] = {}
    for method in ("row", "rows", "stream"):
        plain = getattr(kind, method)

        def keeps(self: Any, statement: Statement, /, plain: Any = plain, **parameters: Any) -> Any:
            caught.setdefault(statement.name, (statement, parameters))
            return plain(self, statement, **parameters)

        monkeypatch.setattr(kind, method, keeps)
    for call in lists():
        store.read(call)
    monkeypatch.undo()
    return list(caught.values())


def walked_tables(text: str, plan: str) -> list[str]:
    """Return the tables that a plan of SQLite reads from end to end without an index."""
    found = re.findall(r"^SCAN (\w+)(?! USING)(?! VIRTUAL TABLE INDEX)\s*$", plan, re.MULTILINE)
    if "TEMP B-TREE" not in plan and "WHERE" not in text:
        # A walk in order of creation stops at the end of the page.
        found = [table for table in found if f"ORDER BY {table}.pk" not in text]
    # What a statement made itself (ids of a page, a counted subquery) is no table.
    return [table for table in found if table not in {"ids", "anon_1", "locked"}]


def test_every_list_on_sqlite_uses_an_index(sqlite_store: SqlStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    caught = catch(sqlite_store, SqliteConnection, monkeypatch)
    connection = sqlite_store.engine.begin_read()
    assert isinstance(connection, SqliteConnection)
    walks: dict[str, str] = {}
    for statement, parameters in caught:
        rows = connection._raw.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", parameters).fetchall()
        plan = "\n".join(row[3] for row in rows)
        if set(walked_tables(statement.sqlite, plan)) - SMALL:
            walks[statement.name] = f"{statement.sqlite}\n{plan}"
    sqlite_store.engine.end_read(connection)

    assert len(caught) > 150
    assert not walks, "\n\n".join(f"{name}\n{plan}" for name, plan in walks.items())


@pytest.mark.peers
def test_every_list_on_postgresql_can_use_an_index(postgres_store: SqlStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    caught = catch(postgres_store, PostgresConnection, monkeypatch)
    connection = postgres_store.engine.begin_read()
    assert isinstance(connection, PostgresConnection)
    walks: dict[str, str] = {}
    # The planner is free to read a small table whole; what counts is that it does not have to.
    connection.plain("SET LOCAL enable_seqscan = off")
    for statement, parameters in caught:
        rows = connection._cursor.execute(f"EXPLAIN {statement.postgresql}", parameters, prepare=False).fetchall()
        plan = "\n".join(str(row[0]) for row in rows)
        if set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL:
            walks[statement.name] = f"{statement.postgresql}\n{plan}"
    postgres_store.engine.end_read(connection)

    assert len(caught) > 100
    assert not walks, "\n\n".join(f"{name}\n{plan}" for name, plan in walks.items())


def test_pages_of_a_walked_list_walk_the_index_of_their_order(sqlite_store: SqlStorage) -> None:
    connection = sqlite_store.engine.begin_read()
    assert isinstance(connection, SqliteConnection)
    orders = [
        secret_lists.NEWEST,
        *(secret_lists.Order(key, down) for key in secret_lists.KEYS for down in (True, False)),
    ]
    for order, reverse, scoped in itertools.product(orders, (False, True), (0, 1)):
        shape = secret_lists.Shape(
            secret_lists.Way.WALK, secret_lists.Filters(groups=scoped, types=scoped), order, reverse
        )
        statement = secret_lists.page_statement(shape)
        parameters = {"limit": 200, "offset": 10, "group0": 1, "type0": 10}
        rows = connection._raw.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", parameters).fetchall()
        plan = "\n".join(row[3] for row in rows)
        # The index of an expression is not called covering, though the row is not looked at either.
        walk = rf"^(SCAN|SEARCH) narrow USING (COVERING )?INDEX {secret_lists.index_of(shape)}\b"
        assert re.search(walk, plan, re.MULTILINE), plan
        assert "USE TEMP B-TREE" not in plan.split("SCAN ids")[0], plan
        assert "SEARCH secrets USING INTEGER PRIMARY KEY" in plan, plan
    sqlite_store.engine.end_read(connection)


def test_common_words_are_found_without_the_trigrams(sqlite_store: SqlStorage) -> None:
    page = sqlite_store.read(lambda unit: unit.secrets.page(SecretQuery(limit=5, search=COMMON_WORD)))

    assert page.total == SECRETS


@pytest.mark.peers
def test_only_rare_pieces_of_a_search_are_looked_up(postgres_store: SqlStorage) -> None:
    connection = postgres_store.engine.begin_read()
    found = rare_pieces(connection, f"-0010101.{COMMON_WORD}")
    assert found is not None
    assert set(found.values()) < {f"%{piece}%" for piece in ("001", "010", "101", "01.")}
    # One rare piece alone is no better than the whole; nor is one that every secret has.
    assert rare_pieces(connection, "team-377") is None
    assert rare_pieces(connection, COMMON_WORD) is None
    assert rare_pieces(connection, "証明書") is None
    postgres_store.engine.end_read(connection)


def test_seeded_counters_agree_with_the_rows(sqlite_store: SqlStorage, tmp_path: Path) -> None:
    counts = sqlite_store.read(lambda unit: unit.secrets.counts())

    assert sum(counts.values()) == SECRETS
