"""Public CAs and DNS providers as configurations.

Source: contract domain section 4.1; api-v2-models M5; design, sections 8 and 12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from strongroom.domain.access.principals import Principal
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.change import Change
from strongroom.domain.configurations.engine import NewConfiguration, PreparedConfiguration, Quota
from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration
from strongroom.domain.limits import Limits
from strongroom.domain.orders.accounts import Accounts
from strongroom.domain.orders.ca_settings import changed, check_ca, check_fallback
from strongroom.domain.orders.configured import (
    CA_SECRETS,
    CA_TYPES,
    DNS_TYPES,
    FALLBACK,
    Directories,
    DnsConfigurations,
    PublicCas,
)
from strongroom.domain.orders.dns import DnsProviders, TxtRecord
from strongroom.domain.orders.probe_records import ProbeRecords
from strongroom.domain.orders.probing import Probe
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.domain.secrets.events import Outbox, ServerEvent
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import ConfigurationId

TEST: Final = "public_cert_configuration_action_test"
_FULL: Final = "07002"
"""The reference's number for too many configurations. Source: contract domain section 4.6."""
_SHOWN_USERS: Final = 10


class PublicConfigurations:
    """Keeps public CAs and DNS providers, and tries them out."""

    config_types: Final = CA_TYPES | DNS_TYPES

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        limits: Limits,
        outbox: Outbox,
        accounts: Accounts,
        directories: Directories,
        cas: PublicCas,
        dns: DnsConfigurations,
        providers: DnsProviders,
        probe: Probe,
        probe_records: ProbeRecords,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self._outbox = outbox
        self._accounts = accounts
        self._directories = directories
        self._cas = cas
        self._dns = dns
        self._providers = providers
        self._probe = probe
        self._probe_records = probe_records

    def quota(self, config_type: ConfigType) -> Quota:
        """Return how many public CAs, or DNS providers, there may be."""
        if config_type in CA_TYPES:
            most, among, what = self._limits.public_authorities, CA_TYPES, "configurations of public CAs"
        else:
            most, among, what = self._limits.dns_configurations, DNS_TYPES, "configurations of DNS providers"
        return Quota(most=most, among=among, what=what, reference_code=_FULL)

    def prepare_new(self, new: NewConfiguration) -> PreparedConfiguration:
        """Check the settings; a CA's account is looked up, or made where no key is given.

        Raises:
            Unavailable: the CA cannot be reached.
            AcmeProblem: it refuses for now.
        """
        if new.config_type in DNS_TYPES:
            return self._prepared_dns(new.config_type, changed({}, new.values))
        values = changed({}, new.values)
        self._check_ca(new.config_type, new.name, values)
        values |= self._accounts.open(new.config_type, values)
        return self._prepared_ca(values)

    def prepare_patch(
        self, configuration: Configuration, secrets: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> PreparedConfiguration:
        """Check changes; another key, or another CA, has its account looked up."""
        before = {**configuration.document, **secrets}
        values = changed(before, changes)
        if configuration.config_type in DNS_TYPES:
            return self._prepared_dns(configuration.config_type, values)
        self._check_ca(configuration.config_type, configuration.name, values)
        values |= self._accounts.follow(configuration.config_type, before, values)
        return self._prepared_ca(values)

    def deleted(self, unit: Unit, configuration: Configuration, by: Principal) -> None:
        """Warn that what uses the configuration cannot be renewed any more."""
        kind = configuration.config_type.kind
        users = unit.configurations.public_users(kind, configuration.name, _SHOWN_USERS + 1)
        fallbacks = [
            item.name
            for item in unit.configurations.of_kind(ConfigKind.PUBLIC_CA)
            if kind is ConfigKind.PUBLIC_CA and item.document.get(FALLBACK) == configuration.name
        ]
        if not users and not fallbacks:
            return
        details: dict[str, Any] = {
            "configuration_id": configuration.id,
            "configuration_name": configuration.name,
            "configuration_type": configuration.config_type.value,
            "secret_names": list(users[:_SHOWN_USERS]),
            "more_secrets": len(users) > _SHOWN_USERS,
            "fallback_of": fallbacks,
        }
        self._outbox.emit_about_server(
            unit, ServerEvent.CONFIGURATION_DELETED_IN_USE, details, by=by.iam_id, at=self._clock.now()
        )

    def dependants(self, unit: ReadUnit, configuration: Configuration) -> Sequence[str]:
        """Return nothing: deleting is allowed whatever uses it (design, section 8)."""
        return ()

    def facts(
        self, unit: ReadUnit, configurations: Sequence[Configuration]
    ) -> Mapping[ConfigurationId, AuthorityFacts]:
        """Return nothing: all is in the documents."""
        return {}

    def act(
        self, by: Principal, configuration: Configuration, action: str, values: Mapping[str, Any]
    ) -> Change[Mapping[str, Any]]:
        """Try the configuration out."""
        if action != TEST:
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                f"The action {action} does not apply to configurations of public certificates.",
                field="action_type",
            )
        domain = values.get("domain")
        if configuration.config_type in CA_TYPES:
            if domain is not None:
                raise Invalid(
                    ErrorCode.INVALID_FIELD,
                    "domain belongs to tests of DNS configurations; leave it out for a CA.",
                    field="domain",
                )
            result = self._probe.try_ca(self._cas.of(configuration))
        else:
            result = self._probe.try_dns(
                lambda: self._dns.of(configuration), domain, partial(self._leftover, configuration)
            )
        return Change(lambda _: result)

    def _leftover(self, configuration: Configuration, record: TxtRecord) -> Callable[[], None]:
        return partial(self._probe_records.settled, self._probe_records.expect(configuration, record))

    def zones(self, configuration: Configuration) -> Sequence[str]:
        """Return the zones that a DNS configuration can write; its provider is asked.

        Raises:
            Invalid: ``not_supported`` for other configurations.
            DnsProblem: the provider refuses.
            Unavailable: it cannot be reached.
        """
        if configuration.config_type not in DNS_TYPES:
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                f"Zones belong to DNS configurations; {configuration.name} is a {configuration.config_type}.",
            )
        return sorted(set(self._dns.of(configuration).zones()))

    def _check_ca(self, config_type: ConfigType, name: str, values: Mapping[str, Any]) -> None:
        check_ca(config_type, values, self._directories)
        check_fallback(name, values)
        self._storage.look(_fallback_is_there(values))

    def _prepared_ca(self, values: Mapping[str, Any]) -> PreparedConfiguration:
        check = _fallback_is_there(values)
        document, secrets = _parted(values, CA_SECRETS)
        return PreparedConfiguration(document=document, secrets=secrets, on_commit=lambda unit, _: check(unit))

    def _prepared_dns(self, config_type: ConfigType, values: Mapping[str, Any]) -> PreparedConfiguration:
        complete = self._providers.check(config_type, values)
        document, secrets = _parted(complete, self._providers.secret_members(config_type))
        return PreparedConfiguration(document=document, secrets=secrets)


def _fallback_is_there(values: Mapping[str, Any]) -> Callable[[ReadUnit], None]:
    """Return a check that is made before the CA is asked, and again in the commit."""
    name = values.get(FALLBACK)

    def check(unit: ReadUnit) -> None:
        if name and unit.configurations.find(ConfigKind.PUBLIC_CA, name) is None:
            raise Invalid(
                ErrorCode.INVALID_FIELD, f"{FALLBACK} names no public CA of this instance: {name}.", field=FALLBACK
            )

    return check


def _parted(values: Mapping[str, Any], secret: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is stored in clear, and what is sealed."""
    return (
        {name: value for name, value in values.items() if name not in secret},
        {name: value for name, value in values.items() if name in secret},
    )
