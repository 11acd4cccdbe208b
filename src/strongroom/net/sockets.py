"""Guarded connections that do not speak HTTP: e-mail.

The DNS layer sends its own datagrams; it asks `Guard.check_address` about each address first, and
`Guard.addresses` for those of a server that is named.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import ipaddress
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard, tls_problem, unreachable
from strongroom.net.tls import client_context

SMTP_TIMEOUT: Final = timedelta(seconds=60)
_GRACE_SECONDS: Final = 2.0
_CHALLENGE: Final = 334
_LOGGED_IN: Final = 235
_ALREADY: Final = 503
_MOST_CHALLENGES: Final = 5


class SmtpSecurity(StrEnum):
    """How a connection to a mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@contextlib.contextmanager
def smtp_connection(
    guard: Guard,
    host: str,
    port: int,
    *,
    security: SmtpSecurity = SmtpSecurity.STARTTLS,
    is_operators: bool = False,
    trust_pem: str | None = None,
    timeout: timedelta = SMTP_TIMEOUT,
) -> Iterator[smtplib.SMTP]:
    """Give a connection to a mail server that has greeted, encrypted unless told otherwise; it is closed afterwards.

    Refusals of the server (`smtplib.SMTPResponseException`, `smtplib.SMTPRecipientsRefused`) pass through from inside
    the block; connections that break become `Unavailable`.

    Args:
        guard: says where to.
        host: name or address; the certificate must be for it.
        port: usually 587 for STARTTLS, 465 for TLS.
        security: a server that does not offer what is asked for is not used.
        is_operators: it comes from the settings.
        trust_pem: certificates to trust in the place of the system's.
        timeout: for everything that happens inside the block, too.

    Raises:
        Invalid: ``destination_not_allowed``.
        Unavailable: no connection, no trusted certificate, or not in time.
    """
    context = client_context(trust_pem)
    deadline = Deadline(timeout)
    server = _PinnedSmtp(guard, context if security is SmtpSecurity.TLS else None, deadline, is_operators=is_operators)
    watch = threading.Timer(timeout.total_seconds(), server.cut)
    watch.daemon = True
    watch.start()
    try:
        _greet(server, host, port, context if security is SmtpSecurity.STARTTLS else None)
        yield server
        # The message is accepted by now; a server that hangs up first did nothing wrong.
        with contextlib.suppress(OSError):
            server.quit()
    except OSError as error:
        is_refusal = isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected)
        if server.is_late:
            raise unreachable(host, TimeoutError(), deadline) from None
        if is_refusal:
            raise
        if isinstance(error, ssl.SSLError):
            raise tls_problem(host, error) from None
        raise unreachable(host, error, deadline) from None
    finally:
        watch.cancel()
        server.close()


def _greet(server: _PinnedSmtp, host: str, port: int, starttls: ssl.SSLContext | None) -> None:
    try:
        code, _ = server.connect(host, port)
        if code != 220:
            raise smtplib.SMTPResponseException(code, b"")
        server.ehlo_or_helo_if_needed()
        if starttls is not None:
            code, _ = server.starttls(context=starttls)
            if code != 220:
                raise smtplib.SMTPResponseException(code, b"")
            server.ehlo_or_helo_if_needed()
    except smtplib.SMTPNotSupportedError:
        raise Unavailable(ErrorCode.UNAVAILABLE, f"The mail server {host} does not offer STARTTLS.") from None
    except smtplib.SMTPResponseException as error:
        detail = f"The mail server {host} does not take mail now (code {error.smtp_code})."
        raise Unavailable(ErrorCode.UNAVAILABLE, detail) from None


class _PinnedSmtp(smtplib.SMTP):
    """Connects through the guard; certificates are checked for the host that was asked for."""

    def __init__(self, guard: Guard, context: ssl.SSLContext | None, deadline: Deadline, *, is_operators: bool) -> None:
        # With a name given, the library does not look its own up in the DNS.
        super().__init__(local_hostname="localhost")
        self._guard = guard
        self._context = context
        self._deadline = deadline
        self._is_operators = is_operators
        self._opened: socket.socket | None = None
        self.is_late = False

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        """Connect and read the greeting; the certificate will have to be for this host."""
        # The library notes the host only where it connects from its constructor.
        self._host = host
        return super().connect(host, port, source_address)

    def auth(
        self, mechanism: str, authobject: Callable[..., str | None], *, initial_response_ok: bool = True
    ) -> tuple[int, bytes]:
        """Log in by one mechanism, in UTF-8: the library takes ASCII alone. Sources: RFC 4954 section 4; RFC 4616.

        Raises:
            smtplib.SMTPAuthenticationError: refused.
        """
        first = authobject() if initial_response_ok else None
        code, text = self.docmd("AUTH", mechanism if first is None else f"{mechanism} {_base64(first)}")
        challenges = 0 if first is None else 1
        while code == _CHALLENGE and challenges < _MOST_CHALLENGES:
            challenges += 1
            code, text = self.docmd(_base64(authobject(_challenge(text)) or ""))
        if code not in {_LOGGED_IN, _ALREADY}:
            raise smtplib.SMTPAuthenticationError(code, text)
        return code, text

    def auth_cram_md5(self, challenge: bytes | None = None) -> str | None:  # type: ignore[override]
        """Return the answer to a challenge. Source: RFC 2195 section 2."""
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(self.password.encode(), challenge, 'md5').hexdigest()}"

    def cut(self) -> None:
        """End whatever the connection is waiting for: its time is over."""
        self.is_late = True
        if self._opened is not None:
            with contextlib.suppress(OSError):
                # Not the method of TLS sockets, which takes their state from under the thread that reads.
                socket.socket.shutdown(self.sock or self._opened, socket.SHUT_RDWR)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened = self._guard.connect(host, port, is_operators=self._is_operators, deadline=self._deadline)
        self._opened = opened
        try:
            # The watch ends the connection in time; this is for the case that it cannot.
            opened.settimeout(self._deadline.left() + _GRACE_SECONDS)
            own = ipaddress.ip_address(opened.getsockname()[0])
            self.local_hostname = f"[{own}]" if own.version == 4 else f"[IPv6:{own}]"
            if self._context is not None:
                opened = self._context.wrap_socket(opened, server_hostname=host)
        except BaseException:
            opened.close()
            raise
        return opened


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _challenge(text: bytes) -> bytes:
    """Return what a server asks; it may be anything."""
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""
