from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki import csr as module
from strongroom.pki.csr import (
    ManagedCsrSpec,
    build_csr,
    check_name_kept,
    managed_csr_names,
    managed_csr_view,
    parse_managed_csr,
)
from strongroom.pki.keys import IssuedKey, KeySpec, generate_private_key
from strongroom.pki.load import load_csr
from strongroom.pki.usages import EXTENDED_KEY_USAGES, KEY_USAGES
from tests.factories.certificates import ec_key, rsa_key

PAGE_2025 = {
    "require_cn": True,
    "common_name": "example.com",
    "ip_sans": "127.0.0.1",
    "uri_sans": "https://www.example.com/test",
    "other_sans": "2.5.4.5;UTF8:*.example.com",
    "exclude_cn_from_sans": False,
}


def _parse(**values: object) -> ManagedCsrSpec:
    return parse_managed_csr({"common_name": "example.com", **values})


def _refused(**values: object) -> list[tuple[str | None, ErrorCode, str]]:
    with pytest.raises(Invalid) as caught:
        _parse(**values)
    found = caught.value.causes or (caught.value,)
    return [(error.field, error.code, error.detail) for error in found]


def _openssl(pem: str) -> str:
    """What OpenSSL reads in a request whose signature it has verified."""
    command = ["openssl", "req", "-verify", "-text", "-noout", "-nameopt", "RFC2253,-esc_msb,utf8"]
    result = subprocess.run(command, input=pem, capture_output=True, text=True, check=True)
    assert "verify OK" in result.stdout + result.stderr
    return re.sub(r"\s+", " ", result.stdout)


def _print(**values: object) -> str:
    return _openssl(build_csr(_parse(**values), ec_key()))


# --- the request --------------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_built_as_openssl_sees_it() -> None:
    spec = parse_managed_csr(PAGE_2025)
    assert spec.key == KeySpec(kind="rsa", bits=2048)
    text = _openssl(build_csr(spec, rsa_key()))
    assert "Subject: CN=example.com " in text
    assert "DNS:example.com, IP Address:127.0.0.1, URI:https://www.example.com/test, othername:" in text
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    assert "Public-Key: (2048 bit)" in text
    assert "sha256WithRSAEncryption" in text
    extension = load_csr(build_csr(spec, rsa_key()), field="csr").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    (other,) = extension.value.get_values_for_type(x509.OtherName)
    assert other == x509.OtherName(x509.ObjectIdentifier("2.5.4.5"), b"\x0c\x0d*.example.com")
    assert managed_csr_view(spec) == {
        "ou": [],
        "organization": [],
        "country": [],
        "locality": [],
        "province": [],
        "street_address": [],
        "postal_code": [],
        "server_flag": True,
        "client_flag": True,
        "code_signing_flag": False,
        "email_protection_flag": False,
        "key_type": "rsa",
        "key_bits": 2048,
        "rotate_keys": False,
        **PAGE_2025,
    }


def test_the_whole_subject_is_there() -> None:
    text = _print(
        country=["us", "DE"],
        province=["Texas"],
        locality=["Austin"],
        street_address=["1 Example Way"],
        postal_code=["78701"],
        organization=["Example, Inc."],
        ou=["Web", "M\u00fcnchen"],
        user_ids="web01, web02",
        common_name="Example Service",
    )
    assert (
        "Subject: CN=Example Service,UID=web02,UID=web01,OU=M\u00fcnchen,OU=Web,O=Example\\, Inc.,"
        "postalCode=78701,street=1 Example Way,L=Austin,ST=Texas,C=DE,C=US" in text
    )
    assert "Subject Alternative Name" not in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"alt_names": "alt1"}, "DNS:example.com, DNS:alt1 "),
        (
            {"alt_names": "alt1, *.example.com,a@example.com,"},
            "DNS:example.com, DNS:alt1, DNS:*.example.com, email:a@ex",
        ),
        ({"alt_names": "example.com,EXAMPLE.COM,b.example.com"}, "DNS:example.com, DNS:b.example.com "),
        ({"alt_names": "b\u00fccher.example"}, "DNS:xn--bcher-kva.example"),
        ({"exclude_cn_from_sans": True, "alt_names": "a.example"}, "Alternative Name: DNS:a.example "),
        ({"common_name": "a@example.com"}, "Alternative Name: email:a@example.com "),
        ({"common_name": "*.example.com"}, "Alternative Name: DNS:*.example.com "),
        ({"common_name": "b\u00fccher.example"}, "Alternative Name: DNS:xn--bcher-kva.example "),
        ({"ip_sans": "192.0.2.1, 2001:DB8::1,192.0.2.1"}, "IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1 "),
        ({"common_name": "", "require_cn": False, "alt_names": "a.example"}, "Name: critical DNS:a.example "),
        ({"key_usage": "DigitalSignature,keyagreement"}, "Key Usage: critical Digital Signature, Key Agreement "),
        ({"key_usage": "KeyAgreement,EncipherOnly"}, "Key Usage: critical Key Agreement, Encipher Only "),
        (
            {"ext_key_usage": "timestamping", "server_flag": False, "client_flag": False},
            "Extended Key Usage: critical Time Stamp",
        ),
        ({"ext_key_usage_oids": "1.3.6.1.4.1.311.20.2.2"}, "TLS Web Client Authentication, Microsoft Smartcard Login"),
        ({"policy_identifiers": "2.23.140.1.2.1, 1.2.3.4"}, "Policy: 2.23.140.1.2.1 Policy: 1.2.3.4 "),
        ({"other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:a@example.com"}, "othername: UPN:"),
    ],
)
def test_openssl_sees_what_was_asked_for(values: dict[str, object], expected: str) -> None:
    text = _print(**values)
    assert expected in text.replace("UPN::", "UPN:").replace("othername:UPN", "othername: UPN")


