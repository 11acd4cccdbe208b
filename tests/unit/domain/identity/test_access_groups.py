"""Access groups: names, versions, members, and what membership gives."""

from __future__ import annotations

import pytest

from strongroom.domain.access.actions import Action, Role
from strongroom.domain.identity.access_groups import AccessGroupChange, NewAccessGroup, NewMember
from strongroom.domain.identity.grants import grants_of
from strongroom.domain.identity.model import AccessGroup
from strongroom.domain.identity.users import NewUser
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import AccessGroupId, IamId
from tests.factories.identities import World

ACTOR = IamId("iam-test")


def group(world: World, name: str = "readers") -> AccessGroup:
    return world.commit(world.services.access_groups.create(ACTOR, NewAccessGroup(name=name)))


def join(world: World, made: AccessGroup, *iam_ids: IamId, type_: str = "service") -> None:
    members = [NewMember(iam_id=iam_id, type=type_) for iam_id in iam_ids]
    for outcome in world.commit(world.services.access_groups.add_members(ACTOR, made.id, members)):
        assert outcome.error is None


def test_a_name_is_taken_once(world: World) -> None:
    made = group(world)
    assert made.id.startswith("AccessGroupId-")
    with pytest.raises(Conflict, match="already exists"):
        group(world)
    other = group(world, "writers")
    rename = world.services.access_groups.update(ACTOR, other.id, AccessGroupChange(name="readers"), "*")
    with pytest.raises(Conflict) as refused:
        world.commit(rename)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS


def test_a_change_needs_the_present_version(world: World) -> None:
    made = group(world)
    groups = world.services.access_groups
    with pytest.raises(Invalid) as missing:
        groups.update(ACTOR, made.id, AccessGroupChange(name="new"), "")
    assert missing.value.code is ErrorCode.PRECONDITION_REQUIRED
    change = AccessGroupChange(name="new", description="text", oidc_groups=("staff", "staff"))
    changed = world.commit(groups.update(ACTOR, made.id, change, made.entity_tag))
    assert (changed.name, changed.description, changed.oidc_groups) == ("new", "text", ("staff",))
    with pytest.raises(Conflict) as stale:
        world.commit(groups.update(ACTOR, made.id, change, made.entity_tag))
    assert stale.value.code is ErrorCode.STALE_VERSION
    changed = world.commit(groups.update(ACTOR, made.id, AccessGroupChange(description=""), "*"))
    assert (changed.name, changed.description, changed.oidc_groups) == ("new", None, ("staff",))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (NewAccessGroup(name=""), "name"),
        (NewAccessGroup(name="readers", description="x" * 1025), "description"),
        (NewAccessGroup(name="readers", oidc_groups=("staff", "")), "oidc_groups[1]"),
        (NewAccessGroup(name="readers", oidc_groups=tuple(map(str, range(101)))), "oidc_groups"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(world: World, request_: NewAccessGroup, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.access_groups.create(ACTOR, request_)
    assert refused.value.field == field


def test_members_hold_the_policies_of_the_group_for_as_long_as_they_belong(world: World) -> None:
    made, member = group(world), world.service_id()
    world.grant(made.id, Role.WRITER, group="default")
    assert not world.principal(member.iam_id).scope(Action.SECRET_CREATE)
    join(world, made, member.iam_id)
    assert world.principal(member.iam_id).scope(Action.SECRET_CREATE).groups == {"default"}
    world.commit(world.services.access_groups.remove_member(made.id, member.iam_id))
    assert not world.principal(member.iam_id).scope(Action.SECRET_CREATE)


def test_a_session_may_belong_to_more_groups(world: World) -> None:
    made, visitor = group(world), world.service_id()
    world.grant(made.id, Role.READER)
    grants = world.read(lambda unit: grants_of(unit, visitor.iam_id, [made.id]))
    assert [grant.role for grant in grants] == [Role.READER]


def test_one_identity_that_cannot_join_does_not_stop_the_others(world: World) -> None:
    made, member = group(world), world.service_id()
    person = world.commit(world.services.users.create(NewUser(name="operator")))
    members = [
        NewMember(iam_id=member.iam_id, type="service"),
        NewMember(iam_id=IamId("IBMid-none"), type="user"),
        NewMember(iam_id=person.iam_id, type="service"),
    ]
    outcomes = world.commit(world.services.access_groups.add_members(ACTOR, made.id, members))
    assert [outcome.error and outcome.error.code for outcome in outcomes] == [
        None,
        ErrorCode.NOT_FOUND,
        ErrorCode.INVALID_FIELD,
    ]
    page = world.read(lambda unit: world.services.access_groups.members(unit, made.id, limit=10, offset=0))
    assert [(item.iam_id, name) for item, name in page.items] == [(member.iam_id, "example-consumer")]


def test_joining_twice_is_joining_once(world: World) -> None:
    made, member = group(world), world.service_id()
    join(world, made, member.iam_id)
    join(world, made, member.iam_id)
    assert world.read(lambda unit: world.services.access_groups.members(unit, made.id, limit=10, offset=0)).total == 1


def test_leaving_a_group_one_is_not_in_is_told(world: World) -> None:
    made, member = group(world), world.service_id()
    groups = world.services.access_groups
    with pytest.raises(NotFound):
        world.commit(groups.remove_member(made.id, member.iam_id))
    join(world, made, member.iam_id)
    outcomes = world.commit(groups.remove_members(made.id, [member.iam_id, IamId("IBMid-none")]))
    assert [outcome.error is None for outcome in outcomes] == [True, False]


@pytest.mark.parametrize("count", [0, 101])
def test_a_change_names_some_members_but_not_too_many(world: World, count: int) -> None:
    iam_ids = [IamId(f"IBMid-{n}") for n in range(count)]
    with pytest.raises(Invalid) as refused:
        world.services.access_groups.remove_members(AccessGroupId("any"), iam_ids)
    assert refused.value.field == "members"


def test_a_group_with_members_is_deleted_only_by_force(world: World) -> None:
    made, member = group(world), world.service_id()
    policy = world.grant(made.id, Role.READER)
    join(world, made, member.iam_id)
    groups = world.services.access_groups
    with pytest.raises(Conflict) as refused:
        world.commit(groups.delete(made.id, force=False))
    assert refused.value.code is ErrorCode.GROUP_NOT_EMPTY
    world.commit(groups.delete(made.id, force=True))
    assert world.read(lambda unit: unit.identities.find_policy(policy.id)) is None
    assert world.principal(member.iam_id).grants == ()
    with pytest.raises(NotFound):
        world.commit(groups.delete(made.id, force=True))


def test_groups_are_found_by_member_and_by_text(world: World) -> None:
    one, two, member = group(world, "Readers of example"), group(world, "writers"), world.service_id()
    join(world, two, member.iam_id)
    groups = world.services.access_groups

    def found(**filters: object) -> list[str]:
        page = world.read(lambda unit: groups.page(unit, limit=10, offset=0, **filters))  # type: ignore[arg-type]
        assert page.total == len(page.items)
        return [item.id for item in page.items]

    assert set(found()) == {one.id, two.id}
    assert found(iam_id=member.iam_id) == [two.id]
    assert found(search="READERS") == [one.id]
    assert found(search="example", iam_id=member.iam_id) == []
