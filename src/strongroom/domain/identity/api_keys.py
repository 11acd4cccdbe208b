"""API keys: shown once, stored as keyed digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import refuse, require_instance
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.identity.fields import (
    check_description,
    check_expiry,
    check_name,
    check_networks,
    expected_tag,
    networks_within,
)
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators, all_keys_of, find_identity, is_service_id, key_usable
from strongroom.domain.identity.model import ApiKey
from strongroom.domain.identity.ports import Digests
from strongroom.domain.limits import Limits
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, LimitReached, NotFound, Problems, Unauthenticated
from strongroom.kernel.ids import ApiKeyId, IamId, new_uuid
from strongroom.kernel.result import Page
from strongroom.kernel.time import format_rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """What a new API key is made from."""

    name: str
    description: str | None = None
    expires_at: datetime | None = None
    allowed_networks: tuple[str, ...] = ()
    disabled: bool = False
    locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApiKey:
    """A new key with its text, which is shown this once."""

    api_key: ApiKey
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyChange:
    """New values; ``None`` leaves the present one.

    Attributes:
        description: empty removes it.
        never_expires: takes the expiry away.
    """

    name: str | None = None
    description: str | None = None
    expires_at: datetime | None = None
    never_expires: bool = False
    allowed_networks: tuple[str, ...] | None = None


class ApiKeys:
    """Creates, changes and deletes API keys.

    Everybody may list, read, create and delete the keys of their own identity; everything else
    needs ``identity.manage``.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        limits: Limits,
        digests: Digests,
        generations: Generations,
        administrators: Administrators,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._digests = digests
        self._generations = generations
        self._administrators = administrators

    def make(self, actor: IamId, iam_id: IamId, request: NewApiKey, *, prefix: str = "") -> CreatedApiKey:
        """Make a key without storing it.

        Args:
            actor: who asked for it.
            iam_id: whom it authenticates.
            request: its fields.
            prefix: put before the names of fields at fault.

        Raises:
            Invalid: names every field at fault.
        """
        now = self._clock.now()
        problems = Problems()
        check_name(problems, request.name, f"{prefix}name")
        check_description(problems, request.description, f"{prefix}description")
        check_expiry(problems, request.expires_at, now, f"{prefix}expires_at")
        networks = check_networks(problems, request.allowed_networks, f"{prefix}allowed_networks")
        problems.raise_any()
        key = self._digests.new_api_key()
        api_key = ApiKey(
            id=ApiKeyId(f"ApiKey-{new_uuid()}"),
            iam_id=iam_id,
            name=request.name,
            description=request.description or None,
            digest=self._digests.api_key_digest(key),
            entity_tag=new_uuid(),
            disabled=request.disabled,
            locked=request.locked,
            expires_at=request.expires_at,
            allowed_networks=networks,
            created_at=now,
            created_by=actor,
            modified_at=now,
        )
        return CreatedApiKey(api_key=api_key, key=key)

    def add(self, unit: Unit, api_key: ApiKey) -> None:
        """Store a new key.

        Raises:
            LimitReached: the identity has as many keys as it may.
        """
        present = unit.identities.api_keys(iam_id=api_key.iam_id, limit=1, offset=0).total
        if present >= self._limits.api_keys_per_identity:
            raise LimitReached(
                ErrorCode.LIMIT_REACHED,
                f"The identity has reached the maximum of {self._limits.api_keys_per_identity} API keys.",
                field="iam_id",
                hint="Delete keys that are no longer used.",
            )
        unit.identities.add_api_key(api_key)

    def create(self, principal: Principal, iam_id: IamId, request: NewApiKey) -> Change[CreatedApiKey]:
        """Prepare a new key of the caller's own identity, or of any for an administrator.

        Who is no administrator cannot get rid of the limits of a key by making another one with it:
        the new key ends no later and is good from no other networks. Where it says nothing about
        them, it takes them over.

        Raises:
            Forbidden: the identity is not the caller's own.
            Unauthenticated: on commit, the key that the caller uses was disabled or deleted meanwhile.
            Invalid: names every field at fault; on commit, an unknown ``iam_id``, or wider limits
                than those of the caller's key.
            LimitReached: on commit, the identity has as many keys as it may.
        """
        _ensure_may_reach(principal, iam_id)
        made = self.make(principal.iam_id, iam_id, request)

        def commit(unit: Unit) -> CreatedApiKey:
            if find_identity(unit, iam_id) is None:
                raise Invalid(ErrorCode.INVALID_FIELD, "iam_id: there is no such user or service ID.", field="iam_id")
            limited = replace(made, api_key=self._within_own_limits(unit, principal, made.api_key))
            self.add(unit, limited.api_key)
            self._generations.announce(unit)
            return limited

        return Change(commit)

    def get(self, unit: ReadUnit, principal: Principal, api_key_id: ApiKeyId) -> ApiKey:
        """Return one of the caller's own keys, or any for an administrator.

        Raises:
            NotFound: there is none, said to administrators only.
            Forbidden: it is not the caller's own, or there is none.
        """
        return self._reachable(principal, unit.identities.find_api_key(api_key_id), f"The API key {api_key_id!r}")

    def get_by_value(self, unit: ReadUnit, principal: Principal, key: str) -> ApiKey:
        """Return the key with this text; the same rules as for `get`."""
        found = unit.identities.find_api_key_by_digest(self._digests.api_key_digest(key))
        return self._reachable(principal, found, "The API key")

    def page(
        self,
        unit: ReadUnit,
        principal: Principal,
        *,
        iam_id: IamId | None,
        everybody: bool,
        services: bool | None = None,
        limit: int,
        offset: int,
    ) -> Page[ApiKey]:
        """Return a page of the keys of one identity, or of all.

        Args:
            unit: a consistent read.
            principal: the caller.
            iam_id: whose keys; ``None`` means the caller's own.
            everybody: keys of all identities, for administrators.
            services: of everybody's keys, those of service IDs or those of users only.
            limit: page size.
            offset: how many to leave out.
        """
        if everybody and iam_id is None:
            require_instance(principal, Action.IDENTITY_MANAGE)
            if services is None:
                return unit.identities.api_keys(iam_id=None, limit=limit, offset=offset)
            found = [api_key for api_key in all_keys_of(unit, None) if is_service_id(api_key.iam_id) is services]
            return Page(items=found[offset : offset + limit], total=len(found), limit=limit, offset=offset)
        wanted = iam_id or principal.iam_id
        _ensure_may_reach(principal, wanted)
        return unit.identities.api_keys(iam_id=wanted, limit=limit, offset=offset)

    def update(
        self, principal: Principal, api_key_id: ApiKeyId, change: ApiKeyChange, if_match: str | None
    ) -> Change[ApiKey]:
        """Prepare new values.

        Raises:
            Invalid: ``precondition_required`` without If-Match, or names the fields at fault.
            Conflict: on commit, ``stale_version`` or ``identity_locked``.
        """
        require_instance(principal, Action.IDENTITY_MANAGE)
        expected = expected_tag(if_match)
        problems = Problems()
        if change.name is not None:
            check_name(problems, change.name)
        check_description(problems, change.description)
        check_expiry(problems, change.expires_at, self._clock.now())
        given = change.allowed_networks
        networks = None if given is None else check_networks(problems, given)
        problems.raise_any()

        def edit(found: ApiKey) -> ApiKey:
            expires_at = change.expires_at or found.expires_at
            return replace(
                found,
                name=found.name if change.name is None else change.name,
                description=found.description if change.description is None else change.description or None,
                expires_at=None if change.never_expires else expires_at,
                allowed_networks=found.allowed_networks if networks is None else networks,
            )

        return self._changing(principal, api_key_id, edit, expected=expected)

    def set_disabled(self, principal: Principal, api_key_id: ApiKeyId, *, disabled: bool) -> Change[ApiKey]:
        """Prepare disabling or enabling it; doing so twice changes nothing.

        Raises:
            Conflict: on commit, ``identity_locked`` or ``last_administrator``.
        """
        require_instance(principal, Action.IDENTITY_MANAGE)
        return self._changing(principal, api_key_id, lambda found: replace(found, disabled=disabled))

    def set_locked(self, principal: Principal, api_key_id: ApiKeyId, *, locked: bool) -> Change[ApiKey]:
        """Prepare locking or unlocking it; doing so twice changes nothing."""
        require_instance(principal, Action.IDENTITY_MANAGE)
        return self._changing(principal, api_key_id, lambda found: replace(found, locked=locked), even_locked=True)

    def delete(self, principal: Principal, api_key_id: ApiKeyId) -> Change[ApiKey]:
        """Prepare deleting one of the caller's own keys, or any for an administrator.

        Raises:
            Conflict: on commit, ``identity_locked`` or ``last_administrator``.
        """

        def commit(unit: Unit) -> ApiKey:
            found = self.get(unit, principal, api_key_id)
            _ensure_unlocked(found)
            unit.identities.remove_api_key(found.id)
            self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return found

        return Change(commit)

    def _within_own_limits(self, unit: ReadUnit, principal: Principal, new: ApiKey) -> ApiKey:
        if principal.credential_id is None:
            return new
        own = unit.identities.find_api_key(ApiKeyId(principal.credential_id))
        if own is None or not key_usable(own, self._clock.now()):
            # A key that outlives the one it was made with must not come from a request that was on its way.
            raise Unauthenticated(
                ErrorCode.TOKEN_INVALID, "The API key of the access token was disabled or deleted meanwhile."
            )
        if principal.scope(Action.IDENTITY_MANAGE).everywhere:
            return new
        problems = Problems()
        expires_at, networks = new.expires_at or own.expires_at, new.allowed_networks or own.allowed_networks
        if own.expires_at is not None and expires_at is not None and expires_at > own.expires_at:
            latest = format_rfc3339(own.expires_at)
            problems.add("expires_at", f"expires_at must not be later than that of the key you use, {latest}.")
        if not networks_within(networks, own.allowed_networks):
            allowed = ", ".join(own.allowed_networks)
            problems.add("allowed_networks", f"allowed_networks must lie within those of the key you use: {allowed}.")
        problems.raise_any()
        return replace(new, expires_at=expires_at, allowed_networks=networks)

    def _changing(
        self,
        principal: Principal,
        api_key_id: ApiKeyId,
        edit: Callable[[ApiKey], ApiKey],
        *,
        expected: str | None = None,
        even_locked: bool = False,
    ) -> Change[ApiKey]:
        tag = new_uuid()

        def commit(unit: Unit) -> ApiKey:
            found = self.get(unit, principal, api_key_id)
            if not even_locked:
                _ensure_unlocked(found)
            changed = replace(edit(found), entity_tag=tag, modified_at=self._clock.now())
            unit.identities.save_api_key(changed, expected_tag=expected)
            if changed.disabled and not found.disabled:
                self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return changed

        return Change(commit)

    def _reachable(self, principal: Principal, found: ApiKey | None, what: str) -> ApiKey:
        if found is not None and found.iam_id == principal.iam_id:
            return found
        if not principal.scope(Action.IDENTITY_MANAGE).everywhere:
            # The same answer for a key of somebody else and for none, so that ids cannot be tried.
            refuse(Action.IDENTITY_MANAGE)
        if found is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"{what} was not found.")
        return found


def _ensure_may_reach(principal: Principal, iam_id: IamId) -> None:
    if iam_id != principal.iam_id:
        require_instance(principal, Action.IDENTITY_MANAGE)


def _ensure_unlocked(found: ApiKey) -> None:
    if found.locked:
        raise Conflict(
            ErrorCode.IDENTITY_LOCKED,
            f"The API key {found.id} is locked; it cannot be changed or deleted.",
            hint="Unlock it first.",
        )
