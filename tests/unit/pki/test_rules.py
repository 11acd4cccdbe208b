from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.draft import Draft, Issuer, sign_draft
from strongroom.pki.extensions import Extensions, extension
from strongroom.pki.keys import KeySpec
from strongroom.pki.leaf import draft_leaf, parse_leaf_request
from strongroom.pki.profile import Profile
from strongroom.pki.rules import check_draft
from strongroom.pki.verdicts import HELP_PAGE, Rule, Verdict, passed, refusal
from tests.factories.certificates import ec_key, make_ca, rsa_key
from tests.factories.drafts import CALLER, EC, NOW, issuing, make_draft, name_of

HOST = x509.DNSName("www.example.com")


def _profile(**chosen: Any) -> Profile:
    return Profile(**{"key": EC, "allowed_domains": ("example.com",), "allow_subdomains": True, **chosen})


def _check(draft: Draft, profile: Profile, now: datetime = NOW) -> tuple[Verdict, ...]:
    return check_draft(draft, profile, issuing=issuing(), now=now, caller=CALLER)


def _broken(draft: Draft, profile: Profile) -> list[Rule]:
    failures = [verdict for verdict in _check(draft, profile) if verdict.verdict == "fail"]
    assert all(verdict.would_pass and verdict.message.endswith(".") for verdict in failures)
    return [verdict.rule for verdict in failures]


def _draft(profile: Profile, **chosen: Any) -> Draft:
    return make_draft(profile, **{"common_name": "www.example.com", "alt_names": [HOST], **chosen})


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])


def test_draft_in_order_passes_every_rule() -> None:
    profile = _profile(
        max_ttl=timedelta(days=90), policy_identifiers=("1.2.3",), basic_constraints_valid_for_non_ca=True, ou=("Unit",)
    )
    verdicts = _check(_draft(profile), profile)
    skipped = {verdict.rule for verdict in verdicts if verdict.verdict == "skipped"}
    assert {verdict.verdict for verdict in verdicts} == {"pass", "skipped"}
    assert skipped == {Rule.ALLOW_IP_SANS, Rule.ALLOWED_URI_SANS, Rule.ALLOWED_OTHER_SANS, Rule.NAME_CONSTRAINTS}
    never = {Rule.NAME_SYNTAX, Rule.ALLOW_WILDCARD_CERTIFICATES}
    assert {verdict.rule for verdict in verdicts} == set(Rule) - never
    assert refusal(verdicts) is None


def test_refusal_has_one_cause_for_each_failed_rule() -> None:
    profile = _profile(allow_ip_sans=False)
    draft = make_draft(profile, common_name="www.example.org", life=timedelta(days=5 * 365))
    error = refusal(_check(draft, profile))
    assert error is not None
    assert error.code == ErrorCode.TEMPLATE_VIOLATION
    found = [(cause.code, cause.field) for cause in error.causes]
    assert found == [(ErrorCode.TEMPLATE_VIOLATION, field) for field in ("common_name", "ttl", "ttl")]
    assert {cause.help_page for cause in error.causes} == {HELP_PAGE}
    assert error.causes[0].hint == ("What would pass: example.org in allowed_domains, or a name below example.com.")


def test_refusal_without_a_member_names_the_template() -> None:
    profile = _profile()
    draft = _draft(
        profile, subject=_name((NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "a.example.com"))
    )
    error = refusal(_check(draft, profile))
    assert error is not None
    assert (error.field, error.causes) == ("certificate_template", ())


def test_nothing_failed_is_no_refusal() -> None:
    assert refusal([passed(Rule.SUBJECT, "Fine.")]) is None


# Names as such


def test_common_name_is_required() -> None:
    profile = _profile()
    assert _broken(_draft(profile, common_name=""), profile) == [Rule.REQUIRE_CN]


def test_common_name_may_be_missing_where_the_template_says_so() -> None:
    profile = _profile(require_cn=False)
    assert _broken(_draft(profile, common_name=""), profile) == []


def test_certificate_without_any_name_is_refused() -> None:
    profile = _profile(require_cn=False)
    assert _broken(make_draft(profile), profile) == [Rule.REQUIRE_CN]


def test_second_common_name_is_refused_and_judged_too() -> None:
    profile = _profile()
    subject = _name((NameOID.COMMON_NAME, "a.example.com"), (NameOID.COMMON_NAME, "a.example.org"))
    assert _broken(_draft(profile, subject=subject), profile) == [Rule.REQUIRE_CN, Rule.ALLOWED_DOMAINS]


