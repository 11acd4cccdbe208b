"""Looking at jobs, and the two things people do with them: try again and cancel."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NoReturn

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import refuse
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.jobs.model import ENDED, Job, JobQuery, JobState
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import JobId, SecretId, is_uuid
from strongroom.kernel.result import Page


class JobAction(StrEnum):
    """The API's ``action_type`` for a job."""

    RETRY = "retry"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class _Pair:
    """The action on jobs about secrets of a group, and on jobs about no secret.

    Attributes:
        shared: whether ``group`` held on the instance is enough for jobs about no secret.
    """

    group: Action
    instance: Action
    _: KW_ONLY
    shared: bool

    def covers(self, principal: Principal, job: Job) -> bool:
        if job.secret_id is None:
            return self.covers_instance(principal)
        scope = principal.scope(self.group)
        return scope.everywhere or (job.group_id is not None and scope.covers(job.group_id))

    def covers_instance(self, principal: Principal) -> bool:
        everywhere = self.shared and principal.scope(self.group).everywhere
        return everywhere or principal.scope(self.instance).everywhere

    def held(self, principal: Principal) -> bool:
        return bool(principal.scope(self.group)) or principal.scope(self.instance).everywhere


# Whoever may start a check of the audit trail must be able to see what came of it, without being an operator.
_SEE: Final = _Pair(Action.JOBS_LIST, Action.INSTANCE_JOBS_LIST, shared=True)
_CHANGE: Final = _Pair(Action.JOB_ACTION_CREATE, Action.INSTANCE_JOB_ACTION_CREATE, shared=False)

_FEW: Final = 100
"""Among so many newest jobs of a kind the open one is found; at most one is, and retries are rare."""


class JobService:
    """Jobs as callers see them: those of their groups, those of the instance for operators."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def page(
        self,
        unit: ReadUnit,
        principal: Principal,
        *,
        limit: int,
        offset: int = 0,
        kind: str | None = None,
        state: JobState | None = None,
        secret_id: SecretId | None = None,
    ) -> Page[Job]:
        """Return the jobs the caller may see, newest first.

        Raises:
            Forbidden: the caller may see jobs nowhere.
        """
        if not _SEE.held(principal):
            refuse(_SEE.group)
        scope = principal.scope(_SEE.group)
        return unit.jobs.page(
            JobQuery(
                limit=limit,
                offset=offset,
                kind=kind,
                state=state,
                secret_id=secret_id,
                groups=None if scope.everywhere else scope.groups,
                include_instance=_SEE.covers_instance(principal),
            )
        )

    def get(self, unit: ReadUnit, principal: Principal, job_id: str) -> Job:
        """Return a job the caller may see.

        Raises:
            Forbidden: it is about a secret outside the caller's groups, or the caller may see no jobs.
            NotFound: there is no such job.
        """
        return _find(unit, principal, job_id, _SEE)

    def authorise_action(self, unit: ReadUnit, principal: Principal, job_id: str) -> Job:
        """Return a job the caller may retry or cancel.

        Raises:
            Forbidden: the caller may not change it.
            NotFound: there is no such job.
        """
        return _find(unit, principal, job_id, _CHANGE)

    def start(self, kind: str) -> Change[Job]:
        """Prepare to queue the one job of a kind that is about the whole instance.

        The commit returns the job that is open already, if there is one.
        """

        def commit(unit: Unit) -> Job:
            job = new_job(kind, dedupe_key=kind, now=self._clock.now())
            if unit.jobs.enqueue(job):
                return job
            newest = unit.jobs.page(JobQuery(limit=_FEW, kind=kind)).items
            return next(other for other in newest if other.dedupe_key == kind and other.state not in ENDED)

        return Change(commit)

    def act(self, job_id: JobId, action: JobAction) -> Change[Job]:
        """Prepare a retry or a cancellation.

        Retry makes a job due at once that waits, or that has failed. Cancel ends one that has not
        ended; a step that runs just now stores nothing any more.

        Raises:
            NotFound: on commit, if the job is gone.
            Invalid: on commit, ``state_forbids`` if its state does not allow the action.
            Conflict: on commit, ``already_exists`` if another job has taken its place meanwhile.
        """

        def commit(unit: Unit) -> Job:
            job = unit.jobs.find(job_id)
            if job is None:
                _not_found()
            changed = (_retried if action is JobAction.RETRY else _cancelled)(job, self._clock.now())
            unit.jobs.save(changed, fence=job.fence)
            return changed

        return Change(commit)


def _find(unit: ReadUnit, principal: Principal, job_id: str, actions: _Pair) -> Job:
    if not actions.held(principal):
        refuse(actions.group)
    job = unit.jobs.find(JobId(job_id)) if is_uuid(job_id) else None
    if job is None:
        _not_found()
    if not actions.covers(principal, job):
        refuse(actions.instance if job.secret_id is None else actions.group)
    return job


def _not_found() -> NoReturn:
    raise NotFound(ErrorCode.NOT_FOUND, "The job was not found.")


def _retried(job: Job, now: datetime) -> Job:
    if job.state not in {JobState.QUEUED, JobState.WAITING, JobState.FAILED}:
        _state_forbids(job, "retried", "queued, waiting or failed")
    return replace(
        job, state=JobState.QUEUED, run_at=now, attempts=0, waiting_for=None, fence=job.fence + 1, updated_at=now
    )


def _cancelled(job: Job, now: datetime) -> Job:
    if job.state in ENDED:
        _state_forbids(job, "cancelled", "queued, running or waiting")
    return replace(
        job,
        state=JobState.CANCELLED,
        waiting_for=None,
        lease_owner=None,
        lease_until=None,
        fence=job.fence + 1,
        updated_at=now,
    )


def _state_forbids(job: Job, what: str, allowed: str) -> NoReturn:
    raise Invalid(
        ErrorCode.STATE_FORBIDS,
        f"The job is {job.state.value}; only a job that is {allowed} can be {what}.",
        field="action_type",
    )
