from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Json
from strongroom.pki.authority import AuthoritySpec, authority_spec, parse_authority, patch_authority
from strongroom.pki.keys import KeySpec

ROOT = {"common_name": "Example Root CA", "max_ttl": "87600h"}
INTERMEDIATE = {"common_name": "Example CA", "max_ttl": "8760h", "signing_method": "internal", "issuer": "example-root"}
HOUR = 3600


def _root(**members: Any) -> tuple[Json, AuthoritySpec]:
    return parse_authority({**ROOT, **members}, root=True)


def _intermediate(**members: Any) -> tuple[Json, AuthoritySpec]:
    return parse_authority({**INTERMEDIATE, **members}, root=False)


def _problems(caught: pytest.ExceptionInfo[Invalid]) -> list[tuple[str | None, ErrorCode]]:
    return [(error.field, error.code) for error in caught.value.causes or (caught.value,)]


def _refused(*, root: bool = True, **members: Any) -> list[tuple[str | None, ErrorCode]]:
    with pytest.raises(Invalid) as caught:
        _root(**members) if root else _intermediate(**members)
    return _problems(caught)


def _invalid(*fields: str) -> list[tuple[str | None, ErrorCode]]:
    return [(field, ErrorCode.INVALID_FIELD) for field in fields]


def test_a_minimal_root_has_the_defaults() -> None:
    document, spec = parse_authority({**ROOT, "name": "r", "config_type": "c", "crypto_key": {}}, root=True)
    assert document == {
        "common_name": "Example Root CA",
        "exclude_cn_from_sans": False,
        "ou": [],
        "organization": [],
        "country": [],
        "locality": [],
        "province": [],
        "street_address": [],
        "postal_code": [],
        "key_type": "rsa",
        "key_bits": 2048,
        "max_ttl_seconds": 87600 * HOUR,
        "ttl_seconds": 87600 * HOUR,
        "crl_expiry_seconds": 72 * HOUR,
        "crl_disable": False,
        "crl_distribution_points_encoded": False,
        "issuing_certificates_urls_encoded": False,
        "ocsp_urls_encoded": False,
        "max_path_length": -1,
        "permitted_dns_domains": [],
        "format": "pem",
        "private_key_format": "der",
    }
    assert spec.ttl == timedelta(hours=87600)
    assert spec.names.common_name == "Example Root CA"


def test_an_intermediate_has_members_of_its_own() -> None:
    document, _ = _intermediate()
    assert document["signing_method"] == "internal"
    assert document["issuer"] == "example-root"
    assert document["auto_sign"] is False
    assert not {"ttl_seconds", "max_path_length", "permitted_dns_domains"} & set(document)
    external, _ = parse_authority(
        {"common_name": "Example CA", "max_ttl": "1h", "signing_method": "external"}, root=False
    )
    assert "issuer" not in external


def test_given_members_are_kept_as_they_were_sent() -> None:
    sent = {
        "alt_names": ["ca.example.com"],
        "ip_sans": "192.0.2.1, 192.0.2.2",
        "uri_sans": "urn:x:y",
        "other_sans": ["1.2.3:utf8:x"],
        "serial_number": "43:5c:f4:9a",
        "organization": ["Example"],
        "country": ["de"],
        "permitted_dns_domains": ["example.com"],
        "max_path_length": 2,
        "exclude_cn_from_sans": True,
        "crl_disable": True,
        "ocsp_urls_encoded": True,
        "format": "pem_bundle",
        "private_key_format": "pkcs8",
        "key_type": "ec",
        "key_bits": 384,
    }
    document, spec = _root(**sent, ttl="365d", crl_expiry="24h")
    assert {name: document[name] for name in sent} == sent
    assert (document["ttl_seconds"], document["crl_expiry_seconds"]) == (365 * 24 * HOUR, 24 * HOUR)
    assert spec.key == KeySpec(kind="ec", bits=384)
    assert authority_spec(document) == spec


def test_an_intermediate_can_be_built_again_from_its_document() -> None:
    document, spec = _intermediate(alt_names=["ca.example.com"], key_type="ed25519")
    assert authority_spec(document) == spec


@pytest.mark.parametrize(
    ("key_type", "key_bits", "expected"),
    [
        (None, None, KeySpec(kind="rsa", bits=2048)),
        ("rsa", 3072, KeySpec(kind="rsa", bits=3072)),
        ("rsa", 8192, KeySpec(kind="rsa", bits=8192)),
        ("ec", None, KeySpec(kind="ec", bits=256)),
        ("ec", 521, KeySpec(kind="ec", bits=521)),
        ("ed25519", None, KeySpec(kind="ed25519", bits=0)),
    ],
)
def test_kinds_of_keys(key_type: str | None, key_bits: int | None, expected: KeySpec) -> None:
    document, spec = _root(key_type=key_type, key_bits=key_bits)
    assert spec.key == expected
    assert (document["key_type"], document["key_bits"]) == (expected.kind, expected.bits)


