"""/v2/groups"""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from tests.api.iam.conftest import URL, Server


def create(server: Server, name: str = "readers", **more: object) -> dict[str, Any]:
    answer = server.call("POST", "/v2/groups?account_id=default", {"name": name, **more})
    assert answer.status == 201, answer.raw
    made: dict[str, Any] = answer.json
    return made


def test_create_change_and_delete(server: Server) -> None:
    made = create(server, description="text", oidc_groups=["staff"])
    path = f"/v2/groups/{made['id']}"
    assert made["href"] == f"{URL}{path}"
    assert made["is_federated"] is True
    shown = server.call("GET", path)
    assert shown.json == made
    assert server.call("PATCH", path, {"name": "new"}).error["code"] == "precondition_required"
    changed = server.call("PATCH", path, {"name": "new", "oidc_groups": []}, headers={"If-Match": shown.etag})
    assert (changed.status, changed.json["name"], changed.json["oidc_groups"]) == (200, "new", [])
    assert server.call("PATCH", path, {"name": "old"}, headers={"If-Match": shown.etag}).status == 409
    assert server.call("DELETE", path).status == 204
    assert server.call("GET", path).status == 404


def test_a_taken_name_is_409(server: Server) -> None:
    create(server)
    answer = server.call("POST", "/v2/groups", {"name": "readers"})
    assert (answer.status, "already exists" in answer.error["message"]) == (409, True)


def test_members_join_and_leave_with_an_outcome_each(server: Server) -> None:
    group = create(server)
    member, token = server.identity("member")
    path = f"/v2/groups/{group['id']}/members"
    server.world.grant(group["id"], Role.ADMINISTRATOR)
    assert server.call("GET", "/v2/groups", token=token).status == 403
    members = [{"iam_id": member.iam_id, "type": "service"}, {"iam_id": "IBMid-none", "type": "user"}]
    answer = server.call("PUT", path, {"members": members})
    assert answer.status == 207
    assert [item["status_code"] for item in answer.json["members"]] == [200, 404]
    assert answer.json["members"][1]["errors"][0]["code"] == "not_found"
    assert server.call("GET", "/v2/groups", token=token).status == 200

    listed = server.call("GET", path).json
    assert listed["total_count"] == 1
    assert (listed["members"][0]["iam_id"], listed["members"][0]["name"]) == (member.iam_id, "member")
    assert [g["id"] for g in server.call("GET", f"/v2/groups?iam_id={member.iam_id}").json["groups"]] == [group["id"]]

    refused = server.call("DELETE", f"/v2/groups/{group['id']}")
    assert (refused.status, refused.error["code"]) == (409, "group_not_empty")
    answer = server.call("POST", f"{path}/delete", {"members": [member.iam_id, "IBMid-none"]})
    assert answer.status == 207
    assert answer.json["access_group_id"] == group["id"]
    assert [item["status_code"] for item in answer.json["members"]] == [200, 404]
    assert server.call("GET", "/v2/groups", token=token).status == 403


def test_one_member_leaves(server: Server) -> None:
    group = create(server)
    member, _ = server.identity("member")
    path = f"/v2/groups/{group['id']}/members"
    server.call("PUT", path, {"members": [{"iam_id": member.iam_id, "type": "service"}]})
    assert server.call("DELETE", f"{path}/{member.iam_id}").status == 204
    assert server.call("DELETE", f"{path}/{member.iam_id}").status == 404


def test_a_group_with_members_is_deleted_by_force(server: Server) -> None:
    group = create(server)
    member, _ = server.identity("member")
    server.call("PUT", f"/v2/groups/{group['id']}/members", {"members": [{"iam_id": member.iam_id, "type": "service"}]})
    assert server.call("DELETE", f"/v2/groups/{group['id']}?force=true").status == 204


def test_pages_follow_each_other_by_offset(server: Server) -> None:
    for n in range(5):
        create(server, f"group-{n}")
    first = server.call("GET", "/v2/groups?limit=2").json
    assert (first["total_count"], first["limit"], first["offset"]) == (5, 2, 0)
    assert "offset=2" in first["next"]["href"]
    assert "offset=4" in first["last"]["href"]
    assert "previous" not in first
    last = server.call("GET", "/v2/groups?limit=2&offset=4").json
    assert len(last["groups"]) == 1
    assert "next" not in last
    assert "offset=2" in last["previous"]["href"]


def test_groups_are_searched(server: Server) -> None:
    create(server, "one")
    create(server, "two", description="for EXAMPLE")
    assert [item["name"] for item in server.call("GET", "/v2/groups?search=example").json["groups"]] == ["two"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", "/v2/groups?limit=0", None, "limit"),
        ("GET", "/v2/groups?account_id=other", None, "account_id"),
        ("POST", "/v2/groups?account_id=other", {"name": "x"}, "account_id"),
        ("POST", "/v2/groups", {}, "name"),
        ("PUT", "/v2/groups/none/members", {"members": [{"iam_id": "x", "type": "robot"}]}, "members[0].type"),
        ("PUT", "/v2/groups/none/members", {"members": []}, "members"),
        ("POST", "/v2/groups/none/members/delete", {}, "members"),
        ("DELETE", "/v2/groups/none?force=maybe", None, "force"),
    ],
)
def test_a_bad_request_is_400_by_its_field(server: Server, method: str, path: str, body: Any, field: str) -> None:
    answer = server.call(method, path, body)
    assert (answer.status, answer.error["target"]["name"]) == (400, field)
