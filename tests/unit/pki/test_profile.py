from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Json
from strongroom.pki.keys import KeySpec
from strongroom.pki.profile import Profile, parse_template, patch_template, profile_of
from strongroom.pki.usages import EXTENDED_KEY_USAGES

DEFAULTS = {
    "certificate_authority": "issuing-ca",
    "max_ttl_seconds": 0,
    "ttl_seconds": 0,
    "not_before_duration_seconds": 30,
    "allow_localhost": True,
    "allowed_domains": [],
    "allowed_domains_template": False,
    "allow_bare_domains": False,
    "allow_subdomains": False,
    "allow_glob_domains": False,
    "allow_wildcard_certificates": True,
    "allow_any_name": False,
    "enforce_hostnames": True,
    "allow_ip_sans": True,
    "allowed_uri_sans": [],
    "allowed_other_sans": [],
    "server_flag": True,
    "client_flag": True,
    "code_signing_flag": False,
    "email_protection_flag": False,
    "key_type": "rsa",
    "key_bits": 2048,
    "key_usage": ["DigitalSignature", "KeyAgreement", "KeyEncipherment"],
    "ext_key_usage": [],
    "ext_key_usage_oids": [],
    "use_csr_common_name": True,
    "use_csr_sans": True,
    "ou": [],
    "organization": [],
    "country": [],
    "locality": [],
    "province": [],
    "street_address": [],
    "postal_code": [],
    "require_cn": True,
    "policy_identifiers": [],
    "basic_constraints_valid_for_non_ca": False,
    "lint_level": "warn",
}


def _parse(**values: object) -> Json:
    return parse_template({"certificate_authority": "issuing-ca", **values})


def _refused(**values: object) -> dict[str | None, tuple[ErrorCode, str]]:
    with pytest.raises(Invalid) as caught:
        _parse(**values)
    return _problems(caught.value)


def _problems(error: Invalid) -> dict[str | None, tuple[ErrorCode, str]]:
    return {problem.field: (problem.code, problem.detail) for problem in error.causes or (error,)}


def test_defaults_are_filled_in() -> None:
    assert _parse() == DEFAULTS


def test_default_document_is_the_default_profile() -> None:
    assert profile_of(_parse()) == Profile()


def test_null_is_the_same_as_absent() -> None:
    assert (
        _parse(**dict.fromkeys([*DEFAULTS.keys() & {"ou", "key_type", "key_usage", "require_cn"}, "ttl"])) == DEFAULTS
    )


def test_name_and_type_of_a_body_are_passed_over() -> None:
    assert _parse(name="service", config_type="private_cert_configuration_template") == DEFAULTS


def test_values_of_a_body_are_kept() -> None:
    given_ = {
        "allowed_secret_groups": "8b0b6c1e-6f0a-4b77-9a55-0d3f5b6f7a10,default",
        "max_ttl": "2160h",
        "ttl": "720h",
        "not_before_duration": "1m",
        "allowed_domains": ["example.com", " *.example.org "],
        "allow_subdomains": True,
        "allow_wildcard_certificates": False,
        "allowed_uri_sans": ["spiffe://example.com/*"],
        "allowed_other_sans": ["1.2.3:utf-8:*", "*"],
        "key_type": "ec",
        "key_usage": ["digitalsignature"],
        "ext_key_usage": ["timestamping"],
        "ext_key_usage_oids": ["1.3.6.1.5.5.7.3.17"],
        "policy_identifiers": ["2.23.140.1.2.1", "2.23.140.1.2.1"],
        "ou": ["Platform"],
        "country": ["de"],
        "serial_number": "7",
        "lint_level": "error",
    }
    document = _parse(**given_)
    assert document == {
        **DEFAULTS,
        **{name: value for name, value in given_.items() if name not in {"max_ttl", "ttl", "not_before_duration"}},
        "max_ttl_seconds": 7_776_000,
        "ttl_seconds": 2_592_000,
        "not_before_duration_seconds": 60,
        "allowed_domains": ["example.com", "*.example.org"],
        "allowed_other_sans": ["1.2.3;UTF8:*", "*"],
        "key_bits": 256,
        "key_usage": ["DigitalSignature"],
        "ext_key_usage": ["TimeStamping"],
        "policy_identifiers": ["2.23.140.1.2.1"],
    }
    profile = profile_of(document)
    assert profile.max_ttl == timedelta(hours=2160)
    assert profile.ttl == timedelta(hours=720)
    assert profile.not_before == timedelta(minutes=1)
    assert profile.key == KeySpec(kind="ec", bits=256)
    assert profile.lint_level == "error"
    assert profile.allowed_uri_sans == ("spiffe://example.com/*",)


