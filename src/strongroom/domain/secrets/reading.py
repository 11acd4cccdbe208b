"""Reading secrets and versions, with and without their payload."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from strongroom.domain.change import Change
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.context import Context, SecretView, VersionView
from strongroom.domain.secrets.lookup import find_version
from strongroom.domain.secrets.model import Secret, StoredPayload, Version
from strongroom.kernel.value import value


@value
class PayloadRead:
    """A payload read and what it leaves behind.

    Attributes:
        view: what the answer shows, its own effect included.
        first: the commit that the answer waits for; ``None`` when the read was noted already.
    """

    view: SecretView | VersionView
    first: Change[None] | None


class SecretReading:
    """Opens payloads and notes that they were read."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def secret(self, found: StoredPayload | Secret) -> PayloadRead:
        """Open a secret's current payload.

        Raises:
            Integrity: the stored bytes fail authentication.
        """
        context = self._context
        secret = found if isinstance(found, Secret) else found.secret
        state = context.vault.open_state(secret.id, secret.private_state) if secret.private_state else None
        if isinstance(found, Secret) or found.sealed is None:
            return PayloadRead(view=SecretView(secret=secret, private_state=state), first=None)
        payload = context.vault.open_payload(found.version.id, found.sealed)
        at = context.now()
        view = SecretView(secret=secret, payload=payload, private_state=state, read_at=at)
        return PayloadRead(view=view, first=self._note(secret, found.version, at))

    def version(self, unit: ReadUnit, secret: Secret, reference: str) -> PayloadRead:
        """Open a version's payload by id or alias.

        Raises:
            NotFound: the secret has no such version.
        """
        version = find_version(unit, secret, reference)
        sealed = unit.versions.find_sealed(secret.id, version.id)
        if sealed is None:
            return PayloadRead(view=VersionView(secret=secret, version=version), first=None)
        payload = self._context.vault.open_payload(version.id, sealed)
        view = VersionView(secret=secret, version=replace(version, downloaded=True), payload=payload)
        return PayloadRead(view=view, first=self._note(secret, version, self._context.now()))

    def _note(self, secret: Secret, version: Version, at: datetime) -> Change[None] | None:
        if version.downloaded and secret.retrieved_at is not None:
            self._context.storage.touch(secret.id, at)
            return None

        def commit(unit: Unit) -> None:
            unit.versions.mark_read(secret.id, version.id, at)

        return Change(commit)
