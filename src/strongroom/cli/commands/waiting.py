"""Wait for a job that the server runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from strongroom.cli.errors import CommandError, Exit
from strongroom.kernel.errors import ErrorCode

if TYPE_CHECKING:
    from strongroom.cli.session import Session

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_BAD_ENDS = frozenset({"failed", "cancelled"})

timeout_option = click.option(
    "--timeout",
    type=click.IntRange(min=1, max=86_400),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the end.",
)


def wait_for_job(session: Session, job: dict[str, Any], *, timeout_s: int) -> dict[str, Any]:
    """Poll a job until it has ended well and return it.

    Raises:
        CommandError: it failed, was cancelled, or is not done in time; its id is in the message.
    """
    job_id = str(job.get("id", ""))
    deadline = time.monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    shown = None
    while job.get("state") != "done":
        state = str(job.get("state"))
        if state in _BAD_ENDS:
            raise _ended_badly(job, job_id, state)
        if state != shown:
            session.note(f"Job {job_id}: {state}")
            shown = state
        if time.monotonic() + pause > deadline:
            detail = f"Job {job_id} is not done after {timeout_s} s; its state is {state}. It goes on without us."
            raise CommandError(detail, exit_code=Exit.WAITED_TOO_LONG, code=ErrorCode.UNAVAILABLE, field="--timeout")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
        job = session.client.call_object("GET", f"/api/v2/jobs/{quote(job_id, safe='')}")
    return job


def _ended_badly(job: dict[str, Any], job_id: str, state: str) -> CommandError:
    last = job.get("last_error")
    reason = f": {last['message']}" if isinstance(last, dict) and last.get("message") else "."
    return CommandError(
        f"Job {job_id} {'was cancelled' if state == 'cancelled' else 'failed'}{reason}",
        exit_code=Exit.WORK_FAILED,
        code=ErrorCode.UNAVAILABLE,
    )
