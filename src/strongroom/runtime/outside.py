"""What reaches other servers: certificate authorities, DNS providers, name servers. Everything goes through one guard.

Nothing large is imported here: the client libraries come with the first request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom import __version__
from strongroom.dns.kinds import ProviderContext
from strongroom.dns.propagation import AuthoritativeServers
from strongroom.dns.providers import Providers
from strongroom.domain.configurations.vault import ConfigurationVault
from strongroom.domain.limits import Limits
from strongroom.domain.orders.accounts import Accounts
from strongroom.domain.orders.acme import Acme
from strongroom.domain.orders.configured import Directories, DnsConfigurations, PublicCas
from strongroom.domain.orders.configuring import PublicConfigurations
from strongroom.domain.orders.dns import DnsProviders, Propagation
from strongroom.domain.orders.probe_records import ProbeRecords
from strongroom.domain.orders.probing import Probe
from strongroom.domain.ports import Storage
from strongroom.domain.secrets.events import Outbox
from strongroom.engines.public.acme_client import AcmeClient
from strongroom.kernel.clock import Clock
from strongroom.net.client import HttpClient
from strongroom.net.guard import Guard
from strongroom.runtime.settings import Settings, split_listen
from strongroom.runtime.trust_files import read_trusted

if TYPE_CHECKING:
    from strongroom.engines.public.acme_network import HttpSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The ports of public certificates; tests put others in their places."""

    guard: Guard
    http: HttpClient
    acme: Acme
    dns: DnsProviders
    propagation: Propagation

    @classmethod
    def build(
        cls,
        settings: Settings,
        clock: Clock,
        *,
        acme: Acme | None = None,
        dns: DnsProviders | None = None,
        propagation: Propagation | None = None,
    ) -> Outside:
        """Make what is not given.

        Raises:
            Invalid: ``settings_invalid`` if the certificates to trust for ACME servers cannot be read.
        """
        guard = Guard(allow_private=settings.allow_private_addresses)
        http = HttpClient(guard, clock=clock)
        resolvers = [split_listen(item) for item in settings.dns_resolvers]
        bundle = settings.acme_ca_bundle
        trusted = None if bundle is None else read_trusted(bundle, "acme_ca_bundle")
        return cls(
            guard=guard,
            http=http,
            acme=acme or AcmeClient(_Sessions(guard, clock), trust_pem=trusted, clock=clock, user_agent=_USER_AGENT),
            dns=dns
            or Providers(
                ProviderContext(
                    http=http,
                    guard=guard,
                    clock=clock,
                    resolvers=resolvers,
                    cis_url=settings.cis_url,
                    classic_url=settings.classic_url,
                    exec_allowed=settings.dns.exec_allowed,
                )
            ),
            propagation=propagation or AuthoritativeServers(resolvers=resolvers, guard=guard, clock=clock),
        )

    def close(self) -> None:
        """Close every connection."""
        self.http.close()
        if isinstance(self.acme, AcmeClient):
            self.acme.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicCertificates:
    """Configurations of public certificates, put together."""

    cas: PublicCas
    dns: DnsConfigurations
    configurations: PublicConfigurations
    probe_records: ProbeRecords

    @classmethod
    def build(
        cls,
        settings: Settings,
        outside: Outside,
        *,
        storage: Storage,
        clock: Clock,
        limits: Limits,
        outbox: Outbox,
        vault: ConfigurationVault,
    ) -> PublicCertificates:
        """Make them over the ports."""
        directories = Directories(
            {"production": settings.acme_directory_production, "staging": settings.acme_directory_staging}
        )
        cas = PublicCas(vault, directories)
        dns = DnsConfigurations(vault, outside.dns)
        probe_records = ProbeRecords(storage=storage, clock=clock, dns=dns)
        configurations = PublicConfigurations(
            storage=storage,
            clock=clock,
            limits=limits,
            outbox=outbox,
            accounts=Accounts(outside.acme, directories),
            directories=directories,
            cas=cas,
            dns=dns,
            providers=outside.dns,
            probe=Probe(outside.acme, outside.propagation),
            probe_records=probe_records,
        )
        return cls(cas=cas, dns=dns, configurations=configurations, probe_records=probe_records)


_USER_AGENT = f"strongroom/{__version__}"


class _Sessions:
    """Makes HTTP sessions for the ACME library."""

    def __init__(self, guard: Guard, clock: Clock) -> None:
        self._guard = guard
        self._clock = clock

    def __call__(self, *, is_operators: bool, trust_pem: str | None) -> HttpSession:
        from strongroom.net.requests_adapter import guarded_session

        return guarded_session(self._guard, is_operators=is_operators, trust_pem=trust_pem, clock=self._clock)
