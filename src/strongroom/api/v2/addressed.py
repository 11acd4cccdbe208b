"""What operations on one secret share: finding it, authorising, and naming it in the audit trail."""

from __future__ import annotations

from typing import Final

from strongroom.api.operations import Call, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.secrets.lookup import authorised_secret
from strongroom.domain.secrets.model import Secret

REVOKE: Final = "private_cert_action_revoke_certificate"
VALIDATE: Final = "public_cert_action_validate_dns_challenge"


def revoked(seconds: int) -> Reply:
    """Answer that a certificate was revoked."""
    return Reply(body={"action_type": REVOKE, "revocation_time_seconds": seconds})


def aim(call: Call, secret: Secret) -> None:
    """Name the secret as what the action was done to."""
    call.target = Target(type="secret", id=secret.id, name=secret.name, secret_group_id=secret.group_id)


def find_addressed(call: Call) -> None:
    """Guard: find the secret of the path, refuse who may not, keep it in ``call.found``."""
    action = call.operation.action
    assert isinstance(action, Action)  # noqa: S101  (operations on secrets always have one)
    secret_id = call.path.get("secret_id") or call.path["id"]
    call.target = Target(type="secret", id=secret_id)
    secret = call.services.storage.look(lambda unit: authorised_secret(unit, call.principal, action, secret_id))
    aim(call, secret)
    call.found = secret


def addressed(call: Call) -> Secret:
    """Return the secret that the guard found."""
    found = call.found
    assert isinstance(found, Secret)  # noqa: S101  (the guard ran)
    return found


def work_of_engine(call: Call) -> Work:
    """Tell where the addressed secret is changed: its type may need keys or checks for that."""
    slow = call.services.secrets.context.engine(addressed(call).secret_type).slow
    return Work.SLOW_WRITE if slow else Work.WRITE
