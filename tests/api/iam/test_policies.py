"""/v1/policies, /v2/policies and /v2/roles"""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.domain.access.actions import PLATFORM_ROLES, Role
from tests.api.iam.conftest import URL, Server
from tests.factories.identities import policy_body


def v2_body(subject: str, role: str = "Reader") -> dict[str, Any]:
    return {
        "type": "access",
        "control": {"grant": {"roles": [{"role_id": f"crn:v1:bluemix:public:iam::::serviceRole:{role}"}]}},
        "subject": {"attributes": [{"key": "iam_id", "operator": "stringEquals", "value": subject}]},
        "resource": {"attributes": [{"key": "serviceName", "operator": "stringEquals", "value": "secrets-manager"}]},
    }


def test_create_get_replace_and_delete_version_1(server: Server) -> None:
    made, token = server.identity("subject")
    body = policy_body(made.iam_id, Role.READER, group="default")
    answer = server.call("POST", "/v1/policies", {**body, "description": "text"})
    assert answer.status == 201
    policy = answer.json
    path = f"/v1/policies/{policy['id']}"
    assert policy["href"] == f"{URL}{path}"
    assert (policy["state"], policy["description"]) == ("active", "text")
    assert policy["subjects"] == body["subjects"]
    assert policy["resources"] == body["resources"]
    assert server.call("GET", path).json == policy
    assert server.call("GET", path).etag == answer.etag

    replaced = policy_body(made.iam_id, Role.ADMINISTRATOR)
    assert server.call("PUT", path, replaced).error["code"] == "precondition_required"
    assert server.call("GET", "/v2/roles", token=token).status == 403
    changed = server.call("PUT", path, replaced, headers={"If-Match": answer.etag})
    assert changed.status == 200
    assert server.call("GET", "/v2/roles", token=token).status == 200
    assert server.call("PUT", path, replaced, headers={"If-Match": answer.etag}).status == 409

    state = server.call("PATCH", path, {"state": "active"}, headers={"If-Match": changed.etag})
    assert (state.status, state.json["state"]) == (200, "active")
    gone = server.call("PATCH", path, {"state": "deleted"}, headers={"If-Match": changed.etag})
    assert (gone.status, gone.error["target"]["name"]) == (400, "state")

    assert server.call("DELETE", path).status == 204
    assert server.call("GET", path).status == 404
    assert server.call("GET", "/v2/roles", token=token).status == 403


def test_create_get_replace_and_delete_version_2(server: Server) -> None:
    made, _ = server.identity("subject")
    answer = server.call("POST", "/v2/policies", v2_body(made.iam_id))
    assert answer.status == 201
    policy = answer.json
    path = f"/v2/policies/{policy['id']}"
    for member in ("control", "subject", "resource"):
        assert policy[member] == v2_body(made.iam_id)[member]
    assert server.call("GET", path).json == policy
    shown = server.call("GET", f"{path}?format=display").json["control"]["grant"]["roles"][0]
    assert shown["display_name"] == "Reader"
    assert {"id", "display_name", "description"} == set(shown["actions"][0])
    body = v2_body(made.iam_id, "Writer")
    changed = server.call("PUT", path, body, headers={"If-Match": answer.etag})
    assert changed.json["control"] == body["control"]
    assert server.call("DELETE", path).status == 204


def test_each_version_shows_policies_of_the_other(server: Server) -> None:
    made, _ = server.identity("subject")
    one = server.call("POST", "/v1/policies", policy_body(made.iam_id, Role.READER)).json["id"]
    two = server.call("POST", "/v2/policies", v2_body(made.iam_id)).json["id"]
    for version, member in (("v1", "roles"), ("v2", "control")):
        body = server.call("GET", f"/{version}/policies?account_id=default&iam_id={made.iam_id}").json
        assert {item["id"] for item in body["policies"]} == {one, two}
        assert all(member in item for item in body["policies"])


def test_pages_follow_each_other_by_start(server: Server) -> None:
    made, _ = server.identity("subject")
    for _ in range(3):
        server.world.grant(made.iam_id, Role.READER)
    seen: list[str] = []
    query = ""
    while True:
        body = server.call("GET", f"/v1/policies?limit=2&iam_id={made.iam_id}{query}").json
        seen += [item["id"] for item in body["policies"]]
        if "next" not in body:
            break
        assert f"start={body['next']['start']}" in body["next"]["href"]
        query = f"&start={body['next']['start']}"
    assert "start" in body["previous"]
    assert len(set(seen)) == 3


@pytest.mark.parametrize("query", ["type=authorization", "state=deleted", "service_name=kms", "access_group_id=none"])
def test_filters_that_match_nothing_answer_nothing(server: Server, query: str) -> None:
    assert server.call("GET", f"/v2/policies?{query}").json["policies"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("account_id=other", "account_id"),
        ("limit=0", "limit"),
        ("start=x", "start"),
        ("iam_id=a&access_group_id=b", "access_group_id"),
    ],
)
def test_a_bad_query_is_400_by_its_parameter(server: Server, query: str, field: str) -> None:
    answer = server.call("GET", f"/v1/policies?{query}")
    assert (answer.status, answer.error["target"]["name"]) == (400, field)


def test_what_cannot_be_kept_is_400_by_name(server: Server) -> None:
    made, _ = server.identity("subject")
    body = policy_body(made.iam_id, Role.READER)
    body["resources"] = [{"attributes": [{"name": "resourceGroupId", "value": "x"}]}]
    answer = server.call("POST", "/v1/policies", body)
    assert answer.status == 400
    assert "resourceGroupId" in answer.error["message"]
    answer = server.call("POST", "/v2/policies", {**v2_body(made.iam_id), "rule": {"key": "time"}})
    assert (answer.status, answer.error["target"]["name"]) == (400, "rule")


def test_unknown_subjects_and_groups_are_400_by_name(server: Server) -> None:
    answer = server.call("POST", "/v1/policies", policy_body("iam-ServiceId-none", Role.READER))
    assert (answer.status, "iam-ServiceId-none" in answer.error["message"]) == (400, True)
    made, _ = server.identity("subject")
    answer = server.call("POST", "/v1/policies", policy_body(made.iam_id, Role.READER, group="nowhere"))
    assert (answer.status, "nowhere" in answer.error["message"]) == (400, True)


def test_the_last_administrator_is_not_demoted(server: Server) -> None:
    (policy,) = server.call("GET", "/v1/policies").json["policies"]
    assert server.call("DELETE", f"/v1/policies/{policy['id']}").error["code"] == "last_administrator"


def test_every_role_is_listed_with_what_it_allows(server: Server) -> None:
    body = server.call("GET", "/v2/roles?service_name=secrets-manager").json
    assert {item["display_name"] for item in body["system_roles"]} == set(PLATFORM_ROLES)
    assert {item["display_name"] for item in body["service_roles"]} == set(Role) - PLATFORM_ROLES
    reader = next(item for item in body["service_roles"] if item["display_name"] == "Reader")
    assert "secrets-manager.secrets.list" in reader["actions"]
    assert server.call("GET", "/v2/roles?service_name=kms").json["service_roles"] == []
    assert server.call("GET", "/v2/roles?account_id=other").status == 400
