"""Certificate authorities and where their keys live.

Source: api-v2-models M4.2 and M4.4 to M4.6; design, section 12.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from strongroom.api.parameters import CommonName, ConfigurationName, DateTime, Duration, KeyBits
from strongroom.api.v2.schemas.base import Answer, Request
from strongroom.api.v2.schemas.certificate_parts import PART, AlternativeNames, BelowAuthority, KeyType, Subject
from strongroom.api.v2.schemas.configuration_base import ConfigurationBase
from strongroom.api.v2.schemas.private_certs import CertificateFormat, PrivateKeyFormat

RootType = Literal["private_cert_configuration_root_ca"]
IntermediateType = Literal["private_cert_configuration_intermediate_ca"]
SigningMethod = Literal["internal", "external"]
AuthorityStatus = Literal[
    "signing_required",
    "signed_certificate_required",
    "certificate_template_required",
    "configured",
    "expired",
    "revoked",
]

# --- keys that live elsewhere


class PrivateCertificateCryptoProviderHPCS(Request):
    """A cloud HSM; known to the contract, not served."""

    type: Literal["hyper_protect_crypto_services"]
    instance_crn: str
    pin_iam_credentials_secret_id: str
    private_keystore_id: str


class PrivateCertificateCryptoProviderPKCS11(Request):
    """A token behind a PKCS#11 library of the server's settings (extension)."""

    type: Literal["pkcs11"]
    token_label: str
    pin_secret_id: str


PrivateCertificateCryptoProvider = Annotated[
    PrivateCertificateCryptoProviderHPCS | PrivateCertificateCryptoProviderPKCS11, Field(discriminator="type")
]


class PrivateCertificateCryptoKey(Request):
    """A key that lives in an HSM, found by ``id`` or ``label``."""

    id: str | None = None
    label: str | None = None
    allow_generate_key: bool | None = None
    provider: PrivateCertificateCryptoProvider


# --- parts


class _Addresses(BaseModel):
    """Which addresses of an authority stand in what it issues."""

    model_config = PART

    crl_disable: bool | None = None
    crl_distribution_points_encoded: bool | None = None
    issuing_certificates_urls_encoded: bool | None = None
    ocsp_urls_encoded: bool | None = None


class _Formats(BaseModel):
    """How an authority's certificate and key are written."""

    model_config = PART

    format: CertificateFormat | None = None
    private_key_format: PrivateKeyFormat | None = None


class _Authority(_Addresses, AlternativeNames, Subject, _Formats, Request):
    """Members of every new authority."""

    name: ConfigurationName
    crypto_key: PrivateCertificateCryptoKey | None = None
    max_ttl: Duration
    crl_expiry: Duration | None = None
    common_name: CommonName
    key_type: KeyType | None = None
    key_bits: KeyBits | None = None


# --- creating


class PrivateCertificateConfigurationRootCAPrototype(_Authority, BelowAuthority):
    """A root to make."""

    config_type: RootType
    ttl: Duration | None = None


class PrivateCertificateConfigurationIntermediateCAPrototype(_Authority):
    """An intermediate to make; ``auto_sign`` has its issuer sign it at once (extension)."""

    config_type: IntermediateType
    signing_method: SigningMethod
    issuer: ConfigurationName | None = None
    auto_sign: bool | None = None


# --- changing


class _AuthorityPatch(_Addresses, Request):
    """Changes to an authority."""

    max_ttl: Duration | None = None
    crl_expiry: Duration | None = None


class PrivateCertificateConfigurationRootCAPatch(_AuthorityPatch):
    """Changes to a root."""


class PrivateCertificateConfigurationIntermediateCAPatch(_AuthorityPatch):
    """Changes to an intermediate."""


# --- answers


class PrivateCertificateConfigurationCACertificate(Answer):
    """An authority's certificate; an intermediate's CSR stays beside it."""

    certificate: str
    issuing_ca: str | None = None
    ca_chain: list[str] | None = None
    expiration: int | None = None
    serial_number: str | None = None
    csr: str | None = None
    private_key_type: KeyType | None = None


class PrivateCertificateConfigurationIntermediateCACSR(Answer):
    """The CSR of an intermediate that waits for its certificate; its key is never shown."""

    csr: str | None = None
    private_key: str | None = None
    private_key_type: KeyType | None = None
    expiration: int | None = None


PrivateCertificateCAData = (
    PrivateCertificateConfigurationCACertificate | PrivateCertificateConfigurationIntermediateCACSR
)


class _AuthorityMetadata(ConfigurationBase):
    """What lists show of an authority."""

    common_name: str
    crl_distribution_points_encoded: bool | None = None
    expiration_date: DateTime | None = None
    key_type: KeyType | None = None
    key_bits: int | None = None
    status: AuthorityStatus | None = None
    crypto_key: PrivateCertificateCryptoKey | None = None


class _AuthorityDetails(_Addresses, AlternativeNames, Subject, _Formats, Answer):
    """What only the full view of an authority shows; ``serial_number`` is its certificate's."""

    max_ttl_seconds: int | None = None
    crl_expiry_seconds: int | None = None
    data: PrivateCertificateCAData | None = None


class PrivateCertificateConfigurationRootCAMetadata(_AuthorityMetadata):
    """What lists show of a root."""

    config_type: RootType


class PrivateCertificateConfigurationRootCA(
    PrivateCertificateConfigurationRootCAMetadata, BelowAuthority, _AuthorityDetails
):
    """A root."""

    ttl_seconds: int | None = None


class PrivateCertificateConfigurationIntermediateCAMetadata(_AuthorityMetadata):
    """What lists show of an intermediate."""

    config_type: IntermediateType
    issuer: str | None = None
    signing_method: SigningMethod


class PrivateCertificateConfigurationIntermediateCA(
    PrivateCertificateConfigurationIntermediateCAMetadata, _AuthorityDetails
):
    """An intermediate."""
