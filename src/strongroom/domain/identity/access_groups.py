"""Access groups: identities that share policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from strongroom.domain.access.principals import PrincipalKind
from strongroom.domain.change import Change
from strongroom.domain.identity.fields import check_description, check_name, expected_tag
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators, all_access_groups, find_identity
from strongroom.domain.identity.model import AccessGroup, Membership, SubjectKind
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound, Problems, StrongroomError
from strongroom.kernel.ids import AccessGroupId, IamId, new_uuid
from strongroom.kernel.result import Page

OIDC_GROUPS_MAX: Final = 100
MEMBERS_MAX: Final = 100
MEMBER_TYPES: Final = {PrincipalKind.USER: "user", PrincipalKind.SERVICE_ID: "service"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessGroup:
    """What a new access group is made from."""

    name: str
    description: str | None = None
    oidc_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGroupChange:
    """New values; ``None`` leaves the present one, an empty description removes it."""

    name: str | None = None
    description: str | None = None
    oidc_groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMember:
    """An identity that is to join: ``type`` is ``user`` or ``service``."""

    iam_id: IamId
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOutcome:
    """What became of one identity of a change of members.

    Attributes:
        membership: its place in the group, after it was added.
        error: why it was left out.
    """

    iam_id: IamId
    membership: Membership | None = None
    error: StrongroomError | None = None


class AccessGroups:
    """Creates, changes and deletes access groups and their members, for administrators."""

    def __init__(self, *, clock: Clock, generations: Generations, administrators: Administrators) -> None:
        self._clock = clock
        self._generations = generations
        self._administrators = administrators

    def create(self, actor: IamId, request: NewAccessGroup) -> Change[AccessGroup]:
        """Prepare a new, empty group.

        Raises:
            Invalid: names every field at fault.
            Conflict: on commit, ``already_exists`` for a taken name.
        """
        problems = Problems()
        check_name(problems, request.name)
        check_description(problems, request.description)
        _check_oidc_groups(problems, request.oidc_groups)
        problems.raise_any()
        now = self._clock.now()
        group = AccessGroup(
            id=AccessGroupId(f"AccessGroupId-{new_uuid()}"),
            name=request.name,
            description=request.description or None,
            oidc_groups=tuple(dict.fromkeys(request.oidc_groups)),
            entity_tag=new_uuid(),
            created_at=now,
            created_by=actor,
            modified_at=now,
            modified_by=actor,
        )

        def commit(unit: Unit) -> AccessGroup:
            _ensure_name_free(unit, group)
            unit.identities.add_access_group(group)
            self._generations.announce(unit)
            return group

        return Change(commit)

    def get(self, unit: ReadUnit, group_id: AccessGroupId) -> AccessGroup:
        """Return one.

        Raises:
            NotFound: there is none.
        """
        found = unit.identities.find_access_group(group_id)
        if found is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"The access group {group_id!r} was not found.")
        return found

    def page(
        self, unit: ReadUnit, *, limit: int, offset: int, iam_id: IamId | None = None, search: str | None = None
    ) -> Page[AccessGroup]:
        """Return a page, all of them or those of one identity.

        Args:
            unit: a consistent read.
            limit: page size.
            offset: how many to leave out.
            iam_id: only groups that this identity belongs to.
            search: text that the id, name or description contains, in any case.
        """
        if not search:
            return unit.identities.access_groups(limit=limit, offset=offset, iam_id=iam_id)
        wanted = search.casefold()
        found = [
            group
            for group in all_access_groups(unit, iam_id)
            if any(wanted in text.casefold() for text in (group.id, group.name, group.description or ""))
        ]
        return Page(items=found[offset : offset + limit], total=len(found), limit=limit, offset=offset)

    def update(
        self, actor: IamId, group_id: AccessGroupId, change: AccessGroupChange, if_match: str | None
    ) -> Change[AccessGroup]:
        """Prepare new values.

        Raises:
            Invalid: ``precondition_required`` without If-Match, or names the fields at fault.
            Conflict: on commit, ``stale_version``, or ``already_exists`` for a taken name.
        """
        expected = expected_tag(if_match)
        problems = Problems()
        if change.name is not None:
            check_name(problems, change.name)
        check_description(problems, change.description)
        _check_oidc_groups(problems, change.oidc_groups or ())
        problems.raise_any()
        tag = new_uuid()

        def commit(unit: Unit) -> AccessGroup:
            found = self.get(unit, group_id)
            oidc_groups = found.oidc_groups if change.oidc_groups is None else change.oidc_groups
            changed = replace(
                found,
                name=found.name if change.name is None else change.name,
                description=found.description if change.description is None else change.description or None,
                oidc_groups=tuple(dict.fromkeys(oidc_groups)),
                entity_tag=tag,
                modified_at=self._clock.now(),
                modified_by=actor,
            )
            if changed.name != found.name:
                _ensure_name_free(unit, changed)
            unit.identities.save_access_group(changed, expected_tag=expected)
            self._generations.announce(unit)
            return changed

        return Change(commit)

    def delete(self, group_id: AccessGroupId, *, force: bool) -> Change[AccessGroup]:
        """Prepare deleting it with its policies.

        Raises:
            Conflict: on commit, ``group_not_empty`` for a group with members unless ``force`` is
                given, ``last_administrator``.
        """

        def commit(unit: Unit) -> AccessGroup:
            found = self.get(unit, group_id)
            members = unit.identities.members(group_id, limit=1, offset=0).total
            if members and not force:
                raise Conflict(
                    ErrorCode.GROUP_NOT_EMPTY,
                    f"The access group {found.name!r} has {members} members.",
                    hint="Remove them first, or delete it with force=true.",
                )
            unit.identities.remove_policies_of(SubjectKind.ACCESS_GROUP, group_id)
            unit.identities.remove_access_group(group_id)
            self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return found

        return Change(commit)

    def members(
        self, unit: ReadUnit, group_id: AccessGroupId, *, limit: int, offset: int
    ) -> Page[tuple[Membership, str]]:
        """Return a page of the members, each with its name.

        Raises:
            NotFound: there is no such group.
        """
        self.get(unit, group_id)
        page = unit.identities.members(group_id, limit=limit, offset=offset)
        items = []
        for membership in page.items:
            identity = find_identity(unit, membership.iam_id)
            items.append((membership, identity.name if identity is not None else ""))
        return Page(items=items, total=page.total, limit=page.limit, offset=page.offset)

    def add_members(
        self, actor: IamId, group_id: AccessGroupId, members: Sequence[NewMember]
    ) -> Change[list[MemberOutcome]]:
        """Prepare adding identities; one that cannot be added does not stop the others.

        Raises:
            Invalid: there are none, or too many.
            NotFound: on commit, there is no such group.
        """
        _check_count(len(members))

        def join(unit: Unit, member: NewMember) -> MemberOutcome:
            identity = find_identity(unit, member.iam_id)
            if identity is None:
                error: StrongroomError = NotFound(ErrorCode.NOT_FOUND, "There is no such user or service ID.")
                return MemberOutcome(iam_id=member.iam_id, error=error)
            own_type = MEMBER_TYPES[identity.kind]
            if member.type != own_type:
                error = Invalid(ErrorCode.INVALID_FIELD, f"The type of {member.iam_id} is {own_type!r}.", field="type")
                return MemberOutcome(iam_id=member.iam_id, error=error)
            membership = Membership(
                group_id=group_id,
                iam_id=member.iam_id,
                type=own_type,
                created_at=self._clock.now(),
                created_by=actor,
            )
            unit.identities.add_member(membership)
            return MemberOutcome(iam_id=member.iam_id, membership=membership)

        return self._changing_members(group_id, lambda unit: [join(unit, member) for member in members])

    def remove_members(self, group_id: AccessGroupId, iam_ids: Sequence[IamId]) -> Change[list[MemberOutcome]]:
        """Prepare removing identities; one that is no member does not stop the others.

        Raises:
            Invalid: there are none, or too many.
            NotFound: on commit, there is no such group.
            Conflict: on commit, ``last_administrator``; then all stay.
        """
        _check_count(len(iam_ids))

        def leave(unit: Unit, iam_id: IamId) -> MemberOutcome:
            if unit.identities.remove_member(group_id, iam_id):
                return MemberOutcome(iam_id=iam_id)
            return MemberOutcome(iam_id=iam_id, error=_no_member(iam_id))

        return self._changing_members(group_id, lambda unit: [leave(unit, iam_id) for iam_id in iam_ids])

    def remove_member(self, group_id: AccessGroupId, iam_id: IamId) -> Change[None]:
        """Prepare removing one identity.

        Raises:
            NotFound: on commit, there is no such group, or it is no member.
            Conflict: on commit, ``last_administrator``.
        """
        several = self.remove_members(group_id, [iam_id])

        def commit(unit: Unit) -> None:
            for outcome in several.commit(unit):
                if outcome.error is not None:
                    raise outcome.error

        return Change(commit)

    def _changing_members(
        self, group_id: AccessGroupId, change: Callable[[Unit], list[MemberOutcome]]
    ) -> Change[list[MemberOutcome]]:
        def commit(unit: Unit) -> list[MemberOutcome]:
            self.get(unit, group_id)
            outcomes = change(unit)
            if any(outcome.membership is None and outcome.error is None for outcome in outcomes):
                self._administrators.ensure_one_remains(unit, self._clock.now())
            self._generations.announce(unit)
            return outcomes

        return Change(commit)


def _no_member(iam_id: IamId) -> NotFound:
    return NotFound(ErrorCode.NOT_FOUND, f"{iam_id!r} is no member of this access group.")


def _check_count(count: int) -> None:
    if not 1 <= count <= MEMBERS_MAX:
        raise Invalid(
            ErrorCode.INVALID_FIELD, f"members must have 1 to {MEMBERS_MAX} entries, it has {count}.", field="members"
        )


def _ensure_name_free(unit: ReadUnit, group: AccessGroup) -> None:
    other = unit.identities.find_access_group_by_name(group.name)
    if other is not None and other.id != group.id:
        raise Conflict(
            ErrorCode.ALREADY_EXISTS, f"An access group with the same name already exists: {group.name}", field="name"
        )


def _check_oidc_groups(problems: Problems, names: Sequence[str]) -> None:
    if len(names) > OIDC_GROUPS_MAX:
        problems.add("oidc_groups", f"oidc_groups must have at most {OIDC_GROUPS_MAX} entries, it has {len(names)}.")
    for index, name in enumerate(names[:OIDC_GROUPS_MAX]):
        check_name(problems, name, f"oidc_groups[{index}]")
