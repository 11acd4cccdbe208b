"""The one HTTP client of the command line, on the standard library.

Nothing else in ``cli`` opens a connection. Imported only by commands that need a server: ``http.client`` and
``ssl`` would cost every ``--help`` a third of its time.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from strongroom import __version__
from strongroom.cli.errors import CommandError, Exit, ServerRefused
from strongroom.cli.target import NO_CREDENTIAL_HINT, Target
from strongroom.kernel.errors import ErrorCode
from strongroom.kernel.secret import Secret

JSON_TYPE = "application/json"
PATCH_TYPE = "application/merge-patch+json"
FORM_TYPE = "application/x-www-form-urlencoded"
_APIKEY_GRANT = "urn:ibm:params:oauth:grant-type:apikey"

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 120.0
"""Creating a secret with a large RSA key takes its time on the server."""
MAX_REPLY_BYTES = 64 * 1024 * 1024
TRIES = 4
"""The first try and three more."""
LONGEST_WAIT_S = 30.0
IDLE_LIMIT_S = 2.0
"""A connection idle for longer is not reused: the server may be closing it while a POST is on its way."""
TOKEN_MARGIN_S = 60.0
_RETRY_READS = frozenset({429, 502, 503, 504})
_HEADER_SAFE = re.compile(r"[!-~]+")


class Client:
    """Talk to one server as one identity.

    Args:
        target: the server and the credential.
        sleep: waits between tries; replaced in tests.
    """

    def __init__(self, target: Target, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._target = target
        self._sleep = sleep
        self._links: dict[str, _Link] = {}
        self._token: Secret[str] | None = target.token
        self._token_ends = float("inf")

    def close(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            link.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return the decoded answer, ``None`` when it has no body.

        Reads are tried again on 429, 502, 503 and 504; other methods on 429 only, which says that nothing was done.

        Raises:
            ServerRefused: the server answered with an error.
            CommandError: it cannot be reached, or the answer is no JSON.
        """
        address = self._target.url + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {"Accept": JSON_TYPE, "X-Strongroom-Extensions": "1", **(headers or {})}
        if payload is not None:
            sent["Content-Type"] = PATCH_TYPE if method == "PATCH" else JSON_TYPE
        reply = self._authorised(method, address, sent, payload)
        if reply.status == http.client.UNAUTHORIZED and self._target.apikey is not None and self._target.token is None:
            # The token may have ended while we waited for a job; 401 says that nothing was done.
            self._token = None
            reply = self._authorised(method, address, sent, payload)
        return _decoded(reply)

    def call_object(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object | None = None,
    ) -> dict[str, Any]:
        """Do what `call` does, for operations that answer with an object.

        Raises:
            CommandError: as `call`, or the answer is something else.
        """
        answer = self.call(method, path, query=query, body=body)
        if not isinstance(answer, dict):
            detail = f"{self._target.url} answered {method} {path} without a JSON object."
            raise CommandError(detail, exit_code=Exit.REFUSED, code=ErrorCode.UPSTREAM_REFUSED)
        return answer

    def login(self) -> dict[str, Any]:
        """Exchange the API key for a token and return the token's description.

        Raises:
            CommandError: the key was refused, or the server cannot be reached.
        """
        if self._target.apikey is None:
            detail = f"There is no API key for {self._target.url}."
            raise CommandError(
                detail, exit_code=Exit.NOT_ALLOWED, code=ErrorCode.TOKEN_MISSING, hint=NO_CREDENTIAL_HINT
            )
        form = urlencode({"grant_type": _APIKEY_GRANT, "apikey": self._target.apikey.reveal()}).encode()
        headers = {"Accept": JSON_TYPE, "Content-Type": FORM_TYPE}
        # Exchanging a key twice does no harm, so it is tried again like a read.
        reply = self._tried("POST", self._target.token_url, headers, form, repeatable=True)
        try:
            answer = _decoded(reply)
        except ServerRefused as error:
            if error.status in {400, 401, 403}:
                raise CommandError(
                    f"The API key was refused by {self._target.token_url}: {error.detail}",
                    exit_code=Exit.NOT_ALLOWED,
                    code=ErrorCode.CREDENTIAL_REFUSED,
                    hint="Check that the key exists, is enabled and not expired, then run strongroom login.",
                ) from error
            raise
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            detail = f"{self._target.token_url} answered without an access token."
            raise CommandError(detail, exit_code=Exit.REFUSED, code=ErrorCode.UPSTREAM_REFUSED)
        life = answer.get("expires_in")
        self._token = Secret(token)
        self._token_ends = time.monotonic() + (float(life) if isinstance(life, int | float) else 3600) - TOKEN_MARGIN_S
        return {key: value for key, value in answer.items() if key not in {"access_token", "refresh_token"}}

    def _authorised(self, method: str, address: str, headers: Mapping[str, str], payload: bytes | None) -> _Reply:
        sent = {**headers}
        if not self._target.anonymous:
            if self._token is None or time.monotonic() > self._token_ends:
                self.login()
            token = self._token.reveal() if self._token else ""
            if not _HEADER_SAFE.fullmatch(token):
                detail = "The access token contains blanks or other characters that no token has."
                raise CommandError(detail, exit_code=Exit.NOT_ALLOWED, code=ErrorCode.TOKEN_INVALID)
            sent["Authorization"] = f"Bearer {token}"
        return self._tried(method, address, sent, payload, repeatable=method == "GET")

    def _tried(
        self, method: str, address: str, headers: Mapping[str, str], payload: bytes | None, *, repeatable: bool
    ) -> _Reply:
        again = _RETRY_READS if repeatable else frozenset({429})
        attempt = 1
        while True:
            reply = self._link(address).send(method, address, headers, payload, repeatable=repeatable)
            wait = reply.wait(attempt)
            if reply.status not in again or attempt == TRIES or wait > LONGEST_WAIT_S:
                return reply
            self._sleep(wait)
            attempt += 1

    def _link(self, address: str) -> _Link:
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._links:
            self._links[origin] = _Link(origin, self._target)
        return self._links[origin]


