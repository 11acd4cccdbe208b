from __future__ import annotations

import ipaddress
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.authority_drafts import build_renewed_csr, draft_child
from strongroom.pki.draft import Draft
from strongroom.pki.keys import public_key_spki
from strongroom.pki.signing_options import SigningOptions, parse_signing_options, renewal_options, signing_defaults
from tests.factories.authorities import (
    NOW,
    issuing,
    key_of,
    make_intermediate,
    make_private_leaf,
    make_request,
    make_root,
    to_csr,
    to_csr_pem,
)
from tests.factories.certificates import Made, ec_key, make_ca, rsa_key

START = NOW.replace(microsecond=0)
ROOT = make_root(organization=["Example"], country=["de"])
KEY = ec_key()
HOUR = timedelta(hours=1)
BASE = {
    "BasicConstraints": True,
    "KeyUsage": True,
    "SubjectKeyIdentifier": False,
    "AuthorityKeyIdentifier": False,
}


def _flags(found: x509.Certificate | Draft) -> dict[str, bool]:
    return {type(item.value).__name__: item.critical for item in found.extensions}


def _constraints(certificate: x509.Certificate) -> x509.BasicConstraints:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value


def _usage(found: x509.Certificate | Draft) -> set[str]:
    value = next(item.value for item in found.extensions if isinstance(item.value, x509.KeyUsage))
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign"] + (["encipher_only", "decipher_only"] if value.key_agreement else [])
    return {name for name in names if getattr(value, name)}


def _child(csr: x509.CertificateSigningRequest, issuer: Made = ROOT, **options: Any) -> Draft:
    return draft_child(csr, parse_signing_options(options), issuing(issuer), NOW)


# roots


def test_a_root_certifies_itself() -> None:
    root = ROOT.certificate
    assert root.issuer == root.subject
    assert root.subject.rfc4514_string() == "CN=Example Root CA,O=Example,C=DE"
    assert _flags(root) == BASE
    assert _constraints(root) == x509.BasicConstraints(ca=True, path_length=None)
    assert _usage(root) == {"key_cert_sign", "crl_sign"}
    assert root.not_valid_before_utc == START - timedelta(seconds=30)
    assert root.not_valid_after_utc == START + 87600 * HOUR
    own = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    above = root.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert above.key_identifier == own.digest
    root.verify_directly_issued_by(root)


def test_a_root_has_what_was_asked_for() -> None:
    root = make_root(
        ttl="8760h",
        max_path_length=0,
        permitted_dns_domains=["example.com", "example.org"],
        alt_names=["ca.example.com"],
        serial_number="43:5c:f4",
        common_name="root.example.com",
    ).certificate
    assert _constraints(root).path_length == 0
    assert root.not_valid_after_utc == START + 8760 * HOUR
    assert _flags(root) == BASE | {"NameConstraints": True, "SubjectAlternativeName": False}
    constraint = root.extensions.get_extension_for_class(x509.NameConstraints).value
    assert constraint.permitted_subtrees == [x509.DNSName("example.com"), x509.DNSName("example.org")]
    sans = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sans.get_values_for_type(x509.DNSName) == ["root.example.com", "ca.example.com"]
    assert root.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == "43:5c:f4"


def test_a_root_may_live_for_a_hundred_years() -> None:
    assert make_root(max_ttl="876000h").certificate.not_valid_after_utc == START + 876_000 * HOUR


# requests


def test_the_request_of_an_intermediate_asks_for_a_ca() -> None:
    _, csr = make_request(KEY, organization=["Example"], alt_names=["ca.example.com"])
    assert csr.is_signature_valid
    assert csr.subject.rfc4514_string() == "CN=Example Issuing CA,O=Example"
    asked = {type(item.value).__name__: item.critical for item in csr.extensions}
    assert asked == {"BasicConstraints": True, "KeyUsage": True, "SubjectAlternativeName": False}


@pytest.mark.parametrize("kind", ["rsa", "ec256", "ec384", "ec521", "ed25519"])
def test_openssl_accepts_requests_of_every_kind_of_key(kind: str) -> None:
    _, csr = make_request(key_of(kind))
    done = subprocess.run(
        ["openssl", "req", "-verify", "-noout"], input=to_csr_pem(csr).encode(), capture_output=True, check=False
    )
    assert b"verify OK" in done.stdout + done.stderr


# children


