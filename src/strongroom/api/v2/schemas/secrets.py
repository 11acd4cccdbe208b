"""Secrets and versions, type by type. Source: api-v2-models M1, M2 and M7.

One module, though a long one: its unions name the models of every type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from strongroom.api.parameters import (
    DateTime,
    Description,
    GroupReference,
    Interval,
    KeyValues,
    Labels,
    Metadata,
    Password,
    PasswordLength,
    PayloadText,
    Pem,
    SecretName,
    Username,
    comma_list,
    sort_key,
)
from strongroom.api.v2.schemas.base import (
    Alias,
    Answer,
    FreeObject,
    Notice,
    Paginated,
    Request,
    StateDescription,
)
from strongroom.domain.secrets.model import SecretType

# --- parts


class CertificateValidity(Answer):
    """When a certificate is valid."""

    not_before: DateTime
    not_after: DateTime


class CommonRotationPolicy(Request):
    """Automatic rotation by interval."""

    auto_rotate: bool
    interval: Interval | None = None
    unit: Literal["day", "month", "hour"] | None = None


class PublicCertificateRotationPolicy(Request):
    """Automatic rotation before expiry."""

    auto_rotate: bool
    rotate_keys: bool


RotationPolicy = CommonRotationPolicy


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


class SecretPrototypeBase(Request):
    """Members of every new secret."""

    name: SecretName
    description: Description | None = None
    secret_group_id: GroupReference | None = None
    labels: Labels | None = None
    custom_metadata: Metadata | None = None
    version_custom_metadata: Metadata | None = None


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
    ArbitrarySecretPrototype | KVSecretPrototype | UsernamePasswordSecretPrototype | ImportedCertificatePrototype,
    Field(discriminator="secret_type"),
]

# --- answers


class SecretBase(Answer):
    """Members of every secret."""

    created_by: str
    created_at: DateTime
    retrieved_at: DateTime | None = None
    crn: str
    custom_metadata: FreeObject | None = None
    description: str | None = None
    downloaded: bool | None = None
    id: str
    labels: list[str] | None = None
    locks_total: int | None = None
    name: str | None = None
    secret_group_id: str
    state: Literal[0, 1, 2, 3, 5] | None = None
    state_description: StateDescription | None = None
    updated_at: DateTime
    versions_total: int
    referenced_by: list[str] | None = None
    warnings: list[Notice] | None = None
    rotation_status: Literal["none", "pending", "failed", "blocked"] | None = None
    job: FreeObject | None = None


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
    ArbitrarySecret | KVSecret | UsernamePasswordSecret | ImportedCertificate, Field(discriminator="secret_type")
]
SecretMetadata = Annotated[
    ArbitrarySecretMetadata | KVSecretMetadata | UsernamePasswordSecretMetadata | ImportedCertificateMetadata,
    Field(discriminator="secret_type"),
]


class SecretMetadataPaginatedCollection(Paginated):
    """A page of secrets."""

    secrets: list[SecretMetadata]


# --- patches


class SecretMetadataPatchBase(Request):
    """Members that every secret's metadata patch has; null removes."""

    name: SecretName | None = None
    description: Description | None = None
    labels: Labels | None = None
    custom_metadata: Metadata | None = None


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
    | UsernamePasswordSecretMetadataPatch
    | ArbitrarySecretMetadataPatch
    | KVSecretMetadataPatch
)

# --- versions


class VersionPrototypeBase(Request):
    """Members of every new version."""

    custom_metadata: Metadata | None = None
    version_custom_metadata: Metadata | None = None


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
    | ArbitrarySecretVersionPrototype
    | KVSecretVersionPrototype
    | UsernamePasswordSecretVersionPrototype
    | SecretRestoreFromVersionPrototype
)


class VersionBase(Answer):
    """Members of every version."""

    auto_rotated: bool | None = None
    created_by: str
    created_at: DateTime
    downloaded: bool | None = None
    id: str
    secret_name: str | None = None
    secret_group_id: str
    payload_available: bool
    alias: Alias | None = None
    version_custom_metadata: FreeObject | None = None
    secret_id: str
    expiration_date: DateTime | None = None


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
    ArbitrarySecretVersion | KVSecretVersion | UsernamePasswordSecretVersion | ImportedCertificateVersion,
    Field(discriminator="secret_type"),
]
SecretVersionMetadata = Annotated[
    ArbitrarySecretVersionMetadata
    | KVSecretVersionMetadata
    | UsernamePasswordSecretVersionMetadata
    | ImportedCertificateVersionMetadata,
    Field(discriminator="secret_type"),
]


class SecretVersionMetadataCollection(Answer):
    """Every retained version, newest first."""

    versions: list[SecretVersionMetadata]
    total_count: int


class SecretVersionMetadataPatch(Request):
    """Changes to a version's metadata."""

    version_custom_metadata: Metadata | None = None


class SecretActionPrototype(Request):
    """An action on a secret or a version."""

    action_type: Literal["private_cert_action_revoke_certificate", "public_cert_action_validate_dns_challenge"]


class SecretAction(Answer):
    """What an action did."""

    action_type: Literal["private_cert_action_revoke_certificate", "public_cert_action_validate_dns_challenge"]
    revocation_time_seconds: int | None = None


class SecretVersionActionPrototype(Request):
    """An action on a version."""

    action_type: Literal["private_cert_action_revoke_certificate"]


class VersionAction(Answer):
    """What an action on a version did."""

    action_type: Literal["private_cert_action_revoke_certificate"]
    revocation_time_seconds: int | None = None


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


NAMED_UNIONS: Final[Mapping[str, Any]] = {
    "Secret": Secret,
    "SecretMetadata": SecretMetadata,
    "SecretMetadataPatch": SecretMetadataPatch,
    "SecretPrototype": SecretPrototype,
    "SecretVersion": SecretVersion,
    "SecretVersionMetadata": SecretVersionMetadata,
    "SecretVersionPrototype": SecretVersionPrototype,
}
"""Unions that have a name in the contract; the OpenAPI document shows them under it."""
