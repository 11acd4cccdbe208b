"""Metrics in the text form of Prometheus. Source: design, section 1 (``STRONGROOM_METRICS_TOKEN``)."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.api.public.health import TAG
from strongroom.domain.access.actions import Action
from strongroom.kernel.errors import ErrorCode, Unauthenticated

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def _admit(call: Call) -> None:
    """Guard: let in loopback, the metrics token, and whoever may read metrics.

    Raises:
        Unauthenticated: anybody else.
    """
    if _is_local(call):
        return
    scheme, _, given = call.headers.get("authorization", "").partition(" ")
    given = given.strip()
    if scheme.lower() == "bearer" and given:
        expected = call.services.metrics_token
        if expected is not None and hmac.compare_digest(given.encode(), expected.reveal().encode()):
            return
        principal = call.services.authenticator.authenticate(given, call.address)
        if principal.scope(Action.METRICS_READ).everywhere:
            return
    raise Unauthenticated(
        ErrorCode.TOKEN_INVALID,
        "Metrics need the metrics token, or an access token whose roles include reading them.",
        hint="Set STRONGROOM_METRICS_TOKEN on the server and send it as 'Authorization: Bearer <token>'.",
    )


def _is_local(call: Call) -> bool:
    # What comes through a proxy on this machine has a loopback address too, and is not local.
    if call.address is None or any(name in call.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(call.address).is_loopback
    except ValueError:
        return False


def _metrics(call: Call) -> Reply:
    return Reply(body=call.services.metrics(), content_type=CONTENT_TYPE)


OPERATIONS: Final = (
    Operation(
        name="get_metrics",
        method="GET",
        path="/metrics",
        action="public",
        guard=_admit,
        handler=_metrics,
        work=Work.SCAN,
        summary="Read metrics",
        description=(
            "Free on loopback addresses. From elsewhere it needs STRONGROOM_METRICS_TOKEN, or an access token "
            "with the platform role Operator or above, as a bearer token."
        ),
        tag=TAG,
        response=str,
        response_content_type=CONTENT_TYPE,
        more_answers={401: None},
        audit=False,
        extension=True,
    ),
)
