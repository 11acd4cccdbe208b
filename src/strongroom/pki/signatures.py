"""Bare signatures over bytes, for things that are not certificates."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from strongroom.kernel.errors import ErrorCode, Integrity


def verify_ed25519(public_key_b64: str, payload: bytes, signature_b64: str) -> None:
    """Check an Ed25519 signature.

    Args:
        public_key_b64: the 32 raw bytes of the public key, in standard base64.
        payload: what was signed.
        signature_b64: the 64 bytes of the signature, in standard base64.

    Raises:
        Integrity: ``integrity_failed`` if key or signature are malformed, or do not fit the payload.

    Source: RFC 8032 section 5.1.7.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key_b64, validate=True))
        signature = base64.b64decode(signature_b64, validate=True)
    except (binascii.Error, ValueError):
        raise Integrity(
            ErrorCode.INTEGRITY_FAILED, "The public key or the signature is not the base64 of an Ed25519 one."
        ) from None
    try:
        key.verify(signature, payload)
    except InvalidSignature:
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "The signature does not fit what it signs.") from None
