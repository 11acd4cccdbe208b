"""Certificates of every kind of key, judged by OpenSSL, GnuTLS, Python, nginx and pkilint, also after revoking."""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.verification import VerificationError

from tests.integration.private_certs.judges import (
    ask_over_tls,
    gnutls_ocsp,
    gnutls_verify,
    handshake_with_openssl,
    lint,
    lint_issued,
    nginx,
    openssl_ocsp,
    openssl_verify,
    python_verify,
    run,
    succeed,
    write,
)
from tests.integration.private_certs.manager import (
    ADDRESSES,
    Issued,
    Manager,
    authority_addresses,
    crl_address,
    crls_above,
    fetch,
    is_list_of,
)
from tests.peers.needs import require

pytestmark = [pytest.mark.integration, pytest.mark.peers]

KINDS: dict[str, dict[str, Any]] = {
    "rsa2048": {"key_type": "rsa", "key_bits": 2048},
    "rsa3072": {"key_type": "rsa", "key_bits": 3072},
    "rsa4096": {"key_type": "rsa", "key_bits": 4096},
    "ec256": {"key_type": "ec", "key_bits": 256},
    "ec384": {"key_type": "ec", "key_bits": 384},
    "ec521": {"key_type": "ec", "key_bits": 521},
    "ed25519": {"key_type": "ed25519"},
}
NAMES = {"alt_names": ["localhost", "www.example.com"], "ip_sans": "127.0.0.1"}
EC: dict[str, Any] = {"key_type": "ec"}
SUBJECT: dict[str, Any] = {
    "organization": ["Example"],
    "ou": ["PKI"],
    "country": ["DE"],
    "province": ["Hamburg"],
    "locality": ["Hamburg"],
    "street_address": ["Main Street 1"],
    "postal_code": ["20095"],
}
ALLOWED = {"allowed_domains": ["example.com"], "allow_subdomains": True}


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_of_every_kind_of_key_are_trusted_until_they_are_revoked(
    kind: str, manager: Manager, tmp_path: Path
) -> None:
    key = KINDS[kind]
    _, _, leaves = manager.tree(kind, template={**ALLOWED, **key}, **key, **ADDRESSES)
    issued = manager.issue(leaves, f"{kind}-leaf", **NAMES)
    crls = crls_above(issued)
    files = write(tmp_path / "before", issued, crls)
    lint_issued(issued, crls)

    for trusted, told in (openssl_verify(files), gnutls_verify(files, tmp_path)):
        assert trusted, told
    if kind == "ed25519":
        # The rules for public servers that this verifier keeps have no such keys.
        with pytest.raises(VerificationError, match="Forbidden public key algorithm"):
            python_verify(issued)
    else:
        python_verify(issued)
    handshake_with_openssl(files)
    with nginx(tmp_path, files) as port:
        assert "SUCCESS CN=localhost" in ask_over_tls(port, files)
    assert openssl_ocsp(files, issued, tmp_path) == "good"
    # Without a nonce the answer may be one that was signed before.
    for _ in range(2):
        assert openssl_ocsp(files, issued, tmp_path, "-no_nonce") == "good"
    assert gnutls_ocsp(files, issued, tmp_path) == "good"

    manager.revoke(issued)

    crls = crls_above(issued)
    lint(crls=crls)
    files = write(tmp_path / "after", issued, crls)
    for trusted, told in (openssl_verify(files, everything=False), gnutls_verify(files, tmp_path)):
        assert not trusted
        assert "revoked" in told
    assert openssl_ocsp(files, issued, tmp_path) == "revoked"
    assert openssl_ocsp(files, issued, tmp_path, "-no_nonce") == "revoked"
    assert gnutls_ocsp(files, issued, tmp_path) == "revoked"
    with nginx(tmp_path, files) as port, pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        ask_over_tls(port, files)


