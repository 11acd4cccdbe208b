"""What the suite needs to know of a provider's other side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from strongroom.dns.kinds import ProviderContext
from strongroom.dns.providers import Providers
from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.dns import DnsProvider
from tests.factories.dns import make_context
from tests.peers.bind import BindServer


class Backend(ABC):
    """A vendor, or a program on loopback in its place, with one zone that may be changed.

    Attributes:
        zone: that may be changed.
        lists_zones: whether the vendor tells which zones there are.
    """

    config_type: ConfigType
    zone = "example.com"
    lists_zones = True

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Return settings that work."""

    @abstractmethod
    def settings_without_permission(self) -> Mapping[str, Any]:
        """Return settings whose credentials are not good enough."""

    @abstractmethod
    def values(self, name: str) -> list[str]:
        """Return what the TXT records of a name hold, sorted, as the vendor has it."""

    @abstractmethod
    def away(self) -> AbstractContextManager[None]:
        """Be out of reach for a while."""

    def context(self) -> ProviderContext:
        """Return what providers are made with."""
        return make_context()

    def open(self, settings: Mapping[str, Any] | None = None) -> DnsProvider:
        """Return the provider of checked settings."""
        providers = Providers(self.context())
        given = self.settings() if settings is None else settings
        return providers.provider(self.config_type, providers.check(self.config_type, given))


class Rfc2136Backend(Backend):
    """BIND, and a configuration without a zone: it is looked up."""

    config_type = ConfigType.DNS_RFC2136
    lists_zones = False

    def __init__(self, bind: BindServer) -> None:
        self._bind = bind

    def settings(self) -> Mapping[str, Any]:
        return {
            "rfc2136_server": self._bind.address,
            "rfc2136_port": self._bind.port,
            "rfc2136_tsig_key_name": self._bind.key.name,
            "rfc2136_tsig_secret": self._bind.key.secret,
        }

    def settings_without_permission(self) -> Mapping[str, Any]:
        stranger = self._bind.stranger
        return {**self.settings(), "rfc2136_tsig_key_name": stranger.name, "rfc2136_tsig_secret": stranger.secret}

    def values(self, name: str) -> list[str]:
        return self._bind.txt(name)

    def away(self) -> AbstractContextManager[None]:
        return self._bind.stopped()


class Rfc2136ZoneBackend(Rfc2136Backend):
    """BIND, and a configuration for one zone."""

    lists_zones = True

    def settings(self) -> Mapping[str, Any]:
        return {**super().settings(), "rfc2136_zone": self.zone}
