"""Requests that no client library would send, through the whole server in this process."""

from __future__ import annotations

import asyncio
import itertools
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests
from schemathesis.core.transport import Response

from strongroom.domain.orders.acme import AcmeAccount
from strongroom.kernel.clock import FrozenClock
from tests.api.public_cas import PRODUCTION, STAGING, CheckedProviders
from tests.conftest import START_OF_TESTS
from tests.factories.orders import FakeAcme, FakeAcmeSession, FakeDns, make_ca
from tests.peers.in_process import InProcess, exchange, in_process
from tests.peers.server import Answer

HOST = "strongroom.example.com"
BASE = f"https://{HOST}"


class Wire:
    """Sends requests as they are, all on one event loop.

    Attributes:
        bugs: tracebacks of what the server itself called a bug.
    """

    def __init__(self, server: InProcess) -> None:
        self.server = server
        self.bugs: list[str] = []
        self._numbers = itertools.count(1)
        self._runner = asyncio.Runner()
        self._listen()

    def _listen(self) -> None:
        observer: Any = self.server.container.edge._observer
        observer.crashed = lambda _, error: self.bugs.append("".join(traceback.format_exception(error)))

    def send(self, prepared: requests.PreparedRequest) -> Response:
        """Send a request that was prepared for a network."""
        assert prepared.url is not None
        answer = self.exchange(
            prepared.method or "GET",
            prepared.url.removeprefix(BASE),
            {name: _text(value) for name, value in prepared.headers.items()},
            body_of(prepared),
        )
        return Response(
            status_code=answer.status,
            headers={name: [value] for name, value in answer.headers.items()},
            content=answer.raw,
            request=prepared,
            elapsed=0.0,
            verify=True,
        )

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request of the administrator's, with a JSON body if any."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"authorization": f"Bearer {self.server.administrator()}", "content-type": kind}
        return self.exchange(method, path, headers, body)

    def count(self) -> int:
        """Return the next number, for names that must differ."""
        return next(self._numbers)

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send one request from its parts and wait for the whole answer."""
        sent = {"host": HOST, **headers}
        return self._runner.run(exchange(self.server.container.app, method, target, sent, body))

    def close(self) -> None:
        """End the event loop."""
        self._runner.close()


_ROOM: Final = dict.fromkeys(
    (
        "root_authorities",
        "intermediate_authorities",
        "certificate_templates",
        "public_authorities",
        "dns_configurations",
        "notification_destinations",
    ),
    500,
)


class _AcmeEverywhere(FakeAcme):
    """CAs at all addresses, those that a run makes up among them: one that is silent would be a 503 rightly."""

    def session(self, account: AcmeAccount) -> FakeAcmeSession:
        self.cas.setdefault(account.directory_url, self.cas[PRODUCTION])
        return super().session(account)


@contextmanager
def wired(path: Path, **settings: object) -> Iterator[Wire]:
    """Run a server for the length of a block, with a clock that stands still and room for what a run makes."""
    clock = FrozenClock(START_OF_TESTS)
    dns = FakeDns(clock)
    acme = _AcmeEverywhere({url: make_ca(clock, dns) for url in (PRODUCTION, STAGING)})
    given = {
        "limits": _ROOM,
        "acme_directory_production": PRODUCTION,
        "acme_directory_staging": STAGING,
        **settings,
    }
    with in_process(
        path, clock, acme=acme, dns=CheckedProviders(dns, clock), propagation=dns.propagation(), **given
    ) as server:
        wire = Wire(server)
        try:
            yield wire
        finally:
            wire.close()


def body_of(prepared: requests.PreparedRequest) -> bytes:
    """Return the body as it is sent."""
    body = prepared.body or b""
    assert isinstance(body, str | bytes)
    return body.encode() if isinstance(body, str) else body


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
