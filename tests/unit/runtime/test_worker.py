"""The worker: every step once, errors kept, leases held and handed back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from strongroom.domain.jobs.model import Job, JobState
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Failed, Step, Waiting, new_job
from strongroom.domain.ports import Unit
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Conflict, ErrorCode, Internal, Invalid, Unavailable
from strongroom.runtime import lanes
from strongroom.runtime import worker as worker_module
from strongroom.runtime.worker import Worker
from tests.unit.memory_store import MemoryStorage

SOON = timedelta(milliseconds=20)


@dataclass
class Recorder:
    """A log that remembers."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    error = warning

    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


@dataclass
class Handler:
    """Runs a function for each step of its jobs, and counts them."""

    do: Callable[[Job], Step]
    kind: str = "test"
    ran: list[Job] = field(default_factory=list)

    def run(self, job: Job) -> Step:
        self.ran.append(job)
        return self.do(job)


class Bench:
    """A store, a clock and workers on them."""

    def __init__(self, clock: FrozenClock) -> None:
        self.storage = MemoryStorage()
        self.clock = clock
        self.log = Recorder()
        self.workers: list[Worker] = []
        self.steps: list[tuple[str, str]] = []

    def worker(self, *handlers: Handler, owner: str = "w1", **options: Any) -> Worker:
        worker = Worker(
            storage=self.storage.as_port(),
            clock=self.clock,
            handlers=handlers,
            owner=owner,
            log=self.log,
            observe=lambda kind, outcome, _: self.steps.append((kind, outcome)),
            **{"interval": timedelta(hours=1), **options},
        )
        self.workers.append(worker)
        return worker

    def queue(self, name: str = "one", *, kind: str = "test", run_at: datetime | None = None) -> Job:
        job = new_job(kind, dedupe_key=name, now=self.clock.now(), run_at=run_at)
        assert self.storage.jobs.enqueue(job)
        return job

    def now(self, job: Job) -> Job:
        return self.storage.jobs.rows[job.id]

    def until(self, condition: Callable[[], bool], what: str = "it happens") -> None:
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.005)


@pytest.fixture
def bench(clock: FrozenClock) -> Any:
    bench = Bench(clock)
    yield bench
    for worker in bench.workers:
        worker.stop(SOON)


def test_job_runs_step_by_step_to_its_end(bench: Bench) -> None:
    def do(job: Job) -> Step:
        return Continue("second", {"n": 1}) if job.step == "start" else Done({"n": job.data["n"] + 1})

    handler = Handler(do)
    job = bench.queue()
    assert bench.worker(handler).run_pending() == 2
    assert [ran.step for ran in handler.ran] == ["start", "second"]
    assert (bench.now(job).state, bench.now(job).result) == (JobState.DONE, {"n": 2})
    assert bench.steps == [("test", "continue"), ("test", "done")]


def test_running_job_shows_its_worker_and_lease(bench: Bench) -> None:
    handler = Handler(lambda _: Done())
    bench.queue()
    bench.worker(handler, owner="node-7").run_pending()
    ran = handler.ran[0]
    assert (ran.state, ran.lease_owner, ran.fence) == (JobState.RUNNING, "node-7", 1)
    assert ran.lease_until == bench.clock.now() + timedelta(seconds=60)


def test_oldest_due_job_runs_first_and_future_ones_wait(bench: Bench) -> None:
    handler = Handler(lambda _: Done())
    now = bench.clock.now()
    for name, minutes in (("young", -1), ("old", -9), ("future", 5)):
        bench.queue(name, run_at=now + timedelta(minutes=minutes))
    worker = bench.worker(handler)
    worker.run_pending()
    assert [job.dedupe_key for job in handler.ran] == ["old", "young"]
    bench.clock.advance(timedelta(minutes=5))
    worker.run_pending()
    assert handler.ran[-1].dedupe_key == "future"


def test_waiting_job_comes_again_at_its_time(bench: Bench) -> None:
    handler = Handler(lambda _: Waiting("rain", bench.clock.now() + timedelta(minutes=2)))
    job = bench.queue()
    worker = bench.worker(handler)
    assert worker.run_pending() == 1
    assert (bench.now(job).state, bench.now(job).waiting_for) == (JobState.WAITING, "rain")
    bench.clock.advance(timedelta(minutes=2))
    assert worker.run_pending() == 1


def test_jobs_of_other_kinds_are_left_alone(bench: Bench) -> None:
    job = bench.queue(kind="something.else")
    assert bench.worker(Handler(lambda _: Done())).run_pending() == 0
    assert bench.now(job).state is JobState.QUEUED


