"""The identity operations behind the real edge, called in process."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from strongroom.api.app import build_app
from strongroom.api.asgi import Message
from strongroom.api.client_address import ClientAddress
from strongroom.api.edge import Edge
from strongroom.api.iam.table import OPERATIONS
from strongroom.api.operations import Call
from strongroom.api.services import Services
from strongroom.domain.access.actions import Role
from strongroom.domain.identity.model import ServiceId
from strongroom.kernel.clock import FrozenClock
from tests.factories.identities import INSTANCE, World, empty_store, make_world
from tests.peers import server as peers

__all__ = ["empty_store"]

URL = "https://strongroom.example.com"
ADMINISTRATOR = "administrator"


class Silence:
    """Hears about requests and says nothing; keeps what crashed."""

    def __init__(self) -> None:
        self.crashes: list[BaseException] = []

    def finished(self, call: Call, status: int, seconds: float) -> None:
        """Hear it."""

    def crashed(self, call: Call, error: BaseException) -> None:
        """Keep it."""
        self.crashes.append(error)


class Answer(peers.Answer):
    @property
    def etag(self) -> str:
        return self.headers["etag"]

    @property
    def error(self) -> dict[str, Any]:
        """Return the first error, after checking the envelope around it."""
        body = self.json
        assert body["status_code"] == self.status
        assert body["trace"]
        first: dict[str, Any] = body["errors"][0]
        return first


@dataclass(slots=True)
class Server:
    """Calls the application without a socket."""

    world: World
    edge: Edge
    app: Any
    observer: Silence
    runner: asyncio.Runner
    address: str = "192.0.2.7"
    token: str = ""
    tokens: dict[str, str] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = ADMINISTRATOR,
    ) -> Answer:
        sent = {"host": "strongroom.example.com", **{name.lower(): text for name, text in (headers or {}).items()}}
        if token is not None:
            sent["authorization"] = f"Bearer {self.token if token == 'administrator' else token}"
        data = raw if raw is not None else b""
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        return self.runner.run(self._call(method, path, data, sent))

    async def _call(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> Answer:
        plain, _, query = path.partition("?")
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": method,
            "scheme": "https",
            "path": plain,
            "raw_path": plain.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self.address, 50000),
        }
        await self.app(scope, receive, send)
        assert not self.observer.crashes, self.observer.crashes
        start = messages[0]
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(message.get("body", b"") for message in messages[1:]))

    def form(self, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> Answer:
        sent = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.call("POST", "/identity/token", raw=urlencode(fields).encode(), headers=sent, token=None)

    def identity(self, name: str, *roles: Role, group: str | None = None) -> tuple[ServiceId, str]:
        """Make a service ID with roles and return it with an access token."""
        made = self.world.service_id(name)
        if roles:
            self.world.grant(made.iam_id, *roles, group=group)
        return made, self.world.log_in(self.world.key_of(made.iam_id))


@pytest.fixture
def server(empty_store: Path, tmp_path: Path, clock: FrozenClock) -> Iterator[Server]:
    path = tmp_path / "store.db"
    shutil.copyfile(empty_store, path)
    world = make_world(path, clock)
    # What the operations on secrets need is left out; nothing here may touch it.
    services = SimpleNamespace(
        storage=world.storage,
        clock=clock,
        limits=world.limits,
        instance=INSTANCE,
        public_url=URL,
        version="test",
        authenticator=world.services.authenticator,
        identities=world.services,
    )
    observer = Silence()
    edge = Edge(cast("Services", services), observer, ClientAddress(URL))
    with asyncio.Runner() as runner:
        made = Server(world, edge, build_app(edge, OPERATIONS), observer, runner)
        made.token = world.log_in(world.administrator_key)
        yield made
    edge.close()
    world.storage.close()
