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
from tests.api.authorities import (
    CONFIGURATIONS,
    EVALUATE,
    FILES,
    REVOKE,
    SECRETS,
    SHORT_FILES,
    TEMPLATES,
    create_certificate,
    create_intermediate,
    create_template,
    make_tree,
)
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

_MATRIX: Final = json.loads((Path(__file__).parent.parent / "assets" / "action-matrix.json").read_text())
_CERTIFICATE: Final = {"secret_type": "private_cert", "certificate_template": "leaves", "common_name": "localhost"}
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
    """A server with a secret in each of two groups, certificate authorities, and every kind of caller."""

    server: InProcess
    home: str
    away: str
    callers: list[Caller]

    def token(self, name: str) -> str | None:
        """Return the token of the caller of this name."""
        return next(caller.token for caller in self.callers if caller.name == name)

    def secret(self, group: str) -> str:
        """Return the id of the group's secret, making it anew if a test has deleted it."""
        answer = self.server.request("GET", f"/api/v2/secrets?groups={group}&search=in-{group}&limit=1")
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
        # Whoever may delete groups does, in any order of the tests: these two are never empty.
        for number, group in enumerate((home, away)):
            stays = {"secret_type": "arbitrary", "name": f"stays-{number}", "secret_group_id": group, "payload": "x"}
            assert server.request("POST", "/api/v2/secrets", stays).status == 201
        make_tree(server)
        assert create_intermediate(server, "waiting").status == 201
        for name, group in (("for-home", home), ("for-away", away)):
            assert create_template(server, name, allowed_secret_groups=group).status == 201
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
    # Jobs with and without a secret are two actions; the operations name the first and check both. Orders and renewals
    # are always about secrets.
    names = {action.value}
    if operation.name in {"list_jobs", "get_job"}:
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
    in_body = operation.name in {"create_secret", "evaluate_certificate"}
    filtered = "{" not in operation.path.replace("{crn}", "") and not in_body
    by_job = "/jobs/" in operation.path or "/orders/" in operation.path
    # Configurations belong to no group: a role on any of them lets ask for zones.
    in_any = operation.name == "list_configuration_zones"
    return caller.group == place.home or filtered or by_job or in_any


def _fill(operation: Operation, place: Place) -> str:
    known = {"secret_group_name": "home", "secret_type": "arbitrary", "name": f"in-{place.home}"}
    path = operation.path
    if "/secrets/{id}" in path:
        known["id"] = place.secret(place.home)
    elif "/secrets/{secret_id}" in path:
        known |= {"secret_id": place.secret(place.home), "id": "current"}
    elif "/configurations/{name}" in path:
        known["name"] = "leaves"
    elif "/secret_groups/{id}" in path:
        known["id"] = place.home
    elif "/secret_groups/{secret_group_name}" in path:
        place.secret(place.home)
    return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], _UNKNOWN), path)


def _body(operation: Operation, place: Place) -> Any:
    if operation.name == "create_secret":
        return {"secret_type": "arbitrary", "name": "new", "secret_group_id": place.home, "payload": "x"}
    if operation.name == "evaluate_certificate":
        return {**_CERTIFICATE, "secret_group_id": place.home}
    if operation.name == "delete_configuration":
        # Whoever may delete it finds it in use.
        _keep_in_use(place)
    return {} if operation.method in {"POST", "PUT", "PATCH"} else None


def _keep_in_use(place: Place) -> None:
    answer = create_certificate(place.server, "in-use")
    assert answer.status in (201, 409), answer.raw


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


# --- certificate authorities and templates

_ON_INSTANCE: Final = ("Reader", "Writer", "Manager")
_ON_A_GROUP: Final = tuple(f"{role} on {group}" for role in _ON_INSTANCE for group in ("home", "away"))


def _names(answer: Answer, member: str) -> set[str]:
    assert answer.status == 200, answer.raw
    return {item["name"] for item in answer.json[member]}


def _ask(place: Place, caller: str, method: str, path: str, body: Any = None, *, extensions: bool = False) -> Answer:
    headers = {"X-Strongroom-Extensions": "1"} if extensions else {}
    return place.server.request(method, path, body, headers=headers, token=place.token(caller))


