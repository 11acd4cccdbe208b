"""HTTP connections with the limits that the protocol's implementation leaves to others.

Nobody has shown a token yet when the head of a request arrives, so it may be neither endless nor
endlessly slow: either would keep memory or a descriptor for as long as the caller likes.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_log = logging.getLogger("uvicorn.connection")
# Below are complaints about what callers send: anybody could fill the log with them.
_log.setLevel(logging.ERROR)

MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and headers together; tokens take up to 16 KiB of it."""

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Part(Enum):
    """What of a request was read last."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class _Together:
    """The transport as one answer sees it: the head leaves with the first part of the body.

    By themselves they would be two system calls and two packets, and wake the client twice.
    """

    __slots__ = ("_cycle", "_head", "_transport", "close", "is_closing")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head: bytes | None = None
        self.close = self._transport.close
        self.is_closing = self._transport.is_closing

    def write(self, data: bytes) -> None:
        """Send it, unless it is the head."""
        if not self._cycle.response_started:
            # "100 Continue": the client waits for it before it sends its body.
            self._transport.write(data)
        elif self._head is None:
            self._head = data
        elif self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        else:
            self._transport.write(data)


class BoundedProtocol(HttpToolsProtocol):
    """One connection; a head must be complete soon, and small."""

    head_within_s: ClassVar[float] = 30.0
    """Also how long a body that nobody waits for any more may still drip in."""

    _part = _Part.NOTHING
    _head_bytes = 0
    _came_bytes = 0
    _refused = False
    _hurry: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        """Take what uvicorn gives to every connection."""
        super().__init__(*args, **more)
        self.logger = _log

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._press()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and look whether it gets anywhere."""
        if self._refused:
            return
        before, cycle = self._part, self.cycle
        self._came_bytes = len(data) + (self._came_bytes if before is _Part.HEAD else 0)
        if before is _Part.HEAD:
            # A single header may arrive in any number of pieces, and is no header before the last one.
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse()
                return
        super().data_received(data)
        if self._part is _Part.HEAD or (self._part is before is _Part.NOTHING and self.cycle is cycle):
            self._press()

    def on_message_begin(self) -> None:
        """Note the begin of a head."""
        super().on_message_begin()
        self._part, self._head_bytes = _Part.HEAD, 0

    def on_headers_complete(self) -> None:
        """Start the request unless its head was too large."""
        self._part = _Part.BODY
        self._relax()
        # Counted only where it can be too large.
        if self._came_bytes > MAX_HEAD_BYTES and self._length_of_head() > MAX_HEAD_BYTES:
            self._refuse()
            return
        super().on_headers_complete()
        # Its task has been made, but runs only after this.
        self.cycle.transport = _Together(self.cycle)  # type: ignore[assignment]  # it is all that an answer uses

    def on_body(self, body: bytes) -> None:
        """Hand on a part of the body."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the request."""
        self._part = _Part.NOTHING
        self._relax()
        if not self._refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; the rest of an unread body gets little time."""
        super().on_response_complete()
        if self._part is _Part.BODY:
            self._press()

    def _length_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _press(self) -> None:
        if self._hurry is None:
            self._hurry = self.loop.call_later(self.head_within_s, self._give_up)

    def _relax(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _give_up(self) -> None:
        self._hurry = None
        if self._is_answering():
            # An earlier request is still at work; what comes behind it can wait as well.
            self._press()
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        self._refused = True
        self._relax()
        if not self._is_answering():
            # In the middle of an earlier answer these lines would look like a part of it.
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete
