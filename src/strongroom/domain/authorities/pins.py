"""The PIN of a token, which lies in a secret. Source: design, section 12 (``pin_secret_id``)."""

from __future__ import annotations

from typing import Final

from strongroom.domain.ports import Storage
from strongroom.domain.secrets.model import SecretType
from strongroom.domain.secrets.vault import Vault
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import SecretId

_FIELD: Final = "crypto_key.provider.pin_secret_id"


class Pins:
    """Reads PINs."""

    def __init__(self, storage: Storage, vault: Vault) -> None:
        self._storage = storage
        self._vault = vault

    def read(self, secret_id: SecretId) -> str:
        """Return the PIN that an arbitrary secret holds.

        Raises:
            Invalid: there is no such secret, it is of another type, or it has expired.
        """
        found = self._storage.read(lambda unit: unit.secrets.find_current(secret_id))
        if found is None or found.secret.secret_type is not SecretType.ARBITRARY:
            raise no_pin(secret_id)
        if found.sealed is None:
            raise Invalid(
                ErrorCode.PAYLOAD_NOT_AVAILABLE,
                f"The secret that {_FIELD} names has no payload any more.",
                field=_FIELD,
            )
        return str(self._vault.open_payload(found.version.id, found.sealed)["payload"])


def no_pin(secret_id: SecretId) -> Invalid:
    """Return the refusal of something that is not a secret with a PIN."""
    return Invalid(ErrorCode.INVALID_FIELD, f"{_FIELD} names no arbitrary secret: {secret_id}.", field=_FIELD)
