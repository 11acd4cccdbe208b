"""The HTTP client for DNS providers, webhooks, and everything else that the server calls."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from strongroom import __version__
from strongroom.kernel.clock import Clock, SystemClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.value import value
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard, Target, tls_problem, unreachable
from strongroom.net.retry_after import parse_retry_after
from strongroom.net.tls import client_context

if TYPE_CHECKING:
    import httpcore2

USER_AGENT: Final = f"Strongroom/{__version__}"
TIMEOUT: Final = timedelta(seconds=30)
MAX_BYTES: Final = 1024 * 1024
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_REDIRECTS: Final = 5
_MAX_POOLS: Final = 32
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~]*")
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_HARMLESS: Final = frozenset({"accept", "accept-language", "user-agent"})
"""What another server may see after a redirect; any other header may hold a credential."""


@value
class Answer:
    """What a server answered, whatever its status.

    Attributes:
        host: that answered.
        status: of HTTP.
        headers: by name in lower case; values of the same name joined by commas.
        body: complete.
        retry_after: of its header, within bounds.
    """

    host: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        """Tell whether the status is one of 200 to 299."""
        return 200 <= self.status <= 299

    @property
    def is_temporary(self) -> bool:
        """Tell whether the server wants to be asked again later: 429 and 500 to 599."""
        return self.status == 429 or self.status >= 500

    def json(self) -> Any:
        """Return the body as plain values.

        Raises:
            Unavailable: it is no JSON; most often something on the way answered in the place of the service.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unavailable(
                ErrorCode.UNAVAILABLE,
                f"{self.host} answered with something that is not JSON (status {self.status}).",
                retry_after=self.retry_after,
            ) from None

    def raise_if_temporary(self) -> None:
        """Raise for the statuses 429 and 500 to 599.

        Raises:
            Unavailable: with the time that the server asked for.
        """
        if self.is_temporary:
            detail = f"{self.host} answered with status {self.status}."
            raise Unavailable(ErrorCode.UNAVAILABLE, detail, retry_after=self.retry_after)


