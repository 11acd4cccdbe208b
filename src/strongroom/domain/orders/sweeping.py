"""Ending what nobody works on any more, and queueing what is left to clear away."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from strongroom.domain.orders.context import OrderContext
from strongroom.domain.orders.model import OrderState
from strongroom.domain.orders.settling import Settling, queue_cleanup
from strongroom.domain.ports import Unit

_BATCH: Final = 100


class OrderSweep:
    """Finds orders whose job was cancelled or whose secret was deleted, and records that an ended order left."""

    def __init__(self, context: OrderContext, settling: Settling) -> None:
        self._context = context
        self._settling = settling

    def enqueue_due(self, unit: Unit, now: datetime) -> int:
        """End forsaken orders and queue the removal of what they left; return how many jobs are new."""
        for order_id in unit.orders.forsaken(_BATCH):
            order = unit.orders.find_for_update(order_id)
            if order is None or order.state is not OrderState.OPEN:
                continue
            if unit.secrets.find(order.secret_id) is None:
                self._settling.forsake(unit, order)
            else:
                self._settling.cancelled(unit, order)
        new = 0
        for order_id in unit.orders.with_records(_BATCH):
            order = unit.orders.find(order_id)
            new += order is not None and queue_cleanup(unit, order, now)
        return new
