"""Arbitrary text, keys and values, and what all types share: names, labels, metadata, reads, deletes."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from tests.api.v2.sending import (
    GROUPS,
    SECRETS,
    UNKNOWN,
    code,
    create,
    error,
    events,
    field,
    import_certificate,
    leaf,
    lock,
    made,
    make_group,
    text,
)
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process

NEVER = "1970-01-01T00:00:00Z"
TYPES = ("arbitrary", "kv", "username_password")


# --- creating and reading


@pytest.mark.parametrize("kind", TYPES)
def test_a_new_secret_has_every_promised_member(server: InProcess, kind: str) -> None:
    answer = create(server, kind, labels=["a b", "c-d"], custom_metadata={"n": [1, None]}, description="")
    secret = answer.json
    instance = server.container.services.instance
    assert secret["crn"] == instance.secret_crn(secret["id"])
    assert secret["crn"].endswith(f":secret:{secret['id']}")
    assert secret["created_at"] == secret["updated_at"] == text(START_OF_TESTS)
    assert secret["retrieved_at"] == NEVER
    expected = {
        "secret_group_id": "default",
        "secret_type": kind,
        "name": "example",
        "description": "",
        "labels": ["a b", "c-d"],
        "custom_metadata": {"n": [1, None]},
        "state": 1,
        "state_description": "active",
        "downloaded": True,
        "locks_total": 0,
        "versions_total": 1,
        "referenced_by": [],
        "rotation_status": "none",
    }
    assert {name: secret[name] for name in expected} == expected
    assert "version_custom_metadata" not in secret


def test_metadata_is_the_full_view_without_the_value(server: InProcess) -> None:
    hidden = {"arbitrary": {"payload"}, "kv": {"data"}, "username_password": {"username", "password"}}
    for kind, members in hidden.items():
        address = made(create(server, kind))
        full, metadata = server.request("GET", address).json, server.request("GET", f"{address}/metadata").json
        assert full.keys() - metadata.keys() == members
        version = server.request("GET", f"{address}/versions/current").json
        assert version.keys() - server.request("GET", f"{address}/versions/current/metadata").json.keys() == members


@pytest.mark.parametrize(
    "payload", ["", "x", "Grüße \u2603 \U0001f512", "line\r\nbreak\ttab", "a" * 1_000_000], ids=len
)
def test_any_text_comes_back_as_it_was(shared: InProcess, payload: str) -> None:
    address = made(create(shared, name=f"text-{len(payload)}", payload=payload))
    assert shared.request("GET", address).json["payload"] == payload


@pytest.mark.parametrize(
    "data",
    [{"a": 1, "b": 1.5, "c": [True, None, {}], "d": {"e": ""}}, {"": ""}, {"z": 1, "a": 2}],
    ids=["mixed", "empty key", "order"],
)
def test_any_object_comes_back_as_it_was(shared: InProcess, data: dict[str, Any], request: Any) -> None:
    name = "object-" + request.node.callspec.id.replace(" ", "-")
    read = shared.request("GET", made(create(shared, "kv", name, data=data))).json["data"]
    assert (read, list(read)) == (data, list(data))


def test_too_large_values_are_refused(shared: InProcess) -> None:
    assert field(create(shared, payload="a" * 1_000_001)) == "payload"
    assert field(create(shared, "kv", data={"a": "b" * 524_288})) == "data"
    assert field(create(shared, "kv", data={})) == "data"
    made(create(shared, "kv", "largest", data={"a": "b" * (524_288 - len('{"a":""}'))}))


@pytest.mark.parametrize(
    ("kind", "member"), [("arbitrary", "payload"), ("kv", "data"), ("username_password", "username")]
)
def test_the_value_is_required(shared: InProcess, kind: str, member: str) -> None:
    answer = create(shared, kind, "valueless", **{member: ...})
    assert (field(answer), code(answer)) == (member, "missing_field")
    assert member in error(create(shared, kind, "valueless", **{member: 1}))["message"]


def test_the_first_read_is_noted_at_once_and_shown_by_itself(server: InProcess) -> None:
    address = made(create(server))
    assert server.request("GET", f"{address}/metadata").json["retrieved_at"] == NEVER
    server.clock.advance(timedelta(minutes=5))
    at = text(server.clock.now())
    assert server.request("GET", address).json["retrieved_at"] == at
    assert server.request("GET", f"{address}/metadata").json["retrieved_at"] == at
    assert server.request("GET", f"{address}/metadata").json["updated_at"] == text(START_OF_TESTS)


def test_an_automatically_made_version_counts_as_downloaded_once_it_was_read(server: InProcess) -> None:
    rotation = {"auto_rotate": True, "interval": 1, "unit": "hour"}
    address = made(create(server, "username_password", rotation=rotation))
    server.clock.advance(timedelta(hours=1))
    server.forget_tokens()
    server.work()
    assert server.request("GET", f"{address}/metadata").json["downloaded"] is False
    version = server.request("GET", f"{address}/versions/current/metadata").json
    assert (version["downloaded"], version["auto_rotated"]) == (False, True)
    assert server.request("GET", f"{address}/versions/current").json["downloaded"] is True
    assert server.request("GET", f"{address}/metadata").json["downloaded"] is True
    assert server.request("GET", f"{address}/versions/current/metadata").json["downloaded"] is True


# --- names


@pytest.mark.parametrize("name", ["ab", "_a", "0.9", "a-b.c_d", "A" * 256, "a..b", "__init"])
def test_good_names_are_accepted(shared: InProcess, name: str) -> None:
    assert create(shared, name=name).json["name"] == name


@pytest.mark.parametrize("name", ["", "a", "a_", "-a", ".ab", "a b", "ab\n", "ä-b", "a/b", "A" * 257, "ab-"])
def test_bad_names_are_refused(shared: InProcess, name: str) -> None:
    answer = create(shared, name=name)
    assert (field(answer), code(answer)) == ("name", "invalid_field")


def test_a_name_is_unique_within_its_type_in_all_groups(server: InProcess) -> None:
    made(create(server))
    answer = create(server, secret_group_id=make_group(server))
    assert (field(answer, 409), code(answer, 409)) == ("name", "already_exists")
    assert error(answer, 409)["message"].startswith("A secret with the same name already exists: example")
    made(create(server, "kv"))
    other = made(create(server, name="other"))
    answer = server.request("PATCH", f"{other}/metadata", {"name": "example"})
    assert code(answer, 409) == "already_exists"
    assert server.request("PATCH", f"{other}/metadata", {"name": "other"}).status == 200


def test_a_name_is_free_again_after_the_delete(server: InProcess) -> None:
    address = made(create(server))
    assert server.request("DELETE", address).status == 204
    made(create(server))


# --- labels, descriptions, metadata


def test_limits_of_labels(shared: InProcess) -> None:
    made(create(shared, name="many-labels", labels=[f"label {number}" for number in range(30)]))
    made(create(shared, name="long-label", labels=["x" * 64, "ab"]))
    assert field(create(shared, labels=[f"label {number}" for number in range(31)])) == "labels"
    assert field(create(shared, labels=["ok", "x"])) == "labels[1]"
    assert field(create(shared, labels=["x" * 65])) == "labels[0]"
    assert field(create(shared, labels=["a\nb"])) == "labels[0]"
    assert field(create(shared, labels=[7])) == "labels[0]"
    assert field(create(shared, labels="ab")) == "labels"


def test_limits_of_descriptions(shared: InProcess) -> None:
    made(create(shared, name="long-text", description="d" * 1024))
    assert field(create(shared, description="d" * 1025)) == "description"
    assert field(create(shared, description="bell \u0007")) == "description"


@pytest.mark.parametrize("member", ["custom_metadata", "version_custom_metadata"])
def test_limits_of_metadata_objects(shared: InProcess, member: str) -> None:
    room = 10_240 - len('{"a":""}')
    made(create(shared, "arbitrary", f"full-{member}", **{member: {"a": "b" * room}}))
    assert field(create(shared, "arbitrary", "too-full", **{member: {"a": "b" * (room + 1)}})) == member
    assert field(create(shared, "arbitrary", "too-full", **{member: ["a"]})) == member


# --- groups of secrets


def test_an_unknown_group_in_the_body_is_refused_by_name(shared: InProcess) -> None:
    for group in (UNKNOWN, "nonsense", ""):
        assert field(create(shared, secret_group_id=group)) == "secret_group_id"
    assert create(shared, name="no-group", secret_group_id=None).json["secret_group_id"] == "default"


def test_a_secret_never_changes_its_group_type_or_id(shared: InProcess) -> None:
    address = made(create(shared, name="fixed"))
    for member in ("secret_group_id", "secret_type", "id", "payload", "state"):
        answer = shared.request("PATCH", f"{address}/metadata", {member: "default"})
        assert (field(answer), code(answer)) == (member, "unknown_field")


# --- types


@pytest.mark.parametrize("kind", ["iam_credentials", "service_credentials", "custom_credentials"])
def test_types_that_this_server_lacks_are_refused_clearly(shared: InProcess, kind: str) -> None:
    answer = create(shared, kind)
    assert (field(answer), code(answer)) == ("secret_type", "not_supported")
    assert kind in error(answer)["message"]


def test_missing_and_unknown_types_are_refused(shared: InProcess) -> None:
    assert code(shared.request("POST", SECRETS, {"name": "x"})) == "missing_field"
    for kind in ("certificate", 7, None):
        answer = shared.request("POST", SECRETS, {"name": "x", "secret_type": kind})
        assert field(answer) == "secret_type"


def test_unknown_members_are_all_named(shared: InProcess) -> None:
    answer = create(shared, more=1, other={"x": 1})
    assert answer.status == 400
    assert [problem["target"]["name"] for problem in answer.json["errors"]] == ["more", "other"]
    assert {problem["code"] for problem in answer.json["errors"]} == {"unknown_field"}
    answer = create(shared, "username_password", rotation={"auto_rotate": True, "rotate_keys": True})
    assert field(answer) == "rotation.rotate_keys"


# --- bodies


def test_a_compressed_body_is_read(shared: InProcess) -> None:
    body = {"secret_type": "arbitrary", "name": "compressed", "payload": "a" * 10_000}
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = shared.request("POST", SECRETS, raw=gzip.compress(json.dumps(body).encode()), headers=headers)
    assert answer.json["payload"] == body["payload"]
    for broken in (b"plain", gzip.compress(b"{}")[:-4]):
        assert code(shared.request("POST", SECRETS, raw=broken, headers=headers)) == "malformed_request"


def test_a_body_is_limited_before_and_after_decompression(shared: InProcess) -> None:
    body = json.dumps({"secret_type": "kv", "name": "bomb", "data": {"a": "b" * (5 * 1024 * 1024)}}).encode()
    headers = {"content-type": "application/json"}
    assert code(shared.request("POST", SECRETS, raw=body, headers=headers), 413) == "request_too_large"
    packed = gzip.compress(body)
    assert len(packed) < 100_000
    headers["content-encoding"] = "gzip"
    assert code(shared.request("POST", SECRETS, raw=packed, headers=headers), 413) == "request_too_large"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b'{"a": NaN}', b'{"name": "\xff"}'])
def test_a_body_that_is_no_json_object_is_refused(shared: InProcess, raw: bytes) -> None:
    answer = shared.request("POST", SECRETS, raw=raw, headers={"content-type": "application/json"})
    assert code(answer) == "malformed_request"


def test_other_media_types_are_refused(shared: InProcess) -> None:
    address = made(create(shared, name="media"))
    for content_type in ("text/plain", "application/xml", "application/json-patch+json"):
        answer = shared.request("PATCH", f"{address}/metadata", {}, headers={"content-type": content_type})
        assert code(answer, 415) == "unsupported_media_type"
    headers = {"content-type": "application/merge-patch+json"}
    assert shared.request("POST", SECRETS, {}, headers=headers).status == 415
    headers = {"content-type": "application/json; charset=utf-8"}
    assert shared.request("PATCH", f"{address}/metadata", {}, headers=headers).status == 200


def test_paths_and_methods_that_do_not_exist(shared: InProcess) -> None:
    assert shared.request("GET", "/api/v2/nothing").status == 404
    answer = shared.request("PUT", SECRETS, {})
    assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})


# --- finding


def test_unknown_secrets_are_not_found(shared: InProcess) -> None:
    for path in (UNKNOWN, "nonsense", UNKNOWN.upper()):
        assert code(shared.request("GET", f"{SECRETS}/{path}"), 404) == "not_found"
        for method, suffix in (("GET", "/metadata"), ("GET", "/versions"), ("DELETE", "")):
            assert shared.request(method, f"{SECRETS}/{path}{suffix}").status == 404


def test_a_secret_is_found_by_group_type_and_name(server: InProcess) -> None:
    group = make_group(server, "edge")
    address = made(create(server, name="one", secret_group_id=group, payload="value"))

    def find(group_name: str, kind: str, name: str, caller: str = "administrator") -> tuple[int, str | None]:
        path = f"{GROUPS}/{group_name}/secret_types/{kind}/secrets/{name}"
        answer = server.request("GET", path, token=caller)
        return answer.status, answer.json.get("payload")

    assert find("edge", "arbitrary", "one") == (200, "value")
    assert server.request("GET", f"{address}/metadata").json["retrieved_at"] != NEVER
    assert find("edge", "kv", "one") == (404, None)
    assert find("default", "arbitrary", "one") == (404, None)
    assert find("edge", "arbitrary", "two") == (404, None)
    assert find("nowhere", "arbitrary", "one") == (404, None)
    assert find("edge", "nonsense", "one") == (400, None)
    member = server.login_with(Role.SECRETS_READER, group=group)
    assert find("edge", "arbitrary", "one", member) == (200, "value")
    assert find("edge", "arbitrary", "two", member) == (404, None)
    stranger = server.login_with(Role.SECRETS_READER, group=make_group(server, "other"))
    for path in (("edge", "arbitrary", "one"), ("edge", "arbitrary", "two"), ("nowhere", "arbitrary", "one")):
        assert find(*path, stranger) == (403, None)
    assert find("edge", "arbitrary", "one", server.login_with(Role.READER)) == (403, None)


def test_a_managed_csr_is_found_by_name_before_it_has_a_version(server: InProcess) -> None:
    import_certificate(server, "waiting", managed_csr={"common_name": "example.com", "key_type": "ec"})
    answer = server.request("GET", f"{GROUPS}/default/secret_types/imported_cert/secrets/waiting")
    assert (answer.status, answer.json["state"]) == (200, 0)


def test_known_secrets_of_other_groups_are_forbidden_and_unknown_ones_not_found(server: InProcess) -> None:
    address = made(create(server))
    stranger = server.login_with(Role.MANAGER, group=make_group(server))
    assert code(server.request("GET", address, token=stranger), 403) == "forbidden"
    assert server.request("GET", f"{SECRETS}/{UNKNOWN}", token=stranger).status == 404
    nobody = server.login_with()
    assert server.request("GET", f"{SECRETS}/{UNKNOWN}", token=nobody).status == 403
    body = {"secret_type": "arbitrary", "name": "new", "payload": "x"}
    assert server.request("POST", SECRETS, body, token=stranger).status == 403
    assert server.request("POST", SECRETS, {**body, "secret_group_id": UNKNOWN}, token=stranger).status == 403


# --- deleting


def test_a_deleted_secret_is_gone_with_its_versions(server: InProcess) -> None:
    address = made(create(server))
    server.request("POST", f"{address}/versions", {"payload": "next"})
    answer = server.request("DELETE", f"{address}?force_delete=true")
    assert (answer.status, answer.raw) == (204, b"")
    for suffix in ("", "/metadata", "/versions", "/versions/current"):
        assert server.request("GET", address + suffix).status == 404
    assert server.request("GET", SECRETS).json["total_count"] == 0
    assert events(server) == ["secret_created", "secret_rotated", "secret_deleted"]


def test_a_locked_secret_is_not_deleted(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "edge")
    answer = server.request("DELETE", address)
    assert code(answer, 412) == "secret_version_locked"
    assert "because the secret version is locked" in error(answer, 412)["message"]
    assert server.request("GET", address).status == 200
    assert events(server)[-1] == "secret_deletion_blocked"
    server.request("DELETE", f"{address}/locks_bulk")
    assert server.request("DELETE", address).status == 204


# --- versions


def test_versions_are_listed_newest_first_with_their_aliases(server: InProcess) -> None:
    address = made(create(server, payload="0", version_custom_metadata={"n": 0}))
    for number in (1, 2):
        server.clock.advance(timedelta(seconds=1))
        body = {"payload": str(number), "version_custom_metadata": {"n": number}}
        answer = server.request("POST", f"{address}/versions", body)
        assert (answer.status, answer.json["payload"]) == (201, str(number))
    listed = server.request("GET", f"{address}/versions").json
    assert listed["total_count"] == 3
    assert [version["version_custom_metadata"] for version in listed["versions"]] == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert [version.get("alias") for version in listed["versions"]] == ["current", "previous", None]
    assert [version["payload_available"] for version in listed["versions"]] == [True, True, False]
    assert all("payload" not in version for version in listed["versions"])
    for alias, payload in (("current", "2"), ("previous", "1")):
        version = server.request("GET", f"{address}/versions/{alias}").json
        assert (version["payload"], version["alias"], version["secret_name"]) == (payload, alias, "example")
        assert server.request("GET", f"{address}/versions/{version['id']}").json == version
    oldest = listed["versions"][2]["id"]
    assert "payload" not in server.request("GET", f"{address}/versions/{oldest}").json
    assert server.request("GET", f"{address}/metadata").json["updated_at"] == text(server.clock.now())


def test_unknown_versions_are_not_found(shared: InProcess) -> None:
    address = made(create(shared, name="one-version"))
    other = shared.request("GET", f"{made(create(shared, name='other-version'))}/versions/current").json["id"]
    for reference in ("previous", UNKNOWN, "latest", other):
        version = f"{address}/versions/{reference}"
        revoke = {"action_type": "private_cert_action_revoke_certificate"}
        for method, suffix, body in (
            ("GET", "", None),
            ("GET", "/metadata", None),
            ("PATCH", "/metadata", {}),
            ("GET", "/locks", None),
            ("POST", "/locks_bulk", {"locks": [{"name": "edge"}]}),
            ("DELETE", "/locks_bulk", None),
            ("DELETE", "/secret_data", None),
            ("POST", "/actions", revoke),
        ):
            assert shared.request(method, version + suffix, body).status == 404, (method, suffix)


def test_metadata_of_a_version_is_replaced_as_a_whole_and_removed_by_null(shared: InProcess) -> None:
    address = made(create(shared, name="version-metadata", version_custom_metadata={"a": 1, "b": 2}))
    path = f"{address}/versions/current/metadata"
    answer = shared.request("PATCH", path, {"version_custom_metadata": {"c": 3}})
    assert answer.json["version_custom_metadata"] == {"c": 3}
    assert shared.request("PATCH", path, {}).json["version_custom_metadata"] == {"c": 3}
    assert "version_custom_metadata" not in shared.request("PATCH", path, {"version_custom_metadata": None}).json
    assert "version_custom_metadata" not in shared.request("GET", path).json
    answer = shared.request("PATCH", path, {"version_custom_metadata": {"a": "b" * 10_240}})
    assert field(answer) == "version_custom_metadata"
    assert field(shared.request("PATCH", path, {"payload": "x"})) == "payload"


def test_the_data_of_a_version_cannot_be_deleted(shared: InProcess) -> None:
    address = made(create(shared, name="version-data"))
    answer = shared.request("DELETE", f"{address}/versions/current/secret_data")
    assert code(answer) == "not_supported"
    assert shared.request("GET", f"{address}/versions/current").json["payload_available"] is True


@pytest.mark.parametrize("kind", TYPES)
def test_only_certificates_are_restored(shared: InProcess, kind: str) -> None:
    address = made(create(shared, kind, f"restore-{kind.replace('_', '-')}"))
    body = {"arbitrary": {"payload": "x"}, "kv": {"data": {"a": 1}}}.get(kind, {})
    assert shared.request("POST", f"{address}/versions", body).status == 201
    answer = shared.request("POST", f"{address}/versions", {"restore_from_version": "previous"})
    assert code(answer) == "not_supported"
    assert "support restore" in error(answer)["message"]


def test_a_version_takes_the_members_of_its_type_only(shared: InProcess) -> None:
    address = made(create(shared, "kv", "wrong-version"))
    answer = shared.request("POST", f"{address}/versions", {"payload": "x"})
    assert {problem["target"]["name"] for problem in answer.json["errors"]} == {"payload", "data"}
    answer = shared.request("POST", f"{address}/versions", {"data": {"a": 1}, "custom_metadata": {"a": "b" * 10_240}})
    assert field(answer) == "custom_metadata"


# --- actions


def test_actions_belong_to_certificates_that_this_server_lacks(shared: InProcess) -> None:
    address = made(import_certificate(shared, "acted-on", certificate=leaf(shared).pem))
    revoke = {"action_type": "private_cert_action_revoke_certificate"}
    for path in (f"{address}/actions", f"{address}/versions/current/actions"):
        answer = shared.request("POST", path, revoke)
        assert (field(answer), code(answer)) == ("action_type", "not_supported")
        assert field(shared.request("POST", path, {"action_type": "nonsense"})) == "action_type"
        assert field(shared.request("POST", path, {})) == "action_type"
    validate = {"action_type": "public_cert_action_validate_dns_challenge"}
    assert code(shared.request("POST", f"{address}/actions", validate)) == "not_supported"


# --- quotas


def test_limits_are_settings(data_dir: Any, clock: Any) -> None:
    with in_process(data_dir, clock, limits={"labels": 1, "payload_characters": 10, "versions_kept": 3}) as server:
        assert field(create(server, labels=["one", "two"])) == "labels"
        assert field(create(server, payload="eleven char")) == "payload"
        address = made(create(server, payload="1"))
        for _ in range(5):
            server.request("POST", f"{address}/versions", {"payload": "2"})
        assert server.request("GET", f"{address}/versions").json["total_count"] == 3
        assert server.request("GET", f"{address}/metadata").json["versions_total"] == 3
