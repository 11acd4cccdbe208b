"""The settings of DNS providers change what they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.dns.ibm_cis import CloudInternetServicesKind
from strongroom.dns.providers import Providers
from strongroom.domain.configurations.model import ConfigType
from strongroom.kernel.clock import SystemClock
from strongroom.kernel.errors import Invalid
from strongroom.runtime.outside import Outside
from strongroom.runtime.settings import DnsSettings, Settings
from tests.peers import dns_vendors
from tests.peers.dns_vendors import Vendors, running_vendors


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with running_vendors() as running:
        yield running


def test_cis_url_says_where_cloud_internet_services_is(vendors: Vendors) -> None:
    outside = Outside.build(Settings(cis_url=vendors.url), SystemClock())
    assert isinstance(outside.dns, Providers)
    outside.dns._kinds[ConfigType.DNS_CLOUD_INTERNET_SERVICES] = CloudInternetServicesKind(iam_url=vendors.url)
    values = {
        "cloud_internet_services_crn": dns_vendors.CRN,
        "cloud_internet_services_apikey": dns_vendors.CLOUD_KEY,
    }

    zones = outside.dns.provider(ConfigType.DNS_CLOUD_INTERNET_SERVICES, values).zones()

    assert "example.com" in zones
    outside.close()


def test_classic_url_says_where_the_classic_infrastructure_is(vendors: Vendors) -> None:
    # The operator's own address may be private and speak plain HTTP; a slash at its end does no harm.
    outside = Outside.build(Settings(classic_url=f"{vendors.url}/rest/v3.1/"), SystemClock())
    values = {
        "classic_infrastructure_username": dns_vendors.CLASSIC_USER,
        "classic_infrastructure_password": dns_vendors.CLASSIC_PASSWORD,
    }

    zones = outside.dns.provider(ConfigType.DNS_CLASSIC_INFRASTRUCTURE, values).zones()

    assert "example.com" in zones
    outside.close()


def test_programs_may_be_named_once_the_operator_allows_them() -> None:
    values = {"exec_program": str(Path("/usr/local/lib/dns-update"))}
    forbidden = Outside.build(Settings(), SystemClock())
    allowed = Outside.build(Settings(dns=DnsSettings(exec_allowed=True)), SystemClock())

    with pytest.raises(Invalid, match="exec_allowed"):
        forbidden.dns.check(ConfigType.DNS_EXEC, values)

    assert allowed.dns.check(ConfigType.DNS_EXEC, values) == values
    assert ConfigType.DNS_EXEC in allowed.dns.config_types
    forbidden.close()
    allowed.close()
