"""Extension answers as plain values."""

from __future__ import annotations

from typing import Any

from strongroom.domain.jobs.model import ENDED, Job, JobError
from strongroom.domain.orders.dns import ServerReport
from strongroom.domain.orders.model import Order, OrderChallenge
from strongroom.domain.orders.views import OrderView, RenewalView
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
        body["last_error"] = _problem(job.last_error)
    if job.state not in ENDED:
        body["next_try_at"] = format_rfc3339(job.run_at)
    if job.result is not None:
        body["result"] = dict(job.result)
    return body


def order_body(view: OrderView) -> dict[str, Any]:
    """Return an order: its job's members and its own."""
    body = job_body(view.job)
    body["secret_group_id"] = view.job.group_id
    if view.secret is not None:
        body["secret_name"] = view.secret.name
    if view.order is not None:
        body |= _order(view.order)
    return body


def renewal_body(view: RenewalView) -> dict[str, Any]:
    """Return a coming renewal."""
    secret = view.secret
    body: dict[str, Any] = {
        "secret_id": secret.id,
        "secret_name": secret.name,
        "secret_type": secret.secret_type.value,
        "secret_group_id": secret.group_id,
        "renew_at": format_rfc3339(view.renew_at),
        "trigger": view.trigger.value,
        "blocked_by": list(view.blocked_by),
    }
    if secret.expires_at is not None:
        body["expires_at"] = format_rfc3339(secret.expires_at)
    if view.last_error is not None:
        body["last_error"] = _problem(view.last_error)
    if view.explanation_url is not None:
        body["explanation_url"] = view.explanation_url
    return body


def _order(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = {
        "domains": list(order.names),
        "ca": order.ca,
        "dns": order.dns,
        "trigger": order.trigger.value,
        "propagation": [_propagation(challenge) for challenge in order.challenges],
    }
    if order.deadline_at is not None:
        body["deadline_at"] = format_rfc3339(order.deadline_at)
    return body


def _propagation(challenge: OrderChallenge) -> dict[str, Any]:
    body: dict[str, Any] = {
        "domain": f"*.{challenge.domain}" if challenge.is_wildcard else challenge.domain,
        "record_name": challenge.txt_name,
        "servers": [_server(report) for report in challenge.servers],
    }
    if challenge.target not in {None, challenge.txt_name}:
        body["target"] = challenge.target
    return body


def _server(report: ServerReport) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": report.name,
        "address": report.address,
        "seen": report.seen,
        "checked_at": format_rfc3339(report.checked_at),
    }
    if report.soa_serial is not None:
        body["soa_serial"] = report.soa_serial
    if report.found:
        body["found"] = list(report.found)
    if report.problem is not None:
        body["problem"] = report.problem
    return body


def _problem(error: JobError) -> dict[str, str]:
    body = {"code": error.code, "message": error.message}
    if error.reference_code is not None:
        body["reference_code"] = error.reference_code
    return body
