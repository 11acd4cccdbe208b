"""Settings of the providers: what is refused before any request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from strongroom.dns.providers import Providers
from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.errors import Invalid
from tests.factories.dns import make_context
from tests.peers import dns_vendors

_GOOD: Mapping[ConfigType, Mapping[str, Any]] = {
    ConfigType.DNS_CLOUD_INTERNET_SERVICES: {"cloud_internet_services_crn": dns_vendors.CRN},
    ConfigType.DNS_CLASSIC_INFRASTRUCTURE: {
        "classic_infrastructure_username": "1234567_dns@example.com",
        "classic_infrastructure_password": "an-api-key",
    },
    ConfigType.DNS_CLOUDFLARE: {"cloudflare_api_token": "0123456789_abcdefghij-ABCDEFGHIJ"},
    ConfigType.DNS_ROUTE53: {
        "route53_access_key_id": "AKIAEXAMPLEEXAMPLE00",
        "route53_secret_access_key": "abcdefghijklmnopqrstuvwxyz0123456789/+==",
    },
    ConfigType.DNS_POWERDNS: {"powerdns_url": "https://dns.example.com:8081", "powerdns_api_key": "an-api-key"},
    ConfigType.DNS_AKAMAI: {
        "akamai_host": dns_vendors.AKAMAI_HOST,
        "akamai_client_token": "akab-client",
        "akamai_client_secret": "c2VjcmV0",
        "akamai_access_token": "akab-access",
    },
    ConfigType.DNS_EXEC: {"exec_program": "/usr/local/lib/dns/update"},
    ConfigType.DNS_LEXICON: {"lexicon_provider": "gandi", "lexicon_options": {"auth_token": "a-token"}},
}

_BAD: list[tuple[ConfigType, str, Any]] = [
    (ConfigType.DNS_CLOUD_INTERNET_SERVICES, "cloud_internet_services_crn", "not-a-crn"),
    (ConfigType.DNS_CLOUD_INTERNET_SERVICES, "cloud_internet_services_crn", dns_vendors.CRN + "?a=b"),
    (ConfigType.DNS_CLOUD_INTERNET_SERVICES, "cloud_internet_services_apikey", "k" * 129),
    (ConfigType.DNS_CLOUD_INTERNET_SERVICES, "cloud_internet_services_apikey", "a\nb"),
    (ConfigType.DNS_CLASSIC_INFRASTRUCTURE, "classic_infrastructure_username", "user:name"),
    (ConfigType.DNS_CLASSIC_INFRASTRUCTURE, "classic_infrastructure_username", "u"),
    (ConfigType.DNS_CLASSIC_INFRASTRUCTURE, "classic_infrastructure_password", "p"),
    (ConfigType.DNS_CLASSIC_INFRASTRUCTURE, "classic_infrastructure_password", None),
    (ConfigType.DNS_CLOUDFLARE, "cloudflare_api_token", "token with spaces"),
    (ConfigType.DNS_CLOUDFLARE, "cloudflare_api_token", "x\r\nX-Injected: 1"),
    (ConfigType.DNS_CLOUDFLARE, "cloudflare_zone_id", "../zones"),
    (ConfigType.DNS_ROUTE53, "route53_access_key_id", "akia"),
    (ConfigType.DNS_ROUTE53, "route53_secret_access_key", "has spaces in it"),
    (ConfigType.DNS_ROUTE53, "route53_hosted_zone_id", "Z1/../Z2"),
    (ConfigType.DNS_ROUTE53, "route53_region", "evil.example.com/"),
    (ConfigType.DNS_POWERDNS, "powerdns_url", "ftp://dns.example.com"),
    (ConfigType.DNS_POWERDNS, "powerdns_url", "https://user:password@dns.example.com"),
    (ConfigType.DNS_POWERDNS, "powerdns_url", "https://dns.example.com/?a=b"),
    (ConfigType.DNS_POWERDNS, "powerdns_url", "https://dns.example.com:0"),
    (ConfigType.DNS_POWERDNS, "powerdns_url", "https://169.254.169.254/latest"),
    (ConfigType.DNS_POWERDNS, "powerdns_api_key", "key with spaces"),
    (ConfigType.DNS_POWERDNS, "powerdns_server_id", "../.."),
    (ConfigType.DNS_AKAMAI, "akamai_host", "akamaiapis.net.example.com"),
    (ConfigType.DNS_AKAMAI, "akamai_host", "example.com/.akamaiapis.net"),
    (ConfigType.DNS_AKAMAI, "akamai_client_token", "a;b"),
    (ConfigType.DNS_AKAMAI, "akamai_access_token", ""),
    (ConfigType.DNS_EXEC, "exec_program", "update.sh"),
    (ConfigType.DNS_EXEC, "exec_program", "/bin/sh\0-c"),
    (ConfigType.DNS_LEXICON, "lexicon_provider", "../../os"),
    (ConfigType.DNS_LEXICON, "lexicon_provider", "nosuchvendor"),
    (ConfigType.DNS_LEXICON, "lexicon_provider", "localzone"),
    (ConfigType.DNS_LEXICON, "lexicon_provider", "auto"),
    (ConfigType.DNS_LEXICON, "lexicon_provider", "ddns"),
    (ConfigType.DNS_LEXICON, "lexicon_options", ["auth_token"]),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"Auth-Token": "x"}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"domain": "example.org"}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"resolve_zone_name": True}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"auth_token": {"nested": 1}}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"auth_token": "x" * 9000}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"ttl": "often"}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {"delegated": "com"}),
    (ConfigType.DNS_LEXICON, "lexicon_options", {f"option_{number}": 1 for number in range(41)}),
]


@pytest.fixture
def providers() -> Providers:
    return Providers(make_context(allow_private=False, exec_allowed=True))


@pytest.mark.parametrize("config_type", _GOOD, ids=str)
def test_good_settings_pass_and_make_a_provider(providers: Providers, config_type: ConfigType) -> None:
    checked = providers.check(config_type, _GOOD[config_type])

    assert _GOOD[config_type].items() <= checked.items()
    assert providers.provider(config_type, checked).servers == {}


@pytest.mark.parametrize(("config_type", "field", "given"), _BAD)
def test_bad_value_is_refused_by_its_field(
    providers: Providers, config_type: ConfigType, field: str, given: object
) -> None:
    with pytest.raises(Invalid) as refused:
        providers.check(config_type, {**_GOOD[config_type], field: given})

    assert refused.value.field == field
    # What the guard says about a URL is in its own words.
    assert field in refused.value.detail or field == "powerdns_url"


@pytest.mark.parametrize("config_type", _GOOD, ids=str)
def test_secret_that_is_refused_is_not_shown(providers: Providers, config_type: ConfigType) -> None:
    secret = "\x01very secret indeed" * 600
    members = providers.secret_members(config_type) - {"lexicon_options"}

    for member in members:
        with pytest.raises(Invalid) as refused:
            providers.check(config_type, {**_GOOD[config_type], member: secret})
        assert "very secret" not in refused.value.diagnostics()


@pytest.mark.parametrize("config_type", _GOOD, ids=str)
def test_everything_that_is_missing_is_said_at_once(providers: Providers, config_type: ConfigType) -> None:
    with pytest.raises(Invalid) as refused:
        providers.check(config_type, {})

    missing = {problem.field for problem in (refused.value.causes or (refused.value,))}
    required = set(_GOOD[config_type]) - {"lexicon_options"}
    assert missing == required


def test_defaults_are_filled_in(providers: Providers) -> None:
    route53 = providers.check(ConfigType.DNS_ROUTE53, _GOOD[ConfigType.DNS_ROUTE53])
    powerdns = providers.check(ConfigType.DNS_POWERDNS, _GOOD[ConfigType.DNS_POWERDNS])

    assert route53["route53_region"] == "us-east-1"
    assert powerdns["powerdns_server_id"] == "localhost"


@pytest.mark.parametrize("given", ["https://dns.example.com:8081/", "https://dns.example.com:8081/api/v1"])
def test_powerdns_url_is_taken_with_and_without_the_path_of_the_api(providers: Providers, given: str) -> None:
    settings = {**_GOOD[ConfigType.DNS_POWERDNS], "powerdns_url": given}

    assert providers.check(ConfigType.DNS_POWERDNS, settings)["powerdns_url"] == "https://dns.example.com:8081"


def test_programs_are_refused_unless_the_operator_allows_them() -> None:
    providers = Providers(make_context(exec_allowed=False))

    with pytest.raises(Invalid, match="exec_allowed"):
        providers.check(ConfigType.DNS_EXEC, _GOOD[ConfigType.DNS_EXEC])

    assert ConfigType.DNS_EXEC not in providers.config_types


def test_lexicon_that_is_not_installed_is_refused_with_the_command(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(Invalid, match="not installed") as refused:
        providers.check(ConfigType.DNS_LEXICON, _GOOD[ConfigType.DNS_LEXICON])

    assert "pip install 'strongroom[dns-lexicon]'" in (refused.value.hint or "")
    assert ConfigType.DNS_LEXICON not in providers.config_types


@pytest.mark.parametrize(
    ("region", "url", "signed_for"),
    [
        ("eu-central-1", "https://route53.amazonaws.com", "us-east-1"),
        ("cn-north-1", "https://route53.amazonaws.com.cn", "cn-northwest-1"),
        ("us-gov-east-1", "https://route53.us-gov.amazonaws.com", "us-gov-west-1"),
    ],
)
def test_region_says_which_route53_is_asked(providers: Providers, region: str, url: str, signed_for: str) -> None:
    settings = {**_GOOD[ConfigType.DNS_ROUTE53], "route53_region": region}
    provider: Any = providers.provider(ConfigType.DNS_ROUTE53, providers.check(ConfigType.DNS_ROUTE53, settings))

    assert (provider._vendor.base_url, provider._key.region) == (url, signed_for)


def test_vendors_of_the_contract_have_its_times(providers: Providers) -> None:
    timings = {
        config_type: providers.provider(config_type, providers.check(config_type, _GOOD[config_type])).timing
        for config_type in (ConfigType.DNS_CLOUD_INTERNET_SERVICES, ConfigType.DNS_CLASSIC_INFRASTRUCTURE)
    }
    minutes = {kind: (timing.limit.total_seconds(), timing.poll.total_seconds()) for kind, timing in timings.items()}

    # Source: contract domain section 4.5.
    assert minutes[ConfigType.DNS_CLOUD_INTERNET_SERVICES] == (15 * 60, 40)
    assert minutes[ConfigType.DNS_CLASSIC_INFRASTRUCTURE] == (30 * 60, 3 * 60)