def broken(error: Exception) -> Callable[[Job], Step]:
    def do(job: Job) -> Step:
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (Unavailable(ErrorCode.UNAVAILABLE, "It is down."), "unavailable", "It is down."),
        (Invalid(ErrorCode.STATE_FORBIDS, "It is locked."), "state_forbids", "It is locked."),
        (ValueError("planted-secret"), "internal_error", "log"),
        (Internal(ErrorCode.INTERNAL, "planted-secret"), "internal_error", "log"),
    ],
)
def test_error_is_kept_on_the_job_and_the_step_tried_again(
    bench: Bench, error: Exception, code: str, shown: str
) -> None:
    handler = Handler(broken(error))
    job = bench.queue()
    worker = bench.worker(handler)
    assert worker.run_pending() == 1
    kept = bench.now(job)
    assert (kept.state, kept.attempts, kept.step) == (JobState.WAITING, 1, "start")
    assert kept.last_error is not None
    assert kept.last_error.code == code
    assert shown in kept.last_error.message
    assert "planted" not in kept.last_error.message
    assert bench.clock.now() < kept.run_at <= bench.clock.now() + timedelta(seconds=6)
    assert bench.log.events() == ["job step broke off"]
    assert bench.steps == [("test", "error")]
    bench.clock.advance(timedelta(seconds=6))
    handler.do = lambda _: Done()
    worker.run_pending()
    assert (bench.now(job).state, bench.now(job).last_error) == (JobState.DONE, None)


def test_failed_job_is_logged_and_not_tried_again(bench: Bench) -> None:
    job = bench.queue()
    worker = bench.worker(Handler(lambda _: Failed("no_zone", "There is no such zone.")))
    assert worker.run_pending() == 1
    bench.clock.advance(timedelta(days=9))
    assert worker.run_pending() == 0
    assert bench.now(job).state is JobState.FAILED
    assert bench.log.events() == ["job failed"]


def test_effects_of_a_step_and_its_progress_are_one_commit(bench: Bench) -> None:
    other = new_job("other", dedupe_key="made by the step", now=bench.clock.now())

    def commit(unit: Unit) -> Ended:
        unit.jobs.enqueue(other)
        return Done({"ok": True})

    job = bench.queue()
    writes = bench.storage.writes
    bench.worker(Handler(lambda _: Commit(commit))).run_pending()
    assert bench.now(other) == other
    assert bench.now(job).state is JobState.DONE
    assert bench.storage.writes == writes + 3, "claim, commit, and the claim that finds nothing"


def test_commit_that_breaks_off_leaves_nothing_but_the_error(bench: Bench) -> None:
    def commit(unit: Unit) -> Ended:
        unit.jobs.enqueue(new_job("other", dedupe_key="x", now=bench.clock.now()))
        raise Conflict(ErrorCode.STALE_VERSION, "The secret was changed.")

    job = bench.queue()
    bench.worker(Handler(lambda _: Commit(commit))).run_pending()
    assert list(bench.storage.jobs.rows) == [job.id]
    assert bench.now(job).last_error is not None


def test_worker_that_lost_its_job_stores_nothing(bench: Bench) -> None:
    made = []

    def commit(unit: Unit) -> Ended:
        made.append(1)
        unit.jobs.enqueue(new_job("other", dedupe_key="effect", now=bench.clock.now()))
        return Done()

    def slow(job: Job) -> Step:
        bench.clock.advance(timedelta(seconds=61))
        assert rival.run_pending() == 1
        return Commit(commit)

    rival = bench.worker(Handler(lambda _: Done({"by": "rival"})), owner="w2")
    job = bench.queue()
    bench.worker(Handler(slow)).run_pending(1)
    assert bench.now(job).result == {"by": "rival"}
    assert list(bench.storage.jobs.rows) == [job.id], "the effect was rolled back"
    assert ("test", "lost") in bench.steps
    assert "job was taken over" in bench.log.events()


def test_error_of_a_worker_that_lost_its_job_changes_nothing(bench: Bench) -> None:
    def slow(job: Job) -> Step:
        bench.clock.advance(timedelta(seconds=61))
        rival.run_pending()
        message = "too late"
        raise ValueError(message)

    rival = bench.worker(Handler(lambda _: Done()), owner="w2")
    job = bench.queue()
    bench.worker(Handler(slow)).run_pending(1)
    assert (bench.now(job).state, bench.now(job).last_error) == (JobState.DONE, None)


