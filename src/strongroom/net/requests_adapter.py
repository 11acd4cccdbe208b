"""A session of ``requests`` for libraries that want one; what it sends goes through our own client."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from strongroom.kernel.clock import Clock
from strongroom.net.client import MAX_BYTES, TIMEOUT, USER_AGENT, HttpClient
from strongroom.net.guard import Guard


def guarded_session(
    guard: Guard,
    *,
    is_operators: bool = False,
    allow_http: bool = False,
    trust_pem: str | None = None,
    timeout: timedelta = TIMEOUT,
    max_bytes: int = MAX_BYTES,
    clock: Clock | None = None,
) -> requests.Session:
    """Return a session that contacts only what the guard allows.

    Redirects are handed back and not followed, cookies are not kept, and neither proxies, certificates nor passwords
    are taken from the environment. ``verify``, ``cert`` and ``proxies`` of single requests have no effect; a shorter
    ``timeout`` has, and counts for the whole exchange. Whoever makes the session closes it.

    Calls of the session raise the errors of `HttpClient.request` (`Unavailable`, `Invalid`), which are none of
    ``requests``.

    Args:
        guard: says where to.
        is_operators: every URL comes from the settings, or from a server named there.
        allow_http: plain HTTP is fine.
        trust_pem: certificates to trust in the place of the system's.
        timeout: of one request with its answer.
        max_bytes: largest body that is read.
        clock: what dates in ``Retry-After`` are counted from.
    """
    session = _GuardedSession()
    # No certificates, proxies and netrc from the environment.
    session.trust_env = False
    session.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT, "Accept": "*/*"})
    adapter = _GuardedAdapter(
        HttpClient(guard, clock=clock),
        {"is_operators": is_operators, "allow_http": allow_http, "trust_pem": trust_pem, "max_bytes": max_bytes},
        timeout,
    )
    session.adapters.clear()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _GuardedSession(requests.Session):
    """Follows no redirect."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that an answer leads nowhere else."""


class _GuardedAdapter(BaseAdapter):
    """Sends prepared requests with our client."""

    def __init__(self, client: HttpClient, options: dict[str, Any], timeout: timedelta) -> None:
        super().__init__()
        self._client = client
        self._options = options
        self._timeout = timeout

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002  (of the library)
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002  (of the library)
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request and return its answer, read to the end."""
        limit = self._timeout
        if isinstance(timeout, int | float):
            limit = min(limit, timedelta(seconds=timeout))
        body = request.body or b""
        if not isinstance(body, str | bytes):
            raise TypeError("bodies that are streamed are not sent")
        answer = self._client.request(
            request.method or "GET",
            request.url or "",
            headers={name: _text(content) for name, content in request.headers.items()},
            content=body.encode() if isinstance(body, str) else body,
            timeout=limit,
            **self._options,
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = BytesIO(answer.body)
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _text(content: str | bytes) -> str:
    return content.decode("latin-1") if isinstance(content, bytes) else content
