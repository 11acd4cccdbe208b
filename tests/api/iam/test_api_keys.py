"""/v1/apikeys"""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.iam.conftest import Server


def create(server: Server, iam_id: str, **more: object) -> dict[str, Any]:
    answer = server.call("POST", "/v1/apikeys", {"name": "example", "iam_id": iam_id, **more})
    assert answer.status == 201, answer.raw
    made: dict[str, Any] = answer.json
    return made


def test_a_key_is_shown_in_the_answer_to_its_creation_only(server: Server) -> None:
    made, _ = server.identity("owner")
    key = create(server, made.iam_id, description="text", allowed_networks=["192.0.2.0/24"])
    assert key["id"].startswith("ApiKey-")
    assert server.world.log_in(key["apikey"])
    shown = server.call("GET", f"/v1/apikeys/{key['id']}").json
    assert shown["apikey"] == ""
    assert shown["last_used_at"] is not None
    assert {**shown, "apikey": key["apikey"], "last_used_at": None} == key
    assert key["apikey"] not in server.call("GET", f"/v1/apikeys?iam_id={made.iam_id}").raw.decode()


def test_everybody_manages_keys_of_their_own(server: Server) -> None:
    made, token = server.identity("owner")
    answer = server.call("POST", "/v1/apikeys", {"name": "own", "iam_id": made.iam_id}, token=token)
    assert answer.status == 201
    own = server.call("GET", "/v1/apikeys", token=token).json["apikeys"]
    assert {item["iam_id"] for item in own} == {made.iam_id}
    assert answer.json["id"] in {item["id"] for item in own}
    assert server.call("GET", f"/v1/apikeys/{answer.json['id']}", token=token).status == 200
    assert server.call("DELETE", f"/v1/apikeys/{answer.json['id']}", token=token).status == 204


def test_keys_of_others_are_403_existing_or_not(server: Server) -> None:
    made, _ = server.identity("owner")
    key = create(server, made.iam_id)
    _, token = server.identity("stranger")
    for method, path, body in (
        ("POST", "/v1/apikeys", {"name": "x", "iam_id": made.iam_id}),
        ("GET", f"/v1/apikeys?iam_id={made.iam_id}", None),
        ("GET", "/v1/apikeys?scope=account", None),
        ("GET", f"/v1/apikeys/{key['id']}", None),
        ("GET", "/v1/apikeys/ApiKey-none", None),
        ("DELETE", f"/v1/apikeys/{key['id']}", None),
    ):
        assert server.call(method, path, body, token=token).status == 403, (method, path)


def test_an_administrator_lists_the_keys_of_all(server: Server) -> None:
    made, _ = server.identity("owner")
    body = server.call("GET", "/v1/apikeys?scope=account").json
    assert made.iam_id in {item["iam_id"] for item in body["apikeys"]}
    assert len(server.call("GET", "/v1/apikeys?scope=account&type=serviceid").json["apikeys"]) == len(body["apikeys"])
    assert server.call("GET", "/v1/apikeys?scope=account&type=user").json["apikeys"] == []


def test_a_key_is_found_by_its_text(server: Server) -> None:
    made, token = server.identity("owner")
    key = create(server, made.iam_id)
    found = server.call("GET", "/v1/apikeys/details", headers={"IAM-ApiKey": key["apikey"]}, token=token)
    assert (found.status, found.json["id"]) == (200, key["id"])
    assert server.call("GET", "/v1/apikeys/details", headers={"IAM-ApiKey": "sr_none"}).status == 404
    assert server.call("GET", "/v1/apikeys/details").error["target"]["name"] == "IAM-ApiKey"


def test_update_disable_and_lock(server: Server) -> None:
    made, _ = server.identity("owner")
    key = create(server, made.iam_id, expires_at="2030-01-31T12:00:00Z")
    path = f"/v1/apikeys/{key['id']}"
    answer = server.call("PUT", path, {"name": "new", "expires_at": ""}, headers={"If-Match": key["entity_tag"]})
    assert (answer.status, answer.json["name"], answer.json["expires_at"]) == (200, "new", None)
    stale = server.call("PUT", path, {"name": "old"}, headers={"If-Match": key["entity_tag"]})
    assert stale.status == 409
    for suffix, member in (("disable", "disabled"), ("lock", "locked")):
        assert server.call("POST", f"{path}/{suffix}").status == 204
        assert server.call("GET", path).json[member] is True
        assert server.call("DELETE", f"{path}/{suffix}").status == 204
        assert server.call("GET", path).json[member] is False
    assert server.call("DELETE", path).status == 204
    assert server.call("GET", path).status == 404


def test_a_key_may_be_made_disabled_and_locked(server: Server) -> None:
    made, _ = server.identity("owner")
    headers = {"Entity-Lock": "true", "Entity-Disable": "true"}
    answer = server.call("POST", "/v1/apikeys", {"name": "x", "iam_id": made.iam_id}, headers=headers)
    assert (answer.json["disabled"], answer.json["locked"]) == (True, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "iam_id"),
        ({"iam_id": "OWN"}, "name"),
        ({"name": "x", "iam_id": "IBMid-none"}, "iam_id"),
        ({"name": "x", "iam_id": "OWN", "apikey": "y" * 40}, "apikey"),
        ({"name": "x", "iam_id": "OWN", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "iam_id": "OWN", "allowed_networks": ["10.0.0.1/8"]}, "allowed_networks[0]"),
        ({"name": "x", "iam_id": "OWN", "account_id": "other"}, "account_id"),
    ],
)
def test_a_bad_body_is_400_by_its_field(server: Server, body: dict[str, Any], field: str) -> None:
    made, _ = server.identity("owner")
    sent = {name: made.iam_id if value == "OWN" else value for name, value in body.items()}
    answer = server.call("POST", "/v1/apikeys", sent)
    assert (answer.status, answer.error["target"]["name"]) == (400, field)


def test_too_many_keys_are_400(server: Server) -> None:
    made, _ = server.identity("owner")
    for _ in range(server.world.limits.api_keys_per_identity - 1):
        server.world.key_of(made.iam_id)
    answer = server.call("POST", "/v1/apikeys", {"name": "x", "iam_id": made.iam_id})
    assert (answer.status, answer.error["code"]) == (400, "limit_reached")
    assert "reached the maximum" in answer.error["message"]
