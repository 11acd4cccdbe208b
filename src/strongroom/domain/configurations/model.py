"""Configurations as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.ids import ConfigurationId, IamId
from strongroom.kernel.result import Sort
from strongroom.kernel.value import value


class ConfigType(StrEnum):
    """The API's discriminator ``config_type``; types join with their engines."""

    ROOT_CA = "private_cert_configuration_root_ca"
    INTERMEDIATE_CA = "private_cert_configuration_intermediate_ca"
    TEMPLATE = "private_cert_configuration_template"
    LETS_ENCRYPT = "public_cert_configuration_ca_lets_encrypt"
    ACME = "public_cert_configuration_ca_acme"
    DNS_CLOUD_INTERNET_SERVICES = "public_cert_configuration_dns_cloud_internet_services"
    DNS_CLASSIC_INFRASTRUCTURE = "public_cert_configuration_dns_classic_infrastructure"
    DNS_RFC2136 = "public_cert_configuration_dns_rfc2136"
    DNS_CLOUDFLARE = "public_cert_configuration_dns_cloudflare"
    DNS_ROUTE53 = "public_cert_configuration_dns_route53"
    DNS_POWERDNS = "public_cert_configuration_dns_powerdns"
    DNS_AKAMAI = "public_cert_configuration_dns_akamai"
    DNS_EXEC = "public_cert_configuration_dns_exec"
    DNS_LEXICON = "public_cert_configuration_dns_lexicon"

    @property
    def kind(self) -> ConfigKind:
        """Return the set of types within which a name is taken once."""
        return _KINDS[self]

    @property
    def secret_type(self) -> SecretType:
        """Return the engine that it configures."""
        is_public = self.kind in {ConfigKind.PUBLIC_CA, ConfigKind.DNS}
        return SecretType.PUBLIC_CERT if is_public else SecretType.PRIVATE_CERT

    @property
    def is_extension(self) -> bool:
        """Tell whether the contract does not have it: lists show it to callers only that say they know more."""
        return self not in _OF_CONTRACT


class ConfigKind(StrEnum):
    """Within a kind a name stands for one configuration (design, section 8)."""

    PRIVATE_CA = "private_ca"
    TEMPLATE = "template"
    PUBLIC_CA = "public_ca"
    DNS = "dns"


_KINDS = {
    ConfigType.ROOT_CA: ConfigKind.PRIVATE_CA,
    ConfigType.INTERMEDIATE_CA: ConfigKind.PRIVATE_CA,
    ConfigType.TEMPLATE: ConfigKind.TEMPLATE,
    ConfigType.LETS_ENCRYPT: ConfigKind.PUBLIC_CA,
    ConfigType.ACME: ConfigKind.PUBLIC_CA,
    ConfigType.DNS_CLOUD_INTERNET_SERVICES: ConfigKind.DNS,
    ConfigType.DNS_CLASSIC_INFRASTRUCTURE: ConfigKind.DNS,
    ConfigType.DNS_RFC2136: ConfigKind.DNS,
    ConfigType.DNS_CLOUDFLARE: ConfigKind.DNS,
    ConfigType.DNS_ROUTE53: ConfigKind.DNS,
    ConfigType.DNS_POWERDNS: ConfigKind.DNS,
    ConfigType.DNS_AKAMAI: ConfigKind.DNS,
    ConfigType.DNS_EXEC: ConfigKind.DNS,
    ConfigType.DNS_LEXICON: ConfigKind.DNS,
}
_OF_CONTRACT = frozenset(
    {
        ConfigType.ROOT_CA,
        ConfigType.INTERMEDIATE_CA,
        ConfigType.TEMPLATE,
        ConfigType.LETS_ENCRYPT,
        ConfigType.DNS_CLOUD_INTERNET_SERVICES,
        ConfigType.DNS_CLASSIC_INFRASTRUCTURE,
    }
)


@value
class Configuration:
    """A named set of an engine's settings.

    Attributes:
        document: clear settings in the API's spelling, defaults filled in; durations as seconds (``max_ttl_seconds``).
        sealed: settings that only full reads show, sealed.
        row_version: optimistic lock; grows with every save.
    """

    id: ConfigurationId
    config_type: ConfigType
    name: str
    document: Mapping[str, Any]
    sealed: bytes | None = field(default=None, repr=False)
    created_at: datetime
    created_by: IamId
    updated_at: datetime
    row_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationQuery:
    """One page of configurations.

    Attributes:
        config_types: only these; ``None`` for all.
        search: part of a name, a config type or a secret type, whatever its case.
        sort: by ``config_type``, ``secret_type`` or ``name``; without one, newest first.
    """

    limit: int
    offset: int = 0
    config_types: frozenset[ConfigType] | None = None
    search: str | None = None
    sort: Sort | None = None
