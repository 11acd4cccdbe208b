from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.clock import SystemClock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.draft import Draft
from strongroom.pki.formats import CertificateFormat, KeyFormat
from strongroom.pki.issuing import Issuing
from strongroom.pki.leaf import LeafRequest, draft_leaf, parse_leaf_request
from strongroom.pki.profile import Profile
from strongroom.pki.subject import Subject, build_subject
from tests.factories.authorities import (
    NOW,
    issuing,
    key_of,
    make_intermediate,
    make_private_leaf,
    make_root,
    to_csr,
    to_csr_pem,
)
from tests.factories.certificates import ec_key, make_ca, rsa_key
from tests.peers.needs import require

ROOT = make_root()
CA = make_intermediate(ROOT)
HOUR = timedelta(hours=1)
KEY = ec_key()
START = NOW.replace(microsecond=0)


def _parse(**members: object) -> LeafRequest:
    return parse_leaf_request({"common_name": "www.example.com", **members})


def _draft(profile: Profile | None = None, ca: Issuing | None = None, now: datetime = NOW, **members: Any) -> Draft:
    return draft_leaf(_parse(**members), profile or Profile(), ca or issuing(CA), KEY.public_key(), now)


def _refused(**members: object) -> list[tuple[str | None, ErrorCode]]:
    with pytest.raises(Invalid) as caught:
        _parse(**members)
    return [(error.field, error.code) for error in caught.value.causes or (caught.value,)]


def _found(draft: Draft) -> dict[str, x509.Extension[x509.ExtensionType]]:
    return {type(item.value).__name__: item for item in draft.extensions}


def _alt_names(draft: Draft) -> list[str]:
    value = _found(draft)["SubjectAlternativeName"].value
    assert isinstance(value, x509.SubjectAlternativeName)
    return [str(name.value) for name in value]


# the request


def test_a_minimal_request_has_the_defaults() -> None:
    request = parse_leaf_request({"common_name": "www.example.com", "certificate_template": "t", "name": "n"})
    assert request == LeafRequest(
        common_name="www.example.com",
        alt_names=(),
        ip_sans=(),
        uri_sans=(),
        other_sans=(),
        exclude_cn_from_sans=False,
        ttl=None,
        csr=None,
        format=CertificateFormat.PEM,
        private_key_format=KeyFormat.DER,
    )


def test_every_wrong_member_is_named() -> None:
    assert _refused(
        common_name="x" * 129,
        alt_names=["no host"],
        ttl="1 day",
        csr="no request",
        format="der",
        private_key_format="pem",
        exclude_cn_from_sans="no",
    ) == [
        ("alt_names[0]", ErrorCode.INVALID_FIELD),
        ("common_name", ErrorCode.INVALID_FIELD),
        ("exclude_cn_from_sans", ErrorCode.INVALID_FIELD),
        ("ttl", ErrorCode.INVALID_FIELD),
        ("csr", ErrorCode.INVALID_FIELD),
        ("format", ErrorCode.INVALID_FIELD),
        ("private_key_format", ErrorCode.INVALID_FIELD),
    ]


@pytest.mark.parametrize("ttl", ["0", "0h", "876001h", "-1h", True, 1.5, "99999999999d"])
def test_a_life_that_no_certificate_has_is_refused(ttl: object) -> None:
    assert _refused(ttl=ttl) == [("ttl", ErrorCode.INVALID_FIELD)]


@pytest.mark.parametrize(
    ("csr", "code"),
    [
        (to_csr(rsa_key(1024)), ErrorCode.KEY_TOO_WEAK),
        (to_csr(ec_key(ec.SECP224R1())), ErrorCode.INVALID_FIELD),
        (to_csr(ec_key(ec.BrainpoolP256R1())), ErrorCode.INVALID_FIELD),
        (to_csr(ec_key(ec.SECP256K1())), ErrorCode.INVALID_FIELD),
    ],
)
def test_requests_for_keys_that_are_not_certified(csr: x509.CertificateSigningRequest, code: ErrorCode) -> None:
    assert _refused(csr=to_csr_pem(csr)) == [("csr", code)]


def test_p224_is_certified_only_where_it_is_allowed() -> None:
    pem = to_csr_pem(to_csr(ec_key(ec.SECP224R1())))
    assert parse_leaf_request({"csr": pem}, allow_p224=True).csr is not None


