"""Ordering public certificates from the command line, waiting for them, and looking at orders and renewals."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.unit.cli.conftest import JOB_ID, SECRET_ID, Answer, FakeServer, Ran, Strongroom, refusal

VALIDATE = "public_cert_action_validate_dns_challenge"
METADATA = f"/api/v2/secrets/{SECRET_ID}/metadata"
ORDER = (
    *("secret-create", "--secret-type", "public_cert", "--secret-name", "shop-public"),
    *("--public-cert-ca", "le-staging", "--certificate-common-name", "shop.example.com"),
)
CHALLENGES = [
    {
        "domain": "shop.example.com",
        "status": "pending",
        "txt_record_name": "_acme-challenge.shop.example.com.",
        "txt_record_value": "n2Zr9Jq4Vt8s",
    },
    {
        "domain": "example.com",
        "status": "valid",
        "txt_record_name": "_acme-challenge.example.com.",
        "txt_record_value": "none",
    },
]


def secret(state: int, **info: Any) -> dict[str, Any]:
    return {
        "id": SECRET_ID,
        "name": "shop-public",
        "secret_type": "public_cert",
        "issuance_info": {"state": state, **info},
    }


def working(step: str, **more: Any) -> dict[str, Any]:
    return {**secret(0), "job": {"id": JOB_ID, "step": step, **more}}


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no test wait; tell how long each would have."""
    taken: list[float] = []
    monkeypatch.setattr("strongroom.cli.commands.certificate_waiting.time.sleep", taken.append)
    return taken


def answers(server: FakeServer, *metadata: dict[str, Any]) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, secret(0)))
    server.on("GET", METADATA, *(Answer(200, one) for one in metadata))
    server.on("GET", f"/api/v2/secrets/{SECRET_ID}", Answer(200, {**secret(1), "certificate": "PEM"}))


def paths(server: FakeServer) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in server.api_requests]


# --- ordering


def test_order_sends_the_fields_of_a_public_certificate(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, secret(0)))
    ran = strongroom(
        *ORDER,
        *("--public-cert-dns", "cis-dns", "--public-cert-key-algorithm", "ECDSA256"),
        *("--certificate-alt-names", "www.shop.example.com,api.shop.example.com", "--public-cert-bundle-ca=false"),
        *("--secret-rotation", '{"enabled": true, "rotate_keys": false}'),
    )
    assert ran.code == 0, ran.err
    assert server.last.body == {
        "secret_type": "public_cert",
        "name": "shop-public",
        "ca": "le-staging",
        "dns": "cis-dns",
        "key_algorithm": "ECDSA256",
        "common_name": "shop.example.com",
        "alt_names": ["www.shop.example.com", "api.shop.example.com"],
        "bundle_certs": False,
        "rotation": {"auto_rotate": True, "rotate_keys": False},
    }
    assert "called auto_rotate now" in ran.err


