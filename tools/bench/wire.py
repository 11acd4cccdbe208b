"""A small JSON client for servers on loopback, for setting up and for checking answers before load."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT_S = 20.0
_POLL_S = 0.002


class UnexpectedAnswerError(Exception):
    """A server answered what the benchmark cannot use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, its body not read yet as anything."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Client:
    """One kept connection; opened again when the server closed it.

    A server may close an idle connection at the very moment of the next request, so a GET on a connection that was
    used before is sent once more on a new one. Nothing else is ever sent twice.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = "") -> Answer:
        """Send one request and return whatever is answered.

        Raises:
            OSError: if nobody listens or the connection breaks.
        """
        was_open = self._connection.sock is not None
        try:
            return self._exchange(method, path, headers or {}, body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if was_open and method == "GET":
                return self.send(method, path, headers=headers, body=body)
            raise ConnectionError(f"{method} {path}: {error!r}") from error

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: str) -> Answer:
        self._connection.request(method, path, body=body.encode() or None, headers=dict(headers))
        response = self._connection.getresponse()
        return Answer(status=response.status, body=response.read())

    def expect(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = "", status: int = 200
    ) -> Any:
        """Send one request and return the JSON of its answer.

        Raises:
            UnexpectedAnswerError: if the status is another one.
        """
        answer = self.send(method, path, headers=headers, body=body)
        if answer.status != status:
            message = f"{method} {path} answered {answer.status}, not {status}: {answer.body[:500]!r}"
            raise UnexpectedAnswerError(message)
        return answer.json() if answer.body else None


def wait_until(ready: Callable[[], bool], *, alive: Callable[[], None], timeout_s: float, what: str) -> None:
    """Ask again and again, with hardly a pause, until something is ready.

    Args:
        ready: answers whether it is; an `OSError` from it means not yet.
        alive: raises if waiting has become pointless.
        timeout_s: how long to wait at most.
        what: what is waited for, in words.

    Raises:
        TimeoutError: if it is not ready in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except OSError:
            alive()
        time.sleep(_POLL_S)
    message = f"{what} was not ready after {timeout_s:.0f} s"
    raise TimeoutError(message)
