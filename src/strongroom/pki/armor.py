"""Find the PEM blocks of a text, and see what is wrong with those that are broken.

Source: RFC 7468 for the armour, RFC 1421 section 4.6 for the headers of old encrypted keys.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9][A-Z0-9 #]{0,40})-----")
_END: Final = re.compile(r"-----END ([A-Z0-9][A-Z0-9 #]{0,40})-----")
_BOM: Final = "\ufeff"
# A UTF-8 byte order mark that was read as Latin-1.
_LATIN_BOM: Final = "\u00ef\u00bb\u00bf"
_PEM_LINE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One armoured block.

    Attributes:
        label: the words after BEGIN.
        line: number of the BEGIN line, from 1.
        encrypted: a ``Proc-Type: 4,ENCRYPTED`` header stands in it.
        der: the decoded content, ``None`` if that is no base64.
    """

    label: str
    line: int
    encrypted: bool
    der: bytes | None


class Damage(StrEnum):
    """How armour gets broken on its way here."""

    ESCAPED_TWICE = "escaped_twice"
    LINE_BREAKS_LOST = "line_breaks_lost"
    INDENTED = "indented"
    CUT_SHORT = "cut_short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Armor:
    """The blocks of a text and the first thing that is broken in it."""

    blocks: tuple[Block, ...]
    damage: Damage | None = None
    damaged_line: int = 0


def encode_pem(der: bytes, label: str) -> str:
    """Return DER as one PEM block, ended by a line break.

    Source: RFC 7468 section 3 (strict form).
    """
    text = base64.b64encode(der).decode()
    lines = [text[start : start + _PEM_LINE] for start in range(0, len(text), _PEM_LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def strip_bom(text: str) -> str:
    """Return the text without a byte order mark."""
    return text.removeprefix(_BOM).removeprefix(_LATIN_BOM)


def scan(text: str) -> Armor:
    """Find the blocks of a text.

    Text before, between and behind blocks, either kind of line break, spaces at line ends and a byte order mark do
    not matter. Linear in the length of the text.
    """
    lines = strip_bom(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    blocks: list[Block] = []
    start, label, body = 0, "", list[str]()
    for number, line in enumerate(lines, 1):
        content = line.rstrip()
        begin = _BEGIN.fullmatch(content)
        if start == 0:
            if begin:
                start, label, body = number, begin[1], []
            elif "-----BEGIN " in content:
                return Armor(blocks=tuple(blocks), damage=_see_damage(content), damaged_line=number)
            continue
        end = _END.fullmatch(content)
        if end and end[1] == label:
            blocks.append(_read_block(label, start, body))
            start = 0
        elif end or "-----BEGIN " in content or "-----END " in content:
            damage = Damage.INDENTED if content.lstrip() != content else Damage.CUT_SHORT
            return Armor(blocks=tuple(blocks), damage=damage, damaged_line=start)
        else:
            body.append(content)
    if start:
        return Armor(blocks=tuple(blocks), damage=Damage.CUT_SHORT, damaged_line=start)
    return Armor(blocks=tuple(blocks))


def _see_damage(line: str) -> Damage:
    if "\\n" in line:
        return Damage.ESCAPED_TWICE
    if _BEGIN.fullmatch(line.strip()):
        return Damage.INDENTED
    return Damage.LINE_BREAKS_LOST


def _read_block(label: str, line: int, body: list[str]) -> Block:
    encrypted = any(row.startswith("Proc-Type:") and "ENCRYPTED" in row for row in body)
    # Headers have a colon, base64 has none.
    body = [row for row in body if ":" not in row]
    return Block(label=label, line=line, encrypted=encrypted, der=decode_base64("".join(body)))


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of base64 text in one piece or several, ``None`` if it is something else."""
    try:
        return base64.b64decode("".join(text.split()), validate=True) or None
    except (binascii.Error, ValueError):
        return None
