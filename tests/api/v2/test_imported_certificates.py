"""Importing certificates: what is accepted, what is refused and how it says so, and rotation."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from tests.factories.certificates import make_ca, make_chain, make_csr, make_leaf, rsa_key
from tests.peers.in_process import InProcess

GROUP_BODY = {"name": "edge", "description": "certificates of the edge"}


def _import(server: InProcess, name: str = "cert", **members: Any) -> Any:
    return server.request("POST", "/api/v2/secrets", {"secret_type": "imported_cert", "name": name, **members})


def test_the_documented_create_request_succeeds_and_comes_back_byte_for_byte(server: InProcess) -> None:
    group = server.request("POST", "/api/v2/secret_groups", GROUP_BODY).json["id"]
    chain = make_chain()
    sent = {
        "name": "example-imported-certificate",
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
    created = server.request("POST", "/api/v2/secrets", sent)
    assert created.status == 201
    read = server.request("GET", f"/api/v2/secrets/{created.json['id']}").json
    for name in ("certificate", "intermediate", "private_key", "labels", "custom_metadata", "description"):
        assert read[name] == sent[name]
    assert "version_custom_metadata" not in read
    assert read["state_description"] == "active"
    assert read["downloaded"] is True
    version = server.request("GET", f"/api/v2/secrets/{read['id']}/versions/current").json
    assert version["version_custom_metadata"] == sent["version_custom_metadata"]


@pytest.mark.parametrize("key_format", ["pkcs8", "pkcs1", "sec1"])
@pytest.mark.parametrize("with_chain", [False, True])
def test_key_formats_are_accepted(server: InProcess, key_format: str, *, with_chain: bool) -> None:
    key = rsa_key(2048) if key_format == "pkcs1" else None
    chain = make_chain(key=key)
    traditional = key_format in {"pkcs1", "sec1"}
    form = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    pem = chain.leaf.key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    more = {"intermediate": chain.intermediate.pem} if with_chain else {}
    answer = _import(server, certificate=chain.leaf.pem, private_key=pem, **more)
    assert answer.status == 201, answer.raw
    assert answer.json["private_key"] == pem
    assert answer.json["intermediate_included"] is with_chain


def test_a_certificate_alone_is_accepted(server: InProcess) -> None:
    answer = _import(server, certificate=make_leaf().pem)
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
    ids=["crlf", "bom", "text around", "trailing spaces"],
)
def test_untidy_text_comes_back_as_it_was_given(server: InProcess, decorate: Callable[[str], str]) -> None:
    leaf = make_leaf()
    answer = _import(server, certificate=decorate(leaf.pem), private_key=decorate(leaf.key_pem))
    assert answer.status == 201, answer.raw
    read = server.request("GET", f"/api/v2/secrets/{answer.json['id']}").json
    assert read["certificate"] == decorate(leaf.pem)
    assert read["private_key"] == decorate(leaf.key_pem)


def _pkcs7(pem: str, folder: Path) -> str:
    source = folder / "c.pem"
    source.write_text(pem)
    words = ["openssl", "crl2pkcs7", "-nocrl", "-certfile", str(source)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _refusals(folder: Path) -> dict[str, tuple[dict[str, str], str, str, str]]:
    """Return members, the field at fault, a word that names what was found, and a part of the conversion."""
    leaf, other = make_leaf(), make_leaf()
    rsa = make_leaf(key=rsa_key(2048))
    encrypted = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()
    old = rsa.key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret")
    ).decode()
    p12 = serialize_key_and_certificates(b"n", leaf.key, leaf.certificate, None, BestAvailableEncryption(b"secret"))
    der = base64.b64encode(leaf.der).decode()
    return {
        "expired": ({"certificate": make_leaf(days=-1).pem}, "certificate", "expired", "openssl"),
        "key of another": (
            {"certificate": leaf.pem, "private_key": other.key_pem},
            "private_key",
            "match",
            "openssl",
        ),
        "encrypted pkcs8": (
            {"certificate": leaf.pem, "private_key": encrypted},
            "private_key",
            "encrypted",
            "openssl pkey",
        ),
        "proc-type": (
            {"certificate": rsa.pem, "private_key": old},
            "private_key",
            "encrypted",
            "openssl",
        ),
        "der": ({"certificate": der}, "certificate", "DER", "openssl x509 -inform DER"),
        "pkcs7": ({"certificate": _pkcs7(leaf.pem, folder)}, "certificate", "PKCS#7", "openssl pkcs7"),
        "pkcs12": (
            {"certificate": base64.b64encode(p12).decode()},
            "certificate",
            "PKCS#12",
            "openssl pkcs12",
        ),
        "csr as certificate": ({"certificate": make_csr()}, "certificate", "certificate signing request", "openssl"),
        "key as certificate": ({"certificate": leaf.key_pem}, "certificate", "private key", ""),
        "certificate as key": (
            {"certificate": leaf.pem, "private_key": leaf.pem},
            "private_key",
            "certificate",
            "",
        ),
        "csr as key": (
            {"certificate": leaf.pem, "private_key": make_csr()},
            "private_key",
            "certificate signing request",
            "",
        ),
        "key as intermediate": (
            {"certificate": leaf.pem, "intermediate": leaf.key_pem},
            "intermediate",
            "private key",
            "",
        ),
    }


_REFUSED = [
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
]


@pytest.mark.parametrize("case", _REFUSED)
def test_refusal_names_field_finding_and_conversion_and_stores_nothing(
    server: InProcess, tmp_path: Path, case: str
) -> None:
    members, field, finding, conversion = _refusals(tmp_path)[case]
    answer = _import(server, **members)
    assert answer.status == 400, answer.raw
    problem = answer.json["errors"][0]
    assert problem["target"]["name"] == field
    assert finding.lower() in problem["message"].lower()
    assert conversion in problem["message"]
    assert problem["more_info"].endswith("/docs/guide/import-problems")
    assert server.request("GET", "/api/v2/secrets").json["total_count"] == 0


def test_several_problems_are_told_together(server: InProcess) -> None:
    answer = _import(server, name="-bad-", labels=["x"], certificate="nonsense", private_key="nonsense")
    fields = {problem["target"]["name"] for problem in answer.json["errors"]}
    assert {"name", "labels[0]", "certificate", "private_key"} <= fields


def test_weak_things_are_warned_about(server: InProcess) -> None:
    leaf = make_leaf(key=rsa_key(1024))
    answer = _import(server, certificate=leaf.pem, private_key=leaf.key_pem)
    assert answer.status == 201
    assert "weak_key" in {warning["code"] for warning in answer.json["warnings"]}
    tiny = make_leaf(key=rsa_key(512))
    assert _import(server, "tiny", certificate=tiny.pem).status == 400


def test_rotation_carries_nothing_over_and_keeps_fifty_versions(server: InProcess) -> None:
    ca = make_ca()
    first = make_leaf(ca=ca, names=("a.example.com",))
    created = _import(
        server,
        certificate=first.pem,
        private_key=first.key_pem,
        intermediate=ca.pem,
        labels=["edge", "prod"],
        version_custom_metadata={"n": 0},
    ).json
    path = f"/api/v2/secrets/{created['id']}"
    leaf = make_leaf(names=("b.example.com",))
    for number in range(1, 53):
        body = {"certificate": leaf.pem, "version_custom_metadata": {"n": number}}
        answer = server.request("POST", f"{path}/versions", body)
        assert answer.status == 201, answer.raw
    assert "private_key" not in answer.json
    assert "intermediate" not in answer.json
    secret = server.request("GET", path).json
    assert secret["private_key_included"] is False
    assert secret["intermediate_included"] is False
    assert secret["versions_total"] == 50
    assert "version_custom_metadata" not in secret
    versions = server.request("GET", f"{path}/versions").json["versions"]
    assert [version["version_custom_metadata"]["n"] for version in versions] == list(range(52, 2, -1))
    assert [version.get("alias") for version in versions[:3]] == ["current", "previous", None]
    assert [version["payload_available"] for version in versions] == [True, True] + [False] * 48
    found = server.request("GET", "/api/v2/secrets?search=edg&match_all_labels=edge,prod").json
    assert [item["id"] for item in found["secrets"]] == [created["id"]]
    assert "version_custom_metadata" not in found["secrets"][0]


def test_changed_names_are_warned_about_on_rotation(server: InProcess) -> None:
    created = _import(server, certificate=make_leaf(names=("a.example.com",)).pem).json
    body = {"certificate": make_leaf(names=("b.example.com",)).pem}
    server.request("POST", f"/api/v2/secrets/{created['id']}/versions", body)
    warnings = server.request("GET", f"/api/v2/secrets/{created['id']}/metadata").json["warnings"]
    assert "names_changed" in {warning["code"] for warning in warnings}


def test_previous_can_be_restored_and_current_cannot(server: InProcess) -> None:
    one, two = make_leaf(names=("one.example.com",)), make_leaf(names=("two.example.com",))
    path = f"/api/v2/secrets/{_import(server, certificate=one.pem, private_key=one.key_pem).json['id']}"
    server.request("POST", f"{path}/versions", {"certificate": two.pem})
    assert server.request("POST", f"{path}/versions", {"restore_from_version": "current"}).status == 400
    answer = server.request("POST", f"{path}/versions", {"restore_from_version": "previous"})
    assert answer.status == 201, answer.raw
    secret = server.request("GET", path).json
    assert secret["certificate"] == one.pem
    assert secret["private_key"] == one.key_pem
    assert secret["common_name"] == "one.example.com"
    assert secret["versions_total"] == 3


def test_an_expired_certificate_loses_its_payload_and_comes_back_by_rotation(server: InProcess) -> None:
    leaf = make_leaf(days=10)
    path = f"/api/v2/secrets/{_import(server, certificate=leaf.pem, private_key=leaf.key_pem).json['id']}"
    server.request("POST", f"{path}/locks_bulk", {"locks": [{"name": "edge"}]})
    server.clock.advance(timedelta(days=11) + (leaf.certificate.not_valid_after_utc - server.clock.now()))
    server.forget_tokens()
    server.work()
    secret = server.request("GET", path).json
    assert (secret["state"], secret["state_description"]) == (5, "destroyed")
    assert "certificate" not in secret
    fresh = make_leaf(days=400)
    answer = server.request("POST", f"{path}/versions", {"certificate": fresh.pem})
    assert answer.status == 201, answer.raw
    assert server.request("GET", path).json["state"] == 1
