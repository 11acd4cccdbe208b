"""Bodies of configurations and their actions: what is taken, what is refused, and by which name."""

from __future__ import annotations

from typing import Any

import pytest

from strongroom.api.operations import validate
from strongroom.api.v2.mapping.configurations import changes, given
from strongroom.api.v2.schemas.configuration_actions import ConfigurationActionPrototype
from strongroom.api.v2.schemas.configurations import PATCH_MODELS, ConfigurationPrototype
from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.errors import ErrorCode, Invalid

Json = dict[str, Any]

CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
ROOT: Json = {
    "config_type": "private_cert_configuration_root_ca",
    "name": "example-root",
    "common_name": "Example Root CA",
    "max_ttl": "87600h",
}
INTERMEDIATE: Json = {
    "config_type": "private_cert_configuration_intermediate_ca",
    "name": "example-issuing",
    "common_name": "Example Issuing CA",
    "signing_method": "internal",
    "max_ttl": "26280h",
}
TEMPLATE: Json = {
    "config_type": "private_cert_configuration_template",
    "name": "example-template",
    "certificate_authority": "example-issuing",
}
SUBJECT: Json = {
    "ou": ["Operations"],
    "organization": ["Example"],
    "country": ["DE"],
    "locality": ["Berlin"],
    "province": ["Berlin"],
    "street_address": ["1 Main Street"],
    "postal_code": ["10115"],
    "serial_number": "d9:be:fe:35:ba:09:42:b5:35:ba:09:42:b5",
}
NAMES: Json = {
    "alt_names": ["ca.example.com", "ca@example.com"],
    "ip_sans": "192.0.2.1,2001:db8::1",
    "uri_sans": "https://example.com/ca",
    "other_sans": ["2.5.4.5;UTF8:value"],
    "exclude_cn_from_sans": True,
}
AUTHORITY: Json = {
    **SUBJECT,
    **NAMES,
    "crl_expiry": "72h",
    "crl_disable": False,
    "crl_distribution_points_encoded": True,
    "issuing_certificates_urls_encoded": True,
    "ocsp_urls_encoded": True,
    "key_type": "rsa",
    "key_bits": 4096,
    "format": "pem_bundle",
    "private_key_format": "pkcs8",
}
TOKEN: Json = {"type": "pkcs11", "token_label": "token", "pin_secret_id": "2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e"}
HSM: Json = {
    "type": "hyper_protect_crypto_services",
    "instance_crn": "crn:v1:bluemix:public:hs-crypto:us-south:a/1:2::",
    "pin_iam_credentials_secret_id": "2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e",
    "private_keystore_id": "75f79c56-4d95-4f52-8f4a-0e9a1d0f1a2b",
}
RULES: Json = {
    **SUBJECT,
    "allowed_secret_groups": "default,2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e",
    "max_ttl": "2160h",
    "ttl": "720h",
    "allow_localhost": False,
    "allowed_domains": ["example.com"],
    "allowed_domains_template": False,
    "allow_bare_domains": True,
    "allow_subdomains": True,
    "allow_glob_domains": False,
    "allow_wildcard_certificates": False,
    "allow_any_name": False,
    "enforce_hostnames": True,
    "allow_ip_sans": True,
    "allowed_uri_sans": ["spiffe://example.com/*"],
    "allowed_other_sans": ["*"],
    "server_flag": True,
    "client_flag": True,
    "code_signing_flag": False,
    "email_protection_flag": False,
    "key_type": "ed25519",
    "key_bits": 0,
    "key_usage": ["DigitalSignature"],
    "ext_key_usage": [],
    "ext_key_usage_oids": ["1.3.6.1.5.5.7.3.17"],
    "use_csr_common_name": True,
    "use_csr_sans": True,
    "require_cn": False,
    "policy_identifiers": ["2.23.140.1.2.1"],
    "basic_constraints_valid_for_non_ca": True,
    "not_before_duration": "30s",
    "lint_level": "error",
}
SIGNING: Json = {
    **SUBJECT,
    **NAMES,
    "common_name": "Example Issuing CA",
    "ttl": "26280h",
    "format": "pem",
    "max_path_length": 0,
    "permitted_dns_domains": ["example.com"],
    "use_csr_values": False,
}


