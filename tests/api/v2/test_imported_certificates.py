"""Importing certificates: what is accepted, what is refused and how it says so, and rotation."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs7
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.api.v2.sending import SECRETS, code, error, events, field, leaf, lock, made, make_group, text
from tests.api.v2.sending import import_certificate as _import
from tests.conftest import START_OF_TESTS
from tests.factories.certificates import (
    key_to_pem,
    make_ca,
    make_chain,
    make_csr,
    make_leaf,
    make_sha1_leaf,
    rsa_key,
    to_pem,
)
from tests.peers.in_process import InProcess


def test_the_documented_create_request_succeeds_and_comes_back_byte_for_byte(server: InProcess) -> None:
    chain = make_chain(now=server.clock.now())
    sent = {
        "name": "example-imported-certificate",
        "description": "description of my imported certificate.",
        "secret_type": "imported_cert",
        "secret_group_id": make_group(server),
        "labels": ["dev", "us-south"],
        "certificate": chain.leaf.pem,
        "intermediate": chain.intermediate.pem,
        "private_key": chain.leaf.key_pem,
        "custom_metadata": {"metadata_custom_key": "metadata_custom_value"},
        "version_custom_metadata": {"custom_version_key": "custom_version_value"},
    }
    created = server.request("POST", SECRETS, sent)
    assert created.status == 201
    read = server.request("GET", made(created)).json
    for member in sent.keys() - {"version_custom_metadata"}:
        assert read[member] == sent[member] == created.json[member]
    assert "version_custom_metadata" not in created.json
    assert "version_custom_metadata" not in read
    assert (read["state"], read["state_description"], read["versions_total"]) == (1, "active", 1)
    version = server.request("GET", f"{made(created)}/versions/current").json
    assert version["version_custom_metadata"] == sent["version_custom_metadata"]
    assert version["certificate"] == sent["certificate"]


def test_facts_of_the_certificate_are_shown_as_metadata(server: InProcess) -> None:
    one = leaf(server, 90, key=rsa_key(), names=("example.com", "www.example.com", "192.0.2.1"))
    address = made(_import(server, certificate=one.pem))
    metadata = server.request("GET", f"{address}/metadata").json
    begin, end = one.certificate.not_valid_before_utc, one.certificate.not_valid_after_utc
    serial = f"{one.certificate.serial_number:040x}"
    assert metadata["common_name"] == "example.com"
    assert metadata["alt_names"] == ["example.com", "www.example.com"]
    assert metadata["key_algorithm"] == "RSA2048"
    assert metadata["signing_algorithm"] == "ECDSA-SHA256"
    assert metadata["issuer"] == "C=US, O=Example Trust, CN=Example Trust R3"
    assert metadata["serial_number"] == ":".join(serial[at : at + 2] for at in range(0, 40, 2)).removeprefix("00:")
    assert metadata["validity"] == {"not_before": text(begin), "not_after": text(end)}
    assert metadata["expiration_date"] == text(end)
    assert (metadata["intermediate_included"], metadata["private_key_included"]) == (False, False)
    for hidden in ("certificate", "intermediate", "private_key", "csr", "managed_csr"):
        assert hidden not in metadata


@pytest.mark.parametrize("form", ["pkcs8", "pkcs1", "sec1"])
@pytest.mark.parametrize("with_chain", [False, True], ids=["key", "key and chain"])
def test_every_key_format_is_accepted(shared: InProcess, form: str, *, with_chain: bool) -> None:
    chain = make_chain(leaf_key=rsa_key() if form == "pkcs1" else None, now=shared.clock.now())
    layout = PrivateFormat.PKCS8 if form == "pkcs8" else PrivateFormat.TraditionalOpenSSL
    pem = key_to_pem(chain.leaf.key, layout)
    more = {"intermediate": chain.intermediate.pem} if with_chain else {}
    answer = _import(shared, f"{form}-{with_chain}", certificate=chain.leaf.pem, private_key=pem, **more)
    assert answer.status == 201, answer.raw
    assert answer.json["private_key"] == pem
    assert answer.json["private_key_included"] is True
    assert answer.json["intermediate_included"] is with_chain


def test_a_certificate_alone_is_accepted(shared: InProcess) -> None:
    answer = _import(shared, "alone", certificate=leaf(shared).pem)
    assert answer.status == 201
    assert answer.json["private_key_included"] is False
    assert "private_key" not in answer.json


@pytest.mark.parametrize(
    "decorate",
    [
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: "\ufeff" + pem,
        lambda pem: "Bag Attributes\n" + pem + "\n\n  ",
        lambda pem: pem.replace("\n", "  \n"),
    ],
    ids=["crlf", "bom", "text-around", "trailing-spaces"],
)
def test_untidy_text_comes_back_as_it_was_given(
    shared: InProcess, decorate: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    one = leaf(shared)
    name = f"untidy-{request.node.callspec.id}"
    answer = _import(shared, name, certificate=decorate(one.pem), private_key=decorate(one.key_pem))
    assert answer.status == 201, answer.raw
    read = shared.request("GET", made(answer)).json
    assert read["certificate"] == decorate(one.pem)
    assert read["private_key"] == decorate(one.key_pem)


def _refusals(now: datetime) -> dict[str, tuple[dict[str, str], str, str, str]]:
    """Return members, the field at fault, a word that names what was found, and a part of the conversion."""
    one, other = make_leaf(now=now), make_leaf(now=now)
    rsa = make_leaf(key=rsa_key(), now=now)
    password = BestAvailableEncryption(b"secret")
    encrypted = one.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password).decode()
    old = rsa.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, password).decode()
    assert "Proc-Type: 4,ENCRYPTED" in old
    p12 = serialize_key_and_certificates(b"n", one.key, one.certificate, None, password)
    with_key = {"certificate": one.pem}
    request = "certificate signing request"
    return {
        "expired": (
            {"certificate": make_leaf(-1, age=timedelta(days=9), now=now).pem},
            "certificate",
            "expired",
            "openssl x509",
        ),
        "key of another": ({**with_key, "private_key": other.key_pem}, "private_key", "belong", "openssl"),
        "encrypted pkcs8": ({**with_key, "private_key": encrypted}, "private_key", "encrypted", "openssl pkey"),
        "proc-type": ({"certificate": rsa.pem, "private_key": old}, "private_key", "encrypted", "openssl"),
        "der": (
            {"certificate": base64.b64encode(one.der).decode()},
            "certificate",
            "DER",
            "openssl x509 -inform DER",
        ),
        "pkcs7": (
            {"certificate": pkcs7.serialize_certificates([one.certificate], Encoding.PEM).decode()},
            "certificate",
            "PKCS#7",
            "openssl pkcs7",
        ),
        "pkcs12": ({"certificate": base64.b64encode(p12).decode()}, "certificate", "PKCS#12", "openssl pkcs12"),
        "csr as certificate": ({"certificate": make_csr()}, "certificate", request, "openssl"),
        "key as certificate": ({"certificate": one.key_pem}, "certificate", "private key", "openssl"),
        "certificate as key": ({**with_key, "private_key": one.pem}, "private_key", "certificate", "openssl"),
        "csr as key": ({**with_key, "private_key": make_csr()}, "private_key", request, "openssl"),
        "key as intermediate": ({**with_key, "intermediate": one.key_pem}, "intermediate", "private key", "openssl"),
        "csr as intermediate": ({**with_key, "intermediate": make_csr()}, "intermediate", request, "openssl"),
        "nonsense": (
            {"certificate": "no PEM at all, whatever one makes of it, twice over"},
            "certificate",
            "Unable to parse",
            "openssl",
        ),
    }


_REFUSED: Final = (
    "expired",
    "key of another",
    "encrypted pkcs8",
    "proc-type",
    "der",
    "pkcs7",
    "pkcs12",
    "csr as certificate",
    "key as certificate",
    "certificate as key",
    "csr as key",
    "key as intermediate",
    "csr as intermediate",
    "nonsense",
)


@pytest.mark.parametrize("case", _REFUSED)
@pytest.mark.parametrize("operation", ["import", "rotation"])
def test_refusal_names_field_finding_and_conversion_and_stores_nothing(
    shared: InProcess, case: str, operation: str
) -> None:
    members, wrong, finding, conversion = _refusals(shared.clock.now())[case]
    name = re.sub("[^a-z0-9]", "-", f"refused-{case}-{operation}")
    if operation == "import":
        answer = _import(shared, name, **members)
        assert shared.request("GET", f"{SECRETS}?search={name}").json["total_count"] == 0
    else:
        address = made(_import(shared, name, certificate=leaf(shared).pem))
        answer = shared.request("POST", f"{address}/versions", members)
        assert shared.request("GET", f"{address}/versions").json["total_count"] == 1
    problem = error(answer)
    assert problem["target"]["name"] == wrong
    assert finding.lower() in problem["message"].lower()
    assert conversion in problem["message"]
    assert problem["more_info"] == "https://strongroom.example.com/docs/guide/import-problems"
    for value in members.values():
        assert value[10:50] not in problem["message"]


def test_several_problems_are_told_together(shared: InProcess) -> None:
    answer = _import(shared, "-bad-", labels=["x"], certificate="nonsense", private_key="nonsense")
    fields = {problem["target"]["name"] for problem in answer.json["errors"]}
    assert {"name", "labels[0]", "certificate", "private_key"} <= fields


def test_neither_certificate_nor_managed_csr_is_refused(shared: InProcess) -> None:
    answer = _import(shared, "nothing")
    assert (field(answer), code(answer)) == ("certificate", "missing_field")
    assert field(_import(shared, "nothing", private_key=leaf(shared).key_pem)) == "certificate"


def test_too_long_texts_are_refused(shared: InProcess) -> None:
    one = leaf(shared)
    for member in ("certificate", "intermediate", "private_key"):
        members = {"certificate": one.pem, "private_key": one.key_pem, member: one.pem + "\n" * 100_000}
        assert field(_import(shared, "long", **members)) == member


def _warnings(server: InProcess, name: str, **members: str) -> set[str]:
    answer = _import(server, name, **members)
    assert answer.status == 201, answer.raw
    stored = server.request("GET", f"{made(answer)}/metadata").json
    assert answer.json.get("warnings") == stored.get("warnings")
    return {warning["code"] for warning in stored.get("warnings", ())}


def test_weak_and_odd_things_are_accepted_with_a_warning(shared: InProcess) -> None:
    now = shared.clock.now()
    chain = make_chain(now=now)
    weak = leaf(shared, key=rsa_key(1024))
    alone = make_leaf(self_signed=True, now=now)
    assert "weak_key" in _warnings(shared, "weak", certificate=weak.pem, private_key=weak.key_pem)
    assert "sha1_signature" in _warnings(shared, "sha1", certificate=make_sha1_leaf(now=now).pem)
    assert "ca_as_leaf" in _warnings(shared, "authority", certificate=make_ca(now=now).pem)
    assert "not_yet_valid" in _warnings(shared, "later", certificate=leaf(shared, age=-timedelta(days=1)).pem)
    assert "chain_incomplete" in _warnings(shared, "no-chain", certificate=chain.leaf.pem)
    both = to_pem(chain.root.certificate) + chain.intermediate.pem
    assert "chain_unordered" in _warnings(shared, "unordered", certificate=chain.leaf.pem, intermediate=both)
    assert _warnings(shared, "tidy", certificate=chain.leaf.pem, intermediate=chain.intermediate.pem) == set()
    assert _warnings(shared, "alone-signed", certificate=alone.pem) == set()


def test_keys_below_a_thousand_bits_are_refused(shared: InProcess) -> None:
    tiny = leaf(shared, key=rsa_key(512))
    assert code(_import(shared, "tiny", certificate=tiny.pem)) == "key_too_weak"


def test_rotation_carries_nothing_over_and_keeps_fifty_versions(server: InProcess) -> None:
    chain = make_chain(now=server.clock.now())
    created = _import(
        server,
        certificate=chain.leaf.pem,
        private_key=chain.leaf.key_pem,
        intermediate=chain.intermediate.pem,
        labels=["edge", "prod"],
        version_custom_metadata={"n": 0},
    )
    address = made(created)
    next_leaf = leaf(server)
    answer = created
    for number in range(1, 53):
        body = {"certificate": next_leaf.pem, "version_custom_metadata": {"n": number}}
        answer = server.request("POST", f"{address}/versions", body)
        assert answer.status == 201, answer.raw
        assert answer.json["version_custom_metadata"] == {"n": number}
        assert (answer.json["alias"], answer.json["auto_rotated"]) == ("current", False)
    assert "private_key" not in answer.json
    assert "intermediate" not in answer.json
    secret = server.request("GET", address).json
    assert (secret["private_key_included"], secret["intermediate_included"]) == (False, False)
    assert "private_key" not in secret
    assert secret["versions_total"] == 50
    listed = server.request("GET", f"{address}/versions").json
    assert listed["total_count"] == 50
    versions = listed["versions"]
    assert [version["version_custom_metadata"]["n"] for version in versions] == list(range(52, 2, -1))
    assert [version.get("alias") for version in versions[:3]] == ["current", "previous", None]
    assert [version["payload_available"] for version in versions] == [True, True] + [False] * 48
    assert "certificate" not in server.request("GET", f"{address}/versions/{versions[2]['id']}").json
    metadata = server.request("GET", f"{address}/metadata").json
    found = server.request("GET", f"{SECRETS}?search=edg&match_all_labels=edge,prod").json
    assert [item["id"] for item in found["secrets"]] == [created.json["id"]]
    for shown in (created.json, secret, metadata, found["secrets"][0]):
        assert "version_custom_metadata" not in shown


def test_changed_names_are_warned_about_on_rotation(server: InProcess) -> None:
    address = made(_import(server, certificate=leaf(server, names=("a.example.com",)).pem))

    def codes(name: str) -> set[str]:
        server.request("POST", f"{address}/versions", {"certificate": leaf(server, names=(name,)).pem})
        warnings = server.request("GET", f"{address}/metadata").json["warnings"]
        return {warning["code"] for warning in warnings}

    assert "names_changed" in codes("b.example.com")
    assert "names_changed" not in codes("b.example.com")


def test_rotation_may_replace_the_custom_metadata_of_the_secret(server: InProcess) -> None:
    pem = leaf(server).pem
    address = made(_import(server, certificate=pem, custom_metadata={"owner": "web"}))
    server.request("POST", f"{address}/versions", {"certificate": pem})
    assert server.request("GET", f"{address}/metadata").json["custom_metadata"] == {"owner": "web"}
    server.request("POST", f"{address}/versions", {"certificate": pem, "custom_metadata": {"team": "edge"}})
    assert server.request("GET", f"{address}/metadata").json["custom_metadata"] == {"team": "edge"}


def test_previous_can_be_restored_by_alias_and_by_id(server: InProcess) -> None:
    one, two = leaf(server, names=("one.example.com",)), leaf(server, names=("two.example.com",))
    address = made(_import(server, certificate=one.pem, private_key=one.key_pem))
    server.request("POST", f"{address}/versions", {"certificate": two.pem})
    answer = server.request(
        "POST",
        f"{address}/versions",
        {"restore_from_version": "previous", "version_custom_metadata": {"why": "rollback"}},
    )
    assert answer.status == 201, answer.raw
    assert answer.json["version_custom_metadata"] == {"why": "rollback"}
    secret = server.request("GET", address).json
    assert (secret["certificate"], secret["private_key"]) == (one.pem, one.key_pem)
    assert (secret["common_name"], secret["private_key_included"]) == ("one.example.com", True)
    assert secret["versions_total"] == 3
    by_id = server.request("GET", f"{address}/versions/previous/metadata").json["id"]
    assert server.request("POST", f"{address}/versions", {"restore_from_version": by_id}).status == 201
    assert server.request("GET", address).json["common_name"] == "two.example.com"


def test_restore_refuses_everything_but_an_available_unexpired_previous_version(server: InProcess) -> None:
    short, long = leaf(server, 2), leaf(server, 90)
    address = made(_import(server, certificate=short.pem))

    def restore(reference: str) -> str:
        answer = server.request("POST", f"{address}/versions", {"restore_from_version": reference})
        assert field(answer) == "restore_from_version"
        return code(answer)

    assert restore("previous") == "invalid_field"
    server.request("POST", f"{address}/versions", {"certificate": long.pem})
    current = server.request("GET", f"{address}/versions/current/metadata").json["id"]
    for reference in ("current", current, "", "nonsense", "00000000-0000-4000-8000-000000000000"):
        assert restore(reference) == "invalid_field"
    server.clock.advance(timedelta(days=3))
    server.forget_tokens()
    assert restore("previous") == "state_forbids"
    lock(server, address, "edge", mode="remove_previous_and_delete")
    assert restore("previous") == "payload_not_available"


def test_restore_waits_for_the_locks_of_previous(server: InProcess) -> None:
    address = made(_import(server, certificate=leaf(server).pem))
    lock(server, address, "edge")
    server.request("POST", f"{address}/versions", {"certificate": leaf(server).pem})
    answer = server.request("POST", f"{address}/versions", {"restore_from_version": "previous"})
    assert code(answer, 412) == "secret_version_locked"


def test_an_expired_certificate_loses_its_payload_locks_or_not_and_comes_back_by_rotation(server: InProcess) -> None:
    one = leaf(server, 10)
    address = made(_import(server, certificate=one.pem, private_key=one.key_pem))
    lock(server, address, "edge")
    server.clock.advance(timedelta(days=10, seconds=1))
    server.forget_tokens()
    server.work()
    secret = server.request("GET", address).json
    assert (secret["state"], secret["state_description"]) == (5, "destroyed")
    assert "certificate" not in secret
    assert "private_key" not in secret
    assert secret["expiration_date"] == text(START_OF_TESTS + timedelta(days=10))
    assert server.request("GET", f"{address}/versions/current").json["payload_available"] is False
    assert events(server)[-2:] == ["secret_expired", "secret_data_removed"]
    assert code(lock(server, address, "more")) == "payload_not_available"
    answer = server.request("POST", f"{address}/versions", {"certificate": leaf(server, 90).pem})
    assert answer.status == 201, answer.raw
    assert server.request("GET", address).json["state"] == 1


def test_the_expiry_of_a_certificate_cannot_be_moved(server: InProcess) -> None:
    address = made(_import(server, certificate=leaf(server).pem))
    for value in ("2030-01-01T00:00:00Z", None):
        answer = server.request("PATCH", f"{address}/metadata", {"expiration_date": value})
        assert (field(answer), code(answer)) == ("expiration_date", "unknown_field")
