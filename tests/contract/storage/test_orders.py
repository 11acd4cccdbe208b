"""Orders of public certificates, uses of CAs, and renewal checks, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, fields, replace
from datetime import timedelta

import pytest

from strongroom.domain.jobs.model import JobState
from strongroom.domain.orders.dns import ServerReport
from strongroom.domain.orders.model import (
    CaUse,
    Order,
    OrderChallenge,
    OrderState,
    OrderTrigger,
    RecordState,
    RenewalCheck,
)
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import JobId, SecretId, VersionId
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    DAY,
    NOW,
    add_group,
    add_order,
    add_secret,
    later,
    make_challenge,
    make_order,
    make_order_job,
    make_record,
    make_renewal_check,
)
from tests.contract.storage.conftest import OpenStorage


def find(storage: SqlStorage, order_id: JobId) -> Order | None:
    return storage.read(lambda unit: unit.orders.find(order_id))


def full_order(**changes: object) -> Order:
    """Make an order with a value of its own in every member."""
    members: dict[str, object] = {
        "state": OrderState.FAILED,
        "trigger": OrderTrigger.AUTO,
        "cas_given_up": ("first", "second"),
        "attempts": 2,
        "rotate_keys": True,
        "version_custom_metadata": {"ü": [1, None, True]},
        "deadline_at": later(35 * 60),
        "url": "https://ca.example.com/orders/1",
        "finalize_url": "https://ca.example.com/orders/1/finalize",
        "replaces": "a.b",
        "challenges": (make_challenge(), make_challenge("example.org", is_wildcard=False, servers=(), expires=None)),
        "records": (make_record(), make_record(RecordState.PLANNED, handle=None), make_record(RecordState.LOST)),
        "sealed_key": b"\x00\xff",
        "version_id": VersionId("v2"),
        "problem": {"error_code": "ca_refused", "error_message": "Grüße"},
        "validated_at": later(1.000001),
        "updated_at": later(2),
        "row_version": 3,
    }
    return make_order("s1", ("example.com", "*.example.com", "ü.example"), **(members | changes))


def test_order_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    order = full_order()

    storage.write(lambda unit: unit.orders.add(order))

    assert find(storage, order.id) == order
    assert storage.write(lambda unit: unit.orders.find_for_update(order.id)) == order
    assert storage.read(lambda unit: unit.orders.last_of_secret(order.secret_id)) == order


@pytest.mark.parametrize(
    ("kind", "made"),
    [(Order, full_order()), (OrderChallenge, make_challenge()), (ServerReport, make_challenge().servers[0])],
    ids=["order", "challenge", "report"],
)
def test_order_that_comes_back_has_no_member_by_default(kind: type, made: object) -> None:
    # Otherwise a member that is not stored would come back right in the test above.
    for member in fields(kind):
        default = member.default_factory() if member.default_factory is not MISSING else member.default
        if member.name != "seen" and default is not MISSING:
            assert getattr(made, member.name) != default, f"give {member.name} a value of its own"


def test_fresh_order_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    order = add_order(storage)

    assert find(storage, order.id) == order
    assert storage.read(lambda unit: unit.orders.open_of_secret(order.secret_id)) == order


def test_unknown_order_is_not_found(storage: SqlStorage) -> None:
    unknown, nobody = JobId("unknown"), SecretId("nobody")

    assert find(storage, unknown) is None
    assert storage.write(lambda unit: unit.orders.find_for_update(unknown)) is None
    assert storage.read(lambda unit: unit.orders.open_of_secret(nobody)) is None
    assert storage.read(lambda unit: unit.orders.last_of_secret(nobody)) is None
    assert storage.read(lambda unit: unit.orders.find_many([unknown])) == {}
    assert storage.read(lambda unit: unit.orders.find_many([])) == {}


def test_many_orders_are_found_at_once(storage: SqlStorage) -> None:
    orders = [add_order(storage, f"s{number}", (f"{number}.example.com",)) for number in range(5)]
    asked = [order.id for order in orders[:3]]

    found = storage.read(lambda unit: unit.orders.find_many([*asked, JobId("unknown")]))

    assert found == {order.id: order for order in orders[:3]}


def test_one_open_order_is_for_the_same_names(storage: SqlStorage) -> None:
    first = add_order(storage, "s1", ("a.example.com", "b.example.com"))

    with pytest.raises(Conflict, match=r"same names \(b\.example\.com, a\.example\.com\)") as refused:
        add_order(storage, "s2", ("b.example.com", "a.example.com"))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert storage.read(lambda unit: unit.orders.open_total()) == 1
    storage.write(lambda unit: unit.orders.save(replace(first, state=OrderState.ISSUED)))
    add_order(storage, "s2", ("b.example.com", "a.example.com"))


def test_one_open_order_is_for_the_same_secret(storage: SqlStorage) -> None:
    first = add_order(storage, "s1", ("a.example.com",))

    with pytest.raises(Conflict, match="for this secret already") as refused:
        add_order(storage, "s1", ("b.example.com",))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    storage.write(lambda unit: unit.orders.save(replace(first, state=OrderState.FAILED)))
    second = add_order(storage, "s1", ("b.example.com",))
    assert storage.read(lambda unit: unit.orders.open_of_secret(SecretId("s1"))) == second


def test_id_of_an_order_is_used_once(storage: SqlStorage) -> None:
    order = add_order(storage, state=OrderState.ISSUED)

    with pytest.raises(Conflict, match=f"order {order.id} already"):
        add_order(storage, "s2", ("other.example.com",), id=order.id)


def test_many_names_are_not_all_in_the_refusal(storage: SqlStorage) -> None:
    names = tuple(f"{number}.example.com" for number in range(100))
    add_order(storage, "s1", names)

    with pytest.raises(Conflict, match=r"0\.example\.com, 1\.example\.com, 2\.example\.com and 97 more"):
        add_order(storage, "s2", names)


def test_refused_order_leaves_the_unit_usable(storage: SqlStorage) -> None:
    add_order(storage, "s1")

    def goes_on(unit: Unit) -> None:
        with pytest.raises(Conflict):
            unit.orders.add(make_order("s2"))
        unit.orders.add(make_order("s2", ("other.example.com",)))

    storage.write(goes_on)

    assert storage.read(lambda unit: unit.orders.open_total()) == 2


def test_one_of_several_processes_orders_the_same_names(open_store: OpenStorage) -> None:
    stores = [open_store(stream=f"s{number}") for number in range(3)]
    start = threading.Barrier(len(stores))

    def order(number: int) -> bool:
        start.wait()
        try:
            add_order(stores[number], f"s{number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as pool:
        placed = list(pool.map(order, range(len(stores))))

    assert placed.count(True) == 1
    assert stores[0].read(lambda unit: unit.orders.open_total()) == 1


def test_saved_order_comes_back_changed_with_its_next_row_version(storage: SqlStorage) -> None:
    order = add_order(storage)
    changed = full_order(id=order.id, names_key=order.names_key, row_version=0)

    saved = storage.write(lambda unit: unit.orders.save(changed))

    assert saved == replace(changed, row_version=1)
    assert find(storage, order.id) == saved
    assert storage.write(lambda unit: unit.orders.save(saved)).row_version == 2


def test_order_that_was_changed_meanwhile_is_not_saved(storage: SqlStorage) -> None:
    order = add_order(storage)
    storage.write(lambda unit: unit.orders.save(replace(order, url="https://ca.example.com/1")))

    with pytest.raises(Conflict, match="changed since it was read") as refused:
        storage.write(lambda unit: unit.orders.save(replace(order, url="https://ca.example.com/2")))

    assert refused.value.code is ErrorCode.STALE_VERSION
    found = find(storage, order.id)
    assert found is not None
    assert found.url == "https://ca.example.com/1"


def test_order_that_is_gone_is_not_saved(storage: SqlStorage) -> None:
    with pytest.raises(NotFound, match="no order") as refused:
        storage.write(lambda unit: unit.orders.save(make_order()))

    assert refused.value.code is ErrorCode.NOT_FOUND


def test_ended_order_is_not_opened_again_beside_another(storage: SqlStorage) -> None:
    ended = add_order(storage, state=OrderState.FAILED)
    add_order(storage)

    with pytest.raises(Conflict) as refused:
        storage.write(lambda unit: unit.orders.save(replace(ended, state=OrderState.OPEN)))

    assert refused.value.code is ErrorCode.ALREADY_EXISTS
    assert find(storage, ended.id) == ended


def test_order_that_is_read_for_a_change_waits_for_the_one_before(open_store: OpenStorage) -> None:
    stores = [open_store(stream="one"), open_store(stream="two")]
    order = add_order(stores[0])
    start = threading.Barrier(2)

    def count(store: SqlStorage) -> None:
        start.wait()
        for _ in range(10):

            def one_more(unit: Unit) -> None:
                found = unit.orders.find_for_update(order.id)
                assert found is not None
                unit.orders.save(replace(found, attempts=found.attempts + 1))

            store.write(one_more)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, stores))

    found = find(stores[0], order.id)
    assert found is not None
    assert found.attempts == 21


def test_last_order_of_a_secret_is_its_newest_whatever_became_of_it(storage: SqlStorage) -> None:
    add_order(storage, "s1", state=OrderState.ISSUED, created_at=later(5))
    newest = add_order(storage, "s1", state=OrderState.CANCELLED)
    add_order(storage, "s2")

    assert storage.read(lambda unit: unit.orders.last_of_secret(SecretId("s1"))) == newest
    assert storage.read(lambda unit: unit.orders.open_of_secret(SecretId("s1"))) is None


def test_order_is_forsaken_when_its_job_has_ended_or_is_gone_or_its_secret_is_gone(storage: SqlStorage) -> None:
    add_group(storage)
    orders: dict[str, Order] = {}

    def fill(unit: Unit) -> None:
        for number, (name, state) in enumerate(
            {
                "queued": JobState.QUEUED,
                "running": JobState.RUNNING,
                "waiting": JobState.WAITING,
                "done": JobState.DONE,
                "failed": JobState.FAILED,
                "cancelled": JobState.CANCELLED,
                "without a job": None,
                "without a secret": JobState.WAITING,
                "without both": None,
            }.items()
        ):
            order = orders[name] = make_order(f"secret-{number}", (f"{number}.example.com",))
            unit.orders.add(order)
            if state is not None:
                unit.jobs.enqueue(make_order_job(order, state))
        ended = make_order("secret-ended", state=OrderState.ISSUED)
        unit.orders.add(ended)

    storage.write(fill)
    for name, order in orders.items():
        if name not in {"without a secret", "without both"}:
            add_secret(storage, name.replace(" ", "-"), id=order.secret_id)

    forsaken = storage.read(lambda unit: unit.orders.forsaken(100))

    names = {order.id: name for name, order in orders.items()}
    expected = ["done", "failed", "cancelled", "without a job", "without a secret", "without both"]
    assert [names[order_id] for order_id in forsaken] == expected
    assert storage.read(lambda unit: unit.orders.forsaken(2)) == forsaken[:2]


def test_order_outlives_its_secret(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)
    order = add_order(storage, secret.id, records=(make_record(),))
    storage.write(lambda unit: unit.jobs.enqueue(make_order_job(order)))
    assert storage.read(lambda unit: unit.orders.forsaken(5)) == []

    storage.write(lambda unit: unit.secrets.remove(secret.id))

    assert find(storage, order.id) == order
    assert storage.read(lambda unit: unit.orders.forsaken(5)) == [order.id]


def test_ended_orders_with_records_are_known_until_the_records_are_gone(storage: SqlStorage) -> None:
    written = make_record(RecordState.WRITTEN)
    add_order(storage, "s1", ("a.example.com",), records=(written,))
    left = add_order(storage, "s2", state=OrderState.FAILED, records=(make_record(RecordState.REMOVED), written))
    planned = add_order(storage, "s3", state=OrderState.ISSUED, records=(make_record(RecordState.PLANNED),))
    add_order(storage, "s4", state=OrderState.ISSUED, records=(make_record(RecordState.REMOVED),))
    add_order(storage, "s5", state=OrderState.ISSUED, records=(make_record(RecordState.LOST),))

    assert storage.read(lambda unit: unit.orders.with_records(10)) == [left.id, planned.id]
    assert storage.read(lambda unit: unit.orders.with_records(1)) == [left.id]

    storage.write(lambda unit: unit.orders.save(replace(left, records=())))
    assert storage.read(lambda unit: unit.orders.with_records(10)) == [planned.id]


def test_old_ended_orders_without_records_are_forgotten_oldest_first(storage: SqlStorage) -> None:
    ended = [
        add_order(storage, f"s{number}", state=state, updated_at=later(-number))
        for number, state in enumerate((OrderState.ISSUED, OrderState.FAILED, OrderState.CANCELLED))
    ]
    kept = [
        add_order(storage, "s7", state=OrderState.FAILED, updated_at=later(-9), records=(make_record(),)),
        add_order(storage, "s8", ("open.example.com",), updated_at=later(-9)),
        add_order(storage, "s9", state=OrderState.ISSUED, updated_at=later(1)),
    ]

    def left() -> set[JobId]:
        return set(storage.read(lambda unit: unit.orders.find_many([order.id for order in (*ended, *kept)])))

    assert storage.write(lambda unit: unit.orders.purge(later(1), 2)) == 2
    assert left() == {ended[0].id, *(order.id for order in kept)}
    assert storage.write(lambda unit: unit.orders.purge(later(1), 10)) == 1
    assert storage.write(lambda unit: unit.orders.purge(later(1), 10)) == 0
    assert left() == {order.id for order in kept}


def test_uses_of_a_ca_are_counted_by_key_kind_and_subject(storage: SqlStorage) -> None:
    def note(unit: Unit) -> None:
        for ca_key, kind, subject, seconds in (
            ("ca", "certificate", "example.com", 20),
            ("ca", "certificate", "example.com", 10),
            ("ca", "certificate", "example.com", 10),
            ("ca", "certificate", "example.com", 9.999999),
            ("ca", "certificate", "example.org", 11),
            ("ca", "duplicate", "example.com", 12),
            ("other", "certificate", "example.com", 13),
        ):
            unit.orders.note_use(CaUse(ca_key=ca_key, kind=kind, subject=subject, at=later(seconds)))

    storage.write(note)

    uses = storage.read(lambda unit: unit.orders.uses("ca", "certificate", "example.com", later(10)))

    assert uses == [later(10), later(10), later(20)]
    assert storage.read(lambda unit: unit.orders.uses("ca", "certificate", "example.com", later(21))) == []


def test_uses_of_a_unit_that_fails_do_not_count(storage: SqlStorage) -> None:
    def fails(unit: Unit) -> None:
        unit.orders.note_use(CaUse(ca_key="ca", kind="k", subject="s", at=NOW))
        raise NotFound(ErrorCode.NOT_FOUND, "It was not to be.")

    with pytest.raises(NotFound):
        storage.write(fails)

    assert storage.read(lambda unit: unit.orders.uses("ca", "k", "s", NOW)) == []


def test_old_uses_are_forgotten_oldest_first(storage: SqlStorage) -> None:
    def note(unit: Unit) -> None:
        for seconds in (3, 1, 2, 4):
            unit.orders.note_use(CaUse(ca_key="ca", kind="k", subject="s", at=later(seconds)))

    storage.write(note)

    assert storage.write(lambda unit: unit.orders.purge_uses(later(4), 2)) == 2
    assert storage.read(lambda unit: unit.orders.uses("ca", "k", "s", NOW)) == [later(3), later(4)]
    assert storage.write(lambda unit: unit.orders.purge_uses(later(4), 2)) == 1
    assert storage.read(lambda unit: unit.orders.uses("ca", "k", "s", NOW)) == [later(4)]


def test_newest_renewal_check_replaces_the_older(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)
    plain = make_renewal_check(secret)
    full = make_renewal_check(
        secret,
        version_id=VersionId("v2"),
        check_at=later(6 * 3600),
        window_start=later(DAY),
        window_end=later(2 * DAY),
        explanation_url="https://ca.example.com/why",
        renew_at=later(DAY + 0.000001),
        failures=2,
    )

    for check in (plain, full, plain, full):
        storage.write(lambda unit, check=check: unit.orders.put_renewal_check(check))  # type: ignore[misc]
        assert storage.read(lambda unit: unit.orders.find_renewal_check(secret.id)) == check

    assert all(getattr(full, member.name) != member.default for member in fields(RenewalCheck))


def test_renewal_check_goes_with_its_secret(storage: SqlStorage) -> None:
    add_group(storage)
    gone, kept = add_secret(storage, "gone"), add_secret(storage, "kept")
    for secret in (gone, kept):
        storage.write(lambda unit, secret=secret: unit.orders.put_renewal_check(make_renewal_check(secret)))  # type: ignore[misc]

    storage.write(lambda unit: unit.secrets.remove(gone.id))
    storage.write(lambda unit: unit.orders.put_renewal_check(make_renewal_check(gone)))

    assert storage.read(lambda unit: unit.orders.find_renewal_check(gone.id)) is None
    due = storage.read(lambda unit: unit.orders.renewal_checks_due(NOW, 10))
    assert [check.secret_id for check in due] == [kept.id]


def test_removed_renewal_check_is_gone(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage)
    storage.write(lambda unit: unit.orders.put_renewal_check(make_renewal_check(secret)))

    for _ in range(2):
        storage.write(lambda unit: unit.orders.remove_renewal_check(secret.id))

    assert storage.read(lambda unit: unit.orders.find_renewal_check(secret.id)) is None


def test_longest_due_renewal_checks_come_first(storage: SqlStorage) -> None:
    add_group(storage)
    secrets = [add_secret(storage, f"s{number}") for number in range(4)]
    for secret, hours in zip(secrets, (0, -2, -1, 0.001), strict=True):
        check = make_renewal_check(secret, check_at=NOW + timedelta(hours=hours))
        storage.write(lambda unit, check=check: unit.orders.put_renewal_check(check))  # type: ignore[misc]

    due = storage.read(lambda unit: unit.orders.renewal_checks_due(NOW, 10))

    assert [check.secret_id for check in due] == [secrets[1].id, secrets[2].id, secrets[0].id]
    assert storage.read(lambda unit: unit.orders.renewal_checks_due(NOW, 1)) == due[:1]
