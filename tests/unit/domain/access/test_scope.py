"""Where grants allow an action: a union, denied by default."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.domain.access.actions import EVERYBODY, GROUP_ACTIONS, PLATFORM_ROLES, ROLE_ACTIONS, Action, Role
from strongroom.domain.access.decide import require, require_group, require_instance, unknown
from strongroom.domain.access.principals import ANONYMOUS, SYSTEM, Grant, Principal, PrincipalKind, Scope, scope_of
from strongroom.kernel.errors import ErrorCode, Forbidden, NotFound
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, IamId

GROUPS = [
    DEFAULT_GROUP,
    GroupId("11111111-1111-4111-8111-111111111111"),
    GroupId("22222222-2222-4222-8222-222222222222"),
]
HOME, AWAY = GROUPS[1], GROUPS[2]

actions = st.sampled_from(sorted(Action))
groups = st.sampled_from(GROUPS)
grant_lists = st.lists(st.builds(Grant, role=st.sampled_from(sorted(Role)), group_id=st.none() | groups), max_size=6)


def caller(*grants: Grant) -> Principal:
    """Make a caller with these grants."""
    return Principal(iam_id=IamId("iam-ServiceId-x"), name="x", kind=PrincipalKind.SERVICE_ID, grants=grants)


@given(actions)
def test_without_grants_nothing_is_allowed_but_what_everybody_may(action: Action) -> None:
    scope = scope_of((), action)
    assert bool(scope) == (action in EVERYBODY)


@given(grant_lists, grant_lists, actions, groups)
def test_grants_add_up(one: list[Grant], two: list[Grant], action: Action, group: GroupId) -> None:
    together = scope_of([*one, *two], action)
    apart = scope_of(one, action), scope_of(two, action)
    assert together.covers(group) == any(scope.covers(group) for scope in apart)
    assert together.everywhere == any(scope.everywhere for scope in apart)


@given(grant_lists, actions, st.randoms(use_true_random=False))
def test_order_and_repetition_of_grants_do_not_matter(grants: list[Grant], action: Action, random: object) -> None:
    shuffled = [*grants, *grants]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert scope_of(shuffled, action) == scope_of(grants, action)


@given(st.sampled_from(sorted(Role)), actions, groups)
def test_a_role_on_the_instance_reaches_every_group_for_its_actions(role: Role, action: Action, group: GroupId) -> None:
    scope = scope_of([Grant(role)], action)
    assert scope.covers(group) == scope.everywhere == (action in ROLE_ACTIONS[role] or action in EVERYBODY)


@given(st.sampled_from(sorted(Role)), actions, groups, groups)
def test_a_role_on_a_group_reaches_that_group_only(role: Role, action: Action, mine: GroupId, asked: GroupId) -> None:
    scope = scope_of([Grant(role, mine)], action)
    if action in EVERYBODY:
        return
    allowed = action in ROLE_ACTIONS[role] and action in GROUP_ACTIONS and role not in PLATFORM_ROLES
    assert scope.covers(asked) == (allowed and asked == mine)
    assert not scope.everywhere


@pytest.mark.parametrize("role", sorted(PLATFORM_ROLES))
def test_platform_roles_never_reach_secrets(role: Role) -> None:
    for action in Action:
        if action.value.startswith(("secret", "configuration")):
            assert not scope_of([Grant(role)], action), action


def test_roles_grow_from_reader_to_manager() -> None:
    reader, secrets_reader = ROLE_ACTIONS[Role.READER], ROLE_ACTIONS[Role.SECRETS_READER]
    writer, manager = ROLE_ACTIONS[Role.WRITER], ROLE_ACTIONS[Role.MANAGER]
    assert reader | secrets_reader < writer < manager
    assert Action.SECRET_READ not in reader
    assert Action.CONFIGURATIONS_LIST not in secrets_reader


def test_an_empty_scope_is_false() -> None:
    assert not Scope()
    assert Scope(everywhere=True)
    assert Scope(groups=frozenset({HOME}))


def test_scopes_of_a_caller_are_remembered() -> None:
    principal = caller(Grant(Role.READER, HOME))
    assert principal.scope(Action.SECRETS_LIST) is principal.scope(Action.SECRETS_LIST)


@pytest.mark.parametrize("principal", [ANONYMOUS, SYSTEM])
def test_nobody_and_the_service_itself_have_no_grants(principal: Principal) -> None:
    with pytest.raises(Forbidden):
        require(principal, Action.SECRET_READ)


def test_require_lets_a_caller_pass_that_may_somewhere() -> None:
    member = caller(Grant(Role.MANAGER, HOME))
    assert require(member, Action.SECRET_READ).groups == {HOME}
    require_group(member, Action.SECRET_READ, HOME)
    with pytest.raises(Forbidden) as refused:
        require_group(member, Action.SECRET_READ, AWAY)
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert "secrets-manager.secret.read" in refused.value.detail
    with pytest.raises(Forbidden):
        require_instance(member, Action.SECRET_READ)
    require_instance(caller(Grant(Role.MANAGER)), Action.SECRET_GROUP_CREATE)


def test_what_is_unknown_is_told_to_those_who_may_somewhere_only() -> None:
    with pytest.raises(NotFound) as missing:
        unknown(caller(Grant(Role.READER, HOME)), Action.SECRET_METADATA_READ, "The secret")
    assert missing.value.detail == "The secret was not found."
    with pytest.raises(Forbidden):
        unknown(caller(Grant(Role.READER, HOME)), Action.SECRET_READ, "The secret")
