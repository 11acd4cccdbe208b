"""One time limit for a whole exchange, however many reads and writes it takes."""

from __future__ import annotations

import time
from datetime import timedelta


class Deadline:
    """Counts down from its making.

    Args:
        limit: how long everything together may take.
    """

    __slots__ = ("_ends", "limit")

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        self._ends = time.monotonic() + limit.total_seconds()

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds
