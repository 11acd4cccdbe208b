"""Renewal comes in time, whatever the life of a certificate; what failed comes again; fleets are spread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.orders.acme import RenewalWindow
from strongroom.domain.orders.model import RenewalCheck
from strongroom.domain.orders.renewal_time import (
    CHECK_FIRST_WITHIN,
    answered,
    choose_in_window,
    first_check,
    next_attempt,
    renew_at,
    unanswered,
)
from strongroom.kernel.ids import SecretId, VersionId

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

instants = st.timedeltas(min_value=timedelta(days=-2_000), max_value=timedelta(days=20_000)).map(lambda at: NOW + at)
lives = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=900))
keys = st.text(max_size=20)


def check(**changes: object) -> RenewalCheck:
    fields: dict[str, object] = {"secret_id": SecretId("s1"), "version_id": VersionId("v1"), "check_at": NOW}
    return RenewalCheck(**(fields | changes))  # type: ignore[arg-type]


def window(start: timedelta, end: timedelta, **changes: object) -> RenewalWindow:
    fields: dict[str, object] = {"explanation_url": None, "check_again": 6 * HOUR}
    return RenewalWindow(start=NOW + start, end=NOW + end, **(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("life", "before"),
    [
        (398 * DAY, 31 * DAY),
        (90 * DAY, 31 * DAY),
        (90 * DAY - SECOND, (90 * DAY - SECOND) / 3),
        (45 * DAY, 15 * DAY),
        (10 * DAY, 10 * DAY / 3),
        (10 * DAY - SECOND, (10 * DAY - SECOND) / 2),
        (6 * DAY, 3 * DAY),
        (160 * HOUR, 80 * HOUR),
        (HOUR, HOUR / 2),
        (SECOND, SECOND / 2),
    ],
)
def test_certificate_is_due_at_its_part_of_life(life: timedelta, before: timedelta) -> None:
    not_after = NOW + life - SECOND

    assert not_after - renew_at(NOW, not_after) == before


def test_ninety_days_of_a_ca_that_counts_both_end_seconds_are_ninety() -> None:
    not_before = datetime(2026, 3, 1, 0, 0, 0, tzinfo=UTC)
    not_after = datetime(2026, 5, 29, 23, 59, 59, tzinfo=UTC)

    assert renew_at(not_before, not_after) == not_after - 31 * DAY


@given(not_before=instants, life=lives, key=keys)
def test_jitter_is_never_later_than_the_rule_and_never_much_earlier(
    not_before: datetime, life: timedelta, key: str
) -> None:
    not_after = not_before + life
    rule = renew_at(not_before, not_after)

    at = renew_at(not_before, not_after, key=key)

    assert not_before - SECOND <= at <= rule <= not_after
    assert rule - at <= min(6 * HOUR, (life + SECOND) / 360)
    assert renew_at(not_before, not_after, key=key) == at


def test_certificate_that_ends_before_it_begins_is_due_at_its_end() -> None:
    assert renew_at(NOW, NOW - DAY) == NOW - DAY


def test_fleet_that_was_issued_together_is_not_renewed_in_one_minute() -> None:
    due = [renew_at(NOW, NOW + 90 * DAY - SECOND, key=f"{number:032x}") for number in range(720)]

    per_minute: dict[datetime, int] = {}
    for at in due:
        minute = at.replace(second=0, microsecond=0)
        per_minute[minute] = per_minute.get(minute, 0) + 1

    assert len(per_minute) > 250
    assert max(per_minute.values()) < 12


@pytest.mark.parametrize(
    ("left", "retry_after", "wait"),
    [
        (None, None, DAY),
        (31 * DAY, None, DAY),
        (8 * DAY, None, DAY),
        (4 * DAY, None, 12 * HOUR),
        (DAY, None, 3 * HOUR),
        (HOUR, None, HOUR),
        (timedelta(), None, HOUR),
        (-DAY, None, 3 * HOUR),
        (-8 * DAY, None, DAY),
        (-400 * DAY, None, DAY),
        (31 * DAY, 3 * HOUR, 3 * HOUR),
        (31 * DAY, 3 * DAY, 3 * DAY),
        (31 * DAY, timedelta(), timedelta(minutes=10)),
        (31 * DAY, 300 * DAY, 7 * DAY),
        (6 * DAY, 300 * DAY, 3 * DAY),
        (DAY, 300 * DAY, DAY),
        (-DAY, 300 * DAY, DAY),
        (None, 300 * DAY, 4 * DAY),
    ],
)
def test_failed_renewal_is_tried_again(left: timedelta | None, retry_after: timedelta | None, wait: timedelta) -> None:
    expires_at = None if left is None else NOW + left

    assert next_attempt(NOW, expires_at=expires_at, retry_after=retry_after) == NOW + wait


@given(
    left=st.none() | st.timedeltas(min_value=timedelta(days=-2000), max_value=timedelta(days=2000)),
    retry_after=st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=4000)),
    key=st.none() | keys,
)
def test_next_attempt_comes_soon_enough_and_not_at_once(
    left: timedelta | None, retry_after: timedelta | None, key: str | None
) -> None:
    expires_at = None if left is None else NOW + left

    wait = next_attempt(NOW, expires_at=expires_at, retry_after=retry_after, key=key) - NOW

    assert timedelta(minutes=10) <= wait <= 7 * DAY
    if retry_after is None:
        assert wait <= DAY
    if left is not None and left > 2 * DAY:
        assert wait <= left / 2


def test_renewals_that_failed_together_are_not_tried_together() -> None:
    tries = {next_attempt(NOW, expires_at=NOW + 31 * DAY, key=f"{number}") for number in range(100)}

    assert len(tries) == 100
    assert max(tries) - min(tries) > HOUR / 2
    assert next_attempt(NOW, expires_at=None, key="a") == next_attempt(NOW, expires_at=None, key="a")


@given(start=instants, length=lives, key=keys, offset=st.timedeltas(min_value=-900 * DAY, max_value=900 * DAY))
def test_instant_lies_within_the_window_or_is_now(
    start: datetime, length: timedelta, key: str, offset: timedelta
) -> None:
    now = start + offset

    at = choose_in_window(start, start + length, now, key=key)

    assert at == now or (start <= at <= start + length and at > now)


def test_instants_are_spread_over_the_whole_window() -> None:
    chosen = [choose_in_window(NOW, NOW + 10 * DAY, NOW, key=f"{number}") for number in range(500)]

    days = [sum((at - NOW) // DAY == day for at in chosen) for day in range(10)]
    assert min(days) > 25
    assert max(days) < 80


def test_instant_within_the_window_is_chosen_once() -> None:
    first = answered(check(failures=2), window(5 * DAY, 6 * DAY, explanation_url="https://ca.example.com/why"), NOW)
    second = answered(first, window(5 * DAY, 6 * DAY), NOW + 6 * HOUR)

    assert first.renew_at is not None
    assert NOW + 5 * DAY <= first.renew_at < NOW + 6 * DAY
    assert (first.failures, first.explanation_url) == (0, "https://ca.example.com/why")
    assert first.check_at == NOW + 6 * HOUR
    assert second.renew_at == first.renew_at
    assert second.check_at == NOW + 12 * HOUR


def test_instant_in_the_past_is_not_moved_by_asking_again() -> None:
    first = answered(check(), window(-2 * DAY, -DAY), NOW)
    second = answered(first, window(-2 * DAY, -DAY), NOW + DAY)

    assert first.renew_at == second.renew_at == NOW


def test_window_that_moved_brings_another_instant() -> None:
    first = answered(check(), window(5 * DAY, 6 * DAY), NOW)
    moved = answered(first, window(-DAY, -HOUR), NOW + HOUR)
    back = answered(moved, window(20 * DAY, 21 * DAY), NOW + 2 * HOUR)

    assert moved.renew_at == NOW + HOUR
    assert back.renew_at is not None
    assert back.renew_at >= NOW + 20 * DAY


@pytest.mark.parametrize("end", [5 * DAY, 4 * DAY])
def test_empty_window_counts_as_no_answer(end: timedelta) -> None:
    asked = answered(check(renew_at=NOW + DAY), window(5 * DAY, end), NOW)

    assert asked == unanswered(check(renew_at=NOW + DAY), NOW)


def test_question_without_an_answer_is_asked_less_and_less_often() -> None:
    asked, now, waits = check(renew_at=NOW + DAY), NOW, []
    for _ in range(6):
        asked = unanswered(asked, now)
        waits.append(asked.check_at - now)
        now = asked.check_at

    assert waits == [HOUR / 6, HOUR / 2, 2 * HOUR, 6 * HOUR, 6 * HOUR, 6 * HOUR]
    assert asked.failures == 6
    assert asked.renew_at == NOW + DAY


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(timedelta(), HOUR / 6), (5 * HOUR, 5 * HOUR), (90 * DAY, DAY)], ids=str
)
def test_ca_says_when_to_ask_again_within_a_day(retry_after: timedelta, wait: timedelta) -> None:
    assert unanswered(check(), NOW, retry_after).check_at == NOW + wait


def test_first_questions_are_spread() -> None:
    checks = [first_check(SecretId("s1"), VersionId(f"v{number}"), NOW) for number in range(100)]

    assert all(NOW <= item.check_at < NOW + CHECK_FIRST_WITHIN for item in checks)
    assert len({item.check_at for item in checks}) == 100
    assert checks[0] == RenewalCheck(secret_id=SecretId("s1"), version_id=VersionId("v0"), check_at=checks[0].check_at)
