"""Secret groups: what is refused before anything is stored."""

from __future__ import annotations

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.groups.service import SecretGroups
from strongroom.domain.identity.generations import Generations
from strongroom.domain.limits import Limits
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Forbidden, Invalid
from strongroom.kernel.ids import DEFAULT_GROUP, IamId


def caller(*grants: Grant) -> Principal:
    """Make a caller with these grants."""
    return Principal(iam_id=IamId("iam-ServiceId-x"), name="x", kind=PrincipalKind.SERVICE_ID, grants=grants)


MANAGER = caller(Grant(Role.MANAGER))


@pytest.fixture
def groups(clock: FrozenClock) -> SecretGroups:
    """Give the service; it prepares without a store."""
    return SecretGroups(clock, Limits(), Generations(clock))


@pytest.mark.parametrize(
    "principal", [caller(), caller(Grant(Role.WRITER)), caller(Grant(Role.MANAGER, DEFAULT_GROUP))]
)
def test_only_managers_of_the_instance_change_groups(groups: SecretGroups, principal: Principal) -> None:
    with pytest.raises(Forbidden):
        groups.create(principal, name="edge", description="")
    with pytest.raises(Forbidden):
        groups.patch(principal, DEFAULT_GROUP, {"description": "x"})
    with pytest.raises(Forbidden):
        groups.delete(principal, "edge")


def test_every_broken_rule_is_told_together(groups: SecretGroups) -> None:
    with pytest.raises(Invalid) as refused:
        groups.create(MANAGER, name="-", description="d" * 1025)
    assert [cause.field for cause in refused.value.causes] == ["name", "description"]
    with pytest.raises(Invalid) as refused:
        groups.patch(MANAGER, DEFAULT_GROUP, {"name": "a", "description": "\x00"})
    assert [cause.field for cause in refused.value.causes] == ["name", "description"]


def test_the_default_group_is_protected_without_a_look_at_the_store(groups: SecretGroups) -> None:
    with pytest.raises(Invalid) as refused:
        groups.delete(MANAGER, DEFAULT_GROUP)
    assert refused.value.code is ErrorCode.GROUP_PROTECTED


def test_a_name_cannot_be_removed(groups: SecretGroups) -> None:
    with pytest.raises(Invalid) as refused:
        groups.patch(MANAGER, DEFAULT_GROUP, {"name": None})
    assert refused.value.field == "name"
