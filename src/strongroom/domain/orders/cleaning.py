"""Removing TXT records once their order has ended, however it ended. Source: contract domain section 4.2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from strongroom.domain.configurations.model import Configuration
from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Failed, Step, Stumbled
from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.context import OrderContext
from strongroom.domain.orders.faults import Fault, Side, fault_of, job_error
from strongroom.domain.orders.model import Order, OrderRecord, OrderState, RecordState
from strongroom.domain.orders.peers import PeerWatch, dns_peer
from strongroom.domain.orders.placing import open_session
from strongroom.domain.orders.settling import CLEANUP
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import Invalid, StrongroomError, Unavailable, Upstream
from strongroom.kernel.ids import ConfigurationId, JobId

_AT_ONCE: Final = 10
_WAITS: Final = tuple(timedelta(seconds=wait) for wait in (5, 15, 60, 300, 900, 3600))
_GIVEN_UP_AFTER: Final = timedelta(days=7)
_LEFT: Final = "dns_records_left"
_SHOWN: Final = 5


class CleanupSteps:
    """Removes the TXT records of ended orders."""

    kind: Final = CLEANUP

    def __init__(self, context: OrderContext, watch: PeerWatch) -> None:
        self._context = context
        self._watch = watch

    def run(self, job: Job) -> Step:
        """Remove some records; trouble with one configuration does not keep those of another."""
        order = self._context.secrets.storage.read(lambda unit: unit.orders.find(_order_id(job)))
        if order is None or order.state is OrderState.OPEN or not order.has_records:
            return Done()
        given_up = self._give_up_proofs(order, job)
        records, trouble, removed = list(order.records), None, 0
        silent: set[ConfigurationId] = set()
        for index, item in enumerate(records):
            if item.state not in {RecordState.PLANNED, RecordState.WRITTEN} or removed >= _AT_ONCE:
                continue
            if item.configuration_id not in silent:
                try:
                    records[index] = replace(item, state=self._remove(item))
                    removed += 1
                    continue
                except (Unavailable, Upstream, Invalid) as error:
                    trouble = trouble or error
                    if isinstance(error, Unavailable):
                        silent.add(item.configuration_id)
            if job.created_at + _GIVEN_UP_AFTER <= self._context.now():
                records[index] = replace(item, state=RecordState.LOST)
        going_on = Continue(job.step, {**job.data, "given_up": given_up})
        return Commit(lambda unit: self._store(unit, order, records, trouble, job, going_on))

    def _remove(self, item: OrderRecord) -> RecordState:
        def find(unit: ReadUnit) -> Configuration | None:
            return unit.configurations.find_by_id(item.configuration_id)

        configuration = self._context.secrets.storage.look(find)
        if configuration is None:
            # Whoever deleted it was warned; nobody else can write to that zone.
            return RecordState.LOST
        with self._watch.asking(dns_peer(configuration.name)):
            self._context.dns.of(configuration).cleanup(item.record, item.handle)
        return RecordState.REMOVED

    def _store(
        self,
        unit: Unit,
        order: Order,
        records: list[OrderRecord],
        trouble: StrongroomError | None,
        job: Job,
        going_on: Continue,
    ) -> Ended:
        now = self._context.now()
        saved = unit.orders.save(replace(order, records=tuple(records), updated_at=now))
        if not saved.has_records:
            left = [item.record.name for item in saved.records if item.state is RecordState.LOST]
            return _left_behind(left) if left else Done()
        if trouble is None:
            return going_on
        wait = max(_WAITS[min(job.attempts, len(_WAITS) - 1)], trouble.retry_after or timedelta())
        return Stumbled(job_error(_shown(trouble, order)), now + wait)

    def _give_up_proofs(self, order: Order, job: Job) -> int:
        """Tell the CA that nobody proves these names any more: open proofs count against its limits.

        Returns:
            How many were given up by now, or left to lapse.
        """
        begin = int(job.data.get("given_up", 0))
        owed = [item for item in order.challenges if item.status is AcmeStatus.PENDING]
        if order.state is OrderState.ISSUED or job.attempts or begin >= len(owed):
            return begin
        ca = self._context.secrets.storage.look(lambda unit: self._context.cas.account(unit, order.ca))
        if ca is None:
            return len(owed)
        try:
            session = open_session(self._context, ca)
            for challenge in owed[begin : begin + _AT_ONCE]:
                session.deactivate(challenge.authorization_url)
        except (Unavailable, Upstream, Invalid):
            # A courtesy: they lapse by themselves.
            return len(owed)
        return begin + _AT_ONCE


def _left_behind(names: Sequence[str]) -> Failed:
    shown = ", ".join(dict.fromkeys(names[:_SHOWN]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Failed(
        _LEFT,
        f"The server could not remove the TXT records of an order that has ended: {shown}{more}. "
        "Remove them by hand; they are of no use to anybody.",
    )


def _shown(trouble: StrongroomError, order: Order) -> Fault:
    return fault_of(trouble, side=Side.DNS, peer=f"the DNS configuration {order.dns}")


def _order_id(job: Job) -> JobId:
    return JobId(str(job.data["order_id"]))
