"""Public CAs and DNS providers by the names of their configurations, ready to be used.

Making one costs no request: it is read from the store and its credentials are opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration
from strongroom.domain.configurations.vault import ConfigurationVault
from strongroom.domain.orders.acme import AcmeAccount
from strongroom.domain.orders.dns import DnsProvider, DnsProviders
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.value import value

CA_TYPES: Final = frozenset(item for item in ConfigType if item.kind is ConfigKind.PUBLIC_CA)
DNS_TYPES: Final = frozenset(item for item in ConfigType if item.kind is ConfigKind.DNS)

ENVIRONMENT: Final = "lets_encrypt_environment"
DIRECTORY: Final = "acme_directory_url"
FALLBACK: Final = "ca_fallback"
PROFILE: Final = "acme_profile"
CONTACT: Final = "acme_contact"
EAB_KEY_ID: Final = "acme_eab_key_id"
EAB_HMAC_KEY: Final = "acme_eab_hmac_key"
ROOT_BUNDLE: Final = "acme_root_bundle"
ACCOUNT_URL: Final = "account_url"
"""Not shown: where the CA keeps the account."""
ACCOUNT_DIRECTORY: Final = "account_directory"
"""Not shown: of which CA that is, for an environment's directory is a setting and may change."""
ACCOUNT_IS_OURS: Final = "account_is_ours"
"""Not shown: whether the account was made here, so that it may be made again at another CA."""

PRIVATE_KEYS: Final[Mapping[ConfigType, str]] = {
    ConfigType.LETS_ENCRYPT: "lets_encrypt_private_key",
    ConfigType.ACME: "acme_account_private_key",
}
"""Member that holds the account's key."""
PREFERRED_CHAINS: Final[Mapping[ConfigType, str]] = {
    ConfigType.LETS_ENCRYPT: "lets_encrypt_preferred_chain",
    ConfigType.ACME: "acme_preferred_chain",
}
CA_SECRETS: Final = frozenset({*PRIVATE_KEYS.values(), EAB_HMAC_KEY})
"""Members that only full reads show."""


@value
class PublicCa:
    """A CA configuration, ready to order with.

    Attributes:
        account: with its key; its ``url`` is known unless the CA behind the name has changed.
        preferred_chain: common name of the issuer that the chain should lead to.
        profile: of the directory.
        fallback: name of the CA configuration to turn to when this one fails.
    """

    configuration: Configuration
    account: AcmeAccount
    preferred_chain: str | None
    profile: str | None
    fallback: str | None


@value
class ConfiguredDns:
    """A DNS configuration with its provider."""

    configuration: Configuration
    provider: DnsProvider


class Directories:
    """Knows where CAs are, and which of them the operator's settings name.

    Args:
        environments: directory of ``production`` and of ``staging``.
    """

    def __init__(self, environments: Mapping[str, str]) -> None:
        self._environments = dict(environments)
        self._own = {_origin(url) for url in environments.values()}

    def of(self, config_type: ConfigType, values: Mapping[str, Any]) -> str:
        """Return the directory of a configuration."""
        if config_type is ConfigType.LETS_ENCRYPT:
            return self._environments[values[ENVIRONMENT]]
        return str(values[DIRECTORY])

    def are_operators(self, url: str) -> bool:
        """Tell whether the settings name this very server."""
        return _origin(url) in self._own

    def account(self, config_type: ConfigType, values: Mapping[str, Any]) -> AcmeAccount:
        """Return the account of a configuration.

        Args:
            config_type: of the configuration.
            values: its members in the API's spelling, secret ones among them.
        """
        directory = self.of(config_type, values)
        is_known = values.get(ACCOUNT_DIRECTORY) == directory
        return AcmeAccount(
            directory_url=directory,
            is_operators=self.are_operators(directory),
            private_key=values[PRIVATE_KEYS[config_type]],
            url=values.get(ACCOUNT_URL) if is_known else None,
            eab_key_id=values.get(EAB_KEY_ID),
            eab_hmac_key=values.get(EAB_HMAC_KEY),
            root_bundle=values.get(ROOT_BUNDLE),
            contact=contact_urls(values.get(CONTACT)),
        )


class PublicCas:
    """Finds CA configurations for orders."""

    def __init__(self, vault: ConfigurationVault, directories: Directories) -> None:
        self._vault = vault
        self._directories = directories

    def account(self, unit: ReadUnit, name: str) -> PublicCa | None:
        """Return the CA of this name; ``None`` if there is none."""
        found = unit.configurations.find(ConfigKind.PUBLIC_CA, name)
        return None if found is None else self.of(found)

    def of(self, configuration: Configuration) -> PublicCa:
        """Return the CA of a configuration."""
        values = {**configuration.document, **self._vault.open(configuration)}
        config_type = configuration.config_type
        return PublicCa(
            configuration=configuration,
            account=self._directories.account(config_type, values),
            preferred_chain=values.get(PREFERRED_CHAINS[config_type]) or None,
            profile=values.get(PROFILE) or None,
            fallback=values.get(FALLBACK) or None,
        )


class DnsConfigurations:
    """Finds DNS configurations for orders."""

    def __init__(self, vault: ConfigurationVault, providers: DnsProviders) -> None:
        self._vault = vault
        self._providers = providers

    def provider(self, unit: ReadUnit, name: str) -> ConfiguredDns | None:
        """Return the provider of the configuration of this name; ``None`` if there is none."""
        found = unit.configurations.find(ConfigKind.DNS, name)
        return None if found is None else ConfiguredDns(configuration=found, provider=self.of(found))

    def of(self, configuration: Configuration) -> DnsProvider:
        """Return the provider of a configuration."""
        values = {**configuration.document, **self._vault.open(configuration)}
        return self._providers.provider(configuration.config_type, values)


def contact_urls(text: str | None) -> tuple[str, ...]:
    """Return the addresses of a contact as URLs; a bare e-mail address is meant as ``mailto:``."""
    return tuple(item if ":" in item else f"mailto:{item}" for item in contact_parts(text))


def contact_parts(text: str | None) -> Sequence[str]:
    """Return the addresses of a contact as they were given."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