def create(body: Json) -> Any:
    return validate(ConfigurationPrototype, body)  # type: ignore[arg-type]  # a union of models


def act(body: Json) -> Any:
    return validate(ConfigurationActionPrototype, body)  # type: ignore[arg-type]  # a union of models


def refusal(body: Json, parse: Any = create) -> Invalid:
    with pytest.raises(Invalid) as caught:
        parse(body)
    assert isinstance(caught.value, Invalid)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ROOT, id="root with what it needs"),
        pytest.param(
            {**ROOT, **AUTHORITY, "ttl": "87600h", "max_path_length": -1, "permitted_dns_domains": ["example.com"]},
            id="root with everything",
        ),
        pytest.param(INTERMEDIATE, id="intermediate with what it needs"),
        pytest.param(
            {**INTERMEDIATE, **AUTHORITY, "issuer": "example-root", "auto_sign": True}, id="intermediate, everything"
        ),
        pytest.param({**INTERMEDIATE, "signing_method": "external"}, id="intermediate signed elsewhere"),
        pytest.param(TEMPLATE, id="template with what it needs"),
        pytest.param({**TEMPLATE, **RULES}, id="template with everything"),
        pytest.param({**ROOT, "crypto_key": {"label": "key", "provider": TOKEN}}, id="key in a token"),
        pytest.param(
            {**ROOT, "crypto_key": {"id": "aa", "allow_generate_key": True, "provider": HSM}}, id="key in a cloud HSM"
        ),
    ],
)
def test_every_kind_is_taken_with_all_its_members(body: Json) -> None:
    assert given(create(body)) == body


def test_short_names_are_no_matter_of_the_shape() -> None:
    assert create({**ROOT, "common_name": "ca"}).common_name == "ca"


