"""Units of work: atomic, alone in their failures, durable when they return; audit entries with them."""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future
from datetime import timedelta

import pytest

from strongroom.domain.audit.chain import GENESIS, link
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import Conflict, ErrorCode, Internal, Unavailable
from strongroom.kernel.ids import SecretId
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    NOW,
    add_group,
    add_secret,
    add_secret_with_version,
    later,
    make_entry,
    make_secret,
    make_version,
)
from tests.contract.storage.conftest import OpenStorage


class Refused(Exception):
    """What a caller's own unit raises."""


def actions(storage: SqlStorage) -> list[str]:
    """Return the bodies of the stream's records, oldest first."""
    return [record.body for record in storage.read(lambda unit: unit.audit_trail.records_after("main", 0, 1000))]


class Gate:
    """Holds the writer inside a unit, so that everything after it lands in one batch."""

    def __init__(self, storage: SqlStorage) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()
        self._future = storage.submit(self._wait)
        assert self._entered.wait(10)

    def open(self) -> None:
        self._open.set()
        self._future.result(10)

    def _wait(self, _: Unit) -> None:
        self._entered.set()
        assert self._open.wait(10)


def test_write_returns_what_the_unit_returns(storage: SqlStorage) -> None:
    assert storage.write(lambda _: 7) == 7


def test_unit_that_raises_leaves_nothing(storage: SqlStorage) -> None:
    add_group(storage)
    secret = make_secret(labels=("dev",))

    def fails(unit: Unit) -> None:
        unit.secrets.add(secret)
        unit.versions.add(make_version(secret), b"sealed")
        unit.audit(make_entry("half-written"))
        raise Refused

    with pytest.raises(Refused):
        storage.write(fails)

    assert storage.read(lambda unit: unit.secrets.find(secret.id)) is None
    assert storage.read(lambda unit: unit.secrets.counts()) == {}
    assert storage.write(lambda unit: unit.secrets.add(secret)) is None
    assert not any("half-written" in body for body in actions(storage))


def test_failed_unit_leaves_the_others_of_its_batch_alone(storage: SqlStorage) -> None:
    add_group(storage)
    gate = Gate(storage)
    good = [make_secret(f"good-{i}") for i in range(4)]
    bad = make_secret("bad")

    def adds(index: int) -> Future[None]:
        secret = good[index]

        def add(unit: Unit) -> None:
            unit.secrets.add(secret)
            unit.audit(make_entry(f"added-{index}"))

        return storage.submit(add)

    def fails(unit: Unit) -> None:
        unit.secrets.add(bad)
        unit.audit(make_entry("bad"))
        raise Refused

    futures = [adds(0), adds(1)]
    failing = storage.submit(fails)
    futures += [adds(2), adds(3)]
    gate.open()

    for future in futures:
        future.result(10)
    with pytest.raises(Refused):
        failing.result(10)
    assert storage.stats.largest_batch >= 5
    assert storage.read(lambda unit: [unit.secrets.find(secret.id) is not None for secret in good]) == [True] * 4
    assert storage.read(lambda unit: unit.secrets.find(bad.id)) is None
    assert storage.read(lambda unit: list(unit.secrets.counts().values())) == [4]
    assert [f"added-{i}" in body for i, body in enumerate(actions(storage))] == [True] * 4


def test_unit_that_breaks_a_rule_of_the_database_leaves_the_others_alone(storage: SqlStorage) -> None:
    add_group(storage)
    first = add_secret(storage, "taken")
    gate = Gate(storage)
    before = storage.submit(lambda unit: unit.secrets.add(make_secret("before")))
    clash = storage.submit(lambda unit: unit.secrets.add(make_secret("taken")))
    after = storage.submit(lambda unit: unit.secrets.add(make_secret("after")))
    gate.open()

    before.result(10)
    after.result(10)
    with pytest.raises(Conflict) as refused:
        clash.result(10)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert "already exists: taken" in refused.value.detail
    assert storage.read(lambda unit: unit.secrets.find_by_name(first.secret_type, "taken")) == first


def test_units_of_a_batch_see_the_counters_of_those_before_them(storage: SqlStorage) -> None:
    group = add_group(storage)
    gate = Gate(storage)
    storage.submit(lambda unit: unit.secrets.add(make_secret("one")))

    def adds_and_counts(unit: Unit) -> int:
        unit.secrets.add(make_secret("two"))
        return unit.secrets.count_in_group(group.id)

    counted = storage.submit(adds_and_counts)
    gate.open()

    assert counted.result(10) == 2


def test_cancelled_unit_does_not_run(storage: SqlStorage) -> None:
    gate = Gate(storage)
    ran: list[int] = []
    waiting = storage.submit(lambda _: ran.append(1))

    assert waiting.cancel()
    gate.open()
    storage.write(lambda _: None)
    assert ran == []


def test_unit_cannot_wait_for_another(storage: SqlStorage) -> None:
    with pytest.raises(RuntimeError, match="cannot wait"):
        storage.write(lambda _: storage.write(lambda _: None))


