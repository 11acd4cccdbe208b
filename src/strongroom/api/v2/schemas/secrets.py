"""Secrets and versions, type by type. Source: api-v2-models M1, M2 and M7.

One module, though a long one: its unions name the models of every type.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from strongroom.api.parameters import (
    DateTime,
    KeyValues,
    Metadata,
    Password,
    PasswordLength,
    PayloadText,
    Pem,
    Username,
    comma_list,
    sort_key,
)
from strongroom.api.v2.schemas.base import Answer, FreeObject, Paginated, Request
from strongroom.api.v2.schemas.private_certs import (
    PrivateCertificate,
    PrivateCertificateActionRevoke,
    PrivateCertificateActionRevokePrototype,
    PrivateCertificateMetadata,
    PrivateCertificateMetadataPatch,
    PrivateCertificatePrototype,
    PrivateCertificateVersion,
    PrivateCertificateVersionMetadata,
    PrivateCertificateVersionPrototype,
)
from strongroom.api.v2.schemas.public_certs import (
    PublicCertificate,
    PublicCertificateActionValidateManualDNS,
    PublicCertificateActionValidateManualDNSPrototype,
    PublicCertificateMetadata,
    PublicCertificateMetadataPatch,
    PublicCertificatePrototype,
    PublicCertificateRotationPolicy,
    PublicCertificateVersion,
    PublicCertificateVersionMetadata,
    PublicCertificateVersionPrototype,
)
from strongroom.api.v2.schemas.secret_base import (
    CertificateValidity,
    CommonRotationPolicy,
    SecretBase,
    SecretMetadataPatchBase,
    SecretPrototypeBase,
    VersionBase,
    VersionPrototypeBase,
)
from strongroom.domain.secrets.model import SecretType

# --- parts


RotationPolicy = CommonRotationPolicy | PublicCertificateRotationPolicy


class PasswordGenerationPolicy(Request):
    """What generated passwords look like."""

    length: PasswordLength | None = None
    include_digits: bool | None = None
    include_symbols: bool | None = None
    include_uppercase: bool | None = None


class PasswordGenerationPolicyPatch(PasswordGenerationPolicy):
    """Changes to what generated passwords look like; merged member by member."""


class PasswordGenerationPolicyRO(Answer):
    """What generated passwords look like."""

    length: int | None = None
    include_digits: bool | None = None
    include_symbols: bool | None = None
    include_uppercase: bool | None = None


class ImportedCertificateManagedCsr(Request):
    """Inputs of a CSR whose key is made and held here."""

    ou: list[str] | None = None
    organization: list[str] | None = None
    country: list[str] | None = None
    locality: list[str] | None = None
    province: list[str] | None = None
    street_address: list[str] | None = None
    postal_code: list[str] | None = None
    require_cn: bool | None = None
    common_name: str | None = None
    alt_names: str | None = None
    ip_sans: str | None = None
    uri_sans: str | None = None
    other_sans: str | None = None
    exclude_cn_from_sans: bool | None = None
    user_ids: str | None = None
    server_flag: bool | None = None
    client_flag: bool | None = None
    code_signing_flag: bool | None = None
    email_protection_flag: bool | None = None
    key_type: Literal["rsa", "ec", "ed25519"] | None = None
    key_bits: int | None = None
    key_usage: str | None = None
    ext_key_usage: str | None = None
    policy_identifiers: str | None = None
    ext_key_usage_oids: str | None = None
    rotate_keys: bool | None = None


class ImportedCertificateManagedCsrResponse(Answer):
    """A managed CSR with everything that went into it."""

    ou: list[str]
    organization: list[str]
    country: list[str]
    locality: list[str]
    province: list[str]
    street_address: list[str]
    postal_code: list[str]
    require_cn: bool
    common_name: str | None = None
    alt_names: str | None = None
    ip_sans: str | None = None
    uri_sans: str | None = None
    other_sans: str | None = None
    exclude_cn_from_sans: bool
    user_ids: str | None = None
    server_flag: bool
    client_flag: bool
    code_signing_flag: bool
    email_protection_flag: bool
    key_type: Literal["rsa", "ec", "ed25519"]
    key_bits: int
    key_usage: str | None = None
    ext_key_usage: str | None = None
    policy_identifiers: str | None = None
    ext_key_usage_oids: str | None = None
    rotate_keys: bool | None = None
    csr: str
    private_key: str


# --- creating


class ArbitrarySecretPrototype(SecretPrototypeBase):
    """A new arbitrary secret."""

    secret_type: Literal["arbitrary"]
    payload: PayloadText
    expiration_date: DateTime | None = None


class KVSecretPrototype(SecretPrototypeBase):
    """A new key-value secret."""

    secret_type: Literal["kv"]
    data: KeyValues


class UsernamePasswordSecretPrototype(SecretPrototypeBase):
    """New user credentials."""

    secret_type: Literal["username_password"]
    username: Username
    password: Password | None = None
    expiration_date: DateTime | None = None
    rotation: CommonRotationPolicy | None = None
    password_generation_policy: PasswordGenerationPolicy | None = None


class ImportedCertificatePrototype(SecretPrototypeBase):
    """A certificate to import, or the inputs of a managed CSR."""

    secret_type: Literal["imported_cert"]
    certificate: Pem | None = None
    intermediate: Pem | None = None
    private_key: Pem | None = None
    managed_csr: ImportedCertificateManagedCsr | None = None


SecretPrototype = Annotated[
    ArbitrarySecretPrototype
    | KVSecretPrototype
    | UsernamePasswordSecretPrototype
    | ImportedCertificatePrototype
    | PrivateCertificatePrototype
    | PublicCertificatePrototype,
    Field(discriminator="secret_type"),
]

# --- answers


class ArbitrarySecretMetadata(SecretBase):
    """An arbitrary secret without its payload."""

    secret_type: Literal["arbitrary"]
    expiration_date: DateTime | None = None


class ArbitrarySecret(ArbitrarySecretMetadata):
    """An arbitrary secret."""

    payload: str | None = None


class KVSecretMetadata(SecretBase):
    """A key-value secret without its data."""

    secret_type: Literal["kv"]


class KVSecret(KVSecretMetadata):
    """A key-value secret."""

    data: FreeObject


class UsernamePasswordSecretMetadata(SecretBase):
    """User credentials without user name and password."""

    secret_type: Literal["username_password"]
    rotation: CommonRotationPolicy
    expiration_date: DateTime | None = None
    next_rotation_date: DateTime | None = None
    password_generation_policy: PasswordGenerationPolicyRO | None = None


class UsernamePasswordSecret(UsernamePasswordSecretMetadata):
    """User credentials."""

    username: str
    password: str


class ImportedCertificateMetadata(SecretBase):
    """An imported certificate without its payload."""

    secret_type: Literal["imported_cert"]
    signing_algorithm: str | None = None
    alt_names: list[str] | None = None
    common_name: str | None = None
    expiration_date: DateTime | None = None
    intermediate_included: bool | None = None
    issuer: str | None = None
    key_algorithm: str | None = None
    private_key_included: bool | None = None
    serial_number: str | None = None
    validity: CertificateValidity | None = None
    managed_csr: ImportedCertificateManagedCsrResponse | None = None


class ImportedCertificate(ImportedCertificateMetadata):
    """An imported certificate."""

    certificate: str | None = None
    intermediate: str | None = None
    private_key: str | None = None
    csr: str | None = None


Secret = Annotated[
    ArbitrarySecret | KVSecret | UsernamePasswordSecret | ImportedCertificate | PrivateCertificate | PublicCertificate,
    Field(discriminator="secret_type"),
]
SecretMetadata = Annotated[
    ArbitrarySecretMetadata
    | KVSecretMetadata
    | UsernamePasswordSecretMetadata
    | ImportedCertificateMetadata
    | PrivateCertificateMetadata
    | PublicCertificateMetadata,
    Field(discriminator="secret_type"),
]


class SecretMetadataPaginatedCollection(Paginated):
    """A page of secrets."""

    secrets: list[SecretMetadata]


# --- patches


class ArbitrarySecretMetadataPatch(SecretMetadataPatchBase):
    """Changes to an arbitrary secret."""

    expiration_date: DateTime | None = None


class KVSecretMetadataPatch(SecretMetadataPatchBase):
    """Changes to a key-value secret."""


class UsernamePasswordSecretMetadataPatch(SecretMetadataPatchBase):
    """Changes to user credentials."""

    rotation: CommonRotationPolicy | None = None
    expiration_date: DateTime | None = None
    password_generation_policy: PasswordGenerationPolicyPatch | None = None


class ImportedCertificateMetadataPatch(SecretMetadataPatchBase):
    """Changes to an imported certificate."""

    managed_csr: ImportedCertificateManagedCsr | None = None


SecretMetadataPatch = (
    ImportedCertificateMetadataPatch
    | PrivateCertificateMetadataPatch
    | PublicCertificateMetadataPatch
    | UsernamePasswordSecretMetadataPatch
    | ArbitrarySecretMetadataPatch
    | KVSecretMetadataPatch
)

# --- versions


class ArbitrarySecretVersionPrototype(VersionPrototypeBase):
    """The next arbitrary value."""

    payload: PayloadText


class KVSecretVersionPrototype(VersionPrototypeBase):
    """The next object."""

    data: KeyValues


class UsernamePasswordSecretVersionPrototype(VersionPrototypeBase):
    """The next password; made here if none is given."""

    password: Password | None = None


class ImportedCertificateVersionPrototype(VersionPrototypeBase):
    """The next certificate."""

    certificate: Pem
    intermediate: Pem | None = None
    private_key: Pem | None = None


class SecretRestoreFromVersionPrototype(VersionPrototypeBase):
    """The version whose payload becomes current again."""

    restore_from_version: str


SecretVersionPrototype = (
    ImportedCertificateVersionPrototype
    | PrivateCertificateVersionPrototype
    | PublicCertificateVersionPrototype
    | ArbitrarySecretVersionPrototype
    | KVSecretVersionPrototype
    | UsernamePasswordSecretVersionPrototype
    | SecretRestoreFromVersionPrototype
)


class ArbitrarySecretVersionMetadata(VersionBase):
    """An arbitrary version without its payload."""

    secret_type: Literal["arbitrary"]


class ArbitrarySecretVersion(ArbitrarySecretVersionMetadata):
    """An arbitrary version."""

    payload: str | None = None


class KVSecretVersionMetadata(VersionBase):
    """A key-value version without its data."""

    secret_type: Literal["kv"]


class KVSecretVersion(KVSecretVersionMetadata):
    """A key-value version."""

    data: FreeObject


class UsernamePasswordSecretVersionMetadata(VersionBase):
    """A version of user credentials without user name and password."""

    secret_type: Literal["username_password"]


class UsernamePasswordSecretVersion(UsernamePasswordSecretVersionMetadata):
    """A version of user credentials."""

    username: str
    password: str


class ImportedCertificateVersionMetadata(VersionBase):
    """A certificate's version without its payload."""

    secret_type: Literal["imported_cert"]
    serial_number: str
    validity: CertificateValidity


