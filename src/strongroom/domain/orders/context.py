"""What everything about orders shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from strongroom.domain.orders.acme import Acme, AcmeSession
from strongroom.domain.orders.configured import DnsConfigurations, PublicCa, PublicCas
from strongroom.domain.orders.dns import Propagation
from strongroom.domain.orders.faults import Reason
from strongroom.domain.orders.ledger import Ledger
from strongroom.domain.orders.model import MANUAL, Order, OrderChallenge, OrderState, OrderTrigger
from strongroom.domain.secrets.context import Context
from strongroom.domain.secrets.model import State
from strongroom.kernel.errors import Integrity
from strongroom.kernel.time import format_rfc3339
from strongroom.kernel.value import value
from strongroom.pki.keys import KeySpec

T = TypeVar("T")

ORDER: Final = "public_cert.order"
"""Kind of the job that works on an order; both have the same id."""

ATTEMPT: Final = timedelta(minutes=35)
"""Of running time until a first order is given up, and a renewal until the next day. Source: design, section 8."""

KEY_ALGORITHMS: Final[Mapping[str, KeySpec]] = {
    "RSA2048": KeySpec(kind="rsa", bits=2048),
    "RSA4096": KeySpec(kind="rsa", bits=4096),
    "ECDSA256": KeySpec(kind="ec", bits=256),
    "ECDSA384": KeySpec(kind="ec", bits=384),
}
CA: Final = "ca"
DNS: Final = "dns"
BUNDLE: Final = "bundle_certs"
ISSUANCE: Final = "issuance_info"

_STATES: Final = {
    OrderState.OPEN: State.PRE_ACTIVATION,
    OrderState.ISSUED: State.ACTIVE,
    OrderState.FAILED: State.DEACTIVATED,
    OrderState.CANCELLED: State.DEACTIVATED,
}


@value
class OrderContext:
    """Ports and rules that ordering is built from.

    Attributes:
        secrets: of the secret services.
    """

    secrets: Context
    acme: Acme
    cas: PublicCas
    dns: DnsConfigurations
    propagation: Propagation
    ledger: Ledger

    def now(self) -> datetime:
        """Return the present instant."""
        return self.secrets.now()

    def session(self, ca: PublicCa) -> AcmeSession:
        """Return a session with a CA; no request is made."""
        return self.acme.session(ca.account)


def issuance_info(order: Order, reason: Reason | None = None) -> dict[str, Any]:
    """Return what the secret shows of its order, in wire form. Source: api-v2-models M3.2."""
    state = _STATES[order.state]
    shown: dict[str, Any] = {
        "auto_rotated": order.trigger is OrderTrigger.AUTO,
        "ordered_on": format_rfc3339(order.created_at),
        "state": state.value,
        "state_description": state.description,
    }
    if order.dns == MANUAL:
        shown["challenges"] = [_challenge(challenge) for challenge in order.challenges]
        if order.validated_at is not None:
            shown["dns_challenge_validation_time"] = format_rfc3339(order.validated_at)
    if reason is not None:
        shown |= {"error_code": reason.code, "error_message": reason.message}
        if reason.reference_code is not None:
            shown["reference_code"] = reason.reference_code
    return shown


def _challenge(challenge: OrderChallenge) -> dict[str, Any]:
    shown = {
        "domain": challenge.domain,
        "status": challenge.status.value,
        "txt_record_name": f"{challenge.txt_name}.",
        "txt_record_value": challenge.txt_value,
    }
    if challenge.expires is not None:
        shown["expiration"] = format_rfc3339(challenge.expires)
    return shown


def opened(find: Callable[[], T]) -> tuple[T | None, bool]:
    """Return what was found, and whether it is there but cannot be opened."""
    try:
        return find(), False
    except Integrity:
        return None, True
