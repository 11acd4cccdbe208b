"""Configurations of DNS providers. Source: api-v2-models M5.2 and M5.3; design, section 12.

What a value may look like is ruled where its provider is; the forms here are for the OpenAPI document.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema

from strongroom.api.parameters import ConfigurationName, text
from strongroom.api.v2.schemas.base import Answer, Request
from strongroom.api.v2.schemas.configuration_base import ConfigurationBase

CloudInternetServicesType = Literal["public_cert_configuration_dns_cloud_internet_services"]
ClassicInfrastructureType = Literal["public_cert_configuration_dns_classic_infrastructure"]

ApiKey = Annotated[
    str, WithJsonSchema(text(0, 128, description="Empty for service-to-service authorisation, which needs the cloud."))
]
Crn = Annotated[str, WithJsonSchema(text(9, 512, description="Of the instance that holds the zones."))]
Account = Annotated[str, WithJsonSchema(text(2, 128))]
Credential = Annotated[str, WithJsonSchema(text(1, 1024))]
ShortText = Annotated[str, WithJsonSchema(text(0, 256))]
DnsHost = Annotated[str, WithJsonSchema(text(0, 253))]
Url = Annotated[str, WithJsonSchema(text(8, 1024, format="uri"))]
Program = Annotated[
    str, WithJsonSchema(text(1, 1024, description="Absolute path; the server's settings must allow it."))
]
Port = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65_535})]
TsigAlgorithm = Annotated[str, WithJsonSchema(text(0, 32, description="hmac-sha256 if none is named."))]
LexiconOptions = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": True, "description": "Options of the provider."}),
]

# --- of the contract


class PublicCertificateConfigurationDNSCloudInternetServicesPrototype(Request):
    """Zones in Cloud Internet Services."""

    config_type: CloudInternetServicesType
    name: ConfigurationName
    cloud_internet_services_apikey: ApiKey | None = None
    cloud_internet_services_crn: Crn


class PublicCertificateConfigurationDNSCloudInternetServicesPatch(Request):
    """Changes; the key must be said each time, and an empty one means service-to-service authorisation."""

    cloud_internet_services_apikey: ApiKey
    cloud_internet_services_crn: Crn | None = None


class PublicCertificateConfigurationDNSCloudInternetServicesMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: CloudInternetServicesType


class PublicCertificateConfigurationDNSCloudInternetServices(
    PublicCertificateConfigurationDNSCloudInternetServicesMetadata
):
    """The whole configuration, its key included."""

    cloud_internet_services_apikey: str | None = None
    cloud_internet_services_crn: str


class PublicCertificateConfigurationDNSClassicInfrastructurePrototype(Request):
    """Zones in the classic infrastructure."""

    config_type: ClassicInfrastructureType
    name: ConfigurationName
    classic_infrastructure_username: Account
    classic_infrastructure_password: Account


class PublicCertificateConfigurationDNSClassicInfrastructurePatch(Request):
    """Changes; what is not given stays."""

    classic_infrastructure_username: Account | None = None
    classic_infrastructure_password: Account | None = None


class PublicCertificateConfigurationDNSClassicInfrastructureMetadata(ConfigurationBase):
    """What lists show: no settings."""

    config_type: ClassicInfrastructureType


class PublicCertificateConfigurationDNSClassicInfrastructure(
    PublicCertificateConfigurationDNSClassicInfrastructureMetadata
):
    """The whole configuration, its password included."""

    classic_infrastructure_username: str
    classic_infrastructure_password: str


class ConfigurationZones(Answer):
    """Zones that a DNS configuration can write (extension)."""

    zones: list[str]
