"""Operations on background jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.jobs.model import Job, JobError, JobState
from strongroom.domain.jobs.steps import new_job
from strongroom.kernel.ids import GroupId, SecretId, new_uuid
from strongroom.kernel.time import format_rfc3339
from tests.peers.in_process import InProcess


def put(server: InProcess, *, group: str | None = None, **changes: Any) -> Job:
    job = new_job(
        "secret.rotate" if group else "audit.verify",
        dedupe_key=new_uuid(),
        now=server.clock.now(),
        secret_id=SecretId(new_uuid()) if group else None,
        group_id=GroupId(group) if group else None,
    )
    job = replace(job, **changes)
    server.container.store.storage.write(lambda unit: unit.jobs.enqueue(job))
    return job


def test_job_shows_where_it_stands(server: InProcess) -> None:
    job = put(
        server,
        group="default",
        state=JobState.WAITING,
        waiting_for="the locks",
        attempts=2,
        last_error=JobError(code="state_forbids", message="It is locked.", reference_code="SM1"),
    )
    now = format_rfc3339(server.clock.now())
    assert server.request("GET", f"/api/v2/jobs/{job.id}").json == {
        "id": job.id,
        "kind": "secret.rotate",
        "state": "waiting",
        "step": "start",
        "secret_id": job.secret_id,
        "attempts": 2,
        "waiting_for": "the locks",
        "last_error": {"code": "state_forbids", "message": "It is locked.", "reference_code": "SM1"},
        "next_try_at": now,
        "created_at": now,
        "updated_at": now,
    }


def test_ended_job_has_a_result_and_no_next_try(server: InProcess) -> None:
    job = put(server, state=JobState.DONE, result={"rewrapped": 3})
    shown = server.request("GET", f"/api/v2/jobs/{job.id}").json
    assert shown["result"] == {"rewrapped": 3}
    assert not {"next_try_at", "last_error", "secret_id", "waiting_for"} & set(shown)


def test_list_is_newest_first_with_the_paging_frame(server: InProcess) -> None:
    jobs = [put(server) for _ in range(3)]
    page = server.request("GET", "/api/v2/jobs?limit=2").json
    assert [job["id"] for job in page["jobs"]] == [jobs[2].id, jobs[1].id]
    assert (page["total_count"], page["limit"], page["offset"]) == (3, 2, 0)
    assert page["next"]["href"].endswith("limit=2&offset=2")


def test_list_filters(server: InProcess) -> None:
    failed = put(server, group="default", state=JobState.FAILED)
    put(server)

    def ids(query: str) -> list[str]:
        return [job["id"] for job in server.request("GET", f"/api/v2/jobs?{query}").json["jobs"]]

    assert ids("state=failed") == ids("kind=secret.rotate") == ids(f"secret_id={failed.secret_id}") == [failed.id]
    assert ids(f"secret_id={new_uuid()}") == []


@pytest.mark.parametrize("query", ["state=asleep", "limit=0", "limit=1001", "offset=-1"])
def test_wrong_parameter_is_400(server: InProcess, query: str) -> None:
    assert server.request("GET", f"/api/v2/jobs?{query}").status == 400


def test_operator_sees_jobs_of_the_instance_only(server: InProcess) -> None:
    about_a_secret, of_the_instance = put(server, group="default"), put(server)
    operator = server.login_with(Role.OPERATOR)
    listed = server.request("GET", "/api/v2/jobs", token=operator).json["jobs"]
    assert [job["id"] for job in listed] == [of_the_instance.id]
    assert server.request("GET", f"/api/v2/jobs/{of_the_instance.id}", token=operator).status == 200
    assert server.request("GET", f"/api/v2/jobs/{about_a_secret.id}", token=operator).status == 403


def test_reader_of_a_group_sees_its_jobs_only(server: InProcess) -> None:
    group = server.request("POST", "/api/v2/secret_groups", {"name": "mine"}).json["id"]
    mine, _, _ = put(server, group=group), put(server, group="default"), put(server)
    reader = server.login_with(Role.READER, group=group)
    assert [job["id"] for job in server.request("GET", "/api/v2/jobs", token=reader).json["jobs"]] == [mine.id]


def test_unknown_job_is_404(server: InProcess) -> None:
    assert server.request("GET", f"/api/v2/jobs/{new_uuid()}").status == 404
    assert server.request("POST", f"/api/v2/jobs/{new_uuid()}/actions", {"action_type": "retry"}).status == 404


def act(server: InProcess, job: Job, action: str, token: str = "administrator") -> Any:  # noqa: S107
    return server.request("POST", f"/api/v2/jobs/{job.id}/actions", {"action_type": action}, token=token)


def test_retry_makes_a_failed_job_due(server: InProcess) -> None:
    job = put(server, state=JobState.FAILED, run_at=server.clock.now() + timedelta(days=1))
    answer = act(server, job, "retry")
    assert (answer.status, answer.json["state"]) == (201, "queued")
    assert answer.json["next_try_at"] == format_rfc3339(server.clock.now())


def test_cancel_ends_a_job(server: InProcess) -> None:
    job = put(server, group="default")
    assert act(server, job, "cancel").json["state"] == "cancelled"
    again = act(server, job, "cancel")
    assert (again.status, again.json["errors"][0]["code"]) == (400, "state_forbids")


def test_retry_beside_a_newer_job_is_409(server: InProcess) -> None:
    old = put(server, state=JobState.FAILED, dedupe_key="same")
    put(server, dedupe_key="same")
    assert act(server, old, "retry").status == 409


def test_unknown_action_is_400(server: InProcess) -> None:
    answer = act(server, put(server), "explode")
    assert answer.status == 400
    assert answer.json["errors"][0]["target"]["name"] == "action_type"


def test_changes_need_writer_on_the_group_or_operator(server: InProcess) -> None:
    group = server.request("POST", "/api/v2/secret_groups", {"name": "mine"}).json["id"]
    writer, operator, reader = (
        server.login_with(Role.WRITER, group=group),
        server.login_with(Role.OPERATOR),
        server.login_with(Role.READER),
    )
    about_a_secret, of_the_instance = put(server, group=group), put(server)
    assert act(server, about_a_secret, "retry", reader).status == 403
    assert act(server, about_a_secret, "retry", operator).status == 403
    assert act(server, about_a_secret, "retry", writer).status == 201
    assert act(server, of_the_instance, "retry", writer).status == 403
    assert act(server, of_the_instance, "retry", operator).status == 201


def test_job_action_is_recorded_in_the_audit_trail(server: InProcess) -> None:
    job = put(server, group="default")
    act(server, job, "cancel")
    (event,) = server.request("GET", f"/api/v2/audit_events?target_id={job.id}").json["audit_events"]
    assert event["action"] == "secrets-manager.job-action.create"
    assert event["target"] == {
        "type": "job",
        "id": job.id,
        "name": "secret.rotate",
        "secret_group_id": "default",
    }