def test_lease_is_held_while_a_step_runs(bench: Bench) -> None:
    release = threading.Event()
    handler = Handler(lambda _: Done() if release.wait(5) else Failed("x", "x"))
    job = bench.queue()
    worker = bench.worker(handler)
    thread = threading.Thread(target=worker.run_pending)
    thread.start()
    bench.until(lambda: bool(handler.ran))
    bench.clock.advance(timedelta(seconds=50))
    for run in worker._current_runs():
        worker._renew(run)
    bench.clock.advance(timedelta(seconds=50))
    assert bench.worker(Handler(lambda _: Done()), owner="w2").run_pending() == 0
    release.set()
    thread.join()
    assert bench.now(job).state is JobState.DONE


def test_renewal_behind_the_end_of_a_step_does_not_undo_it(bench: Bench) -> None:
    runs: list[Any] = []

    def do(job: Job) -> Step:
        runs.extend(worker._current_runs())
        return Done()

    worker = bench.worker(Handler(do))
    job = bench.queue()
    worker.run_pending()
    worker._renew(runs[0])
    assert bench.now(job).state is JobState.DONE


def test_renewal_of_a_cancelled_job_tells_its_step(bench: Bench) -> None:
    def do(job: Job) -> Step:
        bench.storage.jobs.rows[job.id] = replace(job, state=JobState.CANCELLED, fence=job.fence + 1)
        run = worker._current_runs()[0]
        worker._renew(run)
        assert run.lost
        return Done()

    worker = bench.worker(Handler(do))
    job = bench.queue()
    worker.run_pending()
    assert bench.now(job).state is JobState.CANCELLED


def test_queued_job_runs_at_once_when_woken(bench: Bench) -> None:
    handler = Handler(lambda _: Done())
    worker = bench.worker(handler)
    worker.start()
    time.sleep(0.05)
    started = time.monotonic()
    job = bench.queue()
    worker.wake()
    bench.until(lambda: bench.now(job).state is JobState.DONE)
    assert time.monotonic() - started < 0.8


def test_idle_workers_write_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(milliseconds=5))
    bench.worker(Handler(lambda _: Done())).start()
    bench.until(lambda: bench.storage.identities.calls > 0)
    before = bench.storage.writes
    time.sleep(0.1)
    assert bench.storage.writes == before


def test_job_of_another_process_is_noticed_without_a_signal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(milliseconds=5))
    bench.worker(Handler(lambda _: Done())).start()
    job = bench.queue()
    bench.until(lambda: bench.now(job).state is JobState.DONE)


def test_slow_jobs_do_not_hold_up_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(milliseconds=5))
    monkeypatch.setattr(lanes, "SLOW", timedelta(milliseconds=20))
    release = threading.Event()

    def do(job: Job) -> Step:
        if job.dedupe_key.startswith("slow"):
            release.wait(5)
        return Done()

    past = bench.clock.now() - timedelta(hours=1)
    slow = [bench.queue(f"slow{n}", run_at=past) for n in range(4)]
    quick = [bench.queue(f"quick{n}") for n in range(3)]
    bench.worker(Handler(do)).start()
    bench.until(lambda: all(bench.now(job).state is JobState.DONE for job in quick))
    release.set()
    bench.until(lambda: all(bench.now(job).state is JobState.DONE for job in slow))


def test_stop_waits_for_the_step_in_hand(bench: Bench) -> None:
    release = threading.Event()
    handler = Handler(lambda _: Done() if release.wait(5) else Failed("x", "x"))
    job = bench.queue()
    worker = bench.worker(handler)
    worker.start()
    bench.until(lambda: bool(handler.ran))
    threading.Timer(0.05, release.set).start()
    worker.stop(timedelta(seconds=5))
    assert bench.now(job).state is JobState.DONE


def test_stop_hands_back_what_is_not_finished_in_time(bench: Bench) -> None:
    release = threading.Event()
    handler = Handler(lambda _: Done() if release.wait(5) else Failed("x", "x"))
    job = bench.queue()
    worker = bench.worker(handler)
    worker.start()
    bench.until(lambda: bool(handler.ran))
    worker.stop(SOON)
    back = bench.now(job)
    assert (back.state, back.lease_owner, back.lease_until, back.run_at) == (JobState.QUEUED, None, None, job.run_at)
    second = Handler(lambda _: Done({"by": "next process"}))
    assert bench.worker(second, owner="w2").run_pending() == 1
    release.set()
    bench.until(lambda: not worker._current_runs())
    assert bench.now(job).result == {"by": "next process"}


def test_stopped_worker_takes_no_new_job(bench: Bench) -> None:
    job = bench.queue()
    worker = bench.worker(Handler(lambda _: Done()))
    worker.stop(SOON)
    worker.start()
    worker.stop()
    assert bench.now(job).state is JobState.QUEUED


