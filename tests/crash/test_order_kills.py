"""A server that dies at any step of an order: afterwards the order ends issued, placed once, with nothing left behind.

The step machine is driven in the test's process. "Dying" is an exception that nobody catches, out of the very call of
a peer or the very commit; the server is then put together anew on the same store, as after ``kill -9``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.domain.orders.model import OrderStep
from strongroom.kernel.clock import FrozenClock
from tests.factories.public_world import PublicWorld, public_world

_CALLS = (
    "new_order",
    "order",
    "authorization",
    "target",
    "present",
    "look",
    "answer",
    "finalize",
    "certificate",
    "cleanup",
)
"""Everything that an order asks of others, from the first to the last."""


class Killed(BaseException):
    """The process is gone."""


class _Once:
    """Kills at the first call of a name, before or after it went through."""

    def __init__(self, when: str, call: str) -> None:
        self._at = (when, call)
        self.killed = False

    def __call__(self, when: str, call: str) -> None:
        if (when, call) == self._at and not self.killed:
            self.killed = True
            raise Killed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", _CALLS)
def test_order_ends_issued_after_a_kill_at_a_call(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, call: str, when: str
) -> None:
    kill = _Once(when, call)
    with public_world(prepared_data_dir, data_dir, clock) as world:
        world.configure()
        secret_id = _ordered(world)
        world.acme.hooks.append(kill)
        world.dns.hooks.append(kill)
        with pytest.raises(Killed):
            world.run()
        world.come_back()
        world.run(timedelta(minutes=10))
        _require_issued_once(world, secret_id)
    assert kill.killed


@pytest.mark.parametrize("step", [item for item in OrderStep if item is not OrderStep.AWAIT_PERSON])
def test_order_ends_issued_after_a_kill_between_two_steps(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, step: OrderStep
) -> None:
    with public_world(prepared_data_dir, data_dir, clock) as world:
        world.configure()
        secret_id = _ordered(world)
        world.run_to(step)
        world.come_back()
        world.run(timedelta(minutes=10))
        _require_issued_once(world, secret_id)


def _require_issued_once(world: PublicWorld, secret_id: str) -> None:
    metadata = world.metadata(secret_id)
    assert metadata["state"] == 1, metadata
    assert [order.placed for order in world.ca.orders] == [1]
    assert world.dns.left == []
    world.require_matching_key(secret_id)


def _ordered(world: PublicWorld) -> str:
    # Two names share one TXT name.
    answer = world.order(common_name="example.com", alt_names=["*.example.com", "www.example.org"])
    assert answer.status == 201, answer.raw
    secret_id: str = answer.json["id"]
    return secret_id


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["present", "look", "cleanup"])
def test_record_of_a_configuration_test_does_not_outlive_a_kill(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, call: str, when: str
) -> None:
    kill = _Once(when, call)
    with public_world(prepared_data_dir, data_dir, clock) as world:
        world.configure()
        world.dns.hooks.append(kill)
        with pytest.raises(Killed):
            world.try_dns()
        world.come_back()
        world.run(timedelta(minutes=15), timedelta(minutes=1))
        assert world.dns.left == []
        assert world.try_dns().json["success"] is True
        world.run(timedelta(minutes=15), timedelta(minutes=1))
        assert world.dns.left == []
