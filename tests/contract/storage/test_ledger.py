"""The ledger of CA limits over both databases: several servers together take no more than there is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.limits import Limits
from strongroom.domain.orders.acme import AcmeAccount
from strongroom.domain.orders.configured import ENVIRONMENT, PublicCa
from strongroom.domain.orders.ledger import ASK_AGAIN, Ledger
from strongroom.domain.orders.model import Order
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import DAY, NOW, add_configuration, later, make_order
from tests.contract.storage.conftest import OpenStorage

LEDGER = Ledger(Limits(ca_certificates_per_domain=5), lambda name: ".".join(name.split(".")[-2:]))


def add_ca(storage: SqlStorage) -> PublicCa:
    configuration = add_configuration(
        storage, "ca", config_type=ConfigType.LETS_ENCRYPT, document={ENVIRONMENT: "production"}
    )
    account = AcmeAccount(directory_url="https://ca.example.com/directory", private_key="key")
    return PublicCa(configuration=configuration, account=account, preferred_chain=None, profile=None, fallback=None)


def reserves(storage: SqlStorage, ca: PublicCa, order: Order) -> bool:
    return storage.write(lambda unit: LEDGER.reserve(unit, ca, order, NOW)).allowed


def test_several_processes_reserve_no_more_than_there_is(open_store: OpenStorage) -> None:
    stores = [open_store(stream=f"s{number}") for number in range(3)]
    ca = add_ca(stores[0])
    orders = [make_order(f"s{number}", (f"{number}.example.com",)) for number in range(18)]
    start = threading.Barrier(len(stores))

    def work(number: int) -> int:
        start.wait()
        return sum(reserves(stores[number], ca, order) for order in orders[number :: len(stores)])

    with ThreadPoolExecutor(len(stores)) as pool:
        assert sum(pool.map(work, range(len(stores)))) == 5


def test_claims_become_certificates_or_are_given_back(storage: SqlStorage) -> None:
    ca = add_ca(storage)
    orders = [make_order(f"s{number}", (f"{number}.example.com",)) for number in range(6)]
    assert [reserves(storage, ca, order) for order in orders] == [True] * 5 + [False]

    storage.write(lambda unit: LEDGER.note_ended(unit, ca, orders[0], NOW))
    assert reserves(storage, ca, orders[5])
    for order in orders[1:]:
        storage.write(lambda unit, order=order: LEDGER.note_issued(unit, ca, order, later(60)))  # type: ignore[misc]

    verdict = storage.read(lambda unit: LEDGER.check(unit, ca, orders[0], later(120)))
    assert verdict.wait_until == later(60 + 7 * DAY + 1)


def test_reservation_of_a_unit_that_fails_counts_nothing(storage: SqlStorage) -> None:
    ca = add_ca(storage)

    def fails(unit: object) -> None:
        LEDGER.reserve(unit, ca, make_order(), NOW)  # type: ignore[arg-type]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        storage.write(fails)

    orders = [make_order(f"s{number}", (f"{number}.example.com",)) for number in range(5)]
    assert all(reserves(storage, ca, order) for order in orders)
    verdict = storage.read(lambda unit: LEDGER.check(unit, ca, make_order(names=("x.example.com",)), NOW))
    assert verdict.wait_until == NOW + ASK_AGAIN


def test_holds_and_failures_are_remembered(storage: SqlStorage) -> None:
    ca = add_ca(storage)
    order = make_order(names=("a.example.com",))

    storage.write(lambda unit: LEDGER.note_held(unit, ca, order.names, NOW, retry_after=timedelta(days=2)))
    for at in map(later, range(5)):
        storage.write(lambda unit, at=at: LEDGER.note_failed_validation(unit, ca, order.names, at))  # type: ignore[misc]

    assert storage.read(lambda unit: LEDGER.check(unit, ca, order, later(10))).wait_until == later(2 * DAY)
    verdict = storage.read(lambda unit: LEDGER.check(unit, ca, make_order(names=("b.example.com",)), later(3 * 3600)))
    assert verdict.allowed