@pytest.mark.parametrize(
    ("flag", "purpose"),
    [
        ("server_flag", "TLS Web Server Authentication"),
        ("client_flag", "TLS Web Client Authentication"),
        ("code_signing_flag", "Code Signing"),
        ("email_protection_flag", "E-mail Protection"),
    ],
)
def test_each_certificate_role_alone(flag: str, purpose: str) -> None:
    flags = dict.fromkeys(["server_flag", "client_flag", "code_signing_flag", "email_protection_flag"], False)
    assert f"Extended Key Usage: {purpose} " in _print(**flags | {flag: True})


def test_without_roles_and_usages_there_is_no_usage_extension() -> None:
    text = _print(server_flag=False, client_flag=False, key_usage="", ext_key_usage="")
    assert "Key Usage" not in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"key_type": "ec"}, ["Public-Key: (256 bit)", "ecdsa-with-SHA256"]),
        ({"key_type": "ec", "key_bits": 224}, ["Public-Key: (224 bit)", "ecdsa-with-SHA256"]),
        ({"key_type": "ec", "key_bits": 384}, ["Public-Key: (384 bit)", "ecdsa-with-SHA384"]),
        ({"key_type": "ec", "key_bits": 521}, ["Public-Key: (521 bit)", "ecdsa-with-SHA512"]),
        ({"key_type": "ed25519", "key_bits": 12}, ["ED25519"]),
    ],
)
def test_each_kind_of_key_signs_its_request(values: dict[str, object], words: list[str]) -> None:
    spec = _parse(**values)
    text = _openssl(build_csr(spec, generate_private_key(spec.key)))
    assert all(word in text for word in words)


def test_a_common_name_of_128_characters_is_built() -> None:
    name = "a" * 60 + "." + "b" * 59 + ".example"
    assert len(name) == 128
    assert f"CN={name}" in _print(common_name=name)
    assert _refused(common_name=name + "x")[0][2] == (
        "managed_csr.common_name has 129 characters; at most 128 are allowed."
    )


def test_every_usage_of_the_contract_can_be_asked_for() -> None:
    spec = _parse(key_usage=",".join(KEY_USAGES).upper(), ext_key_usage=",".join(EXTENDED_KEY_USAGES).lower())
    assert spec.key_usage == tuple(KEY_USAGES)
    assert spec.ext_key_usage == tuple(EXTENDED_KEY_USAGES)
    request = load_csr(build_csr(spec, ec_key()), field="csr")
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.crl_sign
    assert usage.decipher_only
    purposes = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [purpose.dotted_string for purpose in purposes][:2] == ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]
    assert {purpose.dotted_string for purpose in purposes} == set(EXTENDED_KEY_USAGES.values())