def test_a_child_that_is_known_here_is_called_as_its_settings_say() -> None:
    document, csr = make_request(KEY, organization=["Example"], alt_names=["ca.example.com"])
    defaults = signing_defaults(document)
    draft = draft_child(csr, parse_signing_options({}, defaults=defaults), issuing(ROOT), NOW)
    assert draft.subject == csr.subject
    assert draft.not_after - START == 26280 * HOUR
    assert _flags(draft) == BASE | {"SubjectAlternativeName": False}
    changed = parse_signing_options(
        {"common_name": "Other CA", "ttl": "1h", "alt_names": [], "ou": ["Unit"]}, defaults=defaults
    )
    draft = draft_child(csr, changed, issuing(ROOT), NOW)
    assert draft.subject.rfc4514_string() == "CN=Other CA,OU=Unit,O=Example"
    assert draft.not_after - START == HOUR
    assert _flags(draft) == BASE


def test_addresses_of_the_signer_are_written_into_the_child() -> None:
    _, csr = make_request(KEY)
    options = parse_signing_options({"common_name": "Example CA"})
    urls = {"crl_url": "http://a.example.com/crl", "ca_url": "http://a.example.com/ca"}
    draft = draft_child(csr, options, issuing(ROOT, **urls), NOW)
    assert _flags(draft) == BASE | {"CRLDistributionPoints": False, "AuthorityInformationAccess": False}


@pytest.mark.parametrize(
    ("signer", "asked", "expected"),
    [(-1, None, None), (-1, -1, None), (-1, 0, 0), (-1, 3, 3), (1, None, 0), (2, -1, 1), (2, 0, 1), (3, 9, 2)],
)
def test_the_path_length_of_a_child(signer: int, asked: int | None, expected: int | None) -> None:
    root = make_root(max_path_length=signer)
    child = make_intermediate(root, max_path_length=asked).certificate
    assert _constraints(child) == x509.BasicConstraints(ca=True, path_length=expected)


def test_a_signer_with_path_length_zero_signs_no_authority() -> None:
    with pytest.raises(Invalid, match="path length of the signing CA is 0") as caught:
        make_intermediate(make_root(max_path_length=0))
    assert caught.value.code is ErrorCode.STATE_FORBIDS


@pytest.mark.parametrize(
    ("ttl", "most", "expected"),
    [
        ("10h", 20 * HOUR, 10 * HOUR),
        ("30h", 20 * HOUR, 20 * HOUR),
        (None, 20 * HOUR, 20 * HOUR),
        ("876000h", 876_000 * HOUR, 87600 * HOUR),
    ],
)
def test_a_child_is_never_valid_longer_than_its_signer_allows(
    ttl: str | None, most: timedelta, expected: timedelta
) -> None:
    _, csr = make_request(KEY)
    options = parse_signing_options({"ttl": ttl, "common_name": "Example CA"})
    draft = draft_child(csr, options, issuing(ROOT, max_ttl=most), NOW)
    assert draft.not_after - START == expected
    assert draft.not_before == START - timedelta(seconds=30)


def test_an_expired_authority_signs_no_authority() -> None:
    _, csr = make_request(KEY)
    with pytest.raises(Invalid) as caught:
        draft_child(csr, parse_signing_options({}), issuing(ROOT), NOW + 90_000 * HOUR)
    assert caught.value.code is ErrorCode.STATE_FORBIDS


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (rsa_key(1024), ErrorCode.KEY_TOO_WEAK),
        (ec_key(ec.SECP224R1()), ErrorCode.INVALID_FIELD),
        (ec_key(ec.SECP256K1()), ErrorCode.INVALID_FIELD),
    ],
)
def test_keys_that_are_not_certified(key: Any, code: ErrorCode) -> None:
    with pytest.raises(Invalid) as caught:
        _child(to_csr(key), common_name="Example CA")
    assert (caught.value.code, caught.value.field) == (code, "csr")


# requests of others

SUBJECT = x509.Name(
    [x509.NameAttribute(NameOID.COMMON_NAME, "Foreign CA"), x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example")]
)
FOREIGN: list[tuple[x509.ExtensionType, bool]] = [
    (x509.BasicConstraints(ca=True, path_length=7), True),
    (x509.KeyUsage(True, False, False, False, True, False, False, True, False), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    (x509.SubjectAlternativeName([x509.DNSName("ca.example.com")]), False),
    (x509.NameConstraints([x509.DNSName("example.com")], [x509.DNSName("secret.example.com")]), False),
    (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]), False),
    (x509.PolicyConstraints(0, None), False),
    (x509.InhibitAnyPolicy(1), False),
    (x509.SubjectKeyIdentifier(b"chosen"), False),
    (x509.AuthorityKeyIdentifier(b"chosen", None, None), False),
    (x509.CRLDistributionPoints([x509.DistributionPoint([x509.DNSName("x")], None, None, None)]), False),
    (x509.OCSPNoCheck(), False),
    (x509.PrecertPoison(), True),
    (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True),
]


