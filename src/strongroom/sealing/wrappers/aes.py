"""Wrapping with a master key that is held in memory."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.domain.ports import Binding
from strongroom.sealing.envelope import NONCE_BYTES, associated_data

FORMAT = b"\x01"
_NONCE_END = len(FORMAT) + NONCE_BYTES


def wrap_key(master: AESGCM, key: bytes, binding: Binding) -> bytes:
    """Return ``format | nonce | ciphertext and tag``."""
    nonce = os.urandom(NONCE_BYTES)
    return FORMAT + nonce + master.encrypt(nonce, key, associated_data(binding))


def unwrap_key(master: AESGCM, wrapped: bytes, binding: Binding) -> bytes | None:
    """Return the key, or ``None`` if this master key did not wrap these bytes for this place."""
    if wrapped[: len(FORMAT)] != FORMAT or len(wrapped) < _NONCE_END:
        return None
    try:
        return master.decrypt(wrapped[len(FORMAT) : _NONCE_END], wrapped[_NONCE_END:], associated_data(binding))
    except InvalidTag:
        return None
