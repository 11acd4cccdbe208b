"""Certificates issued, rotated and revoked while the server dies: what `random_kills` does beside plain secrets.

The writers share one tree of CAs and remember what was promised about it: which serial numbers were handed out, which
of them are revoked, and the highest number of each revocation list.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from tests.peers.server import Answer, LiveServer

_CONFIGURATIONS = "/api/v2/configurations"
_SECRETS = "/api/v2/secrets"
_FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_OCSP = {"Content-Type": "application/ocsp-request"}
_MOST_KEYS = 6
"""Each rotation of the CA adds a list to fetch."""


class Overtaken(Exception):
    """What a request relied on was changed again and again while the server worked on it."""


@dataclass
class Leaf:
    """One certificate as its writer knows it.

    Attributes:
        pending: what was under way when the server died: ``create``, ``rotate`` or ``revoke``.
    """

    name: str
    id: str | None = None
    certificate: x509.Certificate | None = None
    issuer: x509.Certificate | None = None
    is_revoked: bool = False
    pending: str | None = None

    @property
    def serial(self) -> int | None:
        """Return the number of its certificate."""
        return None if self.certificate is None else self.certificate.serial_number


@dataclass
class Tree:
    """The CAs, and everything that was promised about them; several writers use it.

    Attributes:
        issued: serial numbers that answers carried, with the certificate that signed each.
        revoked: serial numbers whose revocation was answered, by the key of their list.
        numbers: the highest number seen of each list.
        lists: digest of each list that was seen, by key and number.
    """

    name: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    issued: dict[int, x509.Certificate] = field(default_factory=dict)
    revoked: dict[bytes, set[int]] = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)
    lists: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    keys: int = 1

    def make(self, server: LiveServer) -> None:
        """Create the CAs and the template."""
        ca = {"max_ttl": "26300h", "key_type": "ec"}
        bodies: list[dict[str, Any]] = [
            {"config_type": "root_ca", "name": f"{self.name}-root", "common_name": "Example Root", **ca},
            {
                "config_type": "intermediate_ca",
                "name": self.name,
                "common_name": "Example Issuing",
                "signing_method": "internal",
                "issuer": f"{self.name}-root",
                "auto_sign": True,
                **ca,
                "max_ttl": "17520h",
            },
            {
                "config_type": "template",
                "name": f"{self.name}-leaves",
                "certificate_authority": self.name,
                "max_ttl": "720h",
                "key_type": "ec",
            },
        ]
        for body in bodies:
            body["config_type"] = f"private_cert_configuration_{body['config_type']}"
            answer = server.request("POST", _CONFIGURATIONS, body)
            assert answer.status == 201, answer.raw

    def note_issued(self, leaf: Leaf) -> None:
        """Remember a certificate that an answer carried."""
        assert leaf.certificate is not None
        assert leaf.issuer is not None
        serial = leaf.certificate.serial_number
        with self.lock:
            if serial in self.issued:
                self.lost.append(f"{leaf.name}: the serial number {serial:x} was handed out twice")
            self.issued[serial] = leaf.issuer

    def note_revoked(self, leaf: Leaf) -> None:
        """Remember a revocation that was answered."""
        assert leaf.certificate is not None
        with self.lock:
            self.revoked.setdefault(_issuer_key(leaf.certificate), set()).add(leaf.certificate.serial_number)

    def promised(self) -> tuple[dict[bytes, int], dict[bytes, set[int]]]:
        """Return what lists that are asked for from now on have to show: least numbers, and entries."""
        with self.lock:
            return dict(self.numbers), {key: set(serials) for key, serials in self.revoked.items()}

    def look_at(self, raw: bytes, promised: tuple[dict[bytes, int], dict[bytes, set[int]]]) -> None:
        """Hold fetched lists against what was promised before they were asked for."""
        numbers, revoked = promised
        seen = {}
        for part in _LIST.findall(raw):
            crl = x509.load_pem_x509_crl(part)
            key = _issuer_key(crl)
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            seen[key] = number
            digest = sha256(part).digest()
            missing = revoked.get(key, set()) - {item.serial_number for item in crl}
            with self.lock:
                if number < numbers.get(key, 0):
                    self.lost.append(f"{self.name}: list {number} after {numbers[key]}")
                if self.lists.setdefault((key, number), digest) != digest:
                    self.lost.append(f"{self.name}: two lists of the number {number}")
                if missing:
                    self.lost.append(f"{self.name}: list {number} does not show {[f'{item:x}' for item in missing]}")
                self.numbers[key] = max(number, self.numbers.get(key, 0))
        if gone := numbers.keys() - seen.keys():
            self.lost.append(f"{self.name}: {len(gone)} lists are gone")


class CertificateWriter:
    """Issues, rotates and revokes until the server is gone; the first one also rotates the CA."""

    def __init__(self, number: int, seed: int, tree: Tree) -> None:
        self.number = number
        self.random = random.Random(f"{seed}-certificates-{number}")
        self.tree = tree
        self.leaves: list[Leaf] = []
        self.requests: list[str] = []
        self.overtaken = 0

    def write(self, server: LiveServer, token: str, until: threading.Event | None = None) -> None:
        """Send changes one after the other until a connection breaks, or the event comes."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            while until is None or not until.is_set():
                try:
                    self._step(connection, token)
                except Overtaken:
                    self.overtaken += 1
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def check(self, server: LiveServer, *, everything: bool) -> int:
        """Look at what the server holds after a restart; return how many certificates were looked at."""
        # What was under way is settled at once: later work on it would hide what became of it.
        leaves = [leaf for leaf in self.leaves if everything or leaf.pending is not None or leaf in self.leaves[-4:]]
        for leaf in leaves:
            self._check(server, leaf)
        promised = self.tree.promised()
        self.tree.look_at(server.request("GET", f"{_FILES}/{self.tree.name}/crl/pem", token=None).raw, promised)
        if everything and self.number == 0:
            for serial, issuer in self.tree.issued.items():
                self._ask(server, serial, issuer)
        return len(leaves)

    def _step(self, connection: http.client.HTTPConnection, token: str) -> None:
        living = [leaf for leaf in self.leaves[-5:] if leaf.id is not None and not leaf.is_revoked]
        choice = self.random.random()
        if not living or choice < 0.4:
            leaf = Leaf(f"{self.tree.name}-c{self.number}-{len(self.leaves) + 1}", pending="create")
            self.leaves.append(leaf)
            self._take(leaf, self._send(connection, token, _SECRETS, _request(self.tree, leaf)).json)
        elif choice < 0.55:
            leaf = self.random.choice(living)
            leaf.pending = "rotate"
            self._take(leaf, self._send(connection, token, f"{_SECRETS}/{leaf.id}/versions", {}).json)
        elif choice < 0.8:
            leaf = self.random.choice(living)
            leaf.pending = "revoke"
            body = {"action_type": "private_cert_action_revoke_certificate"}
            self._send(connection, token, f"{_SECRETS}/{leaf.id}/actions", body)
            leaf.pending, leaf.is_revoked = None, True
            self.tree.note_revoked(leaf)
        elif choice < 0.97 or self.number or self.tree.keys >= _MOST_KEYS:
            promised = self.tree.promised()
            connection.request("GET", f"{_FILES}/{self.tree.name}/crl/pem")
            response = connection.getresponse()
            raw = response.read()
            assert response.status == 200, raw
            self.tree.look_at(raw, promised)
        else:
            self.tree.keys += 1
            body = {"action_type": "private_cert_configuration_action_rotate_intermediate"}
            self._send(connection, token, f"{_CONFIGURATIONS}/{self.tree.name}/actions", body)

    def _send(self, connection: http.client.HTTPConnection, token: str, path: str, body: Mapping[str, Any]) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        if answer.status == 409 and answer.json["errors"][0]["code"] == "stale_version":
            raise Overtaken
        if answer.status >= 300:
            message = f"POST {path} answered {answer.status}: {answer.raw[:300]!r}"
            raise AssertionError(message)
        self.requests.append(answer.headers["x-global-transaction-id"])
        return answer

    def _take(self, leaf: Leaf, body: Mapping[str, Any]) -> None:
        leaf.id = leaf.id or body["id"]
        leaf.certificate = x509.load_pem_x509_certificate(body["certificate"].encode())
        leaf.issuer = x509.load_pem_x509_certificate(body["issuing_ca"].encode())
        leaf.certificate.verify_directly_issued_by(leaf.issuer)
        leaf.pending = None
        self.tree.note_issued(leaf)

    def _check(self, server: LiveServer, leaf: Leaf) -> None:
        if leaf.id is None:
            # The create was under way: look it up by name, and take its id if it came through.
            path = f"/api/v2/secret_groups/default/secret_types/private_cert/secrets/{leaf.name}"
            found = server.request("GET", path)
            if found.status == 200:
                leaf.id = found.json["id"]
                self._take(leaf, found.json)
            return
        found = server.request("GET", f"{_SECRETS}/{leaf.id}")
        if found.status != 200:
            self.tree.lost.append(f"{leaf.name}: answered {found.status} {found.raw[:200]!r}")
            return
        serial, revoked = _serial(found.json), found.json["state_description"] == "deactivated"
        if leaf.pending == "rotate" and serial != leaf.serial:
            self._take(leaf, found.json)
        if leaf.pending == "revoke" and revoked:
            leaf.is_revoked = True
            self.tree.note_revoked(leaf)
        leaf.pending = None
        if serial != leaf.serial or revoked != leaf.is_revoked:
            self.tree.lost.append(f"{leaf.name}: serial {serial:x}, revoked {revoked}; expected {leaf}")

    def _ask(self, server: LiveServer, serial: int, issuer: x509.Certificate) -> None:
        key = issuer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        question = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            sha256(issuer.subject.public_bytes()).digest(), sha256(key).digest(), serial, SHA256()
        )
        answer = server.request(
            "POST",
            f"/ocsp/{self.tree.name}",
            raw=question.build().public_bytes(Encoding.DER),
            headers={**_OCSP, "Accept": "*/*"},
            token=None,
        )
        status = ocsp.load_der_ocsp_response(answer.raw).certificate_status
        is_revoked = any(serial in serials for serials in self.tree.revoked.values())
        if status is not (ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD):
            self.tree.lost.append(f"{self.tree.name}: OCSP says {status} of {serial:x}; revoked: {is_revoked}")


def _request(tree: Tree, leaf: Leaf) -> dict[str, Any]:
    return {
        "secret_type": "private_cert",
        "name": leaf.name,
        "certificate_template": f"{tree.name}-leaves",
        "common_name": "localhost",
    }


def _serial(body: Mapping[str, Any]) -> int:
    return int(body["serial_number"].replace(":", ""), 16)


def _issuer_key(signed: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    found = signed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert found is not None
    return found
