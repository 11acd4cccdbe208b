from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.time import (
    EPOCH,
    add_months,
    format_rfc3339,
    from_microseconds,
    parse_duration,
    parse_rfc3339,
    to_microseconds,
)

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(INSTANTS)
def test_microseconds_and_instants_are_the_same_thing(instant: datetime) -> None:
    assert from_microseconds(to_microseconds(instant)) == instant


def test_the_epoch_is_zero_and_times_before_it_are_negative() -> None:
    assert to_microseconds(EPOCH) == 0
    assert to_microseconds(EPOCH - timedelta(microseconds=1)) == -1


@given(INSTANTS)
def test_what_is_written_can_be_read_to_the_second(instant: datetime) -> None:
    assert parse_rfc3339(format_rfc3339(instant), field="at") == instant.replace(microsecond=0)


def test_instants_are_written_in_utc_with_whole_seconds() -> None:
    local = datetime(2026, 3, 2, 10, 14, 7, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert format_rfc3339(local) == "2026-03-02T09:14:07Z"
    assert format_rfc3339(datetime(33, 1, 2, tzinfo=UTC)) == "0033-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02T12:00:00Z", NOON),
        ("2026-03-02t12:00:00z", NOON),
        ("2026-03-02T14:30:00+02:30", NOON),
        ("2026-03-02T07:00:00-05:00", NOON),
        ("2026-03-02T12:00:00.25Z", NOON + timedelta(milliseconds=250)),
        ("2026-03-02T12:00:00.123456789Z", NOON + timedelta(microseconds=123_456)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, instant: datetime) -> None:
    assert parse_rfc3339(text, field="at") == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02",
        "2026-03-02T12:00:00",
        "2026-03-02 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-02T25:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:60Z",
        "2026-03-02T12:00:00Z\n",
        "\u0662\u0660\u0662\u0666-03-02T12:00:00Z",
    ],
)
def test_another_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="expires must be an RFC 3339 date and time such as") as caught:
        parse_rfc3339(text, field="expires")
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FIELD, "expires")


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2028, 1, 31), 1, (2028, 2, 29)),
        ((2026, 12, 15), 1, (2027, 1, 15)),
        ((2026, 3, 31), -1, (2026, 2, 28)),
        ((2026, 1, 1), -1, (2025, 12, 1)),
        ((2026, 5, 31), 25, (2028, 6, 30)),
    ],
)
def test_a_day_that_a_month_lacks_becomes_its_last_day(
    start: tuple[int, int, int], months: int, end: tuple[int, int, int]
) -> None:
    assert add_months(datetime(*start, 8, 30, tzinfo=UTC), months) == datetime(*end, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90", timedelta(seconds=90)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("0", timedelta()),
    ],
)
def test_a_duration_has_an_optional_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text, field="ttl") == duration


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5h", "1w", "1h30m", " 1d", "1d\n", "\u0661d", "1" * 11])
def test_another_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="ttl must be a whole number") as caught:
        parse_duration(text, field="ttl")
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FIELD, "ttl")


def test_a_duration_beyond_all_calendars_is_refused() -> None:
    with pytest.raises(Invalid, match="ttl is longer than any certificate can live"):
        parse_duration("9999999999d", field="ttl")
