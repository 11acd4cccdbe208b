"""Who is at the other end, also behind a proxy that is trusted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from strongroom.api.asgi import Scope

_HOST = re.compile(r"[A-Za-z0-9.\-_]{1,253}(?::\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](?::\d{1,5})?")


class ClientAddress:
    """Finds the caller's address and the base URL it used.

    Args:
        public_url: base of links when the request names no usable host.
        trusted_proxies: addresses or CIDRs whose ``X-Forwarded-*`` headers are believed.
    """

    def __init__(self, public_url: str, trusted_proxies: Sequence[str] = ()) -> None:
        self._public_url = public_url
        self._trusted = tuple(ipaddress.ip_network(item, strict=False) for item in trusted_proxies)

    def of(self, scope: Scope, headers: Mapping[str, str]) -> tuple[str | None, str]:
        """Return the address (``None`` on a Unix socket) and ``scheme://host[:port]``."""
        client = scope.get("client")
        address = _plain(client[0]) if client else None
        scheme = scope["scheme"]
        host = headers.get("host", "")
        if self._trusted and self._is_trusted(address):
            address = self._first_untrusted(headers.get("x-forwarded-for", ""), address)
            scheme = headers.get("x-forwarded-proto", scheme)
            host = headers.get("x-forwarded-host", host)
        if scheme not in ("http", "https") or _HOST.fullmatch(host) is None:
            return address, self._public_url
        return address, f"{scheme}://{host}"

    def _is_trusted(self, address: str | None) -> bool:
        found = _parse(address or "")
        return found is not None and any(found in network for network in self._trusted)

    def _first_untrusted(self, forwarded: str, fallback: str | None) -> str | None:
        # Each proxy appends the peer it saw, so the list is believed from its end.
        for part in reversed([item.strip() for item in forwarded.split(",") if item.strip()]):
            if not self._is_trusted(part):
                found = _parse(part)
                return str(found) if found is not None else fallback
        return fallback


@lru_cache(maxsize=4096)
def _plain(address: str) -> str:
    found = _parse(address)
    return str(found) if found is not None else address


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that serves both families shows IPv4 callers this way.
    return getattr(found, "ipv4_mapped", None) or found
