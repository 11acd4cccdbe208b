"""Who an identity is and what was granted to it, read from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.identity.model import (
    AccessGroup,
    ApiKey,
    Membership,
    Policy,
    SubjectKind,
    UserOrigin,
    UserState,
)
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import AccessGroupId, IamId
from strongroom.kernel.result import Page

T = TypeVar("T")

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What users and service IDs have in common.

    Attributes:
        subject: ``sub`` of its tokens.
        has_password: whether it can log in without an API key.
    """

    iam_id: IamId
    name: str
    kind: PrincipalKind
    active: bool
    subject: str
    email: str | None = None
    has_password: bool = False


def find_identity(unit: ReadUnit, iam_id: IamId) -> Identity | None:
    """Return the user or service ID behind an IAM id."""
    service_id = unit.identities.find_service_id_by_iam_id(iam_id)
    if service_id is not None:
        return Identity(
            iam_id=iam_id, name=service_id.name, kind=PrincipalKind.SERVICE_ID, active=True, subject=service_id.id
        )
    user = unit.identities.find_user(iam_id)
    if user is None:
        return None
    return Identity(
        iam_id=iam_id,
        name=user.name,
        kind=PrincipalKind.USER,
        active=user.state is UserState.ACTIVE,
        subject=user.email or user.name,
        email=user.email,
        has_password=user.origin is UserOrigin.LOCAL and user.password_hash is not None,
    )


def grants_of(unit: ReadUnit, iam_id: IamId, extra_groups: Iterable[AccessGroupId] = ()) -> tuple[Grant, ...]:
    """Return the union over the policies of the identity and of its access groups.

    Args:
        unit: a consistent read.
        iam_id: the identity.
        extra_groups: access groups that it belongs to for this session only.
    """
    groups = dict.fromkeys(group.id for group in unit.identities.access_groups_of(iam_id))
    groups |= dict.fromkeys(extra_groups)
    subjects = [(SubjectKind.IAM_ID, str(iam_id))]
    subjects += [(SubjectKind.ACCESS_GROUP, str(group_id)) for group_id in groups]
    found = dict.fromkeys(
        Grant(role, policy.group_id) for policy in unit.identities.policies_of(subjects) for role in policy.roles
    )
    return tuple(found)


def principal_of(unit: ReadUnit, identity: Identity, credential_id: str | None) -> Principal:
    """Return the caller with everything that was granted to it."""
    return Principal(
        iam_id=identity.iam_id,
        name=identity.name,
        kind=identity.kind,
        credential_id=credential_id,
        grants=grants_of(unit, identity.iam_id),
    )


def key_usable(api_key: ApiKey, now: datetime) -> bool:
    """Tell whether a key opens anything at this moment."""
    return not api_key.disabled and (api_key.expires_at is None or api_key.expires_at > now)


def is_service_id(iam_id: IamId) -> bool:
    """Tell a service ID from a user by the form of its IAM id."""
    return iam_id.startswith("iam-")


def all_keys_of(unit: ReadUnit, iam_id: IamId | None) -> Iterator[ApiKey]:
    """Yield every API key of the identity, or of all."""
    return _all(lambda offset: unit.identities.api_keys(iam_id=iam_id, limit=PAGE, offset=offset))


def all_access_groups(unit: ReadUnit, iam_id: IamId | None = None) -> Iterator[AccessGroup]:
    """Yield every access group, or every one that the identity belongs to."""
    return _all(lambda offset: unit.identities.access_groups(limit=PAGE, offset=offset, iam_id=iam_id))


def all_members(unit: ReadUnit, group_id: AccessGroupId) -> Iterator[Membership]:
    """Yield every membership of an access group."""
    return _all(lambda offset: unit.identities.members(group_id, limit=PAGE, offset=offset))


def all_policies(unit: ReadUnit) -> Iterator[Policy]:
    """Yield every policy."""
    return _all(lambda offset: unit.identities.policies(limit=PAGE, offset=offset))


def _all(page_at: Callable[[int], Page[T]]) -> Iterator[T]:
    offset = 0
    while True:
        page = page_at(offset)
        yield from page.items
        offset += len(page.items)
        if not page.items or offset >= page.total:
            return


class Administrators:
    """Sees to it that somebody can always administer the server.

    Checked after each change that could take the last one away, inside its unit, while no other
    process can do the same: two administrators that delete each other do not both succeed.
    """

    def __init__(self) -> None:
        self._known: IamId | None = None

    def ensure_one_remains(self, unit: Unit, now: datetime) -> None:
        """Refuse a change after which nobody could administer the server.

        An administrator counts if it is active, holds Administrator on the instance, by itself or
        through an access group, and has a usable API key or a local password. People who can only
        come through an identity provider do not count: its settings may be gone tomorrow.

        Raises:
            Conflict: ``last_administrator``.
        """
        unit.identities.hold()
        known = self._known
        if known is not None and _administers(unit, known) and _can_log_in(unit, known, now):
            return
        for iam_id in _administrators(unit):
            if _can_log_in(unit, iam_id, now):
                self._known = iam_id
                return
        raise Conflict(
            ErrorCode.LAST_ADMINISTRATOR,
            "This would leave nobody who can administer the server: the last Administrator must keep its policy "
            "on the instance and a way to log in.",
            hint="Give another identity the role Administrator on the instance, and an API key, first.",
        )


def _administers(unit: ReadUnit, iam_id: IamId) -> bool:
    return Grant(Role.ADMINISTRATOR) in grants_of(unit, iam_id)


def _administrators(unit: ReadUnit) -> Iterator[IamId]:
    for policy in all_policies(unit):
        if policy.group_id is not None or Role.ADMINISTRATOR not in policy.roles:
            continue
        if policy.subject_kind is SubjectKind.IAM_ID:
            yield IamId(policy.subject)
        else:
            yield from (member.iam_id for member in all_members(unit, AccessGroupId(policy.subject)))


def _can_log_in(unit: ReadUnit, iam_id: IamId, now: datetime) -> bool:
    identity = find_identity(unit, iam_id)
    if identity is None or not identity.active:
        return False
    return identity.has_password or any(key_usable(key, now) for key in all_keys_of(unit, iam_id))
