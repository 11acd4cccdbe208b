"""Users, service IDs, API keys, policies, access groups and refresh tokens, on every database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.identity.model import (
    AccessGroup,
    ApiKey,
    Membership,
    Policy,
    RefreshToken,
    ServiceId,
    SubjectKind,
    User,
    UserOrigin,
    UserState,
)
from strongroom.domain.ports import IdentityRepository, Storage
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import AccessGroupId, ApiKeyId, GroupId, IamId, PolicyId, ServiceIdId, new_uuid

AT = datetime(2026, 3, 2, 9, 14, 7, 1, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
ADMIN = IamId("iam-ServiceId-admin")


def make_user(name: str = "operator", **changes: Any) -> User:
    return replace(User(iam_id=IamId(f"IBMid-{new_uuid()}"), name=name, created_at=AT), **changes)


def make_service_id(name: str = "deployer", **changes: Any) -> ServiceId:
    uid = new_uuid()
    made = ServiceId(
        id=ServiceIdId(f"ServiceId-{uid}"),
        iam_id=IamId(f"iam-ServiceId-{uid}"),
        name=name,
        entity_tag="1-a",
        created_at=AT,
        modified_at=AT,
    )
    return replace(made, **changes)


def make_api_key(iam_id: str = ADMIN, **changes: Any) -> ApiKey:
    made = ApiKey(
        id=ApiKeyId(f"ApiKey-{new_uuid()}"),
        iam_id=IamId(iam_id),
        name="key",
        digest=new_uuid(),
        entity_tag="1-a",
        created_at=AT,
        created_by=ADMIN,
        modified_at=AT,
    )
    return replace(made, **changes)


def make_policy(subject: str = ADMIN, **changes: Any) -> Policy:
    made = Policy(
        id=PolicyId(new_uuid()),
        subject_kind=SubjectKind.IAM_ID,
        subject=subject,
        roles=(Role.MANAGER, Role.ADMINISTRATOR),
        document='{"type":"access"}',
        entity_tag="1-a",
        created_at=AT,
        created_by=ADMIN,
        modified_at=AT,
        modified_by=ADMIN,
    )
    return replace(made, **changes)


def make_access_group(name: str = "operators", **changes: Any) -> AccessGroup:
    made = AccessGroup(
        id=AccessGroupId(f"AccessGroupId-{new_uuid()}"),
        name=name,
        entity_tag="1-a",
        created_at=AT,
        created_by=ADMIN,
        modified_at=AT,
        modified_by=ADMIN,
    )
    return replace(made, **changes)


def membership(group: AccessGroup, iam_id: str = ADMIN) -> Membership:
    return Membership(group_id=group.id, iam_id=IamId(iam_id), type="service", created_at=AT, created_by=ADMIN)


def write(storage: Storage, *changes: Callable[[IdentityRepository], Any]) -> None:
    storage.write(lambda unit: [change(unit.identities) for change in changes])


def read(storage: Storage, fn: Callable[[IdentityRepository], Any]) -> Any:
    return storage.read(lambda unit: fn(unit.identities))


# ---- users ----------------------------------------------------------------------------------------------------------


def test_user_comes_back_whole_by_id_and_by_name(storage: Storage) -> None:
    user = make_user(
        email="user@example.com",
        origin=UserOrigin.OIDC,
        state=UserState.DISABLED,
        password_hash="$argon2id$hash",
        last_login_at=LATER,
    )
    plain = make_user("plain")

    write(storage, lambda i: i.add_user(user), lambda i: i.add_user(plain))

    assert read(storage, lambda i: i.find_user(user.iam_id)) == user
    assert read(storage, lambda i: i.find_user_by_name("operator")) == user
    assert read(storage, lambda i: i.find_user(plain.iam_id)) == plain
    assert read(storage, lambda i: i.find_user(IamId("IBMid-none"))) is None
    assert read(storage, lambda i: i.find_user_by_name("Operator")) is None


def test_users_are_listed_newest_first_in_pages(storage: Storage) -> None:
    users = [make_user(f"user-{n}") for n in range(3)]
    write(storage, *(lambda i, u=user: i.add_user(u) for user in users))

    page = read(storage, lambda i: i.users(limit=2, offset=1))

    assert (list(page.items), page.total, page.limit, page.offset) == ([users[1], users[0]], 3, 2, 1)


def test_user_of_a_taken_name_is_refused(storage: Storage) -> None:
    write(storage, lambda i: i.add_user(make_user()))

    with pytest.raises(Conflict) as refused:
        write(storage, lambda i: i.add_user(make_user()))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert "already exists" in refused.value.detail


def test_user_is_not_renamed_to_a_taken_name(storage: Storage) -> None:
    other = make_user("other")
    write(storage, lambda i: i.add_user(make_user()), lambda i: i.add_user(other))

    with pytest.raises(Conflict) as refused:
        write(storage, lambda i: i.save_user(replace(other, name="operator")))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS


def test_user_is_changed_and_removed(storage: Storage) -> None:
    user = make_user()
    changed = replace(user, name="renamed", email="user@example.com", state=UserState.DISABLED, last_login_at=LATER)
    write(storage, lambda i: i.add_user(user))

    write(storage, lambda i: i.save_user(changed))
    assert read(storage, lambda i: i.find_user(user.iam_id)) == changed

    write(storage, lambda i: i.remove_user(user.iam_id))
    assert read(storage, lambda i: i.find_user(user.iam_id)) is None


# ---- service IDs ----------------------------------------------------------------------------------------------------


def test_service_id_comes_back_whole_by_both_ids(storage: Storage) -> None:
    service_id = make_service_id(description="ü", locked=True, modified_at=LATER)

    write(storage, lambda i: i.add_service_id(service_id))

    assert read(storage, lambda i: i.find_service_id(service_id.id)) == service_id
    assert read(storage, lambda i: i.find_service_id_by_iam_id(service_id.iam_id)) == service_id
    assert read(storage, lambda i: i.find_service_id(ServiceIdId("ServiceId-none"))) is None
    assert read(storage, lambda i: i.find_service_id_by_iam_id(IamId("iam-ServiceId-none"))) is None


def test_service_ids_are_listed_newest_first_and_by_name(storage: Storage) -> None:
    made = [make_service_id(name) for name in ("a", "b", "a")]
    write(storage, *(lambda i, s=one: i.add_service_id(s) for one in made))

    everything = read(storage, lambda i: i.service_ids(limit=2, offset=0))
    named = read(storage, lambda i: i.service_ids(limit=10, offset=1, name="a"))

    assert (list(everything.items), everything.total) == ([made[2], made[1]], 3)
    assert (list(named.items), named.total) == ([made[0]], 2)


def test_service_id_is_removed(storage: Storage) -> None:
    service_id = make_service_id()
    write(storage, lambda i: i.add_service_id(service_id))

    write(storage, lambda i: i.remove_service_id(service_id.id))

    assert read(storage, lambda i: i.find_service_id(service_id.id)) is None


# ---- API keys -------------------------------------------------------------------------------------------------------


def test_api_key_comes_back_whole_by_id_and_digest(storage: Storage) -> None:
    full = make_api_key(
        description="ü",
        disabled=True,
        locked=True,
        expires_at=LATER,
        allowed_networks=("192.0.2.0/24", "2001:db8::/32"),
        last_used_at=LATER,
    )
    plain = make_api_key()

    write(storage, lambda i: i.add_api_key(full), lambda i: i.add_api_key(plain))

    assert read(storage, lambda i: i.find_api_key(full.id)) == full
    assert read(storage, lambda i: i.find_api_key_by_digest(full.digest)) == full
    assert read(storage, lambda i: i.find_api_key(plain.id)) == plain
    assert read(storage, lambda i: i.find_api_key(ApiKeyId("ApiKey-none"))) is None
    assert read(storage, lambda i: i.find_api_key_by_digest("none")) is None


def test_two_api_keys_never_share_a_digest(storage: Storage) -> None:
    write(storage, lambda i: i.add_api_key(make_api_key(digest="same")))

    with pytest.raises(Conflict) as refused:
        write(storage, lambda i: i.add_api_key(make_api_key(digest="same")))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert "same" not in refused.value.detail


def test_api_keys_are_listed_newest_first_for_all_or_for_one_identity(storage: Storage) -> None:
    keys = [make_api_key("one"), make_api_key("two"), make_api_key("one")]
    write(storage, *(lambda i, k=key: i.add_api_key(k) for key in keys))

    everything = read(storage, lambda i: i.api_keys(iam_id=None, limit=10, offset=0))
    of_one = read(storage, lambda i: i.api_keys(iam_id=IamId("one"), limit=1, offset=1))

    assert (list(everything.items), everything.total) == ([keys[2], keys[1], keys[0]], 3)
    assert (list(of_one.items), of_one.total) == ([keys[0]], 2)


def test_use_of_an_api_key_is_noted_without_moving_the_generation(storage: Storage) -> None:
    key = make_api_key()
    write(storage, lambda i: i.add_api_key(key))
    before = read(storage, lambda i: i.generation())

    write(storage, lambda i: i.touch_api_key(key.id, LATER))
    write(storage, lambda i: i.touch_api_key(key.id, AT))

    assert read(storage, lambda i: i.find_api_key(key.id)) == replace(key, last_used_at=LATER)
    assert read(storage, lambda i: i.generation()) == before


def test_save_of_an_api_key_does_not_turn_its_last_use_back(storage: Storage) -> None:
    key = make_api_key()
    write(storage, lambda i: i.add_api_key(key), lambda i: i.touch_api_key(key.id, LATER))

    write(storage, lambda i: i.save_api_key(replace(key, name="renamed")))

    assert read(storage, lambda i: i.find_api_key(key.id)) == replace(key, name="renamed", last_used_at=LATER)


def test_api_keys_are_removed_one_by_one_or_with_their_identity(storage: Storage) -> None:
    keys = [make_api_key("one"), make_api_key("one"), make_api_key("one"), make_api_key("two")]
    write(storage, *(lambda i, k=key: i.add_api_key(k) for key in keys))

    write(storage, lambda i: i.remove_api_key(keys[0].id))
    assert read(storage, lambda i: i.api_keys(iam_id=IamId("one"), limit=10, offset=0)).total == 2

    write(storage, lambda i: i.remove_api_keys_of(IamId("one")))
    assert list(read(storage, lambda i: i.api_keys(iam_id=None, limit=10, offset=0)).items) == [keys[3]]


# ---- policies -------------------------------------------------------------------------------------------------------


def test_policy_comes_back_whole(storage: Storage) -> None:
    full = make_policy(
        "AccessGroupId-1",
        subject_kind=SubjectKind.ACCESS_GROUP,
        roles=(Role.WRITER,),
        group_id=GroupId("g1"),
        description="ü",
    )
    plain = make_policy()

    write(storage, lambda i: i.add_policy(full), lambda i: i.add_policy(plain))

    assert read(storage, lambda i: i.find_policy(full.id)) == full
    assert read(storage, lambda i: i.find_policy(plain.id)) == plain
    assert read(storage, lambda i: i.find_policy(PolicyId("none"))) is None


def test_policies_are_listed_newest_first_by_subject_and_group(storage: Storage) -> None:
    a = make_policy("one")
    b = make_policy("one", group_id=GroupId("g1"))
    c = make_policy("two", group_id=GroupId("g1"))
    write(storage, *(lambda i, p=policy: i.add_policy(p) for policy in (a, b, c)))

    def listed(**filters: Any) -> tuple[list[Policy], int]:
        page = read(storage, lambda i: i.policies(**filters))
        return list(page.items), page.total

    assert listed() == ([c, b, a], 3)
    assert listed(limit=1, offset=1) == ([b], 3)
    assert listed(subject="one") == ([b, a], 2)
    assert listed(group_id=GroupId("g1")) == ([c, b], 2)
    assert listed(subject="two", group_id=GroupId("g1")) == ([c], 1)


def test_policies_of_an_identity_and_its_groups_are_read_together(storage: Storage) -> None:
    own = make_policy("one")
    through_group = make_policy("group", subject_kind=SubjectKind.ACCESS_GROUP)
    same_text_other_kind = make_policy("group")
    write(storage, *(lambda i, p=policy: i.add_policy(p) for policy in (own, through_group, same_text_other_kind)))

    found = read(storage, lambda i: i.policies_of([(SubjectKind.IAM_ID, "one"), (SubjectKind.ACCESS_GROUP, "group")]))

    assert list(found) == [own, through_group]
    assert list(read(storage, lambda i: i.policies_of([]))) == []


def test_policies_of_many_subjects_are_all_found(storage: Storage) -> None:
    policies = [make_policy(f"subject-{n}") for n in range(70)]
    write(storage, *(lambda i, p=policy: i.add_policy(p) for policy in policies))

    found = read(storage, lambda i: i.policies_of([(SubjectKind.IAM_ID, policy.subject) for policy in policies]))

    assert list(found) == policies


def test_policies_are_removed_one_by_one_or_with_their_subject(storage: Storage) -> None:
    a, b, c = make_policy("one"), make_policy("one"), make_policy("one", subject_kind=SubjectKind.ACCESS_GROUP)
    write(storage, *(lambda i, p=policy: i.add_policy(p) for policy in (a, b, c)))

    write(storage, lambda i: i.remove_policy(a.id))
    assert read(storage, lambda i: i.policies()).total == 2

    write(storage, lambda i: i.remove_policies_of(SubjectKind.IAM_ID, "one"))
    assert list(read(storage, lambda i: i.policies()).items) == [c]


# ---- access groups --------------------------------------------------------------------------------------------------


def test_access_group_comes_back_whole_by_id_and_name(storage: Storage) -> None:
    group = make_access_group(description="ü", oidc_groups=("ops", "dev"), modified_at=LATER)

    write(storage, lambda i: i.add_access_group(group))

    assert read(storage, lambda i: i.find_access_group(group.id)) == group
    assert read(storage, lambda i: i.find_access_group_by_name("operators")) == group
    assert read(storage, lambda i: i.find_access_group(AccessGroupId("none"))) is None
    assert read(storage, lambda i: i.find_access_group_by_name("none")) is None


def test_access_group_of_a_taken_name_is_refused(storage: Storage) -> None:
    other = make_access_group("other")
    write(storage, lambda i: i.add_access_group(make_access_group()), lambda i: i.add_access_group(other))

    for attempt in (
        lambda i: i.add_access_group(make_access_group()),
        lambda i: i.save_access_group(replace(other, name="operators")),
    ):
        with pytest.raises(Conflict) as refused:
            write(storage, attempt)
        assert refused.value.code is ErrorCode.ALREADY_EXISTS


def test_access_groups_are_listed_newest_first_for_all_or_for_one_member(storage: Storage) -> None:
    groups = [make_access_group(f"group-{n}") for n in range(3)]
    write(storage, *(lambda i, g=group: i.add_access_group(g) for group in groups))
    write(
        storage,
        lambda i: i.add_member(membership(groups[0], "one")),
        lambda i: i.add_member(membership(groups[2], "one")),
        lambda i: i.add_member(membership(groups[1], "two")),
    )

    everything = read(storage, lambda i: i.access_groups(limit=2, offset=0))
    of_one = read(storage, lambda i: i.access_groups(limit=1, offset=1, iam_id=IamId("one")))

    assert (list(everything.items), everything.total) == ([groups[2], groups[1]], 3)
    assert (list(of_one.items), of_one.total) == ([groups[0]], 2)
    assert list(read(storage, lambda i: i.access_groups_of(IamId("one")))) == [groups[2], groups[0]]
    assert list(read(storage, lambda i: i.access_groups_of(IamId("nobody")))) == []


def test_members_are_listed_oldest_first_and_added_once(storage: Storage) -> None:
    group = make_access_group()
    members = [membership(group, f"member-{n}") for n in range(3)]
    write(storage, lambda i: i.add_access_group(group))

    added = storage.write(lambda unit: [unit.identities.add_member(one) for one in (*members, members[0])])

    page = read(storage, lambda i: i.members(group.id, limit=2, offset=1))
    assert added == [True, True, True, False]
    assert (list(page.items), page.total) == ([members[1], members[2]], 3)


def test_members_are_removed_from_one_group_or_from_all(storage: Storage) -> None:
    first, second = make_access_group("first"), make_access_group("second")
    write(storage, lambda i: i.add_access_group(first), lambda i: i.add_access_group(second))
    write(
        storage,
        *(lambda i, g=group, who=who: i.add_member(membership(g, who)) for group in (first, second) for who in "ab"),
    )

    assert storage.write(lambda unit: unit.identities.remove_member(first.id, IamId("b"))) is True
    assert storage.write(lambda unit: unit.identities.remove_member(first.id, IamId("b"))) is False
    write(storage, lambda i: i.remove_memberships_of(IamId("a")))

    assert read(storage, lambda i: i.members(first.id, limit=10, offset=0)).total == 0
    assert list(read(storage, lambda i: i.members(second.id, limit=10, offset=0)).items) == [membership(second, "b")]


def test_access_group_goes_with_its_memberships(storage: Storage) -> None:
    group = make_access_group()
    write(storage, lambda i: i.add_access_group(group), lambda i: i.add_member(membership(group)))

    write(storage, lambda i: i.remove_access_group(group.id))

    assert read(storage, lambda i: i.find_access_group(group.id)) is None
    assert list(read(storage, lambda i: i.access_groups_of(ADMIN))) == []
    assert read(storage, lambda i: i.members(group.id, limit=10, offset=0)).total == 0


def test_member_of_an_unknown_group_is_refused(storage: Storage) -> None:
    with pytest.raises(NotFound) as refused:
        write(storage, lambda i: i.add_member(membership(make_access_group())))

    assert refused.value.code is ErrorCode.NOT_FOUND


# ---- refresh tokens -------------------------------------------------------------------------------------------------


def make_token(digest: str, expires_at: datetime = LATER) -> RefreshToken:
    return RefreshToken(digest=digest, iam_id=ADMIN, api_key_id=ApiKeyId("ApiKey-1"), expires_at=expires_at)


def test_refresh_token_is_found(storage: Storage) -> None:
    token = make_token("d1")
    write(storage, lambda i: i.add_refresh_token(token))

    assert read(storage, lambda i: i.find_refresh_token("d1")) == token
    assert read(storage, lambda i: i.find_refresh_token("d2")) is None


def test_expired_refresh_tokens_are_purged(storage: Storage) -> None:
    tokens = [make_token(f"d{n}", AT + timedelta(hours=n)) for n in range(3)]
    write(storage, *(lambda i, t=token: i.add_refresh_token(t) for token in tokens))

    assert storage.write(lambda unit: unit.identities.purge_refresh_tokens(LATER)) == 2
    assert read(storage, lambda i: i.find_refresh_token("d2")) is not None


# ---- optimistic change and the generation ---------------------------------------------------------------------------

SAVES: list[tuple[str, Callable[..., Any], Callable[..., Any]]] = [
    ("service id", make_service_id, lambda i, kind, thing, **tag: getattr(i, f"{kind}_service_id")(thing, **tag)),
    ("api key", make_api_key, lambda i, kind, thing, **tag: getattr(i, f"{kind}_api_key")(thing, **tag)),
    ("policy", make_policy, lambda i, kind, thing, **tag: getattr(i, f"{kind}_policy")(thing, **tag)),
    ("access group", make_access_group, lambda i, kind, thing, **tag: getattr(i, f"{kind}_access_group")(thing, **tag)),
]
FINDS: dict[str, Callable[..., Any]] = {
    "service id": lambda i, thing: i.find_service_id(thing.id),
    "api key": lambda i, thing: i.find_api_key(thing.id),
    "policy": lambda i, thing: i.find_policy(thing.id),
    "access group": lambda i, thing: i.find_access_group(thing.id),
}
each_kind = pytest.mark.parametrize(("name", "make", "do"), SAVES, ids=[name for name, _, _ in SAVES])


@each_kind
def test_change_with_the_stored_tag_is_kept(storage: Storage, name: str, make: Any, do: Any) -> None:
    thing = make()
    changed = replace(thing, description="changed", entity_tag="2-b", modified_at=LATER)
    write(storage, lambda i: do(i, "add", thing))

    write(storage, lambda i: do(i, "save", changed, expected_tag="1-a"))

    assert read(storage, lambda i: FINDS[name](i, thing)) == changed


@each_kind
def test_change_with_an_older_tag_is_refused(storage: Storage, name: str, make: Any, do: Any) -> None:
    thing = make(entity_tag="2-b")
    write(storage, lambda i: do(i, "add", thing))
    generation = read(storage, lambda i: i.generation())

    with pytest.raises(Conflict) as refused:
        write(storage, lambda i: do(i, "save", replace(thing, description="lost"), expected_tag="1-a"))

    assert refused.value.code is ErrorCode.STALE_VERSION
    assert read(storage, lambda i: FINDS[name](i, thing)) == thing
    assert read(storage, lambda i: i.generation()) == generation


@each_kind
def test_change_of_something_that_is_gone_is_refused(storage: Storage, name: str, make: Any, do: Any) -> None:
    for save in (
        lambda i: do(i, "save", make()),
        lambda i: do(i, "save", make(), expected_tag="1-a"),
    ):
        with pytest.raises(NotFound) as refused:
            write(storage, save)
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_change_of_a_user_that_is_gone_is_refused(storage: Storage) -> None:
    with pytest.raises(NotFound):
        write(storage, lambda i: i.save_user(make_user()))


def test_every_change_moves_the_generation(storage: Storage) -> None:
    user, service_id, key = make_user(), make_service_id(), make_api_key()
    policy, group = make_policy(), make_access_group()
    changes: list[Callable[[IdentityRepository], Any]] = [
        lambda i: i.add_user(user),
        lambda i: i.save_user(user),
        lambda i: i.add_service_id(service_id),
        lambda i: i.save_service_id(service_id),
        lambda i: i.add_api_key(key),
        lambda i: i.save_api_key(key),
        lambda i: i.add_policy(policy),
        lambda i: i.save_policy(policy),
        lambda i: i.add_access_group(group),
        lambda i: i.save_access_group(group),
        lambda i: i.add_member(membership(group, "a")),
        lambda i: i.add_member(membership(group, "b")),
        lambda i: i.remove_member(group.id, IamId("a")),
        lambda i: i.remove_memberships_of(IamId("b")),
        lambda i: i.remove_access_group(group.id),
        lambda i: i.remove_policy(policy.id),
        lambda i: i.remove_policies_of(SubjectKind.IAM_ID, ADMIN),
        lambda i: i.remove_api_key(key.id),
        lambda i: i.remove_api_keys_of(ADMIN),
        lambda i: i.remove_service_id(service_id.id),
        lambda i: i.remove_user(user.iam_id),
    ]
    seen = [read(storage, lambda i: i.generation())]

    for change in changes:
        write(storage, change)
        seen.append(read(storage, lambda i: i.generation()))

    assert seen == sorted(set(seen))


def test_refresh_tokens_leave_the_generation_alone(storage: Storage) -> None:
    before = read(storage, lambda i: i.generation())

    write(
        storage,
        lambda i: i.add_refresh_token(make_token("d")),
        lambda i: i.purge_refresh_tokens(LATER),
    )

    assert read(storage, lambda i: i.generation()) == before


def test_failed_unit_leaves_the_generation_alone(storage: Storage) -> None:
    before = read(storage, lambda i: i.generation())

    def fail(identities: IdentityRepository) -> None:
        identities.add_user(make_user())
        raise LookupError

    with pytest.raises(LookupError):
        write(storage, fail)

    assert read(storage, lambda i: i.generation()) == before
    assert read(storage, lambda i: i.users(limit=1, offset=0)).total == 0


def test_refresh_tokens_go_with_their_keys(storage: Storage) -> None:
    keys = [make_api_key("one"), make_api_key("one"), make_api_key("two")]

    def fill(identities: IdentityRepository) -> None:
        for number, key in enumerate(keys):
            identities.add_api_key(key)
            identities.add_refresh_token(
                RefreshToken(digest=f"d{number}", iam_id=key.iam_id, api_key_id=key.id, expires_at=LATER)
            )

    def left(identities: IdentityRepository) -> list[str]:
        return [name for name in ("d0", "d1", "d2") if identities.find_refresh_token(name) is not None]

    write(storage, fill)
    write(storage, lambda i: i.remove_api_key(keys[0].id))
    assert read(storage, left) == ["d1", "d2"]
    write(storage, lambda i: i.remove_api_keys_of(IamId("one")))
    assert read(storage, left) == ["d2"]
