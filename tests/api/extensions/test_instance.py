"""Operations on the instance: addresses, settings, master key, access."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from strongroom import __version__
from strongroom.domain.access.actions import Role
from strongroom.kernel.clock import FrozenClock
from tests.peers.in_process import InProcess, in_process


def test_endpoints_describe_the_instance(server: InProcess) -> None:
    instance = server.container.store.instance
    body = server.request("GET", "/api/v2/endpoints").json
    assert body["instance_id"] == instance.id
    assert body["crn"] == instance.crn
    assert body["region"] == "local"
    assert body["public"]["service"].startswith("https://")
    assert body["encryption"]["provider"] == "key-file"
    assert body["encryption"]["key_id"]
    assert body["version"] == __version__
    others = {"arbitrary", "kv", "username_password"}
    assert set(body["features"]) == others | {"imported_cert", "private_cert", "public_cert"}


@pytest.mark.parametrize("crn", ["crn:v1:bluemix:public:secrets-manager:local:a/account:instance::", "anything"])
def test_endpoints_are_found_by_a_crn_with_a_slash(server: InProcess, crn: str) -> None:
    # Servers decode the path before the application sees it.
    answer = server.request("GET", unquote(f"/api/v1/instances/{crn}/endpoints"))
    assert answer.json == server.request("GET", "/api/v2/endpoints").json


def test_reader_of_a_group_may_see_the_endpoints(server: InProcess) -> None:
    group = server.request("POST", "/api/v2/secret_groups", {"name": "mine"}).json["id"]
    reader = server.login_with(Role.READER, group=group)
    assert server.request("GET", "/api/v2/endpoints", token=reader).status == 200


def settings_of(server: InProcess) -> dict[str, dict[str, Any]]:
    return {setting["name"]: setting for setting in server.request("GET", "/api/v2/settings").json["settings"]}


def test_settings_say_value_default_and_source(server: InProcess) -> None:
    found = settings_of(server)
    assert found["region"] == {"name": "region", "value": "local", "source": "default", "default": "local"}
    assert found["scheduler_interval"]["value"] == "60s"
    assert found["data_dir"]["source"] != "default"


def test_secret_settings_are_never_shown(data_dir: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, metrics_token="planted-token-91") as server:
        answer = server.request("GET", "/api/v2/settings")
        assert b"planted-token" not in answer.raw
        assert settings_of(server)["metrics_token"]["value"] == "set"


def test_master_key_is_rotated_by_a_job(server: InProcess) -> None:
    body = {"secret_type": "arbitrary", "name": "one", "payload": "kept"}
    secret = server.request("POST", "/api/v2/secrets", body).json
    before = server.request("GET", "/api/v2/endpoints").json["encryption"]["key_id"]
    started = server.request("POST", "/api/v2/master_key/rotate", {})
    assert (started.status, started.json["kind"]) == (202, "master-key.rotate")
    server.work()
    job = server.request("GET", f"/api/v2/jobs/{started.json['id']}").json
    assert job["state"] == "done", job
    assert server.request("GET", "/api/v2/endpoints").json["encryption"]["key_id"] != before
    assert server.request("GET", f"/api/v2/secrets/{secret['id']}").json["payload"] == "kept"


def access(server: InProcess, secret_id: str) -> list[dict[str, Any]]:
    answer = server.request("GET", f"/api/v2/secrets/{secret_id}/access")
    assert answer.status == 200, answer.raw
    found: list[dict[str, Any]] = answer.json["access"]
    return found


def test_access_names_everybody_who_may_do_something_with_the_secret(server: InProcess) -> None:
    group, other = (server.request("POST", "/api/v2/secret_groups", {"name": n}).json["id"] for n in ("mine", "else"))
    body = {"secret_type": "arbitrary", "name": "one", "payload": "x", "secret_group_id": group}
    secret_id = server.request("POST", "/api/v2/secrets", body).json["id"]
    server.login_with(Role.READER, group=group)
    server.login_with(Role.WRITER, group=other)
    server.login_with(Role.SECRETS_READER)
    server.login_with(Role.EDITOR)
    server.login_with(Role.SECRET_TASK_UPDATER)
    found = {(holder["name"], holder["scope"], *holder["roles"]) for holder in access(server, secret_id)}
    assert found == {
        ("administrator", "instance", "Manager"),
        ("with Reader", group, "Reader"),
        ("with SecretsReader", "instance", "SecretsReader"),
    }
    assert all(holder["iam_id"] and holder["via"] for holder in access(server, secret_id))


def test_access_through_a_group_names_its_members(server: InProcess) -> None:
    secret_id = server.request("POST", "/api/v2/secrets", {"secret_type": "arbitrary", "name": "one"}).json.get("id")
    secret_id = (
        secret_id
        or server.request("POST", "/api/v2/secrets", {"secret_type": "arbitrary", "name": "one", "payload": "x"}).json[
            "id"
        ]
    )
    member = server.request("POST", "/identity/users", {"name": "operations"}).json
    group = server.request("POST", "/v2/groups", {"name": "on call"}).json
    server.request(
        "PUT", f"/v2/groups/{group['id']}/members", {"members": [{"iam_id": member["iam_id"], "type": "user"}]}
    )
    policy = {
        "type": "access",
        "subjects": [{"attributes": [{"name": "access_group_id", "value": group["id"]}]}],
        "roles": [{"role_id": "crn:v1:bluemix:public:iam::::serviceRole:Reader"}],
        "resources": [{"attributes": [{"name": "serviceName", "value": "secrets-manager"}]}],
    }
    assert server.request("POST", "/v1/policies", policy).status == 201
    holder = next(holder for holder in access(server, secret_id) if holder["iam_id"] == member["iam_id"])
    assert holder == {
        "iam_id": member["iam_id"],
        "name": "operations",
        "roles": ["Reader"],
        "scope": "instance",
        "via": group["id"],
    }


def test_access_of_an_unknown_secret_is_404(server: InProcess) -> None:
    answer = server.request("GET", "/api/v2/secrets/00000000-0000-4000-8000-000000000000/access")
    assert answer.status == 404