@pytest.mark.parametrize(("key_type", "key_bits"), [("rsa", 1024), ("rsa", 256), ("ec", 224), ("ec", 192)])
def test_sizes_of_keys_that_are_not_made(key_type: str, key_bits: int) -> None:
    assert _refused(key_type=key_type, key_bits=key_bits) == _invalid("key_bits")


def test_p224_needs_a_setting() -> None:
    _, spec = parse_authority({**ROOT, "key_type": "ec", "key_bits": 224}, root=True, allow_p224=True)
    assert spec.key.bits == 224


def test_every_broken_rule_is_reported_at_once() -> None:
    assert _refused(
        common_name="",
        max_ttl="30m",
        ttl="x",
        key_type="dsa",
        max_path_length=11,
        permitted_dns_domains=[".example.com", "*.example.com"],
        crl_expiry="1s",
        crl_disable="yes",
        format="der",
        country=["DEU"],
        surprise=1,
        issuer="r",
    ) == [
        ("surprise", ErrorCode.UNKNOWN_FIELD),
        ("issuer", ErrorCode.UNKNOWN_FIELD),
        ("common_name", ErrorCode.MISSING_FIELD),
        *_invalid("country[0]", "key_type", "max_ttl", "crl_expiry", "crl_disable", "format", "ttl"),
        *_invalid("max_path_length", "permitted_dns_domains[0]", "permitted_dns_domains[1]"),
    ]


@pytest.mark.parametrize("max_ttl", ["59m", "876001h", "36501d", 3599])
def test_bounds_of_the_longest_life(max_ttl: object) -> None:
    assert _refused(max_ttl=max_ttl) == _invalid("max_ttl")


def test_lives_may_be_numbers_of_seconds_too() -> None:
    document, _ = _root(max_ttl="3600", ttl=60)
    assert (document["max_ttl_seconds"], document["ttl_seconds"]) == (3600, 60)


def test_a_root_does_not_outlive_its_own_limit() -> None:
    assert _refused(ttl="87601h") == _invalid("ttl")


@pytest.mark.parametrize("missing", ["common_name", "max_ttl"])
@pytest.mark.parametrize("value", [None, ""])
def test_required_members(missing: str, value: str | None) -> None:
    members: dict[str, Any] = {missing: value}
    assert (missing, ErrorCode.MISSING_FIELD) in _refused(**members)


def test_the_way_of_signing_is_checked() -> None:
    assert _refused(root=False, signing_method=None) == [("signing_method", ErrorCode.MISSING_FIELD)]
    assert _refused(root=False, signing_method="both") == _invalid("signing_method")
    assert _refused(root=False, issuer=None) == [("issuer", ErrorCode.MISSING_FIELD)]
    assert _refused(root=False, issuer="x") == _invalid("issuer")
    assert _refused(root=False, signing_method="external", auto_sign=True) == _invalid("auto_sign")
    assert _refused(root=False, ttl="1h") == [("ttl", ErrorCode.UNKNOWN_FIELD)]


# changes


def test_six_settings_can_be_changed_and_nothing_else() -> None:
    document, _ = _root()
    changed = patch_authority(
        document,
        {
            "max_ttl": "1h",
            "crl_expiry": "24h",
            "crl_disable": True,
            "crl_distribution_points_encoded": True,
            "issuing_certificates_urls_encoded": True,
            "ocsp_urls_encoded": True,
        },
    )
    assert changed == document | {
        "max_ttl_seconds": HOUR,
        "crl_expiry_seconds": 24 * HOUR,
        "crl_disable": True,
        "crl_distribution_points_encoded": True,
        "issuing_certificates_urls_encoded": True,
        "ocsp_urls_encoded": True,
    }
    nulls = dict.fromkeys(("crl_expiry", "crl_disable", "ocsp_urls_encoded"))
    back = patch_authority(changed, nulls)
    assert (back["crl_expiry_seconds"], back["crl_disable"], back["ocsp_urls_encoded"]) == (72 * HOUR, False, False)
    assert patch_authority(document, {}) == document


def test_other_changes_are_refused_by_name() -> None:
    document, _ = _root()
    changes = {"common_name": "x", "ttl": "1h", "surprise": 1, "max_ttl": None, "crl_expiry": "soon", "crl_disable": 1}
    with pytest.raises(Invalid) as caught:
        patch_authority(document, changes)
    assert _problems(caught) == [
        *_invalid("common_name", "ttl"),
        ("surprise", ErrorCode.UNKNOWN_FIELD),
        ("max_ttl", ErrorCode.MISSING_FIELD),
        *_invalid("crl_expiry", "crl_disable"),
    ]


ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=9), max_size=2)
NAMES = [*ROOT, *INTERMEDIATE, "alt_names", "ip_sans", "ttl", "key_type", "key_bits", "max_path_length", "country"]


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING), st.booleans())
def test_whatever_is_sent_is_refused_properly_or_can_be_built(values: dict[str, object], root: bool) -> None:
    try:
        document, spec = parse_authority({**(ROOT if root else INTERMEDIATE), **values}, root=root)
    except Invalid:
        return
    assert authority_spec(document) == spec