def test_extended_key_usages_come_from_flags_names_and_numbers() -> None:
    profile = profile_of(
        _parse(
            client_flag=False,
            code_signing_flag=True,
            ext_key_usage=["ServerAuth", "TimeStamping"],
            ext_key_usage_oids=["1.2.3", EXTENDED_KEY_USAGES["TimeStamping"]],
        )
    )
    assert profile.extended_key_usages == (
        EXTENDED_KEY_USAGES["ServerAuth"],
        EXTENDED_KEY_USAGES["CodeSigning"],
        EXTENDED_KEY_USAGES["TimeStamping"],
        "1.2.3",
    )


@pytest.mark.parametrize(
    ("key_type", "key_bits", "spec"),
    [
        (None, None, ("rsa", 2048)),
        ("rsa", 3072, ("rsa", 3072)),
        ("rsa", 4096, ("rsa", 4096)),
        ("rsa", 8192, ("rsa", 8192)),
        ("rsa", 0, ("rsa", 2048)),
        ("ec", None, ("ec", 256)),
        ("ec", 384, ("ec", 384)),
        ("ec", 521, ("ec", 521)),
        ("ed25519", None, ("ed25519", 0)),
        ("ed25519", 0, ("ed25519", 0)),
    ],
)
def test_kinds_of_keys(key_type: str | None, key_bits: int | None, spec: tuple[str, int]) -> None:
    document = _parse(key_type=key_type, key_bits=key_bits)
    assert (document["key_type"], document["key_bits"]) == spec


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"key_type": "dsa"}, "key_type"),
        ({"key_bits": 1024}, "key_bits"),
        ({"key_bits": 256}, "key_bits"),
        ({"key_type": "ec", "key_bits": 2048}, "key_bits"),
        ({"key_type": "ec", "key_bits": 224}, "key_bits"),
        ({"key_bits": "2048"}, "key_bits"),
        ({"max_ttl": "59m"}, "max_ttl"),
        ({"max_ttl": "0"}, "max_ttl"),
        ({"max_ttl": "876001h"}, "max_ttl"),
        ({"max_ttl": "1 year"}, "max_ttl"),
        ({"ttl": "0s"}, "ttl"),
        ({"ttl": "876001h"}, "ttl"),
        ({"ttl": "2h", "max_ttl": "1h"}, "ttl"),
        ({"not_before_duration": "-30s"}, "not_before_duration"),
        ({"not_before_duration": "366d"}, "not_before_duration"),
        ({"allowed_secret_groups": "a b"}, "allowed_secret_groups"),
        ({"allowed_secret_groups": "a," * 600}, "allowed_secret_groups"),
        ({"allowed_secret_groups": "a" * 65}, "allowed_secret_groups"),
        ({"allowed_domains": "example.com"}, "allowed_domains"),
        ({"allowed_domains": [1]}, "allowed_domains[0]"),
        ({"allowed_domains": ["a"] * 101}, "allowed_domains"),
        ({"allowed_domains": ["example.com", " "]}, "allowed_domains[1]"),
        ({"allowed_domains": ["a\x00b"], "enforce_hostnames": False}, "allowed_domains[0]"),
        ({"allowed_domains": ["a" * 513], "enforce_hostnames": False}, "allowed_domains[0]"),
        ({"allowed_domains": ["https://example.com"]}, "allowed_domains[0]"),
        ({"allowed_domains": ["example.com."]}, "allowed_domains[0]"),
        ({"allowed_domains": ["{{name}}.example.com"]}, "allowed_domains[0]"),
        ({"allowed_domains": ["{{who}}.example.com"], "allowed_domains_template": True}, "allowed_domains[0]"),
        ({"allowed_domains": ["{{name}.example.com"], "allowed_domains_template": True}, "allowed_domains[0]"),
        ({"allow_subdomains": "yes"}, "allow_subdomains"),
        ({"allowed_uri_sans": ["a b"]}, "allowed_uri_sans[0]"),
        ({"allowed_uri_sans": [""]}, "allowed_uri_sans[0]"),
        ({"allowed_uri_sans": ["u" * 2049]}, "allowed_uri_sans[0]"),
        ({"allowed_other_sans": ["user@example.com"]}, "allowed_other_sans[0]"),
        ({"allowed_other_sans": ["1.2.3;IA5:x"]}, "allowed_other_sans[0]"),
        ({"key_usage": ["Signing"]}, "key_usage[0]"),
        ({"key_usage": ["CertSign"]}, "key_usage[0]"),
        ({"key_usage": ["EncipherOnly"]}, "key_usage"),
        ({"ext_key_usage": ["Server"]}, "ext_key_usage[0]"),
        ({"ext_key_usage_oids": ["1"]}, "ext_key_usage_oids[0]"),
        ({"policy_identifiers": ["policy"]}, "policy_identifiers[0]"),
        ({"ou": ["u" * 65]}, "ou[0]"),
        ({"organization": ["o"] * 11}, "organization"),
        ({"country": ["Germany"]}, "country[0]"),
        ({"serial_number": "7" * 65}, "serial_number"),
        ({"lint_level": "loud"}, "lint_level"),
        ({"certificate_authority": "x"}, "certificate_authority"),
    ],
)
def test_broken_rule_names_its_field(values: dict[str, object], field: str) -> None:
    refused = _refused(**values)
    assert list(refused) == [field]
    code, message = refused[field]
    assert code == ErrorCode.INVALID_FIELD
    assert message.startswith(field.partition("[")[0])


