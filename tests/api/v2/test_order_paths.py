"""Turns that an order seldom takes: proofs that hold still, trouble half-way, CAs that hesitate, records that stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.orders.dns import DnsRefusal
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Unavailable
from tests.factories.public_world import HttpWorld, PublicWorld, http_world, public_world

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
VALIDATE = {"action_type": "public_cert_action_validate_dns_challenge"}


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    with public_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        yield made


@pytest.fixture
def over_http(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[HttpWorld]:
    with http_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        yield made


def ordered(world: PublicWorld | HttpWorld, **changes: Any) -> str:
    answer = world.order(**changes)
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def issued(world: PublicWorld | HttpWorld, **changes: Any) -> str:
    secret_id = ordered(world, **changes)
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)
    return secret_id


def rotate(world: PublicWorld | HttpWorld, secret_id: str, **body: Any) -> None:
    sent = body or {"rotation": {"rotate_keys": False}}
    answer = world.server.request("POST", f"/api/v2/secrets/{secret_id}/versions", sent)
    assert answer.status == 201, answer.raw


# Names and proofs.


def test_names_stay_the_same_when_the_ca_chose_the_common_name(world: PublicWorld) -> None:
    secret_id = issued(world, common_name=..., alt_names=["a.example.com", "b.example.com"])
    assert world.metadata(secret_id)["common_name"] == "a.example.com"
    rotate(world, secret_id)
    world.run()
    assert world.metadata(secret_id)["issuance_info"]["state"] == 1
    orders = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    assert [order["domains"] for order in orders] == [["a.example.com", "b.example.com"]] * 2
    assert world.metadata(secret_id)["alt_names"] == ["a.example.com", "b.example.com"]


def test_proof_that_holds_still_needs_no_record(world: PublicWorld) -> None:
    world.ca.reuses_authorizations = 30 * DAY
    secret_id = issued(world)
    assert len(world.dns.presented) == 1
    rotate(world, secret_id)
    world.run()
    assert world.metadata(secret_id)["versions_total"] == 2
    assert len(world.dns.presented) == 1
    assert world.dns.left == []


def test_many_names_are_written_and_proved_a_few_at_a_time(world: PublicWorld) -> None:
    names = [f"n{number}.example.com" for number in range(60)]
    secret_id = issued(world, common_name=names[0], alt_names=names[1:])
    assert len(world.dns.presented) == 60
    world.run()
    assert world.dns.left == []
    world.require_matching_key(secret_id)


def test_records_that_were_written_before_the_trouble_are_not_written_again(world: PublicWorld) -> None:
    calls: list[str] = []

    def hook(when: str, name: str) -> None:
        if (when, name) == ("before", "present"):
            calls.append(name)
            if 4 <= len(calls) <= 6:
                raise Unavailable(ErrorCode.UNAVAILABLE, "busy")

    world.dns.hooks.append(hook)
    issued(world, alt_names=[f"n{number}.example.com" for number in range(8)])
    assert (len(world.dns.presented), len(calls)) == (9, 9 + 3)
    world.run()
    assert world.dns.left == []


def test_alias_is_followed_and_nothing_stays_behind_it(world: PublicWorld) -> None:
    world.dns.cnames["_acme-challenge.www.example.com"] = "www.acme.example.org"
    issued(world)
    assert [record.name for record in world.dns.presented] == ["www.acme.example.org"]
    world.run()
    assert world.dns.left == []


def test_names_that_are_proved_already_are_not_asked_about_again(world: PublicWorld) -> None:
    world.ca.reuses_authorizations = 30 * DAY
    issued(world)
    world.ca.validation_delay = MINUTE
    before = len(world.dns.presented)
    issued(world, name="both", alt_names=["other.example.com"])
    assert [record.name for record in world.dns.presented[before:]] == ["_acme-challenge.other.example.com"]


# What people do meanwhile.


@pytest.mark.parametrize("call", ["new_order", "present", "answer", "finalize", "certificate"])
def test_secret_that_is_deleted_during_a_step_leaves_nothing(world: PublicWorld, call: str) -> None:
    path = f"/api/v2/secrets/{ordered(world)}"

    def hook(when: str, name: str) -> None:
        if (when, name) == ("after", call) and world.server.request("GET", path).status == 200:
            assert world.server.request("DELETE", path).status == 204

    (world.dns if call == "present" else world.acme).hooks.append(hook)
    world.run(10 * MINUTE)
    assert world.server.request("GET", path).status == 404
    assert world.dns.left == []
    assert len(world.ca.orders) == 1
    states = {job["state"] for job in world.server.request("GET", "/api/v2/jobs").json["jobs"]}
    assert states <= {"done", "failed", "cancelled"}
    world.dns.hooks.clear()
    world.acme.hooks.clear()
    issued(world, name="again")


def test_change_that_comes_while_the_certificate_is_fetched_is_kept(world: PublicWorld) -> None:
    secret_id = ordered(world)
    changed: list[str] = []

    def hook(when: str, name: str) -> None:
        if (when, name) == ("after", "certificate") and not changed:
            changed.append(name)
            body = {"name": "renamed", "rotation": {"auto_rotate": False, "rotate_keys": True}}
            answer = world.server.request("PATCH", f"/api/v2/secrets/{secret_id}/metadata", body)
            assert answer.status == 200, answer.raw

    world.acme.hooks.append(hook)
    world.run()
    after = world.metadata(secret_id)
    assert (after["state"], after["name"], after["versions_total"]) == (1, "renamed", 1)
    assert after["rotation"] == {"auto_rotate": False, "rotate_keys": True}
    assert world.server.request("GET", "/api/v2/renewals").json["renewals"] == []


def test_challenges_of_a_short_life_lapse_without_a_notice(world: PublicWorld) -> None:
    world.ca.order_life = timedelta(hours=12)
    secret_id = ordered(world, dns="manual")
    world.run(timedelta(hours=11), timedelta(hours=1))
    assert world.metadata(secret_id)["state"] == 0
    world.run(timedelta(hours=2), timedelta(hours=1))
    assert world.metadata(secret_id)["issuance_info"]["error_code"] == "challenge_expired"
    assert "secret_challenge_expiring" not in world.events()


# CAs that hesitate.


@pytest.mark.parametrize("change", [{"status": "pending"}, {"status": "ready", "certificate": None}])
def test_order_that_lags_behind_its_proofs_is_waited_for(over_http: HttpWorld, change: dict[str, Any]) -> None:
    """Some CAs answer from servers that do not know of each other's work at once."""
    secret_id = ordered(over_http)
    over_http.run_to("finalize")
    over_http.http.changes["order"] = change
    over_http.run(3 * MINUTE)
    assert over_http.metadata(secret_id)["state"] == 0
    over_http.http.changes["order"] = {}
    over_http.run(3 * MINUTE)
    assert over_http.metadata(secret_id)["state"] == 1, over_http.metadata(secret_id)["issuance_info"]
    assert over_http.ca.orders[0].finalized == 1


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"status": "pending"}, "ca_unreachable", "The CA my-ca does not go on with the order in time."),
        ({"status": "ready", "certificate": None}, "ca_refused", "The CA my-ca refused (orderNotReady): "),
    ],
)
def test_order_that_lags_for_ever_ends_at_its_deadline(
    over_http: HttpWorld, change: dict[str, Any], code: str, says: str
) -> None:
    secret_id = ordered(over_http)
    over_http.run_to("finalize")
    over_http.http.changes["order"] = change
    over_http.run(40 * MINUTE, MINUTE)
    info = over_http.metadata(secret_id)["issuance_info"]
    assert (info["state"], info["error_code"]) == (3, code), info
    assert info["error_message"].startswith(says)