def test_a_request_with_an_overlong_exponent_is_refused() -> None:
    numbers = rsa_key().private_numbers()
    phi = (numbers.p - 1) * (numbers.q - 1)
    exponent = next(e for e in range((1 << 300) + 1, (1 << 300) + 99, 2) if _coprime(e, phi))
    public = rsa.RSAPublicNumbers(exponent, numbers.public_numbers.n)
    private = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=pow(exponent, -1, phi),
        dmp1=pow(exponent, -1, numbers.p - 1),
        dmq1=pow(exponent, -1, numbers.q - 1),
        iqmp=numbers.iqmp,
        public_numbers=public,
    )
    key = private.private_key(unsafe_skip_rsa_key_validation=True)
    assert _refused(csr=to_csr_pem(to_csr(key))) == [("csr", ErrorCode.INVALID_FIELD)]


def _coprime(number: int, phi: int) -> bool:
    try:
        pow(number, -1, phi)
    except ValueError:
        return False
    return True


def test_a_request_longer_than_4096_characters_is_refused() -> None:
    sans = x509.SubjectAlternativeName([x509.DNSName(f"host-{n:03}.long.name.example.com") for n in range(100)])
    assert _refused(csr=to_csr_pem(to_csr(KEY, extensions=[(sans, False)]))) == [("csr", ErrorCode.INVALID_FIELD)]


def test_a_request_whose_signature_is_wrong_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(to_csr_pem(to_csr(KEY)).encode()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    assert _refused(csr=to_csr_pem(x509.load_der_x509_csr(bytes(der)))) == [("csr", ErrorCode.INVALID_FIELD)]


# the draft


def test_a_leaf_has_what_the_template_and_the_authority_say() -> None:
    profile = Profile(
        organization=("Example",),
        country=("de",),
        ext_key_usage=("TimeStamping",),
        ext_key_usage_oids=("1.2.3.4",),
        policy_identifiers=("1.2.3.5",),
        basic_constraints_valid_for_non_ca=True,
        code_signing_flag=True,
        email_protection_flag=True,
    )
    ca = issuing(
        CA, crl_url="http://a.example.com/crl", ca_url="http://a.example.com/ca", ocsp_url="http://a.example.com/ocsp"
    )
    draft = _draft(profile, ca, alt_names=["a.example.com"], ip_sans="192.0.2.1")
    found = _found(draft)
    assert draft.subject.rfc4514_string() == "CN=www.example.com,O=Example,C=DE"
    assert _alt_names(draft) == ["www.example.com", "a.example.com", "192.0.2.1"]
    assert {name: item.critical for name, item in found.items()} == {
        "SubjectAlternativeName": False,
        "KeyUsage": True,
        "BasicConstraints": True,
        "ExtendedKeyUsage": False,
        "CertificatePolicies": False,
        "SubjectKeyIdentifier": False,
        "AuthorityKeyIdentifier": False,
        "CRLDistributionPoints": False,
        "AuthorityInformationAccess": False,
    }
    assert found["BasicConstraints"].value == x509.BasicConstraints(ca=False, path_length=None)
    usages = found["ExtendedKeyUsage"].value
    assert isinstance(usages, x509.ExtendedKeyUsage)
    assert [usage.dotted_string for usage in usages] == [
        ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,
        ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
        ExtendedKeyUsageOID.CODE_SIGNING.dotted_string,
        ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string,
        ExtendedKeyUsageOID.TIME_STAMPING.dotted_string,
        "1.2.3.4",
    ]
    above = CA.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert found["AuthorityKeyIdentifier"].value == x509.AuthorityKeyIdentifier(above.digest, None, None)
    access = found["AuthorityInformationAccess"].value
    assert isinstance(access, x509.AuthorityInformationAccess)
    assert [(item.access_method, item.access_location.value) for item in access] == [
        (AuthorityInformationAccessOID.OCSP, "http://a.example.com/ocsp"),
        (AuthorityInformationAccessOID.CA_ISSUERS, "http://a.example.com/ca"),
    ]


def test_what_the_template_leaves_out_is_not_there() -> None:
    profile = Profile(key_usage=(), server_flag=False, client_flag=False)
    assert set(_found(_draft(profile))) == {
        "SubjectAlternativeName",
        "SubjectKeyIdentifier",
        "AuthorityKeyIdentifier",
    }


def test_alternative_names_are_critical_where_there_is_no_subject() -> None:
    draft = _draft(Profile(require_cn=False), common_name="", alt_names=["a.example.com"])
    assert list(draft.subject) == []
    assert _found(draft)["SubjectAlternativeName"].critical


def test_a_certificate_without_any_name_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        _draft(Profile(require_cn=False, organization=("Example",)), common_name="")
    assert (caught.value.code, caught.value.field) == (ErrorCode.MISSING_FIELD, "common_name")


def test_the_common_name_may_be_kept_out_of_the_alternative_names() -> None:
    assert _alt_names(_draft(alt_names=["a.example.com"], exclude_cn_from_sans=True)) == ["a.example.com"]
    assert "SubjectAlternativeName" not in _found(_draft(exclude_cn_from_sans=True))
    assert "SubjectAlternativeName" not in _found(_draft(common_name="Example Service"))


# names from a request

CSR = to_csr(
    KEY,
    x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody"),
            x509.NameAttribute(NameOID.COMMON_NAME, "first.example.com"),
            x509.NameAttribute(NameOID.COMMON_NAME, "csr.example.com"),
        ]
    ),
    [
        (
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("Csr.example.com"),
                    x509.DNSName("b.example.com"),
                    x509.RFC822Name("ops@example.com"),
                    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
                ]
            ),
            True,
        )
    ],
)


