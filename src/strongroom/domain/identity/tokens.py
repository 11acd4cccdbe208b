"""Trading a credential for an access token.

The access token is a signed JWT; it is checked against the store on every use, so that it is worth
nothing once its key, its identity or its network says no. A refresh token is opaque, kept as a
keyed digest, and worth something only for as long as the key it came from exists.

Source: design, sections 5 and 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.identity.fields import address_allowed, parse_networks
from strongroom.domain.identity.grants import Identity, find_identity, key_usable
from strongroom.domain.identity.model import ApiKey, RefreshToken
from strongroom.domain.identity.ports import Digests, TokenSigner
from strongroom.domain.identity.throttle import FailedLogins
from strongroom.domain.limits import Limits
from strongroom.domain.ports import ReadUnit, Storage, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, Unauthenticated
from strongroom.kernel.ids import Instance, new_uuid

GRANT_API_KEY: Final = "urn:ibm:params:oauth:grant-type:apikey"
GRANT_REFRESH: Final = "refresh_token"
GRANT_ASSUME: Final = "urn:ibm:params:oauth:grant-type:assume"
SCOPE: Final = "ibm openid"
NO_REFRESH_TOKEN: Final = "not_supported"  # noqa: S105 - a word of the protocol
REFRESH_CLIENT: Final = ("bx", "bx")
"""The client credentials that the reference's command line sends; only it knows what to do with a refresh token."""

_REFRESH_PREFIX = "rt-"
_CREDENTIAL_MAX = 4096
_TOUCH_EVERY = timedelta(minutes=1)
"""``last_used_at`` is this exact; a client that logs in for every call must not cost a write each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What the token endpoint answers."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    expiration: int
    token_type: str = "Bearer"  # noqa: S105 - a word of the protocol
    scope: str = SCOPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A credential that was accepted.

    Attributes:
        answer: given once ``change`` is on disk, if there is one.
        principal: who logged in, for the audit trail; without grants.
    """

    answer: TokenAnswer
    principal: Principal
    change: Change[None] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    api_key: ApiKey
    identity: Identity