# --- the rules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field", "code", "words"),
    [
        (
            {"common_name": None},
            "common_name",
            ErrorCode.MISSING_FIELD,
            "is required; leave it out only with require_cn",
        ),
        ({"common_name": "  "}, "common_name", ErrorCode.MISSING_FIELD, "is required"),
        ({"common_name": "", "require_cn": False}, "common_name", ErrorCode.MISSING_FIELD, "without any name"),
        ({"common_name": "a\nb"}, "common_name", ErrorCode.INVALID_FIELD, "control characters"),
        ({"common_name": 7}, "common_name", ErrorCode.MISSING_FIELD, ""),
        ({"alt_names": "ok.example,-bad-"}, "alt_names", ErrorCode.INVALID_FIELD, "cannot use `-bad-`: the parts"),
        ({"alt_names": "192.0.2.1"}, "alt_names", ErrorCode.INVALID_FIELD, "belongs in ip_sans"),
        ({"alt_names": ["a.example"]}, "alt_names", ErrorCode.INVALID_FIELD, "must be a string"),
        ({"alt_names": ",".join(f"n{i}" for i in range(101))}, "alt_names", ErrorCode.INVALID_FIELD, "has 101 values"),
        ({"ip_sans": "example.com"}, "ip_sans", ErrorCode.INVALID_FIELD, "looks like 192.0.2.1"),
        ({"uri_sans": "www.example.com"}, "uri_sans", ErrorCode.INVALID_FIELD, "has a scheme"),
        ({"other_sans": "2.5.4.5;IA5:x"}, "other_sans", ErrorCode.INVALID_FIELD, "write it as oid;UTF8:value"),
        ({"other_sans": "9.5;UTF8:x"}, "other_sans", ErrorCode.INVALID_FIELD, "an object identifier is"),
        ({"other_sans": "2.5.4.5;UTF8:a\x01"}, "other_sans", ErrorCode.INVALID_FIELD, "control characters"),
        ({"other_sans": "2.5.4.5;UTF8:" + "a" * 1025}, "other_sans", ErrorCode.INVALID_FIELD, "at most 1024"),
        ({"user_ids": "a" * 257}, "user_ids", ErrorCode.INVALID_FIELD, "at most 256"),
        ({"country": ["USA"]}, "country[0]", ErrorCode.INVALID_FIELD, "a code of two letters"),
        ({"country": "US"}, "country", ErrorCode.INVALID_FIELD, "must be a list of strings"),
        ({"country": 5}, "country", ErrorCode.INVALID_FIELD, "must be a list of strings"),
        ({"organization": ["ok", " "]}, "organization[1]", ErrorCode.INVALID_FIELD, "it is empty"),
        ({"organization": ["a" * 65]}, "organization[0]", ErrorCode.INVALID_FIELD, "65 characters; at most 64"),
        ({"ou": [None]}, "ou[0]", ErrorCode.INVALID_FIELD, "must be a string"),
        ({"ou": ["a\x00b"]}, "ou[0]", ErrorCode.INVALID_FIELD, "control characters"),
        ({"locality": ["x"] * 11}, "locality", ErrorCode.INVALID_FIELD, "has 11 values; at most 10"),
        ({"require_cn": "yes"}, "require_cn", ErrorCode.INVALID_FIELD, "must be true or false"),
        ({"key_type": "dsa"}, "key_type", ErrorCode.INVALID_FIELD, "must be rsa, ec or ed25519"),
        ({"key_bits": 1024}, "key_bits", ErrorCode.INVALID_FIELD, "one of 2048, 3072, 4096, 8192"),
        ({"key_type": "ec", "key_bits": 2048}, "key_bits", ErrorCode.INVALID_FIELD, "one of 224, 256, 384, 521"),
        ({"key_bits": "2048"}, "key_bits", ErrorCode.INVALID_FIELD, "must be a whole number"),
        ({"key_bits": True}, "key_bits", ErrorCode.INVALID_FIELD, "must be a whole number"),
        ({"key_usage": "Signing"}, "key_usage", ErrorCode.INVALID_FIELD, "key usages are DigitalSignature"),
        ({"key_usage": "EncipherOnly"}, "key_usage", ErrorCode.INVALID_FIELD, "needs KeyAgreement"),
        ({"ext_key_usage": "Web"}, "ext_key_usage", ErrorCode.INVALID_FIELD, "usages are Any, ServerAuth"),
        ({"ext_key_usage_oids": "x"}, "ext_key_usage_oids", ErrorCode.INVALID_FIELD, "numbers with dots"),
        ({"policy_identifiers": "1.2.x"}, "policy_identifiers", ErrorCode.INVALID_FIELD, "numbers with dots"),
        ({"csr": "x"}, "csr", ErrorCode.UNKNOWN_FIELD, "is no member"),
        ({"colour\n" + "x" * 99: 1}, "colour?" + "x" * 73 + "...", ErrorCode.UNKNOWN_FIELD, "is no member"),
    ],
)
def test_each_broken_rule_is_reported_with_its_field(
    values: dict[str, Any], field: str, code: ErrorCode, words: str
) -> None:
    found = _refused(**values)
    assert (f"managed_csr.{field}", code) in [(where, what) for where, what, _ in found]
    assert any(words in detail for _, _, detail in found)
    assert all(detail.startswith("managed_csr.") for _, _, detail in found)


