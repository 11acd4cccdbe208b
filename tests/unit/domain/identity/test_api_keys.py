"""API keys: whose may be seen and made, fields, limits, locks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Principal, PrincipalKind
from strongroom.domain.identity.api_keys import ApiKeyChange, ApiKeys, NewApiKey
from strongroom.domain.identity.fields import read_expiry
from strongroom.domain.identity.grants import Administrators
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    Unauthenticated,
)
from strongroom.kernel.ids import ApiKeyId, IamId
from tests.factories.identities import QuickDigests, World

NEW = NewApiKey(name="example-key")


@pytest.fixture
def nobody(world: World) -> Principal:
    """Give a caller without any role."""
    return world.principal(world.service_id("nobody").iam_id)


def test_everybody_makes_lists_reads_and_deletes_keys_of_their_own(world: World, nobody: Principal) -> None:
    keys = world.services.api_keys
    made = world.commit(keys.create(nobody, nobody.iam_id, NEW)).api_key
    page = world.read(lambda unit: keys.page(unit, nobody, iam_id=None, everybody=False, limit=10, offset=0))
    assert list(page.items) == [made]
    assert world.read(lambda unit: keys.get(unit, nobody, made.id)) == made
    world.commit(keys.delete(nobody, made.id))
    with pytest.raises(Forbidden):
        world.read(lambda unit: keys.get(unit, nobody, made.id))


def test_nobody_reaches_keys_of_others_without_the_right(world: World, nobody: Principal) -> None:
    keys = world.services.api_keys
    other = world.service_id("other").iam_id
    made = world.commit(keys.create(world.administrator, other, NEW))
    for attempt in (
        lambda: keys.create(nobody, other, NEW),
        lambda: world.read(lambda unit: keys.get(unit, nobody, made.api_key.id)),
        lambda: world.read(lambda unit: keys.get_by_value(unit, nobody, made.key)),
        lambda: world.read(lambda unit: keys.page(unit, nobody, iam_id=other, everybody=False, limit=1, offset=0)),
        lambda: world.read(lambda unit: keys.page(unit, nobody, iam_id=None, everybody=True, limit=1, offset=0)),
        lambda: world.commit(keys.delete(nobody, made.api_key.id)),
        lambda: keys.update(nobody, made.api_key.id, ApiKeyChange(name="x"), "*"),
        lambda: keys.set_disabled(nobody, made.api_key.id, disabled=True),
        lambda: keys.set_locked(nobody, made.api_key.id, locked=True),
        lambda: world.read(lambda unit: keys.get(unit, nobody, ApiKeyId("ApiKey-none"))),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_an_administrator_reaches_every_key(world: World) -> None:
    keys, administrator = world.services.api_keys, world.administrator
    owner = world.service_id("other").iam_id
    made = world.commit(keys.create(administrator, owner, NEW))
    assert world.read(lambda unit: keys.get_by_value(unit, administrator, made.key)) == made.api_key
    page = world.read(lambda unit: keys.page(unit, administrator, iam_id=None, everybody=True, limit=10, offset=0))
    assert page.total == 2
    users = world.read(
        lambda unit: keys.page(unit, administrator, iam_id=None, everybody=True, services=False, limit=10, offset=0)
    )
    assert users.total == 0
    with pytest.raises(NotFound):
        world.read(lambda unit: keys.get(unit, administrator, ApiKeyId("ApiKey-none")))


def test_the_text_of_a_key_is_not_in_the_store(world: World, nobody: Principal) -> None:
    made = world.commit(world.services.api_keys.create(nobody, nobody.iam_id, NEW))
    assert made.key not in repr(made)
    assert made.key not in made.api_key.digest


def test_a_key_of_an_unknown_identity_is_refused(world: World) -> None:
    change = world.services.api_keys.create(world.administrator, IamId("iam-ServiceId-none"), NEW)
    with pytest.raises(Invalid) as refused:
        world.commit(change)
    assert refused.value.field == "iam_id"


def test_an_identity_has_at_most_its_number_of_keys(world: World, nobody: Principal) -> None:
    limits = replace(world.limits, api_keys_per_identity=1)
    keys = ApiKeys(
        clock=world.clock,
        limits=limits,
        digests=QuickDigests(),
        generations=world.services.generations,
        administrators=Administrators(),
    )
    world.commit(keys.create(nobody, nobody.iam_id, NEW))
    with pytest.raises(LimitReached, match="reached the maximum") as refused:
        world.commit(keys.create(nobody, nobody.iam_id, NEW))
    assert refused.value.code is ErrorCode.LIMIT_REACHED


@pytest.mark.parametrize(
    "network", ["192.0.2.1/24", "example.com", "192.0.2.0/33", "", "2001:db8::1/32"], ids=lambda text: text or "empty"
)
def test_a_bad_network_is_refused_by_its_place(world: World, nobody: Principal, network: str) -> None:
    request = NewApiKey(name="key", allowed_networks=("192.0.2.0/24", network))
    with pytest.raises(Invalid) as refused:
        world.services.api_keys.create(nobody, nobody.iam_id, request)
    assert refused.value.field == "allowed_networks[1]"


def test_too_many_networks_are_refused(world: World, nobody: Principal) -> None:
    request = NewApiKey(name="key", allowed_networks=tuple(f"192.0.2.{n}" for n in range(101)))
    with pytest.raises(Invalid, match="at most 100"):
        world.services.api_keys.create(nobody, nobody.iam_id, request)


def test_networks_are_kept_in_their_usual_form(world: World, nobody: Principal) -> None:
    request = NewApiKey(name="key", allowed_networks=(" 192.0.2.7 ", "2001:DB8::/32", "192.0.2.7/32"))
    made = world.commit(world.services.api_keys.create(nobody, nobody.iam_id, request))
    assert made.api_key.allowed_networks == ("192.0.2.7/32", "2001:db8::/32")


def test_an_expiry_in_the_past_is_refused(world: World, nobody: Principal) -> None:
    request = NewApiKey(name="key", expires_at=world.clock.now())
    with pytest.raises(Invalid) as refused:
        world.services.api_keys.create(nobody, nobody.iam_id, request)
    assert refused.value.field == "expires_at"


@pytest.mark.parametrize(
    "text", ["2030-01-31T12:00+0000", "2030-01-31T12:00:00Z", "2030-01-31T13:00+01:00", "2030-01-31T12:00Z"]
)
def test_expiry_is_read_in_both_usual_forms(text: str) -> None:
    assert read_expiry(text).isoformat() == "2030-01-31T12:00:00+00:00"


@pytest.mark.parametrize("text", ["tomorrow", "2030-13-01T00:00+0000", "2030-01-31"])
def test_other_forms_of_expiry_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_expiry(text)
    assert refused.value.field == "expires_at"


def test_an_update_changes_what_it_names_and_nothing_else(world: World, nobody: Principal) -> None:
    keys, administrator = world.services.api_keys, world.administrator
    end = world.clock.now() + timedelta(days=1)
    made = world.commit(keys.create(nobody, nobody.iam_id, replace(NEW, description="text", expires_at=end))).api_key
    change = ApiKeyChange(allowed_networks=("192.0.2.0/24",))
    changed = world.commit(keys.update(administrator, made.id, change, made.entity_tag))
    assert changed.allowed_networks == ("192.0.2.0/24",)
    assert (changed.name, changed.description, changed.expires_at) == (made.name, "text", end)
    change = ApiKeyChange(name="new", description="", never_expires=True)
    changed = world.commit(keys.update(administrator, made.id, change, "*"))
    assert (changed.name, changed.description, changed.expires_at) == ("new", None, None)
    with pytest.raises(Conflict) as refused:
        world.commit(keys.update(administrator, made.id, change, made.entity_tag))
    assert refused.value.code is ErrorCode.STALE_VERSION


def test_a_locked_key_is_neither_changed_disabled_nor_deleted(world: World, nobody: Principal) -> None:
    keys, administrator = world.services.api_keys, world.administrator
    made = world.commit(keys.create(nobody, nobody.iam_id, NEW)).api_key
    world.commit(keys.set_locked(administrator, made.id, locked=True))
    for change in (
        keys.update(administrator, made.id, ApiKeyChange(name="new"), "*"),
        keys.set_disabled(administrator, made.id, disabled=True),
        keys.delete(nobody, made.id),
    ):
        with pytest.raises(Conflict) as refused:
            world.commit(change)
        assert refused.value.code is ErrorCode.IDENTITY_LOCKED
    assert not world.commit(keys.set_locked(administrator, made.id, locked=False)).locked
    assert world.commit(keys.set_disabled(administrator, made.id, disabled=True)).disabled
    assert not world.commit(keys.set_disabled(administrator, made.id, disabled=False)).disabled


def test_a_caller_of_another_kind_has_no_keys(world: World) -> None:
    stranger = Principal(iam_id=IamId("IBMid-none"), name="stranger", kind=PrincipalKind.USER)
    with pytest.raises(Invalid):
        world.commit(world.services.api_keys.create(stranger, stranger.iam_id, NEW))


# --- what a limited key can make


def caller_with(world: World, **limits: object) -> Principal:
    """Return somebody without roles who came with a key that has these limits."""
    key = world.key_of(world.service_id("limited").iam_id, **limits)
    return world.services.authenticator.authenticate(world.log_in(key, "192.0.2.7"), "192.0.2.7")


def test_a_new_key_takes_over_the_limits_of_the_one_it_was_made_with(world: World) -> None:
    soon = world.clock.now() + timedelta(days=1)
    caller = caller_with(world, expires_at=soon, allowed_networks=("192.0.2.0/24",))

    made = world.commit(world.services.api_keys.create(caller, caller.iam_id, NEW)).api_key

    assert (made.expires_at, made.allowed_networks) == (soon, ("192.0.2.0/24",))
    assert world.read(lambda unit: unit.identities.find_api_key(made.id)) == made


@pytest.mark.parametrize(
    "networks", [("192.0.2.0/23",), ("0.0.0.0/0",), ("192.0.2.0/25", "198.51.100.0/24"), ("2001:db8::/32",)]
)
def test_a_new_key_is_good_from_no_other_networks_than_the_one_it_was_made_with(
    world: World, networks: tuple[str, ...]
) -> None:
    caller = caller_with(world, allowed_networks=("192.0.2.0/24", "2001:db8:1::/48"))

    with pytest.raises(Invalid) as caught:
        world.commit(
            world.services.api_keys.create(caller, caller.iam_id, NewApiKey(name="wide", allowed_networks=networks))
        )

    assert caught.value.field == "allowed_networks"
    assert "192.0.2.0/24, 2001:db8:1::/48" in caught.value.detail


def test_a_new_key_ends_no_later_than_the_one_it_was_made_with(world: World) -> None:
    soon = world.clock.now() + timedelta(days=1)
    caller = caller_with(world, expires_at=soon)
    keys = world.services.api_keys

    later = keys.create(caller, caller.iam_id, NewApiKey(name="late", expires_at=soon + timedelta(seconds=1)))
    with pytest.raises(Invalid) as caught:
        world.commit(later)

    assert caught.value.field == "expires_at"
    earlier = NewApiKey(name="early", expires_at=soon - timedelta(hours=1), allowed_networks=("192.0.2.7/32",))
    made = world.commit(keys.create(caller, caller.iam_id, earlier)).api_key
    assert (made.expires_at, made.allowed_networks) == (soon - timedelta(hours=1), ("192.0.2.7/32",))


def test_an_administrator_s_limited_key_makes_any_key(world: World) -> None:
    iam_id = world.service_id("boss").iam_id
    world.grant(iam_id, Role.ADMINISTRATOR)
    key = world.key_of(iam_id, allowed_networks=("192.0.2.0/24",))
    boss = world.services.authenticator.authenticate(world.log_in(key), "192.0.2.7")

    assert world.commit(world.services.api_keys.create(boss, iam_id, NEW)).api_key.allowed_networks == ()


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_a_request_on_its_way_makes_no_key_after_its_own_was_taken_away(world: World, how: str) -> None:
    caller, keys = caller_with(world), world.services.api_keys
    own = ApiKeyId(caller.credential_id or "")
    on_its_way = keys.create(caller, caller.iam_id, NEW)
    if how == "disabled":
        world.commit(keys.set_disabled(world.administrator, own, disabled=True))
    else:
        world.commit(keys.delete(world.administrator, own))

    with pytest.raises(Unauthenticated) as caught:
        world.commit(on_its_way)

    assert caught.value.code == "token_invalid"
