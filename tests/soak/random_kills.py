"""Kill the server at random moments under concurrent writes, and look at what is left.

Certificates are issued and revoked meanwhile (`random_certificates`).
Every writer keeps a model of its own secrets: what was acknowledged, and the one request that was
under way when the server died. After each restart a secret must be exactly as acknowledged, or as
the request under way would have left it; nothing in between. Run it with
``python -m tests.soak.random_kills --kills 1000``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.factories.certificates import Made, make_leaf
from tests.peers.server import Answer, LiveServer
from tests.soak.random_certificates import CertificateWriter, Tree

_WRITERS = 6
_CERTIFICATE_WRITERS = 2


@dataclass
class Expected:
    """What a secret must look like."""

    payload: str
    versions: int
    description: str
    locks: int = 0


@dataclass
class Model:
    """One secret as its writer knows it.

    Attributes:
        now: the acknowledged state; ``None`` while it does not exist.
        next: what the request under way would make of it; ``now`` again when none is.
    """

    name: str
    kind: str
    id: str | None = None
    now: Expected | None = None
    next: Expected | None = None
    pending: bool = False


@dataclass
class Report:
    """What a run did and found."""

    kills: int = 0
    acknowledged: int = 0
    checked: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0
    audit: dict[str, Any] = field(default_factory=dict)
    missing_audit: int = 0
    certificates: int = 0
    lists: int = 0
    authority_keys: int = 0


class Writer:
    """Writes until the server is gone; remembers exactly what was promised."""

    def __init__(self, number: int, seed: int, leaves: list[Made], tag: str) -> None:
        self.number = number
        self.random = random.Random(f"{seed}-{number}")
        self.leaves = leaves
        self.tag = tag
        self.models: list[Model] = []
        self.requests: list[str] = []
        self._made = 0

    def write(self, server: LiveServer, token: str) -> None:
        """Send changes one after the other until a connection breaks."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            while True:
                self._step(connection, token)
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, token: str, method: str, path: str, body: Any) -> Answer:
        merge = method == "PATCH"
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/merge-patch+json" if merge else "application/json",
        }
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        if answer.status >= 300:
            message = f"{method} {path} answered {answer.status}: {answer.raw[:300]!r}"
            raise AssertionError(message)
        self.requests.append(answer.headers["x-global-transaction-id"])
        return answer

    def _step(self, connection: http.client.HTTPConnection, token: str) -> None:
        living = [model for model in self.models[-4:] if model.now is not None]
        if not living or self.random.random() < 0.4:
            self._create(connection, token)
            return
        model = self.random.choice(living)
        assert model.now is not None
        now = model.now
        choice = self.random.random()
        path = f"/api/v2/secrets/{model.id}"
        if choice < 0.45 and (now.locks == 0 or now.versions == 1):
            payload, body = self._value(model.kind)
            model.next = Expected(payload, now.versions + 1, now.description, now.locks)
            self._do(model, connection, token, "POST", f"{path}/versions", body)
        elif choice < 0.75:
            text = f"changed {self.random.randrange(10**9)}"
            model.next = Expected(now.payload, now.versions, text, now.locks)
            self._do(model, connection, token, "PATCH", f"{path}/metadata", {"description": text})
        elif choice < 0.9 and now.versions == 1:
            model.next = Expected(now.payload, now.versions, now.description, 1)
            self._do(model, connection, token, "POST", f"{path}/locks_bulk", {"locks": [{"name": "use"}]})
        elif now.locks == 0:
            model.next = None
            self._do(model, connection, token, "DELETE", path, None)

    def _create(self, connection: http.client.HTTPConnection, token: str) -> None:
        self._made += 1
        kind = "imported_cert" if self._made % 5 == 0 else "arbitrary"
        model = Model(name=f"{self.tag}-w{self.number}-{self._made}", kind=kind)
        payload, body = self._value(kind)
        model.next = Expected(payload, 1, "fresh")
        self.models.append(model)
        more = {"secret_type": kind, "name": model.name, "description": "fresh", "labels": ["kill", model.name]}
        self._do(model, connection, token, "POST", "/api/v2/secrets", {**body, **more})

    def _value(self, kind: str) -> tuple[str, dict[str, Any]]:
        if kind == "imported_cert":
            leaf = self.random.choice(self.leaves)
            return leaf.pem, {"certificate": leaf.pem, "private_key": leaf.key_pem}
        text = f"value {self.random.randrange(10**12)} " + "x" * self.random.randrange(3000)
        return text, {"payload": text}

    def _do(
        self, model: Model, connection: http.client.HTTPConnection, token: str, method: str, path: str, body: Any
    ) -> None:
        model.pending = True
        answer = self._send(connection, token, method, path, body)
        if model.id is None:
            model.id = answer.json["id"]
        model.now, model.pending = model.next, False


