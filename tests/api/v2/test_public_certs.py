"""Public certificates in API v2: their models, who may, what is refused; every answer is held to its model.

How orders get on is in ``test_public_orders.py``. Source: contract domain section 4; api-v2-models M3.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.orders.acme import AcmeAuthorization, AcmeStatus
from strongroom.kernel.clock import FrozenClock
from tests.api.v2.conftest import watch
from tests.api.v2.sending import code, error, field, make_group
from tests.factories.orders import FakeAcmeSession
from tests.factories.public_world import PublicWorld, public_world
from tests.peers.server import Answer

VALIDATE = {"action_type": "public_cert_action_validate_dns_challenge"}
REVOKE = {"action_type": "private_cert_action_revoke_certificate"}
PAYLOAD = {"certificate", "intermediate", "private_key"}
ISSUED = {"issuer", "serial_number", "signing_algorithm", "validity", "expiration_date"}


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[PublicWorld]:
    with public_world(prepared_data_dir, data_dir, clock) as made:
        made.configure()
        watch(made.server)
        yield made


def ordered(world: PublicWorld, name: str = "web", **changes: Any) -> str:
    answer = world.order(name, **changes)
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def issued(world: PublicWorld, name: str = "web", **changes: Any) -> str:
    secret_id = ordered(world, name, **changes)
    world.run()
    assert world.metadata(secret_id)["state"] == 1
    return secret_id


def ask(world: PublicWorld, method: str, secret_id: str, path: str = "", body: Any = None, **more: Any) -> Answer:
    return world.server.request(method, f"/api/v2/secrets/{secret_id}{path}", body, **more)


def fields(answer: Answer) -> list[str]:
    assert answer.status == 400, answer.raw
    return [problem["target"]["name"] for problem in answer.json["errors"]]


def dns_calls(world: PublicWorld) -> int:
    return len(world.dns.presented)


# --- who may


def test_ordering_needs_writer_on_the_group(world: PublicWorld) -> None:
    group = make_group(world.server)
    body = {
        "secret_type": "public_cert",
        "name": "web",
        "ca": "my-ca",
        "dns": "my-dns",
        "common_name": "www.example.com",
        "secret_group_id": group,
    }
    reader, elsewhere = (
        world.server.login_with(Role.READER, group=group),
        world.server.login_with(Role.WRITER, group="default"),
    )
    for token, status in ((None, 401), (reader, 403), (elsewhere, 403)):
        assert world.server.request("POST", "/api/v2/secrets", body, token=token).status == status
    assert not world.ca.orders
    writer = world.server.login_with(Role.WRITER, group=group)
    assert world.server.request("POST", "/api/v2/secrets", body, token=writer).status == 201


def test_rotating_and_validating_need_writer_on_the_group(world: PublicWorld) -> None:
    group = make_group(world.server)
    secret_id = ordered(world, dns="manual", secret_group_id=group)
    world.server.forget_tokens()
    reader = world.server.login_with(Role.READER, group=group)
    elsewhere = world.server.login_with(Role.WRITER, group="default")
    for token, status in ((None, 401), (reader, 403), (elsewhere, 403)):
        assert ask(world, "POST", secret_id, "/actions", VALIDATE, token=token).status == status
        assert ask(world, "POST", secret_id, "/versions", {"rotation": {}}, token=token).status == status
    writer = world.server.login_with(Role.WRITER, group=group)
    assert ask(world, "POST", secret_id, "/actions", VALIDATE, token=writer).status == 201


def test_key_of_the_certificate_is_for_those_who_may_read_secrets(world: PublicWorld) -> None:
    secret_id = issued(world)
    reader = world.server.login_with(Role.READER)
    assert ask(world, "GET", secret_id, token=reader).status == 403
    assert ask(world, "GET", secret_id, "/versions/current", token=reader).status == 403
    shown = ask(world, "GET", secret_id, "/metadata", token=reader)
    assert shown.status == 200
    assert b"PRIVATE KEY" not in shown.raw


# --- pending


def test_pending_certificate_shows_what_was_ordered_and_no_certificate(world: PublicWorld) -> None:
    answer = world.order(alt_names=["example.com"], labels=["prod"], rotation=...)
    wire = answer.json
    assert answer.status == 201
    assert {
        name: wire[name] for name in ("common_name", "alt_names", "key_algorithm", "ca", "dns", "bundle_certs")
    } == {
        "common_name": "www.example.com",
        "alt_names": ["example.com"],
        "key_algorithm": "ECDSA256",
        "ca": "my-ca",
        "dns": "my-dns",
        "bundle_certs": True,
    }
    assert wire["rotation"] == {"auto_rotate": False, "rotate_keys": False}
    assert (wire["state"], wire["versions_total"], wire["downloaded"]) == (0, 1, False)
    assert wire["job"]["kind"] == "public_cert.order"
    assert not (PAYLOAD | ISSUED | {"next_rotation_date"}) & set(wire)

    full = ask(world, "GET", wire["id"])
    assert full.status == 200
    assert not PAYLOAD & set(full.json)
    by_name = world.server.request("GET", "/api/v2/secret_groups/default/secret_types/public_cert/secrets/web")
    assert by_name.json["id"] == wire["id"]


def test_pending_certificate_has_no_versions(world: PublicWorld) -> None:
    secret_id = ordered(world)
    assert ask(world, "GET", secret_id, "/versions").json == {"versions": [], "total_count": 0}
    for path in ("/versions/current", "/versions/current/metadata", "/versions/previous"):
        assert ask(world, "GET", secret_id, path).status == 404


def test_pending_certificate_cannot_be_rotated_but_deleted(world: PublicWorld) -> None:
    secret_id = ordered(world)
    answer = ask(world, "POST", secret_id, "/versions", {"rotation": {"rotate_keys": False}})
    assert code(answer) == "state_forbids"
    assert ask(world, "DELETE", secret_id).status == 204
    world.run()
    assert world.dns.left == []


# --- issued


def test_issued_certificate_has_the_members_of_the_contract(world: PublicWorld) -> None:
    secret_id = issued(world, alt_names=["example.com"])
    full, metadata = ask(world, "GET", secret_id).json, world.metadata(secret_id)
    assert full.keys() - metadata.keys() == PAYLOAD
    assert set(metadata) >= ISSUED
    assert metadata["expiration_date"] == metadata["validity"]["not_after"]
    assert "next_rotation_date" not in metadata
    assert full["certificate"].endswith(full["intermediate"])
    version = ask(world, "GET", secret_id, "/versions/current").json
    assert {name: version[name] for name in PAYLOAD} == {name: full[name] for name in PAYLOAD}
    listed = ask(world, "GET", secret_id, "/versions").json["versions"]
    assert (len(listed), listed[0]["alias"], listed[0]["serial_number"]) == (1, "current", full["serial_number"])


def test_certificate_that_is_not_bundled_stands_alone(world: PublicWorld) -> None:
    full = ask(world, "GET", issued(world, bundle_certs=False)).json
    assert full["certificate"].count("BEGIN CERTIFICATE") == 1
    assert full["intermediate"].count("BEGIN CERTIFICATE") >= 1
    assert full["bundle_certs"] is False


@pytest.mark.parametrize(("given", "shown"), [("EC256", "ECDSA256"), ("EC384", "ECDSA384"), ("ECDSA384", "ECDSA384")])
def test_older_words_for_algorithms_are_taken(world: PublicWorld, given: str, shown: str) -> None:
    assert world.order(key_algorithm=given).json["key_algorithm"] == shown


def test_custom_metadata_of_secret_and_version_arrive(world: PublicWorld) -> None:
    secret_id = issued(world, custom_metadata={"team": "shop"}, version_custom_metadata={"ticket": "T-1"})
    assert world.metadata(secret_id)["custom_metadata"] == {"team": "shop"}
    version = ask(world, "GET", secret_id, "/versions/current/metadata").json
    assert version["version_custom_metadata"] == {"ticket": "T-1"}
    rotate = {
        "rotation": {"rotate_keys": True},
        "custom_metadata": {"team": "web"},
        "version_custom_metadata": {"ticket": "T-2"},
    }
    assert ask(world, "POST", secret_id, "/versions", rotate).status == 201
    world.run()
    version = ask(world, "GET", secret_id, "/versions/current/metadata").json
    assert version["version_custom_metadata"] == {"ticket": "T-2"}
    assert world.metadata(secret_id)["custom_metadata"] == {"team": "web"}


# --- refusals


@pytest.mark.parametrize(
    ("changes", "at_fault"),
    [
        ({"ca": ...}, ["ca"]),
        ({"dns": ...}, ["dns"]),
        ({"ca": "nobody"}, ["ca"]),
        ({"dns": "nobody"}, ["dns"]),
        ({"ca": 7, "dns": None}, ["ca", "dns"]),
        ({"ca": "my-dns", "dns": "my-ca"}, ["ca", "dns"]),
        ({"common_name": ...}, ["common_name"]),
        ({"common_name": "no name"}, ["common_name"]),
        ({"common_name": "a" * 53 + ".example.com"}, ["common_name"]),
        ({"alt_names": ["www.example.com"]}, ["alt_names[0]"]),
        ({"alt_names": ["*.example.com"]}, ["common_name"]),
        ({"alt_names": "example.com"}, ["alt_names"]),
        ({"alt_names": [f"w{i}.example.com" for i in range(100)]}, ["alt_names"]),
        ({"key_algorithm": "RSA1024"}, ["key_algorithm"]),
        ({"bundle_certs": "yes"}, ["bundle_certs"]),
        ({"rotation": {"auto_rotate": True}}, ["rotation.rotate_keys"]),
        ({"rotation": {"auto_rotate": True, "rotate_keys": True, "unit": "day"}}, ["rotation.unit"]),
        ({"ttl": "90d"}, ["ttl"]),
        ({"secret_group_id": "00000000-0000-4000-8000-000000000000"}, ["secret_group_id"]),
    ],
)
def test_order_is_refused_by_field(world: PublicWorld, changes: dict[str, Any], at_fault: list[str]) -> None:
    assert fields(world.order(**changes)) == at_fault
    assert not world.ca.orders
    assert world.server.request("GET", "/api/v2/secrets").json["total_count"] == 0


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_address_is_refused_without_a_hint_to_a_field_that_is_not_there(world: PublicWorld, address: str) -> None:
    said = error(world.order(common_name=address))["message"]
    assert said == f"common_name: {address} cannot be used: public certificates hold domain names, no IP addresses."


@pytest.mark.parametrize(
    ("changes", "reference_code"),
    [
        ({"ca": "nobody"}, "07006"),
        ({"dns": "nobody"}, "07009"),
        ({"key_algorithm": "RSA1024"}, "07040"),
        ({"common_name": "no name"}, "07105"),
        ({"common_name": "a" * 53 + ".example.com"}, "07106"),
        ({"alt_names": ["www.example.com"]}, "07108"),
        ({"alt_names": ["*.example.com"]}, "07109"),
    ],
)
def test_refusal_carries_the_number_of_the_reference(
    world: PublicWorld, changes: dict[str, Any], reference_code: str
) -> None:
    assert error(world.order(**changes))["reference_code"] == reference_code


def test_hundred_names_are_ordered_and_a_wildcard_may_come_first(world: PublicWorld) -> None:
    names = [f"w{i}.apps.example.com" for i in range(99)]
    answer = world.order(common_name="*.example.com", alt_names=names)
    assert answer.status == 201, answer.raw
    assert answer.json["alt_names"] == names


def test_limits_of_orders_are_settings(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> None:
    limits = {"order_names": 2, "orders_waiting": 1}
    with public_world(prepared_data_dir, data_dir, clock, limits=limits) as world:
        world.configure()
        assert fields(world.order(alt_names=["a.example.com", "b.example.com"])) == ["alt_names"]
        assert world.order(alt_names=["a.example.com"]).status == 201
        refused = world.order("other", common_name="other.example.com")
        assert "reached the maximum" in error(refused)["message"]
        assert code(refused) == "limit_reached"
        world.run()
        assert world.order("other", common_name="other.example.com").status == 201


def test_name_of_a_secret_is_taken_once(world: PublicWorld) -> None:
    ordered(world)
    answer = world.order(common_name="other.example.com")
    assert answer.status == 409
    assert "already exists" in error(answer, 409)["message"]


@pytest.mark.parametrize("body", [{}, {"rotation": None}, {"rotation": {"auto_rotate": True}}, {"rotation": True}])
def test_rotation_must_say_what_it_is(world: PublicWorld, body: dict[str, Any]) -> None:
    answer = ask(world, "POST", issued(world), "/versions", body)
    assert fields(answer)[0].startswith("rotation")


def test_certificate_of_somebody_else_is_not_imported(world: PublicWorld) -> None:
    answer = ask(world, "POST", issued(world), "/versions", {"rotation": {}, "certificate": "x", "private_key": "y"})
    assert fields(answer) == ["certificate", "private_key"]


# --- changing


@pytest.mark.parametrize("when", ["pending", "issued"])
def test_what_was_ordered_with_is_fixed(world: PublicWorld, when: str) -> None:
    secret_id = ordered(world) if when == "pending" else issued(world)
    before = world.metadata(secret_id)
    changes = {
        "common_name": "other.example.com",
        "alt_names": [],
        "key_algorithm": "RSA4096",
        "ca": "other",
        "dns": "manual",
        "bundle_certs": False,
    }
    answer = ask(world, "PATCH", secret_id, "/metadata", {**changes, "name": "renamed"})
    assert fields(answer) == list(changes)
    for problem in answer.json["errors"]:
        assert problem["code"] == "not_supported"
        assert "Create a new secret" in problem["message"]
    assert world.metadata(secret_id) == before


def test_policy_is_changed_as_a_whole(world: PublicWorld) -> None:
    secret_id = issued(world)
    on = {"auto_rotate": True, "rotate_keys": True}
    answer = ask(world, "PATCH", secret_id, "/metadata", {"rotation": on, "name": "renamed"})
    assert (answer.status, answer.json["rotation"], answer.json["name"]) == (200, on, "renamed")
    assert fields(ask(world, "PATCH", secret_id, "/metadata", {"rotation": {"auto_rotate": True}})) == [
        "rotation.rotate_keys"
    ]
    assert ask(world, "PATCH", secret_id, "/metadata", {"ttl": "1d"}).json["errors"][0]["code"] == "unknown_field"


def test_policy_decides_what_the_list_of_renewals_has(world: PublicWorld) -> None:
    secret_id = issued(world, rotation={"auto_rotate": False, "rotate_keys": False})

    def renewals() -> list[dict[str, Any]]:
        return list(world.server.request("GET", "/api/v2/renewals").json["renewals"])

    assert renewals() == []
    ask(world, "PATCH", secret_id, "/metadata", {"rotation": {"auto_rotate": True, "rotate_keys": False}})
    (renewal,) = renewals()
    assert (renewal["secret_id"], renewal["secret_type"], renewal["blocked_by"]) == (secret_id, "public_cert", [])
    assert renewal["renew_at"] < renewal["expires_at"] == world.metadata(secret_id)["expiration_date"]
    ask(world, "PATCH", secret_id, "/metadata", {"rotation": {"auto_rotate": False, "rotate_keys": False}})
    assert renewals() == []


# --- manual DNS


def test_challenges_stand_in_every_answer_until_the_certificate_is_there(world: PublicWorld) -> None:
    answer = world.order(dns="manual", alt_names=["*.example.com", "example.com"], common_name=...)
    assert answer.status == 201, answer.raw
    challenges = answer.json["issuance_info"]["challenges"]
    assert {(one["domain"], one["txt_record_name"], one["status"]) for one in challenges} == {
        ("example.com", "_acme-challenge.example.com.", "pending")
    }
    assert len({one["txt_record_value"] for one in challenges}) == 2
    assert all(one["expiration"] for one in challenges)
    assert world.metadata(answer.json["id"])["issuance_info"]["challenges"] == challenges
    assert dns_calls(world) == 0


def test_challenge_of_a_ca_that_names_no_end_has_none(world: PublicWorld) -> None:
    plain = AcmeAuthorization(
        url="https://acme.example.com/authz/1",
        domain="example.com",
        is_wildcard=False,
        status=AcmeStatus.PENDING,
        challenge_url="https://acme.example.com/chall/1",
        challenge_status=AcmeStatus.PENDING,
        txt_value="value",
    )
    # Optional for pending authorizations. Source: RFC 8555 section 7.1.4.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeAcmeSession, "authorization", lambda *_: plain)
        answer = world.order(dns="manual")
    (challenge,) = answer.json["issuance_info"]["challenges"]
    assert "expiration" not in challenge
    assert challenge["txt_record_value"] == "value"


def test_automatic_rotation_with_manual_dns_is_taken_with_a_warning(world: PublicWorld) -> None:
    answer = world.order(dns="manual", rotation={"auto_rotate": True, "rotate_keys": False})
    assert [notice["code"] for notice in answer.json["warnings"]] == ["manual_dns_not_automatic"]


def test_ca_that_does_not_answer_is_told_of_at_once(world: PublicWorld) -> None:
    world.ca.outage_until = world.clock.now() + timedelta(hours=1)
    answer = world.order(dns="manual")
    assert answer.status >= 500, answer.raw
    assert world.server.request("GET", "/api/v2/secrets").json["total_count"] == 0


def test_rotation_with_manual_dns_brings_new_challenges(world: PublicWorld) -> None:
    answer = world.order(dns="manual")
    secret_id, first = answer.json["id"], answer.json["issuance_info"]["challenges"]
    for one in first:
        world.dns.publish(one["txt_record_name"].rstrip("."), one["txt_record_value"])
    assert ask(world, "POST", secret_id, "/actions", VALIDATE).status == 201
    world.run()
    serial = world.metadata(secret_id)["serial_number"]
    world.pass_time(timedelta(days=60))

    assert ask(world, "POST", secret_id, "/versions", {"rotation": {"rotate_keys": True}}).status == 201

    waiting = world.metadata(secret_id)
    again = waiting["issuance_info"]["challenges"]
    assert (waiting["state"], waiting["rotation_status"], waiting["serial_number"]) == (1, "pending", serial)
    assert [one["txt_record_value"] for one in again] != [one["txt_record_value"] for one in first]
    for one in again:
        world.dns.publish(one["txt_record_name"].rstrip("."), one["txt_record_value"])
    assert ask(world, "POST", secret_id, "/actions", VALIDATE).status == 201
    world.run()
    assert world.metadata(secret_id)["serial_number"] != serial


def test_only_a_waiting_manual_order_is_validated(world: PublicWorld) -> None:
    by_provider = ordered(world, "by-provider")
    assert code(ask(world, "POST", by_provider, "/actions", VALIDATE)) == "state_forbids"
    manual = ordered(world, "by-hand", dns="manual", common_name="hand.example.com")
    assert ask(world, "POST", manual, "/actions", VALIDATE).status == 201
    assert code(ask(world, "POST", manual, "/actions", VALIDATE)) == "state_forbids"
    assert world.metadata(manual)["issuance_info"]["dns_challenge_validation_time"]


def test_public_certificates_are_not_revoked_here(world: PublicWorld) -> None:
    secret_id = issued(world)
    answer = ask(world, "POST", secret_id, "/actions", REVOKE)
    assert (field(answer), code(answer)) == ("action_type", "not_supported")
    assert field(ask(world, "POST", secret_id, "/actions", {"action_type": "nonsense"})) == "action_type"
    assert fields(ask(world, "POST", secret_id, "/actions", {**VALIDATE, "more": 1})) == ["more"]


# --- lists and orders


def test_lists_have_public_certificates_without_their_inside(world: PublicWorld) -> None:
    secret_id = issued(world)
    ordered(world, "pending", common_name="pending.example.com")
    page = world.server.request("GET", "/api/v2/secrets?secret_types=public_cert&sort=expiration_date")
    assert [one["name"] for one in page.json["secrets"]] == ["web", "pending"]
    assert page.json["secrets"][0]["id"] == secret_id
    assert b"PRIVATE KEY" not in page.raw


def test_order_tells_what_name_servers_say_and_how_it_ended(world: PublicWorld) -> None:
    world.dns.lag = timedelta(minutes=1)
    secret_id = ordered(world, alt_names=["*.apps.example.com"])
    world.run(timedelta(seconds=30))
    (order,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
    assert (order["state"], order["step"], order["secret_name"]) == ("waiting", "propagate", "web")
    assert order["waiting_for"]
    assert order["next_try_at"]
    assert [one["domain"] for one in order["propagation"]] == ["www.example.com", "*.apps.example.com"]
    assert {server["seen"] for one in order["propagation"] for server in one["servers"]} == {False}
    world.run(timedelta(minutes=3))
    order = world.server.request("GET", f"/api/v2/orders/{order['id']}").json
    assert (order["state"], order["trigger"], order["ca"], order["dns"]) == ("done", "create", "my-ca", "my-dns")


def test_failed_order_keeps_its_reason_on_secret_and_order(world: PublicWorld) -> None:
    world.ca.rejected.add("www.example.com")
    secret_id = ordered(world)
    world.run()
    info = world.metadata(secret_id)["issuance_info"]
    assert (info["state"], info["state_description"]) == (3, "deactivated")
    assert info["error_message"]
    (order,) = world.server.request("GET", f"/api/v2/orders?secret_id={secret_id}&state=failed").json["orders"]
    assert order["last_error"]["code"] == info["error_code"]
