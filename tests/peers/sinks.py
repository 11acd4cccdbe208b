"""Receivers of notices on loopback: a webhook that remembers, and a mail server that takes everything it is told to."""

from __future__ import annotations

import json
import socketserver
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
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""

    def take(self, request: Received) -> int:
        """Remember a request and return the status of its answer."""
        self.received.append(request)
        return self.statuses.pop(0) if self.statuses else 204


@contextmanager
def running_webhook_sink() -> Iterator[WebhookSink]:
    """Run a webhook receiver for the length of a block."""
    sink = WebhookSink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(sink.take(Received(path=self.path, headers=headers, body=body)))
            for name, value in sink.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sink.answer)))
            self.end_headers()
            self.wfile.write(sink.answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (of the library)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
    """An e-mail with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


@dataclass
class SmtpSink:
    """A mail server without TLS.

    Attributes:
        refused: recipients it does not know.
        refuse_data: the code that messages are refused with, if they are.
    """

    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refuse_data: int | None = None


class _SmtpHandler(socketserver.StreamRequestHandler):
    """One connection. Source: RFC 5321."""

    def handle(self) -> None:
        self._sender = ""
        self._recipients: list[str] = []
        self._say("220 sink.example.com")
        for line in iter(self.rfile.readline, b""):
            text = line.decode().strip()
            answer = self._answer(text[:4].upper(), text.partition(":")[2].strip().strip("<>").split(">")[0])
            self._say(answer)
            if answer.startswith("221"):
                return

    def _answer(self, word: str, argument: str) -> str:
        assert isinstance(self.server, _SmtpServer)
        sink = self.server.sink
        if word == "MAIL":
            self._sender, self._recipients = argument, []
        elif word == "RCPT":
            if argument in sink.refused:
                return "550 unknown"
            self._recipients.append(argument)
        elif word == "DATA":
            if sink.refuse_data is not None:
                return f"{sink.refuse_data} secret words of the server"
            self._say("354 go on")
            message = message_from_bytes(self._content(), policy=policy.default)
            assert isinstance(message, EmailMessage)
            sink.mails.append(Mail(sender=self._sender, recipients=tuple(self._recipients), message=message))
        elif word == "QUIT":
            return "221 bye"
        elif word not in {"EHLO", "HELO", "RSET", "NOOP"}:
            return "502 unknown command"
        return "250 sink.example.com"

    def _content(self) -> bytes:
        lines = iter(self.rfile.readline, b".\r\n")
        return b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class _SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, sink: SmtpSink) -> None:
        super().__init__(("127.0.0.1", 0), _SmtpHandler)
        self.sink = sink


@contextmanager
def running_smtp_sink() -> Iterator[SmtpSink]:
    """Run a mail server for the length of a block."""
    sink = SmtpSink()
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
