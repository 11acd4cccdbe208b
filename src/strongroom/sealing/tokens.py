"""Access tokens: RS256 JSON Web Tokens and the key set that verifies them.

`joserfc` is imported on first use: it costs 55 ms, and a server is ready before its first token.

Source: RFC 7515, RFC 7519, RFC 7638; RFC 8725 for what is refused.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Integrity, Internal, Unauthenticated

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

ALGORITHM = "RS256"
MAX_TOKEN_BYTES = 16 * 1024
_KEY_BITS = 2048
_ALLOWED = (ALGORITHM,)
_HEAD_MEMBERS = frozenset({"alg", "kid", "typ"})


def generate_signing_key() -> bytes:
    """Return a new RSA 2048 key as PKCS#8 PEM; takes about 0.1 s and holds the interpreter lock."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key of the token issuer.

    Attributes:
        kid: RFC 7638 thumbprint.
        pem: PKCS#8.
        created_at: the newest key signs, all of them verify.
    """

    kid: str
    pem: bytes = field(repr=False)
    created_at: datetime

    @classmethod
    def from_pem(cls, pem: bytes, *, created_at: datetime) -> SigningKey:
        """Name a key by its thumbprint.

        Raises:
            Integrity: ``integrity_failed`` if this is no RSA private key.
        """
        return cls(kid=_load(pem).thumbprint(), pem=pem, created_at=created_at)


class TokenAuthority:
    """Signs and verifies this server's access tokens. Safe to use from any thread.

    Args:
        keys: at least one; the newest signs, all of them verify.
        issuer: what ``iss`` must say, such as ``https://secrets.example.com/identity``.
        clock: tells whether a token has expired.
        clock_skew: how far in the future another server's ``iat`` may lie. ``exp`` gets no leeway.
    """

    def __init__(
        self,
        keys: Sequence[SigningKey],
        *,
        issuer: str,
        clock: Clock,
        clock_skew: timedelta = timedelta(),
    ) -> None:
        self.issuer = issuer
        self._clock = clock
        self._skew_s = clock_skew.total_seconds()
        self._ring = _KeyRing(keys)

    def __repr__(self) -> str:
        """Return key ids only."""
        return f"TokenAuthority(kids={list(self._ring.kids)})"

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Sign claims with the newest key.

        Args:
            claims: complete, with ``iss``, ``iat`` and ``exp`` in whole seconds.
        """
        from joserfc import jwt

        ring = self._ring
        return jwt.encode({"alg": ALGORITHM, "kid": ring.signer}, dict(claims), ring.keys[ring.signer], _ALLOWED)

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this server signed and that has not expired.

        Raises:
            Unauthenticated: ``token_expired``, or ``token_invalid`` for everything else.
        """
        claims = self._authenticate(token)
        now = self._clock.now().timestamp()
        expires_at, issued_at = claims.get("exp"), claims.get("iat")
        # bool is an int in Python; JSON's true is no date.
        if type(expires_at) is not int or type(issued_at) is not int:
            raise _invalid("has no exp and iat in whole seconds")
        if claims.get("iss") != self.issuer:
            raise _invalid("was issued by another server")
        if now >= expires_at:
            raise Unauthenticated(
                ErrorCode.TOKEN_EXPIRED,
                "The access token has expired.",
                hint="Get a new one from POST /identity/token.",
            )
        if issued_at > now + self._skew_s:
            raise _invalid("was issued in the future")
        return claims

    def jwks(self) -> dict[str, Any]:
        """Return the public halves of all keys as a JWK set."""
        ring = self._ring
        return {"keys": [{**ring.keys[kid].as_dict(private=False), **_jwk_use(kid)} for kid in ring.kids]}

    def _authenticate(self, token: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        if len(token) > MAX_TOKEN_BYTES:
            raise _invalid(f"is longer than {MAX_TOKEN_BYTES} bytes")
        ring = self._ring

        def find_key(signed: Any) -> RSAKey:
            kid = signed.headers().get("kid")
            key = ring.keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise _invalid("names a key that this server does not have")
            return key

        try:
            _check_head(token)
            return jwt.decode(token, find_key, _ALLOWED, registry=_registry()).claims
        except (JoseError, ValueError, RecursionError) as error:
            # RecursionError: the header is JSON that anybody may nest ten thousand deep.
            raise _invalid("is malformed, or its signature is wrong") from error


class _KeyRing:
    """Keys in order of age, parsed on first use."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        if not keys:
            raise Internal(ErrorCode.INTERNAL, "A token authority needs at least one key.")
        self._by_age = sorted(keys, key=lambda key: (key.created_at, key.kid), reverse=True)

    @property
    def kids(self) -> list[str]:
        return [key.kid for key in self._by_age]

    @property
    def signer(self) -> str:
        return self._by_age[0].kid

    @cached_property
    def keys(self) -> dict[str, RSAKey]:
        return {key.kid: _load(key.pem) for key in self._by_age}


def _load(pem: bytes) -> RSAKey:
    from joserfc.errors import JoseError
    from joserfc.jwk import RSAKey

    try:
        key = RSAKey.import_key(pem)
    except (JoseError, ValueError, TypeError) as error:
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "A stored token key is no RSA private key in PEM.") from error
    if not key.is_private:
        raise Integrity(ErrorCode.INTEGRITY_FAILED, "A stored token key is a public key; a private one is needed.")
    return key


def _check_head(token: str) -> None:
    """Refuse a head that is none of ours before anything acts on what it says.

    What only extensions know (``crit``, ``b64``, ``jwk`` ...) has no place in it, and the library expects the types
    that RFC 7515 asks for.

    Raises:
        Unauthenticated: ``token_invalid``.
        ValueError: it is no JSON in base64.
    """
    encoded = token.partition(".")[0]
    head = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    if not isinstance(head, dict) or not head.keys() <= _HEAD_MEMBERS:
        raise _invalid("has a header that this server does not write")
    if not all(isinstance(value, str) for value in head.values()):
        raise _invalid("has a header that is not made of texts")


def _registry() -> Any:
    from joserfc.jws import JWSRegistry

    registry = JWSRegistry(algorithms=[ALGORITHM])
    registry.max_payload_length = MAX_TOKEN_BYTES
    return registry


def _jwk_use(kid: str) -> dict[str, str]:
    return {"kid": kid, "alg": ALGORITHM, "use": "sig"}


def _invalid(what: str) -> Unauthenticated:
    return Unauthenticated(
        ErrorCode.TOKEN_INVALID, f"The access token {what}.", hint="Get a new one from POST /identity/token."
    )
