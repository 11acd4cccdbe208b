"""What operations on secrets do differently for public certificates. Source: contract domain sections 4.2 and 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strongroom.api.operations import Call, Pending, Reply, Work
from strongroom.api.v2.addressed import VALIDATE
from strongroom.domain.orders.model import MANUAL
from strongroom.domain.secrets.model import Secret, SecretType
from strongroom.kernel.errors import ErrorCode, Problems

_ORDERED_WITH: Final = ("common_name", "alt_names", "key_algorithm", "ca", "dns", "bundle_certs")
"""Fixed for the life of the secret."""


def refuse_ordered_with(secret: Secret, members: Mapping[str, Any]) -> None:
    """Refuse a metadata patch that would change what a public certificate was ordered with.

    Raises:
        Invalid: names every such member.
    """
    if secret.secret_type is not SecretType.PUBLIC_CERT:
        return
    problems = Problems()
    for name in _ORDERED_WITH:
        if name in members:
            problems.add(
                name,
                f"{name} cannot be changed once a public certificate has been ordered.",
                code=ErrorCode.NOT_SUPPORTED,
                hint="Create a new secret for a certificate that differs in it.",
            )
    problems.raise_any()


def work_of_order(given: Mapping[str, Any]) -> Work:
    """Tell where an order begins: with manual DNS the answer carries challenges, so the CA is asked for them."""
    return Work.OUTSIDE if given.get("dns") == MANUAL else Work.WRITE


def validate(call: Call, secret: Secret) -> Pending:
    """Tell the CA of an order with manual DNS that the records are there."""
    change = call.services.manual_orders.validate(call.principal, secret)

    def reply(_: None) -> Reply:
        call.services.wake_worker()
        return Reply(body={"action_type": VALIDATE})

    return Pending(commit=change.commit, reply=reply)
