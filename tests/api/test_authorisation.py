"""Who may not: every operation for every kind of caller, against a written-down matrix.

The matrix in ``tests/assets/action-matrix.json`` repeats the contract (domain section 1.3) and the
design (section 5); it is not derived from the code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.api.operations import Operation
from strongroom.api.tables import OPERATIONS
from strongroom.domain.access.actions import EVERYBODY, PLATFORM_ROLES, Action, Role
from strongroom.kernel.clock import FrozenClock
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process

_MATRIX: Final = json.loads((Path(__file__).parent.parent / "assets" / "action-matrix.json").read_text())
_UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Caller:
    """One kind of caller."""

    name: str
    token: str | None
    role: Role | None = None
    group: str | None = None


@dataclass
class Place:
    """A server with a secret in each of two groups, and every kind of caller."""

    server: InProcess
    home: str
    away: str
    callers: list[Caller]

    def secret(self, group: str) -> str:
        """Return the id of the group's secret, making it anew if a test has deleted it."""
        answer = self.server.request("GET", f"/api/v2/secrets?groups={group}&limit=1")
        if answer.json["secrets"]:
            return str(answer.json["secrets"][0]["id"])
        body = {"secret_type": "arbitrary", "name": f"in-{group}", "secret_group_id": group, "payload": "planted"}
        answer = self.server.request("POST", "/api/v2/secrets", body)
        assert answer.status == 201, answer.raw
        return str(answer.json["id"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give the server and its callers once for all operations."""
    clock = FrozenClock(START_OF_TESTS)
    with in_process(tmp_path_factory.mktemp("authorisation") / "data", clock) as server:
        home, away = (
            server.request("POST", "/api/v2/secret_groups", {"name": name}).json["id"] for name in ("home", "away")
        )
        expired = server.login_with(Role.MANAGER, Role.ADMINISTRATOR)
        clock.advance(timedelta(hours=2))
        server.forget_tokens()
        callers = [
            Caller("anonymous", None),
            Caller("bad token", "a.b.c"),
            Caller("expired token", expired),
            Caller("no role", server.login_with()),
        ]
        for role in Role:
            callers.append(Caller(f"{role}", server.login_with(role), role))
            if role not in PLATFORM_ROLES:
                callers.append(Caller(f"{role} on home", server.login_with(role, group=home), role, home))
                callers.append(Caller(f"{role} on away", server.login_with(role, group=away), role, away))
        yield Place(server, home, away, callers)


def _expected(operation: Operation, caller: Caller, place: Place) -> set[int] | None:
    """Return the statuses that are right, or ``None`` for anything but 401 and 403."""
    action = operation.action
    if action == "public":
        return None
    if caller.name in {"anonymous", "bad token", "expired token"}:
        return {401}
    if action in EVERYBODY:
        # Everybody has own keys, but this id is nobody's: only who manages identities learns that.
        foreign = "{id}" in operation.path and caller.role is not Role.ADMINISTRATOR
        return {403} if foreign else None
    assert isinstance(action, Action)
    # Jobs with and without a secret are two actions; the operations name the first and check both.
    names = {action.value}
    if action is Action.JOBS_LIST:
        names.add(Action.INSTANCE_JOBS_LIST.value)
    if action is Action.JOB_ACTION_CREATE:
        names.add(Action.INSTANCE_JOB_ACTION_CREATE.value)
    for name in names:
        if caller.role not in _MATRIX["roles_of_action"][name]:
            continue
        if caller.group is None or (name in _MATRIX["group_scoped"] and _reaches(operation, caller, place)):
            return None
    return {403}


def _reaches(operation: Operation, caller: Caller, place: Place) -> bool:
    """Tell whether a role on the caller's group counts: the request is about ``home``, or filtered."""
    # A CRN names the instance, whatever group the caller's role is on.
    filtered = "{" not in operation.path.replace("{crn}", "") and operation.name != "create_secret"
    by_job = "/jobs/" in operation.path
    return caller.group == place.home or filtered or by_job


def _fill(operation: Operation, place: Place) -> str:
    known = {"secret_group_name": "home", "secret_type": "arbitrary", "name": f"in-{place.home}"}
    path = operation.path
    if "/secrets/{id}" in path:
        known["id"] = place.secret(place.home)
    elif "/secrets/{secret_id}" in path:
        known |= {"secret_id": place.secret(place.home), "id": "current"}
    elif "/secret_groups/{id}" in path:
        known["id"] = place.home
    elif "/secret_groups/{secret_group_name}" in path:
        place.secret(place.home)
    return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], _UNKNOWN), path)


def _body(operation: Operation, place: Place) -> Any:
    if operation.name == "create_secret":
        return {"secret_type": "arbitrary", "name": "new", "secret_group_id": place.home, "payload": "x"}
    return {} if operation.method in {"POST", "PUT", "PATCH"} else None


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_answers_each_caller_as_the_matrix_says(operation: Operation, place: Place) -> None:
    wrong = []
    for caller in place.callers:
        path = _fill(operation, place)
        headers = {"content-type": operation.media_types[0]} if operation.method in {"POST", "PUT", "PATCH"} else {}
        answer = place.server.request(
            operation.method, path, _body(operation, place), headers=headers, token=caller.token
        )
        expected = _expected(operation, caller, place)
        ok = answer.status in expected if expected is not None else answer.status not in {401, 403}
        if not ok or answer.status >= 500:
            wrong.append(f"{caller.name}: {answer.status}, expected {expected or 'neither 401 nor 403'}")
    assert not wrong, "\n".join([operation.name, *wrong])


def test_every_action_of_the_matrix_is_known() -> None:
    assert set(_MATRIX["roles_of_action"]) <= {action.value for action in Action}
