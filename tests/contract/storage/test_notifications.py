"""Registration, destinations, deliveries, and the next look for a notice, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from strongroom.domain.notifications.ladder import first_look
from strongroom.domain.notifications.model import (
    Delivery,
    DeliveryState,
    Destination,
    DestinationId,
    DestinationType,
    Filters,
)
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, SecretType
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, SecretId, VersionId, new_uuid
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    NOW,
    add_group,
    later,
    make_delivery,
    make_destination,
    make_registration,
    make_secret,
)
from tests.contract.storage.conftest import OpenStorage

MINUTE = 60
DAY = timedelta(days=1)


def add(storage: SqlStorage, destination: Destination) -> Destination:
    storage.write(lambda unit: unit.notifications.add(destination))
    return destination


def add_deliveries(storage: SqlStorage, *deliveries: Delivery) -> None:
    storage.write(lambda unit: [unit.notifications.add_delivery(delivery) for delivery in deliveries])


def following(storage: SqlStorage, destination: Destination) -> Delivery | None:
    return storage.read(lambda unit: unit.notifications.next_delivery(destination.id))


def test_registration_is_one_and_replaced(storage: SqlStorage) -> None:
    assert storage.read(lambda unit: unit.notifications.registration()) is None
    for registration in (make_registration(), make_registration(source_name="ü", source_description="text")):
        storage.write(lambda unit, registration=registration: unit.notifications.register(registration))  # type: ignore[misc]
        assert storage.read(lambda unit: unit.notifications.registration()) == registration

    assert storage.write(lambda unit: unit.notifications.unregister())
    assert not storage.write(lambda unit: unit.notifications.unregister())


def test_destination_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    destination = make_destination(
        "mail",
        destination_type=DestinationType.EMAIL,
        enabled=False,
        shown_url="https://example.com/?***",
        recipients=("team@example.com", "web@example.com"),
        attach_payload=True,
        filters=Filters(
            event_types=("secret_created",),
            secret_types=(SecretType.KV, SecretType.PUBLIC_CERT),
            secret_group_ids=(DEFAULT_GROUP, GroupId("g1")),
        ),
        updated_at=later(1.000001),
        sealed=b"\x00\xff",
    )
    other = make_destination("other")
    for item in (destination, other):
        add(storage, item)

    assert storage.read(lambda unit: unit.notifications.find(destination.id)) == destination
    assert storage.read(lambda unit: unit.notifications.listing()) == [destination, other]
    assert storage.read(lambda unit: unit.notifications.find(DestinationId("unknown"))) is None


def test_name_of_a_destination_is_taken_once(storage: SqlStorage) -> None:
    add(storage, make_destination("one"))
    two = add(storage, make_destination("two"))

    for change in (
        lambda unit: unit.notifications.add(make_destination("one")),
        lambda unit: unit.notifications.save(replace(two, name="one")),
    ):
        with pytest.raises(Conflict) as caught:
            storage.write(change)
        assert caught.value.code is ErrorCode.ALREADY_EXISTS


def test_changed_destination_moves_its_row_version_and_a_stale_one_is_refused(storage: SqlStorage) -> None:
    destination = add(storage, make_destination())

    after = storage.write(lambda unit: unit.notifications.save(replace(destination, enabled=False, sealed=b"s")))

    assert after == replace(destination, enabled=False, sealed=b"s", row_version=1)
    assert storage.read(lambda unit: unit.notifications.find(destination.id)) == after
    with pytest.raises(Conflict) as caught:
        storage.write(lambda unit: unit.notifications.save(destination))
    assert caught.value.code is ErrorCode.STALE_VERSION
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.notifications.save(make_destination("other")))


def test_deliveries_come_longest_due_first_and_go_with_their_destination(storage: SqlStorage) -> None:
    destination, other = add(storage, make_destination("a")), add(storage, make_destination("b"))
    second = make_delivery(destination, next_try_at=later(MINUTE))
    first = make_delivery(destination, payload={"name": "ü"})
    add_deliveries(storage, second, first, make_delivery(other))

    assert following(storage, destination) == first
    assert storage.read(lambda unit: unit.notifications.find_delivery(first.id)) == first
    assert storage.read(lambda unit: unit.notifications.open_deliveries()) == 3
    assert storage.write(lambda unit: unit.notifications.remove(destination.id))
    assert not storage.write(lambda unit: unit.notifications.remove(destination.id))
    assert storage.read(lambda unit: unit.notifications.open_deliveries()) == 1


def test_delivery_to_a_destination_that_is_gone_is_not_stored(storage: SqlStorage) -> None:
    assert not storage.write(lambda unit: unit.notifications.add_delivery(make_delivery(make_destination())))
    assert storage.read(lambda unit: unit.notifications.open_deliveries()) == 0


def test_outcome_is_stored_and_what_has_ended_keeps_no_payload(storage: SqlStorage) -> None:
    destination = add(storage, make_destination())
    delivery = make_delivery(destination)
    add_deliveries(storage, delivery)
    tried = replace(delivery, attempt=1, answer_code=500, message="no", sent_at=later(1), next_try_at=later(5 * MINUTE))

    storage.write(lambda unit: unit.notifications.save_delivery(tried))
    assert following(storage, destination) == tried

    ended = replace(tried, attempt=2, answer_code=204, state=DeliveryState.DELIVERED, message="", next_try_at=None)
    storage.write(lambda unit: unit.notifications.save_delivery(ended))
    assert following(storage, destination) is None
    assert storage.read(lambda unit: unit.notifications.find_delivery(delivery.id)) == replace(ended, payload=None)


def test_log_shows_what_was_tried_newest_first(storage: SqlStorage) -> None:
    destination = add(storage, make_destination())
    tried = [make_delivery(destination, sent_at=later(number), attempt=1) for number in range(3)]
    add_deliveries(storage, *tried, make_delivery(destination))
    for delivery in tried:
        storage.write(lambda unit, delivery=delivery: unit.notifications.save_delivery(delivery))  # type: ignore[misc]

    page = storage.read(lambda unit: unit.notifications.deliveries(destination.id, limit=2, offset=0))
    rest = storage.read(lambda unit: unit.notifications.deliveries(destination.id, limit=2, offset=2))

    assert [item.id for item in (*page.items, *rest.items)] == [delivery.id for delivery in reversed(tried)]
    assert page.total == 3


def test_open_deliveries_can_be_ended_together_and_are_purged_when_old(storage: SqlStorage) -> None:
    destination, other = add(storage, make_destination("a")), add(storage, make_destination("b"))
    add_deliveries(storage, make_delivery(destination), make_delivery(destination), make_delivery(other))

    assert storage.write(lambda unit: unit.notifications.end_deliveries(destination.id, later(1), "off")) == 2

    log = storage.read(lambda unit: unit.notifications.deliveries(destination.id, limit=10, offset=0)).items
    assert {(item.state, item.message, item.payload) for item in log} == {(DeliveryState.FAILED, "off", None)}
    purge = [later(1), later(2), later(2)]
    assert [
        storage.write(lambda unit, before=before: unit.notifications.purge_deliveries(before, 1))  # type: ignore[misc]
        for before in purge
    ] == [0, 1, 1]
    assert following(storage, other) is not None


def test_next_look_moves_with_the_end_and_with_each_certificate(storage: SqlStorage) -> None:
    add_group(storage)

    def due(days: float) -> list[SecretId]:
        return list(storage.read(lambda unit: unit.secrets.due_for_notice(NOW + days * DAY, 10)))

    def save(secret: Secret) -> Secret:
        return storage.write(lambda unit: unit.secrets.save(secret))

    certificate = make_secret(secret_type=SecretType.IMPORTED_CERT, expires_at=NOW + 30.5 * DAY)
    plain = make_secret("plain", expires_at=NOW + 100 * DAY)
    endless = make_secret("endless")
    for secret in (certificate, plain, endless):
        storage.write(lambda unit, secret=secret: unit.secrets.add(secret))  # type: ignore[misc]
    assert due(0) == [certificate.id]
    assert due(10) == [certificate.id, plain.id]
    assert plain.expires_at is not None
    assert first_look(plain.expires_at, NOW) <= NOW + 10 * DAY

    storage.write(lambda unit: unit.secrets.set_notice(certificate.id, NOW + 20 * DAY))
    assert due(0) == []
    same = save(replace(certificate, description="changed"))
    plain = save(replace(plain, current_version_id=VersionId(new_uuid())))
    assert due(0) == []
    same = save(replace(same, current_version_id=VersionId(new_uuid())))
    assert due(0) == [certificate.id]
    save(replace(same, expires_at=NOW + 200 * DAY))
    save(replace(plain, expires_at=None))
    assert due(100) == []
    assert due(120) == [certificate.id]


def test_adding_a_delivery_beside_the_removal_of_its_destination_breaks_neither(open_store: OpenStorage) -> None:
    one, two = open_store(stream="one"), open_store(stream="two")
    for _ in range(5):
        destination = add(one, make_destination(new_uuid()))
        barrier = threading.Barrier(2, timeout=10)

        def adds(unit: Unit, destination: Destination = destination) -> bool:
            return unit.notifications.add_delivery(make_delivery(destination))

        def together(storage: SqlStorage, change: object, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            storage.write(change)  # type: ignore[arg-type]

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(together, one, adds)
            second = threads.submit(
                together, two, lambda unit, destination=destination: unit.notifications.remove(destination.id)
            )
            first.result()
            second.result()
    assert one.read(lambda unit: unit.notifications.open_deliveries()) == 0
