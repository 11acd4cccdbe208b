"""When a server wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from strongroom.net.retry_after import parse_retry_after

_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("86400", 86400),
        ("86401", 86400),
        ("999999999999999999", 86400),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30),
        ("Sunday, 22-Nov-26 12:00:30 GMT", 30),
        ("Sun Nov 22 12:00:30 2026", 30),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30),
        ("Sun, 22 Nov 2026 13:00:30 +0100", 30),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
    ],
)
def test_seconds_and_dates_are_read_within_bounds(text: str, seconds: int) -> None:
    assert parse_retry_after(text, now=_NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "soon", "-5", "1.5", "1e9", "\u0661\u0662", "9" * 5000),
        *("Sun, 99 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 99999999 12:00"),
    ],
)
def test_what_makes_no_sense_is_ignored(text: str | None) -> None:
    assert parse_retry_after(text, now=_NOW) is None


def test_the_bound_is_the_callers() -> None:
    assert parse_retry_after("600", now=_NOW, longest=timedelta(minutes=1)) == timedelta(minutes=1)
