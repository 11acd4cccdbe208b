"""How orders end: issued, failed or cancelled; and what the secret, the trail and other people learn of it.

Everything here happens inside one unit of work.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.access.actions import Action
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.orders.context import ISSUANCE, OrderContext, issuance_info, opened
from strongroom.domain.orders.faults import Fault, FaultCode, Side, reason_of
from strongroom.domain.orders.model import MANUAL, Order, OrderState, OrderTrigger
from strongroom.domain.orders.renewal_time import first_check, next_attempt
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.adding import NextVersion, add_version
from strongroom.domain.secrets.context import VersionView
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.lifecycle import automatic_entry
from strongroom.domain.secrets.model import Secret, State
from strongroom.kernel.ids import VersionId

CLEANUP: Final = "public_cert.cleanup"
"""Kind of the job that removes TXT records."""

_LAST_WRITES: Final = timedelta(minutes=5)
"""Until a step that nobody can stop any more has come to its end, at a provider that takes its time."""


class Settling:
    """Ends orders."""

    def __init__(self, context: OrderContext) -> None:
        self._context = context

    def issued(self, unit: Unit, order: Order, made: NextVersion) -> VersionView | None:
        """Store the certificate; ``None`` if the secret was deleted meanwhile, which ends the order, too."""
        now = self._context.now()
        secret = unit.secrets.find_for_update(order.secret_id)
        if secret is None:
            self.forsake(unit, order)
            return None
        event = EventType.CREATED if order.trigger is OrderTrigger.CREATE else EventType.ROTATED
        view = add_version(self._context.secrets, unit, secret, made, event=event)
        self._end(unit, order, OrderState.ISSUED, version_id=made.id)
        if order.dns != MANUAL:
            unit.orders.put_renewal_check(first_check(secret.id, made.id, now))
        unit.audit(automatic_entry(Action.SECRET_VERSION_CREATE, view.secret, now))
        return view

    def failed(self, unit: Unit, order: Order, fault: Fault, *, state: OrderState = OrderState.FAILED) -> None:
        """End an order that came to nothing: a first one deactivates its secret, a renewal is tried again later."""
        now, reason = self._context.now(), reason_of(fault)
        self._release(unit, order, now)
        ended = self._end(unit, order, state, fault=fault)
        secret = unit.secrets.find_for_update(order.secret_id)
        if secret is None:
            return
        shown = replace(
            secret, attributes={**secret.attributes, ISSUANCE: issuance_info(ended, reason)}, updated_at=now
        )
        if order.trigger is OrderTrigger.CREATE:
            saved = unit.secrets.save(replace(shown, state=State.DEACTIVATED, next_rotation_at=None))
            event = EventType.CREATION_FAILED
        else:
            again = None if order.dns == MANUAL else self._next_attempt(shown, now, fault.retry_after)
            saved = unit.secrets.save(replace(shown, rotation_status="failed", next_rotation_at=again))
            event = EventType.ROTATION_FAILED
        self._context.secrets.outbox.emit(unit, event, saved, by=order.by, at=now, reason=fault.detail)
        unit.audit(automatic_entry(Action.SECRET_VERSION_CREATE, saved, now, fault))

    def cancelled(self, unit: Unit, order: Order) -> None:
        """End an order whose job somebody cancelled."""
        fault = Fault(FaultCode.CANCELLED, "The order was cancelled.", side=Side.ORDER)
        self.failed(unit, order, fault, state=OrderState.CANCELLED)

    def forsake(self, unit: Unit, order: Order) -> None:
        """End an order whose secret is gone."""
        self._release(unit, order, self._context.now())
        self._end(unit, order, OrderState.CANCELLED)

    def _release(self, unit: Unit, order: Order, now: datetime) -> None:
        ca, _ = opened(lambda: self._context.cas.account(unit, order.ca))
        if ca is not None:
            self._context.ledger.note_ended(unit, ca, order, now)

    def _end(
        self,
        unit: Unit,
        order: Order,
        state: OrderState,
        *,
        fault: Fault | None = None,
        version_id: VersionId | None = None,
    ) -> Order:
        now = self._context.now()
        reason = reason_of(fault) if fault is not None else None
        problem = None
        if reason is not None:
            problem = {"code": reason.code, "message": reason.message, "reference_code": reason.reference_code}
        # The key is in the version now, or of no use.
        ended = unit.orders.save(
            replace(order, state=state, problem=problem, version_id=version_id, sealed_key=None, updated_at=now)
        )
        queue_cleanup(unit, ended, now)
        return ended

    def _next_attempt(self, secret: Secret, now: datetime, retry_after: timedelta | None) -> datetime | None:
        if not secret.rotation or not secret.rotation.get("auto_rotate"):
            return None
        return next_attempt(now, expires_at=secret.expires_at, retry_after=retry_after, key=secret.id)


def queue_cleanup(unit: Unit, order: Order, now: datetime) -> bool:
    """Queue the removal of an ended order's TXT records, and tell whether that was necessary."""
    if not order.has_records:
        return False
    # Whoever worked on an order that somebody else ended may be writing its records at this moment.
    begins = now + _LAST_WRITES if order.state is OrderState.CANCELLED else now
    job = new_job(
        CLEANUP,
        dedupe_key=f"{CLEANUP}:{order.id}",
        now=now,
        data={"order_id": order.id},
        secret_id=None,
        run_at=begins,
    )
    return unit.jobs.enqueue(job)
