"""Configurations of DNS providers that the contract does not have. Source: design, section 12.

Each has the members of its provider, all with one prefix. What a value may look like is ruled where the provider is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from strongroom.api.parameters import ConfigurationName
from strongroom.api.v2.schemas.base import Request
from strongroom.api.v2.schemas.certificate_parts import PART
from strongroom.api.v2.schemas.configuration_base import ConfigurationBase
from strongroom.api.v2.schemas.dns_providers import (
    Credential,
    DnsHost,
    LexiconOptions,
    Port,
    Program,
    ShortText,
    TsigAlgorithm,
    Url,
)

Rfc2136Type = Literal["public_cert_configuration_dns_rfc2136"]
CloudflareType = Literal["public_cert_configuration_dns_cloudflare"]
Route53Type = Literal["public_cert_configuration_dns_route53"]
PowerDnsType = Literal["public_cert_configuration_dns_powerdns"]
AkamaiType = Literal["public_cert_configuration_dns_akamai"]
ExecType = Literal["public_cert_configuration_dns_exec"]
LexiconType = Literal["public_cert_configuration_dns_lexicon"]


class _Rfc2136(BaseModel):
    """An RFC 2136 server, updated with TSIG: what its configurations hold."""

    model_config = PART

    rfc2136_server: DnsHost | None = None
    rfc2136_port: Port | None = None
    rfc2136_tsig_key_name: DnsHost | None = None
    rfc2136_tsig_algorithm: TsigAlgorithm | None = None
    rfc2136_tsig_secret: Credential | None = None
    rfc2136_zone: DnsHost | None = None


class _Rfc2136Complete(_Rfc2136):
    """The same, with what it cannot do without."""

    rfc2136_server: DnsHost
    rfc2136_tsig_key_name: DnsHost
    rfc2136_tsig_secret: Credential


class PublicCertificateConfigurationDNSRfc2136Prototype(_Rfc2136Complete, Request):
    """An RFC 2136 server, updated with TSIG (extension)."""

    config_type: Rfc2136Type
    name: ConfigurationName


class PublicCertificateConfigurationDNSRfc2136Patch(_Rfc2136, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSRfc2136Metadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: Rfc2136Type


class PublicCertificateConfigurationDNSRfc2136(_Rfc2136Complete, PublicCertificateConfigurationDNSRfc2136Metadata):
    """The whole configuration, its credentials included."""


class _Cloudflare(BaseModel):
    """Cloudflare: what its configurations hold."""

    model_config = PART

    cloudflare_api_token: Credential | None = None
    cloudflare_zone_id: ShortText | None = None


class _CloudflareComplete(_Cloudflare):
    """The same, with what it cannot do without."""

    cloudflare_api_token: Credential


class PublicCertificateConfigurationDNSCloudflarePrototype(_CloudflareComplete, Request):
    """Cloudflare (extension)."""

    config_type: CloudflareType
    name: ConfigurationName


class PublicCertificateConfigurationDNSCloudflarePatch(_Cloudflare, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSCloudflareMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: CloudflareType


class PublicCertificateConfigurationDNSCloudflare(
    _CloudflareComplete, PublicCertificateConfigurationDNSCloudflareMetadata
):
    """The whole configuration, its credentials included."""


class _Route53(BaseModel):
    """Amazon Route 53: what its configurations hold."""

    model_config = PART

    route53_access_key_id: ShortText | None = None
    route53_secret_access_key: Credential | None = None
    route53_hosted_zone_id: ShortText | None = None
    route53_region: ShortText | None = None


class _Route53Complete(_Route53):
    """The same, with what it cannot do without."""

    route53_access_key_id: ShortText
    route53_secret_access_key: Credential


class PublicCertificateConfigurationDNSRoute53Prototype(_Route53Complete, Request):
    """Amazon Route 53 (extension)."""

    config_type: Route53Type
    name: ConfigurationName


class PublicCertificateConfigurationDNSRoute53Patch(_Route53, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSRoute53Metadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: Route53Type


class PublicCertificateConfigurationDNSRoute53(_Route53Complete, PublicCertificateConfigurationDNSRoute53Metadata):
    """The whole configuration, its credentials included."""


class _PowerDns(BaseModel):
    """A PowerDNS server: what its configurations hold."""

    model_config = PART

    powerdns_url: Url | None = None
    powerdns_api_key: Credential | None = None
    powerdns_server_id: ShortText | None = None


class _PowerDnsComplete(_PowerDns):
    """The same, with what it cannot do without."""

    powerdns_url: Url
    powerdns_api_key: Credential


class PublicCertificateConfigurationDNSPowerDnsPrototype(_PowerDnsComplete, Request):
    """A PowerDNS server (extension)."""

    config_type: PowerDnsType
    name: ConfigurationName


class PublicCertificateConfigurationDNSPowerDnsPatch(_PowerDns, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSPowerDnsMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: PowerDnsType


class PublicCertificateConfigurationDNSPowerDns(_PowerDnsComplete, PublicCertificateConfigurationDNSPowerDnsMetadata):
    """The whole configuration, its credentials included."""


class _Akamai(BaseModel):
    """Akamai Edge DNS: what its configurations hold."""

    model_config = PART

    akamai_host: DnsHost | None = None
    akamai_client_token: Credential | None = None
    akamai_client_secret: Credential | None = None
    akamai_access_token: Credential | None = None


class _AkamaiComplete(_Akamai):
    """The same, with what it cannot do without."""

    akamai_host: DnsHost
    akamai_client_token: Credential
    akamai_client_secret: Credential
    akamai_access_token: Credential


class PublicCertificateConfigurationDNSAkamaiPrototype(_AkamaiComplete, Request):
    """Akamai Edge DNS (extension)."""

    config_type: AkamaiType
    name: ConfigurationName


class PublicCertificateConfigurationDNSAkamaiPatch(_Akamai, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSAkamaiMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: AkamaiType


class PublicCertificateConfigurationDNSAkamai(_AkamaiComplete, PublicCertificateConfigurationDNSAkamaiMetadata):
    """The whole configuration, its credentials included."""


class _Exec(BaseModel):
    """A program of the operator's: what its configurations hold."""

    model_config = PART

    exec_program: Program | None = None


