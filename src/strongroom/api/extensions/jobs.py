"""Operations on background jobs."""

from __future__ import annotations

from typing import Final

from strongroom.api.extensions import schemas
from strongroom.api.extensions.mapping import job_body
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.api.paging import page_body
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.jobs.model import Job, JobState
from strongroom.domain.jobs.service import JobAction
from strongroom.kernel.ids import SecretId

_TAG: Final = "Jobs"
_TYPE: Final = "job"


def start_job(call: Call, kind: str) -> Pending:
    """Queue the instance's job of this kind and answer with it; an open one is answered instead."""
    if call.raw_body:
        call.parse(schemas.EmptyRequest)
    return Pending(commit=call.services.jobs.start(kind).commit, reply=lambda job: _woken(call, job))


def _woken(call: Call, job: Job) -> Reply:
    call.services.wake_worker()
    return Reply(body=job_body(job))


def _list(call: Call) -> Reply:
    query = call.parse_query(schemas.JobsQuery)
    page = call.services.storage.read(
        lambda unit: call.services.jobs.page(
            unit,
            call.principal,
            limit=query.limit,
            offset=query.offset,
            kind=query.kind,
            state=JobState(query.state) if query.state else None,
            secret_id=SecretId(query.secret_id) if query.secret_id else None,
        )
    )
    return Reply(body=page_body(call, page, "jobs", job_body))


def _get(call: Call) -> Reply:
    job_id = call.path["id"]
    call.target = Target(type=_TYPE, id=job_id)
    job = call.services.storage.read(lambda unit: call.services.jobs.get(unit, call.principal, job_id))
    _aim(call, job)
    return Reply(body=job_body(job))


def _find(call: Call) -> None:
    """Guard: find the job of the path and refuse who may not change it."""
    job_id = call.path["id"]
    call.target = Target(type=_TYPE, id=job_id)
    job = call.services.storage.read(lambda unit: call.services.jobs.authorise_action(unit, call.principal, job_id))
    _aim(call, job)
    call.found = job


def _act(call: Call) -> Pending:
    body = call.parse(schemas.JobActionRequest)
    job: Job = call.found
    change = call.services.jobs.act(job.id, JobAction(body.action_type))
    return Pending(commit=change.commit, reply=lambda changed: _woken(call, changed))


def _aim(call: Call, job: Job) -> None:
    call.target = Target(type=_TYPE, id=job.id, name=job.kind, secret_group_id=job.group_id)


OPERATIONS: Final = [
    Operation(
        name="list_jobs",
        method="GET",
        path="/api/v2/jobs",
        action=Action.JOBS_LIST,
        or_action=Action.INSTANCE_JOBS_LIST,
        handler=_list,
        work=Work.SCAN,
        summary="List jobs",
        description="Newest first: jobs about secrets of the caller's groups, and those of the instance for operators.",
        tag=_TAG,
        query=schemas.JobsQuery,
        response=schemas.JobCollection,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="get_job",
        method="GET",
        path="/api/v2/jobs/{id}",
        action=Action.JOBS_LIST,
        or_action=Action.INSTANCE_JOBS_LIST,
        handler=_get,
        work=Work.POINT,
        summary="Get a job",
        tag=_TAG,
        response=schemas.Job,
        target_type=_TYPE,
        audit_as="job.read",
        extension=True,
    ),
    Operation(
        name="create_job_action",
        method="POST",
        path="/api/v2/jobs/{id}/actions",
        action=Action.JOB_ACTION_CREATE,
        or_action=Action.INSTANCE_JOB_ACTION_CREATE,
        guard=_find,
        handler=_act,
        work=Work.WRITE,
        summary="Retry or cancel a job",
        tag=_TAG,
        status=201,
        request=schemas.JobActionRequest,
        response=schemas.Job,
        target_type=_TYPE,
        extension=True,
    ),
]
