"""A server on loopback that answers like the API, as far as the commands need it."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from strongroom.cli.main import run

APIKEY = "planted-api-key-3f9d2c7b"
TOKEN = "planted.access.token"
SECRET_ID = "1f6a0d4e-52c3-4a58-9b7e-8e3f1c2d4b5a"
JOB_ID = "9d0c1b2a-3f48-4b1a-8f6e-e07b5f943c2d"
LEAF = "-----BEGIN CERTIFICATE-----\nMIIDazCCAlOgAwIBAgIUT3xq\n-----END CERTIFICATE-----\n"
ISSUER = "-----BEGIN CERTIFICATE-----\nMIIDqTCCApGgAwIBAgIUBd92\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n"
REQUEST = "-----BEGIN CERTIFICATE REQUEST-----\nMIICijCCAXICAQAwRTEL\n-----END CERTIFICATE REQUEST-----\n"

CERTIFICATE: dict[str, Any] = {
    "id": SECRET_ID,
    "name": "shop-web",
    "secret_type": "imported_cert",
    "secret_group_id": "default",
    "labels": ["dev", "us-south"],
    "state": 1,
    "state_description": "active",
    "locks_total": 0,
    "expiration_date": "2027-03-01T23:59:59Z",
    "validity": {"not_before": "2026-03-01T00:00:00Z", "not_after": "2027-03-01T23:59:59Z"},
    "certificate": LEAF,
    "intermediate": ISSUER,
    "private_key": KEY,
}


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Answer:
    """What the server says."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


def refusal(status: int, code: str, message: str, name: str | None = None, **headers: str) -> Answer:
    entry: dict[str, Any] = {"code": code, "message": message, "more_info": "https://docs.example.com/errors"}
    if name:
        entry["target"] = {"type": "field", "name": name}
    body = {"errors": [entry], "trace": "3f0f2a5a-6b0d", "status_code": status}
    return Answer(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


Reply = Answer | Callable[[Request], Answer]


class FakeServer:
    """Answers from a table of routes and remembers what it was asked; a route's answers are used up in order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.routes: list[tuple[str, re.Pattern[str], list[Reply]]] = []
        self.apikey = APIKEY
        self.token = TOKEN
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
                request = Request(self.command, parts.path, query, self.headers, raw)
                answer = outer.answer(request)
                payload = b"" if answer.body is None else json.dumps(answer.body).encode()
                payload = payload if answer.raw is None else answer.raw
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 -- the library's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
                """Say nothing."""

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Answer this route; the last reply stays."""
        self.routes.insert(0, (method, re.compile(path), list(replies)))

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path == "/identity/token":
            form = parse_qs(request.raw.decode())
            assert form["grant_type"] == ["urn:ibm:params:oauth:grant-type:apikey"]
            if form["apikey"] != [self.apikey]:
                body = {
                    "errorCode": "BXNIM0415E",
                    "errorMessage": "Provided API key could not be found.",
                    "errorDetails": "",
                }
                return Answer(400, body)
            return Answer(200, {"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return refusal(401, "token_invalid", "The access token is not valid.")
        for method, pattern, replies in self.routes:
            if method == request.method and pattern.fullmatch(request.path):
                reply = replies[0] if len(replies) == 1 else replies.pop(0)
                return reply(request) if callable(reply) else reply
        return refusal(404, "not_found", "There is no such thing.")

    @property
    def api_requests(self) -> list[Request]:
        return [request for request in self.requests if request.path != "/identity/token"]

    @property
    def last(self) -> Request:
        return self.requests[-1]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Strongroom = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the profile of whoever runs the tests out of them."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("XDG_CONFIG_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def alone(capfd: pytest.CaptureFixture[str]) -> Strongroom:
    """Run a command line that knows no server."""

    def go(*words: str) -> Ran:
        capfd.readouterr()
        code = run(words)
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return go


@pytest.fixture
def strongroom(alone: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Strongroom:
    """Run a command line that is told of the server through the environment."""
    monkeypatch.setenv("STRONGROOM_URL", server.url)
    monkeypatch.setenv("STRONGROOM_APIKEY", APIKEY)
    return alone
