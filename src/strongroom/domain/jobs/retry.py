"""When a step that went wrong is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

BACK_OFF: Final = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
)
"""Waits after the first, second, ... failure of one step; the last one repeats for ever."""

LONGEST_WAIT: Final = timedelta(days=1)
"""The most that a peer's ``Retry-After`` counts for."""

_SPREAD: Final = 0.2

_chance: Callable[[], float] = random.SystemRandom().random


def next_try(
    attempts: int, now: datetime, *, retry_after: timedelta | None = None, chance: Callable[[], float] = _chance
) -> datetime:
    """Return when to try again.

    The wait of the table is spread by up to a fifth, so that jobs that failed together do not come
    back together. A peer's ``Retry-After`` is never undercut.

    Args:
        attempts: failures of the present step so far, at least 1.
        now: the instant of the failure.
        retry_after: what the peer asked for.
        chance: gives numbers of 0 up to 1.
    """
    wait = BACK_OFF[min(max(attempts, 1), len(BACK_OFF)) - 1]
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_WAIT))
    return now + wait * (1 + _SPREAD * chance())
