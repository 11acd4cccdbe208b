"""Configurations as the contract shows them. Source: api-v2-models M4.2 to M4.4 and M8; design, sections 7 and 12."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from strongroom.api.v2.schemas import dns_providers as dns
from strongroom.api.v2.schemas import more_dns_providers as more
from strongroom.api.v2.schemas import public_cas as cas
from strongroom.api.v2.schemas.authorities import (
    PrivateCertificateConfigurationCACertificate,
    PrivateCertificateConfigurationIntermediateCA,
    PrivateCertificateConfigurationIntermediateCAMetadata,
    PrivateCertificateConfigurationRootCA,
    PrivateCertificateConfigurationRootCAMetadata,
)
from strongroom.api.v2.schemas.templates import (
    CertificateTemplateRules,
    PrivateCertificateConfigurationTemplate,
    PrivateCertificateConfigurationTemplateMetadata,
)
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.authorities.templates import allowed_groups
from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.kernel.time import format_rfc3339

EXTENSION_PROVIDER: Final = "pkcs11"
"""The contract's clients stop at a provider of a type that they do not know."""


def _members(models: Mapping[ConfigType, type[BaseModel]]) -> dict[ConfigType, frozenset[str]]:
    return {config_type: frozenset(model.model_fields) for config_type, model in models.items()}


# What the models do not name stays inside, whatever a document holds.
_FULL: Final = _members(
    {
        ConfigType.ROOT_CA: PrivateCertificateConfigurationRootCA,
        ConfigType.INTERMEDIATE_CA: PrivateCertificateConfigurationIntermediateCA,
        ConfigType.TEMPLATE: PrivateCertificateConfigurationTemplate,
        ConfigType.LETS_ENCRYPT: cas.PublicCertificateConfigurationCALetsEncrypt,
        ConfigType.ACME: cas.PublicCertificateConfigurationCAAcme,
        ConfigType.DNS_CLOUD_INTERNET_SERVICES: dns.PublicCertificateConfigurationDNSCloudInternetServices,
        ConfigType.DNS_CLASSIC_INFRASTRUCTURE: dns.PublicCertificateConfigurationDNSClassicInfrastructure,
        ConfigType.DNS_RFC2136: more.PublicCertificateConfigurationDNSRfc2136,
        ConfigType.DNS_CLOUDFLARE: more.PublicCertificateConfigurationDNSCloudflare,
        ConfigType.DNS_ROUTE53: more.PublicCertificateConfigurationDNSRoute53,
        ConfigType.DNS_POWERDNS: more.PublicCertificateConfigurationDNSPowerDns,
        ConfigType.DNS_AKAMAI: more.PublicCertificateConfigurationDNSAkamai,
        ConfigType.DNS_EXEC: more.PublicCertificateConfigurationDNSExec,
        ConfigType.DNS_LEXICON: more.PublicCertificateConfigurationDNSLexicon,
    }
)
_METADATA_MODELS: Final[Mapping[ConfigType, type[BaseModel]]] = {
    ConfigType.ROOT_CA: PrivateCertificateConfigurationRootCAMetadata,
    ConfigType.INTERMEDIATE_CA: PrivateCertificateConfigurationIntermediateCAMetadata,
    ConfigType.TEMPLATE: PrivateCertificateConfigurationTemplateMetadata,
    ConfigType.LETS_ENCRYPT: cas.PublicCertificateConfigurationCALetsEncryptMetadata,
    ConfigType.ACME: cas.PublicCertificateConfigurationCAAcmeMetadata,
    ConfigType.DNS_CLOUD_INTERNET_SERVICES: dns.PublicCertificateConfigurationDNSCloudInternetServicesMetadata,
    ConfigType.DNS_CLASSIC_INFRASTRUCTURE: dns.PublicCertificateConfigurationDNSClassicInfrastructureMetadata,
    ConfigType.DNS_RFC2136: more.PublicCertificateConfigurationDNSRfc2136Metadata,
    ConfigType.DNS_CLOUDFLARE: more.PublicCertificateConfigurationDNSCloudflareMetadata,
    ConfigType.DNS_ROUTE53: more.PublicCertificateConfigurationDNSRoute53Metadata,
    ConfigType.DNS_POWERDNS: more.PublicCertificateConfigurationDNSPowerDnsMetadata,
    ConfigType.DNS_AKAMAI: more.PublicCertificateConfigurationDNSAkamaiMetadata,
    ConfigType.DNS_EXEC: more.PublicCertificateConfigurationDNSExecMetadata,
    ConfigType.DNS_LEXICON: more.PublicCertificateConfigurationDNSLexiconMetadata,
}
_METADATA: Final = _members(_METADATA_MODELS)
_NAMES: Final = {
    config_type: frozenset(name for name, member in model.model_fields.items() if member.is_required())
    for config_type, model in _METADATA_MODELS.items()
}
"""What tells a configuration from others."""
_DATA: Final = frozenset(PrivateCertificateConfigurationCACertificate.model_fields)
_RULES: Final = frozenset(CertificateTemplateRules.model_fields)


