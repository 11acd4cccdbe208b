"""The other sides of the providers that speak HTTP, run a program, or use dns-lexicon."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from strongroom.dns.akamai import AkamaiKind
from strongroom.dns.cloudflare import CloudflareKind
from strongroom.dns.ibm_cis import CloudInternetServicesKind
from strongroom.dns.ibm_classic import ClassicInfrastructureKind
from strongroom.dns.kinds import ProviderContext, ProviderKind
from strongroom.dns.lexicon import LexiconKind
from strongroom.dns.powerdns import PowerDnsKind
from strongroom.dns.providers import Providers
from strongroom.dns.route53 import Route53Kind
from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.dns import DnsProvider
from tests.contract.dns.backends import Backend
from tests.factories.dns import make_context
from tests.peers import dns_vendors
from tests.peers.dns_vendors import Vendors


class VendorBackend(Backend):
    """A vendor of the fake server."""

    def __init__(self, vendors: Vendors) -> None:
        self.vendors = vendors
        self._context = make_context(cis_url=vendors.url, classic_url=f"{vendors.url}/rest/v3.1")
        vendors.now = self._context.clock.now

    @property
    @abstractmethod
    def kind(self) -> ProviderKind:
        """Return the kind, with the fake server in the place of the vendor's."""

    def context(self) -> ProviderContext:
        return self._context

    def values(self, name: str) -> list[str]:
        return self.vendors.values(name)

    def away(self) -> AbstractContextManager[None]:
        return self.vendors.away()

    def open(self, settings: Mapping[str, Any] | None = None) -> DnsProvider:
        providers = Providers(self.context(), {self.config_type: self.kind})
        given = self.settings() if settings is None else settings
        return providers.provider(self.config_type, providers.check(self.config_type, given))


class CloudInternetServicesBackend(VendorBackend):
    config_type = ConfigType.DNS_CLOUD_INTERNET_SERVICES

    @property
    def kind(self) -> ProviderKind:
        return CloudInternetServicesKind(iam_url=self.vendors.url)

    def settings(self) -> Mapping[str, Any]:
        return {
            "cloud_internet_services_crn": dns_vendors.CRN,
            "cloud_internet_services_apikey": dns_vendors.CLOUD_KEY,
        }

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {**self.settings(), "cloud_internet_services_apikey": "some-other-key"}


class ClassicBackend(VendorBackend):
    config_type = ConfigType.DNS_CLASSIC_INFRASTRUCTURE

    @property
    def kind(self) -> ProviderKind:
        return ClassicInfrastructureKind()

    def settings(self) -> Mapping[str, Any]:
        return {
            "classic_infrastructure_username": dns_vendors.CLASSIC_USER,
            "classic_infrastructure_password": dns_vendors.CLASSIC_PASSWORD,
        }

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {**self.settings(), "classic_infrastructure_password": "some-other-key"}


class CloudflareBackend(VendorBackend):
    config_type = ConfigType.DNS_CLOUDFLARE

    @property
    def kind(self) -> ProviderKind:
        return CloudflareKind(f"{self.vendors.url}/client/v4")

    def settings(self) -> Mapping[str, Any]:
        return {"cloudflare_api_token": dns_vendors.CLOUDFLARE_TOKEN}

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {"cloudflare_api_token": "some-other-token"}


class Route53Backend(VendorBackend):
    config_type = ConfigType.DNS_ROUTE53

    @property
    def kind(self) -> ProviderKind:
        return Route53Kind(self.vendors.url)

    def settings(self) -> Mapping[str, Any]:
        return {
            "route53_access_key_id": dns_vendors.AWS_KEY_ID,
            "route53_secret_access_key": dns_vendors.AWS_SECRET,
        }

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {**self.settings(), "route53_secret_access_key": "SOMEOTHERSECRETSOMEOTHERSECRET"}


class PowerDnsBackend(VendorBackend):
    config_type = ConfigType.DNS_POWERDNS

    @property
    def kind(self) -> ProviderKind:
        return PowerDnsKind()

    def settings(self) -> Mapping[str, Any]:
        return {"powerdns_url": self.vendors.url, "powerdns_api_key": dns_vendors.POWERDNS_KEY}

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {**self.settings(), "powerdns_api_key": "some-other-key"}


class AkamaiBackend(VendorBackend):
    config_type = ConfigType.DNS_AKAMAI

    @property
    def kind(self) -> ProviderKind:
        return AkamaiKind(lambda _: self.vendors.url)

    def settings(self) -> Mapping[str, Any]:
        tokens = {f"akamai_{name}": text for name, text in dns_vendors.AKAMAI.items()}
        return {"akamai_host": dns_vendors.AKAMAI_HOST, **tokens}

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {**self.settings(), "akamai_client_secret": "some-other-secret="}


class LexiconBackend(VendorBackend):
    """The library's own client of PowerDNS."""

    config_type = ConfigType.DNS_LEXICON

    @property
    def kind(self) -> ProviderKind:
        return LexiconKind()

    def settings(self) -> Mapping[str, Any]:
        return self._settings(dns_vendors.POWERDNS_KEY)

    def settings_without_permission(self) -> Mapping[str, Any]:
        return self._settings("some-other-key")

    def _settings(self, key: str) -> Mapping[str, Any]:
        options = {"pdns_server": self.vendors.url, "auth_token": key, "delegated": self.zone}
        return {"lexicon_provider": "powerdns", "lexicon_options": options}


_PROGRAM = """#!/bin/sh
# Keeps records as files: one directory for each name, one file for each value.
cd '{place}' || exit 1
test -e away && exit 75
test -e {word} || {{ echo "nobody lets me"; exit 77; }}
case "$2" in *example.com) ;; *) exit 68 ;; esac
case "$1" in
present) mkdir -p "records/$2" && : > "records/$2/$3" ;;
cleanup) rm -f "records/$2/$3" ;;
*) exit 64 ;;
esac
"""


class ExecBackend(Backend):
    """A shell script that keeps records as files."""

    config_type = ConfigType.DNS_EXEC
    lists_zones = False

    def __init__(self, place: Path) -> None:
        self._place = place
        (place / "welcome").touch()
        for name in ("welcome", "unwelcome"):
            program = place / f"{name}.sh"
            program.write_text(_PROGRAM.format(place=place, word=name))
            program.chmod(0o755)

    def context(self) -> ProviderContext:
        return make_context(exec_allowed=True)

    def settings(self) -> Mapping[str, Any]:
        return {"exec_program": str(self._place / "welcome.sh")}

    def settings_without_permission(self) -> Mapping[str, Any]:
        return {"exec_program": str(self._place / "unwelcome.sh")}

    def values(self, name: str) -> list[str]:
        place = self._place / "records" / name
        return sorted(found.name for found in place.iterdir()) if place.is_dir() else []

    @contextmanager
    def away(self) -> Iterator[None]:
        (self._place / "away").touch()
        try:
            yield
        finally:
            (self._place / "away").unlink()
