"""Failed logins in a moving window."""

from __future__ import annotations

from datetime import timedelta

import pytest

from strongroom.domain.identity.throttle import FailedLogins
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import LimitReached


def test_the_window_moves(clock: FrozenClock) -> None:
    failures = FailedLogins(2, clock)
    failures.failed("192.0.2.7")
    clock.advance(timedelta(seconds=40))
    failures.failed("192.0.2.7")
    with pytest.raises(LimitReached) as refused:
        failures.check("192.0.2.7")
    assert refused.value.retry_after == timedelta(seconds=20)
    clock.advance(timedelta(seconds=20))
    failures.check("192.0.2.7")
    failures.failed("192.0.2.7")
    with pytest.raises(LimitReached):
        failures.check("192.0.2.7")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        (None, "", True),
        ("somewhere", "elsewhere", False),
    ],
)
def test_addresses_of_one_customer_count_together(
    clock: FrozenClock, one: str | None, other: str | None, same: bool
) -> None:
    failures = FailedLogins(1, clock)
    failures.failed(one)
    if same:
        with pytest.raises(LimitReached):
            failures.check(other)
    else:
        failures.check(other)


def test_trying_many_keys_does_not_push_the_address_out(clock: FrozenClock) -> None:
    failures = FailedLogins(3, clock, subjects_max=2)
    for n in range(20):
        failures.failed("192.0.2.7", f"digest {n}")
    with pytest.raises(LimitReached):
        failures.check("192.0.2.7")


def test_the_quietest_is_forgotten_first(clock: FrozenClock) -> None:
    failures = FailedLogins(1, clock, subjects_max=2)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        failures.failed(address)
    failures.check("192.0.2.2")
    for address in ("192.0.2.1", "192.0.2.3"):
        with pytest.raises(LimitReached):
            failures.check(address)


def test_zero_switches_it_off(clock: FrozenClock) -> None:
    failures = FailedLogins(0, clock)
    for _ in range(100):
        failures.failed("192.0.2.7", "digest")
    failures.check("192.0.2.7", "digest")
