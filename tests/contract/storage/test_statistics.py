"""Counts for the metrics, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from strongroom.domain.jobs.model import JobState
from strongroom.domain.jobs.steps import new_job
from strongroom.domain.ports import AuthorityFigures, Statistics, Unit
from strongroom.domain.secrets.model import State
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import NOW, add_authority, add_configuration, add_group, make_crl, make_secret

DAY = timedelta(days=1)


def gather(storage: SqlStorage, *days: int) -> Statistics:
    return storage.read(lambda unit: unit.statistics.gather(NOW, [NOW + DAY * number for number in days]))


def test_empty_store_counts_nothing(storage: SqlStorage) -> None:
    found = gather(storage, 1, 30)
    assert found == Statistics(
        expired=0, expiring=(0, 0, 0), rotations_failed=0, rotations_blocked=0, jobs={}, authorities=()
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


def test_trouble_with_rotations_is_counted_among_what_is_due(storage: SqlStorage) -> None:
    add_group(storage)

    def fill(unit: Unit) -> None:
        for number, status in enumerate(("failed", "failed", "blocked", "none")):
            unit.secrets.add(make_secret(f"s{number}", rotation_status=status, next_rotation_at=NOW - DAY))
        unit.secrets.add(make_secret("made good", rotation_status="none", next_rotation_at=NOW + DAY))

    storage.write(fill)
    found = gather(storage)
    assert (found.rotations_failed, found.rotations_blocked) == (2, 1)


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
