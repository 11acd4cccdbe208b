"""Expiry dates that people set, for the types that have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from strongroom.kernel.errors import Invalid, Problems
from strongroom.kernel.time import parse_rfc3339

FIELD = "expiration_date"


def read_expiration(problems: Problems, values: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return the wished expiry, which must lie ahead; broken rules go to ``problems``."""
    text = values.get(FIELD)
    if text is None:
        return None
    try:
        at = parse_rfc3339(text, field=FIELD)
    except Invalid as error:
        problems.note(error)
        return None
    if at <= now:
        problems.add(FIELD, f"{FIELD} must lie in the future.")
    return at
