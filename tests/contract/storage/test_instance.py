"""The row that says whose store this is, on every database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strongroom.domain.ports import Storage
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import Instance, new_uuid

AT = datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC)


def test_new_store_belongs_to_nobody(storage: Storage) -> None:
    assert storage.read(lambda unit: unit.instance.find()) is None


def test_instance_is_found_again_without_its_region(storage: Storage) -> None:
    made = Instance(id=new_uuid(), account_id="0" * 32, region="eu-test")

    storage.write(lambda unit: unit.instance.create(made, AT))

    assert storage.read(lambda unit: unit.instance.find()) == Instance(id=made.id, account_id="0" * 32, region="")


def test_second_creation_is_refused_and_changes_nothing(storage: Storage) -> None:
    first = Instance(id=new_uuid(), account_id="1" * 32, region="")
    second = Instance(id=new_uuid(), account_id="2" * 32, region="")
    storage.write(lambda unit: unit.instance.create(first, AT))

    with pytest.raises(Conflict) as refused:
        storage.write(lambda unit: unit.instance.create(second, AT))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert storage.read(lambda unit: unit.instance.find()) == first
