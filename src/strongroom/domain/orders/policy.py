"""The rotation policy of public certificates. Source: contract domain sections 4.4 and 6."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from strongroom.domain.orders.model import MANUAL
from strongroom.domain.orders.renewal_time import renew_at
from strongroom.kernel.result import Notice
from strongroom.pki.inspect import CertificateFacts

OFF: Final[Mapping[str, Any]] = {"auto_rotate": False, "rotate_keys": False}
_NO_AUTOMATION: Final = Notice(
    code="manual_dns_not_automatic",
    message="A certificate with manual DNS cannot rotate by itself; notices come in time to rotate it by hand.",
)


def read_policy(given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the policy to store; answers always carry both members."""
    policy = given or OFF
    return {"auto_rotate": bool(policy.get("auto_rotate")), "rotate_keys": bool(policy.get("rotate_keys"))}


def policy_warnings(rotation: Mapping[str, Any], dns: str) -> tuple[Notice, ...]:
    """Return what is to be said about a policy."""
    return (_NO_AUTOMATION,) if rotation.get("auto_rotate") and dns == MANUAL else ()


def rotate_at(rotation: Mapping[str, Any], dns: str, facts: CertificateFacts) -> datetime | None:
    """Return when a policy renews a certificate by the rule; ``None`` if it does not."""
    if not rotation.get("auto_rotate") or dns == MANUAL:
        return None
    return renew_at(facts.not_before, facts.not_after, key=facts.serial_number)
