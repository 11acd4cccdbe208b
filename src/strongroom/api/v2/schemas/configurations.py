"""Configurations of all types. Source: api-v2 sections 1.5, 1.6 and 2.5; api-v2-models M9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, get_args

from pydantic import BaseModel, Field

from strongroom.api.parameters import comma_list, sort_key
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
    | PrivateCertificateConfigurationTemplatePrototype,
    Field(discriminator="config_type"),
]
Configuration = Annotated[
    PrivateCertificateConfigurationRootCA
    | PrivateCertificateConfigurationIntermediateCA
    | PrivateCertificateConfigurationTemplate,
    Field(discriminator="config_type"),
]
ConfigurationMetadata = Annotated[
    PrivateCertificateConfigurationRootCAMetadata
    | PrivateCertificateConfigurationIntermediateCAMetadata
    | PrivateCertificateConfigurationTemplateMetadata,
    Field(discriminator="config_type"),
]
ConfigurationPatch = (
    PrivateCertificateConfigurationRootCAPatch
    | PrivateCertificateConfigurationIntermediateCAPatch
    | PrivateCertificateConfigurationTemplatePatch
)
PATCH_MODELS: Final[Mapping[ConfigType, type[Request]]] = {
    ConfigType.ROOT_CA: PrivateCertificateConfigurationRootCAPatch,
    ConfigType.INTERMEDIATE_CA: PrivateCertificateConfigurationIntermediateCAPatch,
    ConfigType.TEMPLATE: PrivateCertificateConfigurationTemplatePatch,
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