class ImportedCertificateVersion(ImportedCertificateVersionMetadata):
    """A certificate's version."""

    certificate: str | None = None
    intermediate: str | None = None
    private_key: str | None = None
    csr: str | None = None


SecretVersion = Annotated[
    ArbitrarySecretVersion
    | KVSecretVersion
    | UsernamePasswordSecretVersion
    | ImportedCertificateVersion
    | PrivateCertificateVersion
    | PublicCertificateVersion,
    Field(discriminator="secret_type"),
]
SecretVersionMetadata = Annotated[
    ArbitrarySecretVersionMetadata
    | KVSecretVersionMetadata
    | UsernamePasswordSecretVersionMetadata
    | ImportedCertificateVersionMetadata
    | PrivateCertificateVersionMetadata
    | PublicCertificateVersionMetadata,
    Field(discriminator="secret_type"),
]


class SecretVersionMetadataCollection(Answer):
    """Every retained version, newest first."""

    versions: list[SecretVersionMetadata]
    total_count: int


class SecretVersionMetadataPatch(Request):
    """Changes to a version's metadata."""

    version_custom_metadata: Metadata | None = None


SecretActionPrototype = Annotated[
    PrivateCertificateActionRevokePrototype | PublicCertificateActionValidateManualDNSPrototype,
    Field(discriminator="action_type"),
]
SecretAction = Annotated[
    PrivateCertificateActionRevoke | PublicCertificateActionValidateManualDNS, Field(discriminator="action_type")
]


# --- query parameters


class SecretsQuery(BaseModel, defer_build=True):
    """Parameters of the list of secrets."""

    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=200, ge=1, le=1000)
    sort: Annotated[
        str | None,
        sort_key("id", "created_at", "updated_at", "retrieved_at", "expiration_date", "secret_type", "name"),
    ] = None
    search: str | None = Field(default=None, min_length=2, max_length=128)
    groups: Annotated[str | None, comma_list({"type": "string"}, most=201)] = None
    secret_types: Annotated[
        str | None, comma_list({"type": "string", "enum": list(SecretType)}, most=len(SecretType))
    ] = None
    match_all_labels: Annotated[str | None, comma_list({"type": "string"}, most=30)] = None


class DeleteSecretQuery(BaseModel, defer_build=True):
    """Parameters of deleting a secret."""

    force_delete: bool = False