@pytest.mark.parametrize(
    ("use_cn", "use_sans", "common_name", "alt_names"),
    [
        (True, True, "csr.example.com", ["Csr.example.com", "b.example.com", "ops@example.com", "1.2.3"]),
        (True, False, "csr.example.com", ["csr.example.com", "a.example.com"]),
        (
            False,
            True,
            "www.example.com",
            ["www.example.com", "Csr.example.com", "b.example.com", "ops@example.com", "1.2.3"],
        ),
        (False, False, "www.example.com", ["www.example.com", "a.example.com"]),
    ],
)
def test_names_come_from_the_request_where_the_template_says_so(
    use_cn: bool, use_sans: bool, common_name: str, alt_names: list[str]
) -> None:
    profile = Profile(use_csr_common_name=use_cn, use_csr_sans=use_sans)
    draft = _draft(profile, csr=to_csr_pem(CSR), alt_names=["a.example.com"])
    assert draft.subject.rfc4514_string() == f"CN={common_name}"
    found = _found(draft)["SubjectAlternativeName"].value
    assert isinstance(found, x509.SubjectAlternativeName)
    texts = [n.value.dotted_string if isinstance(n, x509.RegisteredID) else str(n.value) for n in found]
    assert texts == alt_names


def test_a_request_without_a_common_name_leaves_it_to_the_body() -> None:
    draft = _draft(csr=to_csr_pem(to_csr(KEY)))
    assert draft.subject.rfc4514_string() == "CN=www.example.com"
    assert _alt_names(draft) == ["www.example.com"]
    assert _alt_names(_draft(csr=to_csr_pem(CSR), exclude_cn_from_sans=True))[0] == "Csr.example.com"


def test_a_name_that_a_request_lists_twice_is_there_once() -> None:
    sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in ("a.example.com", "b.example.com") * 2])
    draft = _draft(csr=to_csr_pem(to_csr(KEY, extensions=[(sans, False)])))
    assert _alt_names(draft) == ["www.example.com", "a.example.com", "b.example.com"]


@pytest.mark.parametrize("name", ["a\x00.example.com", "a b.example.com", ""])
def test_names_of_a_request_that_cannot_be_shown_are_refused(name: str) -> None:
    sans = x509.SubjectAlternativeName([x509.DNSName(name)])
    with pytest.raises(Invalid) as caught:
        _draft(Profile(enforce_hostnames=False), csr=to_csr_pem(to_csr(KEY, extensions=[(sans, False)])))
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FIELD, "csr")


@pytest.mark.parametrize("text", ["x" * 129, "a\x00b"])
def test_a_common_name_of_a_request_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        _draft(csr=to_csr_pem(to_csr(KEY, build_subject(Subject(), text))))
    assert caught.value.field == "csr"


def test_extensions_of_a_request_that_cannot_be_read_are_refused() -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x03\x01")
    with pytest.raises(Invalid, match="asks for extensions that cannot be read") as caught:
        _draft(csr=to_csr_pem(to_csr(KEY, extensions=[(broken, False)])))
    assert caught.value.field == "csr"


