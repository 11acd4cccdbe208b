"""The whole server inside the test's process: the same operations, a clock that the test moves, no sockets."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import pytest

from strongroom.api.asgi import Application
from strongroom.domain.access.actions import Role
from strongroom.kernel.clock import FrozenClock
from strongroom.runtime.container import Container, build
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.settings import load_settings
from tests.peers.server import Answer

START_OF_TESTS = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


class InProcess:
    """A server without a network; the background worker runs only when asked to."""

    def __init__(self, container: Container, directory: DataDir, clock: FrozenClock) -> None:
        self.container = container
        self.directory = directory
        self.clock = clock
        self._admin: str | None = None

    def token(self, api_key: str | None = None) -> str:
        """Return an access token; the administrator's is renewed when the clock has passed its end."""
        key = api_key or self.directory.admin_apikey.read_text().strip()
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key}
        answer = self.request(
            "POST",
            "/identity/token",
            raw=urlencode(form).encode(),
            headers={"content-type": "application/x-www-form-urlencoded"},
            token=None,
        )
        assert answer.status == 200, answer.raw
        return str(answer.json["access_token"])

    def administrator(self) -> str:
        """Return the first administrator's token."""
        if self._admin is None:
            self._admin = self.token()
        return self._admin

    def forget_tokens(self) -> None:
        """Log in anew with the next request, for tests that move the clock past a token's end."""
        self._admin = None

    def login_with(self, *roles: Role, group: str | None = None) -> str:
        """Make a service ID with these roles, and return a token of it."""
        service_id = self.request(
            "POST", "/v1/serviceids/", {"name": f"with {' '.join(roles)}", "apikey": {"name": "key"}}
        ).json
        if roles:
            attributes = [{"name": "serviceName", "value": "secrets-manager"}]
            if group is not None:
                attributes += [{"name": "resourceType", "value": "secret-group"}, {"name": "resource", "value": group}]
            answer = self.request(
                "POST",
                "/v1/policies",
                {
                    "type": "access",
                    "subjects": [{"attributes": [{"name": "iam_id", "value": service_id["iam_id"]}]}],
                    "roles": [{"role_id": _role_id(role)} for role in roles],
                    "resources": [{"attributes": attributes}],
                },
            )
            assert answer.status == 201, answer.raw
        return self.token(service_id["apikey"]["apikey"])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "administrator",  # noqa: S107  (a word for whose token, not a token)
    ) -> Answer:
        """Send one request through the application."""
        sent = {"host": "strongroom.example.com", "accept": "application/json", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {self.administrator() if token == 'administrator' else token}"
        data = raw or b""
        if body is not None:
            data = json.dumps(body).encode()
            merge = method == "PATCH"
            sent.setdefault("content-type", "application/merge-patch+json" if merge else "application/json")
        return asyncio.run(exchange(self.container.app, method, path, sent, data))

    def work(self) -> int:
        """Queue what is due and do it; return how many steps were done."""
        self.container.worker.look_for_work()
        return self.container.worker.run_pending()


async def exchange(app: Application, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send one request to an application as the HTTP server would, and wait for the whole answer."""
    raw_path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": unquote(raw_path),  # undecodable bytes replaced
        "raw_path": raw_path.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()
        ],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8443),
    }
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    got: list[dict[str, Any]] = []

    async def receive() -> Any:
        return sent.pop() if sent else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        got.append(message)

    await app(scope, receive, send)
    start, *parts = got
    return Answer(
        status=start["status"],
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]},
        raw=b"".join(part.get("body", b"") for part in parts),
    )


def _role_id(role: Role) -> str:
    from strongroom.domain.access.actions import PLATFORM_ROLES

    kind = "role" if role in PLATFORM_ROLES else "serviceRole"
    return f"crn:v1:bluemix:public:iam::::{kind}:{role}"


@contextmanager
def in_process(
    path: Path,
    clock: FrozenClock,
    *,
    acme: Any = None,
    dns: Any = None,
    propagation: Any = None,
    **settings: object,
) -> Iterator[InProcess]:
    """Run the server for the length of a block, with fakes of servers elsewhere if they are given.

    These are of the ports `Acme`, `DnsProviders` and `Propagation`; tests unpack settings of any type beside them.
    """
    with DataDir(path) as directory:
        container = build(
            load_settings({"data_dir": path, **settings}),
            directory,
            clock=clock,
            acme=acme,
            dns=dns,
            propagation=propagation,
        )
        try:
            yield InProcess(container, directory, clock)
        finally:
            container.close()


@pytest.fixture(scope="session")
def prepared_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a data directory to copy: a first start makes keys, which takes longer than most tests."""
    path = tmp_path_factory.mktemp("prepared") / "data"
    with in_process(path, FrozenClock(START_OF_TESTS)):
        return path


@pytest.fixture
def server(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[InProcess]:
    """Give a fresh server with a frozen clock."""
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock) as running:
        yield running
