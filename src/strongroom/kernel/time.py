"""UTC helpers: microseconds for storage, RFC 3339 for the wire, calendar months, durations."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

from strongroom.kernel.errors import ErrorCode, Invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d{2}):(\d{2}))",
    re.ASCII,
)
_DURATION = re.compile(r"(\d{1,10})([smhd]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def to_microseconds(instant: datetime) -> int:
    """Return microseconds since the Unix epoch."""
    return (instant - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return the instant, aware, in UTC."""
    # By position: a fifth quicker than by keyword, and a read does it five times.
    return EPOCH + timedelta(0, 0, value)


def format_rfc3339(instant: datetime) -> str:
    """Return ``2026-03-02T09:14:07Z``: whole seconds, UTC (api-v2 section 6, question 19)."""
    at = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    # Twice as fast as `isoformat`, which looks for an offset; an answer has half a dozen of them.
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (at.year, at.month, at.day, at.hour, at.minute, at.second)  # noqa: UP031


def parse_rfc3339(text: str, *, field: str) -> datetime:
    """Read an RFC 3339 timestamp with any offset.

    Raises:
        Invalid: ``invalid_field`` if the text is no such timestamp.

    Source: RFC 3339 section 5.6.
    """
    match = _RFC3339.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second, fraction, _, sign, off_h, off_m = match.groups()
        micro = int((fraction or "0").ljust(6, "0")[:6])
        # RFC 3339 allows a leap second; it is the first instant of the next minute here.
        leap = 1 if second == "60" else 0
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second) - leap, micro, tzinfo=UTC)
        at += timedelta(seconds=leap)
        if sign:
            offset = timedelta(hours=int(off_h), minutes=int(off_m))
            at = at - offset if sign == "+" else at + offset
    except (ValueError, OverflowError):
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{field} must be an RFC 3339 date and time such as 2027-01-31T12:00:00Z.",
            field=field,
        ) from None
    return at


def add_months(start: datetime, months: int) -> datetime:
    """Add calendar months; a day that the month lacks becomes its last day."""
    index = start.year * 12 + start.month - 1 + months
    year, month = divmod(index, 12)
    month += 1
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))


def parse_duration(text: str, *, field: str) -> timedelta:
    """Read ``90``, ``90s``, ``30m``, ``12h`` or ``7d``; a bare number is seconds.

    Raises:
        Invalid: ``invalid_field`` if the text has another form.

    Source: api-v2 section 1.4.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{field} must be a whole number with an optional unit s, m, h or d, such as 90d or 2160h.",
            field=field,
        )
    try:
        return timedelta(seconds=int(match[1]) * _UNIT_SECONDS[match[2]])
    except OverflowError:
        raise Invalid(
            ErrorCode.INVALID_FIELD, f"{field} is longer than any certificate can live.", field=field
        ) from None
