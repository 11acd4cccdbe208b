"""Ordering at a real CA with a real DNS, and looking at what came out."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.peers.bind import BindServer
from tests.peers.needs import require
from tests.peers.public_peers import CA_NAME, DNS_NAME, wait_for_order
from tests.peers.server import LiveServer

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


def issue(server: LiveServer, **changes: Any) -> dict[str, Any]:
    """Order a certificate, wait until it is there, and return it with its payload."""
    placed = order(server, **changes)
    metadata = wait_for_order(server, placed["id"])
    assert metadata["state"] == 1, metadata["issuance_info"]
    return read(server, placed["id"])


def rotate(server: LiveServer, secret_id: str, *, rotate_keys: bool) -> dict[str, Any]:
    """Order the next certificate, wait until it is there, and return it with its payload."""
    body = {"rotation": {"rotate_keys": rotate_keys}}
    answer = server.request("POST", f"/api/v2/secrets/{secret_id}/versions", body)
    assert answer.status == 201, answer.raw
    metadata = wait_for_order(server, secret_id)
    assert metadata["issuance_info"]["state"] == 1, metadata["issuance_info"]
    return read(server, secret_id)


def read(server: LiveServer, secret_id: str) -> dict[str, Any]:
    """Return a secret with its payload."""
    found: dict[str, Any] = server.request("GET", f"/api/v2/secrets/{secret_id}").json
    return found


def verify(folder: Path, roots: Sequence[str], secret: dict[str, Any]) -> x509.Certificate:
    """Fail unless openssl verifies the certificate to one of the roots and the key fits; return the leaf."""
    openssl = require("openssl")
    (folder / "roots.pem").write_text("".join(roots))
    (folder / "leaf.pem").write_text(secret["certificate"])
    (folder / "chain.pem").write_text(secret["intermediate"])
    command = [str(openssl), "verify", "-CAfile", "roots.pem", "-untrusted", "chain.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    leaf = x509.load_pem_x509_certificate(secret["certificate"].encode())
    assert leaf.public_key() == load_pem_private_key(secret["private_key"].encode(), None).public_key()
    return leaf


def names_of(leaf: x509.Certificate) -> set[str]:
    """Return the names that a certificate is for."""
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def require_clean(server: LiveServer, bind: BindServer, *names: str) -> None:
    """Fail unless no record of the server's orders, and none at these names, is left soon after an order has ended."""
    orders = server.request("GET", "/api/v2/orders?limit=1000").json["orders"]
    proofs = [proof for order in orders if order["dns"] != "manual" for proof in order["propagation"]]
    ours = {proof.get("target", proof["record_name"]) for proof in proofs}
    assert ours, "the server knows no order"
    deadline = time.monotonic() + 30
    while True:
        left = [record for record in bind.all_challenge_records() if record[0].rstrip(".") in ours]
        left += [(name, value) for name in names for value in bind.txt(name)]
        if not left:
            return
        if time.monotonic() > deadline:
            jobs = server.request("GET", "/api/v2/jobs?kind=public_cert.cleanup").raw
            pytest.fail(f"records are left: {left}; {jobs!r}")
        time.sleep(0.2)
