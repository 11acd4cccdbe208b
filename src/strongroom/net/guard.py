"""Decides which hosts may be contacted, and opens the connection to what was checked.

A name is resolved once for a connection. Every address it has must be allowed, and the connection goes to one of these
very addresses: an answer of the DNS that changes between check and connection changes nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.value import value
from strongroom.net.addresses import IpAddress, Reach, judge
from strongroom.net.deadline import Deadline

MAX_URL_CHARACTERS: Final = 4096
_MAX_ADDRESSES_TRIED: Final = 6
_MAX_LOOKUPS: Final = 32
_SETTING: Final = "allow_private_addresses"
_PORTS: Final = {"https": 443, "http": 80}
_VISIBLE: Final = re.compile(r"[!-\[\]-~]+")
"""ASCII without blanks and without the backslash, which some programs read as a slash."""
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")

Resolver = Callable[[str], Sequence[str]]
"""Returns the addresses of a host name; raises ``OSError`` if there are none."""


@value
class Target:
    """A URL that passed the check, in its parts; what is connected to is made of these and never parsed again.

    Attributes:
        scheme: ``https`` or ``http``.
        host: lower case, without brackets and last dot.
        port: given or that of the scheme.
        path: path and query, as they are sent.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Return host and port as the header ``Host`` wants them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return what tells one server from another."""
        return self.scheme, self.host, self.port


def system_addresses(host: str) -> Sequence[str]:
    """Ask the operating system for the addresses of a host name.

    Raises:
        OSError: there are none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(item[4][0]) for item in found))


class Guard:
    """Keeps the server from being sent to places that its users could not reach themselves.

    Hosts that users can influence must be public unless private ones are allowed. Those that the operator named in the
    settings (``is_operators``) may be private. Link-local, multicast, unspecified, broadcast and reserved addresses are
    out of bounds for all.

    Args:
        allow_private: the setting ``allow_private_addresses``.
        resolve: finds the addresses of a name; called once for each connection.
    """

    def __init__(self, *, allow_private: bool, resolve: Resolver = system_addresses) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._lookups = threading.BoundedSemaphore(_MAX_LOOKUPS)

    def check_url(
        self, url: str, *, is_operators: bool = False, allow_http: bool = False, field: str | None = None
    ) -> Target:
        """Return the parts of a URL that may be contacted as far as can be told without the DNS.

        Args:
            url: absolute.
            is_operators: it comes from the settings.
            allow_http: plain HTTP is fine here; it always is for the operator's own.
            field: member of the request, for the error.

        Raises:
            Invalid: ``invalid_field`` for the shape, ``destination_not_allowed`` for the host. The URL is never shown
                whole: its path and query may be secret.
        """
        if len(url) > MAX_URL_CHARACTERS or not _VISIBLE.fullmatch(url):
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"The URL must have 1 to {MAX_URL_CHARACTERS} visible ASCII characters and no backslash.",
                field=field,
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Invalid(
                ErrorCode.INVALID_FIELD, "Host and port of the URL must be a name or an address and 1 to 65535.",
                field=field,
            ) from None  # fmt: skip
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Invalid(ErrorCode.INVALID_FIELD, "The URL must begin with https:// and a host.", field=field)
        if "@" in parts.netloc:
            raise Invalid(ErrorCode.INVALID_FIELD, "The URL must not have a user name or password.", field=field)
        host = self.check_host(parts.hostname, is_operators=is_operators, field=field)
        if parts.scheme == "http" and not (allow_http or is_operators):
            raise Invalid(
                ErrorCode.DESTINATION_NOT_ALLOWED, f"The URL of {host} must begin with https://.", field=field
            )
        port = _PORTS[parts.scheme] if port is None else port
        check_port(port, field=field)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(scheme=parts.scheme, host=host, port=port, path=path)

    def check_host(self, host: str, *, is_operators: bool = False, field: str | None = None) -> str:
        """Return a host in its usual spelling, if it may be contacted as far as can be told without the DNS.

        Raises:
            Invalid: ``invalid_field`` for the shape, ``destination_not_allowed`` for an address.
        """
        address = parse_address(host)
        if address is not None:
            self._check(address, host=str(address), is_operators=is_operators, field=field)
            return str(address)
        name = host.removesuffix(".").lower()
        labels = name.split(".")
        # The system would read 127.1 and 0x7f000001 as addresses.
        if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or _NUMERIC.fullmatch(labels[-1]):
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                "The host must be an IP address in its usual spelling, or a name of ASCII letters, digits, hyphens and "
                "dots (xn-- for others).",
                field=field,
            )
        if labels[-1] == "localhost" and not (is_operators or self._allow_private):
            raise _refusal(name, None, "this server itself", Reach.PRIVATE, field)
        return name

    # The DNS layer takes it as a plain function of both.
    def check_address(
        self,
        address: str,
        is_operators: bool = False,  # noqa: FBT001, FBT002
        *,
        host: str | None = None,
    ) -> None:
        """Refuse an address that must not be contacted.

        Args:
            address: IPv4 or IPv6, as text.
            is_operators: it comes from the settings.
            host: the name that led to it, for the error.

        Raises:
            Invalid: ``destination_not_allowed``.
        """
        parsed = parse_address(address)
        if parsed is None:
            # Resolvers give nothing else; an address that cannot be judged is not contacted.
            raise _refusal(host or address[:64], None, "no address that could be judged", Reach.NEVER, None)
        self._check(parsed, host=host or str(parsed), is_operators=is_operators, field=None)

    def addresses(self, host: str, *, is_operators: bool = False, deadline: Deadline) -> Sequence[str]:
        """Resolve a host, once, and return its addresses, every one of them checked.

        Raises:
            Invalid: ``destination_not_allowed``; one address out of bounds is enough.
            Unavailable: the name does not resolve, or not in time.
        """
        name = self.check_host(host, is_operators=is_operators)
        if parse_address(name) is not None:
            return (name,)
        found = self._lookup(name, deadline)
        for address in found:
            self.check_address(address, is_operators, host=name)
        return found

    def connect(self, host: str, port: int, *, is_operators: bool = False, deadline: Deadline) -> socket.socket:
        """Open a TCP connection to a checked address of the host.

        Raises:
            Invalid: ``destination_not_allowed``.
            Unavailable: nothing answers in time.
        """
        check_port(port)
        found = self.addresses(host, is_operators=is_operators, deadline=deadline)[:_MAX_ADDRESSES_TRIED]
        problem: OSError = TimeoutError()
        for position, address in enumerate(found):
            try:
                # An address that swallows packets must leave time for the next one.
                return socket.create_connection((address, port), timeout=deadline.left() / (len(found) - position))
            except OSError as error:
                problem = error
        raise unreachable(host, problem, deadline) from None

    def _check(self, address: IpAddress, *, host: str, is_operators: bool, field: str | None) -> None:
        verdict = judge(address)
        allowed = {Reach.PUBLIC}
        if self._allow_private or is_operators:
            allowed.add(Reach.PRIVATE)
        if is_operators:
            # Resolvers of some platforms live there.
            allowed.add(Reach.PLATFORM)
        if verdict.reach not in allowed:
            raise _refusal(host, str(address), verdict.kind, verdict.reach, field)

    def _lookup(self, name: str, deadline: Deadline) -> Sequence[str]:
        """Resolve in a thread, because the operating system knows no time limit for it."""
        result: list[Sequence[str] | OSError] = []

        def run() -> None:
            try:
                result.append(self._resolve(name))
            except (OSError, UnicodeError) as error:
                result.append(error if isinstance(error, OSError) else OSError(str(error)))
            finally:
                self._lookups.release()

        try:
            if not self._lookups.acquire(timeout=deadline.left()):
                raise TimeoutError
            thread = threading.Thread(target=run, name="strongroom-lookup", daemon=True)
            thread.start()
            thread.join(deadline.left())
        except TimeoutError as error:
            raise unreachable(name, error, deadline) from None
        if not result:
            raise unreachable(name, TimeoutError(), deadline)
        found = result[0]
        if isinstance(found, OSError) or not found:
            raise Unavailable(ErrorCode.UNAVAILABLE, f"The name {name} does not resolve to an address.")
        return found


