"""Small servers on loopback that answer as a test wants, over TCP or TLS, and note what they were sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.factories.certificates import Made, make_ca, make_leaf

Script = Callable[[socket.socket, bytes], None]
"""Answers one request: gets the connection and the request's head."""


class LoopbackServer:
    """Listens until it is closed; each connection has a thread.

    Attributes:
        port: on 127.0.0.1.
        heads: request heads in the order of their arrival.
        connections: how many were accepted.
    """

    def __init__(self, script: Script, *, context: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.heads: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Stop listening and end all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            with contextlib.suppress(OSError, ValueError):
                if self._context is not None:
                    connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
                self._open.append(connection)
                while head := _head(connection):
                    self.heads.append(head)
                    self._script(connection, head)


def _head(connection: socket.socket) -> bytes:
    """Return a request up to its empty line, its body read and left away; nothing at the end."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(4096)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> Script:
    """Return a script that gives the same answer to every request."""

    def script(connection: socket.socket, head: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)

    return script


@contextlib.contextmanager
def loopback(script: Script, *, context: ssl.SSLContext | None = None) -> Iterator[LoopbackServer]:
    """Run a server."""
    server = LoopbackServer(script, context=context)
    try:
        yield server
    finally:
        server.close()


def server_context(folder: Path, *names: str, issuer: Made) -> ssl.SSLContext:
    """Return a context with a new certificate for names, signed by a CA."""
    leaf = make_leaf(names=names, issuer=issuer)
    path = folder / "server.pem"
    path.write_text(leaf.key_pem + leaf.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def private_ca() -> Made:
    """Return a CA that no system knows."""
    return make_ca("Loopback Root")
