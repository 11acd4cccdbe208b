"""Counts for the metrics, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from strongroom.domain.jobs.model import JobState
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.orders.model import Order, OrderState, OrderTrigger
from strongroom.domain.ports import AuthorityFigures, Statistics, Unit
from strongroom.domain.secrets.model import SecretType, State
from strongroom.kernel.ids import SecretId
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import (
    NOW,
    SOMEBODY,
    add_authority,
    add_configuration,
    add_group,
    make_crl,
    make_secret,
)

DAY = timedelta(days=1)


def gather(storage: SqlStorage, *days: int) -> Statistics:
    return storage.read(lambda unit: unit.statistics.gather(NOW, [NOW + DAY * number for number in days]))


def test_empty_store_counts_nothing(storage: SqlStorage) -> None:
    found = gather(storage, 1, 30)
    assert found == Statistics(
        expired=0,
        expiring=(0, 0, 0),
        rotations_failed=0,
        rotations_blocked=0,
        renewals=(0, 0, 0),
        next_renewal_at=None,
        orders={},
        orders_failed={},
        jobs={},
        authorities=(),
    )


def test_active_secrets_are_counted_by_the_days_they_have_left(storage: SqlStorage) -> None:
    add_group(storage)

    def fill(unit: Unit) -> None:
        for number, days in enumerate((-3, 0, 0.5, 1, 2, 30, 31, 400)):
            unit.secrets.add(make_secret(f"s{number}", expires_at=NOW + DAY * days))
        unit.secrets.add(make_secret("endless", expires_at=None))
        unit.secrets.add(make_secret("gone", expires_at=NOW - DAY, state=State.DESTROYED))

    storage.write(fill)
    found = gather(storage, 1, 30)
    assert (found.expired, found.expiring) == (2, (2, 2, 2))


def test_trouble_with_rotations_is_counted_whenever_the_next_try_is(storage: SqlStorage) -> None:
    add_group(storage)

    def fill(unit: Unit) -> None:
        for number, status in enumerate(("failed", "failed", "blocked", "none", "pending")):
            unit.secrets.add(make_secret(f"s{number}", rotation_status=status, next_rotation_at=NOW - DAY))
        unit.secrets.add(make_secret("tomorrow", rotation_status="failed", next_rotation_at=NOW + DAY))
        unit.secrets.add(make_secret("by hand", rotation_status="failed", state=State.DESTROYED))
        unit.secrets.add(make_secret("given up", rotation_status="failed", state=State.DEACTIVATED))

    storage.write(fill)
    found = gather(storage)
    assert (found.rotations_failed, found.rotations_blocked) == (4, 1)


def test_failed_rotations_of_public_certificates_are_counted_by_ca(storage: SqlStorage) -> None:
    add_group(storage)

    def fill(unit: Unit) -> None:
        for number, (ca, status) in enumerate((("le", "failed"), ("le", "failed"), ("zero", "failed"), ("le", "none"))):
            secret = make_secret(
                f"s{number}", secret_type=SecretType.PUBLIC_CERT, attributes={"ca": ca}, rotation_status=status
            )
            unit.secrets.add(secret)
        unit.secrets.add(make_secret("password", secret_type=SecretType.USERNAME_PASSWORD, rotation_status="failed"))

    storage.write(fill)
    assert gather(storage).orders_failed == {"le": 2, "zero": 1}


def test_coming_renewals_are_counted_up_to_each_bound(storage: SqlStorage) -> None:
    add_group(storage)

    def fill(unit: Unit) -> None:
        for number, days in enumerate((-1, 0.5, 1, 20, 400)):
            unit.secrets.add(make_secret(f"s{number}", next_rotation_at=NOW + DAY * days))
        unit.secrets.add(make_secret("given up", next_rotation_at=NOW - 5 * DAY, state=State.DEACTIVATED))

    storage.write(fill)
    found = gather(storage, 1, 30)
    assert (found.renewals, found.next_renewal_at) == ((1, 3, 4), NOW - DAY)


def test_open_orders_are_counted_by_ca_state_and_step(storage: SqlStorage) -> None:
    def put(unit: Unit, number: int, ca: str, state: JobState, step: str, ended: OrderState) -> None:
        job = replace(new_job("public_cert.order", dedupe_key=str(number), now=NOW, step=step), state=state)
        unit.jobs.enqueue(job)
        order = Order(
            id=job.id,
            secret_id=SecretId(str(number)),
            state=ended,
            trigger=OrderTrigger.CREATE,
            by=SOMEBODY,
            names=("example.com",),
            names_key=str(number),
            ca=ca,
            dns="zone",
            key_algorithm="ECDSA256",
            rotate_keys=False,
            created_at=NOW,
            updated_at=NOW,
        )
        unit.orders.add(order)

    def fill(unit: Unit) -> None:
        put(unit, 1, "le", JobState.WAITING, "propagate", OrderState.OPEN)
        put(unit, 2, "le", JobState.WAITING, "propagate", OrderState.OPEN)
        put(unit, 3, 'ze"ro', JobState.QUEUED, "place", OrderState.OPEN)
        put(unit, 4, "le", JobState.DONE, "download", OrderState.ISSUED)

    storage.write(fill)
    assert gather(storage).orders == {
        ("le", JobState.WAITING, "propagate"): 2,
        ('ze"ro', JobState.QUEUED, "place"): 1,
    }


def test_open_and_failed_jobs_are_counted_by_kind_and_state(storage: SqlStorage) -> None:
    def fill(unit: Unit) -> None:
        for number, (kind, state) in enumerate(
            (
                ("secret.rotate", JobState.WAITING),
                ("secret.rotate", JobState.WAITING),
                ("secret.rotate", JobState.FAILED),
                ("secret.expire", JobState.QUEUED),
                ("secret.expire", JobState.DONE),
            )
        ):
            unit.jobs.enqueue(replace(new_job(kind, dedupe_key=str(number), now=NOW), state=state))

    storage.write(fill)
    assert gather(storage).jobs == {
        ("secret.rotate", JobState.WAITING): 2,
        ("secret.rotate", JobState.FAILED): 1,
        ("secret.expire", JobState.QUEUED): 1,
    }


def test_signed_authorities_are_told_with_their_lists_the_newest_key_first(storage: SqlStorage) -> None:
    root, issuing = add_configuration(storage, "root"), add_configuration(storage, "issuing")
    old = add_authority(storage, issuing, 1, key_id="a1", revoked_at=NOW, crl_number=3)
    new = add_authority(storage, issuing, 2, key_id="a2", not_after=NOW + DAY)
    add_authority(storage, issuing, 3, certificate=None, not_before=None, not_after=None)
    only = add_authority(storage, root, key_id="b1")
    storage.write(lambda unit: unit.authorities.put_crl(make_crl(old, 9, next_update=NOW + 2 * DAY)))

    found = gather(storage).authorities

    assert found == (
        AuthorityFigures(
            name="root",
            generation=1,
            key_id="b1",
            not_after=only.not_after or NOW,
            is_revoked=False,
            crl_number=0,
            crl_next_update=None,
        ),
        AuthorityFigures(
            name="issuing",
            generation=2,
            key_id="a2",
            not_after=new.not_after or NOW,
            is_revoked=False,
            crl_number=0,
            crl_next_update=None,
        ),
        AuthorityFigures(
            name="issuing",
            generation=1,
            key_id="a1",
            not_after=old.not_after or NOW,
            is_revoked=True,
            crl_number=9,
            crl_next_update=NOW + 2 * DAY,
        ),
    )
