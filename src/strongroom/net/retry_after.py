"""The header ``Retry-After``. Source: RFC 9110 section 10.2.3."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = timedelta(days=1)
"""Whoever asks for more is asked again after a day."""
_SECONDS: Final = re.compile(r"[0-9]{1,18}")


def parse_retry_after(text: str | None, *, now: datetime, longest: timedelta = LONGEST) -> timedelta | None:
    """Return how long to wait, from zero to ``longest``; ``None`` without the header or if it makes no sense.

    Args:
        text: seconds or an HTTP date.
        now: what a date is counted from.
        longest: bound of the answer.
    """
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(timedelta(seconds=min(int(text), int(longest.total_seconds()))), longest)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        # "-0000" and the old forms: HTTP dates are always in GMT.
        at = at.replace(tzinfo=UTC)
    return max(timedelta(), min(at - now, longest))
