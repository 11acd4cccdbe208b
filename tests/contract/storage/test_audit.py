"""The stored audit trail: pages, filters, exports and heads, on every database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.audit.chain import GENESIS, checkpoint_body, checkpoint_line, link, record_line
from strongroom.domain.audit.record import (
    AuditEntry,
    AuditQuery,
    AuditRecord,
    Initiator,
    Outcome,
    Reason,
    Target,
)
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import AuditId, new_uuid

OpenStore = Callable[..., Storage]

AT = datetime(2026, 3, 2, 9, 14, 7, 123456, tzinfo=UTC)
READ = "secrets-manager.secret.read"


def minutes(count: float) -> datetime:
    return AT + timedelta(minutes=count)


def entry(
    at: datetime = AT,
    *,
    initiator: str = "iam-ServiceId-1",
    action: str = READ,
    target: str | None = "s1",
    outcome: Outcome = Outcome.SUCCESS,
    request_id: str | None = None,
) -> AuditEntry:
    return AuditEntry(
        id=AuditId(new_uuid()),
        time=at,
        initiator=Initiator(id=initiator, name="deployer", type="service_id", address="192.0.2.1"),
        action=action,
        target=Target(type="secret", id=target, name="ü", secret_group_id="default"),
        outcome=outcome,
        reason=None if outcome is Outcome.SUCCESS else Reason(code="forbidden", type="Forbidden", message="no"),
        request_id=request_id,
    )


def audit(storage: Storage, *entries: AuditEntry) -> None:
    def unit_of_work(unit: Unit) -> None:
        for one in entries:
            unit.audit(one)

    storage.write(unit_of_work)


def checkpoint(storage: Storage, at: datetime) -> str:
    """Sign the present heads and return the line that an export shows."""
    body = checkpoint_body(at, storage.read(lambda unit: unit.audit_trail.heads()), "key-1")
    storage.write(lambda unit: unit.audit_trail.add_checkpoint(at, body, "signature", "public"))
    return checkpoint_line(body, "signature", "public")


def page(storage: Storage, **filters: Any) -> tuple[list[str], str | None]:
    query = AuditQuery(**{"limit": 100, **filters})
    records, following = storage.read(lambda unit: unit.audit_trail.page(query))
    return [json.loads(record.body)["id"] for record in records], following


def records(storage: Storage, stream: str | None = None) -> list[AuditRecord]:
    name = stream or next(iter(storage.read(lambda unit: unit.audit_trail.heads())))
    return list(storage.read(lambda unit: unit.audit_trail.records_after(name, 0, 1000)))


def read_page(
    from_time: datetime | None, to_time: datetime | None, after: str | None, limit: int, unit: ReadUnit
) -> tuple[Sequence[str], str | None]:
    return unit.audit_trail.export(from_time, to_time, after=after, limit=limit)


def export(
    storage: Storage, from_time: datetime | None = None, to_time: datetime | None = None, *, limit: int = 1000
) -> list[str]:
    lines: list[str] = []
    after = None
    while True:
        found, after = storage.read(partial(read_page, from_time, to_time, after, limit))
        lines += found
        assert len(found) <= limit
        if after is None:
            return lines


def heads_before(storage: Storage, at: datetime) -> dict[str, tuple[int, str]]:
    return storage.read(lambda unit: unit.audit_trail.heads(at))


@contextlib.contextmanager
def tampering(database_url: str) -> Iterator[Callable[[str], object]]:
    """Give a way past the store, as whoever holds the database has one."""
    if database_url.startswith("postgresql://"):
        import psycopg

        with psycopg.connect(database_url, autocommit=True) as connection:
            yield lambda text: connection.execute(text.encode())
    else:
        with contextlib.closing(sqlite3.connect(database_url, isolation_level=None)) as file:
            yield file.execute


def test_new_store_has_an_empty_trail(storage: Storage) -> None:
    assert page(storage) == ([], None)
    assert export(storage) == []
    assert storage.read(lambda unit: unit.audit_trail.heads()) == {}
    assert list(storage.read(lambda unit: unit.audit_trail.checkpoints())) == []


def test_records_of_a_stream_form_one_chain(storage: Storage) -> None:
    audit(storage, entry(minutes(0)), entry(minutes(1)))
    audit(storage, entry(minutes(2)))

    trail = records(storage)

    assert [record.sequence for record in trail] == [1, 2, 3]
    assert trail[0].previous_hash == GENESIS
    for previous, record in zip([None, *trail], trail, strict=False):
        assert record.previous_hash == (previous.hash if previous else GENESIS)
        assert record.hash == link(record.previous_hash, record.body)


def test_entries_of_a_unit_that_failed_leave_no_gap(storage: Storage) -> None:
    audit(storage, entry())

    def fail(unit: Unit) -> None:
        unit.audit(entry())
        raise LookupError

    with pytest.raises(LookupError):
        storage.write(fail)
    audit(storage, entry())

    assert [record.sequence for record in records(storage)] == [1, 2]


def test_heads_name_the_last_record_of_every_stream(storage: Storage, open_store: OpenStore) -> None:
    other = open_store(stream="second-stream")
    audit(storage, entry(), entry())
    audit(other, entry())
    first = next(stream for stream in storage.read(lambda unit: unit.audit_trail.heads()) if stream != "second-stream")

    heads = storage.read(lambda unit: unit.audit_trail.heads())

    assert heads == {
        first: (2, records(storage, first)[-1].hash),
        "second-stream": (1, records(storage, "second-stream")[-1].hash),
    }


def test_heads_before_an_instant_are_where_an_export_from_it_begins(storage: Storage, open_store: OpenStore) -> None:
    other = open_store(stream="second-stream")
    # 2 comes after 4: an export from 3 begins at 4 and goes on with 2.
    audit(storage, *(entry(minutes(at)) for at in (0, 1, 4, 2, 5)))
    audit(other, entry(minutes(6)))
    (first,) = set(storage.read(lambda unit: unit.audit_trail.heads())) - {"second-stream"}
    trail = records(storage, first)

    def heads(at: float) -> dict[str, tuple[int, str]]:
        return heads_before(storage, minutes(at))

    assert heads(-1) == {}
    assert heads(0) == {}
    assert heads(0.5) == {first: (1, trail[0].hash)}
    assert heads(3) == {first: (2, trail[1].hash)}
    assert heads(5) == {first: (4, trail[3].hash)}
    assert heads(6) == {first: (5, trail[4].hash)}
    assert heads(7) == storage.read(lambda unit: unit.audit_trail.heads())


def test_every_head_is_found_in_a_long_stream(storage: Storage) -> None:
    audit(storage, *(entry(minutes(n)) for n in range(33)))
    trail = records(storage)

    for n in range(1, 33):
        assert heads_before(storage, minutes(n)) == {trail[0].stream: (n, trail[n - 1].hash)}


def test_stream_goes_on_where_an_earlier_process_left_it(storage: Storage, open_store: OpenStore) -> None:
    for _ in range(2):
        process = open_store(stream="restarted")
        audit(process, entry())
        process.close()

    trail = records(storage, "restarted")

    assert [record.sequence for record in trail] == [1, 2]
    assert trail[1].previous_hash == trail[0].hash


def test_records_after_a_sequence_come_oldest_first_and_no_more_than_asked(storage: Storage) -> None:
    audit(storage, *(entry(minutes(n)) for n in range(5)))
    trail = records(storage)

    found = storage.read(lambda unit: unit.audit_trail.records_after(trail[0].stream, 2, 2))

    assert list(found) == trail[2:4]
    assert list(storage.read(lambda unit: unit.audit_trail.records_after("unknown", 0, 2))) == []


def test_trail_is_paged_newest_first_without_gap_or_repeat(storage: Storage) -> None:
    # Several records of one instant: the position must tell them apart.
    entries = [entry(minutes(n // 4)) for n in range(10)]
    audit(storage, *entries)

    seen: list[str] = []
    start = None
    while True:
        ids, start = page(storage, limit=3, start=start)
        seen += ids
        if start is None:
            break
        audit(storage, entry(minutes(60)))  # newer records do not disturb a walk that has begun

    assert seen == [one.id for one in reversed(entries)]


def test_last_page_that_is_full_has_no_next(storage: Storage) -> None:
    audit(storage, entry(), entry())

    ids, following = page(storage, limit=2)

    assert (len(ids), following) == (2, None)


FILTERED = {
    "by_initiator": {"initiator": "someone else"},
    "by_action": {"action": "secrets-manager.secret.delete"},
    "by_target": {"target_id": "s2"},
    "by_outcome": {"outcome": Outcome.DENIED},
    "by_request": {"request_id": "request-1"},
}


@pytest.mark.parametrize("filters", FILTERED.values(), ids=FILTERED)
def test_trail_is_filtered_and_paged(storage: Storage, filters: dict[str, Any]) -> None:
    changes = {"target" if name == "target_id" else name: value for name, value in filters.items()}
    wanted = [entry(minutes(n), **changes) for n in range(0, 10, 2)]
    audit(storage, *(one for n, want in enumerate(wanted) for one in (want, entry(minutes(2 * n + 1)))))

    first, start = page(storage, limit=3, **filters)
    second, end = page(storage, limit=3, start=start, **filters)

    assert first + second == [one.id for one in reversed(wanted)]
    assert end is None


def test_filters_add_up(storage: Storage) -> None:
    both = entry(initiator="a", outcome=Outcome.DENIED, request_id="r", target="t", action="x")
    audit(storage, both, entry(initiator="a"), entry(outcome=Outcome.DENIED), entry(action="x", target="t"))

    found, _ = page(
        storage, initiator="a", outcome=Outcome.DENIED, request_id="r", target_id="t", action="x", from_time=AT
    )

    assert found == [both.id]


def test_window_of_time_includes_its_start_and_excludes_its_end(storage: Storage) -> None:
    entries = [entry(minutes(n)) for n in range(4)]
    audit(storage, *entries)

    assert page(storage, from_time=minutes(1), to_time=minutes(3))[0] == [entries[2].id, entries[1].id]
    assert page(storage, from_time=minutes(2))[0] == [entries[3].id, entries[2].id]
    assert page(storage, to_time=minutes(1))[0] == [entries[0].id]


@pytest.mark.parametrize("start", ["", "x", "!!!!", "bm90IGEgcG9zaXRpb24", "MS4yLjM", "LTEuLTE", "A" * 500])
def test_position_that_no_page_gave_is_refused(storage: Storage, start: str) -> None:
    with pytest.raises(Invalid) as refused:
        page(storage, start=start)

    assert refused.value.code is ErrorCode.INVALID_FIELD
    assert refused.value.field == "start"


def test_checkpoints_come_back_oldest_first_in_pages(storage: Storage) -> None:
    lines = [(f'{{"n":{n}}}', f"signature-{n}", f"public-{n}") for n in range(5)]

    def add(unit: Unit) -> None:
        for n, line in enumerate(lines):
            unit.audit_trail.add_checkpoint(minutes(n), *line)

    storage.write(add)

    first = storage.read(lambda unit: unit.audit_trail.checkpoints(limit=2))
    rest = storage.read(lambda unit: unit.audit_trail.checkpoints(first[-1][0]))

    assert [found[1:] for found in (*first, *rest)] == lines
    assert len(first) == 2
    positions = [found[0] for found in (*first, *rest)]
    assert positions == sorted(set(positions))


def test_export_has_every_record_and_checkpoint_in_order(storage: Storage) -> None:
    audit(storage, entry(minutes(0)), entry(minutes(1)))
    first = checkpoint(storage, minutes(2))
    audit(storage, entry(minutes(3)))
    second = checkpoint(storage, minutes(4))

    a, b, c = map(record_line, records(storage))
    assert export(storage) == [a, b, first, c, second]


def test_checkpoint_of_an_empty_trail_comes_first(storage: Storage) -> None:
    line = checkpoint(storage, minutes(0))
    audit(storage, entry(minutes(1)))

    assert export(storage) == [line, *map(record_line, records(storage))]


def test_export_longer_than_a_chunk_is_complete(storage: Storage) -> None:
    audit(storage, *(entry(minutes(n)) for n in range(1000)))
    audit(storage, *(entry(minutes(n)) for n in range(1000, 1500)))

    lines = export(storage)

    assert [json.loads(line)["sequence"] for line in lines] == list(range(1, 1501))


def test_export_that_starts_late_has_no_earlier_checkpoint(storage: Storage) -> None:
    audit(storage, entry(minutes(1)))
    checkpoint(storage, minutes(2))
    audit(storage, entry(minutes(3)), entry(minutes(5)))
    after = checkpoint(storage, minutes(6))

    _, b, c = map(record_line, records(storage))
    assert export(storage, minutes(3)) == [b, c, after]


def test_export_that_ends_early_has_no_later_checkpoint(storage: Storage) -> None:
    audit(storage, entry(minutes(1)))
    inside = checkpoint(storage, minutes(2))
    audit(storage, entry(minutes(3)), entry(minutes(5)))
    checkpoint(storage, minutes(6))

    a, b, _ = map(record_line, records(storage))
    assert export(storage, None, minutes(5)) == [a, inside, b]


def test_export_of_a_window_stays_contiguous_when_times_are_out_of_order(storage: Storage) -> None:
    audit(storage, entry(minutes(1)), entry(minutes(4)), entry(minutes(2)), entry(minutes(5)), entry(minutes(3)))
    lines = [record_line(record) for record in records(storage)]

    assert export(storage, minutes(3)) == lines[1:]
    assert export(storage, None, minutes(3)) == lines[:3]
    assert export(storage, minutes(4), minutes(5)) == lines[1:]


def test_export_of_a_window_without_records_is_empty(storage: Storage) -> None:
    audit(storage, entry(minutes(1)))

    assert export(storage, minutes(2), minutes(3)) == []


def test_export_keeps_a_checkpoint_whose_records_are_gone(storage: Storage, database_url: str) -> None:
    audit(storage, entry(minutes(1)), entry(minutes(2)))
    line = checkpoint(storage, minutes(3))
    trail = records(storage)

    with tampering(database_url) as execute:
        execute("DELETE FROM audit_records WHERE sequence = 2")

    # Whoever verifies the export finds a head that no record reaches: the tail was cut.
    assert export(storage) == [record_line(trail[0]), line]
    assert export(storage, None, minutes(4)) == [record_line(trail[0]), line]


def test_export_has_the_same_lines_whatever_the_size_of_its_pages(storage: Storage) -> None:
    for n in range(7):
        checkpoint(storage, minutes(2 * n))
        audit(storage, *[entry(minutes(2 * n + 1))] * (n % 3))
    whole = export(storage)

    for limit in (1, 2, 3, 5, len(whole)):
        assert export(storage, limit=limit) == whole


def test_export_ends_where_the_trail_ended_when_it_began(storage: Storage, open_store: OpenStore) -> None:
    audit(storage, *(entry(minutes(n)) for n in range(3)))
    checkpoint(storage, minutes(3))
    whole = export(storage)
    lines, after = storage.read(lambda unit: unit.audit_trail.export(None, None, limit=2))

    audit(storage, entry(minutes(4)))
    audit(open_store(stream="another"), entry(minutes(4)))
    checkpoint(storage, minutes(5))
    rest, end = storage.read(lambda unit: unit.audit_trail.export(None, None, after=after, limit=100))

    assert ([*lines, *rest], end) == (whole, None)


@pytest.mark.peers
def test_export_leaves_out_what_another_process_commits_behind_its_start(postgres_url: str) -> None:
    import psycopg

    from strongroom.storage.store import open_storage

    columns = "stream, sequence, time, initiator, action, outcome, body, previous_hash, hash"
    with (
        contextlib.closing(open_storage(postgres_url, stream="main")) as storage,
        psycopg.connect(postgres_url) as slow,
    ):
        audit(storage, entry(), entry())
        # Another process has its numbers already, between those of ours, but commits late.
        for sequence in (1, 2, 3):
            slow.execute(
                f"INSERT INTO audit_records ({columns}) VALUES ('slow', {sequence}, 0, '', '', '', '{{}}', '', '')"  # noqa: S608
            )
        audit(storage, entry())
        lines, after = storage.read(lambda unit: unit.audit_trail.export(None, None, limit=1))
        slow.commit()

        rest, end = storage.read(lambda unit: unit.audit_trail.export(None, None, after=after, limit=100))

        assert [json.loads(line)["sequence"] for line in (*lines, *rest)] == [1, 2, 3]
        assert end is None


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ((), "ix_audit_records_time"),
        (("start", "from", "to"), "ix_audit_records_time"),
        (("start", "initiator"), "ix_audit_records_initiator"),
        (("start", "action"), "ix_audit_records_action"),
        (("start", "target_id"), "ix_audit_records_target_id"),
        (("start", "request_id"), "ix_audit_records_request_id"),
        (("start", "trouble"), "ix_audit_records_outcome"),
    ],
)
def test_page_of_the_trail_walks_an_index_in_its_order(tmp_path: Path, filters: tuple[str, ...], index: str) -> None:
    from strongroom.storage.repositories import audit as statements
    from strongroom.storage.store import open_storage

    open_storage(tmp_path / "plans.db", stream="main").close()
    names = ("start_time", "start_pk", "from", "to", "initiator", "action", "target_id", "request_id", "outcome")
    text = statements._page(filters).sqlite

    with contextlib.closing(sqlite3.connect(tmp_path / "plans.db")) as file:
        plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys((*names, "limit"), 1))]

    assert len(plan) == 1  # no sorting afterwards
    assert plan[0].split("(")[0].strip().endswith(f"USING INDEX {index}")
