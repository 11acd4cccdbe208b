"""Configurations of all types. Source: api-v2 sections 1.5, 1.6 and 2.5; api-v2-models M9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, get_args

from pydantic import BaseModel, Field

from strongroom.api.parameters import comma_list, sort_key
from strongroom.api.v2.schemas import dns_providers as dns
from strongroom.api.v2.schemas import more_dns_providers as more
from strongroom.api.v2.schemas import public_cas as cas
from strongroom.api.v2.schemas.authorities import (
    PrivateCertificateConfigurationIntermediateCA,
    PrivateCertificateConfigurationIntermediateCAMetadata,
    PrivateCertificateConfigurationIntermediateCAPatch,
    PrivateCertificateConfigurationIntermediateCAPrototype,
    PrivateCertificateConfigurationRootCA,
    PrivateCertificateConfigurationRootCAMetadata,
    PrivateCertificateConfigurationRootCAPatch,
    PrivateCertificateConfigurationRootCAPrototype,
)
from strongroom.api.v2.schemas.base import Paginated, Request
from strongroom.api.v2.schemas.configuration_base import EngineName
from strongroom.api.v2.schemas.templates import (
    PrivateCertificateConfigurationTemplate,
    PrivateCertificateConfigurationTemplateMetadata,
    PrivateCertificateConfigurationTemplatePatch,
    PrivateCertificateConfigurationTemplatePrototype,
)
from strongroom.domain.configurations.model import ConfigType

ConfigurationPrototype = Annotated[
    PrivateCertificateConfigurationRootCAPrototype
    | PrivateCertificateConfigurationIntermediateCAPrototype
    | PrivateCertificateConfigurationTemplatePrototype
    | cas.PublicCertificateConfigurationCALetsEncryptPrototype
    | cas.PublicCertificateConfigurationCAAcmePrototype
    | dns.PublicCertificateConfigurationDNSCloudInternetServicesPrototype
    | dns.PublicCertificateConfigurationDNSClassicInfrastructurePrototype
    | more.PublicCertificateConfigurationDNSRfc2136Prototype
    | more.PublicCertificateConfigurationDNSCloudflarePrototype
    | more.PublicCertificateConfigurationDNSRoute53Prototype
    | more.PublicCertificateConfigurationDNSPowerDnsPrototype
    | more.PublicCertificateConfigurationDNSAkamaiPrototype
    | more.PublicCertificateConfigurationDNSExecPrototype
    | more.PublicCertificateConfigurationDNSLexiconPrototype,
    Field(discriminator="config_type"),
]
Configuration = Annotated[
    PrivateCertificateConfigurationRootCA
    | PrivateCertificateConfigurationIntermediateCA
    | PrivateCertificateConfigurationTemplate
    | cas.PublicCertificateConfigurationCALetsEncrypt
    | cas.PublicCertificateConfigurationCAAcme
    | dns.PublicCertificateConfigurationDNSCloudInternetServices
    | dns.PublicCertificateConfigurationDNSClassicInfrastructure
    | more.PublicCertificateConfigurationDNSRfc2136
    | more.PublicCertificateConfigurationDNSCloudflare
    | more.PublicCertificateConfigurationDNSRoute53
    | more.PublicCertificateConfigurationDNSPowerDns
    | more.PublicCertificateConfigurationDNSAkamai
    | more.PublicCertificateConfigurationDNSExec
    | more.PublicCertificateConfigurationDNSLexicon,
    Field(discriminator="config_type"),
]
ConfigurationMetadata = Annotated[
    PrivateCertificateConfigurationRootCAMetadata
    | PrivateCertificateConfigurationIntermediateCAMetadata
    | PrivateCertificateConfigurationTemplateMetadata
    | cas.PublicCertificateConfigurationCALetsEncryptMetadata
    | cas.PublicCertificateConfigurationCAAcmeMetadata
    | dns.PublicCertificateConfigurationDNSCloudInternetServicesMetadata
    | dns.PublicCertificateConfigurationDNSClassicInfrastructureMetadata
    | more.PublicCertificateConfigurationDNSRfc2136Metadata
    | more.PublicCertificateConfigurationDNSCloudflareMetadata
    | more.PublicCertificateConfigurationDNSRoute53Metadata
    | more.PublicCertificateConfigurationDNSPowerDnsMetadata
    | more.PublicCertificateConfigurationDNSAkamaiMetadata
    | more.PublicCertificateConfigurationDNSExecMetadata
    | more.PublicCertificateConfigurationDNSLexiconMetadata,
    Field(discriminator="config_type"),
]
ConfigurationPatch = (
    PrivateCertificateConfigurationRootCAPatch
    | PrivateCertificateConfigurationIntermediateCAPatch
    | PrivateCertificateConfigurationTemplatePatch
    | cas.PublicCertificateConfigurationCALetsEncryptPatch
    | cas.PublicCertificateConfigurationCAAcmePatch
    | dns.PublicCertificateConfigurationDNSCloudInternetServicesPatch
    | dns.PublicCertificateConfigurationDNSClassicInfrastructurePatch
    | more.PublicCertificateConfigurationDNSRfc2136Patch
    | more.PublicCertificateConfigurationDNSCloudflarePatch
    | more.PublicCertificateConfigurationDNSRoute53Patch
    | more.PublicCertificateConfigurationDNSPowerDnsPatch
    | more.PublicCertificateConfigurationDNSAkamaiPatch
    | more.PublicCertificateConfigurationDNSExecPatch
    | more.PublicCertificateConfigurationDNSLexiconPatch
)
PATCH_MODELS: Final[Mapping[ConfigType, type[Request]]] = {
    ConfigType.ROOT_CA: PrivateCertificateConfigurationRootCAPatch,
    ConfigType.INTERMEDIATE_CA: PrivateCertificateConfigurationIntermediateCAPatch,
    ConfigType.TEMPLATE: PrivateCertificateConfigurationTemplatePatch,
    ConfigType.LETS_ENCRYPT: cas.PublicCertificateConfigurationCALetsEncryptPatch,
    ConfigType.ACME: cas.PublicCertificateConfigurationCAAcmePatch,
    ConfigType.DNS_CLOUD_INTERNET_SERVICES: dns.PublicCertificateConfigurationDNSCloudInternetServicesPatch,
    ConfigType.DNS_CLASSIC_INFRASTRUCTURE: dns.PublicCertificateConfigurationDNSClassicInfrastructurePatch,
    ConfigType.DNS_RFC2136: more.PublicCertificateConfigurationDNSRfc2136Patch,
    ConfigType.DNS_CLOUDFLARE: more.PublicCertificateConfigurationDNSCloudflarePatch,
    ConfigType.DNS_ROUTE53: more.PublicCertificateConfigurationDNSRoute53Patch,
    ConfigType.DNS_POWERDNS: more.PublicCertificateConfigurationDNSPowerDnsPatch,
    ConfigType.DNS_AKAMAI: more.PublicCertificateConfigurationDNSAkamaiPatch,
    ConfigType.DNS_EXEC: more.PublicCertificateConfigurationDNSExecPatch,
    ConfigType.DNS_LEXICON: more.PublicCertificateConfigurationDNSLexiconPatch,
}
"""A patch does not say its type: that of the addressed configuration counts."""


class ConfigurationMetadataPaginatedCollection(Paginated):
    """A page of configurations."""

    configurations: list[ConfigurationMetadata]


class ConfigurationsQuery(BaseModel, defer_build=True):
    """Parameters of the list of configurations."""

    offset: int = Field(default=0, ge=0, le=1000)
    limit: int = Field(default=200, ge=1, le=1000)
    sort: Annotated[str | None, sort_key("config_type", "secret_type", "name")] = None
    search: str | None = Field(default=None, min_length=2, max_length=128)
    secret_types: Annotated[
        str | None,
        comma_list({"type": "string", "enum": list(get_args(EngineName))}, most=len(get_args(EngineName))),
    ] = None
