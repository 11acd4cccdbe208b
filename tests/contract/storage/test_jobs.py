"""Durable jobs: the queue, leases and fences, on every database."""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strongroom.domain.jobs.model import Job, JobError, JobQuery, JobState
from strongroom.domain.ports import Storage, Unit
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import GroupId, JobId, SecretId, new_uuid
from strongroom.storage.statements import Statement

NOW = datetime(2026, 3, 2, 9, 14, 7, 654321, tzinfo=UTC)
LEASE = timedelta(seconds=60)
KINDS = ("secret.rotate", "secret.expire")


def make_job(
    key: str | None = None,
    *,
    kind: str = "secret.rotate",
    due: timedelta = timedelta(),
    state: JobState = JobState.QUEUED,
    secret: str | None = None,
    group: str | None = None,
    at: datetime = NOW,
) -> Job:
    return Job(
        id=JobId(new_uuid()),
        kind=kind,
        dedupe_key=key or new_uuid(),
        state=state,
        step="start",
        secret_id=SecretId(secret) if secret else None,
        group_id=GroupId(group) if group else None,
        run_at=NOW + due,
        created_at=at,
        updated_at=at,
    )


def enqueue(storage: Storage, *jobs: Job) -> list[bool]:
    def unit_of_work(unit: Unit) -> list[bool]:
        return [unit.jobs.enqueue(job) for job in jobs]

    return storage.write(unit_of_work)


def claim(storage: Storage, owner: str = "worker-1", now: datetime = NOW) -> Job | None:
    return storage.write(lambda unit: unit.jobs.claim(owner, now, now + LEASE, KINDS))


def save(storage: Storage, job: Job, *, fence: int | None = None) -> None:
    storage.write(lambda unit: unit.jobs.save(job, fence=job.fence if fence is None else fence))


def find(storage: Storage, job: Job) -> Job:
    found = storage.read(lambda unit: unit.jobs.find(job.id))
    assert found is not None
    return found


def ids(storage: Storage, **filters: object) -> tuple[list[JobId], int]:
    query = JobQuery(**{"limit": 10, **filters})  # type: ignore[arg-type]
    page = storage.read(lambda unit: unit.jobs.page(query))
    return [job.id for job in page.items], page.total


def test_unknown_job_is_not_found(storage: Storage) -> None:
    assert storage.read(lambda unit: unit.jobs.find(JobId(new_uuid()))) is None


def test_job_comes_back_whole(storage: Storage) -> None:
    job = replace(
        make_job("rotate:1", secret="s1", group="g1"),
        data={"order": "ü", "tries": [1, 2], "nested": {"a": None}},
        attempts=3,
        waiting_for="the CA",
        last_error=JobError(code="upstream_refused", message="it said no", reference_code="SM0001"),
        lease_owner="worker-9",
        lease_until=NOW + LEASE,
        fence=4,
        result={"verified": True},
    )

    assert enqueue(storage, job) == [True]

    assert find(storage, job) == job


def test_job_with_nothing_optional_comes_back_whole(storage: Storage) -> None:
    job = make_job()

    enqueue(storage, job)

    assert find(storage, job) == job


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.WAITING])
def test_second_job_with_the_dedupe_key_of_one_that_has_not_ended_is_not_stored(
    storage: Storage, state: JobState
) -> None:
    first, second = make_job("rotate:1", state=state), make_job("rotate:1")

    assert enqueue(storage, first) == [True]
    assert enqueue(storage, second) == [False]

    assert storage.read(lambda unit: unit.jobs.find(second.id)) is None
    assert ids(storage) == ([first.id], 1)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED])
def test_dedupe_key_is_free_again_once_the_job_has_ended(storage: Storage, state: JobState) -> None:
    first, second = make_job("rotate:1"), make_job("rotate:1")
    enqueue(storage, first)
    save(storage, replace(first, state=state))

    assert enqueue(storage, second) == [True]


def test_ended_job_is_not_revived_beside_a_newer_one_with_its_key(storage: Storage) -> None:
    old, new = make_job("rotate:1"), make_job("rotate:1")
    enqueue(storage, old)
    save(storage, replace(old, state=JobState.FAILED))
    enqueue(storage, new)

    with pytest.raises(Conflict) as refused:
        save(storage, replace(old, state=JobState.QUEUED))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert find(storage, old).state is JobState.FAILED


def test_claim_leases_the_longest_due_job(storage: Storage) -> None:
    late, early = make_job(due=timedelta(minutes=-1)), make_job(due=timedelta(minutes=-5))
    enqueue(storage, late, early)

    claimed = claim(storage)

    assert claimed == replace(
        early, state=JobState.RUNNING, lease_owner="worker-1", lease_until=NOW + LEASE, fence=1, updated_at=NOW
    )
    assert find(storage, early) == claimed
    assert find(storage, late) == late


