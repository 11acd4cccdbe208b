"""The back-off table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from strongroom.domain.jobs.retry import BACK_OFF, LONGEST_WAIT, next_try

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def least() -> float:
    return 0.0


def most() -> float:
    return 0.999


@pytest.mark.parametrize(
    ("attempts", "wait"), [(0, 5), (1, 5), (2, 15), (3, 60), (4, 300), (5, 900), (6, 3600), (99, 3600)]
)
def test_waits_grow_by_the_table_and_then_stay(attempts: int, wait: int) -> None:
    assert next_try(attempts, NOW, chance=least) == NOW + timedelta(seconds=wait)


def test_spread_adds_at_most_a_fifth() -> None:
    assert next_try(3, NOW, chance=most) < NOW + timedelta(seconds=72)
    assert BACK_OFF[2] <= next_try(3, NOW) - NOW <= BACK_OFF[2] * 1.2


def test_retry_after_is_never_undercut() -> None:
    assert next_try(1, NOW, retry_after=timedelta(hours=2), chance=least) == NOW + timedelta(hours=2)
    assert next_try(6, NOW, retry_after=timedelta(seconds=1), chance=least) == NOW + timedelta(hours=1)


def test_retry_after_counts_for_a_day_at_most() -> None:
    assert next_try(1, NOW, retry_after=timedelta(days=400), chance=least) == NOW + LONGEST_WAIT
