"""Requests to one ACME server: its directory, its nonces, signed posts. Source: RFC 8555 section 6.

The ``acme`` library signs. Its own network part is not used: it tries a refused nonce once more only, verifies either
with the system's trust or not at all, and goes wherever a directory sends it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import josepy.errors
from acme import jws
from josepy import b64

from strongroom.domain.orders.acme import AcmeProblem
from strongroom.engines.public.acme_errors import malformed, refusal
from strongroom.engines.public.acme_keys import Signer
from strongroom.engines.public.acme_messages import Answer, Endpoints, read_directory
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.retry_after import parse_retry_after

NONCE_TRIES: Final = 20
"""Servers that refuse every second nonce then fail one request in a million."""
DIRECTORY_KEPT: Final = timedelta(minutes=5)

_NONCES_KEPT: Final = 32
_NONCE_LIFE: Final = timedelta(minutes=5)
_ACCOUNTS_KEPT: Final = 256
_JOSE: Final = "application/jose+json"


class HttpAnswer(Protocol):
    """What is used of a response of ``requests``."""

    @property
    def status_code(self) -> int:  # lint: allow no_http_status_in_domain: `requests` calls it so
        """Return the status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers, whatever their case."""
        ...

    @property
    def content(self) -> bytes:
        """Return the body, read to the end."""
        ...


class HttpSession(Protocol):
    """What is used of a session of ``requests``; addresses, sizes and times are its business."""

    def request(
        self, method: str, url: str, *, data: bytes | None, headers: Mapping[str, str], allow_redirects: bool
    ) -> HttpAnswer:
        """Send a request."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class SessionFactory(Protocol):
    """Makes sessions that go through the guard."""

    def __call__(self, *, is_operators: bool, trust_pem: str | None) -> HttpSession:
        """Return a session; whoever asked closes it."""
        ...