def check_port(port: int, *, field: str | None = None) -> None:
    """Refuse a port that does not exist.

    Raises:
        Invalid: ``invalid_field``.
    """
    if not 1 <= port <= 65535:
        raise Invalid(ErrorCode.INVALID_FIELD, f"The port must be 1 to 65535, not {port}.", field=field)


def parse_address(text: str) -> IpAddress | None:
    """Return the address that a text is, ``None`` if it is none in its usual spelling."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def unreachable(host: str, problem: OSError, deadline: Deadline) -> Unavailable:
    """Return the error for a host that does not answer as it should; it names the host and nothing else of the URL."""
    if isinstance(problem, TimeoutError):
        detail = f"{host} did not answer completely within {deadline.limit.total_seconds():g} seconds."
    else:
        detail = f"{host} cannot be reached: {problem.strerror or 'the connection failed'}."
    return Unavailable(ErrorCode.UNAVAILABLE, detail)


def tls_problem(host: str, error: ssl.SSLError) -> Unavailable:
    """Return the error for a host with which no trusted connection came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"The TLS certificate of {host} is not accepted: {error.verify_message.rstrip('.')}."
    else:
        detail = f"{host} did not agree on a TLS connection ({error.reason or 'broken off'})."
    return Unavailable(ErrorCode.UNAVAILABLE, detail)


def _refusal(host: str, address: str | None, kind: str, reach: Reach, field: str | None) -> Invalid:
    which = f"{host} ({address})" if address not in {None, host} else host
    hint = None
    if reach is Reach.PRIVATE:
        hint = f"The setting {_SETTING} lets hosts that users name be loopback and private addresses."
    return Invalid(
        ErrorCode.DESTINATION_NOT_ALLOWED,
        f"{which} must not be contacted: it is {kind}, and the host must be public.",
        field=field,
        hint=hint,
    )