def test_null_says_the_same_as_leaving_out() -> None:
    body = create({**ROOT, "ttl": None, "crypto_key": {"id": None, "label": "key", "provider": TOKEN}})

    assert given(body, besides=frozenset({"config_type", "name"})) == {
        "common_name": "Example Root CA",
        "max_ttl": "87600h",
        "crypto_key": {"label": "key", "provider": TOKEN},
    }


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, ErrorCode.MISSING_FIELD, "config_type"),
        ({**ROOT, "config_type": "private_cert_configuration_leaf_ca"}, ErrorCode.INVALID_FIELD, "config_type"),
        ({**ROOT, "max_ttl": 8760}, ErrorCode.INVALID_FIELD, "max_ttl"),
        ({**ROOT, "max_ttl": None}, ErrorCode.INVALID_FIELD, "max_ttl"),
        ({**ROOT, "max_path_length": "1"}, ErrorCode.INVALID_FIELD, "max_path_length"),
        ({**ROOT, "max_path_length": True}, ErrorCode.INVALID_FIELD, "max_path_length"),
        ({**ROOT, "key_bits": 2048.0}, ErrorCode.INVALID_FIELD, "key_bits"),
        ({**ROOT, "key_type": "dsa"}, ErrorCode.INVALID_FIELD, "key_type"),
        ({**ROOT, "crl_disable": "false"}, ErrorCode.INVALID_FIELD, "crl_disable"),
        ({**ROOT, "alt_names": "example.com"}, ErrorCode.INVALID_FIELD, "alt_names"),
        ({**ROOT, "ou": ["Operations", 7]}, ErrorCode.INVALID_FIELD, "ou[1]"),
        ({**ROOT, "ip_sans": ["192.0.2.1"]}, ErrorCode.INVALID_FIELD, "ip_sans"),
        ({**ROOT, "format": "der"}, ErrorCode.INVALID_FIELD, "format"),
        ({**ROOT, "private_key_format": "pem"}, ErrorCode.INVALID_FIELD, "private_key_format"),
        ({**ROOT, "issuer": "example-root"}, ErrorCode.UNKNOWN_FIELD, "issuer"),
        ({**ROOT, "max_ttl_seconds": 1}, ErrorCode.UNKNOWN_FIELD, "max_ttl_seconds"),
        ({**ROOT, "auto_sign": True}, ErrorCode.UNKNOWN_FIELD, "auto_sign"),
        ({**ROOT, "crypto_key": {"label": "key"}}, ErrorCode.MISSING_FIELD, "crypto_key.provider"),
        ({**ROOT, "crypto_key": "key"}, ErrorCode.INVALID_FIELD, "crypto_key"),
        ({**ROOT, "crypto_key": {"provider": {}}}, ErrorCode.MISSING_FIELD, "crypto_key.provider.type"),
        ({**ROOT, "crypto_key": {"provider": {"type": "tpm"}}}, ErrorCode.INVALID_FIELD, "crypto_key.provider.type"),
        (
            {**ROOT, "crypto_key": {"provider": {"type": "pkcs11", "token_label": "token"}}},
            ErrorCode.MISSING_FIELD,
            "crypto_key.provider.pin_secret_id",
        ),
        (
            {**ROOT, "crypto_key": {"provider": {**TOKEN, "library": "/lib/token.so"}}},
            ErrorCode.UNKNOWN_FIELD,
            "crypto_key.provider.library",
        ),
        ({**INTERMEDIATE, "signing_method": "manual"}, ErrorCode.INVALID_FIELD, "signing_method"),
        ({**INTERMEDIATE, "ttl": "1h"}, ErrorCode.UNKNOWN_FIELD, "ttl"),
        ({**INTERMEDIATE, "max_path_length": 0}, ErrorCode.UNKNOWN_FIELD, "max_path_length"),
        ({**INTERMEDIATE, "permitted_dns_domains": []}, ErrorCode.UNKNOWN_FIELD, "permitted_dns_domains"),
        ({**TEMPLATE, "allow_any_name": 1}, ErrorCode.INVALID_FIELD, "allow_any_name"),
        ({**TEMPLATE, "allowed_secret_groups": ["default"]}, ErrorCode.INVALID_FIELD, "allowed_secret_groups"),
        ({**TEMPLATE, "lint_level": "strict"}, ErrorCode.INVALID_FIELD, "lint_level"),
        ({**TEMPLATE, "crl_disable": True}, ErrorCode.UNKNOWN_FIELD, "crl_disable"),
    ],
)
def test_a_refusal_names_the_member(body: Json, code: ErrorCode, field: str) -> None:
    error = refusal(body)

    assert (error.code, error.field) == (code, field)
    assert field in error.detail


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (ROOT, {"name", "common_name", "max_ttl"}),
        (INTERMEDIATE, {"name", "common_name", "max_ttl", "signing_method"}),
        (TEMPLATE, {"name", "certificate_authority"}),
    ],
    ids=["root", "intermediate", "template"],
)
def test_everything_that_is_missing_is_told_at_once(body: Json, missing: set[str]) -> None:
    error = refusal({"config_type": body["config_type"]})

    assert {cause.field for cause in error.causes} == missing
    assert {cause.code for cause in error.causes} == {ErrorCode.MISSING_FIELD}


def test_a_member_that_is_called_like_a_type_of_provider_is_named_as_it_is() -> None:
    error = refusal({**ROOT, "crypto_key": {"provider": {**TOKEN, "pkcs11": 1}}})

    assert error.code is ErrorCode.UNKNOWN_FIELD
    assert error.field is not None
    assert error.field.startswith("crypto_key.provider.pkcs11")


def test_a_refused_provider_is_told_which_there_are() -> None:
    error = refusal({**ROOT, "crypto_key": {"provider": {"type": "tpm"}}})

    assert "'pkcs11'" in error.detail


# --- patches

AUTHORITY_CHANGES: Json = {
    "max_ttl": "1h",
    "crl_expiry": "24h",
    "crl_disable": True,
    "crl_distribution_points_encoded": False,
    "issuing_certificates_urls_encoded": False,
    "ocsp_urls_encoded": False,
}


def patch(config_type: ConfigType, body: Json) -> Json:
    return changes(validate(PATCH_MODELS[config_type], body))


def test_every_type_has_a_patch() -> None:
    assert set(PATCH_MODELS) == set(ConfigType)


