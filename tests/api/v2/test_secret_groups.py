"""Secret groups: create, list, change, delete, and who sees which."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from tests.api.v2.sending import GROUPS, UNKNOWN, code, create, error, field, made, make_group, text
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process


def new(server: InProcess, **members: Any) -> Any:
    """Ask for a new group."""
    return server.request("POST", GROUPS, members)


def change(server: InProcess, group: str, **members: Any) -> Any:
    """Send a patch of a group."""
    return server.request("PATCH", f"{GROUPS}/{group}", members)


def test_a_new_group_has_every_promised_member(server: InProcess) -> None:
    answer = new(server, name="edge", description="certificates of the edge")
    assert answer.status == 201
    group = answer.json
    assert (group["name"], group["description"]) == ("edge", "certificates of the edge")
    assert group["created_at"] == group["updated_at"] == text(START_OF_TESTS)
    assert group["created_by"]
    assert server.request("GET", f"{GROUPS}/{group['id']}").json == group
    assert new(server, name="no-text").json["description"] == ""


def test_the_default_group_is_there_from_the_start_and_stays(server: InProcess) -> None:
    group = server.request("GET", f"{GROUPS}/default").json
    assert (group["id"], group["name"]) == ("default", "default")
    assert code(server.request("DELETE", f"{GROUPS}/default")) == "group_protected"
    answer = change(server, "default", name="other")
    assert (field(answer), code(answer)) == ("name", "group_protected")
    assert change(server, "default", name="default", description="changed").json["description"] == "changed"


def test_groups_are_listed_default_first_then_newest_first(server: InProcess) -> None:
    for name in ("one", "two", "three"):
        make_group(server, name)
        server.clock.advance(timedelta(seconds=1))
    listed = server.request("GET", GROUPS).json
    assert listed["total_count"] == 4
    assert [group["name"] for group in listed["secret_groups"]] == ["default", "three", "two", "one"]


def test_a_patch_changes_what_it_names(server: InProcess) -> None:
    group = new(server, name="edge", description="text").json
    server.clock.advance(timedelta(seconds=5))
    assert change(server, group["id"]).json == group
    changed = change(server, group["id"], name="core").json
    assert (changed["name"], changed["description"]) == ("core", "text")
    assert changed["updated_at"] == text(server.clock.now())
    assert change(server, group["id"], description=None).json["description"] == ""
    assert field(change(server, group["id"], name=None)) == "name"
    assert field(change(server, group["id"], id="other")) == "id"


def test_names_of_groups_are_unique(server: InProcess) -> None:
    make_group(server, "edge")
    other = make_group(server, "core")
    for answer in (new(server, name="edge"), new(server, name="default"), change(server, other, name="edge")):
        assert (field(answer, 409), code(answer, 409)) == ("name", "already_exists")
        assert "already exists" in error(answer, 409)["message"]
    assert change(server, other, name="core").status == 200


@pytest.mark.parametrize("name", ["", "a", "a" * 65, "a b", "-ab", "ab-", "ab\n"])
def test_bad_names_are_refused(shared: InProcess, name: str) -> None:
    assert field(new(shared, name=name)) == "name"
    group = shared.request("GET", GROUPS).json["secret_groups"][0]["id"]
    assert field(change(shared, group, name=name)) == "name"


def test_limits_of_groups(shared: InProcess) -> None:
    assert new(shared, name="g" * 64, description="d" * 1024).status == 201
    assert field(new(shared, name="text", description="d" * 1025)) == "description"
    assert code(new(shared)) == "missing_field"
    assert code(new(shared, name="more", label="x")) == "unknown_field"


def test_a_group_is_deleted_only_when_it_is_empty(server: InProcess) -> None:
    group = make_group(server)
    address = made(create(server, secret_group_id=group))
    answer = server.request("DELETE", f"{GROUPS}/{group}")
    assert code(answer, 409) == "group_not_empty"
    assert "1 secret" in error(answer, 409)["message"]
    server.request("DELETE", address)
    assert server.request("DELETE", f"{GROUPS}/{group}").status == 204
    assert server.request("GET", f"{GROUPS}/{group}").status == 404
    assert field(create(server, secret_group_id=group)) == "secret_group_id"


def test_unknown_groups_are_not_found(shared: InProcess) -> None:
    for group in (UNKNOWN, "nonsense"):
        for method in ("GET", "PATCH", "DELETE"):
            body = {"name": "new"} if method == "PATCH" else None
            assert code(shared.request(method, f"{GROUPS}/{group}", body), 404) == "not_found"


def test_the_number_of_groups_is_limited(data_dir: Any, clock: Any) -> None:
    with in_process(data_dir, clock, limits={"secret_groups": 2}) as server:
        one = make_group(server, "one")
        make_group(server, "two")
        answer = new(server, name="three")
        assert code(answer) == "limit_reached"
        assert "reached the maximum" in error(answer)["message"]
        server.request("DELETE", f"{GROUPS}/{one}")
        assert new(server, name="three").status == 201


def test_two_hundred_groups_are_the_default_limit(server: InProcess) -> None:
    for number in range(200):
        make_group(server, f"group-{number}")
    assert "maximum of 200" in error(new(server, name="one-more"))["message"]
    assert server.request("GET", GROUPS).json["total_count"] == 201


def test_callers_see_the_groups_they_have_a_role_on(server: InProcess) -> None:
    mine, other = make_group(server, "mine"), make_group(server, "other")
    token = server.login_with(Role.READER, group=mine)
    listed = server.request("GET", GROUPS, token=token).json
    assert ([group["id"] for group in listed["secret_groups"]], listed["total_count"]) == ([mine], 1)
    assert server.request("GET", f"{GROUPS}/{mine}", token=token).status == 200
    assert server.request("GET", f"{GROUPS}/{other}", token=token).status == 403
    assert server.request("GET", f"{GROUPS}/{UNKNOWN}", token=token).status == 404


def test_managers_of_one_group_cannot_change_groups(server: InProcess) -> None:
    mine = make_group(server, "mine")
    token = server.login_with(Role.MANAGER, group=mine)
    for method, path in (("POST", GROUPS), ("PATCH", f"{GROUPS}/{mine}"), ("DELETE", f"{GROUPS}/{mine}")):
        body = None if method == "DELETE" else {"name": "new"}
        assert server.request(method, path, body, token=token).status == 403


def test_policies_on_a_deleted_group_go_with_it(server: InProcess) -> None:
    group = make_group(server)
    token = server.login_with(Role.READER, group=group)
    assert server.request("GET", GROUPS, token=token).status == 200
    assert server.request("DELETE", f"{GROUPS}/{group}").status == 204
    policies = server.request("GET", "/v1/policies").json["policies"]
    assert group not in str(policies)
    assert server.request("GET", GROUPS, token=token).status == 403