def test_every_address_in_a_certificate_leads_to_what_it_promises(manager: Manager) -> None:
    _, issuing, leaves = manager.tree("addresses", template=EC, **EC, **ADDRESSES)
    issued = manager.issue(leaves, "addresses-leaf")
    ca_address, ocsp_address = authority_addresses(issued.loaded)

    authority = fetch(ca_address)
    crl = fetch(crl_address(issued.loaded))
    chain = fetch(ca_address.replace("/ca?", "/ca_chain?"))
    assert authority.headers["content-type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(authority.raw) == issued.issuer
    assert fetch(ca_address.replace("/ca?", "/ca/pem?")).raw.decode() == issued.chain[0]
    assert chain.raw.decode() == "".join(issued.chain)
    assert crl.headers["content-type"] == "application/pkix-crl"
    listed = x509.load_der_x509_crl(crl.raw)
    assert is_list_of(crl.raw, issued.issuer)
    assert x509.load_pem_x509_crl(fetch(crl_address(issued.loaded) + "/pem").raw) == listed
    assert fetch(crl_address(issued.loaded)).headers["cache-control"] == "public, max-age=300"

    # The signing CA leads to the list of its parent; a root has nobody above it to lead to.
    assert x509.load_der_x509_crl(fetch(crl_address(issued.issuer)).raw).issuer == issued.issuer.issuer
    root = x509.load_pem_x509_certificate(issued.chain[-1].encode())
    assert fetch(authority_addresses(issued.issuer)[0]).raw == root.public_bytes(Encoding.DER)
    for kind in (x509.CRLDistributionPoints, x509.AuthorityInformationAccess):
        with pytest.raises(x509.ExtensionNotFound):
            root.extensions.get_extension_for_class(kind)

    question = ocsp.OCSPRequestBuilder().add_certificate(issued.loaded, issued.issuer, hashes.SHA256()).build()
    der = question.public_bytes(Encoding.DER)
    asked = [fetch(ocsp_address, der), fetch(f"{ocsp_address}/{quote(b64encode(der).decode(), safe='')}")]
    asked += [fetch(f"{ocsp_address}/{b64encode(der).decode()}")]
    for answer in asked:
        assert answer.headers["content-type"] == "application/ocsp-response"
        told = ocsp.load_der_ocsp_response(answer.raw)
        assert told.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert told.serial_number == issued.loaded.serial_number
    assert manager.data(issuing)["certificate"] == issued.chain[0]
    # The same files have the same addresses over HTTPS.
    for address, found in ((ca_address, authority), (crl_address(issued.loaded), crl)):
        parts = urlsplit(address)
        secured = manager.server.request("GET", f"{parts.path}?{parts.query}", token=None)
        assert (secured.status, secured.raw) == (200, found.raw)


def test_openssl_fetches_revocation_lists_by_itself(manager: Manager, tmp_path: Path) -> None:
    _, issuing, leaves = manager.tree("download", template=EC, **EC, **ADDRESSES)
    old = manager.issue(leaves, "download-leaf")
    manager.act(issuing, "rotate_intermediate")
    new = manager.rotate(old)
    words = ["-x509_strict", "-crl_download", "-crl_check"]

    def judge(name: str, issued: Issued) -> tuple[int, str]:
        files = write(tmp_path / name, issued)
        trust = ["-CAfile", files.root, "-untrusted", files.above]
        done = run(require("openssl"), "verify", *words, *trust, files.leaf)
        return done.returncode, done.stdout + done.stderr

    for name, issued in {"old": old, "new": new}.items():
        assert judge(name, issued)[0] == 0, judge(name, issued)
    manager.revoke(old, "previous")
    status, told = judge("old", old)
    assert status != 0
    assert "certificate revoked" in told
    assert judge("new", new)[0] == 0
    manager.revoke(new)
    assert "certificate revoked" in judge("new", new)[1]


def test_nginx_staples_the_answers_of_the_responder(manager: Manager, tmp_path: Path) -> None:
    _, _, leaves = manager.tree("staple", template=EC, **EC, **ADDRESSES)
    issued = manager.issue(leaves, "staple-leaf")
    files = write(tmp_path / "files", issued, crls_above(issued))
    trust = tmp_path / "trust.pem"
    trust.write_text("".join(issued.chain))
    settings = f"ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {trust};"

    with nginx(tmp_path, files, settings) as port:
        # nginx asks when the first client has come, and staples for the next ones.
        words = ["-status", "-CAfile", files.root, "-cert", files.leaf, "-key", files.key, "-cert_chain", files.above]
        deadline = time.monotonic() + 10
        told = ""
        while "OCSP Response Status: successful" not in told and time.monotonic() < deadline:
            told = run(require("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *words).stdout

    assert "Cert Status: good" in told, (tmp_path / "nginx.log").read_text()


def test_a_bundle_is_all_that_nginx_needs(manager: Manager, tmp_path: Path) -> None:
    _, _, leaves = manager.tree("bundle", template={"key_type": "rsa"}, key_type="ec", **ADDRESSES)
    issued = manager.issue(leaves, "bundle-leaf", format="pem_bundle", private_key_format="pkcs8")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(issued.certificate)
    files = replace(write(tmp_path / "files", issued, crls_above(issued)), chain=bundle, key=bundle)

    assert issued.private_key.startswith("-----BEGIN PRIVATE KEY-----")
    with nginx(tmp_path, files) as port:
        assert "SUCCESS CN=localhost" in ask_over_tls(port, files)


def test_a_certificate_with_every_kind_of_name_and_extension_is_well_formed(manager: Manager, tmp_path: Path) -> None:
    manager.root("full-root", **EC, **ADDRESSES, **{**SUBJECT, "max_ttl": "876000h"})
    manager.intermediate("full-issuing", "full-root", **EC, **ADDRESSES, **SUBJECT)
    manager.template(
        "full-leaves",
        "full-issuing",
        **EC,
        **SUBJECT,
        allow_any_name=True,
        allowed_uri_sans=["spiffe://example.com/*"],
        allowed_other_sans=["*"],
        code_signing_flag=True,
        email_protection_flag=True,
        ext_key_usage=["IPSECUser"],
        ext_key_usage_oids=["1.3.6.1.5.5.7.3.17"],
        policy_identifiers=["1.3.6.1.4.1.99999.1"],
        basic_constraints_valid_for_non_ca=True,
    )
    issued = manager.issue(
        "full-leaves",
        "full-leaf",
        alt_names=["localhost", "*.example.com", "person@example.com", "xn--bcher-kva.example.com"],
        ip_sans="127.0.0.1,2001:db8::1",
        uri_sans="spiffe://example.com/service",
        other_sans=["1.3.6.1.4.1.311.20.2.3;UTF8:person@example.com"],
    )
    crls = crls_above(issued)
    files = write(tmp_path, issued, crls)

    lint_issued(issued, crls)
    for trusted, told in (openssl_verify(files), gnutls_verify(files, tmp_path)):
        assert trusted, told
    text = succeed(require("openssl"), "x509", "-noout", "-text", "-in", files.leaf)
    for part in (
        "DNS:*.example.com",
        "email:person@example.com",
        "IP Address:2001:DB8:0:0:0:0:0:1",
        "URI:spiffe://example.com/service",
        "othername: UPN::person@example.com",
        "TLS Web Server Authentication, TLS Web Client Authentication, Code Signing, E-mail Protection",
        "Policy: 1.3.6.1.4.1.99999.1",
        "CA:FALSE",
        "O = Example, OU = PKI",
    ):
        assert part in text, part
    assert issued.issuer.not_valid_after_utc.year < 2050
    assert x509.load_pem_x509_certificate(issued.chain[-1].encode()).not_valid_after_utc.year > 2100


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_the_key_of_a_request_made_by_openssl_stays_with_its_maker(kind: str, manager: Manager, tmp_path: Path) -> None:
    _, _, leaves = manager.tree("csr", template={**ALLOWED, "key_type": kind}, **EC, **ADDRESSES)
    key, request = tmp_path / "own-key.pem", tmp_path / "own.csr"
    made = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ed25519": ["ed25519"]}[kind]
    names = "subjectAltName=DNS:www.example.com,DNS:localhost"
    words = ["-subj", "/CN=www.example.com", "-addext", names, "-nodes", "-keyout", key, "-out", request]
    succeed(require("openssl"), "req", "-new", "-newkey", *made, *words)

    issued = manager.issue(leaves, "csr-leaf", csr=request.read_text())

    assert issued.private_key == ""
    issued = replace(issued, private_key=key.read_text())
    crls = crls_above(issued)
    files = write(tmp_path / "files", issued, crls)
    lint_issued(issued, crls)
    for trusted, told in (openssl_verify(files), gnutls_verify(files, tmp_path)):
        assert trusted, told
    handshake_with_openssl(files)
    again = replace(manager.rotate(issued), private_key=key.read_text())
    assert again.loaded.public_key() == issued.loaded.public_key()
    assert again.loaded.serial_number != issued.loaded.serial_number
    handshake_with_openssl(write(tmp_path / "again", again))


def test_a_certificate_for_time_stamps_alone_serves_a_time_stamping_authority(manager: Manager, tmp_path: Path) -> None:
    only = {"server_flag": False, "client_flag": False, "key_usage": ["DigitalSignature"]}
    template = {**EC, **only, "ext_key_usage": ["TimeStamping"]}
    _, _, leaves = manager.tree("stamp", template=template, **EC, **ADDRESSES)
    issued = manager.issue(leaves, "stamp-leaf")
    files = write(tmp_path, issued)
    lint_issued(issued)
    settings, query, reply = (tmp_path / name for name in ("ts.cnf", "query.tsq", "reply.tsr"))
    (tmp_path / "serial").write_text("01\n")
    settings.write_text(
        "[tsa]\ndefault_tsa = here\n[here]\n"
        f"serial = {tmp_path}/serial\ndefault_policy = 1.3.6.1.4.1.99999.2\ndigests = sha256\nsigner_digest = sha256\n"
    )
    openssl = require("openssl")
    succeed(openssl, "ts", "-query", "-data", files.leaf, "-sha256", "-cert", "-out", query)
    signer = ["-signer", files.leaf, "-inkey", files.key, "-chain", files.above]
    succeed(openssl, "ts", "-reply", "-config", settings, "-queryfile", query, *signer, "-out", reply)

    told = succeed(openssl, "ts", "-verify", "-data", files.leaf, "-in", reply, "-CAfile", files.root)

    assert "Verification: OK" in told