# Subject


@pytest.mark.parametrize(
    "attributes",
    [
        [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.EMAIL_ADDRESS, "user@example.com")],
        [(NameOID.ORGANIZATION_NAME, "Other")],
        [(NameOID.ORGANIZATION_NAME, "example")],
        [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.ORGANIZATION_NAME, "Example")],
        [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.SERIAL_NUMBER, "7")],
        [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.USER_ID, "root")],
        [(NameOID.ORGANIZATIONAL_UNIT_NAME, "Example")],
        [],
    ],
)
def test_subject_is_exactly_that_of_the_template(attributes: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    profile = _profile(organization=("Example",))
    subject = _name(*attributes, (NameOID.COMMON_NAME, "www.example.com"))
    assert _broken(_draft(profile, subject=subject), profile) == [Rule.SUBJECT]


def test_every_part_of_the_template_goes_into_the_subject() -> None:
    profile = _profile(
        ou=("A", "B"),
        organization=("Example",),
        country=("de",),
        locality=("Town",),
        province=("Land",),
        street_address=("Street 1",),
        postal_code=("12345",),
    )
    assert _broken(_draft(profile), profile) == []
    shown = next(verdict for verdict in _check(_draft(profile), profile) if verdict.rule is Rule.SUBJECT)
    assert "C=DE" in shown.value


def test_order_of_the_subject_does_not_matter() -> None:
    profile = _profile(organization=("Example",))
    subject = _name((NameOID.COMMON_NAME, "www.example.com"), (NameOID.ORGANIZATION_NAME, "Example"))
    assert _broken(_draft(profile, subject=subject), profile) == []


def test_several_values_in_one_part_of_the_subject_are_refused() -> None:
    profile = _profile(organization=("Example",))
    both = _name((NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "www.example.com"))
    subject = x509.Name([x509.RelativeDistinguishedName(list(both))])
    assert _broken(_draft(profile, subject=subject), profile) == [Rule.SUBJECT]


# Keys


@pytest.mark.parametrize(
    ("spec", "make_key", "fits"),
    [
        (KeySpec(kind="ec", bits=256), ec_key, True),
        (KeySpec(kind="ec", bits=256), lambda: ec_key(ec.SECP384R1()), True),
        (KeySpec(kind="ec", bits=384), ec_key, False),
        (KeySpec(kind="ec", bits=256), lambda: ec_key(ec.SECP224R1()), False),
        (KeySpec(kind="ec", bits=224), lambda: ec_key(ec.SECP224R1()), True),
        (KeySpec(kind="ec", bits=256), lambda: ec_key(ec.SECP256K1()), False),
        (KeySpec(kind="ec", bits=256), lambda: ec_key(ec.BrainpoolP256R1()), False),
        (KeySpec(kind="ec", bits=256), rsa_key, False),
        (KeySpec(kind="rsa", bits=2048), rsa_key, True),
        (KeySpec(kind="rsa", bits=2048), lambda: rsa_key(3072), True),
        (KeySpec(kind="rsa", bits=3072), rsa_key, False),
        (KeySpec(kind="rsa", bits=2048), lambda: rsa_key(1024), False),
        (KeySpec(kind="rsa", bits=2048), ec_key, False),
        (KeySpec(kind="rsa", bits=2048), ed25519.Ed25519PrivateKey.generate, False),
        (KeySpec(kind="ed25519", bits=0), ed25519.Ed25519PrivateKey.generate, True),
        (KeySpec(kind="ed25519", bits=0), ec_key, False),
        (KeySpec(kind="ed25519", bits=0), ed448.Ed448PrivateKey.generate, False),
    ],
)
def test_key_is_of_the_kind_of_the_template_and_no_smaller(
    spec: KeySpec, make_key: Callable[[], Any], fits: bool
) -> None:
    profile = _profile(key=spec)
    assert _broken(_draft(profile, key=make_key().public_key()), profile) == ([] if fits else [Rule.KEY_TYPE])


def test_rsa_key_above_the_largest_size_is_refused() -> None:
    profile = _profile(key=KeySpec(kind="rsa", bits=2048))
    key = rsa.RSAPublicNumbers(65537, (1 << 8200) + 1).public_key()
    assert _broken(_draft(profile, key=key), profile) == [Rule.KEY_TYPE]


# Usages, policies, constraints


def _usage(**chosen: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: chosen.get(name, False) for name in every})


