"""Public certificates, their versions and the orders behind them. Source: api-v2-models M1.4, M3 and M4.8."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import WithJsonSchema

from strongroom.api.parameters import AltNames, ConfigurationName, DateTime, one_of, text
from strongroom.api.v2.schemas.base import Answer, Request, StateDescription
from strongroom.api.v2.schemas.secret_base import (
    CertificateValidity,
    SecretBase,
    SecretMetadataPatchBase,
    SecretPrototypeBase,
    State,
    VersionBase,
    VersionPrototypeBase,
)

Validate = Literal["public_cert_action_validate_dns_challenge"]
PublicKeyAlgorithm = Literal["RSA2048", "RSA4096", "ECDSA256", "ECDSA384"]

# Older words for two of them are taken, too. Source: contract domain section 4.2.
_KeyAlgorithm = Annotated[str, one_of(*get_args(PublicKeyAlgorithm))]
_CommonName = Annotated[str, WithJsonSchema(text(1, 64, description="May be a wildcard."))]
_DnsName = Annotated[
    str,
    WithJsonSchema(text(2, 128, description="Name of a DNS configuration, or `manual`: you write the records.")),
]

# --- parts


class PublicCertificateRotationPolicy(Request):
    """Automatic rotation before expiry."""

    auto_rotate: bool
    rotate_keys: bool


class PublicCertificateRotationObject(Request):
    """Whether this one rotation makes a new key."""

    rotate_keys: bool | None = None


class ChallengeResource(Answer):
    """A TXT record that proves one name."""

    domain: str | None = None
    expiration: DateTime | None = None
    status: str | None = None
    txt_record_name: str | None = None
    txt_record_value: str | None = None


class CertificateIssuanceInfo(Answer):
    """Progress of the order; its reference code is an extension."""

    auto_rotated: bool | None = None
    challenges: list[ChallengeResource] | None = None
    dns_challenge_validation_time: DateTime | None = None
    error_code: str | None = None
    error_message: str | None = None
    reference_code: str | None = None
    ordered_on: DateTime | None = None
    state: State | None = None
    state_description: StateDescription | None = None


# --- creating


class PublicCertificatePrototype(SecretPrototypeBase):
    """A certificate to order."""

    secret_type: Literal["public_cert"]
    common_name: _CommonName | None = None
    alt_names: AltNames | None = None
    key_algorithm: _KeyAlgorithm | None = None
    ca: ConfigurationName
    dns: _DnsName
    bundle_certs: bool | None = None
    rotation: PublicCertificateRotationPolicy | None = None


# --- answers


class PublicCertificateMetadata(SecretBase):
    """A public certificate without its payload; facts of the certificate are absent until there is one."""

    secret_type: Literal["public_cert"]
    signing_algorithm: str | None = None
    alt_names: list[str] | None = None
    common_name: str | None = None
    expiration_date: DateTime | None = None
    issuance_info: CertificateIssuanceInfo | None = None
    issuer: str | None = None
    key_algorithm: PublicKeyAlgorithm
    serial_number: str | None = None
    validity: CertificateValidity | None = None
    rotation: PublicCertificateRotationPolicy
    bundle_certs: bool | None = None
    ca: str | None = None
    dns: str | None = None


class PublicCertificatePayload(Answer):
    """The certificate, its chain and its key; absent until they are issued."""

    certificate: str | None = None
    intermediate: str | None = None
    private_key: str | None = None


class PublicCertificate(PublicCertificateMetadata, PublicCertificatePayload):
    """A public certificate."""


class PublicCertificateVersionMetadata(VersionBase):
    """A version of a public certificate without its payload."""

    secret_type: Literal["public_cert"]
    serial_number: str | None = None
    validity: CertificateValidity | None = None


class PublicCertificateVersion(PublicCertificateVersionMetadata, PublicCertificatePayload):
    """A version of a public certificate."""


# --- changing


class PublicCertificateMetadataPatch(SecretMetadataPatchBase):
    """Changes to a public certificate; what it was ordered with stays."""

    rotation: PublicCertificateRotationPolicy | None = None


class PublicCertificateVersionPrototype(VersionPrototypeBase):
    """Orders the next certificate for the same names."""

    rotation: PublicCertificateRotationObject


# --- manual DNS


class PublicCertificateActionValidateManualDNSPrototype(Request):
    """Asks the certificate authority to look at the DNS records of an order now."""

    action_type: Validate


class PublicCertificateActionValidateManualDNS(Answer):
    """The certificate authority was asked."""

    action_type: Validate