def test_jobs_due_at_the_same_instant_are_claimed_in_order_of_creation(storage: Storage) -> None:
    jobs = [make_job() for _ in range(3)]
    enqueue(storage, *jobs)

    assert [getattr(claim(storage), "id", None) for _ in range(4)] == [*(job.id for job in jobs), None]


def test_job_is_not_claimed_before_it_is_due(storage: Storage) -> None:
    enqueue(storage, make_job(due=timedelta(microseconds=1)))

    assert claim(storage) is None
    assert claim(storage, now=NOW + timedelta(microseconds=1)) is not None


def test_leased_job_is_left_alone_until_the_lease_runs_out(storage: Storage) -> None:
    enqueue(storage, make_job())
    first = claim(storage)
    assert first is not None

    assert claim(storage, "worker-2", NOW + LEASE - timedelta(microseconds=1)) is None
    second = claim(storage, "worker-2", NOW + LEASE)

    assert second is not None
    assert (second.id, second.lease_owner, second.fence) == (first.id, "worker-2", first.fence + 1)


def test_job_whose_lease_was_handed_back_is_claimed_at_once(storage: Storage) -> None:
    enqueue(storage, make_job())
    first = claim(storage)
    assert first is not None
    save(storage, replace(first, state=JobState.QUEUED, lease_owner=None, lease_until=None))

    second = claim(storage, "worker-2")

    assert second is not None
    assert second.fence == first.fence + 1


def test_waiting_job_is_claimed_when_its_time_has_come(storage: Storage) -> None:
    enqueue(storage, make_job(state=JobState.WAITING, due=timedelta(minutes=5)))

    assert claim(storage) is None
    assert claim(storage, now=NOW + timedelta(minutes=5)) is not None


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED])
def test_ended_job_is_never_claimed(storage: Storage, state: JobState) -> None:
    enqueue(storage, make_job(state=state))

    assert claim(storage) is None


def test_worker_claims_only_the_kinds_it_knows(storage: Storage) -> None:
    enqueue(storage, make_job(kind="audit.verify"))

    assert claim(storage) is None
    assert storage.write(lambda unit: unit.jobs.claim("w", NOW, NOW + LEASE, ["audit.verify"])) is not None
    assert storage.write(lambda unit: unit.jobs.claim("w", NOW, NOW + LEASE, [])) is None


def test_next_due_is_when_the_next_job_is_free(storage: Storage) -> None:
    def next_due() -> datetime | None:
        return storage.read(lambda unit: unit.jobs.next_due(KINDS))

    assert next_due() is None
    enqueue(storage, make_job(kind="audit.verify"), make_job(state=JobState.DONE))
    assert next_due() is None
    enqueue(storage, make_job(due=timedelta(minutes=2)), make_job())
    assert next_due() == NOW
    claim(storage)
    assert next_due() == NOW + LEASE
    assert storage.read(lambda unit: unit.jobs.next_due([])) is None


def test_progress_is_stored(storage: Storage) -> None:
    enqueue(storage, make_job(secret="s1", group="g1"))
    claimed = claim(storage)
    assert claimed is not None
    progressed = replace(
        claimed,
        state=JobState.WAITING,
        step="poll",
        data={"url": "https://ca.example.com/order/1"},
        attempts=2,
        waiting_for="validation",
        last_error=JobError(code="unavailable", message="try later"),
        run_at=NOW + timedelta(minutes=1),
        lease_owner=None,
        lease_until=None,
        result={"half": True},
        updated_at=NOW + timedelta(seconds=1),
    )

    save(storage, progressed)

    assert find(storage, claimed) == progressed


def test_worker_that_lost_its_lease_cannot_save(storage: Storage) -> None:
    enqueue(storage, make_job())
    slow = claim(storage)
    assert slow is not None
    quick = claim(storage, "worker-2", NOW + LEASE)

    with pytest.raises(Conflict) as refused:
        save(storage, replace(slow, state=JobState.DONE))

    assert refused.value.code is ErrorCode.STALE_VERSION
    assert find(storage, slow) == quick


def test_save_may_move_the_fence_so_that_a_running_worker_loses_its_place(storage: Storage) -> None:
    enqueue(storage, make_job())
    running = claim(storage)
    assert running is not None
    cancelled = replace(running, state=JobState.CANCELLED, fence=running.fence + 1)

    save(storage, cancelled, fence=running.fence)

    assert find(storage, running) == cancelled
    with pytest.raises(Conflict):
        save(storage, replace(running, state=JobState.DONE))


def test_save_of_an_unknown_job_is_refused(storage: Storage) -> None:
    with pytest.raises(NotFound) as refused:
        save(storage, make_job())

    assert refused.value.code is ErrorCode.NOT_FOUND