ALL_EXTENSIONS: list[tuple[x509.ExtensionType, bool]] = [
    (x509.BasicConstraints(ca=True, path_length=5), True),
    (x509.KeyUsage(*[True] * 9), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), True),
    (x509.SubjectKeyIdentifier(b"chosen"), False),
    (x509.AuthorityKeyIdentifier(b"chosen", None, None), False),
    (x509.NameConstraints([x509.DNSName("example.com")], None), True),
    (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.1"), None)]), False),
    (x509.CRLDistributionPoints([x509.DistributionPoint([x509.DNSName("x")], None, None, None)]), False),
    (x509.OCSPNoCheck(), False),
    (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
    (x509.PrecertPoison(), True),
    (x509.InhibitAnyPolicy(0), True),
    (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True),
    (x509.SubjectAlternativeName([x509.DNSName("b.example.com")]), True),
]


@given(
    chosen=st.lists(st.sampled_from(ALL_EXTENSIONS), unique_by=lambda item: item[0].oid.dotted_string),
    use_cn=st.booleans(),
    use_sans=st.booleans(),
    usage=st.sampled_from([(), ("DigitalSignature",)]),
)
@settings(max_examples=60, deadline=None)
def test_nothing_but_names_comes_from_a_request(
    chosen: list[tuple[x509.ExtensionType, bool]], use_cn: bool, use_sans: bool, usage: tuple[str, ...]
) -> None:
    profile = Profile(use_csr_common_name=use_cn, use_csr_sans=use_sans, key_usage=usage)
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody")])
    with_csr = _draft(profile, csr=to_csr_pem(to_csr(KEY, subject, chosen)))
    without = _draft(profile)
    assert with_csr.subject == without.subject
    assert (with_csr.not_before, with_csr.not_after) == (without.not_before, without.not_after)
    rest = [item for item in with_csr.extensions if not isinstance(item.value, x509.SubjectAlternativeName)]
    assert rest == [item for item in without.extensions if not isinstance(item.value, x509.SubjectAlternativeName)]
    assert set(_alt_names(with_csr)) <= {"www.example.com", "b.example.com"}


# its life

CA_END = CA.certificate.not_valid_after_utc - START


@pytest.mark.parametrize(
    ("ttl", "template_ttl", "template_max", "ca_max", "expected"),
    [
        ("5h", 4 * HOUR, 8 * HOUR, 90 * HOUR, 5 * HOUR),
        (None, 4 * HOUR, 8 * HOUR, 90 * HOUR, 4 * HOUR),
        (None, None, 8 * HOUR, 90 * HOUR, 8 * HOUR),
        (None, None, None, 90 * HOUR, 90 * HOUR),
        (None, None, 200 * HOUR, 90 * HOUR, 90 * HOUR),
        (None, 100 * HOUR, None, 90 * HOUR, 90 * HOUR),
        ("8h", None, 8 * HOUR, 90 * HOUR, 8 * HOUR),
        (None, None, None, 1_000_000 * HOUR, CA_END),
    ],
)
def test_the_life_of_a_leaf(
    ttl: str | None,
    template_ttl: timedelta | None,
    template_max: timedelta | None,
    ca_max: timedelta,
    expected: timedelta,
) -> None:
    draft = _draft(Profile(ttl=template_ttl, max_ttl=template_max), issuing(CA, max_ttl=ca_max), ttl=ttl)
    assert draft.not_after - START == expected
    assert draft.not_before == START - timedelta(seconds=30)


def test_a_default_is_never_longer_than_three_years() -> None:
    old = issuing(make_ca(now=NOW, days=36500))
    assert _draft(ca=old).not_after == datetime(2030, 1, 15, 12, tzinfo=UTC)


def test_a_life_that_was_asked_for_is_left_to_the_rules() -> None:
    assert _draft(Profile(max_ttl=8 * HOUR), issuing(CA, max_ttl=HOUR), ttl="9h").not_after == START + 9 * HOUR


def test_a_leaf_does_not_begin_before_its_authority() -> None:
    young = make_root()
    draft = _draft(Profile(not_before=timedelta(days=1)), issuing(young))
    assert draft.not_before == young.certificate.not_valid_before_utc


@pytest.mark.parametrize("days", [-2, 40_000])
def test_an_authority_outside_its_own_life_signs_nothing(days: int) -> None:
    with pytest.raises(Invalid) as caught:
        _draft(now=NOW + timedelta(days=days))
    assert caught.value.code is ErrorCode.STATE_FORBIDS


# second opinions


@pytest.mark.parametrize("kind", ["rsa", "ec256", "ec384", "ec521", "ed25519"])
def test_chains_of_every_kind_of_key_satisfy_openssl_and_gnutls(kind: str, tmp_path: Path) -> None:
    now = SystemClock().now()  # GnuTLS knows no other time
    root = make_root(key=key_of(kind), organization=["Example"], now=now)
    middle = make_intermediate(root, key=key_of(kind), now=now)
    profile = Profile(key_usage=("DigitalSignature",))
    leaf = make_private_leaf(middle, profile=profile, key=key_of(kind), alt_names=["a.example.com"], now=now)
    for name, made in {"root": root, "middle": middle, "leaf": leaf}.items():
        (tmp_path / f"{name}.pem").write_text(made.pem)
    (tmp_path / "chain.pem").write_text(leaf.pem + middle.pem + root.pem)
    options = ["-x509_strict", "-verify_hostname", "a.example.com", "-purpose", "sslserver"]
    _run("openssl", "verify", *options, "-CAfile", "root.pem", "-untrusted", "middle.pem", "leaf.pem", folder=tmp_path)
    require("gnutls-bin")
    told = _run("certtool", "--verify-chain", "--infile", "chain.pem", folder=tmp_path)
    assert "Chain verification output: Verified. The certificate is trusted." in told


def _run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
