"""The last administrator who can log in stays, whatever is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.change import Change
from strongroom.domain.identity.access_groups import NewAccessGroup, NewMember
from strongroom.domain.identity.model import Policy, UserState
from strongroom.domain.identity.policy_documents import read_v1
from strongroom.domain.identity.users import NewUser, UserChange
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import IamId, ServiceIdId
from tests.factories.identities import INSTANCE, World, policy_body

ACTOR = IamId("iam-test")


def refused(world: World, change: Change[Any]) -> bool:
    try:
        world.commit(change)
    except Conflict as conflict:
        return conflict.code is ErrorCode.LAST_ADMINISTRATOR
    return False


def policy_of(unit: ReadUnit, iam_id: IamId) -> Policy:
    (policy,) = unit.identities.policies(subject=iam_id).items
    return policy


def ways_out(world: World) -> dict[str, Callable[[], Change[Any]]]:
    """Return every way to get rid of the first administrator."""
    administrator = world.administrator
    services = world.services
    policy = world.read(lambda unit: policy_of(unit, administrator.iam_id))
    key = world.read(lambda unit: unit.identities.api_keys(iam_id=administrator.iam_id, limit=1, offset=0)).items[0]
    demoted = read_v1(policy_body(administrator.iam_id, Role.MANAGER), INSTANCE)
    return {
        "delete": lambda: services.service_ids.delete(ServiceIdId(administrator.iam_id.removeprefix("iam-"))),
        "demote": lambda: services.policies.replace(ACTOR, policy.id, demoted, "*"),
        "delete policy": lambda: services.policies.delete(policy.id),
        "delete key": lambda: services.api_keys.delete(administrator, key.id),
        "disable key": lambda: services.api_keys.set_disabled(administrator, key.id, disabled=True),
    }


WAYS = ["delete", "demote", "delete policy", "delete key", "disable key"]


@pytest.mark.parametrize("way", WAYS)
def test_the_only_administrator_stays(world: World, way: str) -> None:
    assert refused(world, ways_out(world)[way]())
    assert world.administrator.iam_id


@pytest.mark.parametrize("way", WAYS)
def test_one_of_two_administrators_may_go(world: World, way: str) -> None:
    other = world.service_id("other")
    world.key_of(other.iam_id)
    world.grant(other.iam_id, Role.ADMINISTRATOR)
    assert not refused(world, ways_out(world)[way]())


@pytest.mark.parametrize("way", WAYS)
def test_an_administrator_without_a_usable_key_does_not_count(world: World, way: str) -> None:
    other = world.service_id("other")
    world.key_of(other.iam_id, disabled=True)
    world.grant(other.iam_id, Role.ADMINISTRATOR)
    assert refused(world, ways_out(world)[way]())


def test_an_administrator_through_an_access_group_counts_until_it_leaves(world: World) -> None:
    other = world.service_id("other")
    world.key_of(other.iam_id)
    groups = world.services.access_groups
    group = world.commit(groups.create(ACTOR, NewAccessGroup(name="administrators")))
    world.commit(groups.add_members(ACTOR, group.id, [NewMember(iam_id=other.iam_id, type="service")]))
    policy = world.grant(group.id, Role.ADMINISTRATOR)
    assert not refused(world, ways_out(world)["delete"]())
    assert refused(world, groups.remove_member(group.id, other.iam_id))
    assert refused(world, groups.remove_members(group.id, [other.iam_id]))
    assert refused(world, groups.delete(group.id, force=True))
    assert refused(world, world.services.policies.delete(policy.id))


def test_a_user_with_a_password_counts_until_it_is_disabled(world: World) -> None:
    users = world.services.users
    user = world.commit(users.create(NewUser(name="operator", password="correct horse battery")))
    world.grant(user.iam_id, Role.ADMINISTRATOR)
    assert not refused(world, ways_out(world)["delete"]())
    assert refused(world, users.update(user.iam_id, UserChange(state=UserState.DISABLED)))
    assert refused(world, users.update(user.iam_id, UserChange(password=None)))
    assert refused(world, users.delete(user.iam_id))


def test_a_refused_change_leaves_everything_as_it_was(world: World) -> None:
    administrator = world.administrator
    before = world.read(lambda unit: unit.identities.generation())
    assert refused(world, ways_out(world)["delete"]())
    assert world.read(lambda unit: unit.identities.generation()) == before
    assert world.read(lambda unit: unit.identities.find_service_id_by_iam_id(administrator.iam_id)) is not None