class AcmeNetwork:
    """One ACME server, shared by all accounts and threads.

    Args:
        directory_url: of the server.
        own: reaches the host of the directory.
        other: reaches other hosts, which only the directory vouches for: never as the operator's own.
        clock: tells how old nonces and directory are.
        user_agent: as RFC 8555 section 6.1 wants it.
    """

    def __init__(
        self, directory_url: str, *, own: HttpSession, other: HttpSession, clock: Clock, user_agent: str
    ) -> None:
        self._directory_url = directory_url
        self._origin = _origin(directory_url)
        self.host = urlsplit(directory_url).hostname or "without a name"
        self._own = own
        self._other = other
        self._clock = clock
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._nonces: list[tuple[str, datetime]] = []
        self._accounts: dict[str, str] = {}
        self._directory_lock = threading.Lock()
        self._endpoints: tuple[Endpoints, datetime] | None = None

    def endpoints(self) -> Endpoints:
        """Return the directory, a few minutes old at most."""
        with self._directory_lock:
            known = self._endpoints
            if known is not None and abs(self._clock.now() - known[1]) < DIRECTORY_KEPT:
                return known[0]
            fresh = read_directory(self.get(self._directory_url))
            self._endpoints = fresh, self._clock.now()
            return fresh

    def known_account(self, thumbprint: str) -> str | None:
        """Return the URL of a key's account, if it was asked for before."""
        with self._lock:
            return self._accounts.get(thumbprint)

    def remember_account(self, thumbprint: str, url: str | None) -> None:
        """Keep the URL of a key's account, or forget it."""
        with self._lock:
            if url is None:
                self._accounts.pop(thumbprint, None)
                return
            if len(self._accounts) >= _ACCOUNTS_KEPT:
                self._accounts.clear()
            self._accounts[thumbprint] = url

    def get(self, url: str) -> Answer:
        """Ask for something that needs no signature.

        Raises:
            AcmeProblem: the server refuses, or answers with something else.
            Unavailable: it does not answer, or with 5xx.
            Invalid: its address is not allowed.
        """
        return self._success(url, self._send("GET", url, None, {"Accept": "application/json"}))

    def post(
        self,
        url: str,
        payload: Mapping[str, Any] | None,
        *,
        signer: Signer,
        account_url: str | None,
        accept: str = "application/json",
    ) -> Answer:
        """Send a signed request; one that is refused for its nonce is signed anew and sent again.

        Args:
            url: is signed, too.
            payload: ``None`` reads (POST-as-GET, RFC 8555 section 6.3).
            signer: of the account.
            account_url: ``None`` signs with the key itself in place of the account, for ``newAccount``.
            accept: media type that is wanted.

        Raises:
            AcmeProblem, Unavailable, Invalid: as `get`.
        """
        text = b"" if payload is None else json.dumps(payload).encode()
        headers = {"Content-Type": _JOSE, "Accept": accept}
        tries = 0
        while True:
            tries += 1
            signed = _sign(text, url, self._take_nonce(), signer, account_url)
            try:
                return self._success(url, self._send("POST", url, signed, headers))
            except AcmeProblem as problem:
                if problem.problem_type != "badNonce" or tries == NONCE_TRIES:
                    raise

    def close(self) -> None:
        """Give idle connections back."""
        self._own.close()
        self._other.close()

    def _take_nonce(self) -> str:
        oldest = self._clock.now() - _NONCE_LIFE
        with self._lock:
            while self._nonces:
                nonce, at = self._nonces.pop()
                if at > oldest:
                    return nonce
        url = self.endpoints().new_nonce
        self._success(url, self._send("HEAD", url, None, {}))
        with self._lock:
            if self._nonces:
                return self._nonces.pop()[0]
        raise malformed(_host(url), "a request for a nonce got none")

    def _send(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> HttpAnswer:
        session = self._own if _origin(url) == self._origin else self._other
        host = _host(url)
        try:
            answer = session.request(
                method,
                url,
                data=data,
                headers={**headers, "User-Agent": self._user_agent, "Accept-Language": "en"},
                allow_redirects=False,
            )
            self._keep_nonce(answer)
        except Invalid as problem:
            if problem.code is ErrorCode.INVALID_FIELD and url != self._directory_url:
                raise malformed(self.host, f"a URL that cannot be used: {problem.detail}") from None
            raise
        except OSError as problem:
            # Of which `requests` makes all its errors; their texts hold whole URLs.
            reason = type(problem).__name__
            raise Unavailable(ErrorCode.UNAVAILABLE, f"The ACME server {host} cannot be reached: {reason}") from None
        return answer

    def _keep_nonce(self, answer: HttpAnswer) -> None:
        nonce = answer.headers.get("Replay-Nonce")
        if nonce is None or not 0 < len(nonce) <= 512:
            return
        try:
            usable = b64.b64encode(b64.b64decode(nonce)).decode() == nonce
        except (ValueError, TypeError, josepy.errors.Error):
            usable = False
        # One that is no base64url is to be ignored (RFC 8555 section 6.5.1).
        if usable:
            with self._lock:
                self._nonces.append((nonce, self._clock.now()))
                del self._nonces[:-_NONCES_KEPT]

    def _success(self, url: str, answer: HttpAnswer) -> Answer:
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), now=self._clock.now())
        host = _host(url)
        status = answer.status_code  # lint: allow no_http_status_in_domain: `requests` calls it so
        if not 200 <= status < 300:
            raise refusal(host, status, answer.content, retry_after)
        return Answer(
            host=host,
            url=url,
            status=status,
            headers=answer.headers,
            body=answer.content,
            retry_after=retry_after,
        )


def _sign(payload: bytes, url: str, nonce: str, signer: Signer, account_url: str | None) -> bytes:
    signed = jws.JWS.sign(
        payload, key=signer.key, alg=signer.algorithm, nonce=b64.b64decode(nonce), url=url, kid=account_url
    )
    text: str = signed.json_dumps()
    return text.encode()


def _host(url: str) -> str:
    return urlsplit(url).hostname or "without a name"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme)
