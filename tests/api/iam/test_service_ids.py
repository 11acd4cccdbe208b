"""/v1/serviceids"""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.audit.record import AuditQuery, AuditRecord
from tests.api.iam.conftest import Server
from tests.factories.identities import INSTANCE


def create(server: Server, name: str = "example", **more: object) -> dict[str, Any]:
    answer = server.call("POST", "/v1/serviceids/", {"name": name, **more})
    assert answer.status == 201, answer.raw
    made: dict[str, Any] = answer.json
    return made


@pytest.mark.parametrize("path", ["/v1/serviceids", "/v1/serviceids/"])
def test_create_answers_in_the_reference_shape(server: Server, path: str) -> None:
    answer = server.call("POST", path, {"name": "example", "description": "text", "unknown": 1})
    assert answer.status == 201
    body = answer.json
    assert body["iam_id"] == f"iam-{body['id']}"
    assert body["crn"].endswith(f"::serviceid:{body['id']}")
    assert answer.etag == f'"{body["entity_tag"]}"'
    assert {name: body[name] for name in ("name", "description", "locked", "account_id")} == {
        "name": "example",
        "description": "text",
        "locked": False,
        "account_id": INSTANCE.account_id,
    }
    assert server.call("GET", f"/v1/serviceids/{body['id']}").json == body


def test_a_key_made_with_it_is_shown_once(server: Server) -> None:
    made = create(server, apikey={"name": "first", "expires_at": "2030-01-31T12:00+0000"})
    assert server.world.log_in(made["apikey"]["apikey"])
    assert made["apikey"]["expires_at"] == "2030-01-31T12:00:00Z"
    assert "apikey" not in server.call("GET", f"/v1/serviceids/{made['id']}").json


@pytest.mark.parametrize("account", [None, "default", INSTANCE.account_id])
def test_our_account_may_be_named_or_left_out(server: Server, account: str | None) -> None:
    create(server, account_id=account)
    query = f"?account_id={account}" if account else ""
    assert server.call("GET", f"/v1/serviceids/{query}").status == 200


def test_another_account_is_400(server: Server) -> None:
    for answer in (
        server.call("POST", "/v1/serviceids/", {"name": "x", "account_id": "other"}),
        server.call("GET", "/v1/serviceids/?account_id=other"),
    ):
        assert (answer.status, answer.error["target"]["name"]) == (400, "account_id")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 1}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "apikey": {"name": ""}}, "apikey.name"),
        ({"name": "x", "apikey": {"name": "y", "apikey": "z" * 32}}, "apikey.apikey"),
        ({"name": "x", "apikey": {"name": "y", "expires_at": "soon"}}, "apikey.expires_at"),
    ],
)
def test_a_bad_body_is_400_by_its_field(server: Server, body: dict[str, object], field: str) -> None:
    answer = server.call("POST", "/v1/serviceids/", body)
    assert (answer.status, answer.error["target"]["name"]) == (400, field)


def test_pages_follow_each_other_by_links(server: Server) -> None:
    names = {create(server, f"example-{n}")["name"] for n in range(5)}
    names_found: list[str] = []
    path = "/v1/serviceids/?pagesize=2&account_id=default"
    sizes = []
    while path:
        body = server.call("GET", path).json
        sizes.append(len(body["serviceids"]))
        names_found += [item["name"] for item in body["serviceids"]]
        assert ("previous" in body) is (body["offset"] > 0)
        path = body.get("next", "").removeprefix("https://strongroom.example.com")
    assert sizes == [2, 2, 2]
    assert names < set(names_found)
    assert len(names_found) == 6


@pytest.mark.parametrize("query", ["pagesize=0", "pagesize=101", "pagesize=x", "pagetoken=x", "filter=name"])
def test_a_bad_query_is_400_by_its_parameter(server: Server, query: str) -> None:
    answer = server.call("GET", f"/v1/serviceids/?{query}")
    assert (answer.status, answer.error["target"]["name"]) == (400, query.partition("=")[0])


def test_the_list_is_filtered_by_name(server: Server) -> None:
    made = create(server, "wanted")
    body = server.call("GET", "/v1/serviceids/?name=wanted").json
    assert [item["id"] for item in body["serviceids"]] == [made["id"]]


def test_update_needs_the_present_version(server: Server) -> None:
    made = create(server)
    path = f"/v1/serviceids/{made['id']}"
    assert server.call("PUT", path, {"name": "new"}).error["code"] == "precondition_required"
    answer = server.call("PUT", path, {"name": "new"}, headers={"If-Match": made["entity_tag"]})
    assert (answer.status, answer.json["name"]) == (200, "new")
    late = server.call("PUT", path, {"name": "other"}, headers={"If-Match": made["entity_tag"]})
    assert (late.status, late.error["code"]) == (409, "stale_version")
    again = server.call("PUT", path, {"description": "text"}, headers={"If-Match": answer.etag})
    assert again.status == 200


def test_lock_and_unlock(server: Server) -> None:
    made = create(server)
    path = f"/v1/serviceids/{made['id']}"
    assert server.call("POST", f"{path}/lock").status == 204
    assert server.call("GET", path).json["locked"] is True
    answer = server.call("DELETE", path)
    assert (answer.status, answer.error["code"]) == (409, "identity_locked")
    assert server.call("DELETE", f"{path}/lock").status == 204
    assert server.call("DELETE", path).status == 204
    assert server.call("GET", path).status == 404


def test_it_may_be_locked_from_the_start(server: Server) -> None:
    answer = server.call("POST", "/v1/serviceids/", {"name": "x"}, headers={"Entity-Lock": "true"})
    assert answer.json["locked"] is True
    answer = server.call("POST", "/v1/serviceids/", {"name": "x"}, headers={"Entity-Lock": "maybe"})
    assert answer.status == 400


def test_the_last_administrator_stays(server: Server) -> None:
    (first,) = server.call("GET", "/v1/serviceids/").json["serviceids"]
    answer = server.call("DELETE", f"/v1/serviceids/{first['id']}")
    assert (answer.status, answer.error["code"]) == (409, "last_administrator")


def found(server: Server, query: AuditQuery) -> list[AuditRecord]:
    return list(server.world.read(lambda unit: unit.audit_trail.page(query))[0])


def test_what_was_done_is_in_the_audit_trail_with_its_target(server: Server) -> None:
    made = create(server)
    server.call("DELETE", f"/v1/serviceids/{made['id']}")
    for action in ("create", "delete"):
        query = AuditQuery(limit=10, action=f"secrets-manager.service-id.{action}", target_id=made["id"])
        assert len(found(server, query)) == 1
