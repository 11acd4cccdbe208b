"""Orders at a real ACME server, proved in a real DNS, and what comes out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.integration.public_certs.orders import issue, names_of, order, read, require_clean, rotate, verify
from tests.peers.public_peers import PublicPeers, wait_for_order
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]


@pytest.mark.parametrize("algorithm", ["RSA2048", "RSA4096", "ECDSA256", "ECDSA384"])
def test_certificate_of_every_algorithm_verifies(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path, algorithm: str
) -> None:
    secret = issue(ordering_server, key_algorithm=algorithm)
    key = verify(tmp_path, public_peers.pebble.roots(), secret).public_key()
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA"
    assert f"{kind}{key.key_size}" == algorithm


def test_apex_www_and_wildcard_in_one_order_leave_nothing_behind(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path
) -> None:
    secret = issue(ordering_server, common_name="example.org", alt_names=["www.apps.example.org", "*.example.org"])
    leaf = verify(tmp_path, public_peers.pebble.roots(), secret)
    assert names_of(leaf) == {"example.org", "www.apps.example.org", "*.example.org"}
    require_clean(ordering_server, public_peers.bind)


def test_wildcard_issues_as_common_name(ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path) -> None:
    secret = issue(ordering_server, common_name="*.wild.example.com")
    leaf = verify(tmp_path, public_peers.pebble.roots(), secret)
    assert names_of(leaf) == {"*.wild.example.com"}
    require_clean(ordering_server, public_peers.bind)


def test_hundred_names_issue(ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path) -> None:
    names = [f"n{number}.hundred.example.com" for number in range(100)]
    placed = order(ordering_server, common_name=names[0], alt_names=names[1:])
    assert wait_for_order(ordering_server, placed["id"], seconds=180)["state"] == 1
    leaf = verify(tmp_path, public_peers.pebble.roots(), read(ordering_server, placed["id"]))
    assert names_of(leaf) == set(names)
    require_clean(ordering_server, public_peers.bind)


@pytest.mark.parametrize("is_bundled", [True, False])
def test_certificate_file_holds_the_chain_only_when_bundled(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path, is_bundled: bool
) -> None:
    secret = issue(ordering_server, bundle_certs=is_bundled)
    certificates = x509.load_pem_x509_certificates(secret["certificate"].encode())
    assert len(certificates) == (2 if is_bundled else 1)
    assert secret["bundle_certs"] is is_bundled
    leaf = verify(tmp_path, public_peers.pebble.roots(), secret)
    assert leaf == certificates[0]
    if is_bundled:
        assert secret["certificate"].endswith(secret["intermediate"])


def test_rotation_keeps_the_key_unless_a_new_one_is_asked_for(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path
) -> None:
    first = issue(ordering_server)
    same = rotate(ordering_server, first["id"], rotate_keys=False)
    other = rotate(ordering_server, first["id"], rotate_keys=True)
    assert same["private_key"] == first["private_key"]
    assert other["private_key"] != first["private_key"]
    assert len({item["serial_number"] for item in (first, same, other)}) == 3
    for number, secret in enumerate((first, same, other), 1):
        assert secret["versions_total"] == number
        verify(tmp_path, public_peers.pebble.roots(), secret)
    require_clean(ordering_server, public_peers.bind)


def test_chain_leads_to_the_preferred_root(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path
) -> None:
    """Pebble makes its roots at its start, so their names are read from them."""
    default, alternate, _ = public_peers.pebble.roots()
    made = ordering_server.request(
        "POST",
        "/api/v2/configurations",
        public_peers.ca("alternate-chain", lets_encrypt_preferred_chain=_common_name(alternate)),
    )
    assert made.status == 201, made.raw
    secret = issue(ordering_server, ca="alternate-chain")
    verify(tmp_path, [alternate], secret)
    with pytest.raises(AssertionError):
        verify(tmp_path, [default], secret)
    assert _warnings(ordering_server, secret) == []


def test_chain_that_the_ca_does_not_offer_gives_the_default_with_a_warning(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path
) -> None:
    body = public_peers.ca("unknown-chain", lets_encrypt_preferred_chain="Example Root X9")
    assert ordering_server.request("POST", "/api/v2/configurations", body).status == 201
    secret = issue(ordering_server, ca="unknown-chain")
    default = public_peers.pebble.roots()[0]
    verify(tmp_path, [default], secret)
    (warning,) = _warnings(ordering_server, secret)
    assert warning["code"] == "preferred_chain_not_offered"
    assert "Example Root X9" in warning["message"]
    assert _common_name(default) in warning["message"]


def _common_name(pem: str) -> str:
    subject = x509.load_pem_x509_certificate(pem.encode()).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _warnings(server: LiveServer, secret: dict[str, Any]) -> list[dict[str, str]]:
    answer = server.request("GET", f"/api/v2/secrets/{secret['id']}/metadata")
    return list(answer.json.get("warnings") or [])
