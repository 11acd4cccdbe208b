"""Whether the process is up, and whether it can do its work. Source: design, section 1 ("URLs")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.api.v2.schemas.base import Answer
from strongroom.kernel.errors import StrongroomError

Verdict = Literal["ok", "failed"]
TAG: Final = "Server"
_NOT_READY: Final = 503


class Health(Answer):
    """The process answers."""

    status: Literal["ok"]


class ReadinessChecks(Answer):
    """What the server cannot do without."""

    storage: Verdict
    master_key: Verdict


class Readiness(Answer):
    """Whether the server can do its work, and which check says no."""

    status: Literal["ok", "unavailable"]
    checks: ReadinessChecks


def _alive(_: Call) -> Reply:
    return Reply(body={"status": "ok"})


def _ready(call: Call) -> Reply:
    checks = {
        "storage": _verdict(call.services.storage.ready),
        "master_key": _verdict(call.services.check_master_key),
    }
    if all(verdict == "ok" for verdict in checks.values()):
        return Reply(body={"status": "ok", "checks": checks})
    return Reply(body={"status": "unavailable", "checks": checks}, status=_NOT_READY, headers={"Retry-After": "5"})


def _verdict(check: Callable[[], None]) -> Verdict:
    # Why a check fails stands in the server's log: anybody may ask here.
    try:
        check()
    except StrongroomError:
        return "failed"
    return "ok"


OPERATIONS: Final = (
    Operation(
        name="get_health",
        method="GET",
        path="/healthz",
        action="public",
        handler=_alive,
        work=Work.POINT,
        summary="Tell that the process is up",
        tag=TAG,
        response=Health,
        audit=False,
        extension=True,
    ),
    Operation(
        name="get_readiness",
        method="GET",
        path="/readyz",
        action="public",
        handler=_ready,
        work=Work.SCAN,
        summary="Tell whether the database answers and the master key is open",
        tag=TAG,
        response=Readiness,
        more_answers={_NOT_READY: Readiness},
        audit=False,
        extension=True,
    ),
)
