"""dns-lexicon in its process: what it may reach and read, and how long it may take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.dns.lexicon import Lexicon, LexiconKind
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, TxtRecord
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from tests.factories.dns import make_context
from tests.peers.dns_vendors import POWERDNS_KEY, Answered, Vendors, running_vendors

_RECORD = TxtRecord(name="_acme-challenge.www.example.com", value="one")


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with running_vendors() as running:
        yield running


def _provider(
    options: Mapping[str, Any], *, provider: str = "powerdns", limit: float = 60, allow_private: bool = True
) -> Lexicon:
    settings = {"lexicon_provider": provider, "lexicon_options": {"delegated": "example.com", **options}}
    return LexiconKind(limit=timedelta(seconds=limit)).build(settings, make_context(allow_private=allow_private))


def _powerdns(vendors: Vendors) -> Mapping[str, Any]:
    return {"pdns_server": vendors.url, "auth_token": POWERDNS_KEY}


def test_address_that_the_guard_refuses_is_not_contacted(vendors: Vendors) -> None:
    with pytest.raises(Invalid) as refused:
        _provider(_powerdns(vendors), allow_private=False).present(_RECORD)

    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    assert vendors.seen == []


def test_zone_of_the_options_is_used_as_it_is(vendors: Vendors) -> None:
    vendors.zones = {"501": "example.com", "502": "dev.example.com"}
    record = TxtRecord(name="_acme-challenge.www.dev.example.com", value="one")

    _provider({**_powerdns(vendors), "delegated": "dev.example.com"}).present(record)

    assert [found.zone for found in vendors.records] == ["502"]


def test_name_outside_of_the_zone_of_the_options_is_refused(vendors: Vendors) -> None:
    with pytest.raises(DnsProblem) as problem:
        _provider(_powerdns(vendors)).present(TxtRecord(name="_acme-challenge.example.org", value="one"))

    assert problem.value.refusal is DnsRefusal.NO_ZONE
    assert vendors.seen == []


def test_time_to_live_of_the_options_counts(vendors: Vendors) -> None:
    _provider({**_powerdns(vendors), "ttl": 300}).present(_RECORD)

    assert [record.ttl for record in vendors.records] == [300]


def test_vendor_that_does_not_answer_is_given_up(vendors: Vendors) -> None:
    vendors.delay = 3

    with pytest.raises(Unavailable, match="took longer than 1 s"):
        _provider(_powerdns(vendors), limit=1).present(_RECORD)


@pytest.mark.parametrize(("status", "refusal"), [(403, DnsRefusal.AUTHORIZATION), (422, DnsRefusal.ERROR)])
def test_statuses_of_the_vendor_are_told_apart(vendors: Vendors, status: int, refusal: DnsRefusal) -> None:
    vendors.answers = [Answered(status, {"error": "No."})] * 5

    with pytest.raises(DnsProblem, match=str(status)) as problem:
        _provider(_powerdns(vendors)).present(_RECORD)

    assert problem.value.refusal is refusal


def test_rate_limit_of_the_vendor_is_passed_on(vendors: Vendors) -> None:
    vendors.answers = [Answered(429, {}, {"Retry-After": "21"})] * 5

    with pytest.raises(Unavailable, match="429") as problem:
        _provider(_powerdns(vendors)).present(_RECORD)

    assert problem.value.retry_after == timedelta(seconds=21)


def test_files_of_the_machine_are_not_read(tmp_path: Path) -> None:
    key = tmp_path / "account.json"
    key.write_text(json.dumps({"project_id": "stolen", "private_key": "stolen", "client_email": "stolen"}))

    with pytest.raises(DnsProblem, match="files of this machine may not be used") as problem:
        _provider({"auth_service_account_info": f"file::{key}"}, provider="googleclouddns").present(_RECORD)

    assert "stolen" not in problem.value.detail


def test_provider_whose_packages_are_missing_is_an_error() -> None:
    with pytest.raises(DnsProblem, match="package that this provider needs") as problem:
        _provider({"auth_access_key": "x", "auth_access_secret": "y"}, provider="route53").present(_RECORD)

    assert problem.value.refusal is DnsRefusal.ERROR


def test_secret_options_are_not_shown() -> None:
    provider = _provider({"auth_token": "a-very-secret-token"})

    assert "a-very-secret-token" not in f"{provider!r}{vars(provider)}"


def test_process_that_ends_without_an_answer_is_an_error() -> None:
    settings = {"lexicon_provider": "powerdns", "lexicon_options": {"delegated": "example.com"}}
    provider = LexiconKind(program="this").build(settings, make_context())

    with pytest.raises(DnsProblem, match="without an answer"):
        provider.present(_RECORD)
