"""Two processes on one PostgreSQL: the last administrator stays whoever commits first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.identity.api_keys import ApiKeys
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.grants import Administrators
from strongroom.domain.identity.service_ids import ServiceIds
from strongroom.domain.ports import Storage, Unit
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.ids import ServiceIdId
from strongroom.storage.store import open_storage
from tests.factories.identities import QuickDigests, World, make_world


class Meeting(Administrators):
    """Waits before its first check until the other process has come as far."""

    def __init__(self, point: threading.Barrier) -> None:
        super().__init__()
        self._point = point
        self._met = False

    def ensure_one_remains(self, unit: Unit, now: datetime) -> None:
        if not self._met:
            self._met = True
            self._point.wait()
        super().ensure_one_remains(unit, now)


def delete(world: World, storage: Storage, service_id: ServiceIdId, point: threading.Barrier) -> ErrorCode | None:
    generations, administrators = Generations(world.clock), Meeting(point)
    api_keys = ApiKeys(
        clock=world.clock,
        limits=world.limits,
        digests=QuickDigests(),
        generations=generations,
        administrators=administrators,
    )
    service_ids = ServiceIds(
        clock=world.clock, generations=generations, administrators=administrators, api_keys=api_keys
    )
    try:
        storage.write(service_ids.delete(service_id).commit)
    except Conflict as conflict:
        return conflict.code
    return None


@pytest.mark.peers
def test_two_administrators_that_delete_each_other_do_not_both_succeed(postgres_url: str, clock: FrozenClock) -> None:
    world = make_world(postgres_url, clock)
    other = open_storage(postgres_url, stream="other")
    try:
        first = world.read(lambda unit: unit.identities.service_ids(limit=1, offset=0)).items[0]
        second = world.service_id("second")
        world.key_of(second.iam_id)
        world.grant(second.iam_id, Role.ADMINISTRATOR)
        point = threading.Barrier(2, timeout=20)
        with ThreadPoolExecutor(2) as pool:
            outcomes = [
                pool.submit(delete, world, world.storage, first.id, point),
                pool.submit(delete, world, other, second.id, point),
            ]
            assert {outcome.result() for outcome in outcomes} == {None, ErrorCode.LAST_ADMINISTRATOR}
    finally:
        other.close()
        world.storage.close()
