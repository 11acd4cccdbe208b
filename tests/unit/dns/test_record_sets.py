"""Vendors that know record sets only: values of others survive, whoever writes at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest

from strongroom.dns.hosted import HostedSets
from strongroom.domain.orders.dns import TxtRecord
from strongroom.kernel.errors import Unavailable
from tests.contract.dns.vendor_backends import AkamaiBackend, PowerDnsBackend, Route53Backend, VendorBackend
from tests.peers.dns_vendors import Vendors, running_vendors

_NAME = "_acme-challenge.www.example.com"
_RECORD = TxtRecord(name=_NAME, value="ours")


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with running_vendors() as running:
        yield running


@pytest.fixture(params=[Route53Backend, PowerDnsBackend, AkamaiBackend], ids=lambda backend: backend.__name__)
def backend(request: pytest.FixtureRequest, vendors: Vendors) -> Iterator[VendorBackend]:
    made: VendorBackend = request.param(vendors)
    yield made
    made.context().http.close()


@pytest.fixture
def provider(backend: VendorBackend) -> HostedSets:
    made = backend.open()
    assert isinstance(made, HostedSets)
    made._pause = lambda _: None  # nobody waits in tests
    return made


@pytest.mark.parametrize("kind", [Route53Backend, AkamaiBackend])
def test_set_that_another_writer_makes_first_is_kept(vendors: Vendors, kind: type[VendorBackend]) -> None:
    backend = kind(vendors)
    provider = backend.open()
    assert isinstance(provider, HostedSets)
    provider._pause = lambda _: None
    vendors.before_write = lambda: vendors.add("501", _NAME, '"theirs"')

    provider.present(_RECORD)

    assert vendors.values(_NAME) == ["ours", "theirs"]
    backend.context().http.close()


@pytest.mark.parametrize("kind", [PowerDnsBackend, AkamaiBackend])
def test_set_is_read_again_where_a_collision_may_not_be_noticed(vendors: Vendors, kind: type[VendorBackend]) -> None:
    backend = kind(vendors)
    provider = backend.open()
    provider.present(TxtRecord(name=_NAME, value="first"))
    seen = len(vendors.seen)

    provider.present(_RECORD)

    assert len(vendors.seen) - seen == len(("read", "write", "read"))
    assert vendors.values(_NAME) == ["first", "ours"]
    backend.context().http.close()


def test_set_that_goes_away_while_a_value_is_removed_is_fine(vendors: Vendors, provider: HostedSets) -> None:
    provider.present(_RECORD)
    vendors.before_write = vendors.records.clear

    provider.cleanup(_RECORD, None)

    assert vendors.values(_NAME) == []


def test_set_that_grows_while_a_value_is_added_is_kept_by_route53(vendors: Vendors) -> None:
    backend = Route53Backend(vendors)
    provider = backend.open()
    provider.present(TxtRecord(name=_NAME, value="first"))
    vendors.before_write = lambda: vendors.add("501", _NAME, '"theirs"')

    provider.present(_RECORD)

    assert vendors.values(_NAME) == ["first", "ours", "theirs"]
    backend.context().http.close()


def test_set_that_others_change_all_the_time_is_tried_later(vendors: Vendors) -> None:
    backend = Route53Backend(vendors)
    provider = backend.open()
    assert isinstance(provider, HostedSets)
    waited: list[float] = []
    provider._pause = waited.append

    def interfere() -> None:
        vendors.add("501", _NAME, f'"theirs {len(vendors.records)}"')
        vendors.before_write = interfere

    vendors.before_write = interfere

    with pytest.raises(Unavailable, match="changed by others"):
        provider.present(_RECORD)

    assert len(waited) > 1
    assert waited == sorted(waited)
    assert "ours" not in vendors.values(_NAME)
    backend.context().http.close()


def test_threads_that_write_one_name_lose_nothing(vendors: Vendors, backend: VendorBackend) -> None:
    values = [f"value-{number}" for number in range(6)]
    threads = [Thread(target=backend.open().present, args=(TxtRecord(name=_NAME, value=value),)) for value in values]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert vendors.values(_NAME) == values


def test_last_value_takes_the_set_with_it(vendors: Vendors, provider: HostedSets) -> None:
    provider.present(_RECORD)

    provider.cleanup(_RECORD, None)

    assert vendors.records == []


def test_powerdns_keeps_records_that_are_switched_off(vendors: Vendors) -> None:
    backend = PowerDnsBackend(vendors)
    vendors.add("501", _NAME, '"asleep"', ttl=300, is_disabled=True)
    provider = backend.open()

    provider.present(_RECORD)
    provider.cleanup(_RECORD, None)

    assert [(record.text, record.is_disabled) for record in vendors.records] == [('"asleep"', True)]
    backend.context().http.close()
