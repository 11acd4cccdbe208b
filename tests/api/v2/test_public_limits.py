"""Limits of Let's Encrypt over the API: the CA is never asked for what it would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.factories.orders import DIRECTORY
from tests.factories.public_world import PublicWorld, public_world
from tests.peers.acme_ca import Limit

_HOURS = timedelta(hours=3)


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    settings = {"acme_directory_production": DIRECTORY, "limits": {"ca_orders_per_account": 2}}
    with public_world(prepared_data_dir, data_dir, clock, **settings) as made:
        made.configure()
        answer = made.server.request(
            "POST",
            "/api/v2/configurations",
            {
                "config_type": "public_cert_configuration_ca_lets_encrypt",
                "name": "le",
                "lets_encrypt_environment": "production",
            },
        )
        assert answer.status == 201, answer.raw
        made.ca.limits = {"new_order": Limit(count=2, per=_HOURS)}
        yield made


def test_order_beyond_the_limit_is_not_sent_to_the_ca(world: PublicWorld) -> None:
    for name in ("a", "b"):
        _issued(world, name)
    third = world.order("web-c", ca="le", common_name="c.example.com").json["id"]
    world.run()

    info = world.metadata(third)["issuance_info"]
    assert (info["state"], info["error_code"]) == (3, "ca_rate_limited")
    assert "2 orders of an account in 3 hours" in info["error_message"]
    assert (len(world.ca.orders), world.ca.refusals) == (2, [])


def test_ca_that_has_had_enough_is_not_asked_again_by_orders_that_are_under_way(world: PublicWorld) -> None:
    """Nobody knows the limits of such a CA; that they were run into is known from its answer."""
    ids = [world.order(f"web-{name}", common_name=f"{name}.example.com").json["id"] for name in "abcdef"]
    world.run()

    shown = [world.metadata(secret_id) for secret_id in ids]
    assert [found["state"] for found in shown] == [1, 1, 3, 3, 3, 3]
    assert {found["issuance_info"]["error_code"] for found in shown[2:]} == {"ca_rate_limited"}
    assert "asked to be left alone until" in shown[3]["issuance_info"]["error_message"]
    assert len(world.ca.refusals) == 1


def test_order_that_was_placed_late_counts_from_then_on(world: PublicWorld) -> None:
    begun = world.clock.now()
    first = world.order("web-a", ca="le", common_name="a.example.com").json["id"]
    world.run_to("place")
    world.ca.outage_until = begun + timedelta(minutes=20)
    world.run(timedelta(minutes=25), timedelta(seconds=30))
    assert world.metadata(first)["state"] == 1
    _issued(world, "b")

    world.pass_time(begun + _HOURS + timedelta(seconds=10) - world.clock.now())
    third = world.order("web-c", ca="le", common_name="c.example.com").json["id"]
    world.run()
    assert (world.metadata(third)["state"], len(world.ca.orders)) == (0, 2)

    world.run(timedelta(minutes=35), timedelta(seconds=30))
    assert world.metadata(third)["state"] == 1
    assert world.ca.refusals == []


def test_manual_order_beyond_the_limit_is_refused_without_asking_the_ca(world: PublicWorld) -> None:
    for name in ("a", "b"):
        answer = world.order(f"web-{name}", ca="le", dns="manual", common_name=f"{name}.example.com")
        assert answer.status == 201, answer.raw
    third = world.order("web-c", ca="le", dns="manual", common_name="c.example.com")
    assert third.status == 502, third.raw
    assert "2 orders of an account in 3 hours" in third.json["errors"][0]["message"]
    assert int(third.headers["retry-after"]) > 3600
    assert (len(world.ca.orders), world.ca.refusals) == (2, [])
    world.pass_time(timedelta(hours=4))
    assert world.order("web-c", ca="le", dns="manual", common_name="c.example.com").status == 201


def test_ca_that_refused_a_manual_order_for_its_limits_is_left_alone(world: PublicWorld) -> None:
    world.ca.limits = {"new_order": Limit(count=1, per=_HOURS)}
    assert world.order("first", dns="manual", common_name="first.example.com").status == 201
    for _ in range(3):
        assert world.order(dns="manual").status == 502
    assert len(world.ca.refusals) == 1


def _issued(world: PublicWorld, name: str) -> None:
    secret_id = world.order(f"web-{name}", ca="le", common_name=f"{name}.example.com").json["id"]
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)
