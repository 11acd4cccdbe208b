"""The edge with operations made for tests, called in process over fakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from strongroom.api.app import build_app
from strongroom.api.asgi import Message
from strongroom.api.client_address import ClientAddress
from strongroom.api.edge import Edge
from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.api.services import Services
from strongroom.domain.access.actions import Action, Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.audit.record import AuditEntry
from strongroom.domain.limits import Limits
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, StrongroomError, Unauthenticated
from strongroom.kernel.ids import IamId

MANAGER = "manager-token"
READER = "reader-token"
URL = "https://strongroom.example.com"


def principal(name: str, *roles: Role) -> Principal:
    return Principal(
        iam_id=IamId(f"iam-ServiceId-{name}"),
        name=name,
        kind=PrincipalKind.SERVICE_ID,
        credential_id=f"ApiKey-{name}",
        grants=tuple(Grant(role) for role in roles),
    )


class FakeAuthenticator:
    """Knows its tokens; one of them only after a look-up."""

    def __init__(self) -> None:
        self.known = {
            MANAGER: principal("manager", Role.MANAGER),
            READER: principal("reader", Role.READER),
            "operator-token": principal("operator", Role.OPERATOR),
        }
        self.addresses: list[str | None] = []

    def cached(self, token: str, address: str | None) -> Principal | None:
        return self.known.get(token) if token == MANAGER else None

    def authenticate(self, token: str, address: str | None) -> Principal:
        self.addresses.append(address)
        if token == "old-token":
            raise Unauthenticated(ErrorCode.TOKEN_EXPIRED, "The access token has expired.")
        found = self.known.get(token)
        if found is None:
            raise Unauthenticated(ErrorCode.TOKEN_INVALID, "The access token is not valid.")
        return found


class FakeStorage:
    """Commits at once and keeps what the trail would hold."""

    def __init__(self, *, reads_inline: bool = True) -> None:
        self.reads_inline = reads_inline
        self.trail: list[AuditEntry] = []
        self.refuses_records: StrongroomError | None = None
        self.not_ready: StrongroomError | None = None
        self.full = False

    def submit(self, fn: Callable[[Any], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        entries: list[AuditEntry] = []
        try:
            result = fn(SimpleNamespace(audit=entries.append))
        except Exception as error:  # noqa: BLE001  (as a future does)
            future.set_exception(error)
        else:
            self.trail += entries
            future.set_result(result)
        return future

    def record(self, entry: AuditEntry) -> Future[None] | None:
        if self.refuses_records is not None:
            raise self.refuses_records
        self.trail.append(entry)
        if not self.full:
            return None
        written: Future[None] = Future()
        written.set_result(None)
        return written

    def ready(self) -> None:
        if self.not_ready is not None:
            raise self.not_ready


class Ears:
    """Keeps what the edge tells its observer."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []
        self.crashes: list[BaseException] = []

    def finished(self, call: Call, status: int, seconds: float) -> None:
        self.answers.append((call.operation.name, status))

    def crashed(self, call: Call, error: BaseException) -> None:
        self.crashes.append(error)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes
    parts: int

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        """Return the first error, after checking the envelope around it."""
        body = self.json
        assert body["status_code"] == self.status
        assert body["trace"] == self.headers["x-global-transaction-id"]
        first: dict[str, Any] = body["errors"][0]
        return first


@dataclass
class Server:
    """Calls the application without a socket."""

    operations: Sequence[Operation]
    storage: FakeStorage = field(default_factory=FakeStorage)
    limits: Limits = field(default_factory=lambda: Limits(request_bytes=1000))
    trusted_proxies: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    ears: Ears = field(default_factory=Ears)
    authenticator: FakeAuthenticator = field(default_factory=FakeAuthenticator)

    def services(self) -> Services:
        fakes = {
            "storage": self.storage,
            "clock": FrozenClock(datetime(2026, 1, 15, 12, tzinfo=UTC)),
            "limits": self.limits,
            "authenticator": self.authenticator,
            "version": "1.2.3",
            **self.extra,
        }
        return cast("Services", SimpleNamespace(**fakes))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        token: str | None = MANAGER,
        headers: Mapping[str, str] | None = None,
        client: tuple[str, int] | None = ("192.0.2.7", 50000),
        disconnects: bool = False,
    ) -> Answer:
        sent = {"host": "strongroom.example.com"}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if body:
            sent["content-type"] = "application/json"
        sent |= {name.lower(): text for name, text in (headers or {}).items()}
        parts = [body] if isinstance(body, bytes) else list(body)
        return asyncio.run(self._ask(method, path, parts, sent, client, disconnects=disconnects))

    async def _ask(
        self,
        method: str,
        path: str,
        parts: list[bytes],
        headers: Mapping[str, str],
        client: tuple[str, int] | None,
        *,
        disconnects: bool,
    ) -> Answer:
        edge = Edge(self.services(), self.ears, ClientAddress(URL, self.trusted_proxies), threads=2)
        messages: list[Message] = []
        waiting = list(parts)

        async def receive() -> Message:
            if not waiting and disconnects:
                return {"type": "http.disconnect"}
            part = waiting.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(waiting) or disconnects}

        async def send(message: Message) -> None:
            messages.append(message)

        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": "https",
            "path": plain,
            "raw_path": plain.encode(),
            "root_path": "",
            "query_string": query.encode("latin-1"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": client,
        }
        try:
            await build_app(edge, self.operations)(scope, receive, send)
        finally:
            edge.close()
        found = {name.decode(): value.decode("latin-1") for name, value in messages[0]["headers"]}
        bodies = [message["body"] for message in messages[1:]]
        return Answer(messages[0]["status"], found, b"".join(bodies), len(bodies))


def operation(handler: Callable[[Call], Any], **changes: Any) -> Operation:
    """Return an operation for tests: ``GET /things`` for those who may list secrets."""
    members: dict[str, Any] = {
        "name": "do_it",
        "method": "GET",
        "path": "/things",
        "action": Action.SECRETS_LIST,
        "handler": handler,
        "work": Work.POINT,
        "summary": "Do it",
        "tag": "Things",
        **changes,
    }
    return Operation(**members)


def echo(call: Call) -> Reply:
    """Answer with what arrived."""
    return Reply(
        body={
            "body": call.json() if call.raw_body else None,
            "query": dict(call.query),
            "path": dict(call.path),
            "address": call.address,
            "base_url": call.base_url,
            "who": call.principal.name,
        }
    )
