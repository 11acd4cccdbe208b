"""On which days people hear of an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.notifications.ladder import NOTICE_DAYS, days_left, first_look, next_look, sub_type

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "wait"),
    [
        (200 * DAY, 109 * DAY),
        (91 * DAY, timedelta()),
        (91 * DAY - SECOND, None),
        (90 * DAY, None),
        (90 * DAY - SECOND, 29 * DAY - SECOND),
        (30.5 * DAY, None),
        (DAY, None),
        (SECOND, None),
        (timedelta(), DAY),
        (-SECOND, DAY - SECOND),
        (-2.5 * DAY, 0.5 * DAY),
    ],
)
def test_first_look_is_now_on_a_day_of_notice_and_else_when_the_next_begins(
    left: timedelta, wait: timedelta | None
) -> None:
    found = first_look(NOW + left, NOW)

    expected = NOW if wait is None else NOW + wait
    assert timedelta() <= found - expected <= timedelta(microseconds=1)


@pytest.mark.parametrize(("days", "name"), [(90, "in_90_days"), (10, "in_10_days"), (1, "in_1_day"), (0, "in_0_days")])
def test_sub_types_are_those_of_the_contract(days: int, name: str) -> None:
    assert sub_type(days) == name


def test_an_end_that_never_comes_is_looked_at_late() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert days_left(end, first_look(end, NOW)) == NOTICE_DAYS[0]


@given(st.timedeltas(min_value=-400 * DAY, max_value=400 * DAY))
def test_whoever_looks_when_told_to_hears_of_each_day_once(left: timedelta) -> None:
    end, at = NOW + left, first_look(NOW + left, NOW)
    heard: list[int] = []
    while at <= end:
        heard.append(days_left(end, at))
        following = next_look(end, at)
        assert following > at
        at = following

    assert heard == [days for days in NOTICE_DAYS if end > NOW and days <= days_left(end, NOW)]
    assert timedelta() < next_look(end, at) - at <= DAY


@given(st.timedeltas(min_value=-400 * DAY, max_value=400 * DAY), st.timedeltas(min_value=SECOND, max_value=40 * DAY))
def test_whoever_looks_late_is_never_sent_back(left: timedelta, late: timedelta) -> None:
    end = NOW + left

    assert next_look(end, NOW + late) > NOW + late
