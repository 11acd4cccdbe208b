"""Users: fields, names, passwords, and what goes with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.domain.identity.model import User, UserOrigin, UserState
from strongroom.domain.identity.users import NewUser, UserChange
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import IamId
from tests.factories.identities import World

PASSWORD = "correct horse battery"


def user(world: World, name: str = "operator", password: str | None = PASSWORD) -> User:
    request = NewUser(name=name, email="operator@example.com", password=password)
    return world.commit(world.services.users.create(request))


def test_a_new_user_is_local_and_active(world: World) -> None:
    made = user(world)
    assert made.iam_id.startswith("IBMid-")
    assert (made.origin, made.state) == (UserOrigin.LOCAL, UserState.ACTIVE)
    assert world.read(lambda unit: world.services.users.get(unit, made.iam_id)) == made


def test_the_password_is_neither_stored_nor_shown(world: World) -> None:
    made = user(world)
    assert made.password_hash not in (None, PASSWORD)
    assert PASSWORD not in repr(made)
    assert PASSWORD not in repr(NewUser(name="operator", password=PASSWORD))
    assert PASSWORD not in repr(UserChange(password=PASSWORD))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (NewUser(name=""), "name"),
        (NewUser(name="operator", email="operator"), "email"),
        (NewUser(name="operator", email="a@" + "b" * 300), "email"),
        (NewUser(name="operator", password="short"), "password"),
        (NewUser(name="operator", password="x" * 257), "password"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(world: World, request_: NewUser, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.users.create(request_)
    assert refused.value.field == field


def test_a_name_is_taken_once(world: World) -> None:
    user(world)
    with pytest.raises(Conflict, match="already exists") as refused:
        user(world)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    other = user(world, "other")
    with pytest.raises(Conflict):
        world.commit(world.services.users.update(other.iam_id, UserChange(name="operator")))
    world.commit(world.services.users.update(other.iam_id, UserChange(name="third")))


def test_a_change_leaves_what_it_does_not_name_and_none_removes(world: World) -> None:
    made = user(world)
    changed = world.commit(world.services.users.update(made.iam_id, UserChange(name="new")))
    assert changed == replace(made, name="new")
    changed = world.commit(world.services.users.update(made.iam_id, UserChange(email=None)))
    assert changed.email is None
    changed = world.commit(world.services.users.update(made.iam_id, UserChange(password="another long one")))
    assert changed.password_hash not in (None, made.password_hash)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (UserChange(name=""), "name"),
        (UserChange(email="nobody"), "email"),
        (UserChange(password="short"), "password"),
    ],
)
def test_a_bad_change_is_refused_by_its_field(world: World, change: UserChange, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.users.update(IamId("IBMid-none"), change)
    assert refused.value.field == field


def test_a_user_of_a_provider_gets_no_password(world: World) -> None:
    guest = User(iam_id=IamId("IBMid-guest"), name="guest", origin=UserOrigin.OIDC, created_at=world.clock.now())
    world.storage.write(lambda unit: unit.identities.add_user(guest))
    with pytest.raises(Invalid) as refused:
        world.commit(world.services.users.update(guest.iam_id, UserChange(password=PASSWORD)))
    assert refused.value.field == "password"


def test_a_user_with_a_locked_key_is_not_deleted(world: World) -> None:
    made = user(world)
    world.key_of(made.iam_id, locked=True)
    with pytest.raises(Conflict) as refused:
        world.commit(world.services.users.delete(made.iam_id))
    assert refused.value.code is ErrorCode.IDENTITY_LOCKED


def test_a_deleted_user_is_gone_with_its_keys(world: World) -> None:
    made = user(world)
    key = world.key_of(made.iam_id)
    world.commit(world.services.users.delete(made.iam_id))
    with pytest.raises(NotFound):
        world.read(lambda unit: world.services.users.get(unit, made.iam_id))
    with pytest.raises(Invalid):
        world.log_in(key)
    assert world.read(lambda unit: world.services.users.page(unit, limit=10, offset=0)).total == 0
