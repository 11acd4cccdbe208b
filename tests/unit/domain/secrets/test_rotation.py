"""Rotation policies and when they fire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.secrets.rotation import OFF, check_interval_policy, next_rotation
from strongroom.kernel.errors import ErrorCode, Invalid, Problems

LAST = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


def on(interval: Any, unit: Any) -> dict[str, Any]:
    """Return a policy that is on."""
    return {"auto_rotate": True, "interval": interval, "unit": unit}


def problems_of(rotation: dict[str, Any]) -> list[tuple[str | None, ErrorCode]]:
    """Return what is wrong with a policy."""
    problems = Problems()
    check_interval_policy(problems, rotation)
    try:
        problems.raise_any()
    except Invalid as error:
        return [(cause.field, cause.code) for cause in error.causes or (error,)]
    return []


@pytest.mark.parametrize(
    ("interval", "unit", "expected"),
    [
        (1, "hour", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        (36, "hour", datetime(2026, 2, 1, 20, 30, tzinfo=UTC)),
        (1, "day", datetime(2026, 2, 1, 8, 30, tzinfo=UTC)),
        (1, "month", datetime(2026, 2, 28, 8, 30, tzinfo=UTC)),
        (2, "month", datetime(2026, 3, 31, 8, 30, tzinfo=UTC)),
        (11, "month", datetime(2026, 12, 31, 8, 30, tzinfo=UTC)),
        (25, "month", datetime(2028, 2, 29, 8, 30, tzinfo=UTC)),
    ],
)
def test_the_next_rotation_follows_the_calendar(interval: int, unit: str, expected: datetime) -> None:
    assert next_rotation(on(interval, unit), LAST) == expected


@pytest.mark.parametrize("rotation", [None, {}, OFF, {"auto_rotate": True, "rotate_keys": True}])
def test_without_an_interval_nothing_fires(rotation: dict[str, Any] | None) -> None:
    assert next_rotation(rotation, LAST) is None


@given(st.integers(1, 36), st.integers(0, 20_000))
def test_months_keep_the_day_or_take_the_last_one(months: int, days: int) -> None:
    last = LAST + timedelta(days=days)
    at = next_rotation(on(months, "month"), last)
    assert at is not None
    assert (at.year * 12 + at.month) - (last.year * 12 + last.month) == months
    assert at.day == last.day or (at.day < last.day and (at + timedelta(days=1)).day == 1)


@pytest.mark.parametrize(("unit", "most"), [("hour", 26_280), ("day", 1_095), ("month", 36)])
def test_intervals_reach_three_years(unit: str, most: int) -> None:
    assert problems_of(on(most, unit)) == []
    for interval in (0, -1, most + 1):
        assert problems_of(on(interval, unit)) == [("rotation.interval", ErrorCode.INVALID_FIELD)]


def test_a_policy_that_is_on_needs_interval_and_unit() -> None:
    missing = ErrorCode.MISSING_FIELD
    assert problems_of({"auto_rotate": True}) == [("rotation.interval", missing), ("rotation.unit", missing)]
    assert problems_of(on(1, None)) == [("rotation.unit", missing)]
    assert problems_of(on(1, "week")) == [("rotation.unit", ErrorCode.INVALID_FIELD)]


def test_a_policy_that_is_off_keeps_nothing_else() -> None:
    assert check_interval_policy(Problems(), {"auto_rotate": False, "interval": 9, "unit": "day"}) == OFF


@pytest.mark.parametrize(
    ("interval", "unit", "after", "expected"),
    [
        (10, "day", LAST + timedelta(days=9), LAST + timedelta(days=10)),
        (10, "day", LAST + timedelta(days=10), LAST + timedelta(days=20)),
        (10, "day", LAST + timedelta(days=95), LAST + timedelta(days=100)),
        (5, "hour", LAST + timedelta(hours=23), LAST + timedelta(hours=25)),
        (1, "month", datetime(2026, 2, 28, 8, 30, tzinfo=UTC), datetime(2026, 3, 31, 8, 30, tzinfo=UTC)),
        (2, "month", datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 31, 8, 30, tzinfo=UTC)),
        (1, "month", LAST - timedelta(days=1), datetime(2026, 2, 28, 8, 30, tzinfo=UTC)),
    ],
)
def test_whole_intervals_are_passed_over(interval: int, unit: str, after: datetime, expected: datetime) -> None:
    assert next_rotation(on(interval, unit), LAST, after=after) == expected


@given(st.integers(1, 36), st.sampled_from(["hour", "day", "month"]), st.integers(0, 40_000))
def test_what_is_passed_over_is_never_more_than_needed(interval: int, unit: str, hours: int) -> None:
    after = LAST + timedelta(hours=hours)
    at = next_rotation(on(interval, unit), LAST, after=after)
    assert at is not None
    longest = {"hour": timedelta(hours=interval), "day": timedelta(days=interval)}
    assert after < at <= after + longest.get(unit, timedelta(days=31 * interval + 3))


def test_the_latest_moment_counts_even_if_it_has_passed() -> None:
    latest = LAST + timedelta(days=5)
    assert next_rotation(on(1, "month"), LAST, latest=latest, after=LAST + timedelta(days=9)) == latest
