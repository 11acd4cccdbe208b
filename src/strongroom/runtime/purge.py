"""Clearing away what nobody asks for any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from strongroom.domain.ports import Storage, Unit
from strongroom.kernel.clock import Clock

_BATCH: Final = 1000
_JOBS_KEPT: Final = timedelta(days=30)
_DELIVERIES_KEPT: Final = timedelta(days=30)
_ISSUED_KEPT: Final = timedelta(days=30)
"""How long issued certificates are known after their end; revocation lists leave them out from the end on."""
_ORDERS_KEPT: Final = timedelta(days=30)
_CA_USES_KEPT: Final = timedelta(days=31)
"""Longer than any limit of a CA looks back."""


class Purge:
    """Deletes ended jobs and orders, old events and the like, a batch in each unit of work.

    Args:
        storage: what grows.
        clock: says what is old.
        events_kept: how long events stay in the outbox.
    """

    every: Final = timedelta(hours=1)

    def __init__(self, storage: Storage, clock: Clock, events_kept: timedelta) -> None:
        self._storage = storage
        self._clock = clock
        self._events_kept = events_kept

    def run(self) -> None:
        """Delete what is old."""
        now = self._clock.now()
        self._all(lambda unit: unit.jobs.purge_ended(now - _JOBS_KEPT, _BATCH))
        self._all(lambda unit: unit.events.purge(now - self._events_kept, _BATCH))
        self._all(lambda unit: unit.notifications.purge_deliveries(now - _DELIVERIES_KEPT, _BATCH))
        self._all(lambda unit: unit.authorities.purge_issued(now - _ISSUED_KEPT, _BATCH))
        self._all(lambda unit: unit.orders.purge(now - _ORDERS_KEPT, _BATCH))
        self._all(lambda unit: unit.orders.purge_uses(now - _CA_USES_KEPT, _BATCH))
        self._storage.write(lambda unit: unit.identities.purge_refresh_tokens(now))

    def _all(self, purge: Callable[[Unit], int]) -> None:
        while self._storage.write(purge) == _BATCH:
            pass
