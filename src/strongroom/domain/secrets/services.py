"""The services about secrets, put together."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.domain.secrets.changing import SecretChanges
from strongroom.domain.secrets.context import Context
from strongroom.domain.secrets.creating import SecretCreation
from strongroom.domain.secrets.locking import SecretLocking
from strongroom.domain.secrets.reading import SecretReading
from strongroom.domain.secrets.rotating import SecretRotation


@dataclass(frozen=True, slots=True)
class SecretServices:
    """Everything that can be done with secrets."""

    context: Context
    creation: SecretCreation
    reading: SecretReading
    changes: SecretChanges
    rotation: SecretRotation
    locking: SecretLocking

    @classmethod
    def build(cls, context: Context) -> SecretServices:
        """Return the services over one context."""
        return cls(
            context=context,
            creation=SecretCreation(context),
            reading=SecretReading(context),
            changes=SecretChanges(context),
            rotation=SecretRotation(context),
            locking=SecretLocking(context),
        )
