"""/identity/users"""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.iam.conftest import Server

PASSWORD = "correct horse battery"


def create(server: Server, name: str = "operator", **more: object) -> dict[str, Any]:
    answer = server.call("POST", "/identity/users", {"name": name, **more})
    assert answer.status == 201, answer.raw
    assert PASSWORD not in answer.raw.decode()
    made: dict[str, Any] = answer.json
    return made


def test_create_change_and_delete(server: Server) -> None:
    made = create(server, email="operator@example.com", password=PASSWORD)
    path = f"/identity/users/{made['iam_id']}"
    assert made["iam_id"].startswith("IBMid-")
    assert (made["origin"], made["state"], made["last_login_at"]) == ("local", "active", None)
    assert server.call("GET", path).json == made
    changed = server.call("PATCH", path, {"email": None, "state": "disabled"})
    assert (changed.status, changed.json["email"], changed.json["state"]) == (200, None, "disabled")
    headers = {"content-type": "application/merge-patch+json"}
    assert server.call("PATCH", path, {"name": "new"}, headers=headers).json["name"] == "new"
    assert server.call("DELETE", path).status == 204
    assert server.call("GET", path).status == 404


def test_users_are_listed_in_the_frame_of_the_extensions(server: Server) -> None:
    for n in range(3):
        create(server, f"user-{n}")
    body = server.call("GET", "/identity/users?limit=2").json
    assert (body["total_count"], body["limit"], body["offset"], len(body["users"])) == (3, 2, 0, 2)
    assert set(body) >= {"first", "last", "next"}


def test_a_taken_name_is_409(server: Server) -> None:
    create(server)
    assert server.call("POST", "/identity/users", {"name": "operator"}).status == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"name": "x", "email": "x"}, "email"), ({"name": "x", "password": "short"}, "password")],
)
def test_a_bad_body_is_400_by_its_field(server: Server, body: dict[str, Any], field: str) -> None:
    answer = server.call("POST", "/identity/users", body)
    assert (answer.status, answer.error["target"]["name"]) == (400, field)


@pytest.mark.parametrize(
    ("body", "field"), [({"name": None}, "name"), ({"state": None}, "state"), ({"state": "gone"}, "state")]
)
def test_a_bad_change_is_400_by_its_field(server: Server, body: dict[str, Any], field: str) -> None:
    made = create(server)
    answer = server.call("PATCH", f"/identity/users/{made['iam_id']}", body)
    assert (answer.status, answer.error["target"]["name"]) == (400, field)