@pytest.mark.parametrize(
    ("config_type", "body"),
    [
        (ConfigType.ROOT_CA, AUTHORITY_CHANGES),
        (ConfigType.INTERMEDIATE_CA, AUTHORITY_CHANGES),
        (ConfigType.TEMPLATE, RULES),
    ],
)
def test_everything_that_may_change_is_taken_null_included(config_type: ConfigType, body: Json) -> None:
    nulls = dict.fromkeys(body)

    assert patch(config_type, body) == body
    assert patch(config_type, nulls) == nulls
    assert patch(config_type, {}) == {}


@pytest.mark.parametrize(
    ("config_type", "fixed"),
    [
        *((ConfigType.ROOT_CA, name) for name in ("config_type", "name", "common_name", "ttl", "key_type", "ou")),
        *((ConfigType.INTERMEDIATE_CA, name) for name in ("name", "issuer", "signing_method", "auto_sign")),
        *((ConfigType.TEMPLATE, name) for name in ("config_type", "name", "certificate_authority", "crl_expiry")),
    ],
)
def test_what_is_fixed_is_no_member_of_a_patch(config_type: ConfigType, fixed: str) -> None:
    error = refusal({fixed: "value"}, lambda body: patch(config_type, body))

    assert (error.code, error.field) == (ErrorCode.UNKNOWN_FIELD, fixed)


# --- actions


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"csr": CSR}, id="sign_csr"),
        pytest.param({"csr": CSR, **SIGNING}, id="sign_csr"),
        pytest.param({"intermediate_certificate_authority": "example-issuing"}, id="sign_intermediate"),
        pytest.param({"intermediate_certificate_authority": "example-issuing", **SIGNING}, id="sign_intermediate"),
        pytest.param({"certificate": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"}, id="set_signed"),
        pytest.param({}, id="revoke_ca_certificate"),
        pytest.param({}, id="rotate_crl"),
        pytest.param({}, id="rotate_intermediate"),
    ],
)
def test_every_action_is_taken_with_all_its_members(members: Json, request: pytest.FixtureRequest) -> None:
    action = request.node.callspec.id.rstrip("0123456789")
    body = {"action_type": f"private_cert_configuration_action_{action}", **members}

    assert given(act(body)) == body


@pytest.mark.parametrize(
    ("action", "members", "code", "field"),
    [
        ("sign_leaf", {}, ErrorCode.INVALID_FIELD, "action_type"),
        ("sign_csr", {}, ErrorCode.MISSING_FIELD, "csr"),
        ("sign_csr", {"csr": CSR, "ttl": 3600}, ErrorCode.INVALID_FIELD, "ttl"),
        ("sign_csr", {"csr": CSR, "data": {}}, ErrorCode.UNKNOWN_FIELD, "data"),
        ("sign_csr", {"csr": CSR, "key_type": "rsa"}, ErrorCode.UNKNOWN_FIELD, "key_type"),
        ("sign_intermediate", {}, ErrorCode.MISSING_FIELD, "intermediate_certificate_authority"),
        (
            "sign_intermediate",
            {"intermediate_certificate_authority": "example-issuing", "csr": CSR},
            ErrorCode.UNKNOWN_FIELD,
            "csr",
        ),
        ("set_signed", {}, ErrorCode.MISSING_FIELD, "certificate"),
        ("set_signed", {"certificate": [CSR]}, ErrorCode.INVALID_FIELD, "certificate"),
        ("revoke_ca_certificate", {"serial_number": "01"}, ErrorCode.UNKNOWN_FIELD, "serial_number"),
        ("rotate_crl", {"force": True}, ErrorCode.UNKNOWN_FIELD, "force"),
        ("rotate_intermediate", {"ttl": "1h"}, ErrorCode.UNKNOWN_FIELD, "ttl"),
    ],
)
def test_a_refused_action_names_the_member(action: str, members: Json, code: ErrorCode, field: str) -> None:
    error = refusal({"action_type": f"private_cert_configuration_action_{action}", **members}, act)

    assert (error.code, error.field) == (code, field)


def test_an_action_needs_its_type() -> None:
    assert refusal({"csr": CSR}, act).field == "action_type"
