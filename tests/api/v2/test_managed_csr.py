"""Keys that are made here and wait for a certificate: create, sign, activate, change, sign again."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from strongroom.domain.access.actions import Role
from strongroom.domain.audit.record import AuditQuery
from tests.api.v2.sending import (
    SECRETS,
    code,
    create,
    error,
    field,
    import_certificate,
    leaf,
    made,
    make_group,
)
from tests.factories.certificates import make_ca, sign_csr
from tests.peers.in_process import InProcess
from tests.peers.needs import require
from tests.peers.server import Answer

EC: Final = {"key_type": "ec"}


def documented_body(group: str) -> dict[str, Any]:
    """Return the create request of the reference documentation."""
    return {
        "name": "example-csr",
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


def ask(server: InProcess, name: str = "csr", version: Any = None, **members: Any) -> str:
    """Make a managed CSR and return its address."""
    inputs = {"common_name": "example.com", **EC, **members}
    more = {} if version is None else {"version_custom_metadata": version}
    return made(import_certificate(server, name, managed_csr=inputs, **more))


def csr_of(server: InProcess, address: str) -> dict[str, Any]:
    """Return the managed CSR that the metadata shows."""
    answer = server.request("GET", f"{address}/metadata")
    assert answer.status == 200, answer.raw
    return dict(answer.json["managed_csr"])


def bring_back(server: InProcess, address: str, csr: str | None = None, **more: Any) -> Answer:
    """Sign a request (the present one unless another is given) and add the certificate."""
    signed = sign_csr(csr or csr_of(server, address)["csr"], now=server.clock.now())
    return server.request("POST", f"{address}/versions", {"certificate": signed.pem, **more})


def change(server: InProcess, address: str, **members: Any) -> Answer:
    """Patch the managed CSR."""
    return server.request("PATCH", f"{address}/metadata", {"managed_csr": members})


def public_key(pem: str) -> bytes:
    """Return the public key of a request, certificate or private key."""
    if "REQUEST" in pem:
        key: Any = x509.load_pem_x509_csr(pem.encode()).public_key()
    elif "PRIVATE" in pem:
        key = load_pem_private_key(pem.encode(), None).public_key()
    else:
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def sans(csr: str) -> set[str]:
    """Return the alternative names of a request."""
    request = x509.load_pem_x509_csr(csr.encode())
    extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


# --- creating


def test_the_documented_create_makes_a_waiting_secret_with_a_verifiable_request(server: InProcess) -> None:
    answer = server.request("POST", SECRETS, documented_body(make_group(server)))
    assert answer.status == 201, answer.raw
    secret = answer.json
    assert (secret["state"], secret["state_description"], secret["versions_total"]) == (0, "pre_activation", 0)
    assert secret["labels"] == ["dev", "us-south"]
    assert secret["custom_metadata"] == {"metadata_custom_key": "metadata_custom_value"}
    assert (secret["private_key_included"], secret["intermediate_included"]) == (True, False)
    assert secret["csr"] == secret["managed_csr"]["csr"]
    for absent in ("certificate", "private_key", "expiration_date", "version_custom_metadata"):
        assert absent not in secret
    words = [str(require("openssl")), "req", "-verify", "-noout", "-text"]
    shown = subprocess.run(words, input=secret["csr"], check=True, capture_output=True, text=True)
    assert "verify OK" in shown.stdout + shown.stderr
    for part in (
        "CN = example.com",
        "DNS:example.com",
        "IP Address:127.0.0.1",
        "URI:https://www.example.com/test",
        "othername: serialNumber:",
        "2048 bit",
    ):
        assert part in shown.stdout.replace("CN=", "CN = "), part


def test_absent_inputs_are_shown_with_their_defaults(shared: InProcess) -> None:
    address = made(import_certificate(shared, "defaults", managed_csr={"common_name": "example.com"}))
    shown = csr_of(shared, address)
    shown.pop("csr")
    subject = ("ou", "organization", "country", "locality", "province", "street_address", "postal_code")
    assert shown == {
        **{name: [] for name in subject},
        "common_name": "example.com",
        "require_cn": True,
        "exclude_cn_from_sans": False,
        "server_flag": True,
        "client_flag": True,
        "code_signing_flag": False,
        "email_protection_flag": False,
        "key_type": "rsa",
        "key_bits": 2048,
        "rotate_keys": False,
        "private_key": "",
    }


def test_no_version_exists_before_the_certificate_comes_back(shared: InProcess) -> None:
    address = ask(shared, "waiting")
    assert shared.request("GET", f"{address}/versions").json == {"versions": [], "total_count": 0}
    for alias in ("current", "previous"):
        assert shared.request("GET", f"{address}/versions/{alias}").status == 404
        assert shared.request("GET", f"{address}/versions/{alias}/metadata").status == 404
    answer = shared.request("POST", f"{address}/locks_bulk", {"locks": [{"name": "edge"}]})
    assert answer.status == 404


def test_the_held_key_is_shown_to_those_who_may_read_payloads_only(server: InProcess) -> None:
    address = ask(server)
    reader, secrets_reader = server.login_with(Role.READER), server.login_with(Role.SECRETS_READER)
    for token in (reader, secrets_reader):
        metadata = server.request("GET", f"{address}/metadata", token=token)
        assert metadata.json["managed_csr"]["private_key"] == ""
        assert b"PRIVATE KEY" not in metadata.raw
        listed = server.request("GET", SECRETS, token=token)
        assert b"PRIVATE KEY" not in listed.raw
    assert server.request("GET", address, token=reader).status == 403
    full = server.request("GET", address, token=secrets_reader).json["managed_csr"]
    assert public_key(full["private_key"]) == public_key(full["csr"])


@pytest.mark.parametrize("part", ["certificate", "private_key", "intermediate"])
def test_a_certificate_and_a_managed_csr_exclude_each_other(shared: InProcess, part: str) -> None:
    one = leaf(shared)
    members = {part: one.key_pem if part == "private_key" else one.pem}
    answer = import_certificate(shared, "both", managed_csr={"common_name": "example.com"}, **members)
    assert field(answer) == part


def test_broken_inputs_are_all_named(shared: InProcess) -> None:
    inputs = {"common_name": "", "ip_sans": "1.2.3", "key_type": "ec", "key_bits": 2048, "country": ["Germany"]}
    answer = import_certificate(shared, "broken", managed_csr=inputs)
    assert answer.status == 400
    assert {problem["target"]["name"] for problem in answer.json["errors"]} == {
        "managed_csr.common_name",
        "managed_csr.ip_sans",
        "managed_csr.key_bits",
        "managed_csr.country[0]",
    }


def test_unknown_inputs_are_named(shared: InProcess) -> None:
    answer = import_certificate(shared, "unknown", managed_csr={"common_name": "example.com", "san": "x"})
    assert (field(answer), code(answer)) == ("managed_csr.san", "unknown_field")


@pytest.mark.parametrize(
    ("inputs", "kind", "bits", "shown_bits"),
    [
        ({}, rsa.RSAPublicKey, 2048, 2048),
        ({"key_bits": 0}, rsa.RSAPublicKey, 2048, 2048),
        ({"key_type": "ec"}, ec.EllipticCurvePublicKey, 256, 256),
        ({"key_type": "ec", "key_bits": 384}, ec.EllipticCurvePublicKey, 384, 384),
        ({"key_type": "ed25519"}, ed25519.Ed25519PublicKey, None, 0),
    ],
    ids=["rsa by default", "rsa by zero bits", "ec", "ec 384", "ed25519"],
)
def test_key_types(
    shared: InProcess, inputs: dict[str, Any], kind: type, bits: int | None, shown_bits: int, request: Any
) -> None:
    name = "key-" + request.node.callspec.id.replace(" ", "-")
    address = made(import_certificate(shared, name, managed_csr={"common_name": "example.com", **inputs}))
    shown = csr_of(shared, address)
    key = x509.load_pem_x509_csr(shown["csr"].encode()).public_key()
    assert isinstance(key, kind)
    assert shown["key_bits"] == shown_bits
    if bits is not None:
        assert key.key_size == bits  # type: ignore[union-attr]
    answer = bring_back(shared, address)
    assert answer.status == 201, answer.raw
    assert public_key(answer.json["private_key"]) == public_key(answer.json["certificate"])


@pytest.mark.parametrize(
    ("flag", "usage"),
    [
        ("server_flag", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client_flag", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("code_signing_flag", ExtendedKeyUsageOID.CODE_SIGNING),
        ("email_protection_flag", ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ],
)
def test_each_certificate_role_alone(shared: InProcess, flag: str, usage: x509.ObjectIdentifier) -> None:
    flags = dict.fromkeys(("server_flag", "client_flag", "code_signing_flag", "email_protection_flag"), False)
    address = ask(shared, f"role-{flag}", **{**flags, flag: True})
    shown = csr_of(shared, address)
    request = x509.load_pem_x509_csr(shown["csr"].encode())
    found = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(found) == [usage]
    assert [name for name in flags if shown[name]] == [flag]
    assert bring_back(shared, address).status == 201


def test_no_certificate_role_at_all_leaves_the_extension_out(shared: InProcess) -> None:
    address = ask(shared, "role-none", server_flag=False, client_flag=False)
    request = x509.load_pem_x509_csr(csr_of(shared, address)["csr"].encode())
    with pytest.raises(x509.ExtensionNotFound):
        request.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)


def test_without_require_cn_a_name_elsewhere_is_enough(shared: InProcess) -> None:
    inputs = {"require_cn": False, "alt_names": "a.example.com,ops@example.com", **EC}
    address = made(import_certificate(shared, "no-cn", managed_csr=inputs))
    csr = csr_of(shared, address)["csr"]
    assert not x509.load_pem_x509_csr(csr.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert sans(csr) == {"a.example.com", "ops@example.com"}


# --- the certificate comes back


def test_the_signed_certificate_activates_the_secret_with_its_key(server: InProcess) -> None:
    address = ask(server, version={"ticket": "CHG-1"})
    issuer = make_ca("Example Issuing", now=server.clock.now())
    before = csr_of(server, address)
    signed = sign_csr(before["csr"], issuer=issuer, now=server.clock.now())
    answer = server.request("POST", f"{address}/versions", {"certificate": signed.pem, "intermediate": issuer.pem})
    assert answer.status == 201, answer.raw
    version = answer.json
    assert (version["certificate"], version["intermediate"]) == (signed.pem, issuer.pem)
    assert version["csr"] == before["csr"]
    assert version["version_custom_metadata"] == {"ticket": "CHG-1"}
    assert public_key(version["private_key"]) == public_key(signed.pem)
    secret = server.request("GET", address).json
    assert (secret["state"], secret["versions_total"]) == (1, 1)
    assert secret["private_key"] == version["private_key"] == secret["managed_csr"]["private_key"]
    assert secret["csr"] == before["csr"] == secret["managed_csr"]["csr"]
    assert (secret["private_key_included"], secret["intermediate_included"]) == (True, True)
    assert secret["common_name"] == "example.com"
    assert "version_custom_metadata" not in secret
    assert server.request("GET", f"{address}/versions/previous").status == 404


def test_version_metadata_of_the_create_is_used_once_and_gives_way(server: InProcess) -> None:
    address = ask(server, version={"from": "create"})
    assert bring_back(server, address, version_custom_metadata={"from": "version"}).json["version_custom_metadata"] == {
        "from": "version"
    }
    assert "version_custom_metadata" not in bring_back(server, address).json


def test_version_metadata_of_the_create_survives_a_change(server: InProcess) -> None:
    address = ask(server, version={"from": "create"})
    change(server, address, alt_names="www.example.com", key_bits=384)
    assert bring_back(server, address).json["version_custom_metadata"] == {"from": "create"}


def test_a_private_key_beside_the_certificate_is_refused(shared: InProcess) -> None:
    address = ask(shared, "key-beside")
    held = shared.request("GET", address).json["managed_csr"]["private_key"]
    answer = bring_back(shared, address, private_key=held)
    assert (field(answer), code(answer)) == ("private_key", "key_not_expected")
    assert shared.request("GET", f"{address}/metadata").json["state"] == 0


def test_a_certificate_for_another_key_is_refused(shared: InProcess) -> None:
    address = ask(shared, "another-key")
    answer = shared.request("POST", f"{address}/versions", {"certificate": leaf(shared).pem})
    assert (field(answer), code(answer)) == ("certificate", "csr_key_mismatch")
    assert error(answer)["more_info"].endswith("/docs/guide/managed-csr")
    assert shared.request("GET", f"{address}/metadata").json["state"] == 0


def test_a_certificate_from_an_older_request_whose_key_was_replaced_is_refused(shared: InProcess) -> None:
    address = ask(shared, "older-csr")
    older = csr_of(shared, address)["csr"]
    assert change(shared, address, key_bits=384).status == 200
    assert code(bring_back(shared, address, older)) == "csr_key_mismatch"
    assert bring_back(shared, address).status == 201


def test_other_names_than_the_request_are_warned_about(shared: InProcess) -> None:
    address = ask(shared, "other-names", alt_names="www.example.com")
    state = shared.request("GET", address).json["managed_csr"]
    assert "warnings" not in shared.request("GET", f"{address}/metadata").json
    key = load_pem_private_key(state["private_key"].encode(), None)
    signed = leaf(shared, key=key, names=("example.com",))
    assert shared.request("POST", f"{address}/versions", {"certificate": signed.pem}).status == 201
    warnings = {w["code"]: w["message"] for w in shared.request("GET", f"{address}/metadata").json["warnings"]}
    assert "www.example.com" in warnings["names_changed"]


# --- changing


def test_only_what_the_patch_names_is_changed(server: InProcess) -> None:
    address = made(server.request("POST", SECRETS, documented_body("default")))
    before = csr_of(server, address)
    answer = change(server, address, alt_names="alt1")
    assert answer.status == 200, answer.raw
    after = answer.json["managed_csr"]
    assert after == csr_of(server, address)
    assert after["csr"] != before["csr"]
    assert {**after, "csr": ""} == {**before, "csr": "", "alt_names": "alt1"}
    assert {"alt1", "example.com", "127.0.0.1", "https://www.example.com/test"} <= sans(after["csr"])
    assert public_key(after["csr"]) == public_key(before["csr"])


def test_the_update_that_is_printed_as_a_create_changes_the_request(server: InProcess) -> None:
    group = make_group(server)
    body = documented_body(group)
    created = server.request("POST", SECRETS, body).json
    update = {
        "name": "example-csr",
        "secret_group_id": group,
        "secret_type": "imported_cert",
        "managed_csr": {"alt_names": "alt1"},
    }
    answer = server.request("POST", SECRETS, update)
    assert answer.status == 200, answer.raw
    assert answer.json["id"] == created["id"]
    after = answer.json["managed_csr"]
    assert after["common_name"] == "example.com"
    assert "alt1" in sans(after["csr"])
    assert after["private_key"] == ""
    assert answer.json["description"] == body["description"]
    assert answer.json["labels"] == body["labels"]
    assert answer.json["custom_metadata"] == body["custom_metadata"]
    wanted = AuditQuery(limit=10, target_id=created["id"])
    trail, _ = server.container.services.storage.read(lambda unit: unit.audit_trail.page(wanted))
    assert [json.loads(record.body)["action"] for record in trail] == [
        "secrets-manager.secret-metadata.update",
        "secrets-manager.secret.create",
    ]


def test_the_update_printed_as_a_create_needs_a_managed_csr_of_that_name_and_group(server: InProcess) -> None:
    group = make_group(server)
    ask(server, "elsewhere")
    import_certificate(server, "plain", certificate=leaf(server).pem)
    for name, in_group in (("unknown", group), ("elsewhere", group), ("plain", "default")):
        answer = import_certificate(server, name, secret_group_id=in_group, managed_csr={"alt_names": "alt1"})
        assert field(answer) == "managed_csr.common_name", name


def test_the_update_printed_as_a_create_needs_the_right_to_change_metadata(server: InProcess) -> None:
    group = make_group(server)
    import_certificate(server, "mine", secret_group_id=group, managed_csr={"common_name": "example.com", **EC})
    body = {
        "name": "mine",
        "secret_type": "imported_cert",
        "secret_group_id": group,
        "managed_csr": {"alt_names": "alt1"},
    }
    assert server.request("POST", SECRETS, body, token=server.login_with(Role.READER, group=group)).status == 403
    assert server.request("POST", SECRETS, body, token=server.login_with(Role.WRITER)).status == 200
    assert server.request("POST", SECRETS, body, token=server.login_with(Role.WRITER, group=group)).status == 200
    other = server.login_with(Role.WRITER, group=make_group(server, "other"))
    assert server.request("POST", SECRETS, body, token=other).status == 403


def test_a_valid_create_on_a_taken_name_stays_a_conflict(server: InProcess) -> None:
    body = documented_body("default")
    made(server.request("POST", SECRETS, body))
    answer = server.request("POST", SECRETS, body)
    assert (field(answer, 409), code(answer, 409)) == ("name", "already_exists")
    assert "already exists" in error(answer, 409)["message"]


def test_a_change_that_keeps_no_name_is_refused(shared: InProcess) -> None:
    address = ask(shared, "keeps-none", alt_names="www.example.com")
    before = csr_of(shared, address)
    answer = change(shared, address, common_name="example.org", alt_names="www.example.org")
    assert (field(answer), code(answer)) == ("managed_csr", "csr_names_changed")
    assert csr_of(shared, address) == before
    assert change(shared, address, common_name="example.org").status == 200
    assert change(shared, address, alt_names="www.example.net").status == 200


def test_a_null_brings_the_default_back_and_cannot_remove_what_is_needed(shared: InProcess) -> None:
    address = ask(shared, "nulls", alt_names="www.example.com", organization=["Example"], server_flag=False)
    shown = change(shared, address, alt_names=None, organization=None, server_flag=None).json["managed_csr"]
    assert "alt_names" not in shown
    assert (shown["organization"], shown["server_flag"]) == ([], True)
    assert field(change(shared, address, common_name=None)) == "managed_csr.common_name"
    answer = shared.request("PATCH", f"{address}/metadata", {"managed_csr": None})
    assert field(answer) == "managed_csr"


def test_an_empty_change_makes_no_new_request(shared: InProcess) -> None:
    address = ask(shared, "empty", rotate_keys=True)
    before = csr_of(shared, address)
    assert change(shared, address).json["managed_csr"] == before


def test_a_new_key_type_takes_its_own_default_size(shared: InProcess) -> None:
    address = ask(shared, "new-type", key_bits=384)
    before = csr_of(shared, address)
    shown = change(shared, address, key_type="ed25519").json["managed_csr"]
    assert shown["key_bits"] == 0
    assert public_key(shown["csr"]) != public_key(before["csr"])


def test_rotate_keys_makes_a_new_key_with_every_change(shared: InProcess) -> None:
    address = ask(shared, "fresh", rotate_keys=True)
    before = csr_of(shared, address)
    shown = change(shared, address, ou=["Edge"]).json["managed_csr"]
    assert public_key(shown["csr"]) != public_key(before["csr"])
    full = shared.request("GET", address).json["managed_csr"]
    assert public_key(full["private_key"]) == public_key(shown["csr"])


def test_plain_certificates_have_no_managed_csr_to_change(shared: InProcess) -> None:
    address = made(import_certificate(shared, "plain", certificate=leaf(shared).pem))
    answer = change(shared, address, alt_names="www.example.com")
    assert (field(answer), code(answer)) == ("managed_csr", "state_forbids")


def test_other_metadata_changes_leave_the_request_alone(shared: InProcess) -> None:
    address = ask(shared, "labelled")
    before = csr_of(shared, address)
    shared.request("PATCH", f"{address}/metadata", {"labels": ["one"], "name": "labelled-anew"})
    assert csr_of(shared, address) == before


# --- again


def test_a_second_cycle_works_with_the_kept_key(server: InProcess) -> None:
    address = ask(server)
    first = bring_back(server, address).json
    change(server, address, alt_names="www.example.com")
    second = bring_back(server, address)
    assert second.status == 201, second.raw
    assert second.json["private_key"] == first["private_key"]
    assert second.json["csr"] != first["csr"]
    metadata = server.request("GET", f"{address}/metadata").json
    assert (metadata["state"], metadata["versions_total"]) == (1, 2)
    previous = server.request("GET", f"{address}/versions/previous").json
    assert previous["certificate"] == first["certificate"]


def test_the_held_key_outlives_an_expired_certificate(server: InProcess) -> None:
    address = ask(server)
    first = bring_back(server, address).json
    expires = datetime.fromisoformat(first["expiration_date"])
    server.clock.advance(expires - server.clock.now() + timedelta(seconds=1))
    server.forget_tokens()
    server.work()
    expired = server.request("GET", address).json
    assert (expired["state"], "private_key" in expired) == (5, False)
    assert expired["managed_csr"]["private_key"] == first["private_key"]
    again = bring_back(server, address)
    assert again.status == 201, again.raw
    assert again.json["private_key"] == first["private_key"]
    assert server.request("GET", address).json["state"] == 1
    change(server, address, rotate_keys=True)
    assert server.request("GET", address).json["managed_csr"]["private_key"] != first["private_key"]


def test_a_second_cycle_works_with_a_rotated_key(server: InProcess) -> None:
    address = ask(server, rotate_keys=True)
    used = csr_of(server, address)["csr"]
    first = bring_back(server, address).json
    following = csr_of(server, address)["csr"]
    assert public_key(following) != public_key(used)
    secret = server.request("GET", address).json
    assert public_key(secret["private_key"]) == public_key(secret["certificate"]) == public_key(used)
    assert public_key(secret["managed_csr"]["private_key"]) == public_key(following)
    assert (secret["csr"], secret["managed_csr"]["csr"]) == (used, following)
    assert code(bring_back(server, address, used)) == "csr_key_mismatch"
    second = bring_back(server, address)
    assert second.status == 201, second.raw
    assert public_key(second.json["certificate"]) == public_key(following)
    assert second.json["private_key"] != first["private_key"]


def test_an_earlier_certificate_is_restored_while_its_key_is_still_held(server: InProcess) -> None:
    address = ask(server)
    first = bring_back(server, address).json
    change(server, address, alt_names="www.example.com")
    bring_back(server, address)
    answer = server.request("POST", f"{address}/versions", {"restore_from_version": "previous"})
    assert answer.status == 201, answer.raw
    assert answer.json["certificate"] == first["certificate"]
    assert "managed_csr" in server.request("GET", f"{address}/metadata").json


def test_an_earlier_certificate_with_a_replaced_key_is_not_restored(server: InProcess) -> None:
    address = ask(server, rotate_keys=True)
    bring_back(server, address)
    bring_back(server, address)
    answer = server.request("POST", f"{address}/versions", {"restore_from_version": "previous"})
    assert (field(answer), code(answer)) == ("restore_from_version", "csr_key_mismatch")


def test_an_import_with_another_type_of_the_same_name_is_fine(server: InProcess) -> None:
    ask(server, "shared-name")
    made(create(server, "arbitrary", "shared-name"))
