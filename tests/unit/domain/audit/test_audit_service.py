"""Export, checkpoints and verification of a stored trail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from strongroom.domain.audit.chain import GENESIS, ChainHead, checkpoint_body, link, verify_export
from strongroom.domain.audit.record import AuditRecord
from strongroom.domain.audit.service import VERIFY_KIND, AuditTrail, AuditVerification, Checkpoints
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Continue, Done, new_job
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.clock import FrozenClock
from strongroom.sealing.checkpoints import CheckpointSigner
from tests.unit.domain.audit.test_chain import START, an_entry
from tests.unit.memory_store import MemoryStorage

SIGNER = CheckpointSigner(bytes(range(32)))
KEY = SIGNER.public_key_b64


@pytest.fixture
def storage() -> MemoryStorage:
    """A trail of two streams, a record a second, with a checkpoint after every fifth."""
    storage = MemoryStorage()
    other = ChainHead("two")
    checkpoints = Checkpoints(storage.as_port(), FrozenClock(START), SIGNER)
    for number in range(20):
        entry = an_entry(number)
        if number % 3 == 0:
            storage.audit_trail.rows.append((entry.time, other.append(entry)))
        else:
            storage.audit(entry)
        if number % 5 == 4:
            checkpoints._clock = FrozenClock(entry.time)
            checkpoints.run()
    return storage


def export(storage: MemoryStorage, start: int | None = None, end: int | None = None) -> list[str]:
    trail = AuditTrail(storage.as_port(), FrozenClock(START + timedelta(hours=1)), SIGNER)
    return list(trail.export(at(start), at(end)))


def at(second: int | None) -> datetime | None:
    return None if second is None else START + timedelta(seconds=second)


def verify(storage: MemoryStorage, **limits: int) -> dict[str, Any]:
    handler = AuditVerification(storage.as_port(), [KEY], **limits)
    job = new_job(VERIFY_KIND, dedupe_key=VERIFY_KIND, now=START)
    for _ in range(1000):
        step = handler.run(job)
        if isinstance(step, Done):
            assert step.result is not None
            return dict(step.result)
        assert isinstance(step, Continue)
        job = replace(job, step=step.step, data=step.data)
    pytest.fail("the check does not end")


def tamper(storage: MemoryStorage, index: int, **changes: Any) -> None:
    time, row = storage.audit_trail.rows[index]
    assert isinstance(row, AuditRecord)
    storage.audit_trail.rows[index] = (time, replace(row, **changes))


def remove(storage: MemoryStorage, index: int) -> None:
    assert isinstance(storage.audit_trail.rows[index][1], AuditRecord)
    del storage.audit_trail.rows[index]


def test_whole_export_verifies_and_ends_with_its_own_checkpoint(storage: MemoryStorage) -> None:
    storage.audit(an_entry(20))
    result = verify_export(export(storage), KEY)
    assert (result.verified, result.partial) == (True, False)
    assert (result.streams, result.records, result.uncovered, result.checkpoints) == (2, 21, 0, 5)


@pytest.mark.parametrize(("start", "end"), [(7, 13), (0, 20), (7, None), (None, 13), (5, 6), (30, None), (None, 0)])
def test_export_of_a_span_verifies(storage: MemoryStorage, start: int | None, end: int | None) -> None:
    result = verify_export(export(storage, start, end), KEY)
    assert result.verified, result.first_broken
    first, last = start or 0, 20 if end is None else end
    assert result.records == max(0, min(20, last) - first)
    assert result.partial is bool(start)


@pytest.mark.parametrize(("start", "end"), [(7, 13), (7, None), (None, 13)])
def test_any_record_removed_from_an_export_is_noticed(
    storage: MemoryStorage, start: int | None, end: int | None
) -> None:
    lines = export(storage, start, end)
    for index, line in enumerate(lines):
        if "checkpoint" not in line:
            assert not verify_export([*lines[:index], *lines[index + 1 :]], KEY).verified


def test_records_with_unordered_times_stay_in_the_chain() -> None:
    storage = MemoryStorage()
    for second in (1, 3, 2, 4):
        storage.audit(an_entry(second))
    for start in range(6):
        for end in range(start, 6):
            result = verify_export(export(storage, start, end), KEY)
            assert result.verified, (start, end, result.first_broken)


def test_export_is_read_in_short_units(storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.domain.audit.service._EXPORT_LINES", 3)
    assert verify_export(export(storage), KEY).records == 20


def test_record_that_is_committed_late_does_not_break_the_start_of_an_export(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, late = storage.read, an_entry(12)

    def read_then_commit(fn: Callable[[ReadUnit], Any]) -> Any:
        result = read(fn)
        if not any(isinstance(row, AuditRecord) and row.stream == "late" for _, row in storage.audit_trail.rows):
            # Its number was drawn early, by another process, and its commit took a while.
            storage.audit_trail.rows.insert(3, (late.time, ChainHead("late").append(late)))
        return result

    monkeypatch.setattr(storage, "read", read_then_commit)
    result = verify_export(export(storage, 12), KEY)
    assert result.verified, result.first_broken


def test_export_of_an_empty_trail_is_empty() -> None:
    assert export(MemoryStorage()) == []


def test_checkpoint_is_skipped_when_nothing_was_added(storage: MemoryStorage, clock: FrozenClock) -> None:
    checkpoints = Checkpoints(storage.as_port(), clock, SIGNER)
    checkpoints.run()
    writes = storage.writes
    checkpoints.run()
    assert storage.writes == writes
    storage.audit(an_entry(21))
    checkpoints.run()
    assert len(storage.audit_trail.checkpoints()) == 6


def test_empty_trail_gets_no_checkpoint(clock: FrozenClock) -> None:
    storage = MemoryStorage()
    Checkpoints(storage.as_port(), clock, SIGNER).run()
    assert storage.audit_trail.rows == []


@pytest.mark.parametrize("limits", [{}, {"records_per_step": 3, "checkpoints_per_step": 1}, {"records_per_step": 13}])
def test_stored_trail_verifies_in_pieces(storage: MemoryStorage, limits: dict[str, int]) -> None:
    storage.audit(an_entry(20))
    assert verify(storage, **limits) == {
        "verified": True,
        "streams": 2,
        "records": 21,
        "checkpoints": 4,
        "uncovered": 1,
    }


def test_empty_trail_verifies() -> None:
    assert verify(MemoryStorage())["verified"] is True


def test_changed_stored_record_is_found(storage: MemoryStorage) -> None:
    body = storage.audit_trail.rows[1][1]
    assert isinstance(body, AuditRecord)
    tamper(storage, 1, body=body.body.replace("deploy", "nobody"))
    assert verify(storage) == {
        "verified": False,
        "streams": 1,
        "records": 0,
        "checkpoints": 0,
        "uncovered": 0,
        "first_broken": "stream one, record 1: its hash does not fit what it says",
    }


def test_removed_stored_record_is_found(storage: MemoryStorage) -> None:
    remove(storage, 2)
    assert verify(storage)["first_broken"] == "stream one, record 2: it is missing"


def test_cut_tail_is_found_by_the_last_checkpoint(storage: MemoryStorage) -> None:
    remove(storage, 22)
    assert "a checkpoint knows of it" in verify(storage)["first_broken"]


def test_removed_stream_is_found(storage: MemoryStorage) -> None:
    rows = storage.audit_trail.rows
    storage.audit_trail.rows = [
        (time, row) for time, row in rows if not isinstance(row, AuditRecord) or row.stream == "one"
    ]
    assert "stream two" in verify(storage)["first_broken"]


def test_chain_computed_anew_is_found(storage: MemoryStorage) -> None:
    previous, sequence = GENESIS, 0
    for index, (time, row) in enumerate(storage.audit_trail.rows):
        if isinstance(row, AuditRecord) and row.stream == "one":
            sequence += 1
            body = row.body.replace("deploy", "nobody")
            digest = link(previous, body)
            storage.audit_trail.rows[index] = (time, replace(row, body=body, previous_hash=previous, hash=digest))
            previous = digest
    assert "a checkpoint has another hash for it" in verify(storage)["first_broken"]


def test_record_filed_under_another_number_is_found() -> None:
    storage = MemoryStorage()
    storage.audit(an_entry(1))
    body = ChainHead("else").append(an_entry(1)).body
    tamper(storage, 0, body=body, hash=link(GENESIS, body))
    assert "moved here" in verify(storage)["first_broken"]


def test_stored_text_that_is_no_json_is_found() -> None:
    storage = MemoryStorage()
    storage.audit(an_entry(1))
    tamper(storage, 0, body="{", hash=link(GENESIS, "{"))
    assert verify(storage)["first_broken"] == "stream one, record 1: It is not a JSON object."


def add_checkpoint(storage: MemoryStorage, signer: CheckpointSigner, heads: dict[str, tuple[int, str]]) -> None:
    body = checkpoint_body(START, heads, signer.key_id)
    storage.audit_trail.add_checkpoint(START, body, signer.sign(body.encode()), signer.public_key_b64)


def test_checkpoint_of_another_key_is_found(storage: MemoryStorage) -> None:
    add_checkpoint(storage, CheckpointSigner(bytes(32)), storage.audit_trail.heads())
    assert "checkpoint 5: It was signed with a key that is not this server's." in verify(storage)["first_broken"]


def test_changed_checkpoint_is_found(storage: MemoryStorage) -> None:
    storage.audit_trail.add_checkpoint(START, '{"checkpoint":{}}', SIGNER.sign(b"else"), KEY)
    assert "checkpoint 5: The signature does not fit" in verify(storage)["first_broken"]


def test_contradicting_checkpoints_are_found(storage: MemoryStorage) -> None:
    add_checkpoint(storage, SIGNER, {"one": (50, "a" * 64)})
    add_checkpoint(storage, SIGNER, {"one": (50, "b" * 64)})
    assert "two checkpoints" in verify(storage)["first_broken"]


def test_progress_survives_as_plain_job_data(storage: MemoryStorage) -> None:
    handler = AuditVerification(storage.as_port(), [KEY], records_per_step=5)
    job: Job = new_job(VERIFY_KIND, dedupe_key=VERIFY_KIND, now=START)
    step = handler.run(job)
    assert isinstance(step, Continue)
    assert all(isinstance(value, str | int | dict) for value in step.data.values())