def given(body: BaseModel, *, besides: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the members that a body gave; null says the same as leaving out.

    Args:
        body: of a new configuration or an action.
        besides: members that are dealt with elsewhere.
    """
    return body.model_dump(exclude_unset=True, exclude_none=True, exclude=set(besides))


def changes(body: BaseModel) -> dict[str, Any]:
    """Return the members that a patch gave; ``None`` removes."""
    return body.model_dump(exclude_unset=True)


def configuration_metadata(
    configuration: Configuration, facts: AuthorityFacts | None = None, *, extensions: bool = False
) -> dict[str, Any]:
    """Return a configuration as lists show it.

    Args:
        configuration: of any type.
        facts: of a certificate authority; templates have none.
        extensions: whether the caller knows more types than the contract.
    """
    return _shown(configuration, facts, _METADATA[configuration.config_type], extensions=extensions)


def configuration_full(
    configuration: Configuration,
    facts: AuthorityFacts | None = None,
    *,
    secrets: Mapping[str, Any] | None = None,
    extensions: bool = False,
) -> dict[str, Any]:
    """Return a configuration with all that may be shown of it.

    Args:
        configuration: of any type.
        facts: of a certificate authority; others have none.
        secrets: its credentials, for those who may read configurations; keys of private CAs are never among them.
        extensions: whether the caller knows more types than the contract.
    """
    members = _FULL[configuration.config_type]
    return _shown(configuration, facts, members, extensions=extensions) | _chosen(secrets or {}, members)


def configuration_name(configuration: Configuration) -> dict[str, Any]:
    """Return what those see of a public configuration who may only name it in their orders."""
    return _shown(configuration, None, _NAMES[configuration.config_type], extensions=True)


def certificate_template(configuration: Configuration) -> dict[str, Any]:
    """Return what those who may issue with a template see of it."""
    document = configuration.document
    return {
        "name": configuration.name,
        "certificate_authority": document["certificate_authority"],
        "allowed_secret_groups": list(allowed_groups(configuration)),
        "rules": _chosen(document, _RULES),
    }


def _shown(
    configuration: Configuration, facts: AuthorityFacts | None, members: frozenset[str], *, extensions: bool
) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "config_type": configuration.config_type.value,
        "name": configuration.name,
        "secret_type": configuration.config_type.secret_type.value,
        "created_by": configuration.created_by,
        "created_at": format_rfc3339(configuration.created_at),
        "updated_at": format_rfc3339(configuration.updated_at),
    }
    wire = _chosen(configuration.document, members) | wire
    if facts is not None:
        # The document's own is what the subject was asked to hold; answers show that of the certificate.
        wire.pop("serial_number", None)
        wire |= _chosen(_of_authority(facts), members)
        if facts.issuer is not None and "issuer" in members:
            wire.setdefault("issuer", facts.issuer)
    key = wire.get("crypto_key")
    if key is not None and key["provider"]["type"] == EXTENSION_PROVIDER and not extensions:
        del wire["crypto_key"]
    return wire


def _of_authority(facts: AuthorityFacts) -> dict[str, Any]:
    return {
        "status": facts.status,
        "expiration_date": None if facts.expiration is None else format_rfc3339(facts.expiration),
        "serial_number": facts.serial_number,
        "data": _chosen(facts.data, _DATA) or None,
    }


def _chosen(values: Mapping[str, Any], members: frozenset[str]) -> dict[str, Any]:
    """Return the values that may be shown; what is unset is left out."""
    return {name: value for name, value in values.items() if name in members and value is not None}
