"""Who is asking, and what their grants cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from strongroom.domain.access.actions import EVERYBODY, GROUP_ACTIONS, PLATFORM_ROLES, ROLE_ACTIONS, Action, Role
from strongroom.kernel.ids import GroupId, IamId


class PrincipalKind(StrEnum):
    """What kind of identity it is, as the audit trail names it."""

    USER = "user"
    SERVICE_ID = "service_id"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on the instance (``group_id`` is ``None``) or on one secret group."""

    role: Role
    group_id: GroupId | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an action is allowed: everywhere, in some groups, or nowhere."""

    everywhere: bool = False
    groups: frozenset[GroupId] = frozenset()

    def __bool__(self) -> bool:
        """Tell whether it allows anything at all."""
        return self.everywhere or bool(self.groups)

    def covers(self, group_id: GroupId) -> bool:
        """Tell whether it reaches the group."""
        return self.everywhere or group_id in self.groups


NOWHERE: Final = Scope()
EVERYWHERE: Final = Scope(everywhere=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Principal:
    """An authenticated caller with everything that was granted to it.

    Attributes:
        iam_id: stamped as ``created_by`` on what it makes.
        name: for people, in the audit trail.
        credential_id: id of the API key that the token came from.
        grants: union over the policies of the identity and of its access groups.
    """

    iam_id: IamId
    name: str
    kind: PrincipalKind
    credential_id: str | None = None
    grants: tuple[Grant, ...] = ()
    _scopes: dict[Action, Scope] = field(default_factory=dict, repr=False)

    @property
    def facts(self) -> Mapping[str, str]:
        """Return what rules may say of the caller."""
        return {"iam_id": self.iam_id, "name": self.name}

    def scope(self, action: Action) -> Scope:
        """Return where this caller may do ``action``; remembered, grants never change."""
        known = self._scopes.get(action)
        if known is None:
            known = self._scopes[action] = scope_of(self.grants, action)
        return known


def scope_of(grants: Iterable[Grant], action: Action) -> Scope:
    """Decide where the grants allow the action: the one rule behind every check and list filter.

    The answer is the union of all grants; there are no deny policies. Platform roles and
    instance-only actions count on the instance alone.
    """
    if action in EVERYBODY:
        return EVERYWHERE
    groups: set[GroupId] = set()
    for grant in grants:
        if action not in ROLE_ACTIONS[grant.role]:
            continue
        if grant.group_id is None:
            return EVERYWHERE
        if action in GROUP_ACTIONS and grant.role not in PLATFORM_ROLES:
            groups.add(grant.group_id)
    return Scope(groups=frozenset(groups)) if groups else NOWHERE


SYSTEM: Final = Principal(iam_id=IamId("iam-Strongroom"), name="strongroom", kind=PrincipalKind.SYSTEM)
"""The service itself: background rotation, expiry, clean-up."""

ANONYMOUS: Final = Principal(iam_id=IamId("anonymous"), name="anonymous", kind=PrincipalKind.ANONYMOUS)
