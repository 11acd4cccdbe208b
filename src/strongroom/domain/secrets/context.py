"""What all services about secrets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from strongroom.domain.engine import Engine, Present, Work
from strongroom.domain.ports import Storage, Unit
from strongroom.domain.secrets.events import Outbox
from strongroom.domain.secrets.model import Secret, SecretType, StoredPayload, Version
from strongroom.domain.secrets.vault import Vault
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.value import value


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Ports and rules that the services are built from."""

    storage: Storage
    vault: Vault
    outbox: Outbox
    engines: Mapping[SecretType, Engine]
    work: Work

    def now(self) -> datetime:
        """Return the present instant."""
        return self.work.clock.now()

    def engine(self, secret_type: SecretType) -> Engine:
        """Return the engine of a type.

        Raises:
            Invalid: ``not_supported`` if this server has none.
        """
        engine = self.engines.get(secret_type)
        if engine is None:
            offered = ", ".join(sorted(self.engines))
            raise Invalid(
                ErrorCode.NOT_SUPPORTED,
                f"Secrets of type {secret_type} are not available on this server; it has {offered}.",
                field="secret_type",
            )
        return engine

    def present(self, secret: Secret, stored: StoredPayload | None) -> Present:
        """Return the secret as engines see it; nothing is opened until they ask."""

        def payload() -> Mapping[str, Any] | None:
            if stored is None or stored.sealed is None:
                return None
            return self.vault.open_payload(stored.version.id, stored.sealed)

        def private_state() -> Mapping[str, Any] | None:
            if secret.private_state is None:
                return None
            return self.vault.open_state(secret.id, secret.private_state)

        made_at = stored.version.created_at if stored is not None else None
        return Present(secret=secret, payload=payload, private_state=private_state, made_at=made_at)


@value
class SecretView:
    """A secret as an answer shows it.

    Attributes:
        payload: opened members of the payload; ``None`` where there is none (any more).
        private_state: opened engine state, for full reads only.
        read_at: when the answer itself reads the payload; it shows its own effect.
    """

    secret: Secret
    payload: Mapping[str, Any] | None = None
    private_state: Mapping[str, Any] | None = None
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """A version as an answer shows it."""

    secret: Secret
    version: Version
    payload: Mapping[str, Any] | None = None


def changed_meanwhile() -> Conflict:
    """Return the refusal of a commit whose preparation relied on something that changed."""
    return Conflict(
        ErrorCode.STALE_VERSION,
        "The secret was changed by another request at the same time.",
        hint="Read it again and repeat the request.",
    )


def held(unit: Unit, secret: Secret) -> Secret:
    """Return the secret as it is now, held so that no other unit changes it before this one commits.

    Raises:
        Conflict: ``stale_version`` if it was deleted meanwhile.
    """
    now = unit.secrets.find_for_update(secret.id)
    if now is None:
        raise changed_meanwhile()
    return now


def name_taken(name: str) -> Conflict:
    """Return the refusal of a name that another secret of the type has."""
    return Conflict(ErrorCode.ALREADY_EXISTS, f"A secret with the same name already exists: {name}", field="name")
