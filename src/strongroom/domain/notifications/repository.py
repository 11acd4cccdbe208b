"""What notices need of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from strongroom.domain.notifications.model import Delivery, DeliveryId, Destination, DestinationId, Registration
from strongroom.kernel.result import Page


class NotificationRepository(Protocol):
    """Registration, destinations and deliveries."""

    def registration(self) -> Registration | None:
        """Return what was registered."""
        ...

    def register(self, registration: Registration) -> None:
        """Store it in place of the one before."""
        ...

    def unregister(self) -> bool:
        """Forget it; tell whether there was one."""
        ...

    def find(self, destination_id: DestinationId) -> Destination | None:
        """Return the destination."""
        ...

    def listing(self) -> Sequence[Destination]:
        """Return every destination, oldest first."""
        ...

    def add(self, destination: Destination) -> None:
        """Store a new destination.

        Raises:
            Conflict: ``already_exists`` if there is one of this name.
        """
        ...

    def save(self, destination: Destination) -> Destination:
        """Store a changed destination and return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read, ``already_exists`` for a taken name.
            NotFound: it is not there any more.
        """
        ...

    def remove(self, destination_id: DestinationId) -> bool:
        """Delete it with its deliveries; tell whether it was there."""
        ...

    def add_delivery(self, delivery: Delivery) -> bool:
        """Store a new delivery; ``False`` if its destination is gone."""
        ...

    def find_delivery(self, delivery_id: DeliveryId) -> Delivery | None:
        """Return the delivery."""
        ...

    def save_delivery(self, delivery: Delivery) -> None:
        """Store what came of a try; does nothing for one that is gone."""
        ...

    def next_delivery(self, destination_id: DestinationId) -> Delivery | None:
        """Return the open delivery of a destination that is due first."""
        ...

    def deliveries(self, destination_id: DestinationId, *, limit: int, offset: int) -> Page[Delivery]:
        """Return the deliveries of a destination that were tried, newest first."""
        ...

    def end_deliveries(self, destination_id: DestinationId, at: datetime, message: str) -> int:
        """Mark every open delivery of a destination failed; return how many."""
        ...

    def open_deliveries(self) -> int:
        """Return how many deliveries have not ended."""
        ...

    def purge_deliveries(self, before: datetime, limit: int) -> int:
        """Forget deliveries that ended before then; return how many."""
        ...
