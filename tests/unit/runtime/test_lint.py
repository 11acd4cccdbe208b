"""The linter: silent about what we sign, not about mistakes, and never inside the server."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from pkilint.pkix.certificate import certificate_validator

from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.pki.crl import build_crl, entry_der
from strongroom.pki.draft import Draft, Issuer, SigningKey, new_serial, sign_draft
from strongroom.pki.extensions import (
    build_addresses,
    build_extended_key_usage,
    build_key_ids,
    build_key_usage,
    build_name_constraints,
    build_san,
    extension,
    read_key_id,
)
from strongroom.pki.ocsp import Responder, Revoked, Status, build_answer, read_request
from strongroom.pki.rehearsal import rehearse
from strongroom.runtime import lint, lint_rules
from strongroom.runtime.helper_processes import HelperProcesses
from strongroom.runtime.lint import Finding, Linter, lint_certificate, lint_crl, lint_ocsp
from tests.factories.certificates import ec_key, rsa_key

START = datetime(2026, 1, 1, tzinfo=UTC)
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
ADDRESSES = build_addresses(
    crl_url="http://localhost:8200/v1/ibmcloud/private_cert/config/example/crl",
    ca_url="https://strongroom.example.com/v1/ibmcloud/private_cert/config/example/ca",
    ocsp_url="http://127.0.0.1:8200/ocsp/example",
)
KEYS: list[SigningKey] = [ec_key(), rsa_key(2048), ed25519.Ed25519PrivateKey.generate()]
KINDS = ["ec", "rsa", "ed25519"]
COMPROMISED = x509.ReasonFlags.key_compromise
STATES: list[Status] = ["good", "unknown", Revoked(at=START), Revoked(at=START, reason=COMPROMISED)]
SIGNING = ["DigitalSignature"]
AT_ALL = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]
"""The default of templates."""


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def ca_draft(key: SigningKey, *, issuer: x509.Certificate | None = None, domains: Sequence[str] = ()) -> Draft:
    return Draft(
        subject=name("Example Root" if issuer is None else "Example Intermediate"),
        public_key=key.public_key(),
        not_before=START,
        not_after=START + timedelta(days=3650, seconds=-1),
        extensions=(
            extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else None), critical=True),
            *build_key_usage(["CertSign", "CRLSign"]),
            *build_key_ids(key.public_key(), issuer),
            *build_name_constraints(domains),
            *(ADDRESSES if issuer else []),
        ),
    )


def root_of(key: SigningKey) -> x509.Certificate:
    draft = ca_draft(key)
    return sign_draft(draft, Issuer(subject=draft.subject, key=key), new_serial())


def leaf_draft(
    root: x509.Certificate,
    names: Sequence[x509.GeneralName],
    *,
    usages: Sequence[str] = SIGNING,
    key: SigningKey | None = None,
    more: Sequence[x509.Extension[x509.ExtensionType]] = (),
    days: int = 90,
) -> Draft:
    public = (key or ec_key()).public_key()
    return Draft(
        subject=name("www.example.com"),
        public_key=public,
        not_before=START,
        not_after=START + timedelta(days=days, seconds=-1),
        extensions=(
            *build_san(names, has_subject=True),
            *build_key_usage(usages),
            *build_extended_key_usage([SERVER_AUTH]),
            *build_key_ids(public, root),
            *ADDRESSES,
            *more,
        ),
    )


def linted(draft: Draft, root: x509.Certificate, key: SigningKey) -> list[Finding]:
    return lint_certificate(der(rehearse(draft, Issuer(subject=root.subject, key=key))))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def codes(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(finding["severity"], finding["code"]) for finding in findings}


# --- what is as it should be


@pytest.mark.parametrize("key", KEYS, ids=KINDS)
def test_nothing_is_wrong_with_a_root_an_intermediate_and_a_leaf(key: SigningKey) -> None:
    root = root_of(key)
    assert lint_certificate(der(root)) == []
    assert linted(ca_draft(ec_key(), issuer=root), root, key) == []
    assert linted(leaf_draft(root, [x509.DNSName("www.example.com")], key=key), root, key) == []


@pytest.mark.parametrize(
    "alt_name",
    [
        x509.DNSName("*.example.com"),
        x509.DNSName("localhost"),
        x509.DNSName("db_1.internal"),
        x509.DNSName("xn--bcher-kva.example.com"),
        x509.IPAddress(ip_address("10.0.0.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.RFC822Name("operator@example.com"),
        x509.RFC822Name("root@localhost"),
        x509.UniformResourceIdentifier("spiffe://example.com/service"),
        x509.UniformResourceIdentifier("urn:example:service"),
        x509.UniformResourceIdentifier("https://localhost:8443/"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x04user"),
    ],
    ids=lambda alt_name: str(alt_name.value),
)
def test_names_of_a_private_network_are_names(alt_name: x509.GeneralName) -> None:
    key = KEYS[0]
    root = root_of(key)
    assert linted(leaf_draft(root, [alt_name]), root, key) == []


def test_constraints_to_internal_names_are_well_formed() -> None:
    root = root_of(KEYS[0])
    draft = ca_draft(ec_key(), issuer=root, domains=["example.com", ".example.com", "internal"])
    assert linted(draft, root, KEYS[0]) == []
    constraints = x509.NameConstraints(
        [
            x509.RFC822Name("localhost"),
            x509.RFC822Name("root@localhost"),
            x509.UniformResourceIdentifier(".internal"),
            x509.UniformResourceIdentifier("internal"),
        ],
        None,
    )
    draft = ca_draft(ec_key(), issuer=root)
    draft = with_extensions(draft, [*draft.extensions, extension(constraints, critical=True)])
    assert linted(draft, root, KEYS[0]) == []


def with_extensions(draft: Draft, extensions: Sequence[x509.Extension[x509.ExtensionType]]) -> Draft:
    return Draft(
        subject=draft.subject,
        public_key=draft.public_key,
        not_before=draft.not_before,
        not_after=draft.not_after,
        extensions=tuple(extensions),
    )


@pytest.mark.parametrize("key", KEYS, ids=KINDS)
def test_nothing_is_wrong_with_revocation_lists(key: SigningKey) -> None:
    root = root_of(key)
    for entries in ([], [entry_der(7, START), entry_der(9, START, x509.ReasonFlags.key_compromise)]):
        built = build_crl(
            Issuer(subject=root.subject, key=key),
            key_id=read_key_id(root).digest,
            number=5,
            this_update=START,
            next_update=START + timedelta(days=3),
            entries=entries,
        )
        assert lint_crl(built) == []


@pytest.mark.parametrize("key", KEYS, ids=KINDS)
@pytest.mark.parametrize(
    "status", ["good", "unknown", Revoked(at=START), Revoked(at=START, reason=COMPROMISED)], ids=str
)
@pytest.mark.parametrize("nonce", [None, b"0123456789abcdef"], ids=["kept", "nonce"])
def test_nothing_is_wrong_with_ocsp_answers(key: SigningKey, status: Status, nonce: bytes | None) -> None:
    root = root_of(key)
    leaf = sign_draft(
        leaf_draft(root, [x509.DNSName("www.example.com")]), Issuer(subject=root.subject, key=key), new_serial()
    )
    request = ocsp.OCSPRequestBuilder().add_certificate(leaf, root, hashes.SHA1())  # noqa: S303  (what clients send)
    if nonce is not None:
        request = request.add_extension(x509.OCSPNonce(nonce), critical=False)
    answer = build_answer(
        read_request(request.build().public_bytes(Encoding.DER)),
        status,
        responder=Responder(certificate=root, key=key),
        produced_at=START,
        this_update=START,
        next_update=START + timedelta(days=1),
    )
    assert lint_ocsp(answer) == []


def test_nothing_is_wrong_with_an_ocsp_refusal() -> None:
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    assert lint_ocsp(refusal.public_bytes(Encoding.DER)) == []


# --- what is not


@pytest.mark.parametrize(("key", "kind"), list(zip(KEYS, ["ec", "rsa", "edwards_curve"], strict=True)), ids=KINDS)
def test_default_key_usages_are_a_warning(key: SigningKey, kind: str) -> None:
    root = root_of(KEYS[0])
    draft = leaf_draft(root, [x509.DNSName("www.example.com")], usages=AT_ALL, key=key)
    assert codes(linted(draft, root, KEYS[0])) == {("warning", f"pkix.key_usage_value_prohibited_for_{kind}")}


def with_subject(draft: Draft, oid: x509.ObjectIdentifier, text: str) -> Draft:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is long
        subject = x509.Name([x509.NameAttribute(oid, text, _validate=False)])
    return replace(draft, subject=subject)


@pytest.mark.parametrize("text", ["a" * 65, "x" * 128, "ö" * 128], ids=["65", "128", "umlauts"])
def test_long_common_names_that_the_api_allows_are_a_warning_in_clear_words(text: str) -> None:
    root = root_of(KEYS[0])
    draft = leaf_draft(root, [x509.DNSName("www.example.com")])
    (finding,) = linted(with_subject(draft, NameOID.COMMON_NAME, text), root, KEYS[0])
    assert (finding["severity"], finding["code"]) == ("warning", "itu.invalid_asn1_syntax")
    assert f"the common name has {len(text)} characters, and RFC 5280 allows 64" in finding["message"]
    assert "subject" in finding["message"]


def test_a_long_name_of_an_authority_is_the_same_warning_in_what_it_signs() -> None:
    key = KEYS[0]
    draft = with_subject(ca_draft(key), NameOID.COMMON_NAME, "a" * 100)
    root = sign_draft(draft, Issuer(subject=draft.subject, key=key), new_serial())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        crl = build_crl(
            Issuer(subject=root.subject, key=key),
            key_id=read_key_id(root).digest,
            number=1,
            this_update=START,
            next_update=START + timedelta(days=3),
            entries=[],
        )
        findings = [*lint_certificate(der(root)), *lint_crl(crl)]
    assert len(findings) == 3
    assert codes(findings) == {("warning", "itu.invalid_asn1_syntax")}


@pytest.mark.parametrize(
    ("oid", "length"), [(NameOID.COMMON_NAME, 129), (NameOID.ORGANIZATION_NAME, 65)], ids=["name", "organization"]
)
def test_longer_names_than_the_api_allows_stay_fatal(oid: x509.ObjectIdentifier, length: int) -> None:
    root = root_of(KEYS[0])
    draft = leaf_draft(root, [x509.DNSName("www.example.com")])
    assert codes(linted(with_subject(draft, oid, "a" * length), root, KEYS[0])) == {
        ("fatal", "itu.invalid_asn1_syntax")
    }


def test_other_key_usages_that_a_key_cannot_serve_are_errors() -> None:
    root = root_of(KEYS[0])
    draft = leaf_draft(root, [x509.DNSName("www.example.com")], usages=[*AT_ALL, "DataEncipherment"])
    assert codes(linted(draft, root, KEYS[0])) == {("error", "pkix.key_usage_value_prohibited_for_ec")}


@pytest.mark.parametrize(
    ("alt_name", "code"),
    [
        (x509.DNSName("a b.example.com"), "pkix.invalid_domain_name_syntax"),
        (x509.DNSName("-a.example.com"), "pkix.invalid_domain_name_syntax"),
        (x509.DNSName("www.*.example.com"), "pkix.invalid_domain_name_syntax"),
        (x509.DNSName("10.0.0.1"), "pkix.invalid_domain_name_syntax"),
        (x509.RFC822Name("nobody"), "pkix.invalid_email_address_syntax"),
        (x509.UniformResourceIdentifier("no-scheme"), "pkix.invalid_uri_syntax"),
        (x509.UniformResourceIdentifier("https:///path"), "pkix.invalid_uri_syntax"),
    ],
    ids=lambda given: str(given.value) if isinstance(given, x509.GeneralName) else "",
)
def test_names_that_are_none_are_errors(alt_name: x509.GeneralName, code: str) -> None:
    root = root_of(KEYS[0])
    findings = linted(leaf_draft(root, [alt_name]), root, KEYS[0])
    assert codes(findings) == {("error", code)}
    assert "subjectAltName" in findings[0]["message"]


def test_wildcards_are_no_constraints() -> None:
    root = root_of(KEYS[0])
    draft = ca_draft(ec_key(), issuer=root, domains=["x.example.com"])
    made = der(rehearse(draft, Issuer(subject=root.subject, key=KEYS[0])))
    # The library builds none such; nothing looks at the signature.
    changed = made.replace(b"x.example.com", b"*.example.com")
    assert codes(lint_certificate(changed)) == {("error", "pkix.invalid_domain_name_syntax")}


def test_mistakes_in_a_certificate_are_found() -> None:
    root = root_of(KEYS[0])
    good = leaf_draft(root, [x509.DNSName("www.example.com")])
    without_issuer_key = [item for item in good.extensions if item.oid != x509.AuthorityKeyIdentifier.oid]
    found = codes(linted(with_extensions(good, without_issuer_key), root, KEYS[0]))
    assert ("error", "pkix.authority_key_identifier_extension_absent") in found
    constraints = extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    found = codes(linted(with_extensions(good, [*good.extensions, constraints]), root, KEYS[0]))
    assert {severity for severity, _ in found} & {"error"}


def test_mistakes_in_a_revocation_list_are_found() -> None:
    builder = x509.CertificateRevocationListBuilder(issuer_name=name("Example Root"))
    built = builder.last_update(START).next_update(START + timedelta(days=1)).sign(ec_key(), hashes.SHA256())
    found = codes(lint_crl(built.public_bytes(Encoding.DER)))
    assert found == {("error", "pkix.crl_number_missing"), ("error", "pkix.authority_key_identifier_missing")}


def test_mistakes_in_an_ocsp_answer_are_found() -> None:
    # 4 is the status that RFC 6960 section 4.2.1 leaves out.
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    wrong = refusal.public_bytes(Encoding.DER)[:-1] + b"\x04"
    assert {severity for severity, _ in codes(lint_ocsp(wrong))} & {"error", "fatal"}


def test_what_cannot_be_read_is_a_finding() -> None:
    for check in (lint_certificate, lint_crl, lint_ocsp):
        for junk in (b"", b"junk", b"\x30\x00"):
            assert codes(check(junk)) == {("fatal", "lint.unreadable")}


def test_worst_findings_come_first_and_not_all_of_a_thousand() -> None:
    root = root_of(KEYS[0])
    names = [x509.DNSName(f"a b{number}.example.com") for number in range(100)]
    findings = linted(leaf_draft(root, names, usages=AT_ALL), root, KEYS[0])
    assert len(findings) == lint_rules.MOST_FINDINGS
    assert {finding["severity"] for finding in findings} == {"error"}
    findings = linted(leaf_draft(root, names[:1], usages=AT_ALL), root, KEYS[0])
    assert [finding["severity"] for finding in findings] == ["error", "warning"]


def test_messages_are_bounded() -> None:
    root = root_of(KEYS[0])
    findings = linted(leaf_draft(root, [x509.DNSName("a b" * 5000)]), root, KEYS[0])
    assert all(len(finding["message"]) < lint_rules.MOST_CHARACTERS + 200 for finding in findings)


def test_a_check_that_breaks_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(certificate_validator.CorrectVersionValidator, "validate", broken)
    findings = lint_certificate(der(root_of(KEYS[0])))
    assert codes(findings) == {("warning", "base.unhandled_exception")}
    assert "planted" not in findings[0]["message"]


# --- where it runs


def test_a_helper_process_does_the_work() -> None:
    helpers = HelperProcesses(size=1)
    linter = Linter(helpers)
    root = root_of(KEYS[0])
    try:
        assert linter.lint_certificate(der(root)) == []
        assert codes(linter.lint_crl(b"junk")) == {("fatal", "lint.unreadable")}
        assert codes(linter.lint_ocsp(b"junk")) == {("fatal", "lint.unreadable")}
        assert helpers.running == 1
    finally:
        helpers.close()


def test_the_server_does_not_load_the_linter() -> None:
    program = (
        "import sys\nfrom strongroom.runtime import container, lint\n"
        "assert lint.is_installed()\nprint([name for name in ('pkilint', 'pyasn1') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("check", [lint_certificate, lint_crl, lint_ocsp])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, check: Callable[[bytes], list[Finding]]
) -> None:
    monkeypatch.setattr(lint, "find_spec", lambda _: None)
    assert not lint.is_installed()
    with pytest.raises(Unavailable, match="not installed") as caught:
        check(b"")
    assert caught.value.code is ErrorCode.UNAVAILABLE
    assert "strongroom[lint]" in (caught.value.hint or "")
