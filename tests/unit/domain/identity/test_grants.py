"""Walking over identities page by page, and adding up what they were granted."""

from __future__ import annotations

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant
from strongroom.domain.identity import grants
from strongroom.domain.identity.access_groups import NewAccessGroup, NewMember
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import IamId
from tests.factories.identities import World

ACTOR = IamId("iam-test")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "PAGE", 1)


def test_every_page_of_keys_is_walked(world: World) -> None:
    owner = world.service_id().iam_id
    for _ in range(3):
        world.key_of(owner)
    assert len(list(world.read(lambda unit: list(grants.all_keys_of(unit, owner))))) == 3


def test_every_page_of_access_groups_is_walked(world: World) -> None:
    for name in ("one", "two", "three"):
        world.commit(world.services.access_groups.create(ACTOR, NewAccessGroup(name=name)))
    page = world.read(lambda unit: world.services.access_groups.page(unit, limit=2, offset=1, search="AccessGroupId"))
    assert (page.total, len(page.items)) == (3, 2)


def test_an_administrator_is_found_on_any_page_of_policies_and_members(world: World) -> None:
    groups = world.services.access_groups
    group = world.commit(groups.create(ACTOR, NewAccessGroup(name="administrators")))
    world.grant(group.id, Role.ADMINISTRATOR)
    first = world.administrator.iam_id
    helpless = [world.service_id(f"without a key {n}") for n in range(2)]
    able = world.service_id("able")
    world.key_of(able.iam_id)
    members = [NewMember(iam_id=item.iam_id, type="service") for item in (*helpless, able)]
    world.commit(groups.add_members(ACTOR, group.id, members))
    for item in helpless:
        world.grant(item.iam_id, Role.ADMINISTRATOR)
    (policy,) = world.read(lambda unit: unit.identities.policies(subject=first)).items
    world.commit(world.services.policies.delete(policy.id))
    with pytest.raises(Conflict) as refused:
        world.commit(groups.remove_member(group.id, able.iam_id))
    assert refused.value.code is ErrorCode.LAST_ADMINISTRATOR


def test_the_same_role_from_two_policies_is_one_grant(world: World) -> None:
    subject = world.service_id().iam_id
    world.grant(subject, Role.READER)
    world.grant(subject, Role.READER, Role.WRITER)
    assert set(world.principal(subject).grants) == {Grant(Role.READER), Grant(Role.WRITER)}
    assert len(world.principal(subject).grants) == 2