def test_workers_that_claim_at_once_never_share_a_job(storage: Storage) -> None:
    jobs = [make_job() for _ in range(40)]
    enqueue(storage, *jobs)

    def drain(owner: str) -> list[JobId]:
        taken = []
        while (job := claim(storage, owner)) is not None:
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [id for batch in pool.map(drain, ["a", "b", "c", "d"]) for id in batch]

    assert sorted(taken) == sorted(job.id for job in jobs)


def test_jobs_are_listed_newest_first_with_exact_total(storage: Storage) -> None:
    jobs = [make_job() for _ in range(5)]
    enqueue(storage, *jobs)
    newest_first = [job.id for job in reversed(jobs)]

    assert ids(storage) == (newest_first, 5)
    assert ids(storage, limit=2, offset=1) == (newest_first[1:3], 5)
    assert ids(storage, limit=2, offset=9) == ([], 5)


def test_list_of_jobs_is_filtered(storage: Storage) -> None:
    a = make_job(secret="s1", group="g1")
    b = make_job(secret="s2", group="g2", kind="secret.expire")
    c = make_job(kind="audit.verify", state=JobState.DONE)
    enqueue(storage, a, b, c)

    assert ids(storage, kind="secret.expire") == ([b.id], 1)
    assert ids(storage, state=JobState.DONE) == ([c.id], 1)
    assert ids(storage, secret_id=SecretId("s1")) == ([a.id], 1)
    assert ids(storage, include_instance=False) == ([b.id, a.id], 2)
    assert ids(storage, groups=frozenset({GroupId("g1")})) == ([c.id, a.id], 2)
    assert ids(storage, groups=frozenset({GroupId("g1"), GroupId("g2")}), include_instance=False) == ([b.id, a.id], 2)
    assert ids(storage, groups=frozenset(), include_instance=True) == ([c.id], 1)
    assert ids(storage, groups=frozenset(), include_instance=False) == ([], 0)
    assert ids(storage, kind="audit.verify", groups=frozenset({GroupId("g1")}), include_instance=False) == ([], 0)


def test_secret_shows_the_job_that_has_not_ended(storage: Storage) -> None:
    failed = make_job(secret="s1", state=JobState.FAILED)
    waiting = make_job(secret="s1", state=JobState.WAITING)
    later_failure = make_job(secret="s1", state=JobState.FAILED)
    enqueue(storage, failed, waiting, later_failure, make_job(secret="s2"))

    assert storage.read(lambda unit: unit.jobs.last_of_secret(SecretId("s1"))) == waiting


def test_secret_shows_its_last_failed_job_when_none_is_left(storage: Storage) -> None:
    failures = [make_job(secret="s1", state=JobState.FAILED) for _ in range(2)]
    enqueue(storage, *failures, make_job(secret="s1", state=JobState.CANCELLED))

    assert storage.read(lambda unit: unit.jobs.last_of_secret(SecretId("s1"))) == failures[1]


def test_failure_is_forgotten_when_a_later_job_of_its_kind_succeeded(storage: Storage) -> None:
    enqueue(storage, make_job(secret="s1", state=JobState.FAILED), make_job(secret="s1", state=JobState.DONE))

    assert storage.read(lambda unit: unit.jobs.last_of_secret(SecretId("s1"))) is None


def test_secret_without_jobs_shows_none(storage: Storage) -> None:
    enqueue(storage, make_job())

    assert storage.read(lambda unit: unit.jobs.last_of_secret(SecretId("s1"))) is None


def test_only_old_ended_jobs_are_purged_and_no_more_than_asked(storage: Storage) -> None:
    long_ago = NOW - timedelta(days=31)
    ended = [make_job(state=state, at=long_ago) for state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)]
    kept = [make_job(at=long_ago), make_job(state=JobState.DONE)]
    enqueue(storage, *ended, *kept)
    before = NOW - timedelta(days=30)

    first = storage.write(lambda unit: unit.jobs.purge_ended(before, 2))
    second = storage.write(lambda unit: unit.jobs.purge_ended(before, 2))

    assert (first, second) == (2, 1)
    assert ids(storage) == ([kept[1].id, kept[0].id], 2)


def test_looking_for_work_passes_over_ended_jobs(tmp_path: Path) -> None:
    from strongroom.storage.repositories import jobs as statements
    from strongroom.storage.store import open_storage

    open_storage(tmp_path / "plans.db", stream="main").close()
    values = {"now": 1, "owner": "w", "until": 2, "kind_0": "a", "kind_1": "b", "secret_id": "s"}

    with contextlib.closing(sqlite3.connect(tmp_path / "plans.db")) as file:

        def plan(statement: Statement) -> str:
            return "\n".join(row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", values))

        assert "INDEX ix_jobs_due" in plan(statements._claim(2))
        assert "TEMP B-TREE" not in plan(statements._claim(2))
        assert "INDEX ix_jobs_due" in plan(statements._next_due(2))
        assert plan(statements._LAST_OF_SECRET).count("INDEX ix_jobs_secret_id") == 2
