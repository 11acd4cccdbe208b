"""API keys and passwords: made, and stored so that reading the store does not give them away.

An API key is ``sr_`` + 43 characters (32 random bytes in base 62) + 6 characters (their CRC-32). The
prefix lets secret scanners find a leaked key, the checksum lets them drop what only looks like one. A key
has 256 random bits, so a keyed hash is enough; slow hashing is for passwords, which people choose.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from datetime import timedelta
from functools import lru_cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from strongroom.kernel.errors import ErrorCode, Integrity, Invalid, Unavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

API_KEY_PREFIX = "sr_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_CHARS = 43
_CHECK_CHARS = 6

MAX_PASSWORD_BYTES = 1024
PASSWORD_WAIT = timedelta(seconds=10)
"""How long a check may queue for one of the two places before the caller is asked to come back."""
# Each check takes 64 MiB and a core for some 50 ms; more at once would starve every other request.
_places = BoundedSemaphore(2)


def new_api_key() -> str:
    """Return a new API key; it is shown once and never stored."""
    body = _base62(secrets.randbits(256), _SECRET_CHARS)
    return API_KEY_PREFIX + body + _checksum(body)


def api_key_digest(pepper: bytes, key: str) -> str:
    """Return what is stored of an API key: HMAC-SHA256 in hexadecimal.

    Args:
        pepper: 32 bytes of the server's own, sealed in the store; without it a copy of the digests is
            worth nothing.
        key: the API key.
    """
    return hmac.new(pepper, key.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def new_pepper() -> bytes:
    """Return 32 random bytes for `api_key_digest`."""
    return secrets.token_bytes(32)


def hash_password(password: str) -> str:
    """Return an Argon2id hash with its parameters and salt; about 50 ms, never on the event loop.

    Raises:
        Invalid: ``invalid_field`` if the password is longer than 1024 bytes or no UTF-8 text.
        Unavailable: two hashes are running and did not end in time.
    """
    encoded = _encode(password)
    if encoded is None:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"password must be UTF-8 text of at most {MAX_PASSWORD_BYTES} bytes.",
            field="password",
        )
    with _Place():
        return _hasher().hash(encoded)


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether this is the password of a stored hash.

    Args:
        stored: what `hash_password` returned; ``None`` for a user who is unknown or has no password, which
            costs the same time and is always false.
        password: what was typed.

    Raises:
        Integrity: ``integrity_failed`` if the stored hash is damaged.
        Unavailable: two checks are running and did not end in time.
    """
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

    encoded = _encode(password)
    with _Place():
        try:
            _hasher().verify(_nobody() if stored is None else stored, encoded or b"")
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise Integrity(ErrorCode.INTEGRITY_FAILED, "A stored password hash is damaged.") from error
    return stored is not None and encoded is not None


class PepperedDigests:
    """The functions of this module with the server's pepper, as the rules about identities ask for them.

    Args:
        pepper: as for `api_key_digest`.
    """

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    def new_api_key(self) -> str:
        """Return a new API key."""
        return new_api_key()

    def api_key_digest(self, key: str) -> str:
        """Return what is stored of an API key."""
        return api_key_digest(self._pepper, key)

    def hash_password(self, password: str) -> str:
        """Return what is stored of a password."""
        return hash_password(password)

    def verify_password(self, stored: str | None, password: str) -> bool:
        """Tell whether this is the password of a stored hash."""
        return verify_password(stored, password)


class _Place:
    """One of the two places for password hashing."""

    def __enter__(self) -> None:
        if not _places.acquire(timeout=PASSWORD_WAIT.total_seconds()):
            raise Unavailable(
                ErrorCode.UNAVAILABLE,
                "Too many passwords are being checked at the same time; try again.",
                retry_after=timedelta(seconds=1),
            )

    def __exit__(self, *_: object) -> None:
        _places.release()


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher().hash(secrets.token_bytes(32))


def _encode(password: str) -> bytes | None:
    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        return None
    return encoded if len(encoded) <= MAX_PASSWORD_BYTES else None


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_CHARS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