def test_read_unit_sees_one_snapshot(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)

    def reads(unit: ReadUnit) -> tuple[bool, bool]:
        before = unit.secrets.find(secret.id) is not None
        storage.write(lambda writing: writing.secrets.remove(secret.id))
        return before, unit.secrets.find(secret.id) is not None

    assert storage.read(reads) == (True, True)
    assert storage.read(lambda unit: unit.secrets.find(secret.id)) is None


def test_read_inside_a_read_has_a_snapshot_of_its_own(storage: SqlStorage) -> None:
    add_group(storage)

    def reads(unit: ReadUnit) -> tuple[int, int]:
        before = unit.groups.count()
        add_group(storage, "team")
        return before, storage.read(lambda inner: inner.groups.count())

    assert storage.read(reads) == (0, 1)


def test_read_unit_cannot_change_anything(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)

    with pytest.raises(Internal) as refused:
        storage.read(lambda unit: unit.secrets.remove(secret.id))
    assert re.search("read-?only", str(refused.value.__cause__))
    assert storage.read(lambda unit: unit.secrets.find(secret.id)) == secret


def test_reads_work_from_many_threads(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)
    found: list[bool] = []

    def reads() -> None:
        found.extend(storage.read(lambda unit: unit.secrets.find(secret.id)) == secret for _ in range(20))

    threads = [threading.Thread(target=reads) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 120


def test_audit_entries_of_units_are_chained_in_the_order_of_commits(storage: SqlStorage) -> None:
    for index in range(5):
        storage.write(lambda unit, index=index: unit.audit(make_entry(f"action-{index}")))  # type: ignore[misc]

    records = storage.read(lambda unit: unit.audit_trail.records_after("main", 0, 100))

    assert [record.sequence for record in records] == [1, 2, 3, 4, 5]
    assert [f"action-{index}" in record.body for index, record in enumerate(records)] == [True] * 5
    previous = GENESIS
    for record in records:
        assert (record.previous_hash, record.hash) == (previous, link(previous, record.body))
        previous = record.hash


def test_audit_entry_of_a_read_is_stored_soon_without_a_write(storage: SqlStorage) -> None:
    assert storage.record(make_entry("read")) is None

    for _ in range(200):
        if actions(storage):
            break
        threading.Event().wait(0.01)
    assert ["read" in body for body in actions(storage)] == [True]


def test_durable_reads_give_a_future_that_resolves_on_disk(open_store: OpenStorage) -> None:
    storage = open_store(durable_reads=True)

    future = storage.record(make_entry("read"))

    assert future is not None
    future.result(10)
    assert len(actions(storage)) == 1


def test_full_queue_makes_reads_wait_and_drops_nothing(open_store: OpenStorage) -> None:
    storage = open_store(queue_limit=3)
    gate = Gate(storage)

    handed = [storage.record(make_entry(f"read-{i}")) for i in range(5)]
    gate.open()

    assert [future is not None for future in handed] == [False, False, False, True, True]
    for future in handed:
        if future is not None:
            future.result(10)
    assert len(actions(storage)) == 5


def test_close_stores_what_is_queued(open_store: OpenStorage) -> None:
    storage = open_store()
    add_group(storage)
    secret, _ = add_secret_with_version(storage)
    storage.record(make_entry("read"))
    storage.touch(secret.id, later(5))
    waiting = storage.submit(lambda _: 1)

    storage.close()

    assert waiting.result(0) == 1
    again = open_store()
    assert len(actions(again)) == 1
    found = again.read(lambda unit: unit.secrets.find(secret.id))
    assert found is not None
    assert found.retrieved_at == later(5)


def test_closed_store_refuses_with_a_clear_word(open_store: OpenStorage) -> None:
    storage = open_store()
    storage.close()

    with pytest.raises(Unavailable):
        storage.write(lambda _: None)
    with pytest.raises(Unavailable):
        storage.record(make_entry())
    with pytest.raises(Unavailable):
        storage.touch(SecretId("1"), NOW)
    with pytest.raises(Unavailable):
        storage.read(lambda unit: unit.groups.listing())


def test_touch_moves_the_time_of_the_last_read_forward_only(open_store: OpenStorage) -> None:
    storage = open_store()
    add_group(storage)
    secret, _ = add_secret_with_version(storage)
    storage.touch(secret.id, later(10))
    storage.touch(secret.id, later(3))
    storage.close()
    storage = open_store()
    storage.touch(secret.id, later(4))
    storage.close()

    found = open_store().read(lambda unit: unit.secrets.find(secret.id))

    assert found is not None
    assert found.retrieved_at == NOW + timedelta(seconds=10)
    assert found.row_version == secret.row_version


def test_ready_store_says_so(storage: SqlStorage) -> None:
    storage.ready()


def test_store_of_another_schema_is_not_ready(storage: SqlStorage) -> None:
    connection = storage.engine.open_writer()
    connection.begin()
    from strongroom.storage.statements import Statement

    connection.run(Statement("test.revision", lambda _: "UPDATE alembic_version SET version_num = 'zzzz'"))
    connection.commit()
    connection.close()

    with pytest.raises(Unavailable, match="another version"):
        storage.ready()
