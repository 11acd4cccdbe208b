"""When something about identities changed, as far as this process knows."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock

POLL_EVERY: Final = timedelta(seconds=2)
"""How soon a change made by another process is noticed (at most 5 s are promised)."""

_GIVE_UP_AFTER = timedelta(seconds=5)
"""A change that is not visible by then was rolled back."""


class Generations:
    """The generation of identities that a cached answer must not be older than.

    A unit that changes identities announces its generation before its commit. Readers that still
    see an older one do not keep what they read, so a change of this process counts from its
    commit on, and never from a stale copy. What other processes changed is found by reading the
    stored number every `POLL_EVERY`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._confirmed = 0
        self._announced_at: datetime | None = None
        self._polled_at: datetime | None = None
        self.required = 0

    def announce(self, unit: Unit) -> None:
        """Note the generation that the unit is about to commit; called at the end of every change."""
        generation = unit.identities.generation()
        with self._lock:
            self.required = max(self.required, generation)
            self._announced_at = self._clock.now()

    def poll_due(self, now: datetime) -> bool:
        """Tell whether the stored number is to be read again."""
        # A clock that was set back must not silence it.
        return self._polled_at is None or not self._polled_at <= now < self._polled_at + POLL_EVERY

    def read(self, unit: ReadUnit) -> int:
        """Read the stored number; what the same unit reads next is at least as new."""
        generation = unit.identities.generation()
        now = self._clock.now()
        with self._lock:
            self._polled_at = now
            self._confirmed = max(self._confirmed, generation)
            if self._confirmed >= self.required:
                self.required = self._confirmed
                self._announced_at = None
            elif self._announced_at is None or now - self._announced_at > _GIVE_UP_AFTER:
                # The unit that announced it was rolled back.
                self.required = self._confirmed
                self._announced_at = None
        return generation
