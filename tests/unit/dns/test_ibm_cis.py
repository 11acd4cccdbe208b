"""Cloud Internet Services: tokens by API key, and configurations without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, TxtRecord
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Unavailable
from tests.contract.dns.vendor_backends import CloudInternetServicesBackend
from tests.peers.dns_vendors import CLOUD_KEY, Answered, Vendors, running_vendors

_RECORD = TxtRecord(name="_acme-challenge.www.example.com", value="one")


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with running_vendors() as running:
        yield running


@pytest.fixture
def backend(vendors: Vendors) -> Iterator[CloudInternetServicesBackend]:
    made = CloudInternetServicesBackend(vendors)
    yield made
    made.context().http.close()


def test_one_token_serves_many_requests(vendors: Vendors, backend: CloudInternetServicesBackend) -> None:
    provider = backend.open()

    handle = provider.present(_RECORD)
    provider.cleanup(_RECORD, handle)

    assert len(vendors.tokens) == 1
    assert len(vendors.seen) > 4


def test_token_is_renewed_before_its_end(vendors: Vendors, backend: CloudInternetServicesBackend) -> None:
    provider = backend.open()
    provider.zones()
    clock = backend.context().clock
    assert isinstance(clock, FrozenClock)

    clock.advance(timedelta(minutes=54))
    provider.zones()
    assert len(vendors.tokens) == 1

    clock.advance(timedelta(minutes=2))
    provider.zones()
    assert len(vendors.tokens) == 2


def test_token_that_ended_early_is_replaced_once(vendors: Vendors, backend: CloudInternetServicesBackend) -> None:
    provider = backend.open()
    provider.zones()
    vendors.tokens[0] = "ended"

    assert "example.com" in provider.zones()

    assert len(vendors.tokens) == 2


def test_fresh_token_that_is_refused_is_not_fetched_again(
    vendors: Vendors, backend: CloudInternetServicesBackend
) -> None:
    token = Answered(200, {"access_token": "unknown", "expires_in": 3600})
    vendors.answers = [token]

    with pytest.raises(DnsProblem) as problem:
        backend.open().zones()

    assert problem.value.refusal is DnsRefusal.AUTHORIZATION
    assert len(vendors.seen) == 2


@pytest.mark.parametrize("key", [None, ""])
def test_configuration_without_a_key_is_accepted_and_refused_in_use(
    vendors: Vendors, backend: CloudInternetServicesBackend, key: str | None
) -> None:
    provider = backend.open({**backend.settings(), "cloud_internet_services_apikey": key})

    with pytest.raises(DnsProblem, match="Service-to-service authorisation does not exist") as problem:
        provider.present(_RECORD)

    assert problem.value.refusal is DnsRefusal.AUTHORIZATION
    assert problem.value.step == "present"
    assert vendors.seen == []


def test_iam_out_of_order_is_worth_another_try(vendors: Vendors, backend: CloudInternetServicesBackend) -> None:
    vendors.answers = [Answered(503, {})]

    with pytest.raises(Unavailable, match="IAM"):
        backend.open().zones()


@pytest.mark.parametrize(
    "body", [{}, {"access_token": ""}, {"access_token": "x", "expires_in": True}, {"expires_in": 1}]
)
def test_iam_that_gives_no_token_is_an_error(
    vendors: Vendors, backend: CloudInternetServicesBackend, body: dict[str, object]
) -> None:
    vendors.answers = [Answered(200, body)]

    with pytest.raises(DnsProblem, match="without a token") as problem:
        backend.open().zones()

    assert problem.value.refusal is DnsRefusal.ERROR


def test_instance_of_another_account_is_not_found(vendors: Vendors, backend: CloudInternetServicesBackend) -> None:
    other = "crn:v1:bluemix:public:internet-svcs:global:a/fedcba9876543210:99999999-1111-2222-3333-444444444444::"

    with pytest.raises(DnsProblem, match="Instance not found") as problem:
        backend.open({**backend.settings(), "cloud_internet_services_crn": other}).zones()

    assert problem.value.refusal is DnsRefusal.NO_ZONE
    assert CLOUD_KEY not in problem.value.detail
    assert len(vendors.tokens) == 1
