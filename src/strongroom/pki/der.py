"""A small DER reader and writer for what `cryptography` refuses to show.

The reader exists because real certificates carry extensions and names that a strict parser rejects as a whole,
while their owners still need to see the rest. It never judges, it only takes apart.

Source: ITU-T X.690.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30

_UTC_TIME_YEARS: Final = range(1950, 2050)
_MAX_LENGTH_BYTES = 4
_MAX_OID_BYTES = 128


class DerError(ValueError):
    """The bytes are no DER element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One tag with its value.

    Attributes:
        tag: the identifier byte, class and constructed bit included.
        content: the value.
        raw: the whole element, header included.
    """

    tag: int
    content: bytes
    raw: bytes


def read_element(data: bytes, offset: int = 0) -> tuple[Element, int]:
    """Read one element and return it with the offset behind it.

    Raises:
        DerError: if the header or the length makes no sense.
    """
    if offset + 2 > len(data):
        raise DerError("the data ends inside a header")
    tag, length, start = data[offset], data[offset + 1], offset + 2
    if tag & 0x1F == 0x1F:
        raise DerError("tags of several bytes are not used in certificates")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= _MAX_LENGTH_BYTES or start + count > len(data):
            raise DerError("the length is indefinite or too long")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    end = start + length
    if end > len(data):
        raise DerError("the value is cut short")
    return Element(tag=tag, content=data[start:end], raw=data[offset:end]), end


def read_only(data: bytes, tag: int) -> Element:
    """Read the single element that fills ``data`` and has this tag.

    Raises:
        DerError: if there is another tag, or something behind it.
    """
    element, end = read_element(data)
    if element.tag != tag or end != len(data):
        raise DerError("another element was expected")
    return element


def read_children(content: bytes) -> list[Element]:
    """Read the elements that a constructed value holds.

    Raises:
        DerError: if the value is not a row of whole elements.
    """
    children, offset = [], 0
    while offset < len(content):
        child, offset = read_element(content, offset)
        children.append(child)
    return children


def decode_oid(content: bytes) -> str:
    """Return the dotted form of an object identifier's content.

    Raises:
        DerError: if it is empty, ends inside an arc or is absurdly long.
    """
    if not content or content[-1] & 0x80 or len(content) > _MAX_OID_BYTES:
        raise DerError("an object identifier is cut short or too long")
    arcs, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def encode_element(tag: int, content: bytes) -> bytes:
    """Return the element with this tag and content."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def encode_utf8_string(text: str) -> bytes:
    """Return the UTF8String element of a text."""
    return encode_element(UTF8_STRING, text.encode())


def encode_sequence(*elements: bytes) -> bytes:
    """Return the SEQUENCE of some elements."""
    return encode_element(SEQUENCE, b"".join(elements))


def encode_integer(number: int) -> bytes:
    """Return the INTEGER element of a number.

    Raises:
        ValueError: if it is negative; nothing in a certificate is.
    """
    if number < 0:
        raise ValueError(f"{number} is negative")
    return encode_element(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def encode_bit_string(content: bytes) -> bytes:
    """Return the BIT STRING element of whole bytes."""
    return encode_element(BIT_STRING, b"\0" + content)


def encode_time(at: datetime) -> bytes:
    """Return an instant as certificates and revocation lists want it: UTCTime through 2049, GeneralizedTime later.

    Raises:
        ValueError: if the instant has no time zone.

    Source: RFC 5280 sections 4.1.2.5 and 5.1.2.4.
    """
    if _in_utc(at).year in _UTC_TIME_YEARS:
        return encode_element(UTC_TIME, _digits(at)[2:])
    return encode_generalized_time(at)


def encode_generalized_time(at: datetime) -> bytes:
    """Return an instant as GeneralizedTime in whole seconds.

    Raises:
        ValueError: if the instant has no time zone.

    Source: RFC 5280 section 4.1.2.5.2.
    """
    return encode_element(GENERALIZED_TIME, _digits(at))


def _digits(at: datetime) -> bytes:
    moment = _in_utc(at)
    # Not strftime, which writes years below 1000 with fewer digits on some systems.
    return (
        f"{moment.year:04}{moment.month:02}{moment.day:02}{moment.hour:02}{moment.minute:02}{moment.second:02}Z"
    ).encode()


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant without a time zone could mean any of several")
    return at.astimezone(UTC)
