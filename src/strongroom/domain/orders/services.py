"""The services about orders of public certificates, put together."""

from __future__ import annotations

from strongroom.domain.orders.cleaning import CleanupSteps
from strongroom.domain.orders.context import OrderContext
from strongroom.domain.orders.machine import OrderSteps
from strongroom.domain.orders.manual import ManualOrders
from strongroom.domain.orders.ordering import Ordering
from strongroom.domain.orders.peers import PeerWatch
from strongroom.domain.orders.renewal_info import RenewalInfoSteps
from strongroom.domain.orders.settling import Settling
from strongroom.domain.orders.sweeping import OrderSweep
from strongroom.kernel.value import value


@value
class OrderServices:
    """Everything that is done about orders."""

    ordering: Ordering
    manual: ManualOrders
    steps: OrderSteps
    cleanup: CleanupSteps
    renewal_info: RenewalInfoSteps
    sweep: OrderSweep

    @classmethod
    def build(cls, context: OrderContext) -> OrderServices:
        """Return the services over one context."""
        settling, manual, watch = Settling(context), ManualOrders(context), PeerWatch()
        return cls(
            ordering=Ordering(context, manual),
            manual=manual,
            steps=OrderSteps(context, settling, watch),
            cleanup=CleanupSteps(context, watch),
            renewal_info=RenewalInfoSteps(context),
            sweep=OrderSweep(context, settling),
        )
