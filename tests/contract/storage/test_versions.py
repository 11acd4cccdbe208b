"""Versions and their sealed payloads on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, Version
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import SecretId, VersionId
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    add_group,
    add_secret,
    add_secret_with_version,
    later,
    make_lock,
    make_secret,
    make_version,
)


def find(storage: SqlStorage, version: Version) -> Version | None:
    return storage.read(lambda unit: unit.versions.find(version.secret_id, version.id))


def sealed(storage: SqlStorage, version: Version) -> bytes | None:
    return storage.read(lambda unit: unit.versions.find_sealed(version.secret_id, version.id))


def add_versions(storage: SqlStorage, secret: Secret, count: int) -> list[Version]:
    versions = [make_version(secret, number) for number in range(1, count + 1)]

    def add(unit: Unit) -> None:
        for version in versions:
            unit.versions.add(version, b"payload %d" % version.number)

    storage.write(add)
    return versions


@pytest.fixture
def secret(storage: SqlStorage) -> Secret:
    add_group(storage)
    return add_secret(storage)


def test_version_comes_back_as_it_was_stored(storage: SqlStorage, secret: Secret) -> None:
    version = make_version(
        secret,
        3,
        auto_rotated=True,
        expires_at=later(9.5),
        attributes={"serial_number": "00:ff", "validity": {"not_before": "x"}, "lint": []},
        custom_metadata={"größe": [1, None, True, 2.5]},
    )
    payload = bytes(range(256)) * 40
    storage.write(lambda unit: unit.versions.add(version, payload))

    assert find(storage, version) == version
    assert sealed(storage, version) == payload


def test_version_is_found_under_its_own_secret_only(storage: SqlStorage, secret: Secret) -> None:
    (version,) = add_versions(storage, secret, 1)
    other = add_secret(storage, "other")

    assert storage.read(lambda unit: unit.versions.find(other.id, version.id)) is None
    assert storage.read(lambda unit: unit.versions.find_sealed(other.id, version.id)) is None
    storage.write(lambda unit: unit.versions.erase_payload(other.id, version.id))
    assert sealed(storage, version) == b"payload 1"


def test_listing_is_newest_first(storage: SqlStorage, secret: Secret) -> None:
    versions = add_versions(storage, secret, 4)

    assert list(storage.read(lambda unit: unit.versions.listing(secret.id))) == versions[::-1]
    assert list(storage.read(lambda unit: unit.versions.listing(SecretId("unknown")))) == []


def test_number_is_taken_once(storage: SqlStorage, secret: Secret) -> None:
    add_versions(storage, secret, 1)

    with pytest.raises(Conflict) as refused:
        storage.write(lambda unit: unit.versions.add(make_version(secret, 1), b""))
    assert refused.value.code is ErrorCode.ALREADY_EXISTS


def test_version_needs_its_secret(storage: SqlStorage) -> None:
    orphan = make_version(make_secret())

    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.versions.add(orphan, b""))
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.versions.save(orphan))
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.versions.trim(orphan.secret_id, 1))


def test_save_changes_what_may_change(storage: SqlStorage, secret: Secret) -> None:
    (version,) = add_versions(storage, secret, 1)
    changed = replace(
        version, attributes={"lint": [1]}, custom_metadata={"a": 1}, downloaded=True, payload_available=False
    )

    storage.write(lambda unit: unit.versions.save(replace(changed, number=9, expires_at=later(1))))

    assert find(storage, version) == changed


def test_erased_payload_is_gone_and_says_so(storage: SqlStorage, secret: Secret) -> None:
    kept, erased = add_versions(storage, secret, 2)

    storage.write(lambda unit: unit.versions.erase_payload(secret.id, erased.id))

    assert sealed(storage, erased) is None
    assert find(storage, erased) == replace(erased, payload_available=False)
    assert (find(storage, kept), sealed(storage, kept)) == (kept, b"payload 1")


def test_payloads_are_erased_except_those_named(storage: SqlStorage, secret: Secret) -> None:
    versions = add_versions(storage, secret, 5)

    storage.write(lambda unit: unit.versions.erase_payloads_except(secret.id, [versions[4].id, versions[3].id]))
    assert [sealed(storage, version) is not None for version in versions] == [False, False, False, True, True]

    storage.write(lambda unit: unit.versions.erase_payloads_except(secret.id, []))
    assert [sealed(storage, version) for version in versions] == [None] * 5


def test_trim_drops_the_oldest_and_counts_the_rest(storage: SqlStorage, secret: Secret) -> None:
    versions = add_versions(storage, secret, 5)

    assert storage.write(lambda unit: unit.versions.trim(secret.id, 5)) == 5
    assert storage.write(lambda unit: unit.versions.trim(secret.id, 3)) == 3
    assert list(storage.read(lambda unit: unit.versions.listing(secret.id))) == versions[:1:-1]


def test_trimmed_version_takes_its_locks_along(storage: SqlStorage, secret: Secret) -> None:
    versions = add_versions(storage, secret, 2)
    storage.write(lambda unit: unit.locks.put(make_lock(versions[0])))

    storage.write(lambda unit: unit.versions.trim(secret.id, 1))

    assert storage.read(lambda unit: unit.locks.names(secret.id)) == {}


def test_read_marks_version_and_secret(storage: SqlStorage) -> None:
    add_group(storage)
    secret, version = add_secret_with_version(storage)

    storage.write(lambda unit: unit.versions.mark_read(secret.id, version.id, later(3)))

    assert find(storage, version) == replace(version, downloaded=True)
    assert storage.read(lambda unit: unit.secrets.find(secret.id)) == replace(
        secret, downloaded=True, retrieved_at=later(3)
    )


def test_answer_that_is_no_read_marks_the_download_only(storage: SqlStorage) -> None:
    add_group(storage)
    secret, version = add_secret_with_version(storage)

    storage.write(lambda unit: unit.versions.mark_read(secret.id, version.id, None))

    assert storage.read(lambda unit: unit.secrets.find(secret.id)) == replace(secret, downloaded=True)


def test_read_of_the_previous_version_does_not_mark_the_current_one(storage: SqlStorage) -> None:
    add_group(storage)
    secret, current = add_secret_with_version(storage)
    older = make_version(secret, 0, id=VersionId("older"))
    storage.write(lambda unit: unit.versions.add(older, b"old"))

    storage.write(lambda unit: unit.versions.mark_read(secret.id, older.id, later(1)))

    assert find(storage, current) == current
    assert storage.read(lambda unit: unit.secrets.find(secret.id)) == replace(secret, retrieved_at=later(1))
