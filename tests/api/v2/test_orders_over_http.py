"""Orders at a CA that has what Pebble lacks, and that misbehaves, through the real client: how each of them ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.time import format_rfc3339
from tests.factories.public_world import HttpWorld, http_world
from tests.peers.fake_acme import Raw

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
REDIRECT = Raw(status=302, headers={"Location": "http://10.0.0.1/new-order"})


@pytest.fixture
def bare(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[HttpWorld]:
    with http_world(prepared_data_dir, data_dir, clock) as made:
        yield made


@pytest.fixture
def world(bare: HttpWorld) -> HttpWorld:
    bare.configure()
    return bare


def ordered(world: HttpWorld, **changes: Any) -> str:
    answer = world.order(**changes)
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def issued(world: HttpWorld, **changes: Any) -> str:
    secret_id = ordered(world, **changes)
    world.run()
    assert world.metadata(secret_id)["state"] == 1, world.metadata(secret_id)["issuance_info"]
    return secret_id


def reason(world: HttpWorld, secret_id: str) -> tuple[str, str]:
    """Return why a first order came to nothing."""
    metadata = world.metadata(secret_id)
    info = metadata["issuance_info"]
    assert (metadata["state"], info["state"]) == (3, 3), metadata
    assert world.dns.left == []
    return info["error_code"], info["error_message"]


def test_names_are_issued_over_http(world: HttpWorld) -> None:
    secret_id = issued(world, alt_names=["example.com", "*.apps.example.com"])
    world.require_matching_key(secret_id)
    assert (len(world.ca.orders), world.ca.orders[0].finalized) == (1, 1)
    assert world.dns.left == []


# What Pebble lacks.


def test_ca_that_wants_the_renewal_earlier_gets_it_and_learns_what_it_replaces(world: HttpWorld) -> None:
    secret_id = issued(world)
    (first,) = world.ca.certificates.values()
    start = world.clock.now() + 5 * DAY
    world.ca.renewal_windows[first.ari_id] = (start, start + timedelta(hours=2))
    world.run(timedelta(hours=8), timedelta(minutes=30))
    (renewal,) = world.server.request("GET", "/api/v2/renewals").json["renewals"]
    planned = renewal["renew_at"]
    assert format_rfc3339(start) <= planned <= format_rfc3339(start + timedelta(hours=2))
    assert (renewal["secret_id"], renewal["trigger"]) == (secret_id, "ari")
    world.pass_time(start - world.clock.now() - MINUTE)
    world.run(MINUTE / 2)
    assert len(world.ca.orders) == 1, "the window has not begun"
    world.run(timedelta(hours=3), MINUTE)
    assert [order.replaces for order in world.ca.orders] == [None, first.ari_id]
    after = world.metadata(secret_id)
    assert (after["issuance_info"]["state"], after["issuance_info"]["auto_rotated"]) == (1, True)
    assert world.server.request("GET", "/api/v2/renewals").json["renewals"][0]["renew_at"] > planned


def test_replaced_certificate_that_the_ca_does_not_know_is_left_out(world: HttpWorld) -> None:
    """Another server of the same account may have renewed it, or the CA may have changed behind its name."""
    secret_id = issued(world)
    (first,) = world.ca.certificates.values()
    world.ca.replaced[first.ari_id] = world.ca.orders[0].id
    path = f"/api/v2/secrets/{secret_id}/versions"
    assert world.server.request("POST", path, {"rotation": {"rotate_keys": False}}).status == 201
    world.run()
    assert world.metadata(secret_id)["issuance_info"]["state"] == 1
    assert world.ca.orders[1].replaces is None


def test_profile_of_the_configuration_is_asked_for(bare: HttpWorld) -> None:
    bare.ca.profiles = {"classic": "90 days", "shortlived": "six days"}
    bare.ca.profile_lives = {"shortlived": 6 * DAY}
    bare.configure(acme_profile="shortlived")
    secret_id = issued(bare)
    assert [order.profile for order in bare.ca.orders] == ["shortlived"]
    assert bare.metadata(secret_id)["expiration_date"] <= format_rfc3339(bare.clock.now() + 6 * DAY)


def test_profile_that_the_ca_has_given_up_ends_the_order_with_its_words(bare: HttpWorld) -> None:
    bare.ca.profiles = {"shortlived": "six days"}
    bare.configure(acme_profile="shortlived")
    bare.http.script("new-order", bare.http.problem("invalidProfile", "the profile is not offered any more"))
    secret_id = ordered(bare)
    bare.run()
    code, message = reason(bare, secret_id)
    assert code == "ca_refused"
    assert "invalidProfile" in message
    assert "not offered any more" in message


def test_rate_limit_is_waited_for_as_long_as_the_ca_says(world: HttpWorld) -> None:
    world.http.script("new-order", world.http.problem("rateLimited", "too many orders", status=429, Retry_After="900"))
    secret_id = ordered(world)
    world.run(14 * MINUTE, timedelta(seconds=20))
    assert len(world.ca.orders) == 0
    assert world.metadata(secret_id)["state"] == 0
    (order,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    assert order["last_error"]["code"] == "ca_rate_limited"
    assert "too many orders" in order["last_error"]["message"]
    world.run(3 * MINUTE)
    assert world.metadata(secret_id)["state"] == 1


def test_rate_limit_beyond_the_deadline_ends_a_first_order_with_the_words_of_the_ca(world: HttpWorld) -> None:
    world.http.script("new-order", world.http.problem("rateLimited", "wait a week", status=429, Retry_After="604800"))
    secret_id = ordered(world)
    world.run()
    code, message = reason(world, secret_id)
    assert code == "ca_rate_limited"
    assert message == "The CA my-ca refused (rateLimited): wait a week"


def test_rate_limit_leaves_a_renewal_in_line(world: HttpWorld) -> None:
    """There is a certificate for another month: two days do not matter."""
    secret_id = issued(world)
    path = f"/api/v2/secrets/{secret_id}/versions"
    world.http.script("new-order", world.http.problem("rateLimited", "later", status=429, Retry_After="172800"))
    assert world.server.request("POST", path, {"rotation": {"rotate_keys": False}}).status == 201
    world.run()
    assert world.metadata(secret_id)["rotation_status"] == "pending"
    world.pass_time(2 * DAY)
    world.run()
    after = world.metadata(secret_id)
    assert (after["rotation_status"], after["issuance_info"]["state"]) == ("none", 1)
    assert len(world.ca.certificates) == 2


def test_signature_that_the_ca_does_not_take_ends_the_order(world: HttpWorld) -> None:
    world.http.algorithms = {"RS256"}
    secret_id = ordered(world)
    world.run()
    code, message = reason(world, secret_id)
    assert code == "ca_refused"
    assert "badSignatureAlgorithm" in message
    assert "ES256 is not supported" in message


def test_nonces_that_run_out_do_not_matter(world: HttpWorld) -> None:
    world.http.bad_nonces = 10
    issued(world)
    assert world.http.bad_nonces == 0


def test_slow_processing_is_waited_for_at_the_pace_of_the_ca(world: HttpWorld) -> None:
    world.ca.processing_delay = 10 * MINUTE
    world.http.retry_after = MINUTE
    secret_id = ordered(world)
    world.run()
    (order,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    assert (order["step"], order["waiting_for"]) == ("download", "the CA, which is issuing the certificate")
    before = world.http.posts["order"]
    world.run(5 * MINUTE)
    assert world.http.posts["order"] - before <= 6
    world.run(6 * MINUTE)
    assert world.metadata(secret_id)["state"] == 1
    assert world.ca.orders[0].finalized == 1


@pytest.mark.parametrize(
    ("knob", "says"), [("processing_delay", "has not issued the certificate"), ("validation_delay", "has not finished")]
)
def test_ca_that_never_gets_done_ends_the_order_at_its_deadline(world: HttpWorld, knob: str, says: str) -> None:
    setattr(world.ca, knob, DAY)
    secret_id = ordered(world)
    world.run(34 * MINUTE, MINUTE)
    assert world.metadata(secret_id)["state"] == 0
    world.run(5 * MINUTE, MINUTE)
    code, message = reason(world, secret_id)
    assert code == "ca_unreachable"
    assert says in message


# What no CA should do.


@pytest.mark.parametrize("resource", ["directory", "new-nonce", "new-order", "order", "authorization", "certificate"])
@pytest.mark.parametrize(
    "answer",
    [
        Raw(body=b"<html>welcome</html>", headers={"Content-Type": "text/html"}),
        Raw(body=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        Raw(body=b"{}", headers={"Content-Type": "application/json"}),
        Raw(status=500, body=b"\x00\xff"),
        Raw(status=404, body=b""),
        Raw(status=204),
    ],
    ids=["html", "nested", "empty", "broken", "missing", "nothing"],
)
def test_malformed_answer_is_survived(world: HttpWorld, resource: str, answer: Raw) -> None:
    world.pass_time(timedelta(hours=1))  # the directory is read anew
    world.http.script(resource, answer)
    issued(world)
    assert len(world.ca.orders) <= 2
    assert world.dns.left == []


@pytest.mark.parametrize(
    ("resource", "changes"),
    [
        ("order", {"status": "splendid"}),
        ("order", {"authorizations": None}),
        ("order", {"authorizations": [7]}),
        ("order", {"finalize": "gopher://example.com"}),
        ("authorization", {"identifier": {"type": "dns"}}),
        ("authorization", {"challenges": "none"}),
        ("authorization", {"status": None}),
    ],
    ids=json.dumps,
)
def test_answers_that_stay_malformed_end_the_order_saying_so(
    world: HttpWorld, resource: str, changes: dict[str, Any]
) -> None:
    world.http.changes[resource] = changes
    secret_id = ordered(world)
    world.run(40 * MINUTE, MINUTE)
    code, message = reason(world, secret_id)
    assert code == "ca_answer_unusable"
    assert message.startswith("The CA my-ca: the ACME server 127.0.0.1 answered what cannot be used: ")


def test_ca_without_proofs_over_dns_is_told_of(world: HttpWorld) -> None:
    world.http.changes["authorization"] = {"challenges": [{"type": "http-01", "url": "http://a.example.com/1"}]}
    secret_id = ordered(world)
    world.run()
    code, message = reason(world, secret_id)
    assert code == "ca_answer_unusable"
    assert "no dns-01 challenge for www.example.com" in message


def test_certificate_that_is_not_ours_is_not_taken(world: HttpWorld) -> None:
    other = issued(world, name="other", common_name="other.example.com")
    (foreign,) = world.ca.certificates.values()
    world.http.script("certificate", *[Raw(body=foreign.chains[0].encode())] * 3)
    secret_id = ordered(world)
    world.run()
    code, message = reason(world, secret_id)
    assert code == "ca_answer_unusable"
    assert "another key" in message
    assert world.metadata(other)["state"] == 1


def test_redirect_is_not_followed(world: HttpWorld) -> None:
    world.http.script("new-order", *[REDIRECT] * 40)
    secret_id = ordered(world)
    world.run(40 * MINUTE, MINUTE)
    code, message = reason(world, secret_id)
    assert code == "ca_answer_unusable"
    assert "a redirect (302); redirects are not followed" in message


@pytest.mark.parametrize(
    ("resource", "member", "url"),
    [
        ("directory", "newOrder", "https://10.0.0.1/new-order"),
        ("directory", "newNonce", "https://169.254.169.254/latest/meta-data"),
        ("order", "finalize", "https://[::1]/finalize"),
        ("order", "authorizations", ["https://192.168.1.1/authorization"]),
    ],
)
def test_ca_cannot_send_us_to_private_addresses(world: HttpWorld, resource: str, member: str, url: Any) -> None:
    world.pass_time(timedelta(hours=1))  # the directory is read anew
    world.http.changes[resource] = {member: url}
    secret_id = ordered(world)
    world.run()
    code, message = reason(world, secret_id)
    assert code == "destination_not_allowed"
    assert message.startswith("The CA my-ca: ")
