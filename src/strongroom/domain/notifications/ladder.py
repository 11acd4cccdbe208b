"""On which days before and after its end people hear of something that expires. Source: contract domain section 7.1."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

NOTICE_DAYS: Final = (90, 60, 30, 10, 1, 0)
"""Whole days of life left at which people are told; each on its day only."""

_DAY: Final = timedelta(days=1)
_JUST_AFTER: Final = timedelta(microseconds=1)


def days_left(end: datetime, now: datetime) -> int:
    """Return how many whole days are left; below zero after the end."""
    return (end - now) // _DAY


def sub_type(days: int) -> str:
    """Return the sub type of the event: ``in_30_days``, ``in_1_day``."""
    return f"in_{days}_{'day' if days == 1 else 'days'}"


def first_look(end: datetime, now: datetime) -> datetime:
    """Return when to look first at something that ends then and that nobody was told of: now, on a day of notice."""
    return now if end > now and days_left(end, now) in NOTICE_DAYS else next_look(end, now)


def next_look(end: datetime, now: datetime) -> datetime:
    """Return when the next day of notice begins, later than ``now``; after the end every day is one."""
    for days in NOTICE_DAYS:
        begins = end - days * _DAY - _DAY + _JUST_AFTER
        if begins > now:
            return begins
    return end + (max(0, (now - end) // _DAY) + 1) * _DAY
