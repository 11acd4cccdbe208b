"""The official Python client, unchanged, against a live server over HTTPS; and the same creates with curl."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import BearerTokenAuthenticator, IAMAuthenticator
from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2

from tests.factories.certificates import make_chain, make_leaf
from tests.peers.needs import require
from tests.peers.server import LiveServer

pytestmark = pytest.mark.integration


@pytest.fixture
def client(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerV2:
    """Give the client as the documentation sets it up: an API key, and where the service is."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(live_server.ca_file))
    client = SecretsManagerV2(authenticator=IAMAuthenticator(live_server.api_key, url=live_server.url))
    client.set_service_url(live_server.url)
    return client


@pytest.fixture
def name() -> Callable[[str], str]:
    """Give names that no other test on the shared server uses."""
    mark = uuid.uuid4().hex[:8]
    return lambda stem: f"{stem}-{mark}"


def imported_body(name: str, group: str) -> dict[str, Any]:
    """Return the documented create request of an imported certificate."""
    chain = make_chain()
    return {
        "name": name,
        "description": "description of my imported certificate.",
        "secret_type": "imported_cert",
        "secret_group_id": group,
        "labels": ["dev", "us-south"],
        "certificate": chain.leaf.pem,
        "intermediate": chain.intermediate.pem,
        "private_key": chain.leaf.key_pem,
        "custom_metadata": {"metadata_custom_key": "metadata_custom_value"},
        "version_custom_metadata": {"custom_version_key": "custom_version_value"},
    }


def csr_body(name: str, group: str) -> dict[str, Any]:
    """Return the documented create request of a managed CSR."""
    return {
        "name": name,
        "description": "description of my csr.",
        "secret_type": "imported_cert",
        "secret_group_id": group,
        "labels": ["dev", "us-south"],
        "managed_csr": {
            "require_cn": True,
            "common_name": "example.com",
            "ip_sans": "127.0.0.1",
            "uri_sans": "https://www.example.com/test",
            "other_sans": "2.5.4.5;UTF8:*.example.com",
            "exclude_cn_from_sans": False,
        },
        "custom_metadata": {"metadata_custom_key": "metadata_custom_value"},
        "version_custom_metadata": {"custom_version_key": "custom_version_value"},
    }


def openssl(*words: str, given: str | None = None) -> str:
    """Run openssl and return what it printed on either stream."""
    done = subprocess.run([str(require("openssl")), *words], input=given, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def check_csr(csr: str) -> None:
    """Hold a request to the documented inputs, with openssl as the judge."""
    shown = openssl("req", "-verify", "-noout", "-text", given=csr)
    assert "verify OK" in shown
    for part in ("DNS:example.com", "IP Address:127.0.0.1", "URI:https://www.example.com/test", "othername:"):
        assert part in shown
    assert "CN=example.com" in shown.replace(" ", "")


def sign(csr: str, folder: Path) -> str:
    """Sign a request as an operator would: with ``openssl x509 -req``."""
    ca_key, ca, request, signed = (folder / file for file in ("ca-key.pem", "ca.pem", "request.csr", "signed.pem"))
    if not ca.exists():
        subject = ["-subj", "/CN=Example Issuing", "-days", "30"]
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(ca_key), "-out", str(ca), *subject)
    request.write_text(csr)
    words = ["-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-days", "20", "-copy_extensions", "copy"]
    openssl("x509", "-req", *words, "-out", str(signed))
    return signed.read_text()


def same_key(certificate: str, private_key: str) -> bool:
    """Tell whether a certificate and a key belong together."""
    return openssl("x509", "-noout", "-pubkey", given=certificate) == openssl("pkey", "-pubout", given=private_key)


def result(answer: Any) -> dict[str, Any]:
    """Return what an operation answered."""
    found = answer.get_result()
    assert isinstance(found, dict)
    return found


def new_group(client: SecretsManagerV2, name: str) -> str:
    """Make a group and return its id."""
    answer = client.create_secret_group(name=name, description="made by a test")
    assert answer.get_status_code() == 201
    return str(sdk.SecretGroup.from_dict(result(answer)).id)


