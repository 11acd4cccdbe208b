"""Receivers of notices on loopback: a webhook that remembers, and a mail server that takes everything it is told to."""

from __future__ import annotations

import base64
import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as plain values."""
        return json.loads(self.body)


@dataclass
class WebhookSink:
    """A webhook receiver.

    Attributes:
        url: its address.
        statuses: answered one after the other, then 204.
        answer_headers: in every answer.
        answer: body of every answer that has one.
        silent: it reads what comes, and answers nothing until it is set.
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    silent: threading.Event | None = None

    def take(self, request: Received) -> int:
        """Remember a request and return the status of its answer."""
        self.received.append(request)
        if self.silent is not None:
            self.silent.wait(60)
        return self.statuses.pop(0) if self.statuses else 204


@contextmanager
def running_webhook_sink(port: int = 0) -> Iterator[WebhookSink]:
    """Run a webhook receiver for the length of a block; on any port unless one is given."""
    sink = WebhookSink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = sink.take(Received(path=self.path, headers=headers, body=body))
            # Whoever asked may be dead by now.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in sink.answer_headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sink.answer)))
                self.end_headers()
                self.wfile.write(sink.answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (of the library)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    sink.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """An e-mail with its envelope.

    Attributes:
        encrypted: whether it came over TLS.
        user: who had logged in.
    """

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool = False
    user: str | None = None


@dataclass
class SmtpSink:
    """A mail server.

    Attributes:
        context: for TLS; without it there is none.
        is_tls: whether connections are encrypted from their first byte.
        offers_starttls: whether it says that it can; somebody between could have cut that out.
        passwords: of its users; whoever writes has to log in if there are any.
        refused: recipients it does not know.
        refuse_data: the code that messages are refused with, if they are.
        logins: user, password and whether they came over TLS, of every login.
        commands: first words of everything it was told.
    """

    context: ssl.SSLContext | None = None
    is_tls: bool = False
    offers_starttls: bool = True
    passwords: dict[str, str] = field(default_factory=dict)
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refuse_data: int | None = None
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


class _SmtpHandler(socketserver.StreamRequestHandler):
    """One connection. Sources: RFC 5321, 3207 (STARTTLS) and 4954 (AUTH)."""

    def handle(self) -> None:
        assert isinstance(self.server, _SmtpServer)
        self._sink = self.server.sink
        self._user: str | None = None
        self._sender = ""
        self._recipients: list[str] = []
        # A client that trusts nothing here hangs up in the middle.
        with contextlib.suppress(OSError):
            if self._sink.is_tls:
                self._encrypt()
            self._say("220 sink.example.com")
            while line := self._line():
                answer = self._answer(line[:4].upper().strip(), line)
                self._say(answer)
                if answer.startswith("221"):
                    return
                if answer == _GO:
                    self._encrypt()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
            self.connection.close()

    @property
    def _encrypted(self) -> bool:
        return isinstance(self.connection, ssl.SSLSocket)

    def _encrypt(self) -> None:
        assert self._sink.context is not None
        self.connection = self._sink.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)

    def _answer(self, word: str, line: str) -> str:
        sink = self._sink
        sink.commands.append(word)
        if word in {"EHLO", "HELO"}:
            return self._greeting()
        if word == "STAR" and self._can_encrypt():
            return _GO
        if word == "AUTH" and sink.passwords:
            return self._login(line.split(" ")[1:])
        if word == "QUIT":
            return "221 bye"
        if word in {"RSET", "NOOP"}:
            return _FINE
        return self._take(word, line.partition(":")[2].strip().strip("<>").split(">")[0])

    def _take(self, word: str, argument: str) -> str:
        sink = self._sink
        if word not in {"MAIL", "RCPT", "DATA"}:
            return "502 unknown command"
        if sink.passwords and self._user is None:
            return "530 log in first"
        if word == "MAIL":
            self._sender, self._recipients = argument, []
        elif word == "RCPT":
            if argument in sink.refused:
                return "550 unknown"
            self._recipients.append(argument)
        elif sink.refuse_data is not None:
            return f"{sink.refuse_data} secret words of the server"
        else:
            self._say("354 go on")
            self._take_message()
        return _FINE

    def _can_encrypt(self) -> bool:
        return self._sink.context is not None and self._sink.offers_starttls and not self._encrypted

    def _greeting(self) -> str:
        offers = ["sink.example.com"]
        offers += ["STARTTLS"] if self._can_encrypt() else []
        offers += ["AUTH PLAIN LOGIN"] if self._sink.passwords else []
        return "\r\n".join([*(f"250-{offer}" for offer in offers), "250 8BITMIME"])

    def _login(self, words: list[str]) -> str:
        if words[0].upper() == "PLAIN":
            _, user, password = _decoded(words[1]).split("\0")
        else:
            user = _decoded(words[1])
            self._say("334 UGFzc3dvcmQ6")
            password = _decoded(self._line())
        self._sink.logins.append((user, password, self._encrypted))
        if self._sink.passwords.get(user) != password:
            return f"535 wrong: {password}"
        self._user = user
        return "235 welcome"

    def _take_message(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        content = b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self._sink.mails.append(
            Mail(
                sender=self._sender,
                recipients=tuple(self._recipients),
                message=message,
                encrypted=self._encrypted,
                user=self._user,
            )
        )

    def _line(self) -> str:
        return self.rfile.readline().decode().strip()

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


_GO = "220 go"
_FINE = "250 sink.example.com"


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


class _SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, sink: SmtpSink) -> None:
        super().__init__(("127.0.0.1", 0), _SmtpHandler)
        self.sink = sink


@contextmanager
def running_smtp_sink(sink: SmtpSink | None = None) -> Iterator[SmtpSink]:
    """Run a mail server for the length of a block; without TLS and logins unless told otherwise."""
    sink = sink or SmtpSink()
    server = _SmtpServer(sink)
    sink.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def webhook_sink() -> Iterator[WebhookSink]:
    """Give a webhook receiver."""
    with running_webhook_sink() as sink:
        yield sink


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """Give a mail server."""
    with running_smtp_sink() as sink:
        yield sink
