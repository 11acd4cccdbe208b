"""A server in the test's process among pretended CAs and a pretended DNS, with the rules of the real providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from strongroom.dns.kinds import ProviderContext
from strongroom.dns.providers import Providers
from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.clock import Clock, FrozenClock
from strongroom.net.client import HttpClient
from strongroom.net.guard import Guard
from tests.api.authorities import CONFIGURATIONS, create_configuration
from tests.factories.orders import FakeAcme, FakeDns, FakeDnsProvider, make_ca
from tests.peers.acme_ca import AcmeCa
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

LETS_ENCRYPT: Final = "public_cert_configuration_ca_lets_encrypt"
ACME: Final = "public_cert_configuration_ca_acme"
DNS: Final = "public_cert_configuration_dns_"
TEST: Final = "public_cert_configuration_action_test"
PRODUCTION: Final = "https://production.example.com/directory"
STAGING: Final = "https://staging.example.com/directory"
OTHER: Final = "https://acme.example.org/directory"
CRN: Final = "crn:v1:bluemix:public:internet-svcs:global:a/3f9d2c7b1e5a4086b7c1d8e2f4a60935:zones-of-example::"

PROVIDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    f"{DNS}cloud_internet_services": {
        "cloud_internet_services_crn": CRN,
        "cloud_internet_services_apikey": "planted-cis-key",
    },
    f"{DNS}classic_infrastructure": {
        "classic_infrastructure_username": "1204551_dns-bot",
        "classic_infrastructure_password": "planted-password",
    },
    f"{DNS}rfc2136": {
        "rfc2136_server": "192.0.2.53",
        "rfc2136_tsig_key_name": "strongroom.example.com",
        "rfc2136_tsig_secret": "cGxhbnRlZC10c2lnLXNlY3JldA==",
    },
    f"{DNS}cloudflare": {"cloudflare_api_token": "planted-cloudflare-token"},
    f"{DNS}route53": {
        "route53_access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "route53_secret_access_key": "planted/secret/access/key/of/forty/signs",
    },
    f"{DNS}powerdns": {"powerdns_url": "https://dns.example.com:8081", "powerdns_api_key": "planted-powerdns-key"},
    f"{DNS}akamai": {
        "akamai_host": "akab-example.luna.akamaiapis.net",
        "akamai_client_token": "akab-planted-client-token",
        "akamai_client_secret": "planted-client-secret",
        "akamai_access_token": "akab-planted-access-token",
    },
    f"{DNS}exec": {"exec_program": "/usr/local/bin/write-record"},
    f"{DNS}lexicon": {"lexicon_provider": "gandi", "lexicon_options": {"auth_token": "planted-lexicon-token"}},
}
"""What each type of DNS configuration needs."""


class CheckedProviders(Providers):
    """The real providers' rules for settings; what is written goes to the fake."""

    def __init__(self, dns: FakeDns, clock: Clock) -> None:
        guard = Guard(allow_private=True)
        super().__init__(
            ProviderContext(
                http=HttpClient(guard, clock=clock),
                guard=guard,
                clock=clock,
                cis_url="https://cis.example.com",
                classic_url="https://classic.example.com",
                exec_allowed=True,
            )
        )
        self._dns = dns
        self.opened: list[Mapping[str, Any]] = []

    def provider(self, config_type: ConfigType, values: Mapping[str, Any]) -> FakeDnsProvider:
        """Return a provider that writes to the fake, whatever the type; remember what it was opened with."""
        self.opened.append(values)
        return self._dns.provider()


@dataclass(frozen=True)
class World:
    """The server and what it talks to."""

    server: InProcess
    acme: FakeAcme
    production: AcmeCa
    staging: AcmeCa
    other: AcmeCa
    dns: FakeDns
    providers: CheckedProviders

    def account(self, ca: AcmeCa) -> str:
        """Register an account at a CA; return its key."""
        key = self.acme.new_account_key()
        ca.register(self.acme.thumbprint(key))
        return key

    def lets_encrypt(self, name: str = "le", **members: Any) -> Answer:
        """Ask for a configuration of Let's Encrypt's staging environment."""
        given = {"lets_encrypt_environment": "staging", **members}
        return create_configuration(self.server, LETS_ENCRYPT, name, **given)

    def other_ca(self, name: str = "other", **members: Any) -> Answer:
        """Ask for a configuration of another ACME CA."""
        return create_configuration(self.server, ACME, name, **{"acme_directory_url": OTHER, **members})

    def provider(self, kind: str = "rfc2136", name: str = "dns", **members: Any) -> Answer:
        """Ask for a DNS configuration, by the last part of its type."""
        return create_configuration(self.server, f"{DNS}{kind}", name, **{**PROVIDERS[f"{DNS}{kind}"], **members})

    def patch(self, name: str, **changes: Any) -> Answer:
        """Change a configuration."""
        return self.server.request("PATCH", f"{CONFIGURATIONS}/{name}", changes)

    def get(self, name: str) -> Answer:
        """Read a configuration."""
        return self.server.request("GET", f"{CONFIGURATIONS}/{name}")

    def test(self, name: str, **members: Any) -> Answer:
        """Try a configuration out."""
        return self.server.request("POST", f"{CONFIGURATIONS}/{name}/actions", {"action_type": TEST, **members})


@contextmanager
def world_of(data_dir: Path, clock: FrozenClock, **settings: object) -> Iterator[World]:
    """Run the server and its world for the length of a block."""
    dns = FakeDns(clock)
    production, staging, other = (make_ca(clock, dns) for _ in range(3))
    acme = FakeAcme({PRODUCTION: production, STAGING: staging, OTHER: other})
    providers = CheckedProviders(dns, clock)
    given: dict[str, Any] = {"acme_directory_production": PRODUCTION, "acme_directory_staging": STAGING, **settings}
    with in_process(data_dir, clock, acme=acme, dns=providers, propagation=dns.propagation(), **given) as server:
        yield World(
            server=server,
            acme=acme,
            production=production,
            staging=staging,
            other=other,
            dns=dns,
            providers=providers,
        )