def test_rotation_says_whether_the_key_changes(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", ".*/versions", Answer(201, {"id": JOB_ID, "secret_id": SECRET_ID}))
    ran = strongroom(
        "secret-version-create", "--secret-id", SECRET_ID, "--public-cert-rotation", '{"rotate_keys": true}'
    )
    assert ran.code == 0, ran.err
    assert server.last.body == {"rotation": {"rotate_keys": True}}


def test_records_by_hand_are_validated_by_an_action(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", ".*/actions", Answer(201, {"action_type": VALIDATE}))
    assert strongroom("secret-action-create", f"--id={SECRET_ID}", f"--secret-action-type={VALIDATE}").code == 0
    assert server.last.body == {"action_type": VALIDATE}


# --- waiting


def wait(strongroom: Strongroom, *more: str, dns: str = "cis-dns") -> Ran:
    return strongroom(*ORDER, "--public-cert-dns", dns, *(more or ("--wait",)))


def test_waiting_tells_each_change_once_and_prints_the_certificate(strongroom: Strongroom, server: FakeServer) -> None:
    seen = working("propagate", waiting_for="the name servers", last_error={"message": "ns1 has it not yet."})
    answers(server, working("place"), seen, seen, working("finalize"), secret(1))

    ran = wait(strongroom, "--wait", "-j", "certificate", "-o", "table")

    assert (ran.code, ran.out.strip()) == (0, "PEM"), ran.err
    assert ran.err.splitlines() == [
        f"Order {JOB_ID}: place",
        f"Order {JOB_ID}: propagate, waiting for the name servers (ns1 has it not yet.)",
        f"Order {JOB_ID}: finalize",
    ]


def test_looks_become_rarer(strongroom: Strongroom, server: FakeServer, naps: list[float]) -> None:
    answers(server, *[secret(0)] * 6, secret(1))
    assert wait(strongroom).code == 0
    assert naps == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_failed_order_ends_with_its_reason(strongroom: Strongroom, server: FakeServer) -> None:
    answers(server, secret(3, error_code="caa_forbids", error_message="CAA forbids it."))
    ran = wait(strongroom, "--wait", "5m")
    assert (ran.code, ran.out) == (8, "")
    assert "CAA forbids it. (caa_forbids)" in ran.err
    assert f"strongroom orders --secret-id {SECRET_ID} shows the order." in ran.err


def test_waiting_ends_in_time_and_names_the_secret(
    strongroom: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(server, secret(0))
    seconds = iter(range(0, 10_000, 30))
    monkeypatch.setattr("strongroom.cli.commands.certificate_waiting.time.monotonic", lambda: float(next(seconds)))
    ran = wait(strongroom, "--wait=1m")
    assert ran.code == 7
    assert f"after 60 s. The order goes on; its secret is {SECRET_ID}." in " ".join(ran.err.split())
    assert f"strongroom orders --secret-id {SECRET_ID} shows what it waits for." in ran.err


def test_waiting_for_a_person_ends_with_what_is_to_be_done(
    strongroom: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(server, secret(0, challenges=CHALLENGES))
    seconds = iter(range(0, 10_000, 30))
    monkeypatch.setattr("strongroom.cli.commands.certificate_waiting.time.monotonic", lambda: float(next(seconds)))
    ran = wait(strongroom, "--wait=1m", dns="manual")
    assert ran.code == 7
    words = ("strongroom", "secret-action-create", "--id", SECRET_ID, "--secret-action-type", VALIDATE, "--wait")
    assert " ".join(words) in ran.err


@pytest.mark.parametrize("text", ["0", "10w", "31d", "soon"])
def test_odd_duration_is_refused_before_anything_is_ordered(
    strongroom: Strongroom, server: FakeServer, text: str
) -> None:
    assert wait(strongroom, f"--wait={text}").code == 2
    assert server.api_requests == []


def test_secret_without_an_order_is_printed_at_once(strongroom: Strongroom, server: FakeServer) -> None:
    made = {"id": SECRET_ID, "name": "app", "secret_type": "arbitrary", "payload": "text"}
    server.on("POST", "/api/v2/secrets", Answer(201, made))
    server.on("GET", METADATA, Answer(200, {name: value for name, value in made.items() if name != "payload"}))
    ran = strongroom(
        *("secret-create", "--secret-type", "arbitrary", "--secret-name", "app", "--arbitrary-payload", "text"),
        *("--wait", "-o", "json"),
    )
    assert (ran.code, ran.json) == (0, made), ran.err


def test_rotation_and_validation_are_waited_for_too(strongroom: Strongroom, server: FakeServer) -> None:
    answers(server, secret(0), secret(1))
    server.on("POST", ".*/versions", Answer(201, {"id": JOB_ID, "secret_id": SECRET_ID}))
    server.on("POST", ".*/actions", Answer(201, {"action_type": VALIDATE}))
    rotate = ("secret-version-create", "--secret-id", SECRET_ID, "--public-cert-rotation", "{}")
    for command in (rotate, ("secret-action-create", "--id", SECRET_ID, "--secret-action-type", VALIDATE)):
        ran = strongroom(*command, "--wait", "-o", "json")
        assert ran.json["certificate"] == "PEM", ran.err


# --- manual DNS


def test_records_to_publish_are_shown_as_lines_of_a_zone_file(strongroom: Strongroom, server: FakeServer) -> None:
    waits = secret(0, challenges=CHALLENGES)
    asked = secret(0, challenges=CHALLENGES, dns_challenge_validation_time="2026-01-15T12:00:00Z")
    answers(server, waits, waits, asked, secret(1))
    ran = wait(strongroom, dns="manual")
    assert ran.code == 0, ran.err
    assert ran.err.count("Publish these records:") == 1
    assert '_acme-challenge.shop.example.com. 120 IN TXT "n2Zr9Jq4Vt8s"' in ran.err
    assert "_acme-challenge.example.com." not in ran.err
    # Nobody was there to ask: it is for somebody else to say that the records are there.
    assert ("POST", f"/api/v2/secrets/{SECRET_ID}/actions") not in paths(server)


def test_yes_says_at_once_that_the_records_are_there(strongroom: Strongroom, server: FakeServer) -> None:
    answers(server, secret(0, challenges=CHALLENGES), secret(0, challenges=CHALLENGES), secret(1))
    server.on("POST", ".*/actions", Answer(201, {"action_type": VALIDATE}))
    ran = wait(strongroom, "--wait", "--yes", dns="manual")
    assert ran.code == 0, ran.err
    assert paths(server).count(("POST", f"/api/v2/secrets/{SECRET_ID}/actions")) == 1


@pytest.mark.parametrize(("reply", "validations"), [("y\n", 1), ("n\n", 0)])
def test_person_is_asked_once_whether_the_records_are_there(
    strongroom: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch, reply: str, validations: int
) -> None:
    answers(server, secret(0, challenges=CHALLENGES), secret(0, challenges=CHALLENGES), secret(1))
    server.on("POST", ".*/actions", Answer(201, {"action_type": VALIDATE}))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: reply == "y\n")
    assert wait(strongroom, dns="manual").code == 0
    assert paths(server).count(("POST", f"/api/v2/secrets/{SECRET_ID}/actions")) == validations


# --- looking


def test_orders_are_filtered_and_shown_as_a_table(strongroom: Strongroom, server: FakeServer) -> None:
    order = {
        "id": JOB_ID,
        "secret_name": "shop-public",
        "state": "waiting",
        "step": "propagate",
        "waiting_for": "the name servers",
        "last_error": {"code": "x", "message": "ns1 has it not yet."},
        "domains": ["shop.example.com"],
        "ca": "le",
        "dns": "zone",
        "updated_at": "2026-01-15T12:00:00Z",
    }
    server.on("GET", "/api/v2/orders", Answer(200, {"orders": [order], "total_count": 1}))
    ran = strongroom("orders", "--state", "waiting", "--groups", "default", "--secret-id", SECRET_ID)
    assert ran.code == 0, ran.err
    assert server.last.query == {"state": "waiting", "groups": "default", "secret_id": SECRET_ID}
    for text in ("Waiting_For", "the name servers", "ns1 has it not yet."):
        assert text in ran.out
    assert strongroom("orders", "--state", "asleep").code == 2


def test_one_order_is_shown_whole(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", f"/api/v2/orders/{JOB_ID}", Answer(200, {"id": JOB_ID, "propagation": []}))
    assert strongroom("order", "--id", JOB_ID, "-o", "json").json == {"id": JOB_ID, "propagation": []}
    server.on("GET", f"/api/v2/orders/{JOB_ID}", refusal(404, "not_found", "The order was not found."))
    assert strongroom("order", "--id", JOB_ID).code == 4


def test_renewals_until_an_instant(strongroom: Strongroom, server: FakeServer) -> None:
    renewal = {
        "secret_name": "shop-public",
        "secret_id": SECRET_ID,
        "secret_type": "public_cert",
        "renew_at": "2026-02-15T12:00:00Z",
        "trigger": "ari",
        "blocked_by": ["balancer"],
    }
    server.on("GET", "/api/v2/renewals", Answer(200, {"renewals": [renewal], "total_count": 1}))
    ran = strongroom("renewals", "--before", "2026-03-01T00:00:00Z")
    assert ran.code == 0, ran.err
    assert server.last.query == {"before": "2026-03-01T00:00:00Z"}
    assert "balancer" in ran.out
