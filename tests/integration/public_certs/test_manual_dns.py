"""Orders whose TXT records somebody writes by hand into a real DNS."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.public_certs.orders import names_of, order, read, verify
from tests.peers.public_peers import PublicPeers, wait_for_order
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]

VALIDATE = {"action_type": "public_cert_action_validate_dns_challenge"}


def validate(server: LiveServer, secret_id: str) -> None:
    """Say that the records are there."""
    answer = server.request("POST", f"/api/v2/secrets/{secret_id}/actions", VALIDATE)
    assert (answer.status, answer.json) == (201, VALIDATE), answer.raw


def publish(peers: PublicPeers, challenges: list[dict[str, Any]]) -> None:
    """Write what the challenges ask for."""
    for challenge in challenges:
        peers.bind.add_txt(challenge["txt_record_name"], challenge["txt_record_value"])


def remove(peers: PublicPeers, challenges: list[dict[str, Any]]) -> None:
    """Remove what was written: that is left to people, too."""
    for name in {challenge["txt_record_name"] for challenge in challenges}:
        peers.bind.remove(name)


def test_records_written_by_hand_prove_the_names(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path
) -> None:
    names = ["hand.example.com", "*.hand.example.com", "hand.example.org"]
    placed = order(ordering_server, dns="manual", common_name=names[0], alt_names=names[1:])
    challenges = placed["issuance_info"]["challenges"]
    assert sorted(item["domain"] for item in challenges) == sorted(name.removeprefix("*.") for name in names)
    assert [item["status"] for item in challenges] == ["pending"] * 3
    assert {item["txt_record_name"] for item in challenges} == {
        "_acme-challenge.hand.example.com.",
        "_acme-challenge.hand.example.org.",
    }
    assert len({item["txt_record_value"] for item in challenges}) == 3
    publish(public_peers, challenges)
    try:
        validate(ordering_server, placed["id"])
        metadata = wait_for_order(ordering_server, placed["id"])
        assert metadata["state"] == 1, metadata["issuance_info"]
        assert metadata["issuance_info"]["dns_challenge_validation_time"]
        leaf = verify(tmp_path, public_peers.pebble.roots(), read(ordering_server, placed["id"]))
        assert names_of(leaf) == set(names)
        left = public_peers.bind.txt("_acme-challenge.hand.example.com")
        assert len(left) == 2, "what people wrote is theirs to remove"
    finally:
        remove(public_peers, challenges)


def test_wrong_value_ends_the_order_with_what_was_found(ordering_server: LiveServer, public_peers: PublicPeers) -> None:
    placed = order(ordering_server, dns="manual", common_name="typo.example.com")
    (challenge,) = placed["issuance_info"]["challenges"]
    public_peers.bind.add_txt(challenge["txt_record_name"], "not-what-was-asked-for")
    try:
        validate(ordering_server, placed["id"])
        metadata = wait_for_order(ordering_server, placed["id"], seconds=60)
    finally:
        remove(public_peers, [challenge])
    info = metadata["issuance_info"]
    assert (metadata["state"], info["state"], info["error_code"]) == (3, 3, "dns_record_wrong_value")
    for part in (challenge["txt_record_name"], challenge["txt_record_value"], "not-what-was-asked-for", "Order anew"):
        assert part in info["error_message"]


def test_each_challenge_shows_what_every_server_says(ordering_server: LiveServer, public_peers: PublicPeers) -> None:
    placed = order(ordering_server, dns="manual", common_name="seen.example.com", alt_names=["unseen.example.com"])
    mine = [item for item in placed["issuance_info"]["challenges"] if item["domain"] == "seen.example.com"]
    publish(public_peers, mine)
    try:
        validate(ordering_server, placed["id"])
        seen = _propagation(ordering_server, placed["id"])
        assert set(seen["seen.example.com"]) == {True}
        assert set(seen["unseen.example.com"]) == {False}
    finally:
        remove(public_peers, mine)
        deleted = ordering_server.request("DELETE", f"/api/v2/secrets/{placed['id']}")
    assert deleted.status == 204, deleted.raw


def _propagation(server: LiveServer, secret_id: str) -> dict[str, list[bool]]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        (shown,) = server.request("GET", f"/api/v2/orders?secret_id={secret_id}").json["orders"]
        if shown["step"] == "propagate" and any(item.get("servers") for item in shown["propagation"]):
            return {item["domain"]: [said["seen"] for said in item["servers"]] for item in shown["propagation"]}
        time.sleep(0.2)
    pytest.fail("nobody looked at the records")
