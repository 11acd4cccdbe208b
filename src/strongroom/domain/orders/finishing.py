"""The end of an order's steps: its key, its signing request, its certificate. Source: RFC 8555 section 7.4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from strongroom.domain.engine import Prepared
from strongroom.domain.jobs.steps import Commit, Continue, Done, Ended, Waiting
from strongroom.domain.jobs.steps import Step as Outcome
from strongroom.domain.orders.acme import AcmeStatus
from strongroom.domain.orders.context import KEY_ALGORITHMS, OrderContext, issuance_info
from strongroom.domain.orders.faults import Fault, FaultCode, Side
from strongroom.domain.orders.issued import attributes, choose_chain, has_bundle, read_issued, version_attributes
from strongroom.domain.orders.model import OrderState, OrderStep, OrderTrigger
from strongroom.domain.orders.names import MOST_COMMON_NAME
from strongroom.domain.orders.policy import OFF, rotate_at
from strongroom.domain.orders.settling import Settling
from strongroom.domain.orders.turn import Turn
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.adding import seal_version
from strongroom.domain.secrets.events import EventType
from strongroom.domain.secrets.lifecycle import LOOK_AGAIN, tell_daily
from strongroom.domain.secrets.locking import locked
from strongroom.domain.secrets.rotating import is_held
from strongroom.kernel.errors import Unavailable
from strongroom.pki.keys import IssuedKey, load_own_key_der, load_own_key_pem, private_key_der
from strongroom.pki.order_request import build_order_csr

POLL: Final = timedelta(seconds=3)
"""Between two looks at what a CA is doing."""
_LONGEST_POLL: Final = timedelta(minutes=5)


class Finishing:
    """Does the last steps of an order."""

    def __init__(self, context: OrderContext, settling: Settling) -> None:
        self._context = context
        self._settling = settling

    def make_key(self, turn: Turn) -> Outcome:
        """Make the certificate's key, or take that of the present one."""
        if turn.order.sealed_key is not None:
            return Continue(OrderStep.FINALIZE)
        key = None if turn.order.rotate_keys else self._present_key(turn)
        if key is None:
            key = self._new_key(turn.order.key_algorithm)
        sealed = self._context.secrets.vault.seal_order_key(turn.order.id, private_key_der(key))
        return turn.store(replace(turn.order, sealed_key=sealed), Continue(OrderStep.FINALIZE))

    def finalize(self, turn: Turn) -> Outcome:
        """Send the signing request."""
        session, now = turn.session(), turn.now()
        placed = turn.placed(session)
        if placed.status is AcmeStatus.PENDING:
            # Some CAs take a moment from the last proof to the order.
            turn.require_time(f"{turn.ca_name} does not go on with the order")
            return Waiting("the CA, which takes note of the proofs", now + POLL)
        if placed.status is AcmeStatus.READY:
            subject = turn.secret.attributes.get("common_name")
            asked = str(subject) if subject in turn.order.names else None
            csr = build_order_csr(turn.order.names, asked or _first_short(turn.order.names), self._key(turn))
            session.finalize(placed, csr)
        return Continue(OrderStep.DOWNLOAD)

    def download(self, turn: Turn) -> Outcome:
        """Fetch the certificate and store it, once no lock holds the version that makes room for it."""
        if self._context.secrets.storage.read(lambda unit: is_held(unit, turn.secret)):
            return Commit(lambda unit: self._wait_for_locks(unit, turn))
        session, now = turn.session(), turn.now()
        placed = turn.placed(session)
        if placed.certificate_url is None:
            turn.require_time(f"{turn.ca_name} has not issued the certificate")
            if placed.status is AcmeStatus.READY:
                return Continue(OrderStep.FINALIZE, in_=POLL)
            return Waiting("the CA, which is issuing the certificate", now + polling(placed.retry_after))
        chain, notices = choose_chain(session.certificate(placed.certificate_url), turn.ca.preferred_chain)
        secret, key = turn.secret, self._key(turn)
        issued = read_issued(chain, turn.order.names, key, is_bundled=has_bundle(secret.attributes))
        facts, order = issued.facts, turn.order
        shown = issuance_info(replace(order, state=OrderState.ISSUED))
        rotation = secret.rotation or OFF
        prepared = Prepared(
            payload=issued.payload,
            attributes=attributes(secret.attributes, facts, shown),
            version_attributes=version_attributes(facts),
            expires_at=facts.not_after,
            rotation=rotation,
            rotate_before=rotate_at(rotation, order.dns, facts),
            warnings=notices,
        )
        made = seal_version(
            self._context.secrets,
            secret,
            prepared,
            by=order.by,
            automatic=order.trigger is OrderTrigger.AUTO,
            version_custom_metadata=order.version_custom_metadata,
        )

        def commit(unit: Unit) -> Ended:
            held = unit.secrets.find_for_update(secret.id)
            if held is None or held.row_version != secret.row_version:
                # Changed meanwhile: the certificate is fetched again and stored with what holds now.
                return Continue(OrderStep.DOWNLOAD)
            if is_held(unit, held):
                return self._wait_for_locks(unit, turn)
            self._context.ledger.note_issued(unit, turn.ca, order, now)
            view = self._settling.issued(unit, order, made)
            return Done(None if view is None else {"version_id": view.version.id})

        return Commit(commit)

    def _wait_for_locks(self, unit: Unit, turn: Turn) -> Ended:
        """Wait: somebody locked the version that would have to go after the order began."""
        now = turn.now()
        told = tell_daily(
            self._context.secrets.outbox, unit, turn.job, EventType.ROTATION_BLOCKED, turn.secret, now, locked().detail
        )
        return Waiting("the locks on the previous version", now + LOOK_AGAIN, told)

    # Keys.

    def _new_key(self, algorithm: str) -> IssuedKey:
        try:
            return self._context.secrets.work.keys.take(KEY_ALGORITHMS[algorithm])
        except Unavailable as error:
            raise Fault(
                FaultCode.KEY_NOT_MADE,
                f"The private key could not be made: {error.detail}",
                side=Side.ORDER,
                is_final=False,
                retry_after=error.retry_after,
            ) from error

    def _key(self, turn: Turn) -> IssuedKey:
        assert turn.order.sealed_key is not None  # noqa: S101  (a step before made it)
        return load_own_key_der(self._context.secrets.vault.open_order_key(turn.order.id, turn.order.sealed_key))

    def _present_key(self, turn: Turn) -> IssuedKey | None:
        current = turn.current
        if current is None or current.sealed is None:
            return None
        payload = self._context.secrets.vault.open_payload(current.version.id, current.sealed)
        return load_own_key_pem(payload["private_key"])


def polling(retry_after: timedelta | None) -> timedelta:
    """Return when to look again, given what the CA asked for."""
    return max(POLL, min(retry_after or POLL, _LONGEST_POLL))


def _first_short(names: Sequence[str]) -> str | None:
    return next((name for name in names if len(name) <= MOST_COMMON_NAME), None)