def _make_certificate(place: Place, group: str) -> str:
    name = f"certificate-{len(place.server.request('GET', SECRETS).json['secrets'])}"
    answer = create_certificate(place.server, name, secret_group_id=group)
    assert answer.status == 201, answer.raw
    return f"{SECRETS}/{answer.json['id']}"


@pytest.mark.parametrize("caller", _ON_A_GROUP)
def test_a_role_on_a_group_lists_no_configurations_but_the_templates_of_the_group(place: Place, caller: str) -> None:
    refused = _ask(place, caller, "GET", CONFIGURATIONS)
    assert refused.status == 403
    assert b"leaves" not in refused.raw

    listed = _ask(place, caller, "GET", CONFIGURATIONS, extensions=True)

    home = caller.endswith("home")
    assert _names(listed, "configurations") == {"leaves", "for-home" if home else "for-away"}
    assert listed.json["total_count"] == 2
    for query in ("?search=root", "?secret_types=iam_credentials", f"?search={'for-away' if home else 'for-home'}"):
        assert _ask(place, caller, "GET", CONFIGURATIONS + query, extensions=True).json["total_count"] == 0


@pytest.mark.parametrize("caller", ["SecretsReader on home", "SecretsReader", "Administrator", "no role"])
def test_who_lists_nothing_lists_no_configurations_with_the_header_either(place: Place, caller: str) -> None:
    assert _ask(place, caller, "GET", CONFIGURATIONS, extensions=True).status == 403


@pytest.mark.parametrize("caller", _ON_INSTANCE)
def test_a_role_on_the_instance_lists_all_configurations_without_their_inside(place: Place, caller: str) -> None:
    listed = _ask(place, caller, "GET", CONFIGURATIONS)

    assert _names(listed, "configurations") == {"root", "issuing", "waiting", "leaves", "for-home", "for-away"}
    assert b"BEGIN" not in listed.raw
    assert b"max_ttl" not in listed.raw


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        ("Writer on home", {"leaves", "for-home"}),
        ("Manager on home", {"leaves", "for-home"}),
        ("Writer on away", {"leaves", "for-away"}),
        ("Writer", {"leaves", "for-home", "for-away"}),
        ("Manager", {"leaves", "for-home", "for-away"}),
    ],
)
def test_templates_are_shown_to_those_who_may_issue_with_them(place: Place, caller: str, seen: set[str]) -> None:
    answer = _ask(place, caller, "GET", TEMPLATES)

    assert _names(answer, "certificate_templates") == seen
    assert answer.json["total_count"] == len(seen)
    for shown in answer.json["certificate_templates"]:
        assert shown.keys() == {"name", "certificate_authority", "allowed_secret_groups", "rules"}
        assert not {"created_by", "created_at", "config_type", "name"} & shown["rules"].keys()


@pytest.mark.parametrize("caller", ["Reader", "SecretsReader", "Reader on home", "SecretsReader on home", "Operator"])
def test_templates_are_not_shown_to_those_who_create_nothing(place: Place, caller: str) -> None:
    assert _ask(place, caller, "GET", TEMPLATES).status == 403


def test_nothing_is_evaluated_for_a_group_of_others(place: Place) -> None:
    """Whatever else the body says, the refusal is the same."""
    refusals = set()
    for group in (place.away, _UNKNOWN, "default"):
        for changed in ({}, {"certificate_template": "nobody"}, {"certificate_template": "for-away"}, {"ttl": "x"}):
            body = {**_CERTIFICATE, **changed, "secret_group_id": group}
            answer = _ask(place, "Writer on home", "POST", EVALUATE, body)
            assert answer.status == 403, answer.raw
            refusals.add(json.dumps(answer.json["errors"]))
    assert len(refusals) == 1
    # No group is the default group.
    assert _ask(place, "Writer on home", "POST", EVALUATE, _CERTIFICATE).status == 403
    assert _ask(place, "Writer", "POST", EVALUATE, _CERTIFICATE).json["allowed"] is True


