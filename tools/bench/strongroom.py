"""Our own side: ``strongroom server`` with its defaults, plain HTTP on loopback as the peer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tools.bench.contender import SECRETS, START_TIMEOUT_S, Workload, environment, payload
from tools.bench.load import COUNTER, Plan
from tools.bench.processes import ServerProcess, free_port
from tools.bench.strongroom_authorities import CRL_PATH, KEYS_AHEAD, WORKLOADS, OwnAuthorities, add_revoked
from tools.bench.wire import Answer, Client, UnexpectedAnswerError, wait_until

_APIKEY_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_SECRETS = "/api/v2/secrets"


class Strongroom:
    """One Strongroom server.

    Args:
        folder: empty folder for its data and logs.
        label: how the report names it.
        database_url: empty PostgreSQL database, or ``None`` for the embedded one.
    """

    def __init__(self, folder: Path, *, label: str = "Strongroom", database_url: str | None = None) -> None:
        self.label = label
        self._authorities = OwnAuthorities(self._call)
        self.workloads: Mapping[str, Callable[[], Workload]] = {
            "read": self._read,
            "write": self._write,
            **{name: partial(self._certificates, name) for name in WORKLOADS},
        }
        self._folder = folder
        self._data = folder / "data"
        self._program = Path(sys.executable).with_name("strongroom")
        self._port = free_port()
        self._client = Client(self._port)
        self._environment = environment(folder)
        if database_url is not None:
            # Not as a flag: the list of processes is open to everybody.
            self._environment["STRONGROOM_DATABASE_URL"] = database_url
        self._server: ServerProcess | None = None
        self._headers: dict[str, str] = {}
        self._ids: list[str] = []

    @property
    def version(self) -> str:
        """Name the program and its version."""
        shown = subprocess.run(
            [str(self._program), "--version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
        # What follows in parentheses is the command line that it is compatible with.
        return shown.partition(" (")[0].strip()

    @property
    def server(self) -> ServerProcess:
        """Return the running process."""
        if self._server is None:
            raise RuntimeError(f"{self.label} is not started")
        return self._server

    def start(self) -> float:
        """Let the server make everything it needs, trade the key it wrote for a token, and store the secrets."""
        self._folder.mkdir(parents=True)
        began = time.perf_counter()
        self._spawn()
        self._wait(lambda: self._client.send("GET", "/readyz").status == 200)
        self._headers = {"Authorization": f"Bearer {self._token()}"}
        self._wait(lambda: self._client.send("GET", f"{_SECRETS}?limit=1", headers=self._headers).status == 200)
        taken = time.perf_counter() - began
        for number in range(SECRETS):
            body = self._prototype(f"secret-{number}", number)
            made = self._client.expect("POST", _SECRETS, headers=self._json_headers(), body=body, status=201)
            self._ids.append(made["id"])
        return taken

    def restart(self) -> float:
        """Stop, start, and read a secret with the token of before."""
        self.close()
        began = time.perf_counter()
        self._spawn()
        path = f"{_SECRETS}/{self._ids[0]}"
        self._wait(lambda: self._client.send("GET", path, headers=self._headers).status == 200)
        return time.perf_counter() - began

    def close(self) -> None:
        """Stop the server."""
        self._client.close()
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def _read(self) -> Workload:
        paths = [f"{_SECRETS}/{secret_id}" for secret_id in self._ids]

        def check(answer: Answer) -> None:
            _require_payload(answer, payload(0))

        return Workload(plan=Plan(port=self._port, method="GET", paths=paths, headers=self._headers), check=check)

    def _write(self) -> Workload:
        def check(answer: Answer) -> None:
            if answer.status != 201 or answer.json()["state"] != 1:
                raise UnexpectedAnswerError(f"Strongroom answered a write with {answer.status}: {answer.body!r}")

        def read_back(counter: str) -> None:
            path = f"/api/v2/secret_groups/default/secret_types/arbitrary/secrets/written-{counter}"
            _require_payload(self._client.send("GET", path, headers=self._headers), payload(0))

        plan = Plan(
            port=self._port,
            method="POST",
            paths=[_SECRETS],
            headers=self._json_headers(),
            body=self._prototype(f"written-{COUNTER}", 0),
        )
        return Workload(plan=plan, check=check, read_back=read_back)

    def wait_for_keys(self) -> int:
        """Wait until all RSA keys are there that are made ahead; return how many."""
        self._wait(lambda: self._keys_ready() >= KEYS_AHEAD)
        return KEYS_AHEAD

    def take_keys(self, tag: str) -> None:
        """Use up the RSA keys that are there, so that others are made."""
        for number in range(KEYS_AHEAD):
            self._authorities.issue("rsa", f"{tag}-{number}")

    def add_revoked(self, count: int) -> None:
        """Stop, store so many revoked certificates of the EC authority, and start again."""
        self._authorities.prepare()
        self.close()
        add_revoked(self._data / "strongroom.db", count)
        self.restart()

    def renew_list(self) -> float:
        """Revoke a certificate of the EC authority and fetch its list; return the seconds that fetching took."""
        client = Client(self._port)
        try:
            self._authorities.revoke_another()
            began = time.perf_counter()
            answer = client.send("GET", CRL_PATH)
            taken = time.perf_counter() - began
        finally:
            client.close()
        if answer.status != 200:
            raise UnexpectedAnswerError(f"Strongroom answered with {answer.status} instead of a list")
        return taken

    def _keys_ready(self) -> float:
        for line in self._client.send("GET", "/metrics").body.decode().splitlines():
            name, _, number = line.rpartition(" ")
            if name == 'strongroom_rsa_keys_ready{bits="2048"}':
                return float(number)
        return 0.0

    def _certificates(self, name: str) -> Workload:
        return self._authorities.workload(name, port=self._port, headers=self._json_headers())

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, status: int = 201) -> Any:
        text = "" if body is None else json.dumps(body)
        return self._client.expect(method, path, headers=self._json_headers(), body=text, status=status)

    def _spawn(self) -> None:
        command = [str(self._program), "server", "--data-dir", str(self._data)]
        command += ["--http", "--listen", f"127.0.0.1:{self._port}"]
        self._server = ServerProcess(
            command, environment=self._environment, log=self._folder / "server.log", folder=self._folder
        )

    def _token(self) -> str:
        apikey = (self._data / "admin-apikey").read_text(encoding="ascii").strip()
        answer: dict[str, Any] = self._client.expect(
            "POST",
            "/identity/token",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({"grant_type": _APIKEY_GRANT, "apikey": apikey}),
        )
        token: str = answer["access_token"]
        return token

    def _json_headers(self) -> dict[str, str]:
        return {**self._headers, "Content-Type": "application/json"}

    def _prototype(self, name: str, number: int) -> str:
        return json.dumps({"name": name, "secret_type": "arbitrary", "payload": payload(number)})

    def _wait(self, ready: Callable[[], bool]) -> None:
        wait_until(ready, alive=self.server.require_alive, timeout_s=START_TIMEOUT_S, what=self.label)


def _require_payload(answer: Answer, value: str) -> None:
    if answer.status != 200 or answer.json()["payload"] != value:
        raise UnexpectedAnswerError(f"Strongroom answered a read with {answer.status} and another payload")
