"""Who may not: every identity operation, for every kind of caller."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strongroom.api.iam.table import OPERATIONS
from strongroom.api.operations import Operation
from strongroom.domain.access.actions import Action, Role
from tests.api.iam.conftest import Server

GUARDED = [operation for operation in OPERATIONS if operation.action != "public"]
MANAGED = [operation for operation in GUARDED if operation.action is Action.IDENTITY_MANAGE]
NOT_ENOUGH = [role for role in Role if role is not Role.ADMINISTRATOR]


def path_of(operation: Operation) -> str:
    return operation.path.replace("{id}", "none").replace("{iam_id}", "IBMid-none")


def name_of(operation: Operation) -> str:
    return operation.name


def test_only_the_token_endpoint_and_its_keys_are_public() -> None:
    public = {operation.path for operation in OPERATIONS if operation.action == "public"}
    assert public == {"/identity/token", "/identity/keys"}


def test_operation_names_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("operation", GUARDED, ids=name_of)
def test_a_request_without_a_usable_token_is_401(server: Server, operation: Operation) -> None:
    expired = server.world.log_in(server.world.administrator_key)
    server.world.clock.advance(timedelta(hours=1))
    for token, code in ((None, "token_missing"), ("nonsense", "token_invalid"), (expired, "token_expired")):
        answer = server.call(operation.method, path_of(operation), {}, token=token)
        assert (answer.status, answer.error["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("operation", MANAGED, ids=name_of)
def test_every_role_but_administrator_is_403(server: Server, operation: Operation) -> None:
    _, token = server.identity("almost", *NOT_ENOUGH)
    answer = server.call(operation.method, path_of(operation), {}, token=token)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")


def test_a_manager_of_one_group_administers_nothing(server: Server) -> None:
    _, token = server.identity("local", Role.MANAGER, group="default")
    assert server.call("GET", "/v1/serviceids/", token=token).status == 403


def test_a_disabled_key_is_401_at_once(server: Server) -> None:
    made, token = server.identity("other")
    keys = server.call("GET", f"/v1/apikeys?iam_id={made.iam_id}").json["apikeys"]
    assert server.call("GET", "/v1/apikeys", token=token).status == 200
    assert server.call("POST", f"/v1/apikeys/{keys[0]['id']}/disable").status == 204
    answer = server.call("GET", "/v1/apikeys", token=token)
    assert (answer.status, answer.error["code"]) == (401, "token_invalid")


def test_an_address_that_the_key_does_not_allow_is_401(server: Server) -> None:
    key = server.world.key_of(server.world.service_id().iam_id, allowed_networks=("192.0.2.0/24",))
    token = server.world.log_in(key)
    assert server.call("GET", "/v1/apikeys", token=token).status == 200
    server.address = "198.51.100.1"
    answer = server.call("GET", "/v1/apikeys", token=token)
    assert (answer.status, answer.error["code"]) == (401, "address_not_allowed")
    refused = server.form({"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key})
    assert (refused.status, refused.json["errorCode"]) == (401, "address_not_allowed")


def test_authorisation_comes_before_the_body(server: Server) -> None:
    _, token = server.identity("reader", Role.READER)
    answer = server.call("POST", "/v1/serviceids/", raw=b"{", token=token)
    assert answer.status == 403
