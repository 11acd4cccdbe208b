"""Users: people with a local password, or known to an identity provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from strongroom.domain.change import Change
from strongroom.domain.identity.fields import check_name
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators, all_keys_of
from strongroom.domain.identity.model import User, UserOrigin, UserState
from strongroom.domain.identity.ports import Digests
from strongroom.domain.identity.service_ids import forget_identity
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound, Problems
from strongroom.kernel.ids import IamId, new_uuid
from strongroom.kernel.result import Page

PASSWORD_MIN: Final = 12
PASSWORD_MAX: Final = 256
EMAIL_MAX: Final = 254

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+")


class Unchanged(Enum):
    """Stands for a field that the request does not name, where ``None`` removes the value."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What a new local user is made from."""

    name: str
    email: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """New values; `UNCHANGED` or, where a value cannot be removed, ``None`` leaves the present one."""

    name: str | None = None
    email: str | Unchanged | None = UNCHANGED
    password: str | Unchanged | None = field(default=UNCHANGED, repr=False)
    state: UserState | None = None


class Users:
    """Creates, changes and deletes users, for administrators."""

    def __init__(
        self, *, clock: Clock, digests: Digests, generations: Generations, administrators: Administrators
    ) -> None:
        self._clock = clock
        self._digests = digests
        self._generations = generations
        self._administrators = administrators

    def create(self, request: NewUser) -> Change[User]:
        """Prepare a new local user; slow when it has a password.

        Raises:
            Invalid: names every field at fault.
            Conflict: on commit, ``already_exists`` for a taken name.
        """
        problems = Problems()
        check_name(problems, request.name)
        _check_email(problems, request.email)
        _check_password(problems, request.password)
        problems.raise_any()
        user = User(
            iam_id=IamId(f"IBMid-{new_uuid()}"),
            name=request.name,
            email=request.email,
            password_hash=None if request.password is None else self._digests.hash_password(request.password),
            created_at=self._clock.now(),
        )

        def commit(unit: Unit) -> User:
            _ensure_name_free(unit, user)
            unit.identities.add_user(user)
            self._generations.announce(unit)
            return user

        return Change(commit)

    def get(self, unit: ReadUnit, iam_id: IamId) -> User:
        """Return one.

        Raises:
            NotFound: there is none.
        """
        found = unit.identities.find_user(iam_id)
        if found is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"The user {iam_id!r} was not found.")
        return found

    def page(self, unit: ReadUnit, *, limit: int, offset: int) -> Page[User]:
        """Return a page of all users."""
        return unit.identities.users(limit=limit, offset=offset)

    def update(self, iam_id: IamId, change: UserChange) -> Change[User]:
        """Prepare new values; slow when the password changes.

        Raises:
            Invalid: names every field at fault; on commit, a password for a user of a provider.
            Conflict: on commit, ``already_exists`` for a taken name, ``last_administrator``.
        """
        problems = Problems()
        if change.name is not None:
            check_name(problems, change.name)
        email, password = change.email, change.password
        if not isinstance(email, Unchanged):
            _check_email(problems, email)
        if not isinstance(password, Unchanged):
            _check_password(problems, password)
        problems.raise_any()
        secret = password if isinstance(password, str) else None
        password_hash = None if secret is None else self._digests.hash_password(secret)

        def edit(found: User) -> User:
            if secret is not None and found.origin is not UserOrigin.LOCAL:
                raise Invalid(
                    ErrorCode.INVALID_FIELD,
                    "password: this user logs in through the identity provider, which keeps the password.",
                    field="password",
                )
            return replace(
                found,
                name=found.name if change.name is None else change.name,
                email=found.email if isinstance(email, Unchanged) else email,
                password_hash=found.password_hash if isinstance(password, Unchanged) else password_hash,
                state=change.state or found.state,
            )

        return self._changing(iam_id, edit)

    def delete(self, iam_id: IamId) -> Change[User]:
        """Prepare deleting one with its keys, policies, memberships and refresh tokens.

        Raises:
            Conflict: on commit, ``identity_locked`` if one of its keys is locked, ``last_administrator``.
        """

        def commit(unit: Unit) -> User:
            found = self.get(unit, iam_id)
            if any(api_key.locked for api_key in all_keys_of(unit, iam_id)):
                raise Conflict(
                    ErrorCode.IDENTITY_LOCKED, f"The user {iam_id} has a locked API key.", hint="Unlock the key first."
                )
            forget_identity(unit, iam_id)
            unit.identities.remove_user(iam_id)
            self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return found

        return Change(commit)

    def _changing(self, iam_id: IamId, edit: Callable[[User], User]) -> Change[User]:
        def commit(unit: Unit) -> User:
            found = self.get(unit, iam_id)
            changed = edit(found)
            if changed.name != found.name:
                _ensure_name_free(unit, changed)
            unit.identities.save_user(changed)
            if changed.state is not UserState.ACTIVE or changed.password_hash is None:
                self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return changed

        return Change(commit)


def _ensure_name_free(unit: ReadUnit, user: User) -> None:
    other = unit.identities.find_user_by_name(user.name)
    if other is not None and other.iam_id != user.iam_id:
        raise Conflict(ErrorCode.ALREADY_EXISTS, f"A user with the same name already exists: {user.name}", field="name")


def _check_email(problems: Problems, value: str | None) -> None:
    if value is not None and (len(value) > EMAIL_MAX or _EMAIL.fullmatch(value) is None):
        problems.add(
            "email", f"email must be an address such as operator@example.com of at most {EMAIL_MAX} characters."
        )


def _check_password(problems: Problems, value: str | None) -> None:
    if value is not None and not PASSWORD_MIN <= len(value) <= PASSWORD_MAX:
        problems.add(
            "password",
            f"password must have {PASSWORD_MIN} to {PASSWORD_MAX} characters, it has {len(value)}.",
        )
