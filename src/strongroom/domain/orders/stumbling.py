"""What follows when an order does not get on: another try, another order, another CA, or the end.

CA, DNS and proofs each have their own back-off. Source: contract domain section 4.6; design, section 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from strongroom.domain.jobs.steps import Commit, Continue, Ended, Failed, Stumbled
from strongroom.domain.jobs.steps import Step as Outcome
from strongroom.domain.orders.context import ATTEMPT, OrderContext
from strongroom.domain.orders.faults import Fault, FaultCode, Side, job_error, reason_of
from strongroom.domain.orders.model import Order, OrderStep
from strongroom.domain.orders.settling import Settling
from strongroom.domain.orders.turn import Turn
from strongroom.domain.ports import Unit

_MOST_ATTEMPTS: Final = 2
"""Orders at one CA because a proof failed. Source: contract domain section 4.5."""
_BEFORE_ANOTHER: Final = timedelta(minutes=1)
_PATIENCE: Final = 3
"""Failures of one step at a CA, then the order turns to the fallback if there is one."""
_BACK_OFF: Final[Mapping[Side, Sequence[timedelta]]] = {
    Side.CA: tuple(timedelta(seconds=wait) for wait in (10, 30, 60, 120, 300)),
    Side.DNS: tuple(timedelta(seconds=wait) for wait in (5, 15, 30, 60, 120)),
    Side.ORDER: tuple(timedelta(seconds=wait) for wait in (30, 60, 120)),
}
_FAILED_VALIDATIONS: Final = frozenset({FaultCode.DNS_VALIDATION, FaultCode.CAA_FORBIDS})
_RATE_LIMITED: Final = timedelta(minutes=5)
"""When a CA says that there are too many orders and not when to come back."""


class Stumbling:
    """Deals with faults."""

    def __init__(self, context: OrderContext, settling: Settling) -> None:
        self._context = context
        self._settling = settling

    def stumble(self, turn: Turn, fault: Fault) -> Outcome:
        """Decide what follows from a fault: another try, another order, another CA, or the end."""
        now = turn.now()
        if fault.fault is FaultCode.DNS_VALIDATION and not turn.is_manual:
            if turn.order.attempts < _MOST_ATTEMPTS and now + _BEFORE_ANOTHER < turn.deadline:
                order = replace(_anew(turn.order), attempts=turn.order.attempts + 1)
                return self._left(turn, order, fault, Continue(OrderStep.START, in_=_BEFORE_ANOTHER))
            return self.give_up(turn, fault)
        if fault.is_final or fault.fault is FaultCode.DNS_VALIDATION:
            return self._elsewhere(turn, fault) or self.give_up(turn, fault)
        until = now + _wait(fault, turn.job.attempts)
        is_late = until >= turn.deadline
        if is_late or (fault.side is Side.CA and turn.job.attempts + 1 >= _PATIENCE):
            elsewhere = self._elsewhere(turn, fault)
            if elsewhere is not None:
                return elsewhere
        if is_late and fault.fault is FaultCode.CA_RATE_LIMITED and turn.can_wait(until):
            # There is a certificate, and time: the order stays in line.
            turn = replace(turn, order=replace(turn.order, deadline_at=until + ATTEMPT))
        elif is_late:
            return self.give_up(turn, fault)
        return turn.store(
            turn.order, Stumbled(job_error(fault), until), also=lambda unit: self._note(unit, turn, fault)
        )

    def _elsewhere(self, turn: Turn, fault: Fault) -> Outcome | None:
        """Turn to the fallback of the CA, if it has one that was not tried."""
        if fault.side is not Side.CA or turn.is_manual or turn.found_ca is None:
            return None
        name, given_up = turn.found_ca.fallback, (*turn.order.cas_given_up, turn.order.ca)
        if name is None or name in given_up:
            return None
        order = replace(_anew(turn.order), ca=name, cas_given_up=given_up, attempts=1, deadline_at=turn.now() + ATTEMPT)
        return self._left(turn, order, fault, Continue(OrderStep.START))

    def _left(self, turn: Turn, order: Order, fault: Fault, ended: Ended) -> Outcome:
        """Store an order that is placed anew, and take note that the last one came to nothing."""

        def also(unit: Unit) -> None:
            self._note(unit, turn, fault)
            if turn.found_ca is not None:
                self._context.ledger.note_ended(unit, turn.found_ca, turn.order, turn.now())

        return turn.store(order, ended, also=also)

    def _note(self, unit: Unit, turn: Turn, fault: Fault) -> None:
        """Write into the ledger what a CA said about limits and proofs."""
        if turn.found_ca is None:
            return
        names, now = turn.order.names, turn.now()
        if turn.job.step == OrderStep.VALIDATE and fault.fault in _FAILED_VALIDATIONS:
            self._context.ledger.note_failed_validation(unit, turn.found_ca, fault.names or names, now)
        elif fault.fault is FaultCode.CA_RATE_LIMITED and not fault.is_foreseen:
            self._context.ledger.note_held(
                unit, turn.found_ca, names, now, retry_after=fault.retry_after, identifiers=fault.names
            )

    def give_up(self, turn: Turn, fault: Fault) -> Outcome:
        """End the order."""
        order, reason = turn.order, reason_of(fault)

        def commit(unit: Unit) -> Ended:
            self._note(unit, turn, fault)
            self._settling.failed(unit, order, fault)
            return Failed(reason.code, reason.message, reason.reference_code)

        return Commit(commit)


def _anew(order: Order) -> Order:
    """Return an order as it is before it is placed; what may stand in the DNS stays on record."""
    return replace(order, url=None, finalize_url=None, challenges=(), replaces=None)


def _wait(fault: Fault, attempts: int) -> timedelta:
    waits = _BACK_OFF[fault.side]
    wait = waits[min(attempts, len(waits) - 1)]
    if fault.fault is FaultCode.CA_RATE_LIMITED:
        wait = max(wait, fault.retry_after or _RATE_LIMITED)
    return max(wait, fault.retry_after or timedelta())
