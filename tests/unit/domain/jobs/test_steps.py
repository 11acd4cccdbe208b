"""What becomes of a job after a step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from strongroom.domain.jobs.model import Job, JobError, JobState
from strongroom.domain.jobs.steps import (
    Continue,
    Done,
    Failed,
    OneStep,
    Waiting,
    after_error,
    after_step,
    handed_back,
    new_job,
    visible_error,
)
from strongroom.kernel.errors import ErrorCode, Integrity, Internal, Unavailable
from strongroom.kernel.ids import GroupId, SecretId

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)


def a_running_job() -> Job:
    job = new_job(
        "secret.rotate", dedupe_key="rotate:s1", now=NOW, data={"n": 1}, secret_id=SecretId("s1"), group_id=GroupId("g")
    )
    return replace(
        job,
        state=JobState.RUNNING,
        attempts=2,
        waiting_for="a word",
        last_error=JobError(code="unavailable", message="down"),
        lease_owner="w",
        lease_until=LATER,
        fence=4,
    )


def test_new_job_is_due_at_once_unless_told_otherwise() -> None:
    job = new_job("k", dedupe_key="d", now=NOW)
    assert (job.state, job.step, job.run_at, job.data) == (JobState.QUEUED, "start", NOW, {})
    assert new_job("k", dedupe_key="d", now=NOW, run_at=LATER).run_at == LATER


def test_done_ends_the_job_with_its_result() -> None:
    job = after_step(a_running_job(), Done({"total": 3}), LATER)
    assert (job.state, job.result, job.last_error, job.waiting_for) == (JobState.DONE, {"total": 3}, None, None)
    assert (job.lease_owner, job.lease_until, job.updated_at) == (None, None, LATER)


def test_continue_queues_the_next_step_with_fresh_attempts() -> None:
    job = after_step(a_running_job(), Continue("second", {"n": 2}, timedelta(seconds=9)), LATER)
    assert (job.state, job.step, job.data, job.attempts) == (JobState.QUEUED, "second", {"n": 2}, 0)
    assert job.run_at == LATER + timedelta(seconds=9)
    assert job.last_error is None


def test_waiting_says_for_what_and_keeps_step_data_and_last_error() -> None:
    job = after_step(a_running_job(), Waiting("the administrator", LATER), NOW)
    assert (job.state, job.waiting_for, job.run_at) == (JobState.WAITING, "the administrator", LATER)
    assert (job.step, job.data, job.attempts) == ("start", {"n": 1}, 0)
    assert job.last_error is not None
    assert after_step(a_running_job(), Waiting("x", LATER, {"n": 7}), NOW).data == {"n": 7}


def test_failed_keeps_code_and_message() -> None:
    job = after_step(a_running_job(), Failed("no_zone", "There is no such zone.", "E17"), NOW)
    assert job.state is JobState.FAILED
    assert job.last_error == JobError(code="no_zone", message="There is no such zone.", reference_code="E17")


def test_error_is_shown_and_the_step_comes_again_later() -> None:
    error = Unavailable(ErrorCode.UNAVAILABLE, "The store is down.", retry_after=timedelta(minutes=30))
    job = after_error(a_running_job(), error, NOW)
    assert (job.state, job.step, job.attempts, job.lease_owner) == (JobState.WAITING, "start", 3, None)
    assert job.last_error == JobError(code="unavailable", message="The store is down.")
    assert NOW + timedelta(minutes=30) <= job.run_at <= NOW + timedelta(minutes=36)


def test_text_of_bugs_and_broken_data_stays_in_the_log() -> None:
    errors = [
        ValueError("private words"),
        Internal(ErrorCode.INTERNAL, "private words"),
        Integrity(ErrorCode.INTEGRITY_FAILED, "private words"),
    ]
    shown = [visible_error(error) for error in errors]
    assert [error.code for error in shown] == ["internal_error", "internal_error", "integrity_failed"]
    assert not any("private" in error.message for error in shown)


def test_handing_back_keeps_the_time_and_moves_the_fence() -> None:
    job = handed_back(a_running_job(), LATER)
    assert (job.state, job.run_at, job.lease_owner, job.lease_until) == (JobState.QUEUED, NOW, None, None)
    assert job.fence == 5


def test_job_of_one_call_ends_with_what_it_returned() -> None:
    handler = OneStep("master-key.rotate", lambda: {"rewrapped": 2})
    assert handler.kind == "master-key.rotate"
    assert handler.run(a_running_job()) == Done({"rewrapped": 2})
