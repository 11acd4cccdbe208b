"""Every DNS provider by the type of its configuration; a module is imported when it is first asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Final

from strongroom.dns.kinds import Fields, ProviderContext, ProviderKind
from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.dns import DnsProvider
from strongroom.kernel.errors import Problems

KINDS: Final[Mapping[ConfigType, tuple[str, str]]] = {
    ConfigType.DNS_CLOUD_INTERNET_SERVICES: ("strongroom.dns.ibm_cis", "CloudInternetServicesKind"),
    ConfigType.DNS_CLASSIC_INFRASTRUCTURE: ("strongroom.dns.ibm_classic", "ClassicInfrastructureKind"),
    ConfigType.DNS_RFC2136: ("strongroom.dns.rfc2136", "Rfc2136Kind"),
    ConfigType.DNS_CLOUDFLARE: ("strongroom.dns.cloudflare", "CloudflareKind"),
    ConfigType.DNS_ROUTE53: ("strongroom.dns.route53", "Route53Kind"),
    ConfigType.DNS_POWERDNS: ("strongroom.dns.powerdns", "PowerDnsKind"),
    ConfigType.DNS_AKAMAI: ("strongroom.dns.akamai", "AkamaiKind"),
    ConfigType.DNS_EXEC: ("strongroom.dns.exec", "ExecKind"),
    ConfigType.DNS_LEXICON: ("strongroom.dns.lexicon", "LexiconKind"),
}
"""Module and class of each type."""


class Providers:
    """Implements `DnsProviders`.

    Args:
        context: what providers are made with.
        kinds: in the place of those that are named above.
    """

    def __init__(self, context: ProviderContext, kinds: Mapping[ConfigType, ProviderKind] | None = None) -> None:
        self._context = context
        self._kinds: dict[ConfigType, ProviderKind] = dict(kinds or {})

    @property
    def config_types(self) -> frozenset[ConfigType]:
        """Return the types that this server can use: programs where they are allowed, lexicon where it is installed."""
        missing = set()
        if not self._context.exec_allowed:
            missing.add(ConfigType.DNS_EXEC)
        if importlib.util.find_spec("lexicon") is None:
            missing.add(ConfigType.DNS_LEXICON)
        return frozenset(KINDS) - missing

    def check(self, config_type: ConfigType, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings with defaults filled in; no network.

        Raises:
            Invalid: every broken rule, by field.
        """
        problems = Problems()
        fields = Fields(values, problems)
        self._kind(config_type).check(fields, self._context)
        problems.raise_any()
        return fields.checked

    def secret_members(self, config_type: ConfigType) -> frozenset[str]:
        """Return the members that only full reads show."""
        return self._kind(config_type).secret_members

    def provider(self, config_type: ConfigType, values: Mapping[str, Any]) -> DnsProvider:
        """Return the provider of a configuration; no request is made."""
        return self._kind(config_type).build(values, self._context)

    def _kind(self, config_type: ConfigType) -> ProviderKind:
        kind = self._kinds.get(config_type)
        if kind is None:
            module, name = KINDS[config_type]
            kind = self._kinds[config_type] = getattr(importlib.import_module(module), name)()
        return kind
