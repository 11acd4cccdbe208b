"""What happens to an order while somebody does something else: locks, patches, deletes, jobs retried and cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.factories.public_world import SECOND_DIRECTORY, PublicWorld, public_world

_DAY = timedelta(days=1)


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    with public_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        made.ca.offers_renewal_info = False
        yield made


def test_lock_that_comes_during_an_order_keeps_the_previous_certificate(world: PublicWorld) -> None:
    address = _issued(world)
    _rotate(world, address)
    world.run()
    before = world.server.request("GET", f"{address}/versions/previous").json
    _rotate(world, address)
    world.run_to("download")
    body = {"locks": [{"name": "edge"}]}
    assert world.server.request("POST", f"{address}/versions/previous/locks_bulk", body).status == 201
    world.run(timedelta(hours=1), timedelta(minutes=1))
    after = world.server.request("GET", f"{address}/versions/previous").json
    assert after["certificate"] == before["certificate"]
    assert after["private_key"] == before["private_key"]
    assert world.metadata(_id(address))["rotation_status"] == "pending"
    assert world.events().count("secret_rotation_blocked") == 1
    order = _orders(world, address)[0]
    assert "lock" in order["waiting_for"], order
    assert world.server.request("DELETE", f"{address}/versions/previous/locks_bulk?name=edge").status < 300
    world.run()
    assert world.metadata(_id(address))["rotation_status"] == "none"
    assert world.metadata(_id(address))["versions_total"] == 3
    assert len(world.ca.orders) == 3


def test_certificates_that_locks_hold_back_keep_no_other_from_its_renewal(
    world: PublicWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.domain.secrets.lifecycle._BATCH", 1)
    held = _issued(world)
    _rotate(world, held)
    world.run()
    body = {"locks": [{"name": "edge"}]}
    assert world.server.request("POST", f"{held}/versions/previous/locks_bulk", body).status == 201
    other = world.order("other", common_name="other.example.com").json["id"]
    world.run()
    before = world.metadata(other)["expiration_date"]
    world.pass_time(60 * _DAY)
    world.run()
    assert world.metadata(_id(held))["rotation_status"] == "blocked"
    assert world.metadata(other)["expiration_date"] > before


def test_failed_job_that_is_tried_again_does_not_look_done(world: PublicWorld) -> None:
    world.ca.rejected.add("www.example.com")
    secret_id = world.order().json["id"]
    world.run()
    (job,) = _orders(world, f"/api/v2/secrets/{secret_id}")
    assert world.server.request("POST", f"/api/v2/jobs/{job['id']}/actions", {"action_type": "retry"}).status < 300
    world.run()
    again = world.server.request("GET", f"/api/v2/jobs/{job['id']}").json
    assert again["state"] == "failed", again
    assert "www.example.com" in again["last_error"]["message"]


def test_cancelled_order_ends_once_and_leaves_nothing_behind(world: PublicWorld) -> None:
    world.dns.lag = timedelta(minutes=5)
    secret_id = world.order().json["id"]
    world.run(timedelta(minutes=1))
    assert world.dns.left
    (job,) = _orders(world, f"/api/v2/secrets/{secret_id}")
    assert world.server.request("POST", f"/api/v2/jobs/{job['id']}/actions", {"action_type": "cancel"}).status < 300
    world.run(timedelta(minutes=7))
    after = world.metadata(secret_id)
    assert (after["state"], after["issuance_info"]["error_code"]) == (3, "order_cancelled")
    assert world.events().count("secret_creation_failed") == 1
    assert world.dns.left == []
    job = world.server.request("GET", f"/api/v2/jobs/{job['id']}").json
    assert world.server.request("POST", f"/api/v2/jobs/{job['id']}/actions", {"action_type": "retry"}).status == 400


def test_secret_deleted_during_its_order_leaves_no_record(world: PublicWorld) -> None:
    world.dns.lag = timedelta(minutes=5)
    secret_id = world.order().json["id"]
    world.run(timedelta(minutes=1))
    assert world.dns.left
    assert world.server.request("DELETE", f"/api/v2/secrets/{secret_id}").status == 204
    world.run(timedelta(minutes=7))
    assert world.dns.left == []
    assert world.order().status == 201, "the names are free again"


def test_records_that_nobody_can_remove_any_more_are_named(world: PublicWorld) -> None:
    world.order()
    world.run_to("answer")
    assert world.server.request("DELETE", "/api/v2/configurations/my-dns").status == 204
    world.run()
    (job,) = world.server.request("GET", "/api/v2/jobs?kind=public_cert.cleanup").json["jobs"]
    assert (job["state"], job["last_error"]["code"]) == ("failed", "dns_records_left")
    assert "_acme-challenge.www.example.com" in job["last_error"]["message"]


@pytest.mark.parametrize("is_deleted", [True, False])
def test_record_that_is_being_written_while_its_order_ends_is_removed(world: PublicWorld, is_deleted: bool) -> None:
    secret_id = world.order().json["id"]
    (job,) = _orders(world, f"/api/v2/secrets/{secret_id}")

    def end(when: str, call: str) -> None:
        if (when, call) != ("before", "present"):
            return
        world.dns.hooks.clear()
        if is_deleted:
            assert world.server.request("DELETE", f"/api/v2/secrets/{secret_id}").status == 204
        else:
            action = {"action_type": "cancel"}
            assert world.server.request("POST", f"/api/v2/jobs/{job['id']}/actions", action).status < 300
        # Another server clears up before this one is done with writing.
        world.server.work()

    world.dns.hooks.append(end)
    world.run(timedelta(seconds=30))
    assert len(world.dns.presented) == 1
    world.run(timedelta(minutes=7))
    assert world.dns.left == []


@pytest.mark.parametrize("step", ["answer", "validate", "finalize", "download"])
def test_time_without_a_server_does_not_count_at_any_step(world: PublicWorld, step: str) -> None:
    secret_id = world.order().json["id"]
    world.ca.validation_delay = timedelta(seconds=10)
    world.ca.processing_delay = timedelta(seconds=10)
    world.run_to(step)
    world.pass_time(timedelta(hours=3))
    world.come_back()
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)["issuance_info"]


def test_time_without_a_server_does_not_count_while_records_spread(world: PublicWorld) -> None:
    world.dns.lag = timedelta(days=1)
    secret_id = world.order().json["id"]
    world.run(timedelta(seconds=30))
    # The name servers are on the machine that was off, too; they have the record a moment after we look.
    world.pass_time(timedelta(hours=3))
    world.come_back()
    world.run(timedelta(seconds=10))
    world.dns.lag = timedelta()
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)["issuance_info"]


def test_time_without_a_server_does_not_count_after_manual_records_were_announced(world: PublicWorld) -> None:
    answer = world.order(dns="manual")
    address = f"/api/v2/secrets/{answer.json['id']}"
    (challenge,) = answer.json["issuance_info"]["challenges"]
    action = {"action_type": "public_cert_action_validate_dns_challenge"}
    assert world.server.request("POST", f"{address}/actions", action).status == 201
    world.run(timedelta(seconds=30))
    world.pass_time(timedelta(hours=3))
    world.come_back()
    world.run(timedelta(seconds=10))
    world.dns.publish(challenge["txt_record_name"].rstrip("."), challenge["txt_record_value"])
    world.run()
    assert world.metadata(_id(address))["state"] == 1, world.metadata(_id(address))["issuance_info"]


def test_manual_rotation_that_lapses_is_not_ordered_by_the_server_itself(world: PublicWorld) -> None:
    address = _issued_by_hand(world)
    _rotate(world, address)
    world.run(timedelta(days=7, hours=12), timedelta(hours=6))
    after = world.metadata(_id(address))
    assert after["issuance_info"]["error_code"] == "challenge_expired"
    assert "next_rotation_date" not in after
    world.run(timedelta(days=3), timedelta(hours=6))
    assert world.events().count("secret_issuance_pending_manual") == 2
    assert len(world.ca.orders) == 2


def test_manual_rotation_is_ordered_without_a_hint_that_the_ca_refuses(world: PublicWorld) -> None:
    world.ca.offers_renewal_info = True
    address = _issued_by_hand(world)
    # The configuration is of another CA now, which knows nothing of the certificate.
    assert world.server.request("DELETE", "/api/v2/configurations/my-ca").status == 204
    assert world.create("my-ca", SECOND_DIRECTORY).status == 201
    again = world.server.request("POST", f"{address}/versions", {"rotation": {}})
    assert again.status == 201, again.raw


def test_patch_of_the_policy_does_not_end_the_renewals_of_an_expired_certificate(world: PublicWorld) -> None:
    address = _issued(world)
    world.ca.rejected.add("www.example.com")
    world.run(timedelta(days=92), timedelta(hours=12))
    expired = world.metadata(_id(address))
    assert (expired["state"], expired["rotation_status"]) == (5, "failed")
    answer = world.server.request(
        "PATCH", f"{address}/metadata", {"rotation": {"auto_rotate": True, "rotate_keys": True}}
    )
    assert answer.status == 200, answer.raw
    world.ca.rejected.clear()
    world.run(timedelta(days=2), timedelta(hours=1))
    assert world.metadata(_id(address))["state"] == 1


def test_renewal_whose_configuration_is_gone_says_so_on_the_secret(world: PublicWorld) -> None:
    address = _issued(world)
    assert world.server.request("DELETE", "/api/v2/configurations/my-dns").status == 204
    world.pass_time(59 * _DAY)
    world.run()
    after = world.metadata(_id(address))
    assert (after["state"], after["rotation_status"]) == (1, "failed")
    assert after["issuance_info"]["error_code"] == "dns_configuration_not_found"
    assert after["issuance_info"]["reference_code"] == "07009"
    assert world.events().count("secret_rotation_failed") == 1
    assert len(world.ca.orders) == 1, "nothing is ordered that cannot be proved"
    assert world.server.request("DELETE", "/api/v2/configurations/my-ca").status == 204
    world.pass_time(_DAY)
    world.run()
    after = world.metadata(_id(address))
    assert after["issuance_info"]["error_code"] == "ca_configuration_not_found"
    assert world.events().count("secret_rotation_failed") == 2


def test_refused_request_does_not_bother_the_ca(world: PublicWorld) -> None:
    _issued(world)
    before = world.acme.calls["new_order"]
    for changes in ({"name": "web"}, {"name": "a b"}, {"secret_group_id": "e5a2a2a0-0000-4000-8000-000000000000"}):
        answer = world.order(**{"name": "other", "dns": "manual", "common_name": "other.example.com", **changes})
        assert answer.status in {400, 409}, answer.raw
    assert world.acme.calls["new_order"] == before


def _issued(world: PublicWorld) -> str:
    secret_id = world.order().json["id"]
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)
    return f"/api/v2/secrets/{secret_id}"


def _issued_by_hand(world: PublicWorld) -> str:
    answer = world.order(dns="manual")
    assert answer.status == 201, answer.raw
    address = f"/api/v2/secrets/{answer.json['id']}"
    for item in answer.json["issuance_info"]["challenges"]:
        world.dns.publish(item["txt_record_name"].rstrip("."), item["txt_record_value"])
    action = {"action_type": "public_cert_action_validate_dns_challenge"}
    assert world.server.request("POST", f"{address}/actions", action).status == 201
    world.run()
    assert world.metadata(_id(address))["state"] == 1, world.metadata(_id(address))
    return address


def _rotate(world: PublicWorld, address: str) -> None:
    answer = world.server.request("POST", f"{address}/versions", {"rotation": {"rotate_keys": True}})
    assert answer.status == 201, answer.raw


def _orders(world: PublicWorld, address: str) -> list[dict[str, Any]]:
    answer = world.server.request("GET", f"/api/v2/orders?secret_id={_id(address)}")
    assert answer.status == 200, answer.raw
    found: list[dict[str, Any]] = answer.json["orders"]
    return found


def _id(address: str) -> str:
    return address.rpartition("/")[2]


@pytest.mark.parametrize(("name", "what"), [("my-ca", "CA"), ("my-dns", "DNS")])
def test_order_whose_configuration_cannot_be_opened_says_so(world: PublicWorld, name: str, what: str) -> None:
    secret_id = world.order().json["id"]
    world.damage(name)
    world.run()
    info = world.metadata(secret_id)["issuance_info"]
    assert (info["state"], info["error_code"]) == (3, "server_error")
    assert info["error_message"].startswith(f"The {what} configuration {name} cannot be opened")
    # What the message says helps.
    assert world.server.request("DELETE", f"/api/v2/configurations/{name}").status == 204
