"""Service IDs: fields, versions, locks, and what goes with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.identity.api_keys import ApiKeys, NewApiKey
from strongroom.domain.identity.grants import Administrators
from strongroom.domain.identity.service_ids import NewServiceId, ServiceIdChange, ServiceIds
from strongroom.domain.identity.tokens import GRANT_API_KEY, REFRESH_CLIENT
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, LimitReached, NotFound
from strongroom.kernel.ids import ApiKeyId, IamId, ServiceIdId
from tests.factories.identities import QuickDigests, World

ACTOR = IamId("iam-test")


def test_a_new_service_id_has_the_reference_forms_of_its_ids(world: World) -> None:
    made = world.service_id("example")
    assert made.id.startswith("ServiceId-")
    assert made.iam_id == f"iam-{made.id}"
    found = world.read(lambda unit: world.services.service_ids.get(unit, made.id))
    assert found == made


def test_a_service_id_is_found_by_its_iam_id_too(world: World) -> None:
    made = world.service_id()
    assert world.read(lambda unit: world.services.service_ids.get(unit, ServiceIdId(made.iam_id))) == made


def test_a_first_key_made_with_the_service_id_opens_it(world: World) -> None:
    request = NewServiceId(name="example", api_key=NewApiKey(name="first"))
    created = world.commit(world.services.service_ids.create(ACTOR, request))
    assert created.key is not None
    token = world.log_in(created.key)
    assert world.services.authenticator.authenticate(token, None).iam_id == created.service_id.iam_id


def test_the_first_key_counts_against_the_number_of_keys(world: World) -> None:
    services = world.services
    keys = ApiKeys(
        clock=world.clock,
        limits=replace(world.limits, api_keys_per_identity=0),
        digests=QuickDigests(),
        generations=services.generations,
        administrators=Administrators(),
    )
    service_ids = ServiceIds(
        clock=world.clock, generations=services.generations, administrators=Administrators(), api_keys=keys
    )
    request = NewServiceId(name="deployer", api_key=NewApiKey(name="first"))
    with pytest.raises(LimitReached, match="maximum of 0 API keys"):
        world.commit(service_ids.create(ACTOR, request))
    assert world.read(lambda unit: service_ids.page(unit, limit=10, offset=0, name="deployer")).total == 0


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "two\nlines"])
def test_a_bad_name_is_refused_naming_the_field(world: World, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.service_ids.create(ACTOR, NewServiceId(name=name))
    assert refused.value.field == "name"


def test_every_bad_field_is_reported_at_once(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.service_ids.create(ACTOR, NewServiceId(name="", description="x" * 1025))
    assert {cause.field for cause in refused.value.causes} == {"name", "description"}


def test_bad_fields_of_the_first_key_carry_its_prefix(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.service_ids.create(ACTOR, NewServiceId(name="example", api_key=NewApiKey(name="")))
    assert refused.value.field == "apikey.name"


def test_an_update_needs_if_match(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.service_ids.update(world.service_id().id, ServiceIdChange(name="new"), None)
    assert refused.value.code is ErrorCode.PRECONDITION_REQUIRED


@pytest.mark.parametrize("quoted", ["{}", '"{}"', 'W/"{}"'])
def test_an_update_from_the_present_version_moves_the_tag(world: World, quoted: str) -> None:
    made = world.service_id()
    change = world.services.service_ids.update(made.id, ServiceIdChange(name="new"), quoted.format(made.entity_tag))
    changed = world.commit(change)
    assert changed.name == "new"
    assert changed.entity_tag != made.entity_tag


def test_an_update_from_an_older_version_is_a_conflict(world: World) -> None:
    made = world.service_id()
    world.commit(world.services.service_ids.update(made.id, ServiceIdChange(name="new"), made.entity_tag))
    late = world.services.service_ids.update(made.id, ServiceIdChange(name="other"), made.entity_tag)
    with pytest.raises(Conflict) as refused:
        world.commit(late)
    assert refused.value.code is ErrorCode.STALE_VERSION


def test_a_star_changes_whatever_version_there_is(world: World) -> None:
    made = world.service_id()
    changed = world.commit(world.services.service_ids.update(made.id, ServiceIdChange(description="text"), "*"))
    assert (changed.name, changed.description) == (made.name, "text")


def test_an_empty_description_removes_it(world: World) -> None:
    made = world.service_id()
    world.commit(world.services.service_ids.update(made.id, ServiceIdChange(description="text"), "*"))
    changed = world.commit(world.services.service_ids.update(made.id, ServiceIdChange(description=""), "*"))
    assert changed.description is None


def test_a_locked_service_id_is_neither_changed_nor_deleted(world: World) -> None:
    made = world.service_id()
    service_ids = world.services.service_ids
    assert world.commit(service_ids.set_locked(made.id, locked=True)).locked
    for change in (service_ids.update(made.id, ServiceIdChange(name="new"), "*"), service_ids.delete(made.id)):
        with pytest.raises(Conflict) as refused:
            world.commit(change)
        assert refused.value.code is ErrorCode.IDENTITY_LOCKED
    world.commit(service_ids.set_locked(made.id, locked=False))
    world.commit(service_ids.delete(made.id))


def test_a_service_id_with_a_locked_key_is_not_deleted(world: World) -> None:
    made = world.service_id()
    world.key_of(made.iam_id, locked=True)
    with pytest.raises(Conflict) as refused:
        world.commit(world.services.service_ids.delete(made.id))
    assert refused.value.code is ErrorCode.IDENTITY_LOCKED


def test_deleting_a_service_id_takes_everything_that_hangs_on_it(world: World) -> None:
    made = world.service_id()
    key = world.key_of(made.iam_id)
    policy = world.grant(made.iam_id, Role.READER)
    form = {"grant_type": GRANT_API_KEY, "apikey": key}
    login = world.services.tokens.exchange(form, REFRESH_CLIENT, None)
    assert login.change is not None
    world.commit(login.change)

    world.commit(world.services.service_ids.delete(made.id))

    assert world.read(lambda unit: unit.identities.find_service_id(made.id)) is None
    assert world.read(lambda unit: unit.identities.find_policy(policy.id)) is None
    key_id = ApiKeyId(login.principal.credential_id or "")
    assert world.read(lambda unit: unit.identities.find_api_key(key_id)) is None
    refresh = {"grant_type": "refresh_token", "refresh_token": login.answer.refresh_token}
    with pytest.raises(Invalid):
        world.services.tokens.exchange(refresh, REFRESH_CLIENT, None)


def test_an_unknown_service_id_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.commit(world.services.service_ids.delete(ServiceIdId("ServiceId-none")))


def test_service_ids_are_listed_by_name(world: World) -> None:
    world.service_id("one")
    world.service_id("two")
    page = world.read(lambda unit: world.services.service_ids.page(unit, limit=10, offset=0, name="two"))
    assert [item.name for item in page.items] == ["two"]
