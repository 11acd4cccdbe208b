"""One sealed value as bytes, bound to the place where it is stored.

Layout of format 1, lengths in bytes::

    format (1) | kek id (4, big endian) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext and tag

Each value has its own AES-256-GCM data key, so the only key that meets many random nonces is the
key-encryption key (KEK), and it seals 32 bytes at a time. Random 96-bit nonces stay safe for 2^32 values
under one KEK; every rotation of the master key starts a new one.

Source: NIST SP 800-38D section 8.3.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.domain.ports import Binding
from strongroom.kernel.errors import ErrorCode, Integrity, Internal

FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
MAX_KEK_ID = 2**32 - 1

_ID_END = 5
_KEY_NONCE_END = _ID_END + NONCE_BYTES
_KEY_END = _KEY_NONCE_END + KEY_BYTES + TAG_BYTES
HEADER_BYTES = _KEY_END + NONCE_BYTES
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
"""How much longer a sealed value is than its plaintext."""

_SEPARATORS = 4


def associated_data(binding: Binding) -> bytes:
    """Return what is authenticated beside a value: the place where it is stored.

    Raises:
        Internal: a part contains a NUL, which would let two places share one binding.
    """
    data = f"strongroom\0v1\0{binding.table}\0{binding.row}\0{binding.column}".encode()
    if data.count(0) != _SEPARATORS:
        raise Internal(ErrorCode.INTERNAL, "A binding must not contain NUL characters.")
    return data


def place_of(binding: Binding) -> str:
    """Return ``table.column of row``, for messages."""
    return f"{binding.table}.{binding.column} of {binding.row}"


def seal_under(kek: AESGCM, kek_id: int, plaintext: bytes, binding: Binding) -> bytes:
    """Seal ``plaintext`` under a fresh data key, wrapped by ``kek``."""
    associated = associated_data(binding)
    # One system call for the data key and both nonces: half the cost of three.
    fresh = os.urandom(KEY_BYTES + 2 * NONCE_BYTES)
    data_key = fresh[:KEY_BYTES]
    key_nonce = fresh[KEY_BYTES : KEY_BYTES + NONCE_BYTES]
    nonce = fresh[KEY_BYTES + NONCE_BYTES :]
    return b"".join(
        (
            b"\x01",
            kek_id.to_bytes(4, "big"),
            key_nonce,
            kek.encrypt(key_nonce, data_key, associated),
            nonce,
            AESGCM(data_key).encrypt(nonce, plaintext, associated),
        )
    )


def kek_id_of(blob: bytes, binding: Binding) -> int:
    """Return the id of the key-encryption key that opens ``blob``.

    Raises:
        Integrity: ``integrity_failed`` if this is no sealed value of a known format.
    """
    if len(blob) < OVERHEAD_BYTES:
        raise Integrity(
            ErrorCode.INTEGRITY_FAILED,
            f"The sealed value {place_of(binding)} is cut off: it has {len(blob)} bytes of at least {OVERHEAD_BYTES}.",
        )
    if blob[0] != FORMAT:
        raise Integrity(
            ErrorCode.INTEGRITY_FAILED,
            f"The sealed value {place_of(binding)} has format {blob[0]}; this server reads format {FORMAT}.",
            hint="It is damaged, or was written by a newer release.",
        )
    return int.from_bytes(blob[1:_ID_END], "big")


def open_under(kek: AESGCM, blob: bytes, binding: Binding) -> bytes:
    """Open what `seal_under` sealed; ``kek`` is the one that `kek_id_of` names.

    Raises:
        Integrity: ``integrity_failed`` if any byte was changed or the value belongs elsewhere.
    """
    associated = associated_data(binding)
    try:
        data_key = kek.decrypt(blob[_ID_END:_KEY_NONCE_END], blob[_KEY_NONCE_END:_KEY_END], associated)
        return AESGCM(data_key).decrypt(blob[_KEY_END:HEADER_BYTES], blob[HEADER_BYTES:], associated)
    except InvalidTag:
        raise Integrity(
            ErrorCode.INTEGRITY_FAILED,
            f"The sealed value {place_of(binding)} fails authentication: it was changed, or moved from another row.",
            hint="Restore the row from a backup.",
        ) from None
