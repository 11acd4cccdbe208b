from __future__ import annotations

from datetime import UTC, datetime, timedelta

from strongroom.kernel.clock import FrozenClock, SystemClock


def test_the_system_clock_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is UTC


def test_the_system_clock_can_be_moved_for_long_run_tests() -> None:
    ahead = SystemClock(timedelta(days=90)).now() - SystemClock().now()
    assert timedelta(days=90) - timedelta(minutes=1) < ahead <= timedelta(days=90)


def test_a_frozen_clock_moves_only_when_told_to() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = FrozenClock(start)
    assert clock.now() == clock.now() == start
    clock.advance(timedelta(hours=2))
    assert clock.now() == start + timedelta(hours=2)
