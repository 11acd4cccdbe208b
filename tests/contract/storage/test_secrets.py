"""Secrets on both databases: storing, optimistic saving, due work, counters, removal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strongroom.domain.jobs.model import JobState
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, SecretQuery, SecretType, State, StoredPayload
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, SecretId, VersionId
from strongroom.kernel.result import Notice
from strongroom.storage.repositories.rows import TYPE_NUMBERS
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    NOW,
    add_group,
    add_secret,
    add_secret_with_version,
    later,
    make_lock,
    make_secret,
    make_version,
)


@pytest.fixture(autouse=True)
def _default_group(storage: SqlStorage) -> None:
    add_group(storage)


def find(storage: SqlStorage, secret: Secret) -> Secret | None:
    return storage.read(lambda unit: unit.secrets.find(secret.id))


def test_secret_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    secret = add_secret(
        storage,
        "größe-🔐",
        secret_type=SecretType.IMPORTED_CERT,
        description="line\nbreak, tab\t, quote ' and \" and back\\slash",
        labels=("dev", "us south", "ß"),
        custom_metadata={"a": {"b": [1, 2.5, None, True, "ü"]}},
        attributes={"common_name": "example.com", "alt_names": ["a", "b"]},
        rotation={"auto_rotate": True, "interval": 1, "unit": "month"},
        private_state=bytes(range(256)),
        warnings=(Notice(code="weak", message="It is weak."), Notice(code="other", message="")),
        state=State.PRE_ACTIVATION,
        retrieved_at=later(1.000001),
        downloaded=True,
        expires_at=later(-0.000001),
        next_rotation_at=later(3600),
        rotation_status="pending",
        versions_total=2,
        versions_made=3,
        locks_total=4,
        current_version_id=VersionId("c"),
        previous_version_id=VersionId("p"),
        row_version=7,
    )

    assert find(storage, secret) == secret
    assert storage.read(lambda unit: unit.secrets.find_by_name(SecretType.IMPORTED_CERT, "größe-🔐")) == secret
    assert storage.read(lambda unit: unit.secrets.find_by_name(SecretType.KV, "größe-🔐")) is None
    assert storage.write(lambda unit: unit.secrets.find_for_update(secret.id)) == secret
    assert "private_state" not in repr(find(storage, secret))


def test_secret_without_anything_optional_comes_back_too(storage: SqlStorage) -> None:
    secret = add_secret(storage)

    assert find(storage, secret) == secret
    assert storage.read(lambda unit: unit.secrets.find(SecretId("unknown"))) is None
    assert storage.write(lambda unit: unit.secrets.find_for_update(SecretId("unknown"))) is None


def test_name_is_unique_within_a_type_only(storage: SqlStorage) -> None:
    add_secret(storage, "same")
    other = add_secret(storage, "same", secret_type=SecretType.KV)

    with pytest.raises(Conflict, match="already exists: same") as refused:
        add_secret(storage, "same")
    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert storage.read(lambda unit: unit.secrets.find_by_name(SecretType.KV, "same")) == other


def test_secret_needs_its_group(storage: SqlStorage) -> None:
    with pytest.raises(NotFound):
        add_secret(storage, group_id=GroupId("unknown"))


def test_save_stores_everything_that_changes(storage: SqlStorage) -> None:
    secret = add_secret(storage, labels=("dev",), attributes={"a": 1})
    changed = replace(
        secret,
        name="new name",
        description="new",
        labels=("prod", "eu"),
        custom_metadata={"k": "v"},
        attributes={},
        rotation={"auto_rotate": False},
        private_state=b"new",
        warnings=(Notice(code="a", message="b"),),
        state=State.DESTROYED,
        updated_at=later(1),
        downloaded=True,
        expires_at=later(2),
        next_rotation_at=later(3),
        rotation_status="failed",
        versions_total=1,
        versions_made=1,
        locks_total=1,
        current_version_id=VersionId("v"),
    )

    saved = storage.write(lambda unit: unit.secrets.save(changed))

    assert saved == replace(changed, row_version=1)
    assert find(storage, secret) == saved


def test_stale_save_is_refused_and_changes_nothing(storage: SqlStorage) -> None:
    secret = add_secret(storage, labels=("dev",))
    current = storage.write(lambda unit: unit.secrets.save(replace(secret, description="first")))

    with pytest.raises(Conflict) as refused:
        storage.write(lambda unit: unit.secrets.save(replace(secret, description="second", labels=())))

    assert refused.value.code is ErrorCode.STALE_VERSION
    assert find(storage, secret) == current


def test_save_of_a_removed_secret_is_refused(storage: SqlStorage) -> None:
    secret = add_secret(storage)
    storage.write(lambda unit: unit.secrets.remove(secret.id))

    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.secrets.save(secret))
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.secrets.remove(secret.id))


def test_rename_to_a_taken_name_is_refused(storage: SqlStorage) -> None:
    add_secret(storage, "taken")
    secret = add_secret(storage, "free")

    with pytest.raises(Conflict, match="already exists: taken") as refused:
        storage.write(lambda unit: unit.secrets.save(replace(secret, name="taken")))
    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert find(storage, secret) == secret


def test_save_never_moves_the_last_read_and_keeps_the_download_of_the_same_version(storage: SqlStorage) -> None:
    secret, version = add_secret_with_version(storage)
    storage.write(lambda unit: unit.versions.mark_read(secret.id, version.id, later(5)))

    saved = storage.write(lambda unit: unit.secrets.save(replace(secret, description="changed")))
    assert (saved.retrieved_at, saved.downloaded) == (later(5), True)
    assert find(storage, secret) == saved

    rotated = replace(saved, current_version_id=VersionId("next"), downloaded=False, retrieved_at=None)
    saved = storage.write(lambda unit: unit.secrets.save(rotated))
    assert (saved.retrieved_at, saved.downloaded) == (later(5), False)
    assert find(storage, secret) == saved


def test_current_payload_is_read_with_its_secret(storage: SqlStorage) -> None:
    secret, version = add_secret_with_version(storage, attributes={"a": 1})

    found = storage.read(lambda unit: unit.secrets.find_current(secret.id))

    assert found == StoredPayload(secret=secret, version=version, sealed=b"sealed")
    assert "sealed" not in repr(found)


def test_secret_without_versions_has_no_current_payload(storage: SqlStorage) -> None:
    secret = add_secret(storage)

    assert storage.read(lambda unit: unit.secrets.find_current(secret.id)) is None
    assert storage.read(lambda unit: unit.secrets.find_current(SecretId("unknown"))) is None


def test_erased_current_payload_leaves_the_version(storage: SqlStorage) -> None:
    secret, version = add_secret_with_version(storage)
    storage.write(lambda unit: unit.versions.erase_payload(secret.id, version.id))

    found = storage.read(lambda unit: unit.secrets.find_current(secret.id))

    assert found is not None
    assert (found.sealed, found.version.payload_available) == (None, False)


def test_counters_follow_every_change(storage: SqlStorage) -> None:
    team = add_group(storage, "team")
    first = add_secret(storage, "1")
    add_secret(storage, "2", secret_type=SecretType.KV)
    add_secret(storage, "3", group_id=team.id)
    fourth = add_secret(storage, "4", group_id=team.id)

    assert storage.read(lambda unit: unit.secrets.counts()) == {
        (DEFAULT_GROUP, SecretType.ARBITRARY): 1,
        (DEFAULT_GROUP, SecretType.KV): 1,
        (team.id, SecretType.ARBITRARY): 2,
    }
    assert storage.read(lambda unit: unit.secrets.count_in_group(team.id)) == 2

    storage.write(lambda unit: unit.secrets.remove(first.id))

    def removes(unit: Unit) -> tuple[int, int]:
        unit.secrets.remove(fourth.id)
        return unit.secrets.count_in_group(team.id), sum(unit.secrets.counts().values())

    assert storage.write(removes) == (1, 2)
    assert storage.read(lambda unit: unit.secrets.count_in_group(GroupId("unknown"))) == 0


def test_removal_takes_everything_along(storage: SqlStorage) -> None:
    secret, version = add_secret_with_version(storage, "doomed", labels=("dev",))
    storage.write(lambda unit: unit.locks.put(make_lock(version)))

    storage.write(lambda unit: unit.secrets.remove(secret.id))

    def look(**query: object) -> int:
        return storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=10, **query))).total  # type: ignore[arg-type]

    assert find(storage, secret) is None
    assert storage.read(lambda unit: unit.versions.find(secret.id, version.id)) is None
    assert storage.read(lambda unit: unit.locks.names(secret.id)) == {}
    assert (look(), look(search="doomed"), look(search="oo"), look(labels=("dev",))) == (0, 0, 0, 0)
    again = make_secret("doomed", id=secret.id)
    storage.write(lambda unit: unit.secrets.add(again))
    assert (look(), look(search="doomed"), look(search="oo"), look(labels=("dev",))) == (1, 1, 1, 0)


def test_due_for_expiry_are_the_active_ones_soonest_first(storage: SqlStorage) -> None:
    second = add_secret(storage, "second", expires_at=later(-1))
    first = add_secret(storage, "first", expires_at=later(-2))
    now = add_secret(storage, "now", expires_at=NOW)
    add_secret(storage, "later", expires_at=later(1))
    add_secret(storage, "gone already", expires_at=later(-9), state=State.DESTROYED)
    add_secret(storage, "never")

    def due(limit: int) -> list[SecretId]:
        return list(storage.read(lambda unit: unit.secrets.due_for_expiry(NOW, limit, unless_job="expire")))

    assert due(10) == [first.id, second.id, now.id]
    assert due(1) == [first.id]
    storage.write(lambda unit: unit.secrets.save(replace(first, state=State.DESTROYED)))
    assert due(1) == [second.id]


def test_due_for_rotation_are_active_and_expired_ones_soonest_first(storage: SqlStorage) -> None:
    active = add_secret(storage, "active", next_rotation_at=later(-1))
    expired = add_secret(storage, "expired", next_rotation_at=later(-2), state=State.DESTROYED)
    for state in (State.PRE_ACTIVATION, State.SUSPENDED, State.DEACTIVATED):
        add_secret(storage, state.name, next_rotation_at=later(-3), state=state)
    add_secret(storage, "later", next_rotation_at=NOW + timedelta(microseconds=1))

    def due(limit: int) -> list[SecretId]:
        return list(storage.read(lambda unit: unit.secrets.due_for_rotation(NOW, limit, unless_job="rotate")))

    assert due(10) == [expired.id, active.id]
    assert due(1) == [expired.id]


def test_secrets_that_a_job_is_there_for_are_not_due_once_more(storage: SqlStorage) -> None:
    waiting = add_secret(storage, "waiting", next_rotation_at=later(-2), expires_at=later(-2))
    other = add_secret(storage, "other", next_rotation_at=later(-1), expires_at=later(-1))
    jobs = [new_job(kind, dedupe_key=f"{kind}:{waiting.id}", now=NOW) for kind in ("expire", "rotate")]
    for job in jobs:
        storage.write(lambda unit, job=job: unit.jobs.enqueue(job))  # type: ignore[misc]

    def due() -> tuple[list[SecretId], list[SecretId]]:
        return storage.read(
            lambda unit: (
                list(unit.secrets.due_for_expiry(NOW, 1, unless_job="expire")),
                list(unit.secrets.due_for_rotation(NOW, 1, unless_job="rotate")),
            )
        )

    assert due() == ([other.id], [other.id])
    for job in jobs:
        ended = replace(job, state=JobState.DONE)
        storage.write(lambda unit, ended=ended: unit.jobs.save(ended, fence=0))  # type: ignore[misc]
    assert due() == ([waiting.id], [waiting.id])


def test_many_versions_are_kept_apart(storage: SqlStorage) -> None:
    secrets = [add_secret(storage, f"{i}") for i in range(3)]
    versions = {secret.id: make_version(secret) for secret in secrets}
    for secret in secrets:
        version = versions[secret.id]
        storage.write(lambda unit, version=version: unit.versions.add(version, version.id.encode()))  # type: ignore[misc]
        changed = replace(secret, current_version_id=version.id)
        storage.write(lambda unit, changed=changed: unit.secrets.save(changed))  # type: ignore[misc]

    for secret in secrets:
        found = storage.read(lambda unit, id_=secret.id: unit.secrets.find_current(id_))  # type: ignore[misc]
        assert found is not None
        assert found.sealed == versions[secret.id].id.encode()


def test_numbers_of_types_sort_like_their_words() -> None:
    assert sorted(SecretType) == sorted(TYPE_NUMBERS, key=lambda kind: TYPE_NUMBERS[kind])
    assert sorted(SecretType, key=lambda kind: kind.value) == sorted(SecretType, key=lambda kind: TYPE_NUMBERS[kind])