class _Reply:
    """An answer as it came."""

    __slots__ = ("address", "content_type", "raw", "retry_after", "status")

    def __init__(self, address: str, response: http.client.HTTPResponse, raw: bytes) -> None:
        self.address = address
        self.status = response.status
        self.raw = raw
        self.content_type = (response.getheader("Content-Type") or "").split(";")[0].strip().lower()
        self.retry_after = response.getheader("Retry-After")

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait before the next try."""
        if self.retry_after and self.retry_after.strip().isdigit():
            return float(self.retry_after)
        return float(0.5 * 2 ** (attempt - 1))


class _Link:
    """A connection to one origin, opened when needed and kept between requests."""

    def __init__(self, origin: str, target: Target) -> None:
        self._origin = origin
        self._target = target
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(
        self, method: str, address: str, headers: Mapping[str, str], payload: bytes | None, *, repeatable: bool
    ) -> _Reply:
        """Send one request; a read whose kept connection turned out closed is sent once more.

        Raises:
            CommandError: the server cannot be reached, or its answer is broken or too large.
        """
        if time.monotonic() - self._used_at > IDLE_LIMIT_S:
            self.close()
        kept = self._connection is not None
        try:
            try:
                return self._exchange(method, address, headers, payload)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if not (kept and repeatable):
                    raise
                return self._exchange(method, address, headers, payload)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise self._unreachable(
                f"its certificate is not trusted ({error.verify_message})",
                "Give --ca-file with the server's CA; a server that made its own keeps it in DIR/tls/ca.pem.",
            ) from error
        except ssl.SSLError as error:
            self.close()
            raise self._unreachable(
                f"the TLS handshake failed ({error.reason or 'unknown reason'})",
                "Check that the address starts with https:// only if the server speaks TLS.",
            ) from error
        except TimeoutError as error:
            self.close()
            raise self._unreachable("it did not answer in time", "Check the address, and the network.") from error
        except (http.client.RemoteDisconnected, http.client.IncompleteRead) as error:
            self.close()
            raise self._unreachable(
                "it closed the connection before the answer was complete",
                "Look whether the request was carried out before you repeat it.",
            ) from error
        except http.client.HTTPException as error:
            self.close()
            raise self._unreachable(
                f"what answers there does not speak HTTP as expected ({type(error).__name__})",
                "Check that the address starts with https:// if the server speaks TLS.",
            ) from error
        except OSError as error:
            self.close()
            raise self._unreachable(
                (error.strerror or str(error) or type(error).__name__).lower(),
                "Check the address, and that the server is running.",
            ) from error

    def _exchange(self, method: str, address: str, headers: Mapping[str, str], payload: bytes | None) -> _Reply:
        connection = self._connection or self._open()
        parts = urlsplit(address)
        resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, resource, payload, {"User-Agent": f"strongroom-cli/{__version__}", **headers})
        # Closed in any case: a body that was not read to its end holds the socket.
        with connection.getresponse() as response:
            raw = response.read(MAX_REPLY_BYTES + 1)
            if len(raw) > MAX_REPLY_BYTES:
                self.close()
                detail = f"The answer of {self._origin} is larger than {MAX_REPLY_BYTES // 1024**2} MiB."
                raise CommandError(detail, exit_code=Exit.REFUSED, code=ErrorCode.UPSTREAM_REFUSED)
            if response.length:
                # read() with a limit does not complain about a body that ends early.
                raise http.client.IncompleteRead(raw, response.length)
        self._used_at = time.monotonic()
        return _Reply(address, response, raw)

    def _open(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._origin)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=CONNECT_TIMEOUT_S, context=_tls_context(self._target)
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_TIMEOUT_S)
        # Kept before it is open, so that a broken handshake is closed as well.
        self._connection = connection
        connection.connect()
        connection.sock.settimeout(READ_TIMEOUT_S)
        return connection

    def _unreachable(self, reason: str, hint: str) -> CommandError:
        detail = f"Cannot reach {self._origin}: {reason}."
        return CommandError(detail, exit_code=Exit.UNREACHABLE, code=ErrorCode.UNAVAILABLE, hint=hint)


def _tls_context(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if target.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if target.ca_file is not None:
        try:
            context.load_verify_locations(cafile=target.ca_file)
        except (OSError, ssl.SSLError) as error:
            detail = f"The CA file {target.ca_file} cannot be used: no readable PEM certificate is in it."
            raise CommandError(detail, exit_code=Exit.USAGE, field="--ca-file") from error
    return context


def _decoded(reply: _Reply) -> Any:
    answer: Any = None
    is_json = reply.content_type == JSON_TYPE or reply.content_type.endswith("+json")
    if reply.raw and is_json:
        try:
            answer = json.loads(reply.raw)
        except ValueError:
            is_json = False
    if 200 <= reply.status < 300:
        if reply.raw and not is_json:
            raise CommandError(
                f"{_origin_of(reply)} answered with {reply.content_type or 'an unnamed type'}, not with JSON.",
                exit_code=Exit.REFUSED,
                code=ErrorCode.UPSTREAM_REFUSED,
                hint="Check that the address is that of the server itself.",
            )
        return answer
    if 300 <= reply.status < 400 and not isinstance(answer, dict):
        raise CommandError(
            f"{_origin_of(reply)} wants to redirect; redirects are not followed, because they would carry the token.",
            exit_code=Exit.REFUSED,
            code=ErrorCode.UPSTREAM_REFUSED,
            hint="Give the address that the server really has.",
        )
    body = answer if isinstance(answer, dict) else {}
    if not body:
        # A proxy before the server, most likely; its page is of no use to a person or a script.
        message = f"{_origin_of(reply)} answered with status {reply.status}."
        body = {"errors": [{"code": "upstream_refused", "message": message}], "status_code": reply.status}
    raise ServerRefused(status=reply.status, body=body, hint=_hint(reply.status))


def _hint(status: int) -> str | None:
    if status == http.client.MULTIPLE_CHOICES:
        return "Say which one you mean with --config-type."
    if status == http.client.UNAUTHORIZED:
        return "Run strongroom login, or check STRONGROOM_TOKEN."
    if status == http.client.FORBIDDEN:
        return "Ask an administrator for a role that allows this, on the instance or on the secret's group."
    if status == http.client.SERVICE_UNAVAILABLE:
        return "The server, or something it needs, is busy or away; try again in a moment."
    return None


def _origin_of(reply: _Reply) -> str:
    parts = urlsplit(reply.address)
    return f"{parts.scheme}://{parts.netloc}"
