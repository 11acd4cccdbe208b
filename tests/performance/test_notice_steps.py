"""Notices over 20,000 secrets: no statement walks a table, and no step keeps others from writing for long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from strongroom.domain.notifications.model import DeliveryId, DestinationId
from strongroom.domain.ports import Unit
from strongroom.storage.engine import open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.sqlite import SqliteConnection
from strongroom.storage.store import SqlStorage, open_storage
from tests.soak.many_notices import Report, measure
from tests.soak.seed import NOW, seed

SECRETS = 20_000
DESTINATIONS = 50
LOOK_MS = 50.0
STEP_MS = 2000.0
"""Far above what a step takes (some 100 ms), for machines that do much else; a walk over everything takes longer."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStorage]:
    """Give a store with 20,000 secrets."""
    url = str(tmp_path_factory.mktemp("notices") / "strongroom.db")
    engine = open_engine(url, read_pool=1)
    ensure_schema(engine)
    seed(engine, secrets=SECRETS, groups=40, payload_bytes=32)
    engine.close()
    opened = open_storage(url, stream="notices", read_pool=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def report(store: SqlStorage) -> Report:
    """Give what it took to tell as many destinations as there may be."""
    return measure(store, destinations=DESTINATIONS, most_events=5000)


def test_no_step_keeps_others_from_writing_for_long(report: Report) -> None:
    assert report.events > 1000
    assert report.deliveries >= DESTINATIONS * report.events / 100
    # Events are taken by the hundred for so many destinations.
    assert len(report.grouped.steps) == report.events // 100 + 1
    assert max(report.told.steps) < STEP_MS
    assert max(report.grouped.steps) < STEP_MS


def test_look_with_nothing_due_costs_nothing(report: Report) -> None:
    assert report.idle < LOOK_MS
    assert report.next_delivery < LOOK_MS


def test_every_write_of_notices_uses_an_index(
    store: SqlStorage, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught: dict[str, tuple[str, dict[str, Any]]] = {}
    for method in ("row", "rows", "run"):
        plain = getattr(SqliteConnection, method)

        def keeps(self: Any, statement: Any, /, plain: Any = plain, **parameters: Any) -> Any:
            caught.setdefault(statement.name, (statement.sqlite, parameters))
            return plain(self, statement, **parameters)

        monkeypatch.setattr(SqliteConnection, method, keeps)

    def everything(unit: Unit) -> None:
        one = DestinationId("destination-1")
        events = unit.events.waiting(1000)
        unit.events.noticed(events, NOW)
        unit.events.purge(NOW, 10)
        for secret_id in unit.secrets.due_for_notice(NOW, 1):
            unit.secrets.set_notice(secret_id, NOW)
        delivery = unit.notifications.next_delivery(one)
        assert delivery is not None
        unit.notifications.save_delivery(delivery)
        unit.notifications.add_delivery(replace(delivery, id=DeliveryId("another")))
        unit.notifications.end_deliveries(one, NOW, "ended")
        unit.notifications.purge_deliveries(NOW, 10)
        raise _TakenBackError

    with pytest.raises(_TakenBackError):
        store.write(everything)
    monkeypatch.undo()

    connection = store.engine.begin_read()
    assert isinstance(connection, SqliteConnection)
    walks = {}
    for name, (text, parameters) in caught.items():
        if name.startswith(("events.", "notifications.", "secrets.")):
            rows = connection._raw.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()
            plan = "\n".join(row[3] for row in rows)
            if re.search(r"^SCAN \w+(?! USING)\s*$", plan, re.MULTILINE):
                walks[name] = plan
    store.engine.end_read(connection)
    assert {"events.waiting", "secrets.due_for_notice", "notifications.next_delivery"} <= set(caught)
    assert not walks


class _TakenBackError(Exception):
    """Rolls a unit back."""
