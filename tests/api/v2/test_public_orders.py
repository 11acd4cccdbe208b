"""Orders of public certificates over the API, with a pretended CA and DNS and a clock that the tests move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.factories.public_world import PublicWorld, public_world


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    with public_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        yield made


def test_order_waits_in_pre_activation_and_ends_active(world: PublicWorld) -> None:
    answer = world.order(alt_names=["example.com", "*.apps.example.com"])
    assert answer.status == 201, answer.raw
    secret = answer.json
    assert (secret["state"], secret["state_description"], secret["versions_total"]) == (0, "pre_activation", 1)
    assert secret["issuance_info"]["state"] == 0
    assert "certificate" not in secret
    world.run()
    after = world.metadata(secret["id"])
    assert (after["state"], after["issuance_info"]["state"]) == (1, 1), after
    assert after["issuance_info"] == {
        "auto_rotated": False,
        "ordered_on": secret["issuance_info"]["ordered_on"],
        "state": 1,
        "state_description": "active",
    }
    full = world.server.request("GET", f"/api/v2/secrets/{secret['id']}").json
    assert full["certificate"].count("BEGIN CERTIFICATE") > 1
    assert full["private_key"].startswith("-----BEGIN EC PRIVATE KEY-----")
    assert world.dns.left == []
    assert len(world.dns.presented) == 3
    assert len(world.ca.orders) == 1


def test_rotation_keeps_the_key_unless_a_new_one_is_asked_for(world: PublicWorld) -> None:
    secret_id = _issued(world)
    before = world.server.request("GET", f"/api/v2/secrets/{secret_id}").json
    for rotate_keys in (False, True):
        answer = world.server.request(
            "POST", f"/api/v2/secrets/{secret_id}/versions", {"rotation": {"rotate_keys": rotate_keys}}
        )
        assert answer.status == 201, answer.raw
        assert answer.json["payload_available"] is False
        waiting = world.metadata(secret_id)
        assert (waiting["state"], waiting["issuance_info"]["state"], waiting["rotation_status"]) == (1, 0, "pending")
        world.run()
        after = world.server.request("GET", f"/api/v2/secrets/{secret_id}").json
        assert (after["private_key"] != before["private_key"]) is rotate_keys
        assert after["serial_number"] != before["serial_number"]
        before = after
    assert before["versions_total"] == 3
    assert world.dns.left == []


def test_second_rotation_while_an_order_runs_is_refused(world: PublicWorld) -> None:
    secret_id = _issued(world)
    path = f"/api/v2/secrets/{secret_id}/versions"
    assert world.server.request("POST", path, {"rotation": {}}).status == 201
    again = world.server.request("POST", path, {"rotation": {}})
    assert (again.status, again.json["errors"][0]["reference_code"]) == (409, "07042")


def test_same_names_are_not_ordered_twice_at_once(world: PublicWorld) -> None:
    assert world.order("one", alt_names=["example.com"]).status == 201
    again = world.order("two", common_name="example.com", alt_names=["www.example.com"])
    assert again.status == 409, again.raw
    assert world.server.request("GET", "/api/v2/secrets").json["total_count"] == 1


def test_policy_orders_anew_31_days_before_the_end(world: PublicWorld) -> None:
    world.ca.offers_renewal_info = False
    secret_id = _issued(world)
    end = world.metadata(secret_id)["expiration_date"]
    serial = world.metadata(secret_id)["serial_number"]
    world.pass_time(timedelta(days=58, hours=12))
    world.run()
    assert world.metadata(secret_id)["serial_number"] == serial
    world.pass_time(timedelta(hours=12))
    world.run()
    after = world.metadata(secret_id)
    assert after["expiration_date"] > end
    assert after["issuance_info"]["auto_rotated"] is True
    version = world.server.request("GET", f"/api/v2/secrets/{secret_id}/versions/current/metadata").json
    assert version["auto_rotated"] is True
    assert len(world.ca.orders) == 2


def test_first_order_that_the_ca_refuses_deactivates_the_secret(world: PublicWorld) -> None:
    world.ca.rejected.add("www.example.com")
    secret_id = world.order().json["id"]
    world.run()
    after = world.metadata(secret_id)
    assert (after["state"], after["issuance_info"]["state"]) == (3, 3)
    assert after["issuance_info"]["error_code"] == "name_rejected"
    assert "rejectedIdentifier" in after["issuance_info"]["error_message"]
    assert world.events()[-1] == "secret_creation_failed"
    assert world.dns.left == []
    rotate = world.server.request("POST", f"/api/v2/secrets/{secret_id}/versions", {"rotation": {}})
    assert rotate.status == 400
    assert world.server.request("DELETE", f"/api/v2/secrets/{secret_id}").status == 204


def test_failed_rotation_leaves_the_certificate_and_comes_again_the_next_day(world: PublicWorld) -> None:
    secret_id = _issued(world)
    world.pass_time(timedelta(days=59))
    world.ca.rejected.add("www.example.com")
    world.run()
    failed = world.metadata(secret_id)
    assert (failed["state"], failed["rotation_status"], failed["issuance_info"]["state"]) == (1, "failed", 3)
    assert world.events()[-1] == "secret_rotation_failed"
    world.ca.rejected.clear()
    world.pass_time(timedelta(days=1))
    world.run()
    after = world.metadata(secret_id)
    assert (after["rotation_status"], after["issuance_info"]["state"]) == ("none", 1)
    assert after["expiration_date"] > failed["expiration_date"]


def test_fallback_issues_while_the_first_ca_is_down(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock
) -> None:
    with public_world(prepared_data_dir, data_dir, clock) as world:
        world.configure(fallback=True)
        world.ca.outage_until = clock.now() + timedelta(days=3)
        secret_id = world.order().json["id"]
        world.run(timedelta(minutes=10))
        assert world.metadata(secret_id)["state"] == 1
        assert (len(world.ca.orders), len(world.second_ca.orders)) == (0, 1)


def test_outage_of_the_ca_is_waited_for_35_minutes(world: PublicWorld) -> None:
    world.ca.outage_until = world.clock.now() + timedelta(minutes=20)
    secret_id = world.order().json["id"]
    world.run(timedelta(minutes=30), timedelta(seconds=30))
    assert world.metadata(secret_id)["state"] == 1
    world.ca.outage_until = world.clock.now() + timedelta(days=1)
    other = world.order("other", common_name="other.example.com").json["id"]
    world.run(timedelta(minutes=40), timedelta(seconds=30))
    after = world.metadata(other)
    assert (after["state"], after["issuance_info"]["error_code"]) == (3, "ca_unreachable")


def test_manual_order_shows_its_challenges_and_waits_for_a_person(world: PublicWorld) -> None:
    answer = world.order(dns="manual", alt_names=["example.com"])
    assert answer.status == 201, answer.raw
    secret_id, challenges = answer.json["id"], answer.json["issuance_info"]["challenges"]
    assert [item["domain"] for item in challenges] == ["www.example.com", "example.com"]
    assert challenges[0]["txt_record_name"] == "_acme-challenge.www.example.com."
    world.run()
    assert world.metadata(secret_id)["state"] == 0
    for item in challenges:
        world.dns.publish(item["txt_record_name"].rstrip("."), item["txt_record_value"])
    action = {"action_type": "public_cert_action_validate_dns_challenge"}
    told = world.server.request("POST", f"/api/v2/secrets/{secret_id}/actions", action)
    assert (told.status, told.json) == (201, action)
    assert world.server.request("POST", f"/api/v2/secrets/{secret_id}/actions", action).status == 400
    world.run()
    after = world.metadata(secret_id)
    assert after["state"] == 1, after
    assert after["issuance_info"]["dns_challenge_validation_time"]
    assert len(world.dns.left) == 2, "people remove what they wrote"


def test_manual_order_with_a_wrong_value_ends_with_the_reason(world: PublicWorld) -> None:
    secret_id = world.order(dns="manual").json["id"]
    world.dns.publish("_acme-challenge.www.example.com", "nonsense")
    action = {"action_type": "public_cert_action_validate_dns_challenge"}
    assert world.server.request("POST", f"/api/v2/secrets/{secret_id}/actions", action).status == 201
    world.run(timedelta(minutes=32), timedelta(seconds=20))
    after = world.metadata(secret_id)
    assert after["state"] == 3
    assert "_acme-challenge.www.example.com" in after["issuance_info"]["error_message"]


def _issued(world: PublicWorld) -> str:
    secret_id: str = world.order().json["id"]
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)
    return secret_id
