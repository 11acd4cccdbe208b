"""The outbox of lifecycle events, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from strongroom.domain.ports import Storage, Unit
from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.kernel.ids import DEFAULT_GROUP, IamId, SecretId, new_uuid

AT = datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC)


def some_secret() -> Secret:
    return Secret(
        id=SecretId(new_uuid()),
        secret_type=SecretType.ARBITRARY,
        name="example",
        group_id=DEFAULT_GROUP,
        state=State.ACTIVE,
        created_at=AT,
        created_by=IamId("iam-ServiceId-1"),
        updated_at=AT,
    )


def add(storage: Storage, *instants: datetime, secret: Secret | None = None) -> None:
    def unit_of_work(unit: Unit) -> None:
        for at in instants:
            unit.events.add("secret_about_to_expire", "30_days", secret, at, {"days": 30, "name": "ü"})

    storage.write(unit_of_work)


def mark_noticed(storage: Storage) -> None:
    storage.write(lambda unit: unit.events.noticed(unit.events.waiting(100), AT))


def purge(storage: Storage, before: datetime, limit: int = 100) -> int:
    return storage.write(lambda unit: unit.events.purge(before, limit))


def test_events_are_purged_oldest_first_and_no_more_than_asked(storage: Storage) -> None:
    add(storage, *(AT + timedelta(minutes=minute) for minute in range(5)))
    mark_noticed(storage)

    assert purge(storage, AT) == 0
    assert purge(storage, AT + timedelta(minutes=3), limit=2) == 2
    assert purge(storage, AT + timedelta(minutes=3)) == 1
    assert purge(storage, AT + timedelta(days=1)) == 2
    assert purge(storage, AT + timedelta(days=1)) == 0


def test_event_outlives_the_secret_it_is_about(storage: Storage) -> None:
    add(storage, AT, secret=some_secret())
    mark_noticed(storage)

    assert purge(storage, AT + timedelta(seconds=1)) == 1


def test_event_of_a_unit_that_failed_is_never_sent(storage: Storage) -> None:
    def unit_of_work(unit: Unit) -> None:
        unit.events.add("secret_created", "", None, AT, {})
        raise LookupError

    with pytest.raises(LookupError):
        storage.write(unit_of_work)

    assert purge(storage, AT + timedelta(days=1)) == 0


def test_event_waits_until_it_is_in_a_notice_and_is_not_purged_before(storage: Storage) -> None:
    add(storage, AT, AT + timedelta(minutes=1), secret=some_secret())
    first, second = storage.write(lambda unit: unit.events.waiting(10))

    storage.write(lambda unit: unit.events.noticed([first], AT))

    assert (first.event_type, first.sub_type, first.group_id) == ("secret_about_to_expire", "30_days", DEFAULT_GROUP)
    assert first.payload == {"days": 30, "name": "ü"}
    assert storage.write(lambda unit: unit.events.waiting(10)) == [second]
    assert purge(storage, AT + timedelta(days=1)) == 1
    assert storage.write(lambda unit: unit.events.waiting(10)) == [second]
