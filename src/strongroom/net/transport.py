"""Connections of the HTTP library, opened by the guard and held to one deadline.

Imported when the first request is made: the library takes a fifth of a second.
"""

from __future__ import annotations

import contextvars
import select
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore2

from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard

deadline_of_exchange: contextvars.ContextVar[Deadline] = contextvars.ContextVar("deadline_of_exchange")
"""What the thread's present exchange has left; a pooled connection serves one exchange after the other."""

_IDLE_SECONDS: Final = 4.0
"""Servers commonly close after five; a request on a connection that is being closed would fail for no reason."""
_MAX_CONNECTIONS: Final = 100
_MAX_IDLE: Final = 20


def connection_pool(guard: Guard, *, is_operators: bool, context: ssl.SSLContext) -> httpcore2.ConnectionPool:
    """Return a pool whose connections were all checked under the same rule and trust the same."""
    return httpcore2.ConnectionPool(
        ssl_context=context,
        max_connections=_MAX_CONNECTIONS,
        max_keepalive_connections=_MAX_IDLE,
        keepalive_expiry=_IDLE_SECONDS,
        network_backend=_GuardedBackend(guard, is_operators=is_operators),
    )


class _GuardedBackend(httpcore2.NetworkBackend):
    """Opens connections through the guard, which resolves the name and pins the address."""

    def __init__(self, guard: Guard, *, is_operators: bool) -> None:
        self._guard = guard
        self._is_operators = is_operators

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        opened = self._guard.connect(host, port, is_operators=self._is_operators, deadline=deadline_of_exchange.get())
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _LimitedStream(opened)


class _LimitedStream(httpcore2.NetworkStream):
    """A connection on which every wait ends with the exchange; the library's own limits are for single waits."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._limit()
        return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._limit()
                buffer = buffer[self._socket.send(buffer) :]
        except TimeoutError:
            raise
        except OSError as error:
            # The library then reads what the server may have said before it closed.
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        try:
            self._limit()
            return _LimitedStream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except BaseException:
            self._socket.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Tell whether an idle connection has something to read: then the server is closing it."""
        if info != "is_readable":
            return None
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def _limit(self) -> None:
        self._socket.settimeout(deadline_of_exchange.get().left())


def exchange(
    pool: httpcore2.ConnectionPool,
    request: httpcore2.Request,
    *,
    deadline: Deadline,
    max_header_bytes: int,
    max_bytes: int,
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Send a request and return status, headers and body of its answer.

    Raises:
        TimeoutError: it took too long, in all.
        OverlongError: headers or body are too large.
        OSError: the connection failed.
        httpcore2.ProtocolError: the answer is no HTTP.
        StrongroomError: of the guard.
    """
    token = deadline_of_exchange.set(deadline)
    try:
        request.extensions = {"timeout": {"pool": deadline.left()}}
        response = pool.handle_request(request)
        try:
            size = sum(len(name) + len(content) for name, content in response.headers)
            if size > max_header_bytes:
                raise OverlongError("headers", max_header_bytes)
            body = bytearray()
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > max_bytes:
                    raise OverlongError("body", max_bytes)
            return response.status, response.headers, bytes(body)
        finally:
            response.close()
    finally:
        deadline_of_exchange.reset(token)


class OverlongError(Exception):
    """An answer is larger than is read.

    Attributes:
        part: which part of it.
        limit: bytes that are read.
    """

    def __init__(self, part: str, limit: int) -> None:
        super().__init__(part, limit)
        self.part = part
        self.limit = limit
