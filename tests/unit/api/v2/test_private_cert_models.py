"""Bodies of private certificates, of trying and of revoking them."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from strongroom.api.operations import validate
from strongroom.api.v2.schemas.private_certs import (
    CertificateEvaluation,
    CertificateEvaluationPrototype,
    PrivateCertificateMetadataPatch,
    PrivateCertificateVersion,
    PrivateCertificateVersionPrototype,
    SecretVersionActionPrototype,
    VersionAction,
)
from strongroom.api.v2.schemas.secrets import Secret, SecretActionPrototype, SecretMetadata, SecretPrototype
from strongroom.kernel.errors import ErrorCode, Invalid

Json = dict[str, Any]

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
REVOKE = "private_cert_action_revoke_certificate"
BODY: Json = {
    "secret_type": "private_cert",
    "name": "example-mtls",
    "certificate_template": "example-template",
    "common_name": "service.example.com",
}
EVERYTHING: Json = {
    **BODY,
    "description": "Between the services",
    "secret_group_id": "default",
    "labels": ["team"],
    "alt_names": ["www.example.com", "service@example.com"],
    "ip_sans": "192.0.2.7",
    "uri_sans": "spiffe://example.com/service",
    "other_sans": ["2.5.4.5;UTF8:value"],
    "csr": "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n",
    "format": "pem_bundle",
    "private_key_format": "pkcs8",
    "exclude_cn_from_sans": False,
    "ttl": "720h",
    "rotation": {"auto_rotate": True, "interval": 20, "unit": "day"},
    "custom_metadata": {"room": 7},
    "version_custom_metadata": {"reason": "first"},
}
METADATA: Json = {
    "alt_names": ["service.example.com"],
    "certificate_authority": "example-issuing",
    "certificate_template": "example-template",
    "common_name": "service.example.com",
    "created_at": "2026-03-02T11:00:00Z",
    "created_by": "iam-ServiceId-2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e",
    "crn": "crn:v1:bluemix:public:secrets-manager:eu-de:a/1:2:secret:3",
    "downloaded": True,
    "expiration_date": "2026-04-01T11:00:00Z",
    "id": "75f79c56-4d95-4f52-8f4a-0e9a1d0f1a2b",
    "issuer": "CN=Example Issuing CA",
    "key_algorithm": "RSA2048",
    "labels": [],
    "locks_total": 0,
    "name": "example-mtls",
    "next_rotation_date": "2026-03-22T11:00:00Z",
    "retrieved_at": "1970-01-01T00:00:00Z",
    "rotation": {"auto_rotate": True, "interval": 20, "unit": "day"},
    "rotation_status": "none",
    "secret_group_id": "default",
    "secret_type": "private_cert",
    "serial_number": "2e:90:5b",
    "signing_algorithm": "SHA256-RSA",
    "state": 1,
    "state_description": "active",
    "updated_at": "2026-03-02T11:00:00Z",
    "validity": {"not_before": "2026-03-02T10:59:30Z", "not_after": "2026-04-01T11:00:00Z"},
    "versions_total": 1,
}
PAYLOAD: Json = {"certificate": PEM, "private_key": "", "issuing_ca": PEM, "ca_chain": [PEM, PEM]}


def create(body: Json) -> Any:
    return validate(SecretPrototype, body)  # type: ignore[arg-type]  # a union of models


def shown(model: Any, body: Json) -> None:
    """Check an answer against the schema that stands in the OpenAPI document."""
    jsonschema.Draft202012Validator(TypeAdapter(model).json_schema(mode="serialization")).validate(body)


def refused(model: Any, body: Json) -> Invalid:
    with pytest.raises(Invalid) as caught:
        validate(model, body)
    assert isinstance(caught.value, Invalid)
    return caught.value


@pytest.mark.parametrize("body", [BODY, EVERYTHING])
def test_a_certificate_is_asked_for_with_all_its_members(body: Json) -> None:
    assert create(body).model_dump(exclude_unset=True) == body


def test_the_common_name_is_a_matter_of_the_template() -> None:
    body = {name: value for name, value in BODY.items() if name != "common_name"}

    assert create(body).common_name is None


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"certificate_template": None}, ErrorCode.INVALID_FIELD, "certificate_template"),
        ({"name": None}, ErrorCode.INVALID_FIELD, "name"),
        ({"ttl": 720}, ErrorCode.INVALID_FIELD, "ttl"),
        ({"alt_names": "www.example.com"}, ErrorCode.INVALID_FIELD, "alt_names"),
        ({"uri_sans": ["spiffe://example.com"]}, ErrorCode.INVALID_FIELD, "uri_sans"),
        ({"format": "pkcs12"}, ErrorCode.INVALID_FIELD, "format"),
        ({"rotation": {"interval": 1}}, ErrorCode.MISSING_FIELD, "rotation.auto_rotate"),
        ({"rotation": {"auto_rotate": True, "unit": "year"}}, ErrorCode.INVALID_FIELD, "rotation.unit"),
        ({"rotation": {"auto_rotate": True, "rotate_keys": True}}, ErrorCode.UNKNOWN_FIELD, "rotation.rotate_keys"),
        ({"certificate": PEM}, ErrorCode.UNKNOWN_FIELD, "certificate"),
        ({"key_type": "ec"}, ErrorCode.UNKNOWN_FIELD, "key_type"),
    ],
)
def test_a_refusal_names_the_member(changes: Json, code: ErrorCode, field: str) -> None:
    error = refused(SecretPrototype, {**BODY, **changes})

    assert (error.code, error.field) == (code, field)


def test_trying_takes_the_same_body_and_needs_no_name() -> None:
    body = {name: value for name, value in EVERYTHING.items() if name != "name"}

    for one in (body, EVERYTHING):
        assert validate(CertificateEvaluationPrototype, one).model_dump(exclude_unset=True) == one
    assert refused(CertificateEvaluationPrototype, {**body, "secret_type": "imported_cert"}).field == "secret_type"


def test_what_trying_answers_is_in_the_document() -> None:
    verdict = {"rule": "allow_subdomains", "verdict": "fail", "value": "a.example.org", "message": "It is not."}

    shown(CertificateEvaluation, {"allowed": False, "rules": [{**verdict, "would_pass": "a.example.com"}], "lint": []})


def test_certificates_and_versions_are_shown_as_documented() -> None:
    revoked = {"revocation_time_seconds": 1_772_449_500, "revocation_time_rfc3339": "2026-03-02T11:05:00Z"}
    version = {name: METADATA[name] for name in ("created_at", "created_by", "id", "serial_number", "validity")} | {
        "alias": "current",
        "lint": [{"severity": "warning", "code": "pkix.example", "message": "It could be better."}],
        "payload_available": True,
        "secret_group_id": "default",
        "secret_id": METADATA["id"],
        "secret_type": "private_cert",
        "state": 3,
    }

    shown(Secret, METADATA | PAYLOAD)
    shown(SecretMetadata, METADATA | revoked)
    shown(PrivateCertificateVersion, version | PAYLOAD | revoked)


def test_metadata_never_holds_the_payload() -> None:
    for name, value in PAYLOAD.items():
        with pytest.raises(jsonschema.ValidationError):
            shown(SecretMetadata, METADATA | {name: value})


def test_the_rotation_is_the_only_setting_that_a_patch_changes() -> None:
    off = {"rotation": {"auto_rotate": False}}

    assert validate(PrivateCertificateMetadataPatch, off).model_dump(exclude_unset=True) == off
    assert validate(PrivateCertificateMetadataPatch, {"rotation": None}).model_dump(exclude_unset=True) == {
        "rotation": None
    }
    for name in ("common_name", "certificate_template", "ttl", "secret_group_id"):
        assert refused(PrivateCertificateMetadataPatch, {name: "value"}).field == name


def test_the_next_version_may_bring_a_csr_and_nothing_else_of_the_certificate() -> None:
    body = {"csr": EVERYTHING["csr"], "custom_metadata": {}, "version_custom_metadata": {"reason": "scheduled"}}

    assert validate(PrivateCertificateVersionPrototype, body).model_dump(exclude_unset=True) == body
    assert refused(PrivateCertificateVersionPrototype, {"certificate": PEM}).field == "certificate"


@pytest.mark.parametrize("model", [SecretActionPrototype, SecretVersionActionPrototype])
def test_revoking_takes_the_name_of_the_action_alone(model: Any) -> None:
    parsed = validate(model, {"action_type": REVOKE})

    assert getattr(parsed, "root", parsed).action_type == REVOKE
    assert refused(model, {}).field == "action_type"
    assert refused(model, {"action_type": "private_cert_action_burn"}).field == "action_type"
    assert refused(model, {"action_type": REVOKE, "reason": "key_compromise"}).field == "reason"


def test_a_union_of_one_is_documented_as_a_union() -> None:
    for model in (SecretVersionActionPrototype, VersionAction):
        schema = TypeAdapter(model).json_schema()

        (choice,) = schema["oneOf"]
        assert schema["discriminator"] == {"propertyName": "action_type", "mapping": {REVOKE: choice["$ref"]}}
        assert "$ref" not in schema
