"""Lanes of the worker: threads that come with the work, and peers that are silent and hold up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from strongroom.domain.jobs.model import Job, JobState
from strongroom.domain.jobs.steps import Continue, Done, Step
from strongroom.kernel.clock import FrozenClock
from strongroom.runtime import lanes
from strongroom.runtime import worker as worker_module
from strongroom.runtime.lanes import Lane
from tests.unit.runtime.test_worker import SOON, Bench, Handler


@pytest.fixture
def bench(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(milliseconds=5))
    bench = Bench(clock)
    yield bench
    for worker in bench.workers:
        worker.stop(SOON)


class Peer:
    """Another server: the steps that ask it wait until it answers."""

    def __init__(self, is_silent: Callable[[Job], bool] = lambda _: True) -> None:
        self._is_silent = is_silent
        self._lock = threading.Lock()
        self.answers = threading.Event()
        self.asking = 0
        self.most = 0
        self.handler = Handler(self._ask, kind="network")

    def lane(self, threads: int) -> Lane:
        return Lane(name="network", handlers=[self.handler], threads=threads)

    def _ask(self, job: Job) -> Step:
        with self._lock:
            self.asking += 1
            self.most = max(self.most, self.asking)
        if self._is_silent(job):
            self.answers.wait(5)
        with self._lock:
            self.asking -= 1
        return Done()


def local(do: Callable[[Job], Step] = lambda _: Done()) -> Handler:
    return Handler(do, kind="local")


def is_done(bench: Bench, *jobs: Job) -> bool:
    return all(bench.now(job).state is JobState.DONE for job in jobs)


def network_threads() -> int:
    return sum(thread.name.startswith("strongroom-network") for thread in threading.enumerate())


def test_lane_does_as_many_steps_at_once_as_it_has_threads(bench: Bench) -> None:
    peer = Peer()
    jobs = [bench.queue(f"job{number}", kind="network") for number in range(7)]
    bench.worker(local(), lanes=[peer.lane(3)]).start()
    bench.until(lambda: peer.asking == 3)
    peer.answers.set()
    bench.until(lambda: is_done(bench, *jobs))
    assert peer.most == 3


def test_silent_peer_holds_up_no_other_lane(bench: Bench) -> None:
    peer = Peer()
    for number in range(40):
        bench.queue(f"silent{number}", kind="network", run_at=bench.clock.now() - timedelta(hours=1))
    bench.worker(local(), lanes=[peer.lane(10)]).start()
    bench.until(lambda: peer.asking == 10)
    jobs = [bench.queue(f"job{number}", kind="local") for number in range(20)]
    bench.until(lambda: is_done(bench, *jobs))
    assert peer.asking == 10
    peer.answers.set()


def test_steps_that_take_long_leave_their_place_in_the_lane_to_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "SLOW", timedelta(milliseconds=20))
    peer = Peer(lambda job: job.dedupe_key.startswith("silent"))
    silent = [bench.queue(f"silent{number}", kind="network") for number in range(4)]
    worker = bench.worker(local(), lanes=[peer.lane(2)])
    worker.start()
    bench.until(lambda: peer.asking == 4)
    jobs = [bench.queue(f"job{number}", kind="network") for number in range(5)]
    bench.until(lambda: is_done(bench, *jobs))
    peer.answers.set()
    bench.until(lambda: is_done(bench, *silent))


def test_there_is_an_end_to_stand_ins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "SLOW", timedelta(milliseconds=1))
    monkeypatch.setattr(lanes, "STAND_INS", 2)
    peer = Peer()
    jobs = [bench.queue(f"job{number}", kind="network") for number in range(9)]
    bench.worker(local(), lanes=[peer.lane(1)]).start()
    bench.until(lambda: peer.asking == 3)
    peer.answers.set()
    bench.until(lambda: is_done(bench, *jobs))
    assert peer.most == 3


def test_stand_ins_leave_when_steps_are_quick_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "SLOW", timedelta(milliseconds=20))
    peer = Peer(lambda job: job.dedupe_key.startswith("silent"))
    for number in range(3):
        bench.queue(f"silent{number}", kind="network")
    worker = bench.worker(local(), lanes=[peer.lane(1)])
    worker.start()
    bench.until(lambda: peer.asking == 3)
    # From now on there is work all the time.
    enough = threading.Event()
    peer.handler.do = lambda _: Done() if enough.is_set() else Continue("start")
    bench.queue("without end", kind="network")
    peer.answers.set()
    bench.until(lambda: network_threads() == 1)
    enough.set()


def test_lane_has_threads_only_while_there_is_work(bench: Bench) -> None:
    peer = Peer()
    worker = bench.worker(local(), lanes=[peer.lane(10)])
    worker.start()
    bench.until(lambda: bench.storage.identities.calls > 0)
    assert network_threads() == 0
    job = bench.queue(kind="network")
    worker.wake()
    bench.until(lambda: peer.asking == 1)
    peer.answers.set()
    bench.until(lambda: is_done(bench, job) and network_threads() == 0)


def test_job_of_a_lane_starts_at_once_when_woken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(hours=1))
    peer = Peer(lambda _: False)
    worker = bench.worker(local(), lanes=[peer.lane(2)])
    worker.start()
    bench.until(lambda: bench.storage.identities.calls > 0)
    for number in range(50):
        job = bench.queue(f"job{number}", kind="network")
        worker.wake()
        bench.until(partial(is_done, bench, job))


def test_later_step_of_a_lane_starts_on_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_LOOK_EVERY", timedelta(hours=1))
    peer = Peer(lambda _: False)
    job = bench.queue(kind="network", run_at=bench.clock.now() + timedelta(milliseconds=50))
    bench.worker(local(), lanes=[peer.lane(2)]).start()
    bench.clock.advance(timedelta(milliseconds=50))
    bench.until(lambda: is_done(bench, job))


def test_pending_work_of_every_lane_is_done_in_the_calling_thread(bench: Bench) -> None:
    peer = Peer(lambda _: False)
    jobs = [bench.queue("one", kind="network"), bench.queue("two", kind="local")]
    assert bench.worker(local(), lanes=[peer.lane(2)]).run_pending() == 2
    assert is_done(bench, *jobs)
    assert network_threads() == 0


def test_stop_hands_back_what_a_lane_has_in_hand(bench: Bench) -> None:
    peer = Peer()
    job = bench.queue(kind="network")
    worker = bench.worker(local(), lanes=[peer.lane(2)])
    worker.start()
    bench.until(lambda: peer.asking == 1)
    worker.stop(SOON)
    assert (bench.now(job).state, bench.now(job).lease_owner) == (JobState.QUEUED, None)
    peer.answers.set()
