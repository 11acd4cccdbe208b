"""Rules for the fields of identities that several kinds of them share."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.time import parse_rfc3339

NAME_MAX: Final = 255
DESCRIPTION_MAX: Final = 1024
NETWORKS_MAX: Final = 100
ANY_VERSION: Final = "*"

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# IBM's clients send expiry times without seconds and without a colon in the offset.
_SHORT_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?(?:([Zz])|([+-]\d{2}):?(\d{2}))")


def check_name(problems: Problems, value: str, field: str = "name") -> None:
    """Note a name that is empty, too long or not one printable line."""
    if not value.strip():
        problems.add(field, f"{field} must not be empty.")
    elif len(value) > NAME_MAX:
        problems.add(field, f"{field} must have at most {NAME_MAX} characters, it has {len(value)}.")
    elif not value.isprintable():
        problems.add(field, f"{field} must be one line of printable characters.")


def check_description(problems: Problems, value: str | None, field: str = "description") -> None:
    """Note a description that is too long, or that PostgreSQL cannot store."""
    if value is not None and len(value) > DESCRIPTION_MAX:
        problems.add(field, f"{field} must have at most {DESCRIPTION_MAX} characters, it has {len(value)}.")
    elif value is not None and "\0" in value:
        problems.add(field, f"{field} must not hold NUL characters.")


def check_networks(problems: Problems, values: Sequence[str], field: str = "allowed_networks") -> tuple[str, ...]:
    """Return the networks in their usual text form, and note those that are none."""
    if len(values) > NETWORKS_MAX:
        problems.add(field, f"{field} must have at most {NETWORKS_MAX} entries, it has {len(values)}.")
        return ()
    found: dict[str, None] = {}
    for index, value in enumerate(values):
        try:
            found[str(ipaddress.ip_network(value.strip(), strict=True))] = None
        except ValueError:
            problems.add(
                f"{field}[{index}]",
                f"{field}[{index}] must be an address or a CIDR without host bits such as 192.0.2.0/24.",
            )
    return tuple(found)


def check_expiry(problems: Problems, value: datetime | None, now: datetime, field: str = "expires_at") -> None:
    """Note an expiry that has passed already."""
    if value is not None and value <= now:
        problems.add(field, f"{field} must be in the future.")


def read_expiry(text: str, field: str = "expires_at") -> datetime:
    """Read an RFC 3339 time, or IBM's short form ``2030-01-31T12:00+0000``.

    Raises:
        Invalid: ``invalid_field`` if it is neither.
    """
    match = _SHORT_TIME.fullmatch(text)
    if match is None:
        return parse_rfc3339(text, field=field)
    minutes, seconds, zulu, hours, offset = match.groups()
    return parse_rfc3339(f"{minutes}{seconds or ':00'}{zulu or f'{hours}:{offset}'}", field=field)


def expected_tag(if_match: str | None) -> str | None:
    """Return the version that the caller saw, ``None`` for any (``If-Match: *``).

    Raises:
        Invalid: ``precondition_required`` if the header is missing: a change needs to say which
            version it was made from, so that two people do not overwrite each other.
    """
    text = (if_match or "").strip().removeprefix("W/").strip('"')
    if not text:
        raise Invalid(
            ErrorCode.PRECONDITION_REQUIRED,
            "The header If-Match is missing: it names the version that this change was made from.",
            field="If-Match",
            hint="Send the entity_tag (or ETag) of the last read, or * to change whatever version there is.",
        )
    return None if text == ANY_VERSION else text


def parse_networks(values: Sequence[str]) -> tuple[Network, ...]:
    """Return stored networks as objects that answer quickly."""
    return tuple(ipaddress.ip_network(value) for value in values)


def networks_within(values: Sequence[str], outer: Sequence[str]) -> bool:
    """Tell whether every network lies in one of the outer ones; no outer ones means anywhere."""
    if not outer:
        return True
    around = parse_networks(outer)
    return bool(values) and all(any(_is_within(inner, one) for one in around) for inner in parse_networks(values))


def _is_within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def address_allowed(networks: Sequence[Network], address: str | None) -> bool:
    """Tell whether the address lies in one of the networks; no networks means anywhere."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)
