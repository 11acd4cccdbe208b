"""Orders whose TXT records people write: placed while they wait, and worked on once they say that all is there.

Source: contract domain section 4.3.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_group
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.jobs.model import JobState
from strongroom.domain.orders.acme import AcmeOrder, AcmeProblem, AcmeSession
from strongroom.domain.orders.configured import PublicCa
from strongroom.domain.orders.context import ATTEMPT, ISSUANCE, OrderContext, issuance_info
from strongroom.domain.orders.faults import Fault, FaultCode, Side, fault_of
from strongroom.domain.orders.model import MANUAL, Order, OrderStep
from strongroom.domain.orders.placing import is_about_replacing, open_session, place, read_challenges, too_early
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.context import changed_meanwhile
from strongroom.domain.secrets.model import Secret
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable, Upstream

_MANUAL_LIFE: Final = timedelta(days=7)
"""Of challenges whose CA does not say when they lapse."""


class ManualOrders:
    """Places them, and hears of their records."""

    def __init__(self, context: OrderContext) -> None:
        self._context = context

    def placed(self, order: Order, ca: PublicCa) -> Order:
        """Place an order and return it with what is to be published.

        Raises:
            Unavailable: the CA cannot be reached.
            Upstream: it refuses.
        """
        try:
            order = self._reserved(order, ca)
            session = open_session(self._context, ca)
            order, placed = self._taken(session, ca, order)
            challenges = read_challenges(session, placed)
        except (Upstream, Unavailable, Invalid, Fault) as error:
            fault = fault_of(error, side=Side.CA, peer=f"the CA {order.ca}")
            self._context.secrets.storage.write(lambda unit: self._note_refused(unit, order, ca, fault))
            raise _refusal(error, fault) from error
        ends = [challenge.expires for challenge in challenges if challenge.expires is not None]
        return replace(
            order,
            url=placed.url,
            finalize_url=placed.finalize_url,
            challenges=challenges,
            deadline_at=min(ends, default=order.created_at + _MANUAL_LIFE),
        )

    def _note_refused(self, unit: Unit, order: Order, ca: PublicCa, fault: Fault) -> None:
        ledger, now = self._context.ledger, self._context.now()
        ledger.note_ended(unit, ca, order, now)
        if fault.fault is FaultCode.CA_RATE_LIMITED and not fault.is_foreseen:
            ledger.note_held(unit, ca, order.names, now, retry_after=fault.retry_after, identifiers=fault.names)

    def _taken(self, session: AcmeSession, ca: PublicCa, order: Order) -> tuple[Order, AcmeOrder]:
        """Place an order; a CA that minds which certificate it is to follow is not told."""
        try:
            return order, place(session, ca, order, may_exist=False)
        except AcmeProblem as problem:
            if order.replaces is None or not is_about_replacing(problem):
                raise
        plain = self._reserved(replace(order, replaces=None), ca)
        return plain, place(session, ca, plain, may_exist=False)

    def _reserved(self, order: Order, ca: PublicCa) -> Order:
        """Count an order against the limits of its CA before it is placed.

        Raises:
            Fault: the CA would refuse it.
        """
        verdict = self._context.secrets.storage.write(
            lambda unit: self._context.ledger.reserve(unit, ca, order, order.created_at)
        )
        if verdict.wait_until is not None:
            raise too_early(verdict, order.created_at)
        return order

    def validate(self, principal: Principal, secret: Secret) -> Change[None]:
        """Prepare to go on with a manual order: somebody says that the TXT records are there.

        Source: contract domain section 4.3.

        Raises:
            Invalid: ``state_forbids`` on commit, unless the secret waits for that.
        """
        require_group(principal, Action.SECRET_ACTION_CREATE, secret.group_id)

        def commit(unit: Unit) -> None:
            now = self._context.now()
            held = unit.secrets.find_for_update(secret.id)
            if held is None:
                raise changed_meanwhile()
            found = unit.orders.open_of_secret(secret.id)
            if found is None or found.dns != MANUAL:
                raise Invalid(
                    ErrorCode.STATE_FORBIDS,
                    "The certificate waits for no validation: it has no open order with manual DNS.",
                    field="action_type",
                )
            job = unit.jobs.find(found.id)
            if found.validated_at is not None or job is None:
                raise Invalid(
                    ErrorCode.STATE_FORBIDS, "The validation has been asked for already.", field="action_type"
                )
            order = unit.orders.save(replace(found, validated_at=now, deadline_at=now + ATTEMPT, updated_at=now))
            unit.secrets.save(
                replace(held, attributes={**held.attributes, ISSUANCE: issuance_info(order)}, updated_at=now)
            )
            # Whoever holds the job just now waits for this very moment and has nothing to store.
            due = replace(
                job,
                state=JobState.QUEUED,
                step=OrderStep.PROPAGATE,
                attempts=0,
                waiting_for=None,
                run_at=now,
                fence=job.fence + 1,
                lease_owner=None,
                lease_until=None,
                updated_at=now,
            )
            unit.jobs.save(due, fence=job.fence)

        return Change(commit)


def _refusal(error: StrongroomError, fault: Fault) -> StrongroomError:
    """Return how a request fails whose order the CA did not take."""
    if isinstance(error, Unavailable):
        return error
    return Upstream(
        ErrorCode.UPSTREAM_REFUSED,
        fault.detail,
        retry_after=fault.retry_after,
        reference_code=fault.reference_code,
    )
