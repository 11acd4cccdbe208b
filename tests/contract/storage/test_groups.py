"""Secret groups on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.domain.ports import Unit
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import DEFAULT_GROUP
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import add_group, add_secret, later, make_group


def test_group_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    group = add_group(storage, "1", name="Grüße", description="what it is for", updated_at=later(1.000001))

    assert storage.read(lambda unit: unit.groups.find(group.id)) == group
    assert storage.read(lambda unit: unit.groups.find_by_name("Grüße")) == group
    assert storage.read(lambda unit: unit.groups.find_by_name("grüße")) is None


def test_listing_starts_with_default_then_newest(storage: SqlStorage) -> None:
    for id_ in ("1", "default", "2", "3"):
        add_group(storage, id_)

    assert [group.id for group in storage.read(lambda unit: unit.groups.listing())] == ["default", "3", "2", "1"]
    assert storage.read(lambda unit: unit.groups.count()) == 3


def test_name_of_a_group_is_unique(storage: SqlStorage) -> None:
    add_group(storage, "1", name="team")
    second = add_group(storage, "2", name="other")

    def add(unit: Unit) -> None:
        unit.groups.add(make_group("3", name="team"))

    def rename(unit: Unit) -> None:
        unit.groups.save(replace(second, name="team"))

    for clash in (add, rename):
        with pytest.raises(Conflict, match="already exists: team") as refused:
            storage.write(clash)
        assert refused.value.code is ErrorCode.ALREADY_EXISTS


def test_group_is_changed_and_removed(storage: SqlStorage) -> None:
    group = add_group(storage, "1")
    changed = replace(group, name="new", description="", updated_at=later(5))

    storage.write(lambda unit: unit.groups.save(changed))
    assert storage.read(lambda unit: unit.groups.find(group.id)) == changed

    storage.write(lambda unit: unit.groups.remove(group.id))
    assert storage.read(lambda unit: unit.groups.find(group.id)) is None
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.groups.save(changed))


def test_group_with_secrets_cannot_be_removed(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)

    with pytest.raises(Conflict) as refused:
        storage.write(lambda unit: unit.groups.remove(DEFAULT_GROUP))
    assert refused.value.code is ErrorCode.GROUP_NOT_EMPTY

    storage.write(lambda unit: unit.secrets.remove(secret.id))
    storage.write(lambda unit: unit.groups.remove(DEFAULT_GROUP))
    assert storage.read(lambda unit: unit.groups.listing()) == []