def _purposes(*oids: str) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in oids])


SERVER, CLIENT, SIGNING = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.3"


@pytest.mark.parametrize(
    ("template", "found", "rule"),
    [
        ({}, _usage(digital_signature=True), Rule.KEY_USAGE),
        ({}, _usage(digital_signature=True, key_agreement=True, key_encipherment=True, crl_sign=True), Rule.KEY_USAGE),
        ({"key_usage": ()}, _usage(digital_signature=True), Rule.KEY_USAGE),
        ({"key_usage": ("DigitalSignature",)}, _usage(digital_signature=True, key_cert_sign=True), Rule.KEY_USAGE),
        (
            {"key_usage": ("KeyAgreement",)},
            _usage(key_agreement=True, encipher_only=True),
            Rule.KEY_USAGE,
        ),
        ({}, _purposes(SERVER), Rule.EXT_KEY_USAGE),
        ({}, _purposes(SERVER, CLIENT, SIGNING), Rule.EXT_KEY_USAGE),
        ({}, _purposes(SERVER, SERVER, CLIENT), Rule.EXT_KEY_USAGE),
        ({"server_flag": False, "client_flag": False}, _purposes("2.5.29.37.0"), Rule.EXT_KEY_USAGE),
        ({"code_signing_flag": True}, _purposes(SERVER, CLIENT), Rule.EXT_KEY_USAGE),
        (
            {},
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]),
            Rule.POLICY_IDENTIFIERS,
        ),
        (
            {"policy_identifiers": ("1.2.3",)},
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.4"), None)]),
            Rule.POLICY_IDENTIFIERS,
        ),
        (
            {"policy_identifiers": ("1.2.3",)},
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), ["http://example.com"])]),
            Rule.POLICY_IDENTIFIERS,
        ),
        ({}, x509.BasicConstraints(ca=True, path_length=None), Rule.BASIC_CONSTRAINTS),
        ({}, x509.BasicConstraints(ca=True, path_length=0), Rule.BASIC_CONSTRAINTS),
        ({}, x509.BasicConstraints(ca=False, path_length=None), Rule.BASIC_CONSTRAINTS),
        (
            {"basic_constraints_valid_for_non_ca": True},
            x509.BasicConstraints(ca=True, path_length=None),
            Rule.BASIC_CONSTRAINTS,
        ),
    ],
)
def test_values_that_the_template_does_not_give_are_refused(
    template: dict[str, Any], found: x509.ExtensionType, rule: Rule
) -> None:
    profile = _profile(**template)
    critical = isinstance(found, x509.KeyUsage | x509.BasicConstraints)
    assert _broken(_draft(profile, extensions=[extension(found, critical=critical)]), profile) == [rule]


@pytest.mark.parametrize(
    ("missing", "rule"),
    [
        (x509.KeyUsage, Rule.KEY_USAGE),
        (x509.ExtendedKeyUsage, Rule.EXT_KEY_USAGE),
        (x509.CertificatePolicies, Rule.POLICY_IDENTIFIERS),
        (x509.BasicConstraints, Rule.BASIC_CONSTRAINTS),
        (x509.SubjectKeyIdentifier, Rule.SUBJECT_KEY_IDENTIFIER),
        (x509.AuthorityKeyIdentifier, Rule.AUTHORITY_KEY_IDENTIFIER),
        (x509.CRLDistributionPoints, Rule.ISSUER_URLS),
        (x509.AuthorityInformationAccess, Rule.ISSUER_URLS),
    ],
)
def test_values_that_the_template_or_the_authority_gives_must_be_there(
    missing: type[x509.ExtensionType], rule: Rule
) -> None:
    profile = _profile(policy_identifiers=("1.2.3",), basic_constraints_valid_for_non_ca=True)
    assert _broken(_draft(profile, without=missing), profile) == [rule]


@pytest.mark.parametrize(
    "template",
    [
        {"key_usage": ()},
        {"key_usage": ("DigitalSignature", "ContentCommitment", "CRLSign")},
        {"key_usage": ("KeyAgreement", "DecipherOnly")},
        {"server_flag": False, "client_flag": False},
        {"code_signing_flag": True, "email_protection_flag": True},
        {"ext_key_usage": ("TimeStamping",), "ext_key_usage_oids": ("1.2.3",)},
        {"policy_identifiers": ("1.2.3", "1.2.4")},
        {"basic_constraints_valid_for_non_ca": True},
    ],
)
def test_usages_policies_and_constraints_of_the_template_pass(template: dict[str, Any]) -> None:
    profile = _profile(**template)
    assert _broken(_draft(profile), profile) == []