def test_every_broken_rule_is_reported() -> None:
    refused = _refused(key_type="dsa", ttl="soon", allowed_domains=["-"], allow_any_name=1, colour="red")
    assert set(refused) == {"key_type", "ttl", "allowed_domains[0]", "allow_any_name", "colour"}
    assert refused["colour"][0] == ErrorCode.UNKNOWN_FIELD


def test_authority_is_required() -> None:
    with pytest.raises(Invalid) as caught:
        parse_template({})
    assert _problems(caught.value)["certificate_authority"][0] == ErrorCode.MISSING_FIELD


def test_curve_p224_needs_the_setting() -> None:
    values = {"certificate_authority": "issuing-ca", "key_type": "ec", "key_bits": 224}
    document = parse_template(values, allow_p224=True)
    assert document["key_bits"] == 224
    assert patch_template(document, {"ou": ["Platform"]}, allow_p224=True)["key_bits"] == 224


def test_empty_usages_stay_empty() -> None:
    document = _parse(key_usage=[], server_flag=False, client_flag=False)
    assert document["key_usage"] == []
    assert profile_of(document).extended_key_usages == ()


def test_texts_that_are_no_hosts_may_be_listed_if_hosts_are_not_enforced() -> None:
    document = _parse(allowed_domains=["Device 7", "build_server"], enforce_hostnames=False)
    assert document["allowed_domains"] == ["Device 7", "build_server"]


def test_placeholders_are_kept_as_written() -> None:
    entries = ["{{ iam_id }}.example.com", "{{identity.entity.name}}", "plain.example.com"]
    assert _parse(allowed_domains=entries, allowed_domains_template=True)["allowed_domains"] == entries


