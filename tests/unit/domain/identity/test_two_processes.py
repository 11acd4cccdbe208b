"""Two processes on one PostgreSQL: the last administrator stays whoever commits first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.identity.services import IdentityServices
from strongroom.domain.ports import Unit
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.storage.store import open_storage
from tests.factories.identities import INSTANCE, ISSUER, QuickDigests, World, make_world, token_authority


def second_process(world: World, url: str) -> World:
    storage = open_storage(url, stream="second")
    services = IdentityServices.build(
        storage=storage,
        clock=world.clock,
        limits=world.limits,
        instance=INSTANCE,
        digests=QuickDigests(),
        signer=token_authority(world.clock),
        issuer=ISSUER,
    )
    return replace(world, storage=storage, services=services)


@pytest.mark.peers
def test_two_administrators_that_delete_each_other_do_not_both_succeed(postgres_url: str, clock: FrozenClock) -> None:
    one = make_world(postgres_url, clock)
    two = second_process(one, postgres_url)
    first = one.read(lambda unit: unit.identities.service_ids(limit=1, offset=0)).items[0]
    second = one.service_id("second")
    one.key_of(second.iam_id)
    one.grant(second.iam_id, Role.ADMINISTRATOR)
    meeting = threading.Barrier(2, timeout=10)

    def delete(world: World, victim: str) -> ErrorCode | None:
        service_id = first if victim == "first" else second
        change = world.services.service_ids.delete(service_id.id)
        met = False

        def unit_of_work(unit: Unit) -> None:
            nonlocal met
            if not met:
                # Both have begun before either goes on; a repeated unit has met the other already.
                met = True
                unit.identities.find_service_id(service_id.id)
                meeting.wait()
            change.commit(unit)

        try:
            world.storage.write(unit_of_work)
        except Conflict as conflict:
            return conflict.code
        return None

    try:
        with ThreadPoolExecutor(2) as pool:
            outcomes = {pool.submit(delete, one, "first"), pool.submit(delete, two, "second")}
            assert {outcome.result() for outcome in outcomes} == {None, ErrorCode.LAST_ADMINISTRATOR}
    finally:
        two.storage.close()
        one.storage.close()