def test_job_claimed_during_the_stop_is_handed_back(bench: Bench) -> None:
    handler = Handler(lambda _: Done())
    job = bench.queue()
    worker = bench.worker(handler)
    worker.stop(SOON)
    worker.run_pending(1)
    assert (handler.ran, bench.now(job).state, bench.now(job).lease_owner) == ([], JobState.QUEUED, None)


@dataclass
class Source:
    """Due work that queues one job for each look."""

    error: Exception | None = None
    looks: int = 0

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        self.looks += 1
        if self.error:
            raise self.error
        return int(unit.jobs.enqueue(new_job("test", dedupe_key="due", now=now)))


def test_scheduler_queues_due_work_and_it_runs(bench: Bench) -> None:
    handler = Handler(lambda _: Done())
    bench.worker(handler, sources=[Source()], interval=SOON).start()
    bench.until(lambda: len(handler.ran) > 2)


@pytest.mark.parametrize("error", [ValueError("bug"), Unavailable(ErrorCode.UNAVAILABLE, "The store is down.")])
def test_source_that_breaks_does_not_stop_the_others(bench: Bench, error: Exception) -> None:
    good = Source()
    worker = bench.worker(Handler(lambda _: Done()), sources=[Source(error), good])
    assert worker.look_for_work() == 1
    assert worker.look_for_work() == 0, "the job is still open"
    assert good.looks == 2
    assert bench.log.events() == ["looking for due work failed"] * 2


@dataclass
class Task:
    """Something periodic."""

    every: timedelta = SOON
    runs: int = 0
    error: Exception | None = None

    def run(self) -> None:
        self.runs += 1
        if self.error:
            raise self.error


def test_periodic_tasks_run_now_and_then_whatever_breaks(bench: Bench) -> None:
    good, bad = Task(), Task(error=ValueError("bug"))
    bench.worker(Handler(lambda _: Done()), periodic=[bad, good]).start()
    bench.until(lambda: good.runs > 2 and bad.runs > 2)
    assert "periodic task failed" in bench.log.events()


def test_periodic_tasks_run_once_more_at_the_stop(bench: Bench) -> None:
    task = Task(every=timedelta(hours=1))
    worker = bench.worker(Handler(lambda _: Done()), periodic=[task])
    worker.stop(SOON)
    assert task.runs == 1


def test_store_that_is_down_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(milliseconds=5))
    job = bench.queue()
    claim = bench.storage.jobs.claim
    failures = iter([Unavailable(ErrorCode.UNAVAILABLE, "The store is down."), ValueError("bug")])

    def flaky(*args: Any) -> Job | None:
        for failure in failures:
            raise failure
        return claim(*args)

    monkeypatch.setattr(bench.storage.jobs, "claim", flaky)
    bench.worker(Handler(lambda _: Done()), threads=1).start()
    bench.until(lambda: bench.now(job).state is JobState.DONE)
    assert bench.log.events() == ["claiming a job failed"] * 2


def test_outcome_that_cannot_be_stored_leaves_the_job_to_its_lease(bench: Bench) -> None:
    def broken_store(job: Job, *, fence: int) -> None:
        raise Unavailable(ErrorCode.UNAVAILABLE, "The store is down.")

    job = bench.queue()
    worker = bench.worker(Handler(lambda _: Done()))
    save = bench.storage.jobs.save
    bench.storage.jobs.save = broken_store  # type: ignore[method-assign]
    worker.run_pending(1)
    bench.storage.jobs.save = save  # type: ignore[method-assign]
    assert bench.now(job).state is JobState.RUNNING
    assert "storing a job failed" in bench.log.events()
    bench.clock.advance(timedelta(seconds=60))
    assert worker.run_pending() == 1
    assert bench.now(job).state is JobState.DONE


def test_ended_jobs_are_purged_after_a_month(bench: Bench) -> None:
    old, young = bench.queue("old"), bench.queue("young")
    past = bench.clock.now() - timedelta(days=31)
    bench.storage.jobs.rows[old.id] = replace(old, state=JobState.DONE, updated_at=past)
    bench.storage.jobs.rows[young.id] = replace(young, state=JobState.DONE)
    bench.worker(Handler(lambda _: Done())).start()
    bench.until(lambda: list(bench.storage.jobs.rows) == [young.id])
    bench.until(lambda: bench.storage.events.calls == 1)
    bench.until(lambda: bench.storage.orders.calls == 2)
    bench.until(lambda: bench.storage.identities.calls == 1)