@pytest.mark.parametrize("step", ["read_challenges", "finalize", "download"])
def test_order_that_the_ca_calls_invalid_ends(over_http: HttpWorld, step: str) -> None:
    secret_id = ordered(over_http)
    over_http.run_to(step)
    over_http.http.changes["order"] = {"status": "invalid", "certificate": None}
    over_http.run(40 * MINUTE, MINUTE)
    info = over_http.metadata(secret_id)["issuance_info"]
    assert (info["state"], info["error_code"]) == (3, "ca_refused"), info
    assert info["error_message"] == "The CA my-ca refused (orderInvalid): it gave no reason"
    assert over_http.dns.left == []


# How orders end.


def test_failed_rotation_without_a_policy_is_not_tried_again(world: PublicWorld) -> None:
    secret_id = issued(world, rotation={"auto_rotate": False, "rotate_keys": False})
    world.ca.rejected.add("www.example.com")
    rotate(world, secret_id)
    world.run()
    failed = world.metadata(secret_id)
    assert (failed["state"], failed["rotation_status"]) == (1, "failed")
    world.ca.rejected.clear()
    world.run(3 * DAY, timedelta(hours=6))
    assert len(world.ca.orders) == 1


def test_previous_certificate_is_made_current_again(world: PublicWorld) -> None:
    secret_id = issued(world)
    first = world.server.request("GET", f"/api/v2/secrets/{secret_id}").json
    world.pass_time(DAY)
    rotate(world, secret_id, rotation={"rotate_keys": True})
    refused = world.server.request(
        "POST", f"/api/v2/secrets/{secret_id}/versions", {"restore_from_version": "previous"}
    )
    assert refused.status in {400, 409}, refused.raw
    world.run()
    second = world.server.request("GET", f"/api/v2/secrets/{secret_id}").json
    rotate(world, secret_id, restore_from_version="previous")
    again = world.server.request("GET", f"/api/v2/secrets/{secret_id}").json
    assert second["serial_number"] != first["serial_number"]
    for member in ("certificate", "private_key", "serial_number", "expiration_date", "validity"):
        assert again[member] == first[member]