# --- certificates


def test_the_documented_import_goes_in_and_comes_back(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    body = imported_body(name("imported"), new_group(client, name("group")))
    answer = client.create_secret(secret_prototype=sdk.ImportedCertificatePrototype.from_dict(body))
    assert answer.get_status_code() == 201
    created = sdk.ImportedCertificate.from_dict(result(answer))
    read = sdk.ImportedCertificate.from_dict(result(client.get_secret(id=created.id)))
    for secret in (created, read):
        assert (secret.certificate, secret.intermediate, secret.private_key) == (
            body["certificate"],
            body["intermediate"],
            body["private_key"],
        )
        assert (secret.labels, secret.custom_metadata) == (body["labels"], body["custom_metadata"])
    assert read.state_description == "active"
    version = sdk.ImportedCertificateVersion.from_dict(
        result(client.get_secret_version(secret_id=created.id, id="current"))
    )
    assert version.version_custom_metadata == body["version_custom_metadata"]
    assert version.certificate == body["certificate"]
    by_name = result(
        client.get_secret_by_name_type(secret_type="imported_cert", name=body["name"], secret_group_name=name("group"))
    )
    assert by_name["id"] == created.id


def test_a_managed_csr_goes_from_create_to_a_second_certificate(
    client: SecretsManagerV2, name: Callable[[str], str], tmp_path: Path
) -> None:
    body = csr_body(name("example-csr"), new_group(client, name("group")))
    answer = client.create_secret(secret_prototype=body)
    assert answer.get_status_code() == 201
    created = sdk.ImportedCertificate.from_dict(result(answer))
    assert (created.state, created.versions_total) == (0, 0)
    check_csr(created.managed_csr.csr)
    assert result(client.list_secret_versions(secret_id=created.id))["versions"] == []
    with pytest.raises(ApiException) as missing:
        client.get_secret_version(secret_id=created.id, id="current")
    assert missing.value.status_code == 404

    patched = client.update_secret_metadata(id=created.id, secret_metadata_patch={"managed_csr": {"alt_names": "alt1"}})
    metadata = sdk.ImportedCertificateMetadata.from_dict(result(patched))
    assert (metadata.managed_csr.common_name, metadata.managed_csr.alt_names) == ("example.com", "alt1")
    check_csr(metadata.managed_csr.csr)
    assert "DNS:alt1" in openssl("req", "-noout", "-text", given=metadata.managed_csr.csr)

    signed = sign(metadata.managed_csr.csr, tmp_path)
    prototype = sdk.ImportedCertificateVersionPrototype(
        certificate=signed, intermediate=(tmp_path / "ca.pem").read_text()
    )
    version = client.create_secret_version(secret_id=created.id, secret_version_prototype=prototype)
    assert version.get_status_code() == 201
    first = sdk.ImportedCertificateVersion.from_dict(result(version))
    assert first.version_custom_metadata == body["version_custom_metadata"]
    assert same_key(first.certificate, first.private_key)
    active = sdk.ImportedCertificate.from_dict(result(client.get_secret(id=created.id)))
    assert (active.state, active.versions_total, active.certificate) == (1, 1, signed)

    again = sign(active.managed_csr.csr, tmp_path)
    client.create_secret_version(
        secret_id=created.id, secret_version_prototype=sdk.ImportedCertificateVersionPrototype(certificate=again)
    )
    versions = result(client.list_secret_versions(secret_id=created.id))["versions"]
    assert [sdk.ImportedCertificateVersionMetadata.from_dict(item).alias for item in versions] == [
        "current",
        "previous",
    ]


# --- other types


def test_other_types_are_created_rotated_and_deleted(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    arbitrary = sdk.ArbitrarySecretPrototype(
        name=name("arbitrary"), secret_type="arbitrary", payload="secret-data", expiration_date="2050-01-01T00:00:00Z"
    )
    kv = sdk.KVSecretPrototype(name=name("kv"), secret_type="kv", data={"key": "value"})
    credentials = sdk.UsernamePasswordSecretPrototype(
        name=name("credentials"),
        secret_type="username_password",
        username="user",
        rotation=sdk.CommonRotationPolicy(auto_rotate=True, interval=1, unit="day"),
        password_generation_policy=sdk.PasswordGenerationPolicy(length=40, include_symbols=False),
    )
    steps: list[tuple[Any, type, Any]] = [
        (arbitrary, sdk.ArbitrarySecret, sdk.ArbitrarySecretVersionPrototype(payload="more")),
        (kv, sdk.KVSecret, sdk.KVSecretVersionPrototype(data={"key": "more"})),
        (credentials, sdk.UsernamePasswordSecret, sdk.UsernamePasswordSecretVersionPrototype()),
    ]
    read: Any = None
    for prototype, model, version in steps:
        secret = model.from_dict(result(client.create_secret(secret_prototype=prototype)))  # type: ignore[attr-defined]
        rotated = result(client.create_secret_version(secret_id=secret.id, secret_version_prototype=version))
        assert rotated["alias"] == "current"
        read = model.from_dict(result(client.get_secret(id=secret.id)))  # type: ignore[attr-defined]
        assert read.versions_total == 2
        deleted = client.delete_secret(id=secret.id)
        assert (deleted.get_status_code(), deleted.get_result()) == (204, None)
    assert len(read.password) == 40
    assert read.rotation["interval"] == 1


def test_metadata_is_read_and_patched(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    prototype = sdk.ArbitrarySecretPrototype(
        name=name("patched"), secret_type="arbitrary", payload="p", expiration_date="2050-01-01T00:00:00Z"
    )
    secret_id = result(client.create_secret(secret_prototype=prototype))["id"]
    patch = sdk.ArbitrarySecretMetadataPatch(
        name=name("renamed"), description="changed", labels=["one"], custom_metadata={"a": "b"}
    ).to_dict()
    patched = result(client.update_secret_metadata(id=secret_id, secret_metadata_patch=patch))
    assert sdk.ArbitrarySecretMetadata.from_dict(patched).name == name("renamed")
    cleared = result(client.update_secret_metadata(id=secret_id, secret_metadata_patch={"expiration_date": None}))
    assert "expiration_date" not in cleared
    assert result(client.get_secret_metadata(id=secret_id)) == cleared
    version = client.update_secret_version_metadata(
        secret_id=secret_id,
        id="current",
        secret_version_metadata_patch=sdk.SecretVersionMetadataPatch(version_custom_metadata={"c": "d"}).to_dict(),
    )
    assert result(version)["version_custom_metadata"] == {"c": "d"}
    read = result(client.get_secret_version_metadata(secret_id=secret_id, id="current"))
    assert sdk.ArbitrarySecretVersionMetadata.from_dict(read).version_custom_metadata == {"c": "d"}


# --- groups, lists, locks


def test_groups_are_kept(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    group = new_group(client, name("group"))
    listed = sdk.SecretGroupCollection.from_dict(result(client.list_secret_groups()))
    assert {"default", group} <= {item.id for item in listed.secret_groups}
    patch = sdk.SecretGroupPatch(name=name("renamed"), description="changed").to_dict()
    assert result(client.update_secret_group(id=group, secret_group_patch=patch))["name"] == name("renamed")
    assert result(client.get_secret_group(id=group))["description"] == "changed"
    assert client.delete_secret_group(id=group).get_status_code() == 204


def test_lists_are_read_through_the_pagers(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    group = new_group(client, name("paged"))
    secret_id = ""
    for number in range(5):
        prototype = {
            "name": name(f"paged-{number}"),
            "secret_type": "kv" if number % 2 else "arbitrary",
            "secret_group_id": group,
            "labels": [name("label"), "two words"],
            **({"data": {"a": 1}} if number % 2 else {"payload": "x"}),
        }
        secret_id = result(client.create_secret(secret_prototype=prototype))["id"]
        locks = [sdk.SecretLockPrototype(name=f"lock-{lock}") for lock in range(number)]
        if locks:
            client.create_secret_locks_bulk(id=secret_id, locks=locks)
    pager = sdk.SecretsPager(
        client=client,
        limit=2,
        sort="-name",
        search="paged",
        groups=[group, "default"],
        secret_types=["kv", "arbitrary"],
        match_all_labels=[name("label"), "two words"],
    )
    pages = []
    while pager.has_next():
        pages.append([item["name"] for item in pager.get_next()])
    assert pages == [
        [name("paged-4"), name("paged-3")],
        [name("paged-2"), name("paged-1")],
        [name("paged-0")],
    ]
    locked = sdk.SecretsLocksPager(client=client, limit=3, groups=[group], search="lock").get_all()
    assert [item["secret_name"] for item in locked] == [name(f"paged-{number}") for number in (4, 3, 2, 1)]
    of_secret = sdk.SecretLocksPager(client=client, id=secret_id, limit=3, sort="name").get_all()
    assert [item["name"] for item in of_secret] == ["lock-0", "lock-1", "lock-2", "lock-3"]
    of_version = sdk.SecretVersionLocksPager(
        client=client, secret_id=secret_id, id="current", limit=1, sort="-name", search="lock"
    ).get_all()
    assert [item["name"] for item in of_version] == ["lock-3", "lock-2", "lock-1", "lock-0"]


def test_locks_are_set_moved_and_deleted(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    prototype = {"name": name("locked"), "secret_type": "arbitrary", "payload": "x"}
    secret_id = result(client.create_secret(secret_prototype=prototype))["id"]
    lock = sdk.SecretLockPrototype(name="edge", description="the edge", attributes={"host": "a"})
    answer = client.create_secret_locks_bulk(id=secret_id, locks=[lock])
    assert answer.get_status_code() == 201
    assert sdk.SecretLocks.from_dict(result(answer)).versions[0].locks == ["edge"]
    client.create_secret_version(secret_id=secret_id, secret_version_prototype={"payload": "y"})
    with pytest.raises(ApiException) as blocked:
        client.create_secret_version(secret_id=secret_id, secret_version_prototype={"payload": "z"})
    assert blocked.value.status_code == 412
    assert "because the secret version is locked" in blocked.value.message
    with pytest.raises(ApiException) as kept:
        client.delete_secret(id=secret_id)
    assert kept.value.status_code == 412
    moved = client.create_secret_locks_bulk(id=secret_id, locks=[lock], mode="remove_previous_and_delete")
    versions = sdk.SecretLocks.from_dict(result(moved)).versions
    assert [(item.locks, item.payload_available) for item in versions] == [(["edge"], True), ([], False)]
    version = client.create_secret_version_locks_bulk(secret_id=secret_id, id="current", locks=[{"name": "core"}])
    assert result(version)["versions"][0]["locks"] == ["edge", "core"]
    by_version = client.delete_secret_version_locks_bulk(secret_id=secret_id, id="current", name=["core"])
    assert result(by_version)["versions"][0]["locks"] == ["edge"]
    assert client.delete_secret_locks_bulk(id=secret_id, name=["edge", "unknown"]).get_status_code() == 200
    assert client.delete_secret(id=secret_id).get_status_code() == 204


# --- errors


def test_errors_reach_the_client_with_status_message_and_transaction(
    client: SecretsManagerV2, name: Callable[[str], str], live_server: LiveServer
) -> None:
    body = {"name": name("taken"), "secret_type": "kv", "data": {"a": 1}}
    secret_id = result(client.create_secret(secret_prototype=body))["id"]
    with pytest.raises(ApiException) as taken:
        client.create_secret(secret_prototype=body)
    assert taken.value.status_code == 409
    assert "already exists" in taken.value.message
    assert taken.value.global_transaction_id == taken.value.http_response.json()["trace"]
    for refused in (
        lambda: client.create_secret_action(
            id=secret_id, secret_action_prototype={"action_type": "private_cert_action_revoke_certificate"}
        ),
        lambda: client.delete_secret_version_data(secret_id=secret_id, id="current"),
        lambda: client.create_secret_version_action(
            secret_id=secret_id,
            id="current",
            secret_version_action_prototype={"action_type": "private_cert_action_revoke_certificate"},
        ),
    ):
        with pytest.raises(ApiException) as unsupported:
            refused()  # type: ignore[no-untyped-call]
        assert unsupported.value.status_code == 400
    stranger = SecretsManagerV2(authenticator=BearerTokenAuthenticator("no.token.ofours"))
    stranger.set_service_url(live_server.url)
    with pytest.raises(ApiException) as unknown:
        stranger.get_secret(id=secret_id)
    assert unknown.value.status_code == 401
    assert unknown.value.message


def test_compressed_requests_and_retries_are_served(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    client.set_enable_gzip_compression(True)
    client.enable_retries(max_retries=2, retry_interval=0.1)
    body = {"name": name("compressed"), "secret_type": "arbitrary", "payload": "x" * 10_000}
    assert result(client.create_secret(secret_prototype=body))["payload"] == body["payload"]


# --- curl


def curl(server: LiveServer, method: str, path: str, body: Any = None, *more: str) -> tuple[int, Any]:
    """Send a request with curl and return the status and the answer."""
    words = [str(require("curl")), "--silent", "--cacert", str(server.ca_file), "-X", method, "-w", "\n%{http_code}"]
    words += ["-H", f"Authorization: Bearer {server.token()}", "-H", "Accept: application/json", *more]
    if body is not None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        words += ["-H", f"Content-Type: {kind}", "--data-binary", "@-"]
    words.append(server.url + path)
    given = None if body is None else json.dumps(body)
    done = subprocess.run(words, input=given, check=True, capture_output=True, text=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


def test_the_documented_requests_succeed_with_curl(live_server: LiveServer, name: Callable[[str], str]) -> None:
    status, group = curl(live_server, "POST", "/api/v2/secret_groups", {"name": name("curl")})
    assert status == 201
    body = imported_body(name("imported"), group["id"])
    status, imported = curl(live_server, "POST", "/api/v2/secrets", body)
    assert status == 201
    status, read = curl(live_server, "GET", f"/api/v2/secrets/{imported['id']}")
    assert (status, read["certificate"], read["private_key"]) == (200, body["certificate"], body["private_key"])

    body = csr_body(name("example-csr"), group["id"])
    status, waiting = curl(live_server, "POST", "/api/v2/secrets", body)
    assert (status, waiting["state"]) == (201, 0)
    check_csr(waiting["csr"])
    change = {"managed_csr": {"alt_names": "alt1"}}
    status, patched = curl(live_server, "PATCH", f"/api/v2/secrets/{waiting['id']}/metadata", change)
    assert (status, patched["managed_csr"]["common_name"]) == (200, "example.com")
    assert patched["managed_csr"]["csr"] != waiting["csr"]
    assert "DNS:alt1" in openssl("req", "-noout", "-text", given=patched["managed_csr"]["csr"])
    change = {
        "managed_csr": {"alt_names": "alt2"},
        **{member: body[member] for member in ("name", "secret_type", "secret_group_id")},
    }
    status, updated = curl(live_server, "POST", "/api/v2/secrets", change)
    assert (status, updated["id"]) == (200, waiting["id"])
    assert "DNS:alt2" in openssl("req", "-noout", "-text", given=updated["managed_csr"]["csr"])
    status, refused = curl(live_server, "POST", "/api/v2/secrets", {**change, "name": name("unknown")})
    assert (status, refused["errors"][0]["target"]["name"]) == (400, "managed_csr.common_name")
    status, refused = curl(live_server, "POST", "/api/v2/secrets", {**body, "name": body["name"]})
    assert status == 409


def test_a_certificate_alone_is_imported_with_curl_in_one_line(
    live_server: LiveServer, name: Callable[[str], str]
) -> None:
    body = {"name": name("alone"), "secret_type": "imported_cert", "certificate": make_leaf().pem}
    status, secret = curl(live_server, "POST", "/api/v2/secrets", body)
    assert (status, secret["private_key_included"]) == (201, False)
