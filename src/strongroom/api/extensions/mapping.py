"""Extension answers as plain values."""

from __future__ import annotations

from typing import Any

from strongroom.domain.jobs.model import ENDED, Job
from strongroom.kernel.time import format_rfc3339


def job_body(job: Job) -> dict[str, Any]:
    """Return a job; members without a value are left out."""
    body: dict[str, Any] = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "step": job.step,
        "attempts": job.attempts,
        "created_at": format_rfc3339(job.created_at),
        "updated_at": format_rfc3339(job.updated_at),
    }
    if job.secret_id is not None:
        body["secret_id"] = job.secret_id
    if job.waiting_for is not None:
        body["waiting_for"] = job.waiting_for
    if job.last_error is not None:
        body["last_error"] = {"code": job.last_error.code, "message": job.last_error.message}
        if job.last_error.reference_code is not None:
            body["last_error"]["reference_code"] = job.last_error.reference_code
    if job.state not in ENDED:
        body["next_try_at"] = format_rfc3339(job.run_at)
    if job.result is not None:
        body["result"] = dict(job.result)
    return body
