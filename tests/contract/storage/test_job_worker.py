"""Workers of several processes on one database: every step once, whoever does it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.jobs.model import Job, JobQuery, JobState
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Step, new_job
from strongroom.domain.ports import Storage, Unit
from strongroom.kernel.clock import FrozenClock
from strongroom.runtime.lanes import Lane
from strongroom.runtime.worker import Worker
from tests.contract.storage.builders import NOW
from tests.contract.storage.conftest import OpenStorage

KIND = "test"


class Silence:
    """A log that nobody reads."""

    def warning(self, event: str, **fields: Any) -> None:
        """Say nothing."""

    error = warning


class Handler:
    """Runs a function for each step."""

    def __init__(self, do: Callable[[Job], Step], kind: str = KIND) -> None:
        self.run = do
        self.kind = kind


def make_worker(storage: Storage, do: Callable[[Job], Step], owner: str, clock: FrozenClock, **options: Any) -> Worker:
    return Worker(
        storage=storage,
        clock=clock,
        handlers=[Handler(do)],
        owner=owner,
        log=Silence(),
        **{"interval": timedelta(hours=1), **options},
    )


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop(timedelta(seconds=5))


def queue(storage: Storage, count: int) -> None:
    def enqueue(unit: Unit) -> None:
        for number in range(count):
            assert unit.jobs.enqueue(new_job(KIND, dedupe_key=f"job-{number}", now=NOW))

    storage.write(enqueue)


def total(storage: Storage, state: JobState) -> int:
    return storage.read(lambda unit: unit.jobs.page(JobQuery(limit=1, state=state))).total


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_steps_of_a_job_never_run_side_by_side(open_store: OpenStorage) -> None:
    clock = FrozenClock(NOW)
    stores = [open_store(stream="one"), open_store(stream="two")]
    doing: set[str] = set()
    overlaps: list[str] = []
    steps: Counter[tuple[str, str]] = Counter()
    guard = threading.Lock()

    def do(job: Job) -> Step:
        with guard:
            if job.id in doing:
                overlaps.append(job.id)
            doing.add(job.id)
            steps[job.id, job.step] += 1
        time.sleep(0.001)
        with guard:
            doing.discard(job.id)
        return Continue("second") if job.step == "start" else Done()

    queue(stores[0], 40)
    with running(*(make_worker(store, do, f"w{n}", clock, threads=3) for n, store in enumerate(stores))):
        until(lambda: total(stores[0], JobState.DONE) == 40)
    assert overlaps == []
    assert len(steps) == 80
    assert set(steps.values()) == {1}


def test_effects_of_a_worker_that_lost_its_lease_are_not_stored(open_store: OpenStorage) -> None:
    clock = FrozenClock(NOW)
    slow_store, quick_store = open_store(stream="one"), open_store(stream="two")

    def effect(name: str) -> Step:
        def commit(unit: Unit) -> Ended:
            unit.jobs.enqueue(new_job("effect", dedupe_key=name, now=NOW))
            return Done({"by": name})

        return Commit(commit)

    quick = make_worker(quick_store, lambda _: effect("quick"), "quick", clock)

    def overtaken(job: Job) -> Step:
        clock.advance(timedelta(seconds=61))
        assert quick.run_pending() == 1
        return effect("slow")

    queue(slow_store, 1)
    make_worker(slow_store, overtaken, "slow", clock).run_pending(1)
    effects = quick_store.read(lambda unit: unit.jobs.page(JobQuery(limit=9, kind="effect")))
    assert [job.dedupe_key for job in effects.items] == ["quick"]
    (job,) = quick_store.read(lambda unit: unit.jobs.page(JobQuery(limit=9, kind=KIND))).items
    assert (job.state, job.result) == (JobState.DONE, {"by": "quick"})


def test_job_handed_back_at_the_stop_goes_on_elsewhere_at_once(open_store: OpenStorage) -> None:
    clock = FrozenClock(NOW)
    first, second = open_store(stream="one"), open_store(stream="two")
    begun, release = threading.Event(), threading.Event()

    def stuck(job: Job) -> Step:
        begun.set()
        release.wait(10)
        return Done({"by": "first"})

    queue(first, 1)
    worker = make_worker(first, stuck, "first", clock)
    worker.start()
    assert begun.wait(10)
    worker.stop(timedelta(milliseconds=10))
    assert make_worker(second, lambda _: Done({"by": "second"}), "second", clock).run_pending() == 1
    release.set()
    until(lambda: not worker._current_runs())
    (job,) = first.read(lambda unit: unit.jobs.page(JobQuery(limit=9))).items
    assert job.result == {"by": "second"}


def test_steps_that_hang_hold_up_no_other_lane(open_store: OpenStorage) -> None:
    clock, store = FrozenClock(NOW), open_store(stream="one")
    answers, asking = threading.Event(), threading.Semaphore(0)

    def ask(job: Job) -> Step:
        asking.release()
        answers.wait(10)
        return Done()

    def enqueue(unit: Unit) -> None:
        for number in range(30):
            unit.jobs.enqueue(new_job("network", dedupe_key=f"silent-{number}", now=NOW - timedelta(hours=1)))

    lane = Lane(name="network", handlers=[Handler(ask, "network")], threads=10)
    with running(make_worker(store, lambda _: Done(), "one", clock, lanes=[lane])):
        store.write(enqueue)
        for _ in range(10):
            assert asking.acquire(timeout=10)
        queue(store, 20)
        until(lambda: total(store, JobState.DONE) == 20)
        assert total(store, JobState.RUNNING) == 10
        answers.set()
        until(lambda: total(store, JobState.DONE) == 50)


_DIES = """
import os, sys
from datetime import timedelta
from strongroom.kernel.clock import FrozenClock
from strongroom.storage.store import open_storage
from tests.contract.storage.builders import NOW
from tests.contract.storage.test_job_worker import make_worker
def die(job):
    sys.stdout.write("begun")
    sys.stdout.flush()
    os._exit(9)
make_worker(open_storage(sys.argv[1], stream="dies"), die, "dies", FrozenClock(NOW)).run_pending()
"""


def test_job_of_a_killed_process_is_done_by_the_next_when_the_lease_is_over(
    open_store: OpenStorage, database_url: str, pytestconfig: pytest.Config
) -> None:
    storage = open_store()
    queue(storage, 1)
    storage.close()
    done = subprocess.run(
        [sys.executable, "-c", _DIES, database_url], capture_output=True, check=False, cwd=pytestconfig.rootpath
    )
    assert (done.returncode, done.stdout) == (9, b"begun"), done.stderr
    storage, clock = open_store(stream="next"), FrozenClock(NOW)
    worker = make_worker(storage, lambda _: Done(), "next", clock)
    assert worker.run_pending() == 0
    clock.advance(timedelta(seconds=60))
    assert worker.run_pending() == 1
    assert total(storage, JobState.DONE) == 1
