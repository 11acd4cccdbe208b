"""Trying configurations out: what each step says, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.orders.dns import DnsProvider, TxtRecord
from strongroom.domain.orders.probing import Probe
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from tests.factories.orders import FakeAcme, FakeDns


@pytest.fixture
def dns(clock: FrozenClock) -> FakeDns:
    return FakeDns(clock)


def nothing(_: TxtRecord) -> Callable[[], None]:
    return lambda: None


def probe(dns: FakeDns, *, wait: Callable[[float], None] = lambda _: None, patience: float = 0) -> Probe:
    return Probe(FakeAcme({}), dns.propagation(), wait=wait, patience=timedelta(seconds=patience))


def steps(result: Mapping[str, Any]) -> dict[str, bool]:
    return {step["name"]: step["success"] for step in result["steps"]}


def message(result: Mapping[str, Any], name: str) -> str:
    return next(str(step["message"]) for step in result["steps"] if step["name"] == name)


def test_record_that_is_seen_late_is_waited_for(dns: FakeDns, clock: FrozenClock) -> None:
    dns.lag = timedelta(seconds=9)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    result = probe(dns, wait=wait, patience=60).try_dns(dns.provider, None, nothing)

    assert result["success"] is True
    assert waited == [2.0] * 5
    assert "ns1.example.net (192.0.2.1)" in message(result, "see")
    assert dns.left == []


def test_all_servers_that_have_the_record_are_named(dns: FakeDns) -> None:
    said = message(probe(dns).try_dns(dns.provider, None, nothing), "see")
    assert said == "All authoritative servers have it: ns1.example.net (192.0.2.1), ns2.example.net (192.0.2.2)."


def test_record_that_is_not_seen_in_time_is_told_with_the_servers_and_removed(dns: FakeDns) -> None:
    dns.lag = timedelta(hours=1)

    result = probe(dns).try_dns(dns.provider, "example.org", nothing)

    assert steps(result) == {"zones": True, "write": True, "see": False, "remove": True}
    assert result["success"] is False
    assert "do not have it: ns1.example.net" in message(result, "see")
    assert "orders wait 10 minutes" in message(result, "see")
    assert dns.left == []


def test_servers_that_are_silent_for_a_while_are_asked_again(dns: FakeDns, clock: FrozenClock) -> None:
    dns.silent_until = clock.now() + timedelta(seconds=3)

    result = probe(dns, wait=lambda s: clock.advance(timedelta(seconds=s)), patience=60).try_dns(
        dns.provider, None, nothing
    )

    assert result["success"] is True


def test_servers_that_stay_silent_are_told(dns: FakeDns, clock: FrozenClock) -> None:
    dns.silent_until = clock.now() + timedelta(hours=1)

    result = probe(dns).try_dns(dns.provider, None, nothing)

    assert steps(result)["see"] is False
    assert "no authoritative server answers" in message(result, "see")
    assert dns.left == []


def test_write_that_breaks_off_after_it_was_done_is_removed(dns: FakeDns) -> None:
    def fail(when: str, call: str) -> None:
        if (when, call) == ("after", "present"):
            raise Unavailable(ErrorCode.UNAVAILABLE, "The connection broke off.")

    dns.hooks.append(fail)

    result = probe(dns).try_dns(dns.provider, None, nothing)

    assert steps(result) == {"zones": True, "write": False, "remove": True}
    assert message(result, "write") == "The connection broke off."
    assert len(dns.removed) == 1
    assert dns.left == []


def test_record_is_removed_also_when_the_look_has_a_bug(dns: FakeDns) -> None:
    def fail(when: str, call: str) -> None:
        if (when, call) == ("before", "look"):
            raise ZeroDivisionError

    dns.hooks.append(fail)

    with pytest.raises(ZeroDivisionError):
        probe(dns).try_dns(dns.provider, None, nothing)
    assert len(dns.removed) == 1
    assert dns.left == []


def test_removal_that_fails_is_told(dns: FakeDns) -> None:
    def fail(when: str, call: str) -> None:
        if (when, call) == ("before", "cleanup"):
            raise Unavailable(ErrorCode.UNAVAILABLE, "The provider is down.")

    dns.hooks.append(fail)

    result = probe(dns).try_dns(dns.provider, None, nothing)

    assert steps(result) == {"zones": True, "write": True, "see": True, "remove": False}
    assert result["success"] is False


def test_provider_that_cannot_be_opened_fails_at_the_first_step(dns: FakeDns) -> None:
    def open_provider() -> DnsProvider:
        raise Invalid(ErrorCode.INVALID_FIELD, "Programs may not be run.", hint="Ask the operator.")

    result = probe(dns).try_dns(open_provider, None, nothing)

    assert steps(result) == {"zones": False}
    assert message(result, "zones") == "Programs may not be run.\nAsk the operator."


def test_provider_without_a_list_of_zones_needs_a_domain(dns: FakeDns) -> None:
    zones, dns.zones = dns.zones, ()

    without = probe(dns).try_dns(dns.provider, None, nothing)

    assert steps(without) == {"zones": False}
    assert "name a domain" in message(without, "zones")

    def widen(when: str, call: str) -> None:
        if (when, call) == ("before", "present"):
            dns.zones = zones

    dns.hooks.append(widen)
    assert probe(dns).try_dns(dns.provider, "www.example.com", nothing)["success"] is True


@pytest.mark.parametrize(
    "domain", ["", "example", "-.example.com", "exa mple.com", "ä.example.com", "x." * 120 + "com"]
)
def test_what_is_no_domain_is_refused_before_anything_is_written(dns: FakeDns, domain: str) -> None:
    result = probe(dns).try_dns(dns.provider, domain, nothing)

    assert steps(result) == {"zones": False}
    assert "domain must be a DNS name" in message(result, "zones")
    assert dns.calls["present"] == 0


def test_long_lists_of_zones_are_cut(dns: FakeDns) -> None:
    dns.zones = tuple(f"z{number}.example.com" for number in range(9))

    assert message(probe(dns).try_dns(dns.provider, None, nothing), "zones").endswith("z4.example.com and 4 more.")
