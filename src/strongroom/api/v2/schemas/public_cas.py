"""Configurations of public CAs. Source: api-v2-models M5.1; design, section 12."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, WithJsonSchema

from strongroom.api.parameters import ConfigurationName, text
from strongroom.api.v2.schemas.base import Answer, Request
from strongroom.api.v2.schemas.certificate_parts import PART
from strongroom.api.v2.schemas.configuration_base import ConfigurationBase

LetsEncryptType = Literal["public_cert_configuration_ca_lets_encrypt"]
AcmeType = Literal["public_cert_configuration_ca_acme"]
Environment = Literal["production", "staging"]
AccountKey = Annotated[
    str,
    WithJsonSchema(text(50, 100_000, description="PEM (PKCS#8 or PKCS#1) key of an account that the CA knows.")),
]
PreferredChain = Annotated[
    str, WithJsonSchema(text(0, 30, description="Common name of the wanted top issuer; empty for the CA's default."))
]
LongerChain = Annotated[
    str, WithJsonSchema(text(0, 64, description="Common name of the wanted top issuer; empty for the CA's default."))
]
Fallback = Annotated[
    str,
    WithJsonSchema(text(0, 128, description="Another configuration of a public CA, for when this CA fails; or empty.")),
]
DirectoryUrl = Annotated[str, WithJsonSchema(text(8, 1024, format="uri"))]
RootBundle = Annotated[
    str, WithJsonSchema(text(0, 100_000, description="PEM certificates to trust for the CA's own HTTPS."))
]
Binding = Annotated[str, WithJsonSchema(text(0, 1024))]
Profile = Annotated[str, WithJsonSchema(text(0, 64, description="One of the directory's profiles."))]
Contact = Annotated[
    str, WithJsonSchema(text(0, 4096, description="E-mail addresses for notices of the CA, joined by commas."))
]


class _LetsEncrypt(BaseModel):
    """What is in clear of an environment of Let's Encrypt."""

    model_config = PART

    lets_encrypt_environment: Environment
    lets_encrypt_preferred_chain: PreferredChain | None = None
    ca_fallback: Fallback | None = None


class PublicCertificateConfigurationCALetsEncryptPrototype(_LetsEncrypt, Request):
    """An environment of Let's Encrypt; without a key an account is registered (extension)."""

    config_type: LetsEncryptType
    name: ConfigurationName
    lets_encrypt_private_key: AccountKey | None = None


class PublicCertificateConfigurationCALetsEncryptPatch(_LetsEncrypt, Request):
    """Changes; the environment must be said each time."""

    lets_encrypt_private_key: AccountKey | None = None


class PublicCertificateConfigurationCALetsEncryptMetadata(_LetsEncrypt, ConfigurationBase):
    """What lists show."""

    config_type: LetsEncryptType


class PublicCertificateConfigurationCALetsEncrypt(PublicCertificateConfigurationCALetsEncryptMetadata):
    """The whole configuration, the account's key included."""

    lets_encrypt_private_key: str


# --- any other ACME CA (extension)


class _AcmeShown(BaseModel):
    """What lists show of an ACME CA, beside its address."""

    model_config = PART

    acme_profile: Profile | None = None
    acme_preferred_chain: LongerChain | None = None
    ca_fallback: Fallback | None = None


class _AcmeDetails(BaseModel):
    """What only full reads show."""

    model_config = PART

    acme_eab_key_id: Binding | None = None
    acme_eab_hmac_key: Binding | None = None
    acme_root_bundle: RootBundle | None = None
    acme_contact: Contact | None = None


class PublicCertificateConfigurationCAAcmePrototype(_AcmeShown, _AcmeDetails, Request):
    """Any CA that speaks ACME (RFC 8555); without a key an account is registered (extension)."""

    config_type: AcmeType
    name: ConfigurationName
    acme_directory_url: DirectoryUrl
    acme_account_private_key: AccountKey | None = None


class PublicCertificateConfigurationCAAcmePatch(_AcmeShown, _AcmeDetails, Request):
    """Changes; what is not given stays."""

    acme_directory_url: DirectoryUrl | None = None
    acme_account_private_key: AccountKey | None = None


class PublicCertificateConfigurationCAAcmeMetadata(_AcmeShown, ConfigurationBase):
    """What lists show."""

    config_type: AcmeType
    acme_directory_url: str


class PublicCertificateConfigurationCAAcme(PublicCertificateConfigurationCAAcmeMetadata, _AcmeDetails, Answer):
    """The whole configuration, the account's key included."""

    acme_account_private_key: str