def test_only_the_key_counts_unless_values_are_wanted() -> None:
    draft = _child(to_csr(KEY, SUBJECT, FOREIGN), common_name="Example CA", organization=["Example"])
    assert draft.subject.rfc4514_string() == "CN=Example CA,O=Example"
    assert _flags(draft) == BASE
    assert _usage(draft) == {"key_cert_sign", "crl_sign"}


def test_an_action_without_a_name_takes_the_common_name_of_the_request() -> None:
    assert _child(to_csr(KEY, SUBJECT, FOREIGN)).subject.rfc4514_string() == "CN=Foreign CA"
    with pytest.raises(Invalid) as caught:
        _child(to_csr(KEY))
    assert (caught.value.code, caught.value.field) == (ErrorCode.MISSING_FIELD, "common_name")
    with pytest.raises(Invalid) as caught:
        _child(to_csr(KEY), use_csr_values=True, common_name="Example CA")
    assert caught.value.code is ErrorCode.MISSING_FIELD


def test_wanted_values_are_copied_as_far_as_they_are_safe() -> None:
    draft = _child(
        to_csr(KEY, SUBJECT, FOREIGN), use_csr_values=True, common_name="Ignored", alt_names=["x.example.com"]
    )
    assert draft.subject == SUBJECT
    assert _flags(draft) == BASE | {
        "ExtendedKeyUsage": False,
        "SubjectAlternativeName": False,
        "NameConstraints": True,
        "CertificatePolicies": False,
        "PolicyConstraints": True,
        "InhibitAnyPolicy": True,
    }
    values = {type(item.value): item.value for item in draft.extensions}
    assert values[x509.BasicConstraints] == x509.BasicConstraints(ca=True, path_length=None)
    assert values[x509.NameConstraints] == FOREIGN[4][0]
    assert values[x509.SubjectAlternativeName] == FOREIGN[3][0]
    assert values[x509.SubjectKeyIdentifier] == x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
    assert _usage(draft) == {"key_cert_sign", "crl_sign", "digital_signature", "key_agreement", "encipher_only"}


@pytest.mark.parametrize(
    "name",
    [
        x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
        x509.DNSName._init_without_validation("www.ex\u00e4mple.com"),
        x509.UniformResourceIdentifier._init_without_validation("https://ex\u00e4mple.com/"),
    ],
)
def test_copied_names_that_no_verifier_reads_alike_are_refused(name: x509.GeneralName) -> None:
    csr = to_csr(KEY, SUBJECT, [(x509.SubjectAlternativeName([name]), False)])

    with pytest.raises(Invalid) as refused:
        _child(csr, use_csr_values=True)

    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_FIELD, "csr")


def test_a_copied_subject_with_control_characters_is_refused() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example\0CA")])

    with pytest.raises(Invalid) as refused:
        _child(to_csr(KEY, subject), use_csr_values=True)

    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_FIELD, "csr")
    assert "\0" not in refused.value.detail


def test_domains_of_the_action_win_over_those_of_the_request() -> None:
    draft = _child(to_csr(KEY, SUBJECT, FOREIGN), use_csr_values=True, permitted_dns_domains=["other.example.com"])
    values = {type(item.value): item.value for item in draft.extensions}
    assert values[x509.NameConstraints] == x509.NameConstraints([x509.DNSName("other.example.com")], None)


def test_a_request_cannot_get_the_right_to_answer_for_its_signer() -> None:
    asked: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)]
    with pytest.raises(Invalid, match="OCSPSigning") as caught:
        _child(to_csr(KEY, SUBJECT, asked), use_csr_values=True)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FIELD, "csr")


