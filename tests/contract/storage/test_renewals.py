"""The list of coming renewals on both databases: order, filters, exact totals."""

from __future__ import annotations

from typing import Any

from strongroom.domain.secrets.model import RenewalQuery, Secret, SecretType, State
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, SecretId, new_uuid
from strongroom.kernel.result import Page
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import add_group, add_secret, later

DAY = 86_400.0


def fill(storage: SqlStorage) -> None:
    add_group(storage)
    add_group(storage, "mine")
    for name, day, changes in (
        ("third", 3, {"secret_type": SecretType.PUBLIC_CERT}),
        ("first", -1, {"group_id": GroupId("mine")}),
        ("second", 2, {"state": State.DESTROYED}),
        ("second-too", 2, {"group_id": GroupId("mine")}),
        ("gone", 1, {"state": State.DEACTIVATED}),
    ):
        add_secret(storage, name, next_rotation_at=later(day * DAY), **changes)
    add_secret(storage, "never")


def page(storage: SqlStorage, **query: Any) -> Page[tuple[Secret, Any]]:
    wanted = RenewalQuery(**{"limit": 10, **query})
    return storage.read(lambda unit: unit.secrets.renewals(wanted))


def names(found: Page[tuple[Secret, Any]]) -> list[str]:
    return [secret.name for secret, _ in found.items]


def test_renewals_come_soonest_first_and_leave_out_what_does_not_renew(storage: SqlStorage) -> None:
    fill(storage)
    found = page(storage)
    assert names(found) == ["first", "second", "second-too", "third"]
    assert found.total == 4
    assert [at for _, at in found.items] == [later(day * DAY) for day in (-1, 2, 2, 3)]


def test_the_end_is_not_part_of_what_is_before_it(storage: SqlStorage) -> None:
    fill(storage)
    assert names(page(storage, before=later(2 * DAY))) == ["first"]
    assert page(storage, before=later(3 * DAY)).total == 3


def test_renewals_of_some_groups(storage: SqlStorage) -> None:
    fill(storage)
    mine = frozenset({GroupId("mine")})
    assert names(page(storage, groups=mine)) == ["first", "second-too"]
    assert names(page(storage, groups=mine, before=later(DAY))) == ["first"]
    assert names(page(storage, groups=mine | {DEFAULT_GROUP, GroupId("unknown")})) == names(page(storage))
    assert page(storage, groups=frozenset({GroupId("unknown")})).total == 0


def test_no_group_means_nothing(storage: SqlStorage) -> None:
    fill(storage)
    assert page(storage, groups=frozenset()).total == 0


def test_pages_have_the_total_of_all(storage: SqlStorage) -> None:
    fill(storage)
    found = page(storage, limit=2, offset=1)
    assert (names(found), found.total, found.limit, found.offset) == (["second", "second-too"], 4, 2, 1)
    assert (names(page(storage, offset=10)), page(storage, offset=10).total) == ([], 4)


def test_many_secrets_are_found_at_once(storage: SqlStorage) -> None:
    add_group(storage)
    secrets = [add_secret(storage, f"secret-{i}") for i in range(5)]
    wanted = [secrets[1].id, SecretId(new_uuid()), secrets[3].id, secrets[1].id]
    found = storage.read(lambda unit: unit.secrets.find_many(wanted))
    assert found == {secrets[1].id: secrets[1], secrets[3].id: secrets[3]}
    assert storage.read(lambda unit: unit.secrets.find_many([])) == {}
