"""One step of an order: what it works on, and how what it learned is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import Commit, Done, Ended, Step
from strongroom.domain.orders.acme import AcmeOrder, AcmeSession, AcmeStatus
from strongroom.domain.orders.configured import ConfiguredDns, PublicCa
from strongroom.domain.orders.context import OrderContext, opened
from strongroom.domain.orders.faults import Fault, FaultCode, Side, problem_fault
from strongroom.domain.orders.model import MANUAL, Order, OrderState, OrderTrigger
from strongroom.domain.orders.peers import ca_peer
from strongroom.domain.orders.placing import open_session
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.model import Secret, StoredPayload
from strongroom.kernel.value import value

_IDLE: Final = timedelta(minutes=1)
"""A job that is due for longer was not looked at: the server was down, or had too much to do."""


_MARGIN: Final = timedelta(days=1)


@value
class Turn:
    """An order whose turn it is.

    Attributes:
        order: its deadline is moved by the time in which nobody could work on it.
        idle: that time.
        current: the secret's current version, for its key.
        is_damaged: whether what the store holds of a configuration cannot be opened; it is then not found, either.
    """

    context: OrderContext
    job: Job
    order: Order
    idle: timedelta
    secret: Secret
    current: StoredPayload | None
    found_ca: PublicCa | None
    found_dns: ConfiguredDns | None
    is_damaged: bool = False

    @property
    def ca(self) -> PublicCa:
        """Return the CA that the order is with.

        Raises:
            Fault: its configuration is gone.
        """
        if self.found_ca is None:
            raise self._missing(FaultCode.CA_NOT_CONFIGURED, f"The CA configuration {self.order.ca}", Side.CA)
        return self.found_ca

    @property
    def dns(self) -> ConfiguredDns:
        """Return who writes the records.

        Raises:
            Fault: the configuration is gone.
        """
        if self.found_dns is None:
            raise self._dns_missing()
        return self.found_dns

    def require_dns(self) -> None:
        """Find out whether the names can be proved at all.

        Raises:
            Fault: the DNS configuration is gone.
        """
        if not self.is_manual and self.found_dns is None:
            raise self._dns_missing()

    def _dns_missing(self) -> Fault:
        return self._missing(FaultCode.DNS_NOT_CONFIGURED, f"The DNS configuration {self.order.dns}", Side.DNS)

    def _missing(self, code: FaultCode, what: str, side: Side) -> Fault:
        if self.is_damaged:
            message = f"{what} cannot be opened: what the server has stored of it was changed or damaged."
            return Fault(FaultCode.SERVER_ERROR, f"{message} Delete it and make it anew.", side=side)
        return Fault(code, f"{what} of the certificate does not exist any more.", side=side)

    @property
    def is_manual(self) -> bool:
        """Tell whether people write the records."""
        return self.order.dns == MANUAL

    @property
    def deadline(self) -> datetime:
        """Return when the order is given up."""
        return self.order.deadline_at or self.order.created_at

    def now(self) -> datetime:
        """Return the present instant."""
        return self.context.now()

    def session(self) -> AcmeSession:
        """Return a session with the CA."""
        return open_session(self.context, self.ca)

    @property
    def ca_name(self) -> str:
        """Return the CA as messages call it."""
        return ca_peer(self.order.ca)

    def placed(self, session: AcmeSession) -> AcmeOrder:
        """Return the order as the CA sees it.

        Raises:
            Fault: the CA has given it up.
        """
        assert self.order.url is not None  # noqa: S101  (placed by a step before)
        placed = session.order(self.order.url)
        if placed.status is AcmeStatus.INVALID:
            said = placed.problem or "it gave no reason"
            raise problem_fault(placed.problem_type or "orderInvalid", said, peer=self.ca_name)
        return placed

    def require_time(self, what: str) -> None:
        """Refuse to wait on when the order's time is up.

        Raises:
            Fault: it is; ``what`` says what has not happened.
        """
        if self.now() >= self.deadline:
            raise Fault(FaultCode.CA_UNREACHABLE, f"{what} in time.", side=Side.CA)

    def can_wait(self, until: datetime) -> bool:
        """Tell whether there is a certificate that lives well beyond an instant."""
        ends = self.secret.expires_at
        return self.order.trigger is not OrderTrigger.CREATE and ends is not None and until + _MARGIN < ends

    def store(
        self,
        order: Order,
        ended: Ended | Callable[[Unit], Ended],
        *,
        also: Callable[[Unit], None] | None = None,
    ) -> Step:
        """Return the step's end: the order is stored, if nobody changed it meanwhile, with the job's progress.

        Args:
            order: as it is to be stored.
            ended: what follows, or what finds that out within the unit.
            also: more to write.
        """
        changed = replace(order, updated_at=self.now())

        def commit(unit: Unit) -> Ended:
            if unit.secrets.find(order.secret_id) is None:
                # The sweep ends the order, and sees to its records.
                return Done()
            unit.orders.save(changed)
            if also is not None:
                also(unit)
            return ended(unit) if callable(ended) else ended

        return Commit(commit)


def load_turn(context: OrderContext, job: Job) -> Turn | None:
    """Return what a job works on; ``None`` if there is nothing left to do."""

    def read(unit: ReadUnit) -> Turn | None:
        order = unit.orders.find(job.id)
        if order is None or order.state is not OrderState.OPEN:
            return None
        secret = unit.secrets.find(order.secret_id)
        if secret is None:
            return None
        ca, ca_is_damaged = opened(lambda: context.cas.account(unit, order.ca))
        dns, dns_is_damaged = opened(lambda: None if order.dns == MANUAL else context.dns.provider(unit, order.dns))
        idle = _idle_time(order, job, context.now())
        moved = order if order.deadline_at is None else replace(order, deadline_at=order.deadline_at + idle)
        return Turn(
            context=context,
            job=job,
            order=moved,
            idle=idle,
            secret=secret,
            current=unit.secrets.find_current(secret.id),
            found_ca=ca,
            found_dns=dns,
            is_damaged=ca_is_damaged or dns_is_damaged,
        )

    return context.secrets.storage.read(read)


def _idle_time(order: Order, job: Job, now: datetime) -> timedelta:
    idle = now - job.run_at
    # Manual challenges lapse whether anybody works or not; what follows them is an attempt like any other.
    is_counted = order.dns != MANUAL or order.validated_at is not None
    return idle if is_counted and idle > _IDLE else timedelta()