class _ExecComplete(_Exec):
    """The same, with what it cannot do without."""

    exec_program: Program


class PublicCertificateConfigurationDNSExecPrototype(_ExecComplete, Request):
    """A program of the operator's (extension)."""

    config_type: ExecType
    name: ConfigurationName


class PublicCertificateConfigurationDNSExecPatch(_Exec, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSExecMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: ExecType


class PublicCertificateConfigurationDNSExec(_ExecComplete, PublicCertificateConfigurationDNSExecMetadata):
    """The whole configuration, its credentials included."""


class _Lexicon(BaseModel):
    """A provider of the dns-lexicon library: what its configurations hold."""

    model_config = PART

    lexicon_provider: ShortText | None = None
    lexicon_options: LexiconOptions | None = None


class _LexiconComplete(_Lexicon):
    """The same, with what it cannot do without."""

    lexicon_provider: ShortText


class PublicCertificateConfigurationDNSLexiconPrototype(_LexiconComplete, Request):
    """A provider of the dns-lexicon library (extension)."""

    config_type: LexiconType
    name: ConfigurationName


class PublicCertificateConfigurationDNSLexiconPatch(_Lexicon, Request):
    """Changes; what is not given stays."""


class PublicCertificateConfigurationDNSLexiconMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: LexiconType


class PublicCertificateConfigurationDNSLexicon(_LexiconComplete, PublicCertificateConfigurationDNSLexiconMetadata):
    """The whole configuration, its credentials included."""
