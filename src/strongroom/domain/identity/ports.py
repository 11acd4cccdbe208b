"""What the rules about identities need from the sealing layer, as contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Digests(Protocol):
    """Makes keys and keyed digests, and checks passwords."""

    def new_api_key(self) -> str:
        """Return a new API key: 256 random bits, with a prefix and a checksum."""
        ...

    def api_key_digest(self, key: str) -> str:
        """Return the digest of a key under the server's pepper, lower-case hex."""
        ...

    def hash_password(self, password: str) -> str:
        """Return a slow salted hash; takes a fraction of a second, so never inside a unit of work."""
        ...

    def verify_password(self, stored: str | None, password: str) -> bool:
        """Tell whether the password belongs to the hash; as slow for ``None``, which is always false."""
        ...


class TokenSigner(Protocol):
    """Signs access tokens and checks their signatures."""

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a compact RS256 token with these claims."""
        ...

    def verify(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token whose signature, issuer and times hold.

        Raises:
            Unauthenticated: ``token_invalid`` or ``token_expired``.
        """
        ...

    def jwks(self) -> Mapping[str, Any]:
        """Return the public keys as a JWK set."""
        ...