class TokenExchange:
    """Trades API keys and refresh tokens for access tokens. Safe to use from any thread.

    Args:
        issuer: ``iss`` of the tokens.
        failed_logins: refuses attempts after too many failures.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        limits: Limits,
        instance: Instance,
        digests: Digests,
        signer: TokenSigner,
        issuer: str,
        failed_logins: FailedLogins,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self._instance = instance
        self._digests = digests
        self._signer = signer
        self._issuer = issuer
        self._failed_logins = failed_logins

    def exchange(self, form: Mapping[str, str], basic: tuple[str, str] | None, address: str | None) -> Login:
        """Check the credential of a token request; reads the store and signs, so it is no quick call.

        Args:
            form: the fields of the request.
            basic: client name and secret of Basic authentication, if any.
            address: where the request comes from.

        Raises:
            Invalid: ``credential_refused``, ``not_supported`` for other grants, or a missing field.
            Unauthenticated: ``address_not_allowed`` by the key's network rule.
            LimitReached: ``too_many_attempts``.
        """
        grant = form.get("grant_type", "")
        if grant == GRANT_API_KEY:
            return self._log_in(grant, _credential(form, "apikey"), basic, address, refresh=False)
        if grant == GRANT_REFRESH:
            return self._log_in(grant, _credential(form, "refresh_token"), basic, address, refresh=True)
        if not grant:
            raise Invalid(ErrorCode.MISSING_FIELD, "grant_type is required.", field="grant_type")
        if grant == GRANT_ASSUME:
            text = "grant_type: there are no trusted profiles on this server that could be assumed."
        else:
            # Not shown: it may be the key, in the wrong field.
            text = "grant_type: this grant is not supported."
        raise Invalid(ErrorCode.NOT_SUPPORTED, text, field="grant_type", hint=f"Use {GRANT_API_KEY} with an API key.")

    def _log_in(
        self, grant: str, credential: str, basic: tuple[str, str] | None, address: str | None, *, refresh: bool
    ) -> Login:
        digest = self._digests.api_key_digest(credential)
        self._failed_logins.check(address, digest)
        now = self._clock.now()
        found = self._storage.read(lambda unit: self._find(unit, digest, now, refresh=refresh))
        if found is None:
            self._refuse(address, digest, refresh=refresh)
        if not address_allowed(parse_networks(found.api_key.allowed_networks), address):
            # Counted for the address only: whoever holds a stolen key must not lock its owner out.
            self._failed_logins.failed(address)
            raise Unauthenticated(
                ErrorCode.ADDRESS_NOT_ALLOWED, "This API key may not be used from the address of this request."
            )
        return self._issue(grant, found, now, with_refresh=basic == REFRESH_CLIENT)

    def _find(self, unit: ReadUnit, digest: str, now: datetime, *, refresh: bool) -> _Found | None:
        if refresh:
            token = unit.identities.find_refresh_token(digest)
            if token is None or token.expires_at <= now:
                return None
            api_key = unit.identities.find_api_key(token.api_key_id)
            if api_key is None or api_key.iam_id != token.iam_id:
                return None
        else:
            api_key = unit.identities.find_api_key_by_digest(digest)
        if api_key is None or not key_usable(api_key, now):
            return None
        identity = find_identity(unit, api_key.iam_id)
        if identity is None or not identity.active:
            return None
        return _Found(api_key, identity)

    def _refuse(self, address: str | None, digest: str, *, refresh: bool) -> NoReturn:
        self._failed_logins.failed(address, digest)
        # One answer for every reason: whether a key exists, or was disabled, is nobody's business.
        if refresh:
            text = "The refresh token is unknown, has expired, or its API key is no longer valid."
            raise Invalid(ErrorCode.CREDENTIAL_REFUSED, text, field="refresh_token")
        raise Invalid(
            ErrorCode.CREDENTIAL_REFUSED, "Provided API key could not be found, or is no longer valid.", field="apikey"
        )

    def _issue(self, grant: str, found: _Found, now: datetime, *, with_refresh: bool) -> Login:
        api_key, identity = found.api_key, found.identity
        life = self._limits.token_life
        if api_key.expires_at is not None:
            life = min(life, api_key.expires_at - now)
        issued = int(now.timestamp())
        expires_in = max(1, int(life.total_seconds()))
        claims: dict[str, Any] = {
            "iam_id": identity.iam_id,
            "id": identity.iam_id,
            "sub": identity.subject,
            "iss": self._issuer,
            "account": {"bss": self._instance.account_id, "valid": True},
            "iat": issued,
            "exp": issued + expires_in,
            "jti": new_uuid(),
            "grant_type": grant,
            "scope": SCOPE,
            "apikey_id": api_key.id,
        }
        if identity.email is not None:
            claims["email"] = identity.email
        refresh_token = f"{_REFRESH_PREFIX}{self._digests.new_api_key()}" if with_refresh else None
        answer = TokenAnswer(
            access_token=self._signer.sign(claims),
            refresh_token=refresh_token or NO_REFRESH_TOKEN,
            expires_in=expires_in,
            expiration=issued + expires_in,
        )
        principal = Principal(iam_id=identity.iam_id, name=identity.name, kind=identity.kind, credential_id=api_key.id)
        return Login(answer=answer, principal=principal, change=self._change(api_key, refresh_token, now))

    def _change(self, api_key: ApiKey, refresh_token: str | None, now: datetime) -> Change[None] | None:
        touch = api_key.last_used_at is None or now - api_key.last_used_at >= _TOUCH_EVERY
        if refresh_token is None and not touch:
            return None
        stored = None
        if refresh_token is not None:
            stored = RefreshToken(
                digest=self._digests.api_key_digest(refresh_token),
                iam_id=api_key.iam_id,
                api_key_id=api_key.id,
                expires_at=now + self._limits.refresh_token_life,
            )

        def commit(unit: Unit) -> None:
            if unit.identities.find_api_key(api_key.id) is None:
                raise Invalid(
                    ErrorCode.CREDENTIAL_REFUSED,
                    "Provided API key could not be found, or is no longer valid.",
                    field="apikey",
                )
            if touch:
                unit.identities.touch_api_key(api_key.id, now)
            if stored is not None:
                unit.identities.purge_refresh_tokens(now)
                unit.identities.add_refresh_token(stored)

        return Change(commit)


def _credential(form: Mapping[str, str], field: str) -> str:
    value = form.get(field, "")
    if not value:
        raise Invalid(ErrorCode.MISSING_FIELD, f"{field} is required for this grant_type.", field=field)
    if len(value) > _CREDENTIAL_MAX:
        raise Invalid(ErrorCode.INVALID_FIELD, f"{field} is longer than {_CREDENTIAL_MAX} characters.", field=field)
    return value
