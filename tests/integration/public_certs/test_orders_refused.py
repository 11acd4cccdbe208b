"""Orders that a real DNS or CA stands in the way of, and what people are told of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.public_certs.orders import order, read, require_clean
from tests.peers.public_peers import CA_NAME, DNS_NAME, PublicPeers, wait_for_order
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]


def failed(server: LiveServer, **changes: Any) -> dict[str, Any]:
    """Order what comes to nothing, and return why; it must do so at once."""
    placed = order(server, **changes)
    metadata = wait_for_order(server, placed["id"], seconds=30)
    info: dict[str, Any] = metadata["issuance_info"]
    assert (metadata["state"], metadata["state_description"]) == (3, "deactivated")
    assert (info["state"], info["state_description"]) == (3, "deactivated")
    assert "certificate" not in read(server, placed["id"])
    return info


def test_first_order_that_the_dns_server_refuses_to_write_for_is_deactivated(
    ordering_server: LiveServer, public_peers: PublicPeers
) -> None:
    with public_peers.bind.refusing():
        info = failed(ordering_server)
    assert (info["error_code"], info["reference_code"]) == ("dns_authorization_failed", "07048")
    assert info["error_message"].startswith("The DNS configuration my-dns-configuration-name: 127.0.0.1 does not let ")
    require_clean(ordering_server, public_peers.bind)


def test_name_in_a_zone_that_the_dns_server_does_not_hold_is_refused(
    ordering_server: LiveServer, public_peers: PublicPeers
) -> None:
    info = failed(ordering_server, common_name="www.example.edu")
    assert (info["error_code"], info["reference_code"]) == ("dns_zone_not_found", "07052")
    assert "example.edu" in info["error_message"]
    require_clean(ordering_server, public_peers.bind)


def test_rotation_that_the_dns_server_refuses_leaves_the_certificate(
    ordering_server: LiveServer, public_peers: PublicPeers
) -> None:
    placed = order(ordering_server)
    assert wait_for_order(ordering_server, placed["id"])["state"] == 1
    before = read(ordering_server, placed["id"])
    with public_peers.bind.refusing():
        path = f"/api/v2/secrets/{placed['id']}/versions"
        assert ordering_server.request("POST", path, {"rotation": {"rotate_keys": True}}).status == 201
        metadata = wait_for_order(ordering_server, placed["id"], seconds=30)
    assert (metadata["state"], metadata["rotation_status"]) == (1, "failed")
    assert metadata["issuance_info"]["error_code"] == "dns_authorization_failed"
    after = read(ordering_server, placed["id"])
    for member in ("certificate", "private_key", "serial_number", "versions_total"):
        assert after[member] == before[member]


def test_order_of_the_page_of_2022_is_deactivated_with_the_reason_when_the_dns_server_refuses(
    ordering_server: LiveServer, public_peers: PublicPeers
) -> None:
    with public_peers.bind.refusing():
        info = failed(
            ordering_server,
            **PRINTED,
            name="example-public-certificate-refused",
        )
    assert info["error_code"] == "dns_authorization_failed"
    assert info["error_message"]


def test_order_of_the_page_of_2022_is_issued(ordering_server: LiveServer, public_peers: PublicPeers) -> None:
    placed = order(ordering_server, **PRINTED, name="example-public-certificate")
    assert (placed["state"], placed["state_description"]) == (0, "pre_activation")
    assert placed["issuance_info"]["state_description"] == "pre_activation"
    metadata = wait_for_order(ordering_server, placed["id"])
    assert (metadata["state"], metadata["state_description"]) == (1, "active")
    secret = read(ordering_server, placed["id"])
    assert {name: secret[name] for name in PRINTED} == PRINTED
    assert secret["certificate"].count("BEGIN CERTIFICATE") == 1
    assert secret["intermediate"].count("BEGIN CERTIFICATE") == 1
    assert secret["private_key"].startswith("-----BEGIN")
    require_clean(ordering_server, public_peers.bind)


PRINTED: dict[str, Any] = {
    "ca": CA_NAME,
    "dns": DNS_NAME,
    "common_name": "example.com",
    "alt_names": ["www.example.com"],
    "bundle_certs": False,
    "key_algorithm": "RSA2048",
    "rotation": {"auto_rotate": False, "rotate_keys": False},
}
"""Values as the reference's documentation printed them in 2022."""
