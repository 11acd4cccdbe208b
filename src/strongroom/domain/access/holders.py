"""Who may do something with a secret: the grants behind it, identity by identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.domain.access.actions import PLATFORM_ROLES, ROLE_ACTIONS, Action, Role
from strongroom.domain.identity.grants import all_members, all_policies
from strongroom.domain.identity.model import SubjectKind
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.ids import AccessGroupId, GroupId, IamId

INSTANCE_SCOPE: Final = "instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One grant that reaches a secret.

    Attributes:
        roles: those that give anything on secrets.
        scope: ``instance``, or the id of the secret's group.
        via: the policy, or the access group that the identity has it from.
    """

    iam_id: IamId
    name: str
    roles: tuple[Role, ...]
    scope: str
    via: str


def holders(unit: ReadUnit, group_id: GroupId) -> list[Holder]:
    """Return who may do something with secrets of the group, by name; one entry per grant.

    Platform roles give no access to secrets, and a member's access may come from several policies:
    both follow the rule of `principals.scope_of`.
    """
    found: list[Holder] = []
    for policy in all_policies(unit):
        roles = tuple(role for role in policy.roles if _reaches_secrets(role))
        if not roles or policy.group_id not in {None, group_id}:
            continue
        scope = INSTANCE_SCOPE if policy.group_id is None else group_id
        if policy.subject_kind is SubjectKind.IAM_ID:
            iam_id = IamId(policy.subject)
            found.append(Holder(iam_id=iam_id, name=_name(unit, iam_id), roles=roles, scope=scope, via=policy.id))
            continue
        found += [
            Holder(iam_id=member.iam_id, name=_name(unit, member.iam_id), roles=roles, scope=scope, via=policy.subject)
            for member in all_members(unit, AccessGroupId(policy.subject))
        ]
    return sorted(found, key=lambda holder: (holder.name, holder.iam_id, holder.scope, holder.via))


def _reaches_secrets(role: Role) -> bool:
    return role not in PLATFORM_ROLES and Action.SECRET_METADATA_READ in ROLE_ACTIONS[role]


def _name(unit: ReadUnit, iam_id: IamId) -> str:
    user = unit.identities.find_user(iam_id)
    if user is not None:
        return user.name
    service_id = unit.identities.find_service_id_by_iam_id(iam_id)
    return service_id.name if service_id is not None else iam_id
