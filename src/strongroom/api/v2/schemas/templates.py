"""Certificate templates. Source: api-v2-models M4.3; design, section 12."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from strongroom.api.parameters import ConfigurationName, Duration, GroupList, KeyBits, KeyUsages, Listed
from strongroom.api.v2.schemas.base import Answer, Paginated, Request
from strongroom.api.v2.schemas.certificate_parts import PART, KeyType, Subject
from strongroom.api.v2.schemas.configuration_base import ConfigurationBase

TemplateType = Literal["private_cert_configuration_template"]


class _Rules(Subject):
    """What a template says in the same words when it is asked for and when it is shown."""

    allow_localhost: bool | None = None
    allowed_domains: Listed | None = None
    allowed_domains_template: bool | None = None
    allow_bare_domains: bool | None = None
    allow_subdomains: bool | None = None
    allow_glob_domains: bool | None = None
    allow_wildcard_certificates: bool | None = None
    allow_any_name: bool | None = None
    enforce_hostnames: bool | None = None
    allow_ip_sans: bool | None = None
    allowed_uri_sans: Listed | None = None
    allowed_other_sans: Listed | None = None
    server_flag: bool | None = None
    client_flag: bool | None = None
    code_signing_flag: bool | None = None
    email_protection_flag: bool | None = None
    key_type: KeyType | None = None
    key_bits: KeyBits | None = None
    key_usage: KeyUsages | None = None
    ext_key_usage: KeyUsages | None = None
    ext_key_usage_oids: Listed | None = None
    use_csr_common_name: bool | None = None
    use_csr_sans: bool | None = None
    require_cn: bool | None = None
    policy_identifiers: Listed | None = None
    basic_constraints_valid_for_non_ca: bool | None = None
    lint_level: Literal["off", "warn", "error"] | None = None


class _ShownLives(BaseModel):
    """Durations as they are shown; 0 means unset."""

    model_config = PART

    max_ttl_seconds: int | None = None
    ttl_seconds: int | None = None
    not_before_duration_seconds: int | None = None


class PrivateCertificateConfigurationTemplatePatch(_Rules, Request):
    """Changes to a template; null puts the default back."""

    allowed_secret_groups: GroupList | None = None
    max_ttl: Duration | None = None
    ttl: Duration | None = None
    not_before_duration: Duration | None = None


class PrivateCertificateConfigurationTemplatePrototype(PrivateCertificateConfigurationTemplatePatch):
    """A template to make."""

    config_type: TemplateType
    name: ConfigurationName
    certificate_authority: ConfigurationName


class PrivateCertificateConfigurationTemplateMetadata(ConfigurationBase):
    """What lists show of a template."""

    config_type: TemplateType
    certificate_authority: str


class PrivateCertificateConfigurationTemplate(
    PrivateCertificateConfigurationTemplateMetadata, _ShownLives, _Rules, Answer
):
    """A template."""

    allowed_secret_groups: str | None = None


class CertificateTemplateRules(_ShownLives, _Rules, Answer):
    """What certificates of a template may hold."""


class CertificateTemplate(Answer):
    """What those who may issue with a template see of it (extension)."""

    name: str
    certificate_authority: str
    allowed_secret_groups: list[str]
    rules: CertificateTemplateRules


class CertificateTemplatePaginatedCollection(Paginated):
    """A page of the templates that the caller may issue with (extension)."""

    certificate_templates: list[CertificateTemplate]


class CertificateTemplatesQuery(BaseModel, defer_build=True):
    """Parameters of the list of templates."""

    offset: int = Field(default=0, ge=0, le=1000)
    limit: int = Field(default=200, ge=1, le=1000)
