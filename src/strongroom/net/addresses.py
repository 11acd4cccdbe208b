"""Which addresses may be contacted.

Tables of our own: what ``ipaddress`` calls private differs between releases of Python. Sources: the IANA registries of
special-purpose addresses for IPv4 and IPv6 (RFC 6890 and its updates).
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Final

from strongroom.kernel.value import value

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(StrEnum):
    """Who may be sent to an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    PLATFORM = "platform"
    NEVER = "never"


@value
class Verdict:
    """What an address is.

    Attributes:
        reach: who may be sent there.
        kind: what it is, in words that end the sentence "it is ...".
    """

    reach: Reach
    kind: str


_PUBLIC: Final = Verdict(reach=Reach.PUBLIC, kind="a public address")
_SEVERITY: Final = (Reach.PUBLIC, Reach.PRIVATE, Reach.PLATFORM, Reach.NEVER)

_V4: Final = tuple(
    (ipaddress.IPv4Network(network), Verdict(reach=reach, kind=kind))
    for network, reach, kind in (
        ("0.0.0.0/32", Reach.NEVER, "the unspecified address"),
        ("0.0.0.0/8", Reach.NEVER, "a reserved address"),
        ("10.0.0.0/8", Reach.PRIVATE, "a private address"),
        # Services of cloud platforms that hand credentials to whoever asks, outside 169.254.0.0/16.
        ("100.100.100.200/32", Reach.PLATFORM, "the metadata service of a cloud platform"),
        ("100.64.0.0/10", Reach.PRIVATE, "a shared address of a carrier (RFC 6598)"),
        ("127.0.0.0/8", Reach.PRIVATE, "a loopback address"),
        ("168.63.129.16/32", Reach.PLATFORM, "the host service of a cloud platform"),
        ("169.254.0.0/16", Reach.NEVER, "a link-local address"),
        ("172.16.0.0/12", Reach.PRIVATE, "a private address"),
        ("192.0.0.0/24", Reach.NEVER, "a reserved address"),
        ("192.0.2.0/24", Reach.PRIVATE, "an address for documentation"),
        ("192.88.99.0/24", Reach.NEVER, "a reserved address"),
        ("192.168.0.0/16", Reach.PRIVATE, "a private address"),
        ("198.18.0.0/15", Reach.PRIVATE, "an address for benchmarks"),
        ("198.51.100.0/24", Reach.PRIVATE, "an address for documentation"),
        ("203.0.113.0/24", Reach.PRIVATE, "an address for documentation"),
        ("224.0.0.0/4", Reach.NEVER, "a multicast address"),
        ("255.255.255.255/32", Reach.NEVER, "the broadcast address"),
        ("240.0.0.0/4", Reach.NEVER, "a reserved address"),
    )
)
"""The first that fits decides."""

_V6: Final = tuple(
    (ipaddress.IPv6Network(network), Verdict(reach=reach, kind=kind))
    for network, reach, kind in (
        ("::/128", Reach.NEVER, "the unspecified address"),
        ("::1/128", Reach.PRIVATE, "a loopback address"),
        ("2001:2::/48", Reach.PRIVATE, "an address for benchmarks"),
        ("2001:db8::/32", Reach.PRIVATE, "an address for documentation"),
        ("2001::/23", Reach.NEVER, "a reserved address"),
        ("3fff::/20", Reach.PRIVATE, "an address for documentation"),
        ("fd00:ec2::254/128", Reach.PLATFORM, "the metadata service of a cloud platform"),
        ("fd20:ce::254/128", Reach.PLATFORM, "the metadata service of a cloud platform"),
        ("fc00::/7", Reach.PRIVATE, "a private address (unique local)"),
        ("fe80::/10", Reach.NEVER, "a link-local address"),
        ("ff00::/8", Reach.NEVER, "a multicast address"),
    )
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_RESERVED: Final = Verdict(reach=Reach.NEVER, kind="a reserved address")

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def judge(address: IpAddress) -> Verdict:
    """Return what an address is; one that carries an IPv4 address inside is as far off limits as that."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((verdict for network, verdict in _V4 if address in network), _PUBLIC)
    if address.scope_id is not None:
        return Verdict(reach=Reach.NEVER, kind="an address of one network interface")
    carried = _carried(address)
    transition = address in _MAPPED or address in _NAT64 or address in _SIX_TO_FOUR or address in _TEREDO
    own = _PUBLIC if transition else _judge_v6(address)
    worst = max((own, *map(judge, carried)), key=lambda verdict: _SEVERITY.index(verdict.reach))
    if worst is own:
        return own
    inner = next(item for item in carried if judge(item) is worst)
    return Verdict(reach=worst.reach, kind=f"{worst.kind} ({inner} in IPv6 form)")


def _judge_v6(address: ipaddress.IPv6Address) -> Verdict:
    found = next((verdict for network, verdict in _V6 if address in network), None)
    return found or (_PUBLIC if address in _GLOBAL_UNICAST else _RESERVED)


def _carried(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Return the IPv4 addresses that routers on the way would send to in its place."""
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        return (last,)
    if address in _SIX_TO_FOUR:
        return (ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF),)
    if address in _TEREDO:
        # The client's address is stored inverted (RFC 4380 section 4).
        return (ipaddress.IPv4Address(number >> 64 & 0xFFFFFFFF), ipaddress.IPv4Address(int(last) ^ 0xFFFFFFFF))
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return (last,)
    return ()
