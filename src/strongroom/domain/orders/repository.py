"""What the store keeps about orders; part of the contract in `strongroom.domain.ports`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from strongroom.domain.orders.model import CaUse, Order, RenewalCheck
from strongroom.kernel.ids import JobId, SecretId


class OrderRepository(Protocol):
    """Orders of public certificates, what counts against the limits of CAs, and when to ask them about renewal."""

    def find(self, order_id: JobId) -> Order | None: ...

    def find_for_update(self, order_id: JobId) -> Order | None:
        """Read it so that no other unit changes it before this one commits."""
        ...

    def find_many(self, order_ids: Sequence[JobId]) -> Mapping[JobId, Order]: ...

    def open_of_secret(self, secret_id: SecretId) -> Order | None:
        """Return the order of a secret that is worked on; there is one at most."""
        ...

    def last_of_secret(self, secret_id: SecretId) -> Order | None: ...

    def open_total(self) -> int: ...

    def add(self, order: Order) -> None:
        """Store a new order.

        Raises:
            Conflict: ``already_exists`` if an open order is for the same names, or for the same secret.
        """
        ...

    def save(self, order: Order) -> Order:
        """Store a changed order; return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read.
            NotFound: it is not there any more.
        """
        ...

    def forsaken(self, limit: int) -> Sequence[JobId]:
        """Return open orders whose job has ended or is gone, or whose secret is gone."""
        ...

    def with_records(self, limit: int) -> Sequence[JobId]:
        """Return ended orders that may have left TXT records behind."""
        ...

    def purge(self, before: datetime, limit: int) -> int:
        """Forget orders that ended before then and left nothing behind, oldest first; return how many."""
        ...

    def note_use(self, use: CaUse) -> None: ...

    def uses(self, ca_key: str, kind: str, subject: str, since: datetime) -> Sequence[datetime]:
        """Return when a CA was used so since then, oldest first."""
        ...

    def purge_uses(self, before: datetime, limit: int) -> int: ...

    def put_renewal_check(self, check: RenewalCheck) -> None:
        """Store it in place of the secret's last one."""
        ...

    def find_renewal_check(self, secret_id: SecretId) -> RenewalCheck | None: ...

    def remove_renewal_check(self, secret_id: SecretId) -> None: ...

    def renewal_checks_due(self, now: datetime, limit: int) -> Sequence[RenewalCheck]:
        """Return those to be asked again, longest due first."""
        ...
