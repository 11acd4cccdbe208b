"""Values that break things, and how to put them into a request."""

from __future__ import annotations

import copy
import random
from typing import Any, Final

NASTY: Final = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\ufffe",
    "\u202egnp.exe",
    "é" * 40,
    "\U0001f512" * 20,
    "\u0130stanbul \u00df \u017f",
    "x" * 5_000,
    "\r\nX-Injected: 1",
    "\x1b[31m",
    "\x7f\x80",
    "'; DROP TABLE secrets; --",
    "%' OR 1=1",
    "_%\\",
    "../../etc/passwd",
    "null",
    "NaN",
    "-1",
    "0",
    "1e400",
    "99999999999999999999999999",
    "-9223372036854775809",
    "٣",
    "true",
    ",",
    ",,,a",
    "*",
    "current",
    "previous",
    "default",
    "00000000-0000-0000-0000-000000000000",
    "9999-12-31T23:59:59.999999Z",
    "0000-00-00T00:00:00Z",
    "2030-02-30T25:61:61+99:99",
    "2030-01-01T00:00:00.123456789+14:00",
    "0001-01-01T00:00:00+14:00",
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----",
    "2.5.4.5;UTF8:",
    "999999999.1.1;UTF8:a",
    "1" * 400 + ".1",
    "xn--a",
    "*.*.example.com",
    "https://[::1",
    "http://exa mple.com/\u2028",
    "255.255.255.256",
    "::ffff:192.0.2.1%eth0",
    "a@b@c",
    "0.0.0.0/0",
    "192.0.2.0/33",
    "RS256",
    "{}",
    "[]",
)
_OTHERS: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    1e308,
    -0.0,
    2**31,
    2**53 + 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    [],
    {},
    [None],
    [[]],
    [""],
    {"": ""},
    {"a": None},
    {"\0": "\0"},
    {"__proto__": {}},
    [0] * 2_000,
)


def nested(depth: int, *, of: str) -> Any:
    """Return lists or objects inside one another."""
    value: Any = "end"
    for _ in range(depth):
        value = [value] if of == "list" else {"a": value}
    return value


def nasty_value(chance: random.Random) -> Any:
    """Return one value of any kind."""
    choice = chance.random()
    if choice < 0.55:
        return chance.choice(NASTY)
    if choice < 0.9:
        # A copy: what is put into a request may be broken further.
        return copy.deepcopy(chance.choice(_OTHERS))
    return nested(chance.choice((3, 60, 99, 150)), of=chance.choice(("list", "object")))


def break_value(value: Any, chance: random.Random) -> Any:
    """Return the request with one of its values changed, left out, doubled or joined by a stranger."""
    places = list(_places(value))
    if not places:
        return nasty_value(chance)
    holder, key = chance.choice(places)
    choice = chance.random()
    if choice < 0.6:
        holder[key] = nasty_value(chance)
    elif choice < 0.7:
        holder[key] = _bent(holder[key], chance)
    elif choice < 0.8 and isinstance(holder, dict):
        del holder[key]
    elif choice < 0.9 and isinstance(holder, dict):
        holder[chance.choice(NASTY)] = nasty_value(chance)
    elif isinstance(holder, list):
        holder.extend([holder[key]] * chance.choice((1, 40)))
    else:
        holder[key] = [holder[key]]
    return value


def _bent(value: Any, chance: random.Random) -> Any:
    """Return almost the same text: what a slip or an attacker would make of it."""
    if not isinstance(value, str) or not value:
        return nasty_value(chance)
    at = chance.randrange(len(value))
    insert = chance.choice(("", "\0", "\ud83d", "\r\n", " ", "é", "%", value))
    return value[:at] + insert + value[at + chance.randrange(2) :]


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    level = [value] if isinstance(value, dict | list) else []
    while level:
        holder = level.pop()
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                level.append(holder[key])
    return found
