"""Private certificates, their versions and revoking them. Source: api-v2-models M4.1 and M4.8; design, section 12."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import RootModel

from strongroom.api.parameters import (
    AltNames,
    CommaSans,
    CommonName,
    ConfigurationName,
    Csr,
    DateTime,
    Duration,
    OtherSans,
    SecretName,
)
from strongroom.api.v2.schemas.base import Answer, Request
from strongroom.api.v2.schemas.secret_base import (
    CertificateValidity,
    CommonRotationPolicy,
    SecretBase,
    SecretMetadataPatchBase,
    SecretOptions,
    SecretPrototypeBase,
    State,
    VersionBase,
    VersionPrototypeBase,
)

CertificateFormat = Literal["pem", "pem_bundle"]
PrivateKeyFormat = Literal["der", "pkcs8"]
Revoke = Literal["private_cert_action_revoke_certificate"]

# --- creating and trying


class PrivateCertificateRequest(Request):
    """What a certificate is asked for with; the template may allow to leave out the common name."""

    secret_type: Literal["private_cert"]
    certificate_template: ConfigurationName
    common_name: CommonName | None = None
    alt_names: AltNames | None = None
    ip_sans: CommaSans | None = None
    uri_sans: CommaSans | None = None
    other_sans: OtherSans | None = None
    csr: Csr | None = None
    format: CertificateFormat | None = None
    private_key_format: PrivateKeyFormat | None = None
    exclude_cn_from_sans: bool | None = None
    ttl: Duration | None = None
    rotation: CommonRotationPolicy | None = None


class PrivateCertificatePrototype(PrivateCertificateRequest, SecretPrototypeBase):
    """A certificate to issue."""


class CertificateEvaluationPrototype(PrivateCertificateRequest, SecretOptions):
    """A certificate that might be issued (extension)."""

    name: SecretName | None = None


class LintFinding(Answer):
    """What the linter says about a certificate (extension)."""

    severity: Literal["fatal", "error", "warning", "notice"]
    code: str
    message: str


class TemplateVerdict(Answer):
    """What one rule of a template says about a certificate (extension)."""

    rule: str
    verdict: Literal["pass", "fail", "skipped"]
    value: str | None = None
    message: str | None = None
    would_pass: str | None = None


class CertificateEvaluation(Answer):
    """What issuing would give; the certificate is left out where none could be drafted (extension)."""

    allowed: bool
    rules: list[TemplateVerdict]
    not_before: DateTime | None = None
    not_after: DateTime | None = None
    certificate_text: str | None = None
    lint: list[LintFinding]


# --- answers


class PrivateCertificateMetadata(SecretBase):
    """A private certificate without its payload."""

    secret_type: Literal["private_cert"]
    signing_algorithm: str
    alt_names: list[str] | None = None
    certificate_authority: str | None = None
    certificate_template: str
    common_name: str
    expiration_date: DateTime | None = None
    issuer: str
    key_algorithm: str | None = None
    next_rotation_date: DateTime | None = None
    rotation: CommonRotationPolicy | None = None
    serial_number: str
    validity: CertificateValidity
    revocation_time_seconds: int | None = None
    revocation_time_rfc3339: DateTime | None = None


class PrivateCertificatePayload(Answer):
    """The certificate, its key and its chain; the key is empty where the client holds it."""

    certificate: str
    private_key: str
    issuing_ca: str | None = None
    ca_chain: list[str] | None = None


class PrivateCertificate(PrivateCertificateMetadata, PrivateCertificatePayload):
    """A private certificate."""


class PrivateCertificateVersionMetadata(VersionBase):
    """A version of a private certificate without its payload."""

    secret_type: Literal["private_cert"]
    serial_number: str
    validity: CertificateValidity
    state: State | None = None
    revocation_time_seconds: int | None = None
    revocation_time_rfc3339: DateTime | None = None
    lint: list[LintFinding] | None = None


class PrivateCertificateVersion(PrivateCertificateVersionMetadata, PrivateCertificatePayload):
    """A version of a private certificate."""


# --- changing


class PrivateCertificateMetadataPatch(SecretMetadataPatchBase):
    """Changes to a private certificate."""

    rotation: CommonRotationPolicy | None = None


class PrivateCertificateVersionPrototype(VersionPrototypeBase):
    """The next certificate, for the key of a CSR or for a new one."""

    csr: Csr | None = None


# --- revoking


class PrivateCertificateActionRevokePrototype(Request):
    """Revokes the current certificate."""

    action_type: Revoke


class PrivateCertificateActionRevoke(Answer):
    """The current certificate was revoked."""

    action_type: Revoke
    revocation_time_seconds: int | None = None


class PrivateCertificateVersionActionRevokePrototype(Request):
    """Revokes the certificate of a version."""

    action_type: Revoke


class PrivateCertificateVersionActionRevoke(Answer):
    """The certificate of a version was revoked."""

    action_type: Revoke
    revocation_time_seconds: int | None = None


def _only_choice(schema: dict[str, Any]) -> None:
    """Write a union of one: pydantic knows none, but clients are generated from the contract's names."""
    reference = schema.pop("$ref")
    schema["oneOf"] = [{"$ref": reference}]
    schema["discriminator"] = {
        "propertyName": "action_type",
        "mapping": {"private_cert_action_revoke_certificate": reference},
    }


class SecretVersionActionPrototype(RootModel[PrivateCertificateVersionActionRevokePrototype]):
    """An action on a version."""

    model_config = {"json_schema_extra": _only_choice, "defer_build": True}


class VersionAction(RootModel[PrivateCertificateVersionActionRevoke]):
    """What an action on a version did."""

    model_config = {"json_schema_extra": _only_choice, "defer_build": True}
