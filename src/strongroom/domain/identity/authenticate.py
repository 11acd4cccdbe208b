"""From a bearer token to the caller behind it, quickly."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from strongroom.domain.access.principals import Principal
from strongroom.domain.identity.fields import Network, address_allowed, parse_networks
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import find_identity, principal_of
from strongroom.domain.identity.ports import TokenSigner
from strongroom.domain.ports import ReadUnit, Storage
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Unauthenticated
from strongroom.kernel.ids import ApiKeyId, IamId

_TOKENS_MAX: Final = 10_000
_CALLERS_MAX: Final = 10_000
_HINT: Final = "Get a new one from POST /identity/token."


@dataclass(frozen=True, slots=True)
class _Caller:
    """What the store said about a key and its identity, as of one generation."""

    generation: int
    principal: Principal
    key_expires_at: datetime | None
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    """A token whose signature holds."""

    iam_id: IamId
    api_key_id: ApiKeyId
    expires_at: datetime
    caller: _Caller


class Authenticator:
    """Tells who holds a token. Safe to use from any thread.

    Tokens are remembered by their SHA-256, callers by their key; both only as long as no identity
    changed. Every use checks that the token and its key have not expired, and where it comes from.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        signer: TokenSigner,
        generations: Generations,
        tokens_max: int = _TOKENS_MAX,
        callers_max: int = _CALLERS_MAX,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._signer = signer
        self._generations = generations
        self._tokens_max = tokens_max
        self._callers_max = callers_max
        self._lock = threading.Lock()
        self._tokens: dict[bytes, _Token] = {}
        self._callers: dict[ApiKeyId, _Caller] = {}

    def cached(self, token: str, address: str | None) -> Principal | None:
        """Return the caller if it is known without reading the store, else ``None``.

        Raises:
            Unauthenticated: as `authenticate`.
        """
        known = self._tokens.get(_fingerprint(token))
        if known is None or known.caller.generation < self._generations.required:
            return None
        now = self._clock.now()
        if self._generations.poll_due(now):
            return None
        return _use(known, now, address)

    def authenticate(self, token: str, address: str | None) -> Principal:
        """Return the caller, reading the store where needed.

        Raises:
            Unauthenticated: ``token_missing``, ``token_invalid``, ``token_expired`` or
                ``address_not_allowed``.
        """
        if not token:
            raise Unauthenticated(ErrorCode.TOKEN_MISSING, "The request has no access token.", hint=_HINT)
        fingerprint = _fingerprint(token)
        known = self._tokens.get(fingerprint)
        if known is None:
            iam_id, api_key_id, expires_at = self._verify(token)
        else:
            iam_id, api_key_id, expires_at = known.iam_id, known.api_key_id, known.expires_at
        fresh = _Token(iam_id, api_key_id, expires_at, self._caller(iam_id, api_key_id))
        with self._lock:
            self._tokens[fingerprint] = fresh
            if len(self._tokens) > self._tokens_max:
                del self._tokens[next(iter(self._tokens))]
        return _use(fresh, self._clock.now(), address)

    def _verify(self, token: str) -> tuple[IamId, ApiKeyId, datetime]:
        claims = self._signer.verify(token)
        iam_id, api_key_id, expires_at = claims.get("iam_id"), claims.get("apikey_id"), claims.get("exp")
        if not isinstance(iam_id, str) or not isinstance(api_key_id, str) or not isinstance(expires_at, int):
            raise Unauthenticated(ErrorCode.TOKEN_INVALID, "The access token lacks a claim.", hint=_HINT)
        return IamId(iam_id), ApiKeyId(api_key_id), datetime.fromtimestamp(expires_at, UTC)

    def _caller(self, iam_id: IamId, api_key_id: ApiKeyId) -> _Caller:
        known = self._callers.get(api_key_id)
        if (
            known is not None
            and known.principal.iam_id == iam_id
            and known.generation >= self._generations.required
            and not self._generations.poll_due(self._clock.now())
        ):
            return known
        found = self._storage.read(lambda unit: self._load(unit, iam_id, api_key_id))
        with self._lock:
            if found is None:
                self._callers.pop(api_key_id, None)
            else:
                self._callers[api_key_id] = found
                if len(self._callers) > self._callers_max:
                    del self._callers[next(iter(self._callers))]
        if found is None:
            raise Unauthenticated(
                ErrorCode.TOKEN_INVALID,
                "The access token is no longer valid: its API key or identity was disabled or deleted.",
            )
        return found

    def _load(self, unit: ReadUnit, iam_id: IamId, api_key_id: ApiKeyId) -> _Caller | None:
        # First: should the store change under this read, what follows is newer than it says, never older.
        generation = self._generations.read(unit)
        api_key = unit.identities.find_api_key(api_key_id)
        if api_key is None or api_key.disabled or api_key.iam_id != iam_id:
            return None
        identity = find_identity(unit, iam_id)
        if identity is None or not identity.active:
            return None
        return _Caller(
            generation=generation,
            principal=principal_of(unit, identity, api_key.id),
            key_expires_at=api_key.expires_at,
            networks=parse_networks(api_key.allowed_networks),
        )


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _use(token: _Token, now: datetime, address: str | None) -> Principal:
    if now >= token.expires_at:
        raise Unauthenticated(ErrorCode.TOKEN_EXPIRED, "The access token has expired.", hint=_HINT)
    caller = token.caller
    if caller.key_expires_at is not None and now >= caller.key_expires_at:
        raise Unauthenticated(ErrorCode.TOKEN_EXPIRED, "The API key of the access token has expired.")
    if caller.networks and not address_allowed(caller.networks, address):
        raise Unauthenticated(
            ErrorCode.ADDRESS_NOT_ALLOWED, "This access token may not be used from the address of this request."
        )
    return caller.principal