def test_empty_patch_changes_nothing() -> None:
    document = _parse(
        max_ttl="8760h", ttl="12h", not_before_duration="0s", allowed_secret_groups="one", ou=["Platform"]
    )
    assert patch_template(document, {}) == document


def test_patch_replaces_members_as_a_whole() -> None:
    document = _parse(allowed_domains=["example.com"], allow_subdomains=True, max_ttl="24h")
    patched = patch_template(
        document, {"allowed_domains": ["example.org"], "ttl": "2h", "allow_wildcard_certificates": False}
    )
    expected = {"allowed_domains": ["example.org"], "ttl_seconds": 7200, "allow_wildcard_certificates": False}
    assert patched == {**document, **expected}


def test_null_puts_a_setting_back_to_its_default() -> None:
    document = _parse(
        max_ttl="24h",
        not_before_duration="0s",
        key_type="ec",
        key_bits=384,
        key_usage=[],
        allowed_secret_groups="one",
        serial_number="7",
        require_cn=False,
        ou=["Platform"],
        lint_level="off",
    )
    changed = (
        "max_ttl",
        "not_before_duration",
        "key_type",
        "key_bits",
        "key_usage",
        "allowed_secret_groups",
        "serial_number",
        "require_cn",
        "ou",
        "lint_level",
    )
    assert patch_template(document, dict.fromkeys(changed)) == DEFAULTS


@pytest.mark.parametrize(
    ("changes", "spec"),
    [
        ({"key_type": "ec"}, ("ec", 256)),
        ({"key_type": "ec", "key_bits": 384}, ("ec", 384)),
        ({"key_type": "ed25519"}, ("ed25519", 0)),
        ({"key_type": "rsa"}, ("rsa", 4096)),
        ({"key_bits": 8192}, ("rsa", 8192)),
        ({"key_bits": None}, ("rsa", 2048)),
        ({"key_type": None}, ("rsa", 2048)),
    ],
)
def test_size_of_a_key_goes_with_its_kind(changes: dict[str, object], spec: tuple[str, int]) -> None:
    patched = patch_template(_parse(key_bits=4096), changes)
    assert (patched["key_type"], patched["key_bits"]) == spec


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ttl": "25h"}, "ttl"),
        ({"max_ttl": "11h"}, "ttl"),
        ({"key_bits": 384}, "key_bits"),
        ({"enforce_hostnames": True}, "allowed_domains[0]"),
        ({"allowed_domains": ["a"] * 101}, "allowed_domains"),
        ({"name": "other"}, "name"),
        ({"config_type": "private_cert_configuration_template"}, "config_type"),
        ({"certificate_authority": "issuing-ca"}, "certificate_authority"),
        ({"certificate_authority": None}, "certificate_authority"),
        ({"colour": "red"}, "colour"),
        ({"max_ttl_seconds": 3600}, "max_ttl_seconds"),
    ],
)
def test_patch_is_checked_against_the_whole_template(changes: dict[str, object], field: str) -> None:
    document = _parse(max_ttl="24h", ttl="12h", allowed_domains=["build_server 1"], enforce_hostnames=False)
    with pytest.raises(Invalid) as caught:
        patch_template(document, changes)
    assert list(_problems(caught.value)) == [field]


def test_patch_leaves_the_given_document_alone() -> None:
    document = _parse(ou=["Platform"])
    before = {name: list(value) if isinstance(value, list) else value for name, value in document.items()}
    patch_template(document, {"ou": ["Other"], "key_type": "ec"})
    assert document == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
_MEMBERS = [name.removesuffix("_seconds") for name in DEFAULTS] + ["allowed_secret_groups", "serial_number"]


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(_MEMBERS), _JSON, max_size=6))
def test_any_body_is_a_template_or_refused(values: dict[str, Any]) -> None:
    try:
        document = parse_template(values)
    except Invalid:
        return
    assert document["certificate_authority"]
    assert profile_of(document) == profile_of(patch_template(document, {}))
    assert patch_template(document, {}) == document
