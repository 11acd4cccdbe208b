"""Who sees which jobs, and what retry and cancel do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.jobs.model import Job, JobError, JobState
from strongroom.domain.jobs.service import JobAction, JobService
from strongroom.domain.jobs.steps import new_job
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Conflict, ErrorCode, Forbidden, Invalid, NotFound, StrongroomError
from strongroom.kernel.ids import GroupId, IamId, JobId, SecretId, new_uuid
from tests.conftest import START_OF_TESTS
from tests.unit.memory_store import MemoryStorage

RED, BLUE = GroupId("red"), GroupId("blue")


def someone(*grants: Grant) -> Principal:
    return Principal(iam_id=IamId("iam-1"), name="someone", kind=PrincipalKind.SERVICE_ID, grants=grants)


@pytest.fixture
def storage() -> MemoryStorage:
    """Jobs about a secret of each group, and one about none."""
    storage = MemoryStorage()
    for group in (RED, BLUE, None):
        job = new_job(
            "secret.rotate" if group else "audit.verify",
            dedupe_key=str(group),
            now=START_OF_TESTS,
            group_id=group,
            secret_id=SecretId(f"s-{group}") if group else None,
        )
        storage.jobs.enqueue(job)
    return storage


@pytest.fixture
def service(clock: FrozenClock) -> JobService:
    return JobService(clock)


def of_group(storage: MemoryStorage, group: GroupId | None) -> Job:
    return next(job for job in storage.jobs.rows.values() if job.group_id == group)


def seen(service: JobService, storage: MemoryStorage, *grants: Grant) -> list[GroupId | None]:
    page = storage.read(lambda unit: service.page(unit, someone(*grants), limit=10))
    return [job.group_id for job in page.items]


def test_reader_of_a_group_sees_its_jobs_only(service: JobService, storage: MemoryStorage) -> None:
    assert seen(service, storage, Grant(Role.READER, RED)) == [RED]


@pytest.mark.parametrize("role", [Role.READER, Role.SECRETS_READER, Role.WRITER, Role.MANAGER])
def test_service_role_on_the_instance_sees_every_job(service: JobService, storage: MemoryStorage, role: Role) -> None:
    assert seen(service, storage, Grant(role)) == [None, BLUE, RED]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.EDITOR, Role.ADMINISTRATOR])
def test_operators_see_the_jobs_of_the_instance_only(service: JobService, storage: MemoryStorage, role: Role) -> None:
    assert seen(service, storage, Grant(role)) == [None]


@pytest.mark.parametrize("grants", [(), (Grant(Role.VIEWER),)])
def test_others_see_none(service: JobService, storage: MemoryStorage, grants: tuple[Grant, ...]) -> None:
    with pytest.raises(Forbidden):
        seen(service, storage, *grants)


def test_list_filters_by_kind_state_and_secret(service: JobService, storage: MemoryStorage) -> None:
    def count(**filters: object) -> int:
        manager = someone(Grant(Role.MANAGER))
        return storage.read(lambda unit: service.page(unit, manager, limit=1, **filters)).total  # type: ignore[arg-type]

    assert count(kind="secret.rotate") == 2
    assert count(secret_id=SecretId("s-red")) == 1
    assert count(state=JobState.DONE) == 0


def refusal(service: JobService, storage: MemoryStorage, job_id: str, *grants: Grant) -> type[StrongroomError] | None:
    try:
        storage.read(lambda unit: service.get(unit, someone(*grants), job_id))
    except StrongroomError as error:
        return type(error)
    return None


def test_get_follows_the_rule_for_403_and_404(service: JobService, storage: MemoryStorage) -> None:
    red, instance = of_group(storage, RED).id, of_group(storage, None).id
    reader_of_red, operator = Grant(Role.READER, RED), Grant(Role.OPERATOR)
    assert refusal(service, storage, red, reader_of_red) is None
    assert refusal(service, storage, of_group(storage, BLUE).id, reader_of_red) is Forbidden
    assert refusal(service, storage, instance, reader_of_red) is Forbidden
    assert refusal(service, storage, instance, operator) is None
    assert refusal(service, storage, red, operator) is Forbidden
    assert refusal(service, storage, new_uuid(), operator) is NotFound
    assert refusal(service, storage, "no-id", reader_of_red) is NotFound
    assert refusal(service, storage, new_uuid()) is Forbidden


def may_change(service: JobService, storage: MemoryStorage, group: GroupId | None, *grants: Grant) -> bool:
    try:
        storage.read(lambda unit: service.authorise_action(unit, someone(*grants), of_group(storage, group).id))
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize(
    ("grant", "red", "instance"),
    [
        (Grant(Role.READER), False, False),
        (Grant(Role.WRITER, RED), True, False),
        (Grant(Role.WRITER, BLUE), False, False),
        (Grant(Role.WRITER), True, False),
        (Grant(Role.MANAGER), True, False),
        (Grant(Role.OPERATOR), False, True),
        (Grant(Role.ADMINISTRATOR), False, True),
        (Grant(Role.VIEWER), False, False),
    ],
)
def test_changes_need_writer_on_the_group_or_operator(
    service: JobService, storage: MemoryStorage, grant: Grant, red: bool, instance: bool
) -> None:
    assert may_change(service, storage, RED, grant) is red
    assert may_change(service, storage, None, grant) is instance


def put(storage: MemoryStorage, **changes: object) -> Job:
    job = replace(of_group(storage, RED), **changes)  # type: ignore[arg-type]
    storage.jobs.rows[job.id] = job
    return job


def act(service: JobService, storage: MemoryStorage, job_id: str, action: JobAction) -> Job:
    return storage.write(service.act(JobId(job_id), action).commit)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.WAITING, JobState.FAILED])
def test_retry_makes_a_job_due_at_once(
    service: JobService, storage: MemoryStorage, clock: FrozenClock, state: JobState
) -> None:
    error = JobError(code="unavailable", message="down")
    job = put(
        storage, state=state, attempts=4, waiting_for="x", run_at=START_OF_TESTS.replace(year=2030), last_error=error
    )
    again = act(service, storage, job.id, JobAction.RETRY)
    assert (again.state, again.run_at, again.attempts, again.waiting_for) == (JobState.QUEUED, clock.now(), 0, None)
    assert (again.last_error, again.fence) == (error, job.fence + 1)
    assert storage.jobs.rows[job.id] == again


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DONE, JobState.CANCELLED])
def test_retry_is_refused_in_other_states(service: JobService, storage: MemoryStorage, state: JobState) -> None:
    job = put(storage, state=state)
    with pytest.raises(Invalid, match=f"The job is {state.value}") as refused:
        act(service, storage, job.id, JobAction.RETRY)
    assert refused.value.code is ErrorCode.STATE_FORBIDS


def test_retry_is_refused_when_another_job_has_taken_its_place(service: JobService, storage: MemoryStorage) -> None:
    job = put(storage, state=JobState.FAILED)
    storage.jobs.enqueue(new_job("secret.rotate", dedupe_key=job.dedupe_key, now=START_OF_TESTS))
    with pytest.raises(Conflict) as refused:
        act(service, storage, job.id, JobAction.RETRY)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.WAITING, JobState.RUNNING])
def test_cancel_ends_a_job_and_shuts_its_worker_out(
    service: JobService, storage: MemoryStorage, state: JobState
) -> None:
    job = put(storage, state=state, lease_owner="w", fence=3)
    ended = act(service, storage, job.id, JobAction.CANCEL)
    assert (ended.state, ended.lease_owner, ended.fence) == (JobState.CANCELLED, None, 4)
    with pytest.raises(Conflict):
        storage.jobs.save(job, fence=3)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED])
def test_cancel_is_refused_for_ended_jobs(service: JobService, storage: MemoryStorage, state: JobState) -> None:
    job = put(storage, state=state)
    with pytest.raises(Invalid):
        act(service, storage, job.id, JobAction.CANCEL)


def test_action_on_a_job_that_is_gone_is_not_found(service: JobService, storage: MemoryStorage) -> None:
    with pytest.raises(NotFound):
        act(service, storage, new_uuid(), JobAction.CANCEL)


def test_start_returns_the_open_job_if_there_is_one(service: JobService, storage: MemoryStorage) -> None:
    first = storage.write(service.start("master-key.rotate").commit)
    assert storage.write(service.start("master-key.rotate").commit) == first
    storage.jobs.rows[first.id] = replace(first, state=JobState.DONE)
    assert storage.write(service.start("master-key.rotate").commit).id != first.id