def test_order_of_extended_key_usages_does_not_matter() -> None:
    profile = _profile()
    draft = _draft(profile, extensions=[extension(_purposes(CLIENT, SERVER), critical=False)])
    assert _broken(draft, profile) == []


# What a request may try to bring along


def _other_ski() -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(ec_key().public_key())


def _points(url: str) -> x509.CRLDistributionPoints:
    name = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint(full_name=[name], relative_name=None, reasons=None, crl_issuer=None)]
    )


def _access(url: str) -> x509.AuthorityInformationAccess:
    name = x509.UniformResourceIdentifier(url)
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, name)])


def _raw(oid: x509.ObjectIdentifier, hexadecimal: str) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(oid, bytes.fromhex(hexadecimal))


@pytest.mark.parametrize(
    ("foreign", "rules"),
    [
        ([_other_ski()], [Rule.SUBJECT_KEY_IDENTIFIER]),
        ([x509.SubjectKeyIdentifier(b"")], [Rule.SUBJECT_KEY_IDENTIFIER]),
        (
            [x509.AuthorityKeyIdentifier.from_issuer_public_key(ec_key().public_key())],
            [Rule.AUTHORITY_KEY_IDENTIFIER],
        ),
        ([_points("http://evil.test/crl")], [Rule.ISSUER_URLS]),
        ([_access("http://evil.test/ocsp")], [Rule.ISSUER_URLS]),
        ([x509.OCSPNoCheck()], [Rule.EXTENSIONS]),
        ([x509.TLSFeature([x509.TLSFeatureType.status_request])], [Rule.EXTENSIONS]),
        ([x509.NameConstraints([HOST], None)], [Rule.EXTENSIONS]),
        ([x509.PolicyConstraints(0, None)], [Rule.EXTENSIONS]),
        ([x509.InhibitAnyPolicy(0)], [Rule.EXTENSIONS]),
        ([x509.IssuerAlternativeName([HOST])], [Rule.EXTENSIONS]),
        ([x509.PrecertPoison()], [Rule.EXTENSIONS]),
        ([x509.FreshestCRL(list(_points("http://evil.test/delta")))], [Rule.EXTENSIONS]),
        ([_raw(x509.ObjectIdentifier("1.2.3.4"), "0500")], [Rule.EXTENSIONS]),
        ([_raw(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2"), "1e00")], [Rule.EXTENSIONS]),
        # Forms that the library would not read as what they are.
        ([_raw(ExtensionOID.BASIC_CONSTRAINTS, "30030101ff")], [Rule.EXTENSIONS]),
        ([_raw(ExtensionOID.KEY_USAGE, "03020106")], [Rule.KEY_USAGE, Rule.EXTENSIONS]),
        ([_raw(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, "3003820161")], [Rule.EXTENSIONS]),
        # The judged one first, another one behind it.
        (
            [
                x509.SubjectAlternativeName([HOST]),
                x509.SubjectAlternativeName([x509.DNSName("www.example.org")]),
            ],
            [Rule.EXTENSIONS],
        ),
        ([_purposes(SERVER, CLIENT), _purposes(SIGNING)], [Rule.EXTENSIONS]),
    ],
)
def test_foreign_extension_is_refused(foreign: Sequence[x509.ExtensionType], rules: list[Rule]) -> None:
    profile = _profile()
    extensions: Extensions = [extension(value, critical=False) for value in foreign]
    assert _broken(_draft(profile, extensions=extensions), profile) == rules


def test_extension_under_a_false_number_is_refused() -> None:
    profile = _profile()
    disguised: x509.Extension[x509.ExtensionType] = x509.Extension(
        x509.ObjectIdentifier("1.2.3"), False, x509.SubjectAlternativeName([HOST])
    )
    draft = _draft(profile, without=x509.SubjectAlternativeName, extensions=[disguised])
    assert _broken(draft, profile) == [Rule.EXTENSIONS]


@pytest.mark.parametrize(
    "kind", [x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier, x509.AuthorityInformationAccess]
)
def test_extension_that_must_not_be_critical_is_refused(kind: type[x509.ExtensionType]) -> None:
    profile = _profile()
    draft = _draft(profile)
    marked = tuple(
        x509.Extension(item.oid, isinstance(item.value, kind) or item.critical, item.value) for item in draft.extensions
    )
    assert _broken(replace(draft, extensions=marked), profile) == [Rule.EXTENSIONS]


@pytest.mark.parametrize("common_name", ["www.example.com", ""])
def test_names_are_critical_where_the_subject_is_empty_and_only_there(common_name: str) -> None:
    profile = _profile(require_cn=False)
    draft = _draft(profile, common_name=common_name)
    names, *others = draft.extensions
    turned = x509.Extension(names.oid, not names.critical, names.value)
    assert _broken(draft, profile) == []
    assert _broken(replace(draft, extensions=(turned, *others)), profile) == [Rule.EXTENSIONS]


def test_certificate_of_another_authority_is_refused() -> None:
    profile = _profile()
    other = replace(issuing(), certificate=make_ca(days=5 * 365, now=NOW).certificate)
    verdicts = check_draft(_draft(profile), profile, issuing=other, now=NOW, caller=CALLER)
    broken = [verdict.rule for verdict in verdicts if verdict.verdict == "fail"]
    assert broken == [Rule.AUTHORITY_KEY_IDENTIFIER]


# Life


@pytest.mark.parametrize(
    ("max_ttl", "life", "rules"),
    [
        (None, timedelta(days=3 * 365), []),
        (None, timedelta(days=3 * 365 + 1), []),
        (None, timedelta(days=3 * 365 + 2), [Rule.LONGEST_LIFE]),
        (None, timedelta(days=4 * 365 + 1), [Rule.CA_MAX_TTL, Rule.LONGEST_LIFE]),
        (None, timedelta(days=5 * 365), [Rule.CA_MAX_TTL, Rule.LONGEST_LIFE]),
        (None, timedelta(days=5 * 365, seconds=1), [Rule.CA_MAX_TTL, Rule.LONGEST_LIFE, Rule.CA_END]),
        (timedelta(hours=1), timedelta(hours=1), []),
        (timedelta(hours=1), timedelta(hours=1, seconds=1), [Rule.MAX_TTL]),
        (timedelta(hours=1), timedelta(days=5 * 365), [Rule.MAX_TTL, Rule.CA_MAX_TTL, Rule.LONGEST_LIFE]),
        (timedelta(hours=1), timedelta(seconds=1), []),
        (timedelta(hours=1), timedelta(0), [Rule.MAX_TTL]),
        (None, timedelta(days=-1), [Rule.MAX_TTL]),
    ],
)
def test_life_is_within_every_limit(max_ttl: timedelta | None, life: timedelta, rules: list[Rule]) -> None:
    profile = _profile(max_ttl=max_ttl)
    assert _broken(_draft(profile, life=life), profile) == rules


@pytest.mark.parametrize(
    ("not_before", "start", "fits"),
    [
        (timedelta(seconds=30), timedelta(seconds=-30), True),
        (timedelta(seconds=30), timedelta(seconds=-31), False),
        (timedelta(seconds=30), timedelta(0), True),
        (timedelta(seconds=30), timedelta(seconds=1), False),
        (timedelta(0), timedelta(0), True),
        (timedelta(0), timedelta(seconds=-1), False),
    ],
)
def test_start_is_back_dated_no_further_than_the_template_says(
    not_before: timedelta, start: timedelta, fits: bool
) -> None:
    profile = _profile(not_before=not_before)
    draft = replace(_draft(profile), not_before=NOW + start)
    assert _broken(draft, profile) == ([] if fits else [Rule.NOT_BEFORE])


def test_fractions_of_the_second_of_issue_do_not_count() -> None:
    profile = _profile(max_ttl=timedelta(days=30))
    verdicts = _check(_draft(profile), profile, now=NOW + timedelta(microseconds=999_999))
    assert refusal(verdicts) is None


def test_values_in_verdicts_are_short_and_printable() -> None:
    profile = _profile()
    host = x509.DNSName._init_without_validation("\x1b[31m" + "a" * 300)
    uri = x509.UniformResourceIdentifier._init_without_validation("https://example.com/\r\n" + "b" * 3000)
    verdicts = _check(_draft(profile, alt_names=[host, uri]), profile)
    texts = [text for verdict in verdicts for text in (verdict.value, verdict.message, verdict.would_pass)]
    assert all(text.isprintable() and len(text) < 400 for text in texts)


# Whatever a request holds

_HOSTS = [
    "www.example.com",
    "example.com",
    "*.example.com",
    "www.example.org",
    "localhost",
    "a_b.example.com",
    "x.",
    "",
]
_SANS = st.sampled_from(
    [
        *(name_of("dns", host) for host in _HOSTS),
        *(name_of("email", text) for text in ("user@example.com", "user@www.example.com", "user@example.org", "user")),
        *(name_of("ip", text) for text in ("192.0.2.1", "2001:db8::1")),
        *(name_of("uri", text) for text in ("spiffe://example.com/a", "https://example.org/", "relative")),
        *(name_of("other", text) for text in ("1.2.3;UTF8:a", "1.2.4;UTF8:a", "1.2.3;DER:0500")),
        *(name_of("foreign", text) for text in ("directory", "registered")),
    ]
)
_FOREIGN = st.sampled_from(
    [
        x509.BasicConstraints(ca=True, path_length=None),
        _usage(key_cert_sign=True, crl_sign=True),
        _purposes(SIGNING),
        x509.SubjectKeyIdentifier(b"mine"),
        x509.AuthorityKeyIdentifier(b"mine", None, None),
        _points("http://evil.test/crl"),
        _access("http://evil.test/ocsp"),
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.9"), None)]),
        x509.NameConstraints([HOST], None),
        _raw(x509.ObjectIdentifier("1.2.3.4"), "0500"),
    ]
)
_ATTRIBUTES = st.sampled_from(
    [
        (NameOID.ORGANIZATION_NAME, "Evil"),
        (NameOID.EMAIL_ADDRESS, "user@example.org"),
        (NameOID.COMMON_NAME, "www.example.com"),
        (NameOID.COMMON_NAME, "www.example.org"),
    ]
)
_ALLOWED = {
    "www.example.com",
    "*.example.com",
    "a_b.example.com",
    "localhost",
    "user@www.example.com",
    "192.0.2.1",
    "2001:db8::1",
    "spiffe://example.com/a",
    "1.2.3;UTF8:a",
}
"""All that subdomains of example.com, localhost and the URIs and others below allow."""


@settings(max_examples=150, deadline=None)
@given(
    attributes=st.lists(_ATTRIBUTES, max_size=3),
    sans=st.lists(_SANS, max_size=3),
    foreign=st.lists(_FOREIGN, max_size=3, unique_by=lambda value: value.oid),
    common_name=st.sampled_from(["www.example.com", "www.example.org", ""]),
    use_csr_common_name=st.booleans(),
    use_csr_sans=st.booleans(),
)
def test_what_is_signed_keeps_to_the_template_whatever_was_asked_for(
    attributes: list[tuple[x509.ObjectIdentifier, str]],
    sans: list[x509.GeneralName],
    foreign: list[x509.ExtensionType],
    common_name: str,
    use_csr_common_name: bool,
    use_csr_sans: bool,
) -> None:
    profile = _profile(
        require_cn=False,
        organization=("Example",),
        enforce_hostnames=False,
        allowed_uri_sans=("spiffe://example.com/*",),
        allowed_other_sans=("1.2.3;UTF8:*",),
        use_csr_common_name=use_csr_common_name,
        use_csr_sans=use_csr_sans,
    )
    builder = x509.CertificateSigningRequestBuilder(_name(*attributes))
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    for value in foreign:
        builder = builder.add_extension(value, critical=True)
    key = ec_key()
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    try:
        request = parse_leaf_request({"common_name": common_name, "csr": pem})
        draft = draft_leaf(request, profile, issuing(), key.public_key(), NOW)
    except Invalid:
        return
    if refusal(_check(draft, profile)) is not None:
        return

    signer = ec_key()
    certificate = sign_draft(draft, Issuer(subject=issuing().certificate.subject, key=signer), 1)

    found = [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    others = [attribute.rfc4514_string() for attribute in certificate.subject if attribute.oid != NameOID.COMMON_NAME]
    kinds = {type(item.value): item.value for item in certificate.extensions}
    for name in kinds.get(x509.SubjectAlternativeName, ()):
        is_other = isinstance(name, x509.OtherName)
        found.append(f"{name.type_id.dotted_string};UTF8:{name.value[2:].decode()}" if is_other else str(name.value))
    assert others == ["O=Example"]
    assert set(found) <= _ALLOWED
    assert kinds.keys() <= {
        x509.SubjectAlternativeName,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
        x509.CRLDistributionPoints,
        x509.AuthorityInformationAccess,
    }
    assert not kinds[x509.KeyUsage].key_cert_sign
    assert kinds[x509.SubjectKeyIdentifier] == x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    assert "evil" not in repr(kinds)
