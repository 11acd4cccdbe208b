"""Locks on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import (
    Lock,
    LockQuery,
    Secret,
    SecretLocks,
    Version,
    VersionAlias,
    VersionLocks,
)
from strongroom.kernel.errors import ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import GroupId, VersionId, new_uuid
from strongroom.kernel.result import Sort
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import add_group, later, make_lock, make_secret, make_version


def add_rotated(storage: SqlStorage, name: str = "example", **changes: Any) -> tuple[Secret, Version, Version]:
    """Store a secret with a current and a previous version."""
    current, previous = VersionId(new_uuid()), VersionId(new_uuid())
    secret = make_secret(name, current_version_id=current, previous_version_id=previous, **changes)
    newer, older = make_version(secret, 2, id=current), make_version(secret, 1, id=previous)

    def add(unit: Unit) -> None:
        unit.secrets.add(secret)
        unit.versions.add(older, b"old")
        unit.versions.add(newer, b"new")

    storage.write(add)
    return secret, newer, older


def put(storage: SqlStorage, *locks: Lock) -> None:
    def puts(unit: Unit) -> None:
        for lock in locks:
            unit.locks.put(lock)

    storage.write(puts)


def names(storage: SqlStorage, secret: Secret, **query: Any) -> tuple[list[str], int]:
    page = storage.read(lambda unit: unit.locks.page_of_secret(secret.id, LockQuery(**({"limit": 25} | query))))
    return [lock.name for lock in page.items], page.total


@pytest.fixture(autouse=True)
def _default_group(storage: SqlStorage) -> None:
    add_group(storage)


def test_lock_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    secret, current, previous = add_rotated(storage)
    on_current = make_lock(current, "one", description="why", attributes={"key": {"deep": [1]}})
    on_previous = make_lock(previous, "two", alias=VersionAlias.PREVIOUS)
    put(storage, on_current, on_previous)

    page = storage.read(lambda unit: unit.locks.page_of_secret(secret.id, LockQuery(limit=25)))
    assert (list(page.items), page.total) == ([on_previous, on_current], 2)
    page = storage.read(lambda unit: unit.locks.page_of_version(secret.id, previous.id, LockQuery(limit=25)))
    assert (list(page.items), page.total) == ([on_previous], 1)


def test_lock_of_the_same_name_replaces_and_keeps_its_creation(storage: SqlStorage) -> None:
    secret, current, previous = add_rotated(storage)
    first = make_lock(current, "app", description="old")
    put(storage, first, make_lock(previous, "app"))

    put(storage, make_lock(current, "app", description="new", created_at=later(9), updated_at=later(9)))

    page = storage.read(lambda unit: unit.locks.page_of_version(secret.id, current.id, LockQuery(limit=25)))
    assert list(page.items) == [replace(first, description="new", updated_at=later(9))]
    assert names(storage, secret)[1] == 2


def test_lock_needs_its_version(storage: SqlStorage) -> None:
    secret, _, _ = add_rotated(storage)

    with pytest.raises(NotFound):
        put(storage, make_lock(make_version(secret, 9)))


def test_locks_are_sorted_and_paged(storage: SqlStorage) -> None:
    secret, current, _ = add_rotated(storage)
    put(
        storage,
        make_lock(current, "b", created_at=later(1), updated_at=later(9)),
        make_lock(current, "c", created_at=later(3), updated_at=later(8)),
        make_lock(current, "a", created_at=later(2), updated_at=later(7)),
    )

    assert names(storage, secret) == (["a", "c", "b"], 3)
    assert names(storage, secret, sort=Sort(key="name")) == (["a", "b", "c"], 3)
    assert names(storage, secret, sort=Sort(key="name", descending=True)) == (["c", "b", "a"], 3)
    assert names(storage, secret, sort=Sort(key="created_at")) == (["b", "a", "c"], 3)
    assert names(storage, secret, sort=Sort(key="updated_at")) == (["a", "c", "b"], 3)
    assert names(storage, secret, sort=Sort(key="name"), limit=1, offset=1) == (["b"], 3)
    assert names(storage, secret, offset=3) == ([], 3)
    with pytest.raises(Invalid) as refused:
        names(storage, secret, sort=Sort(key="description"))
    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_FIELD, "sort")


@pytest.mark.parametrize(
    ("search", "found"),
    [("EIN", ["Eins"]), ("straße", ["STRASSE-7"]), ("0%", ["100%_sure"]), ("%_", ["100%_sure"]), ("no", [])],
)
def test_locks_are_searched_by_name(storage: SqlStorage, search: str, found: list[str]) -> None:
    secret, current, _ = add_rotated(storage)
    put(storage, *(make_lock(current, name) for name in ("Eins", "STRASSE-7", "100%_sure", "1000 sure")))

    assert names(storage, secret, search=search) == (found, len(found))


def test_names_are_in_order_of_creation(storage: SqlStorage) -> None:
    secret, current, previous = add_rotated(storage)
    put(storage, make_lock(current, "z"), make_lock(previous, "p"), make_lock(current, "a"))

    assert storage.read(lambda unit: unit.locks.names(secret.id)) == {current.id: ("z", "a"), previous.id: ("p",)}


def test_removal_takes_what_is_named_and_ignores_the_rest(storage: SqlStorage) -> None:
    secret, current, previous = add_rotated(storage)
    other, other_current, _ = add_rotated(storage, "other")
    put(storage, *(make_lock(current, name) for name in "abc"), *(make_lock(previous, name) for name in "ab"))
    put(storage, make_lock(other_current, "a"))

    assert storage.write(lambda unit: unit.locks.remove(secret.id, current.id, ["a", "x"])) == 1
    assert storage.write(lambda unit: unit.locks.remove(secret.id, None, ["b"])) == 2
    assert storage.write(lambda unit: unit.locks.remove(secret.id, None, [])) == 0
    assert storage.read(lambda unit: unit.locks.names(secret.id)) == {current.id: ("c",), previous.id: ("a",)}
    assert storage.write(lambda unit: unit.locks.remove(secret.id, previous.id, None)) == 1
    assert storage.write(lambda unit: unit.locks.remove(secret.id, None, None)) == 1
    assert storage.read(lambda unit: unit.locks.names(other.id)) == {other_current.id: ("a",)}


def test_secrets_with_locks_are_listed_newest_first(storage: SqlStorage) -> None:
    add_group(storage, "team")
    first, first_current, first_previous = add_rotated(storage, "first")
    add_rotated(storage, "without locks")
    second, second_current, second_previous = add_rotated(storage, "second", group_id=GroupId("team"))
    put(storage, make_lock(first_previous, "b"), make_lock(first_previous, "a"), make_lock(second_current, "App"))
    storage.write(lambda unit: unit.versions.erase_payload(first.id, first_previous.id))

    def listed(**query: Any) -> tuple[list[SecretLocks], int]:
        page = storage.read(lambda unit: unit.locks.page_of_secrets(LockQuery(**({"limit": 200} | query))))
        return list(page.items), page.total

    of_first = SecretLocks(
        secret_id=first.id,
        secret_name="first",
        secret_type=first.secret_type,
        group_id=first.group_id,
        versions=(
            VersionLocks(version_id=first_current.id, alias=VersionAlias.CURRENT, names=(), payload_available=True),
            VersionLocks(
                version_id=first_previous.id, alias=VersionAlias.PREVIOUS, names=("b", "a"), payload_available=False
            ),
        ),
    )
    items, total = listed()
    assert ([item.secret_id for item in items], total) == ([second.id, first.id], 2)
    assert items[1] == of_first
    assert listed(limit=1, offset=1) == ([of_first], 2)
    assert listed(groups=frozenset({GroupId("default")})) == ([of_first], 1)
    assert listed(groups=frozenset()) == ([], 0)
    assert listed(search="app")[0][0].secret_id == second.id
    assert listed(search="zz") == ([], 0)
    assert second_previous.id in {version.version_id for version in items[0].versions}