def test_manual_order_that_the_ca_refuses_is_refused_at_once(world: PublicWorld) -> None:
    world.ca.rejected.add("www.example.com")
    answer = world.order(dns="manual")
    assert answer.status == 502, answer.raw
    assert "rejectedIdentifier" in answer.json["errors"][0]["message"]
    assert world.server.request("GET", "/api/v2/secrets").json["total_count"] == 0


def test_manual_proof_that_fails_ends_the_order_at_once(world: PublicWorld) -> None:
    """Another order would have other challenges, which nobody has published."""
    answer = world.order(dns="manual")
    secret_id, (challenge,) = answer.json["id"], answer.json["issuance_info"]["challenges"]
    world.dns.publish(challenge["txt_record_name"].rstrip("."), challenge["txt_record_value"])
    world.ca.failing["www.example.com"] = "unauthorized"
    assert world.server.request("POST", f"/api/v2/secrets/{secret_id}/actions", VALIDATE).status == 201
    world.run()
    info = world.metadata(secret_id)["issuance_info"]
    assert (info["state"], info["error_code"]) == (3, "dns_validation_failed")
    assert len(world.ca.orders) == 1


def test_records_that_cannot_be_removed_are_given_up_after_a_week(world: PublicWorld) -> None:
    secret_id = ordered(world)
    world.run_to("download")
    world.dns.refusal = DnsRefusal.AUTHORIZATION
    world.run()
    assert world.metadata(secret_id)["state"] == 1
    (cleanup,) = world.server.request("GET", "/api/v2/jobs?kind=public_cert.cleanup").json["jobs"]
    assert (cleanup["state"], cleanup["last_error"]["code"]) == ("waiting", "dns_authorization_failed")
    world.run(8 * DAY, timedelta(minutes=30))
    (cleanup,) = world.server.request("GET", "/api/v2/jobs?kind=public_cert.cleanup").json["jobs"]
    assert (cleanup["state"], cleanup["last_error"]["code"]) == ("failed", "dns_records_left")
    assert "_acme-challenge.www.example.com" in cleanup["last_error"]["message"]
    assert len(world.dns.left) == 1


def test_proofs_that_nobody_will_give_are_given_up_at_the_ca(world: PublicWorld) -> None:
    world.dns.refusal = DnsRefusal.AUTHORIZATION
    ordered(world)
    world.run()
    assert {item.status for order in world.ca.orders for item in order.authorizations} == {"deactivated"}


def test_ca_that_is_away_does_not_keep_records_from_being_removed(world: PublicWorld) -> None:
    world.dns.lag = DAY
    ordered(world)
    world.run_to("propagate")
    world.ca.outage_until = world.clock.now() + DAY
    world.run(timedelta(hours=1), MINUTE)
    assert len(world.dns.presented) == 1
    assert world.dns.left == []