def run(
    folder: Path,
    *,
    kills: int,
    seed: int = 1,
    environment: dict[str, str] | None = None,
    longest: float = 0.6,
) -> Report:
    """Kill the server ``kills`` times and return what was found."""
    chance = random.Random(seed)
    started = time.monotonic()
    server = LiveServer(folder / "data", tls=False, environment=environment)
    leaves = [make_leaf(days=300, names=(f"host{n}.example.com",)) for n in range(5)]
    writers = [Writer(number, seed, leaves, f"s{seed}") for number in range(_WRITERS)]
    tree = Tree(f"s{seed}-issuing")
    issuing = [CertificateWriter(number, seed, tree) for number in range(_CERTIFICATE_WRITERS)]
    everybody: list[Writer | CertificateWriter] = [*writers, *issuing]
    report = Report()
    try:
        server.start()
        tree.make(server)
        for _ in range(kills):
            token = server.token()
            failures: list[BaseException] = []
            threads = [threading.Thread(target=_guard, args=(writer, server, token, failures)) for writer in everybody]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.02, longest))
            server.kill()
            for thread in threads:
                thread.join()
            if failures:
                raise failures[0]
            report.kills += 1
            server.start()
            for writer in writers:
                for model in writer.models[-6:]:
                    _check(server, model, report)
            report.checked += sum(writer.check(server, everything=False) for writer in issuing)
        for writer in writers:
            for model in writer.models:
                _check(server, model, report)
        report.checked += sum(writer.check(server, everything=True) for writer in issuing)
        report.acknowledged = sum(len(one.requests) for one in everybody)
        report.lost += tree.lost
        report.certificates, report.lists, report.authority_keys = len(tree.issued), len(tree.lists), tree.keys
        report.audit = _verify_audit(server)
        report.missing_audit = _count_missing(server, {id_ for one in everybody for id_ in one.requests})
    finally:
        server.close()
    report.seconds = time.monotonic() - started
    return report


def _guard(writer: Writer | CertificateWriter, server: LiveServer, token: str, failures: list[BaseException]) -> None:
    try:
        writer.write(server, token)
    except BaseException as error:  # noqa: BLE001  (raised again in the main thread)
        failures.append(error)


def _check(server: LiveServer, model: Model, report: Report) -> None:
    report.checked += 1
    if model.id is None:
        # The create was under way: look it up by name, and take its id if it came through.
        found = server.request("GET", f"/api/v2/secret_groups/default/secret_types/{model.kind}/secrets/{model.name}")
        model.id = found.json["id"] if found.status == 200 else None
        if model.id is None:
            _settle(model, None)
            return
    answer = server.request("GET", f"/api/v2/secrets/{model.id}")
    seen: Expected | None = None
    if answer.status == 200:
        body = answer.json
        member = "certificate" if model.kind == "imported_cert" else "payload"
        seen = Expected(body.get(member, ""), body["versions_total"], body["description"], body["locks_total"])
        listed = server.request("GET", f"/api/v2/secrets/{model.id}/versions").json
        if listed["total_count"] != body["versions_total"] or listed["versions"][0]["alias"] != "current":
            report.lost.append(f"{model.name}: versions {listed['total_count']} of {body['versions_total']}")
        found = server.request("GET", f"/api/v2/secrets?search={model.name}&match_all_labels={model.name}").json
        if found["total_count"] != 1:
            report.lost.append(f"{model.name}: found {found['total_count']} times by search and label")
    elif answer.status != 404:
        report.lost.append(f"{model.name}: answered {answer.status} {answer.raw[:200]!r}")
        return
    allowed = [model.now, model.next] if model.pending else [model.now]
    if seen not in allowed:
        report.lost.append(f"{model.name}: {_short(seen)}, expected {[_short(one) for one in allowed]}")
    _settle(model, seen)


def _settle(model: Model, seen: Expected | None) -> None:
    model.now = model.next = seen
    model.pending = False


def _short(expected: Expected | None) -> str:
    if expected is None:
        return "absent"
    return f"{expected.payload[:20]!r} v{expected.versions} {expected.description!r} locks {expected.locks}"


def _verify_audit(server: LiveServer) -> dict[str, Any]:
    job = server.request("POST", "/api/v2/audit_verifications", {}).json
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        found = server.request("GET", f"/api/v2/jobs/{job['id']}").json
        if found["state"] in {"done", "failed", "cancelled"}:
            return {"state": found["state"], **(found.get("result") or {})}
        time.sleep(0.2)
    return {"state": "not finished in time"}


def _count_missing(server: LiveServer, wanted: set[str]) -> int:
    export = server.request(
        "GET", "/api/v2/audit_events/export", headers={"Accept": "application/x-ndjson"}, timeout=600
    )
    for line in export.raw.splitlines():
        wanted.discard(json.loads(line).get("request_id", ""))
    return len(wanted)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-url", help="PostgreSQL instead of SQLite; the database must be empty")
    options = parser.parse_args()
    environment = {"STRONGROOM_DATABASE_URL": options.database_url} if options.database_url else None
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), kills=options.kills, seed=options.seed, environment=environment)
    print(json.dumps(report.__dict__, indent=1))  # noqa: T201  (its whole output)
    return 1 if report.lost or report.missing_audit or not report.audit.get("verified") else 0


if __name__ == "__main__":
    raise SystemExit(main())