@given(st.lists(st.sampled_from(FOREIGN), unique_by=lambda item: item[0].oid.dotted_string), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_request_changes_what_the_signer_decides(
    asked: list[tuple[x509.ExtensionType, bool]], use_csr_values: bool
) -> None:
    draft = _child(to_csr(KEY, SUBJECT, asked), make_root(max_path_length=2), use_csr_values=use_csr_values)
    values = {type(item.value): item.value for item in draft.extensions}
    assert len(values) == len(draft.extensions)
    assert values[x509.BasicConstraints] == x509.BasicConstraints(ca=True, path_length=1)
    assert values[x509.SubjectKeyIdentifier] == x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
    assert {"key_cert_sign", "crl_sign"} <= _usage(draft)
    assert set(values) <= {
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
        *((type(value) for value, _ in FOREIGN[2:8]) if use_csr_values else ()),
    }
    assert public_key_spki(to_csr(KEY)) == public_key_spki(KEY)


# options


def test_options_are_checked_together() -> None:
    with pytest.raises(Invalid) as caught:
        parse_signing_options(
            {
                "action_type": "a",
                "csr": "c",
                "intermediate_certificate_authority": "i",
                "max_path_length": -2,
                "ttl": "0h",
                "use_csr_values": "yes",
                "key_type": "rsa",
                "permitted_dns_domains": "example.com",
            }
        )
    assert [(error.field, error.code) for error in caught.value.causes] == [
        ("key_type", ErrorCode.UNKNOWN_FIELD),
        ("ttl", ErrorCode.INVALID_FIELD),
        ("max_path_length", ErrorCode.INVALID_FIELD),
        ("permitted_dns_domains", ErrorCode.INVALID_FIELD),
        ("use_csr_values", ErrorCode.INVALID_FIELD),
    ]


def test_null_in_an_action_is_the_same_as_absent() -> None:
    document, _ = make_request(KEY, organization=["Example"])
    defaults = signing_defaults(document)
    absent: SigningOptions = parse_signing_options({}, defaults=defaults)
    assert parse_signing_options({"common_name": None, "organization": None}, defaults=defaults) == absent
    assert absent.max_path_length == -1
    assert absent.names.subject.organization == ("Example",)


# second opinions


def _verify(folder: Path, root: Made, middles: list[Made], leaf: Made) -> subprocess.CompletedProcess[str]:
    (folder / "root.pem").write_text(root.pem)
    (folder / "middle.pem").write_text("".join(made.pem for made in middles))
    (folder / "leaf.pem").write_text(leaf.pem)
    command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", "root.pem"]
    return subprocess.run(
        [*command, "-untrusted", "middle.pem", "leaf.pem"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_openssl_honours_name_constraints(tmp_path: Path) -> None:
    root = make_root(permitted_dns_domains=["example.com"])
    middle = make_intermediate(root, permitted_dns_domains=["prod.example.com"])
    inside = make_private_leaf(middle, common_name="www.prod.example.com")
    outside = make_private_leaf(middle, common_name="www.example.com")
    assert _verify(tmp_path, root, [middle], inside).returncode == 0
    refused = _verify(tmp_path, root, [middle], outside)
    assert refused.returncode != 0
    assert "permitted subtree violation" in refused.stderr


def test_three_levels_verify_and_the_path_length_ends_there(tmp_path: Path) -> None:
    root = make_root(max_path_length=2)
    policy = make_intermediate(root, members={"common_name": "Example Policy CA"})
    lowest = make_intermediate(policy)
    assert _verify(tmp_path, root, [policy, lowest], make_private_leaf(lowest)).returncode == 0
    assert _constraints(lowest.certificate).path_length == 0
    smuggled = make_ca("Smuggled CA", issuer=lowest, now=NOW)
    refused = _verify(tmp_path, root, [policy, lowest, smuggled], make_private_leaf(smuggled))
    assert "path length constraint exceeded" in refused.stderr


# renewing


def test_a_renewed_request_asks_for_all_that_the_certificate_says() -> None:
    first = make_intermediate(
        ROOT,
        common_name="Example Renamed",
        ou=["PKI"],
        alt_names=["ca.example.com"],
        max_path_length=0,
        permitted_dns_domains=["example.com"],
    )
    csr = x509.load_der_x509_csr(build_renewed_csr(first.certificate, KEY))
    draft = _child(csr, **renewal_options(first.certificate))
    assert csr.is_signature_valid
    assert draft.subject == first.certificate.subject
    kept = {type(item.value): (item.value, item.critical) for item in draft.extensions}
    for item in first.certificate.extensions:
        if not isinstance(item.value, x509.SubjectKeyIdentifier):
            assert kept[type(item.value)] == (item.value, item.critical)