def test_all_broken_rules_are_reported_together() -> None:
    fields = [field for field, _, _ in _refused(country=["x"], ip_sans="a,b", key_type="x", common_name=None)]
    assert fields == [
        "managed_csr.country[0]",
        "managed_csr.common_name",
        "managed_csr.ip_sans",
        "managed_csr.ip_sans",
        "managed_csr.key_type",
    ]


@pytest.mark.parametrize("text", ["2.5.4.5;UTF8:x", "2.5.4.5;utf8:x", "2.5.4.5;UTF-8:x", "2.5.4.5:UTF8:x"])
def test_other_names_are_read_in_every_spelling(text: str) -> None:
    spec = _parse(other_sans=text)
    assert [str(san) for san in spec.other_sans] == ["2.5.4.5;UTF8:x"]
    assert managed_csr_view(spec)["other_sans"] == text


def test_null_and_empty_members_count_as_absent() -> None:
    cleared = dict.fromkeys(("alt_names", "key_bits", "ou", "server_flag", "key_type", "rotate_keys"))
    assert _parse(**cleared) == _parse()
    empty = _parse(alt_names="", ip_sans="", other_sans="", user_ids="", key_type="", key_bits=0, ou=[])
    assert empty.alt_names == ()
    assert empty.key == KeySpec(kind="rsa", bits=2048)
    assert managed_csr_view(empty)["alt_names"] == ""


def test_strings_are_shown_exactly_as_given() -> None:
    view = managed_csr_view(
        _parse(alt_names=" b.example ,A.example", ip_sans="2001:DB8::1", key_type="ed25519", key_bits=7)
    )
    assert view["alt_names"] == " b.example ,A.example"
    assert view["ip_sans"] == "2001:DB8::1"
    assert (view["key_type"], view["key_bits"]) == ("ed25519", 0)
    assert "uri_sans" not in view


def test_names_are_the_common_name_and_all_sans() -> None:
    spec = _parse(
        common_name="WWW.B\u00fccher.example",
        exclude_cn_from_sans=True,
        alt_names="A.example",
        ip_sans="2001:DB8::1",
        uri_sans="urn:x",
        other_sans="2.5.4.5;utf8:Y",
    )
    assert managed_csr_names(spec) == {
        "www.xn--bcher-kva.example",
        "a.example",
        "2001:db8::1",
        "urn:x",
        "2.5.4.5;utf8:y",
    }


def test_a_change_must_keep_a_name() -> None:
    old = _parse(alt_names="a.example,b.example")
    check_name_kept(old, _parse(alt_names="alt1"))
    check_name_kept(old, _parse(common_name="new.example", alt_names="B.example"))
    with pytest.raises(Invalid, match="must keep at least one name of before") as caught:
        check_name_kept(old, _parse(common_name="new.example"))
    assert caught.value.code is ErrorCode.CSR_NAMES_CHANGED
    assert caught.value.field == "managed_csr"


# --- properties ---------------------------------------------------------------------------------------------------

hosts = st.from_regex(r"(\*\.)?[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9]{0,8}){0,3}", fullmatch=True)


def _listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=4).map(", ".join)


requests = st.fixed_dictionaries(
    {"common_name": hosts},
    optional={
        "alt_names": _listed(hosts),
        "ip_sans": _listed(st.ip_addresses().map(str)),
        "organization": st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20), max_size=10),
        "key_usage": _listed(st.sampled_from(["DigitalSignature", "KeyAgreement", "certsign"])),
        "policy_identifiers": _listed(st.sampled_from(["1.2.3", "2.5.29.32.0"])),
        "server_flag": st.booleans(),
        "exclude_cn_from_sans": st.booleans(),
        "key_type": st.sampled_from(["ec", "ed25519"]),
        "rotate_keys": st.booleans(),
    },
)


@settings(max_examples=60, deadline=None)
@given(requests)
def test_a_view_can_be_parsed_again_and_its_request_loaded(values: dict[str, object]) -> None:
    spec = parse_managed_csr(values)
    view = managed_csr_view(spec)
    assert managed_csr_view(parse_managed_csr(view)) == view
    key = ed25519.Ed25519PrivateKey.generate() if spec.key.kind == "ed25519" else ec_key()
    request = load_csr(build_csr(parse_managed_csr(view), key), field="csr")
    assert x509.NameAttribute(x509.NameOID.COMMON_NAME, spec.common_name) in request.subject


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=30), st.lists(st.text(max_size=10), max_size=3)
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(module._MEMBERS)), anything, max_size=8))
def test_any_values_are_built_or_refused(values: dict[str, object]) -> None:
    try:
        spec = parse_managed_csr(values)
    except Invalid:
        return
    key: Callable[[], IssuedKey] = ed25519.Ed25519PrivateKey.generate if spec.key.kind == "ed25519" else ec_key
    load_csr(build_csr(spec, key()), field="csr")
