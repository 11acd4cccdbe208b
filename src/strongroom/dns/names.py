"""Names of the DNS as text: lower case, without the last dot."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
"""A name that records can be written under, in small letters; the last dot may stand."""


def plain(name: str) -> str:
    """Return a name as it is compared."""
    return name.rstrip(".").lower()


def is_within(name: str, zone: str) -> bool:
    """Tell whether a name is the zone's own, or lies below it."""
    name, zone = plain(name), plain(zone)
    return name == zone or name.endswith("." + zone) or not zone


def longest_zone(name: str, zones: Iterable[str]) -> str | None:
    """Return the zone that a name lies in: of several that fit, the longest."""
    fitting = [plain(zone) for zone in zones if is_within(name, zone)]
    return max(fitting, key=len, default=None)


def relative(name: str, zone: str) -> str:
    """Return what stands before the zone in a name, ``@`` for the zone's own name."""
    return plain(name).removesuffix(plain(zone)).rstrip(".") or "@"


def parents(name: str) -> list[str]:
    """Return a name and the names above it, without the root."""
    labels = plain(name).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def canonical(address: str) -> str:
    """Return an IP address in the form in which it is compared."""
    return str(ipaddress.ip_address(address))


def is_endpoint(host: str, port: int, endpoints: Sequence[tuple[str, int]]) -> bool:
    """Tell whether a host, given by its address, and a port are one of several addresses and ports."""
    try:
        return (canonical(host), port) in {(canonical(address), known) for address, known in endpoints}
    except ValueError:
        return False
