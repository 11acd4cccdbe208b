"""Policies in the store: subjects, groups, versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from strongroom.domain.access.actions import Action, Role
from strongroom.domain.identity.policy_documents import read_v1
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import IamId, PolicyId
from tests.factories.identities import INSTANCE, World, policy_body

ACTOR = IamId("iam-test")


@pytest.mark.parametrize("subject", ["iam-ServiceId-none", "IBMid-none", "AccessGroupId-none"])
def test_an_unknown_subject_is_refused_by_name(world: World, subject: str) -> None:
    with pytest.raises(Invalid, match=subject):
        world.grant(subject, Role.READER)


def test_an_unknown_secret_group_is_refused_by_name(world: World) -> None:
    with pytest.raises(Invalid, match="no-such-group"):
        world.grant(world.service_id().iam_id, Role.READER, group="no-such-group")


def test_a_role_on_a_group_reaches_that_group_only(world: World) -> None:
    one = world.secret_group("one")
    subject = world.service_id().iam_id
    world.grant(subject, Role.SECRETS_READER, group=one)
    principal = world.principal(subject)
    assert principal.scope(Action.SECRET_READ).groups == {one}
    assert not principal.scope(Action.CONFIGURATIONS_LIST)


def test_policies_add_up(world: World) -> None:
    one = world.secret_group("one")
    subject = world.service_id().iam_id
    world.grant(subject, Role.WRITER, group=one)
    world.grant(subject, Role.READER)
    principal = world.principal(subject)
    assert principal.scope(Action.SECRETS_LIST).everywhere
    assert principal.scope(Action.SECRET_CREATE).groups == {one}


def test_a_replaced_policy_counts_as_its_new_self(world: World) -> None:
    subject = world.service_id().iam_id
    policy = world.grant(subject, Role.MANAGER)
    draft = read_v1(policy_body(subject, Role.READER), INSTANCE)
    changed = world.commit(world.services.policies.replace(ACTOR, policy.id, draft, policy.entity_tag))
    assert changed.roles == (Role.READER,)
    assert not world.principal(subject).scope(Action.SECRET_DELETE)
    with pytest.raises(Conflict) as refused:
        world.commit(world.services.policies.replace(ACTOR, policy.id, draft, policy.entity_tag))
    assert refused.value.code is ErrorCode.STALE_VERSION


def test_changes_need_if_match(world: World) -> None:
    policy = world.grant(world.service_id().iam_id, Role.READER)
    draft = read_v1(policy_body(policy.subject, Role.READER), INSTANCE)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: world.services.policies.replace(ACTOR, policy.id, draft, None),
        lambda: world.services.policies.keep_active(policy.id, None),
    )
    for attempt in attempts:
        with pytest.raises(Invalid) as refused:
            attempt()
        assert refused.value.code is ErrorCode.PRECONDITION_REQUIRED


def test_setting_the_state_active_changes_nothing(world: World) -> None:
    policy = world.grant(world.service_id().iam_id, Role.READER)
    assert world.commit(world.services.policies.keep_active(policy.id, policy.entity_tag)) == policy
    with pytest.raises(Conflict):
        world.commit(world.services.policies.keep_active(policy.id, "another"))


def test_a_deleted_policy_gives_nothing(world: World) -> None:
    subject = world.service_id().iam_id
    policy = world.grant(subject, Role.READER)
    world.commit(world.services.policies.delete(policy.id))
    assert world.principal(subject).grants == ()
    with pytest.raises(NotFound):
        world.read(lambda unit: world.services.policies.get(unit, policy.id))
    with pytest.raises(NotFound):
        world.commit(world.services.policies.delete(PolicyId("none")))


def test_policies_are_listed_by_subject(world: World) -> None:
    subject = world.service_id().iam_id
    policy = world.grant(subject, Role.READER)
    page = world.read(lambda unit: world.services.policies.page(unit, subject=subject, limit=10, offset=0))
    assert [item.id for item in page.items] == [policy.id]
    assert world.read(lambda unit: world.services.policies.page(unit, subject=None, limit=10, offset=0)).total == 2
