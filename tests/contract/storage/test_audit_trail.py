"""The whole trail on every database: written by several processes, exported, checked, tampered with."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from strongroom.domain.audit.chain import verify_export
from strongroom.domain.audit.service import VERIFY_KIND, AuditTrail, AuditVerification, Checkpoints
from strongroom.domain.jobs.steps import Continue, Done, new_job
from strongroom.domain.ports import Storage
from strongroom.kernel.clock import FrozenClock
from strongroom.sealing.checkpoints import CheckpointSigner
from tests.contract.storage.builders import NOW, later, make_entry
from tests.contract.storage.conftest import OpenStorage
from tests.contract.storage.test_audit import tampering

SIGNER = CheckpointSigner(bytes(range(32)))
KEY = SIGNER.public_key_b64


def fill(stores: list[Any], rng: random.Random, count: int = 60) -> None:
    """Write records of several streams, changes and reads, times a little out of order, and checkpoints."""
    clock = FrozenClock(NOW)
    checkpoints = [Checkpoints(store, clock, SIGNER) for store in stores]
    for number in range(count):
        store = rng.choice(stores)
        entry = make_entry(time=later(number + rng.uniform(-2, 2)))
        if rng.random() < 0.5:
            store.write(lambda unit, entry=entry: unit.audit(entry))
        else:
            store.record(entry)
        if number % 13 == 12:
            clock._at = later(number)
            for each in stores:
                each.write(lambda _: None)
            rng.choice(checkpoints).run()
    for each in stores:
        each.write(lambda _: None)


@pytest.fixture
def stores(open_store: OpenStorage, rng: random.Random) -> list[Any]:
    stores = [open_store(stream="one"), open_store(stream="two")]
    fill(stores, rng)
    return stores


def export(storage: Storage, start: datetime | None = None, end: datetime | None = None) -> list[str]:
    return list(AuditTrail(storage, FrozenClock(later(3600)), SIGNER).export(start, end))


def verify(storage: Storage) -> dict[str, Any]:
    handler = AuditVerification(storage, [KEY], records_per_step=7, checkpoints_per_step=2)
    job = new_job(VERIFY_KIND, dedupe_key=VERIFY_KIND, now=NOW)
    while True:
        step = handler.run(job)
        if isinstance(step, Done):
            return dict(step.result or {})
        assert isinstance(step, Continue)
        job = replace(job, step=step.step, data=step.data)


def test_trail_of_two_processes_verifies_stored_and_exported(stores: list[Any]) -> None:
    stored = verify(stores[0])
    assert (stored["verified"], stored["streams"], stored["records"]) == (True, 2, 60)
    assert stored["checkpoints"] == 4
    exported = verify_export(export(stores[1]), KEY)
    assert exported.verified, exported.first_broken
    assert (exported.streams, exported.records, exported.uncovered) == (2, 60, 0)


def test_every_window_of_time_verifies(stores: list[Any]) -> None:
    for start in range(-3, 63, 6):
        for end in range(start, 66, 9):
            result = verify_export(export(stores[0], later(start), later(end)), KEY)
            assert result.verified, (start, end, result.first_broken)


def test_records_removed_from_an_exported_window_are_noticed(stores: list[Any]) -> None:
    lines = export(stores[0], later(20), later(40))
    for index, line in enumerate(lines):
        if '"checkpoint"' not in line:
            assert not verify_export([*lines[:index], *lines[index + 1 :]], KEY).verified


def test_long_export_is_read_in_pieces(stores: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.domain.audit.service._EXPORT_LINES", 4)
    result = verify_export(export(stores[0]), KEY)
    assert (result.verified, result.records) == (True, 60)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE audit_records SET body = replace(body, 'somebody', 'nobody') WHERE pk = 5", "does not fit"),
        ("DELETE FROM audit_records WHERE pk = 5", "it is missing"),
        ("UPDATE audit_records SET sequence = sequence + 500 WHERE pk = 5", "it is missing"),
        ("UPDATE audit_records SET previous_hash = hash WHERE pk = 9", "previous_hash"),
        ("DELETE FROM audit_records WHERE stream = 'two'", "a checkpoint knows of it"),
        ("UPDATE audit_checkpoints SET body = replace(body, '2026', '2027') WHERE pk = 2", "signature"),
        ("UPDATE audit_checkpoints SET public_key = 'AAAA' WHERE pk = 2", "key that is not this server's"),
    ],
)
def test_change_behind_the_servers_back_is_found(stores: list[Any], database_url: str, change: str, found: str) -> None:
    with tampering(database_url) as run:
        run(change)
    result = verify(stores[0])
    assert result["verified"] is False
    assert found in result["first_broken"]
    # An export is made of the hashed texts; where they are filed does not get into it.
    assert verify_export(export(stores[0]), KEY).verified is ("SET sequence" in change)


def test_cut_tail_is_found(stores: list[Any], database_url: str) -> None:
    Checkpoints(stores[0], FrozenClock(later(99)), SIGNER).run()
    with tampering(database_url) as run:
        run("DELETE FROM audit_records WHERE pk >= 55")
    assert "a checkpoint knows of it" in verify(stores[0])["first_broken"]
    assert not verify_export(export(stores[0]), KEY).verified
