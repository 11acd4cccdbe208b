"""Orders at a real ACME server, proved in a real DNS, and what comes out of them."""

from __future__ import annotations

import itertools
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.peers.needs import require
from tests.peers.public_peers import CA_NAME, DNS_NAME, PublicPeers, wait_for_order
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]

_NUMBERS = itertools.count(1)


def order(server: LiveServer, **changes: Any) -> dict[str, Any]:
    """Order a certificate under names of its own and return the answer."""
    number = next(_NUMBERS)
    body = {
        "secret_type": "public_cert",
        "name": f"order-{number}",
        "common_name": f"order-{number}.example.com",
        "ca": CA_NAME,
        "dns": DNS_NAME,
        "key_algorithm": "ECDSA256",
        **changes,
    }
    answer = server.request("POST", "/api/v2/secrets", {key: item for key, item in body.items() if item is not None})
    assert answer.status == 201, answer.raw
    placed: dict[str, Any] = answer.json
    return placed


def read(server: LiveServer, secret_id: str) -> dict[str, Any]:
    """Return a secret with its payload."""
    found: dict[str, Any] = server.request("GET", f"/api/v2/secrets/{secret_id}").json
    return found


def verify(folder: Path, peers: PublicPeers, secret: dict[str, Any]) -> x509.Certificate:
    """Fail unless openssl verifies the certificate to Pebble's root; return the leaf."""
    openssl = require("openssl")
    (folder / "roots.pem").write_text("".join(peers.pebble.roots()))
    (folder / "leaf.pem").write_text(secret["certificate"])
    (folder / "chain.pem").write_text(secret["intermediate"])
    command = [str(openssl), "verify", "-CAfile", "roots.pem", "-untrusted", "chain.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    leaf = x509.load_pem_x509_certificate(secret["certificate"].encode())
    assert leaf.public_key() == load_pem_private_key(secret["private_key"].encode(), None).public_key()
    return leaf


@pytest.mark.parametrize("algorithm", ["RSA2048", "RSA4096", "ECDSA256", "ECDSA384"])
def test_certificate_of_every_algorithm_verifies(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path, algorithm: str
) -> None:
    placed = order(ordering_server, key_algorithm=algorithm)
    assert wait_for_order(ordering_server, placed["id"])["state"] == 1
    leaf = verify(tmp_path, public_peers, read(ordering_server, placed["id"]))
    key = leaf.public_key()
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA"
    assert f"{kind}{key.key_size}" == algorithm


def test_apex_www_and_wildcard_in_one_order_leave_nothing_behind(
    ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path
) -> None:
    placed = order(
        ordering_server, common_name="trio.example.org", alt_names=["www.other.example.org", "*.trio.example.org"]
    )
    assert wait_for_order(ordering_server, placed["id"])["state"] == 1
    leaf = verify(tmp_path, public_peers, read(ordering_server, placed["id"]))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "trio.example.org",
        "www.other.example.org",
        "*.trio.example.org",
    }
    require_clean(ordering_server, public_peers)


def test_hundred_names_issue(ordering_server: LiveServer, public_peers: PublicPeers, tmp_path: Path) -> None:
    names = [f"n{number}.hundred.example.com" for number in range(100)]
    placed = order(ordering_server, common_name=names[0], alt_names=names[1:])
    assert wait_for_order(ordering_server, placed["id"], seconds=180)["state"] == 1
    verify(tmp_path, public_peers, read(ordering_server, placed["id"]))
    require_clean(ordering_server, public_peers)


def require_clean(server: LiveServer, peers: PublicPeers) -> None:
    """Fail unless the records are removed soon after the issue."""
    deadline = time.monotonic() + 30
    while peers.bind.all_challenge_records() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert peers.bind.all_challenge_records() == [], server.request("GET", "/api/v2/jobs?kind=public_cert.cleanup").raw
