"""Creating, changing and deleting secret groups. Source: contract domain section 2.7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require, require_group, require_instance, unknown
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.identity.generations import Generations
from strongroom.domain.limits import Limits
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.domain.secrets.checks import GROUP_NAME_LENGTHS, check_description, check_name
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, LimitReached, Problems
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, is_uuid, new_uuid


@dataclass(frozen=True, slots=True)
class SecretGroups:
    """Everything that can be done with secret groups."""

    clock: Clock
    limits: Limits
    generations: Generations

    def get(self, unit: ReadUnit, principal: Principal, group_id: str) -> SecretGroup:
        """Return a group.

        Raises:
            Forbidden: it is outside the caller's scope.
            NotFound: there is no such group.
        """
        return _authorised(unit, principal, Action.SECRET_GROUP_READ, group_id)

    def listing(self, unit: ReadUnit, principal: Principal) -> Sequence[SecretGroup]:
        """Return the groups the caller may see: ``default`` first, then newest first."""
        scope = require(principal, Action.SECRET_GROUPS_LIST)
        return [group for group in unit.groups.listing() if scope.covers(group.id)]

    def create(self, principal: Principal, *, name: str, description: str) -> Change[SecretGroup]:
        """Prepare a new group.

        Raises:
            Invalid: a broken rule, by field.
        """
        require_instance(principal, Action.SECRET_GROUP_CREATE)
        _check(name, description)
        at = self.clock.now()
        group = SecretGroup(
            id=GroupId(new_uuid()),
            name=name,
            description=description,
            created_at=at,
            created_by=principal.iam_id,
            updated_at=at,
        )

        def commit(unit: Unit) -> SecretGroup:
            if unit.groups.find_by_name(name) is not None:
                raise _taken(name)
            if unit.groups.count() >= self.limits.secret_groups:
                raise LimitReached(
                    ErrorCode.LIMIT_REACHED,
                    f"The instance has reached the maximum of {self.limits.secret_groups} secret groups.",
                )
            unit.groups.add(group)
            return group

        return Change(commit)

    def patch(self, principal: Principal, group_id: str, members: Mapping[str, Any]) -> Change[SecretGroup]:
        """Prepare changes to a group.

        Raises:
            Invalid: a broken rule, by field; or the group is ``default`` and its name would change.
        """
        require_instance(principal, Action.SECRET_GROUP_UPDATE)
        if "name" in members and members["name"] is None:
            raise Invalid(ErrorCode.INVALID_FIELD, "name cannot be removed.", field="name")
        name: str | None = members.get("name")
        description = (members["description"] or "") if "description" in members else None
        _check(name, description)

        def commit(unit: Unit) -> SecretGroup:
            now = _authorised(unit, principal, Action.SECRET_GROUP_UPDATE, group_id)
            if not members:
                return now
            if name is not None and name != now.name:
                if now.id == DEFAULT_GROUP:
                    raise Invalid(
                        ErrorCode.GROUP_PROTECTED, "The default secret group cannot be renamed.", field="name"
                    )
                if unit.groups.find_by_name(name) is not None:
                    raise _taken(name)
            changed = replace(
                now,
                name=name if name is not None else now.name,
                description=description if description is not None else now.description,
                updated_at=self.clock.now(),
            )
            unit.groups.save(changed)
            return changed

        return Change(commit)

    def delete(self, principal: Principal, group_id: str) -> Change[None]:
        """Prepare deleting a group, which must be empty.

        Raises:
            Invalid: the group is ``default``.
        """
        require_instance(principal, Action.SECRET_GROUP_DELETE)
        if group_id == DEFAULT_GROUP:
            raise Invalid(ErrorCode.GROUP_PROTECTED, "The default secret group cannot be deleted.")

        def commit(unit: Unit) -> None:
            group = _authorised(unit, principal, Action.SECRET_GROUP_DELETE, group_id)
            count = unit.secrets.count_in_group(group.id)
            if count:
                raise Conflict(
                    ErrorCode.GROUP_NOT_EMPTY,
                    f"The secret group still holds {count} {'secret' if count == 1 else 'secrets'}; empty it first.",
                )
            while found := unit.identities.policies(group_id=group.id).items:
                for policy in found:
                    unit.identities.remove_policy(policy.id)
            self.generations.announce(unit)
            unit.groups.remove(group.id)

        return Change(commit)


def _authorised(unit: ReadUnit, principal: Principal, action: Action, group_id: str) -> SecretGroup:
    require(principal, action)
    known = group_id == DEFAULT_GROUP or is_uuid(group_id)
    group = unit.groups.find(GroupId(group_id)) if known else None
    if group is None:
        unknown(principal, action, "The secret group")
    require_group(principal, action, group.id)
    return group


def _check(name: str | None, description: str | None) -> None:
    problems = Problems()
    if name is not None:
        check_name(problems, name, lengths=GROUP_NAME_LENGTHS)
    if description is not None:
        check_description(problems, description)
    problems.raise_any()


def _taken(name: str) -> Conflict:
    return Conflict(ErrorCode.ALREADY_EXISTS, f"A secret group with the same name already exists: {name}", field="name")