def test_a_dry_run_for_an_unknown_group_is_refused_as_creating_is(place: Place) -> None:
    for group in (_UNKNOWN, "no-id"):
        body = {**_CERTIFICATE, "name": "unknown-group", "secret_group_id": group}
        for path in (EVALUATE, SECRETS):
            answer = _ask(place, "Manager", "POST", path, body)
            assert answer.status == 400, answer.raw
            assert [item["target"]["name"] for item in answer.json["errors"]] == ["secret_group_id"]


def test_a_dry_run_stores_and_issues_nothing(place: Place) -> None:
    before = place.server.request("GET", SECRETS).json["total_count"]

    answer = _ask(place, "Writer on home", "POST", EVALUATE, {**_CERTIFICATE, "secret_group_id": place.home})

    assert answer.json["allowed"] is True
    assert b"PRIVATE KEY" not in answer.raw
    assert place.server.request("GET", SECRETS).json["total_count"] == before


def test_certificates_are_created_in_own_groups_only(place: Place) -> None:
    for group in (place.away, "default"):
        for template in ("leaves", "for-away", "nobody"):
            answer = create_certificate(
                place.server,
                "refused",
                secret_group_id=group,
                certificate_template=template,
                token=place.token("Writer on home"),
            )
            assert answer.status == 403, answer.raw
    answer = create_certificate(
        place.server, "by-writer", secret_group_id=place.home, token=place.token("Writer on home")
    )
    assert answer.status == 201


@pytest.mark.parametrize("version", ["", "/versions/current"])
def test_revoking_needs_the_role_in_the_group_of_the_certificate(place: Place, version: str) -> None:
    address = _make_certificate(place, place.home) + version
    body = {"action_type": REVOKE}

    for caller in ("Reader", "SecretsReader on home", "Reader on home", "Writer on away", "Manager on away", "no role"):
        assert _ask(place, caller, "POST", f"{address}/actions", body).status == 403, caller
    assert _ask(place, "Writer on home", "POST", f"{address}/actions", body).status == 201


@pytest.mark.parametrize("caller", ["Writer", "Manager on home", "Administrator"])
def test_only_managers_of_the_instance_act_on_authorities(place: Place, caller: str) -> None:
    for action in ("rotate_crl", "rotate_intermediate", "revoke_ca_certificate", "sign_csr", "set_signed"):
        body = {"action_type": f"private_cert_configuration_action_{action}"}
        for name in ("issuing", "nobody"):
            answer = _ask(place, caller, "POST", f"{CONFIGURATIONS}/{name}/actions", body)
            assert answer.status == 403, answer.raw


# --- what everybody may fetch

_PUBLIC_FILES: Final = ("ca", "ca/pem", "ca_chain", "crl", "crl/pem")


@pytest.mark.parametrize("file", _PUBLIC_FILES)
@pytest.mark.parametrize("caller", ["anonymous", "bad token", "expired token", "no role"])
def test_files_of_authorities_need_no_token(place: Place, file: str, caller: str) -> None:
    answer = _ask(place, caller, "GET", f"{FILES}/issuing/{file}")

    assert answer.status == 200
    assert b"PRIVATE KEY" not in answer.raw


@pytest.mark.parametrize("file", _PUBLIC_FILES)
def test_files_of_authorities_have_short_addresses_too(place: Place, file: str) -> None:
    long, short = (_ask(place, "anonymous", "GET", f"{base}/issuing/{file}") for base in (FILES, SHORT_FILES))

    assert (short.status, short.raw) == (200, long.raw)
    assert [short.headers[name] for name in ("content-type", "cache-control")] == [
        long.headers[name] for name in ("content-type", "cache-control")
    ]
    assert _ask(place, "anonymous", "GET", f"{SHORT_FILES}/nobody/{file}").status == 404


@pytest.mark.parametrize("file", _PUBLIC_FILES)
def test_unknown_unsigned_and_other_names_are_told_apart_by_nobody(place: Place, file: str) -> None:
    """A name without a certificate, one of a template and one of nothing have the same answer."""
    answers = [
        _ask(place, "anonymous", "GET", f"{FILES}/{name}/{file}") for name in ("waiting", "leaves", "nobody", _UNKNOWN)
    ]

    assert {answer.status for answer in answers} == {404}
    assert len({json.dumps(answer.json["errors"]) for answer in answers}) == 1
