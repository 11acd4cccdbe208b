"""What a handler does with a job, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

from strongroom.domain.jobs.model import Job, JobError, JobState
from strongroom.domain.jobs.retry import next_try
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Integrity, Internal, StrongroomError
from strongroom.kernel.ids import GroupId, JobId, SecretId, new_uuid


@dataclass(frozen=True, slots=True)
class Done:
    """The job is finished."""

    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """The step is finished; another one follows."""

    step: str
    data: Mapping[str, Any] = field(default_factory=dict)
    in_: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to do yet: the same step comes again.

    Attributes:
        for_: what it waits for, in words for the user.
        until: when to look again.
        data: what was learned, or ``None`` to keep what is known.
    """

    for_: str
    until: datetime
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The job has failed for good; trying again would not help."""

    code: str
    message: str
    reference_code: str | None = None


@dataclass(frozen=True, slots=True)
class Stumbled:
    """The step went wrong and comes again; as if its exception had got out, but with what the step wrote.

    Attributes:
        error: what went wrong, as the job shows it.
        until: when to try again.
    """

    error: JobError
    until: datetime


Ended: TypeAlias = Done | Continue | Waiting | Failed | Stumbled


@dataclass(frozen=True, slots=True)
class Commit:
    """The step's writing half.

    ``fn`` runs in the same unit of work that stores the job's progress, under its fence: either
    both are stored or neither. It re-checks what the step relied on, writes, and says what follows.
    """

    fn: Callable[[Unit], Ended]


Step: TypeAlias = Ended | Commit


class JobHandler(Protocol):
    """Runs the jobs of one kind."""

    @property
    def kind(self) -> str:
        """Return the kind of job it runs."""
        ...

    def run(self, job: Job) -> Step:
        """Do the job's present step.

        Called with no unit of work open. A step is small and safe to repeat: a crash before its
        outcome is stored makes it run again. An exception is stored as the job's last error, and
        the step is tried again later.
        """
        ...


class OneStep:
    """A job that is one call."""

    def __init__(self, kind: str, do: Callable[[], Mapping[str, Any]]) -> None:
        self.kind = kind
        self._do = do

    def run(self, job: Job) -> Step:
        """Make the call; what it returns is the job's result."""
        return Done(self._do())


class DueWork(Protocol):
    """Finds work that has become due, and queues jobs for it."""

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """Queue a bounded number of jobs and return how many are new."""
        ...


def new_job(
    kind: str,
    *,
    dedupe_key: str,
    now: datetime,
    step: str = "start",
    data: Mapping[str, Any] | None = None,
    secret_id: SecretId | None = None,
    group_id: GroupId | None = None,
    run_at: datetime | None = None,
) -> Job:
    """Return a job that is ready to be queued."""
    return Job(
        id=JobId(new_uuid()),
        kind=kind,
        dedupe_key=dedupe_key,
        state=JobState.QUEUED,
        step=step,
        data=data or {},
        secret_id=secret_id,
        group_id=group_id,
        run_at=run_at or now,
        created_at=now,
        updated_at=now,
    )


def after_step(job: Job, outcome: Ended, now: datetime) -> Job:
    """Return the job as it is stored once a step has ended; its lease is free."""
    free = replace(job, lease_owner=None, lease_until=None, waiting_for=None, updated_at=now)
    match outcome:
        case Done(result):
            return replace(free, state=JobState.DONE, attempts=0, last_error=None, result=result)
        case Continue(step, data, in_):
            return replace(
                free, state=JobState.QUEUED, step=step, data=data, attempts=0, last_error=None, run_at=now + in_
            )
        case Waiting(for_, until, data):
            learned = job.data if data is None else data
            return replace(free, state=JobState.WAITING, waiting_for=for_, run_at=until, data=learned, attempts=0)
        case Failed(code, message, reference_code):
            known = JobError(code=code, message=message, reference_code=reference_code)
            return replace(free, state=JobState.FAILED, last_error=known)
        case Stumbled(error, until):
            return _to_be_tried_again(free, error, until)


def after_error(job: Job, error: BaseException, now: datetime) -> Job:
    """Return the job as it is stored after a step broke off: waiting for its next try."""
    retry_after = error.retry_after if isinstance(error, StrongroomError) else None
    free = replace(job, lease_owner=None, lease_until=None, updated_at=now)
    return _to_be_tried_again(free, visible_error(error), next_try(job.attempts + 1, now, retry_after=retry_after))


def _to_be_tried_again(job: Job, error: JobError, until: datetime) -> Job:
    return replace(
        job,
        state=JobState.WAITING,
        waiting_for="the next try after an error",
        attempts=job.attempts + 1,
        last_error=error,
        run_at=until,
    )


def handed_back(job: Job, now: datetime) -> Job:
    """Return the job as it is stored when its worker lets go of it: due as before.

    The fence moves, so that the step that was begun cannot store anything any more.
    """
    return replace(job, state=JobState.QUEUED, lease_owner=None, lease_until=None, fence=job.fence + 1, updated_at=now)


def visible_error(error: BaseException) -> JobError:
    """Return what may be shown of an error; what only the operator should read stays in the log."""
    if isinstance(error, StrongroomError) and not isinstance(error, Internal | Integrity):
        return JobError(code=error.code.value, message=error.detail)
    code = error.code if isinstance(error, StrongroomError) else ErrorCode.INTERNAL
    return JobError(code=code.value, message="The step broke off; the server's log says why, under the job's id.")