class HttpClient:
    """Sends requests through the guard; one for the process, used by all threads.

    Proxies named in the environment of the process are ignored, cookies are not kept, and only HTTP/1.1 is spoken.

    Args:
        guard: says where to.
        clock: what dates in ``Retry-After`` are counted from.
    """

    def __init__(self, guard: Guard, *, clock: Clock | None = None) -> None:
        self._guard = guard
        self._clock = clock or SystemClock()
        self._pools = _Pools(guard)

    def close(self) -> None:
        """Close the connections that are idle, and the others once their exchanges end."""
        self._pools.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        content: bytes | None = None,
        timeout: timedelta = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        is_operators: bool = False,
        allow_http: bool = False,
        follow_redirects: bool = False,
        trust_pem: str | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever the status.

        Args:
            method: in capitals.
            url: absolute, with its query.
            headers: besides those that every request has.
            json: sent as the body, with its content type; ``content`` otherwise.
            content: the body as bytes.
            timeout: for everything together: finding the address, connecting, sending, and the last byte of the answer.
            max_bytes: largest body that is read.
            is_operators: the host comes from the settings, so it may be private and speak plain HTTP.
            allow_http: plain HTTP is fine.
            follow_redirects: of GET and HEAD; each hop is checked like the first, and other servers get no credential.
            trust_pem: certificates to trust in the place of the system's.

        Raises:
            Invalid: ``destination_not_allowed`` and the other errors of `Guard.check_url`.
            Unavailable: nothing usable came back: no connection, no trusted certificate, too late, too much, no HTTP.
        """
        target = self._guard.check_url(url, is_operators=is_operators, allow_http=allow_http)
        sent, body = _prepared(method, headers or {}, json, content)
        deadline = Deadline(timeout)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._exchange(method, target, sent, body, deadline, max_bytes, is_operators, trust_pem)
            location = answer.headers.get("location")
            is_redirect = answer.status in _REDIRECTS and location is not None and method in {"GET", "HEAD"}
            if not (follow_redirects and is_redirect and location):
                return answer
            following = self._hop(target, location, is_operators=is_operators, allow_http=allow_http)
            if following.origin != target.origin:
                is_operators = False
                sent = {name: content for name, content in sent.items() if name.lower() in _HARMLESS}
            target = following
        raise Unavailable(ErrorCode.UNAVAILABLE, f"{target.host} redirects more than {MAX_REDIRECTS} times.")

    def _hop(self, target: Target, location: str, *, is_operators: bool, allow_http: bool) -> Target:
        """Return where a redirect leads, under the rules of a host that nobody vouches for."""
        try:
            url = urljoin(f"{target.scheme}://{target.authority}{target.path}", location)
        except ValueError:
            raise Unavailable(ErrorCode.UNAVAILABLE, f"{target.host} redirects to something that is no URL.") from None
        is_same = url.startswith(f"{target.scheme}://{target.authority}/")
        following = self._guard.check_url(url, is_operators=is_operators and is_same, allow_http=allow_http)
        if target.scheme == "https" and following.scheme != "https":
            raise Invalid(
                ErrorCode.DESTINATION_NOT_ALLOWED,
                f"{target.host} redirects from https:// to http:// at {following.host}, which is not followed.",
            )
        return following

    def _exchange(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes,
        deadline: Deadline,
        max_bytes: int,
        is_operators: bool,  # noqa: FBT001  (passed on)
        trust_pem: str | None,
    ) -> Answer:
        # The library takes a fifth of a second to import.
        import httpcore2

        from strongroom.net.transport import OverlongError, exchange

        request = httpcore2.Request(
            method,
            httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers=[("Host", target.authority), *headers.items(), ("Content-Length", str(len(body)))],
            content=body,
        )
        try:
            with self._pools.lease(is_operators=is_operators, trust_pem=trust_pem) as pool:
                status, received, content = exchange(
                    pool, request, deadline=deadline, max_header_bytes=MAX_HEADER_BYTES, max_bytes=max_bytes
                )
        except OverlongError as error:
            detail = f"{target.host} answered with more than {error.limit} bytes of {error.part}."
            raise Unavailable(ErrorCode.UNAVAILABLE, detail) from None
        except httpcore2.TimeoutException:
            raise unreachable(target.host, TimeoutError(), deadline) from None
        except ssl.SSLError as error:
            raise tls_problem(target.host, error) from None
        except OSError as error:
            raise unreachable(target.host, error, deadline) from None
        except (httpcore2.ProtocolError, httpcore2.NetworkError):
            detail = f"{target.host} broke the connection off or does not speak HTTP/1.1."
            raise Unavailable(ErrorCode.UNAVAILABLE, detail) from None
        return self._answer(target, status, received, content)

    def _answer(self, target: Target, status: int, received: list[tuple[bytes, bytes]], content: bytes) -> Answer:
        headers: dict[str, str] = {}
        for raw_name, raw_value in received:
            name, text = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        if headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
            raise Unavailable(ErrorCode.UNAVAILABLE, f"{target.host} answered compressed, which nobody asked for.")
        wait = parse_retry_after(headers.get("retry-after"), now=self._clock.now())
        return Answer(host=target.host, status=status, headers=headers, body=content, retry_after=wait)


class _Pools:
    """Keeps connections apart that were checked under different rules or trust different certificates."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[bool, str | None], _Entry] = OrderedDict()

    @contextlib.contextmanager
    def lease(self, *, is_operators: bool, trust_pem: str | None) -> Iterator[httpcore2.ConnectionPool]:
        """Give the pool for one exchange; a pool that is not wanted any more is closed after its last one."""
        from strongroom.net.transport import connection_pool

        key = (is_operators, trust_pem)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                context = client_context(trust_pem)
                pool = connection_pool(self._guard, is_operators=is_operators, context=context)
                entry = self._entries[key] = _Entry(pool)
            entry.users += 1
            self._entries.move_to_end(key)
            dropped = [self._entries.popitem(last=False)[1] for _ in range(len(self._entries) - _MAX_POOLS)]
            for item in dropped:
                item.is_dropped = True
            unused = [item for item in dropped if not item.users]
        for item in unused:
            item.pool.close()
        try:
            yield entry.pool
        finally:
            with self._lock:
                entry.users -= 1
                is_last = entry.is_dropped and not entry.users
            if is_last:
                entry.pool.close()

    def close(self) -> None:
        """Forget all pools, and close those that nobody uses."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
            for entry in entries:
                entry.is_dropped = True
            unused = [entry for entry in entries if not entry.users]
        for entry in unused:
            entry.pool.close()


class _Entry:
    __slots__ = ("is_dropped", "pool", "users")

    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self.pool = pool
        self.users = 0
        self.is_dropped = False


def _prepared(
    method: str, headers: Mapping[str, str], json_body: object | None, content: bytes | None
) -> tuple[dict[str, str], bytes]:
    """Return headers and body as they are sent."""
    if not _METHOD.fullmatch(method):
        raise Invalid(ErrorCode.INVALID_FIELD, "The method must be a word in capitals.")
    sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    body = content or b""
    if json_body is not None:
        body = json.dumps(json_body, ensure_ascii=False).encode()
        sent["Content-Type"] = "application/json"
    for name, text in headers.items():
        # Their values may be credentials: never shown.
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise Invalid(
                ErrorCode.INVALID_FIELD, f"The header {name[:64]!r} has characters that a header cannot have."
            )
        if name.lower() in _OURS:
            continue
        sent = {known: kept for known, kept in sent.items() if known.lower() != name.lower()}
        sent[name] = text
    return sent, body
