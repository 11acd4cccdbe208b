"""Signs audit checkpoints with Ed25519; `pki.signatures` verifies them, also without this server.

Source: RFC 8032.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.kernel.errors import ErrorCode, Integrity

_SEED_BYTES = 32


def generate_checkpoint_key() -> bytes:
    """Return the 32 private bytes of a new key."""
    return os.urandom(_SEED_BYTES)


class CheckpointSigner:
    """Signs checkpoints with the server's audit key.

    Args:
        private: the 32 bytes of `generate_checkpoint_key`.

    Raises:
        Integrity: ``integrity_failed`` if they are not 32 bytes.
    """

    def __init__(self, private: bytes) -> None:
        if len(private) != _SEED_BYTES:
            raise Integrity(
                ErrorCode.INTEGRITY_FAILED, f"The audit key has {len(private)} bytes; it must have {_SEED_BYTES}."
            )
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        public = self._key.public_key().public_bytes_raw()
        self.public_key_b64 = base64.b64encode(public).decode()
        self.key_id = hashlib.sha256(public).hexdigest()[:16]

    def __repr__(self) -> str:
        """Return the key id only."""
        return f"CheckpointSigner({self.key_id})"

    def sign(self, payload: bytes) -> str:
        """Return the signature in base64."""
        return base64.b64encode(self._key.sign(payload)).decode()
