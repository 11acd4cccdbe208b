"""Runs durable jobs: a scheduler that looks for due work, and workers that take it step by step.

Any number of processes may do this on one store. What keeps a job to one of them is its lease; what
keeps a worker that lost its lease from storing anything is the fence. Both are moved by the claim.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Protocol

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import (
    Commit,
    DueWork,
    Ended,
    Failed,
    JobHandler,
    Step,
    after_error,
    after_step,
    handed_back,
)
from strongroom.domain.ports import Storage, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, Internal, NotFound, StrongroomError
from strongroom.runtime.lanes import Crew, Lane, Run
from strongroom.runtime.purge import Purge

LEASE: Final = timedelta(seconds=60)
_LOOK_EVERY: Final = timedelta(seconds=1)
"""How late a worker notices a job that another process queued, if the database does not tell of it."""


class Log(Protocol):
    """Where operators read what went wrong."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Tell of something that will be tried again, or that was refused."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Tell of something that should not happen."""
        ...


class Periodic(Protocol):
    """Something short to do now and then, that needs no record of being done."""

    @property
    def every(self) -> timedelta:
        """Return the time between two runs."""
        ...

    def run(self) -> None:
        """Do it; also done once when the worker stops."""
        ...


@dataclass(slots=True)
class _Timer:
    task: Periodic
    due: float = field(default=0.0)


class Worker:
    """The background half of a server process.

    Args:
        storage: the store that the jobs are in.
        clock: decides what is due; the waits themselves are of real time.
        handlers: one for each kind of job that waits for nothing outside.
        lanes: the other kinds; what is named nowhere is left to other processes.
        sources: asked for due work at every interval.
        periodic: short tasks of this process.
        owner: name of this process, for the lease.
        log: told about everything that goes wrong.
        interval: how often due work is looked for.
        events_kept: how long events stay in the outbox.
        observe: hears of every step: kind of job, how it ended, seconds.
        threads: for ``handlers``; more are added while steps are slow.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        handlers: Sequence[JobHandler],
        lanes: Sequence[Lane] = (),
        sources: Sequence[DueWork] = (),
        periodic: Sequence[Periodic] = (),
        owner: str,
        log: Log,
        interval: timedelta = timedelta(seconds=60),
        events_kept: timedelta = timedelta(days=30),
        observe: Callable[[str, str, float], None] | None = None,
        threads: int = 2,
    ) -> None:
        self._storage = storage
        self._clock = clock
        every = [Lane(name="worker", handlers=handlers, threads=threads), *lanes]
        self._handlers = {handler.kind: handler for lane in every for handler in lane.handlers}
        self._kinds = tuple(self._handlers)
        self._crews = [
            Crew(lane.name, tuple(handler.kind for handler in lane.handlers), lane.threads) for lane in every
        ]
        self._crew_of = {kind: crew for crew in self._crews for kind in crew.kinds}
        self._sources = tuple(sources)
        self._periodic = tuple(periodic)
        self._timers = [_Timer(task) for task in (*periodic, Purge(storage, clock, events_kept))]
        self._owner = owner
        self._log = log
        self._interval = interval
        self._observe = observe or _unobserved
        self._changed = threading.Condition()
        self._signals = 0
        self._stopping = False
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        """Start the scheduler, the keeper of leases and threads, and the workers that are always there."""
        self._spawn(self._schedule, "scheduler")
        self._spawn(self._keep, "keeper")
        for _ in range(self._crews[0].size):
            self._enlarge(self._crews[0], is_lasting=True)

    def wake(self) -> None:
        """Look for due jobs now; called after a commit that queued one."""
        with self._changed:
            self._signals += 1
            self._changed.notify_all()

    def stop(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Take no more work, finish the steps in hand, and hand back what is not finished in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout.total_seconds()
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        for run in self._current_runs():
            self._log.warning("job handed back", job=run.job.id, kind=run.job.kind, step=run.job.step)
            self._store(run, handed_back(run.job, self._clock.now()))
        for task in self._periodic:
            self._guarded("periodic task failed", task.run, task=type(task).__name__)

    def run_pending(self, limit: int = 1000) -> int:
        """Do every step that is due, in the calling thread, and return how many were done.

        For commands and tests that want the work done now.
        """
        for done in range(limit):
            job = self._claim(self._kinds)
            if job is None:
                return done
            self._run(job)
        return limit

    def look_for_work(self) -> int:
        """Queue what has become due and return how many jobs are new."""
        now = self._clock.now()
        queued = 0
        for source in self._sources:

            def enqueue(unit: Unit, source: DueWork = source) -> int:
                return source.enqueue_due(unit, now)

            with self._reported("looking for due work failed", source=type(source).__name__):
                queued += self._storage.write(enqueue)
        return queued

    # The scheduler.

    def _schedule(self) -> None:
        look_at = 0.0
        while not self._stopping:
            now = time.monotonic()
            if now >= look_at:
                look_at = now + self._interval.total_seconds()
                if self.look_for_work():
                    self.wake()
            for timer in self._timers:
                if now >= timer.due:
                    timer.due = now + timer.task.every.total_seconds()
                    self._guarded("periodic task failed", timer.task.run, task=type(timer.task).__name__)
            following = min([look_at, *(timer.due for timer in self._timers)])
            self._rest(following - time.monotonic())

    def _keep(self) -> None:
        """Keep the leases of what runs here, and enough threads in every lane."""
        renew_every = LEASE.total_seconds() / 3
        renew_at = time.monotonic() + renew_every
        while not self._stopping:
            with self._changed:
                seen = self._signals
            now = time.monotonic()
            if now >= renew_at:
                renew_at = now + renew_every
                for run in self._current_runs():
                    self._renew(run)
            due_in = None
            with self._reported("adding a worker failed"):
                due_in = self._staff()
            self._rest(_pause(due_in), seen)

    def _renew(self, run: Run) -> None:
        """Move the end of a lease; a worker that has lost its job finds that out when it saves."""
        held = replace(run.job, lease_until=self._clock.now() + LEASE)

        def renew(unit: Unit) -> None:
            if run.stored_by is None:
                unit.jobs.save(held, fence=held.fence)

        with self._reported("lease not renewed", job=held.id, kind=held.kind):
            try:
                self._storage.write(renew)
            except (Conflict, NotFound):
                run.lost = True
                raise

    def _staff(self) -> float | None:
        """Add a thread to each lane that has work and nobody free; return the seconds until one has work, if known."""
        with self._changed:
            short = [crew for crew in self._crews if len(crew.runs) >= crew.threads < crew.wanted()]
        due_in = self._due_in([kind for crew in short for kind in crew.kinds])
        if due_in != 0:
            return due_in
        for crew in short:
            if self._due_in(crew.kinds) == 0:
                self._enlarge(crew)
        return None

    def _enlarge(self, crew: Crew, *, is_lasting: bool = False) -> None:
        with self._changed:
            crew.threads += 1
            number = crew.threads
        self._spawn(lambda: self._work(crew, is_lasting=is_lasting), f"{crew.name}-{number}")

    def _is_spare(self, crew: Crew, seen: int | None = None) -> bool:
        """Tell a thread without work whether it may end; it does not belong to the lane any more then.

        Args:
            crew: of the thread.
            seen: signals before it found nothing to do; ``None`` if it did not look.
        """
        with self._changed:
            may_end = crew.threads > crew.wanted() if seen is None else self._signals == seen
            crew.threads -= may_end
            return may_end

    def _current_runs(self) -> list[Run]:
        with self._changed:
            return [run for crew in self._crews for run in crew.runs]

    # The workers.

    def _work(self, crew: Crew, *, is_lasting: bool) -> None:
        # After a job the next one is claimed at once; to ask first when it is due pays for idle times only.
        eager = False
        while not self._stopping:
            with self._changed:
                seen = self._signals
            due_in: float | None = None
            with self._reported("claiming a job failed"):
                due_in = 0.0 if eager else self._due_in(crew.kinds)
                if due_in == 0 and (job := self._claim(crew.kinds)) is not None:
                    if crew.threads < crew.size:
                        # There may be more: the next thread looks, and brings another one if so.
                        self._enlarge(crew)
                    self._run(job)
                    if not is_lasting and self._is_spare(crew):
                        return
                    eager = True
                    continue
            if eager:
                eager = False
            elif is_lasting:
                self._rest(_pause(due_in), seen)
            elif self._is_spare(crew, seen):
                return

    def _due_in(self, kinds: Sequence[str]) -> float | None:
        """Return the seconds until the next job can be claimed, 0 if one can be now, ``None`` without any."""
        at = self._storage.read(lambda unit: unit.jobs.next_due(kinds))
        return None if at is None else max(0.0, (at - self._clock.now()).total_seconds())

    def _claim(self, kinds: Sequence[str]) -> Job | None:
        def claim(unit: Unit) -> Job | None:
            now = self._clock.now()
            return unit.jobs.claim(self._owner, now, now + LEASE, kinds)

        return self._storage.write(claim)

    def _run(self, job: Job) -> None:
        """Do one step of a job and store what came of it."""
        run, crew = Run(job, time.monotonic()), self._crew_of[job.kind]
        with self._changed:
            crew.runs.add(run)
        try:
            if self._stopping:
                self._store(run, handed_back(job, self._clock.now()))
            else:
                self._observe(job.kind, self._step(run), time.monotonic() - run.since)
        finally:
            with self._changed:
                crew.runs.discard(run)

    def _step(self, run: Run) -> str:
        """Do the step and return how it ended, in one word."""
        job = run.job
        try:
            step = self._handlers[job.kind].run(job)
            outcome = self._storage.write(_StoreStep(self._clock, run, step))
        except _LostFence:
            self._log.warning("job was taken over", job=job.id, kind=job.kind, step=job.step)
            return "lost"
        except Exception as error:  # noqa: BLE001  (a step may break in any way; the job keeps the reason)
            known = isinstance(error, StrongroomError) and not isinstance(error, Internal)
            details = {"reason": str(error)} if known else {"exc_info": error}
            self._log.warning("job step broke off", job=job.id, kind=job.kind, step=job.step, **details)
            self._store(run, after_error(job, error, self._clock.now()))
            return "error"
        if isinstance(outcome, Failed):
            self._log.warning("job failed", job=job.id, kind=job.kind, code=outcome.code, reason=outcome.message)
        return type(outcome).__name__.lower()

    def _store(self, run: Run, job: Job) -> None:
        """Store a job that has no outcome of a step; when that fails, its lease runs out by itself."""

        def store(unit: Unit) -> None:
            if run.stored_by in {None, store}:
                unit.jobs.save(job, fence=run.job.fence)
                run.stored_by = store

        with self._reported("storing a job failed", job=job.id, kind=job.kind):
            self._storage.write(store)

    # Threads and time.

    def _spawn(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=self._thread, args=(target,), name=f"strongroom-{name}", daemon=True)
        with self._changed:
            self._threads.add(thread)
        thread.start()

    def _thread(self, target: Callable[[], None]) -> None:
        try:
            target()
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())

    def _rest(self, seconds: float, seen: int | None = None) -> None:
        """Wait, until woken if ``seen`` is the number of signals seen before, or until the stop."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._stopping and (seen is None or self._signals == seen):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _guarded(self, event: str, do: Callable[[], None], **fields: Any) -> None:
        with self._reported(event, **fields):
            do()

    @contextmanager
    def _reported(self, event: str, **fields: Any) -> Iterator[None]:
        """Log whatever goes wrong inside: a background thread never dies of it."""
        try:
            yield
        except StrongroomError as error:
            self._log.warning(event, reason=error.diagnostics(), **fields)
        except Exception as error:  # noqa: BLE001  (the last line of defence of a background thread)
            self._log.error(event, exc_info=error, **fields)


def _pause(due_in: float | None) -> float:
    """Return how long to wait before looking again, when the next job is due in so many seconds, if in any."""
    longest = _LOOK_EVERY.total_seconds()
    return longest if due_in is None else min(longest, max(due_in, 0.01))


def _unobserved(kind: str, outcome: str, seconds: float) -> None:
    """Tell nobody."""


class _LostFence(Exception):
    """The job belongs to somebody else now."""


class _StoreStep:
    """Stores what came of a step; with `Commit`, in the unit that also writes its effects."""

    def __init__(self, clock: Clock, run: Run, step: Step) -> None:
        self._clock = clock
        self._run = run
        self._step = step

    def __call__(self, unit: Unit) -> Ended:
        job = self._run.job
        if self._run.lost or self._run.stored_by not in {None, self}:
            raise _LostFence
        outcome = self._step.fn(unit) if isinstance(self._step, Commit) else self._step
        try:
            unit.jobs.save(after_step(job, outcome, self._clock.now()), fence=job.fence)
        except (Conflict, NotFound) as lost:
            raise _LostFence from lost
        self._run.stored_by = self
        return outcome
