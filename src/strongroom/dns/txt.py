"""TXT records in the presentation format of zone files, as vendors' APIs take them. Source: RFC 1035 section 5.1."""

from __future__ import annotations

import re
from typing import Final

_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(\d{3}|.)")


def quoted(text: str) -> str:
    """Return a value of up to 255 characters in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquoted(content: str) -> str:
    """Return the value of a record; several strings are one value (RFC 7208 section 3.3), no quotes are none."""
    strings = _STRING.findall(content)
    if not strings:
        return content
    return "".join(_ESCAPED.sub(_sign, string) for string in strings)


def _sign(escaped: re.Match[str]) -> str:
    code: str = escaped.group(1)
    return chr(int(code)) if code.isdecimal() and len(code) > 1 else code
