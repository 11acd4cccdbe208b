from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from strongroom.pki import der


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_what_is_written_is_read_again(size: int) -> None:
    content = bytes(size)
    encoded = der.encode_element(der.OCTET_STRING, content)
    element = der.read_only(encoded, der.OCTET_STRING)
    assert (element.tag, element.content, element.raw) == (der.OCTET_STRING, content, encoded)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (der.read_element, der.read_children, der.decode_oid):
        try:
            read(data)
        except der.DerError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        b"\x30\x85\x01\x01\x01\x01\x01",
        b"\x30\x82\x01",
        b"\x1f\x01\x00",
        b"\x04\x02a",
    ],
)
def test_broken_elements_are_refused(data: bytes) -> None:
    with pytest.raises(der.DerError):
        der.read_element(data)


def test_another_tag_or_something_behind_is_refused() -> None:
    for data in (b"\x04\x00", b"\x30\x00\x00"):
        with pytest.raises(der.DerError):
            der.read_only(data, der.SEQUENCE)


@pytest.mark.parametrize("dotted", ["2.5.29.17", "1.2.840.113549.1.7.2", "0.9.2342.19200300.100.1.1", "2.999.3"])
def test_object_identifiers_are_decoded(dotted: str) -> None:
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(dotted), "x")]).public_bytes()
    assert der.decode_oid(name[6 : 6 + name[5]] if name[4] == 6 else name[8 : 8 + name[7]]) == dotted


@pytest.mark.parametrize("content", [b"", b"\x2a\x86", b"\x2a" * 200])
def test_broken_object_identifiers_are_refused(content: bytes) -> None:
    with pytest.raises(der.DerError):
        der.decode_oid(content)


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, "020100"), (1, "020101"), (127, "02017f"), (128, "02020080"), (65_536, "0203010000")]
)
def test_integers_have_the_shortest_form_that_is_not_negative(number: int, encoded: str) -> None:
    assert der.encode_integer(number).hex() == encoded


def test_negative_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        der.encode_integer(-1)


@pytest.mark.parametrize(
    ("year", "encoded"),
    [
        (9, b"\x18\x0f00090203040506Z"),
        (1949, b"\x18\x0f19490203040506Z"),
        (1950, b"\x17\x0d500203040506Z"),
        (2049, b"\x17\x0d490203040506Z"),
        (2050, b"\x18\x0f20500203040506Z"),
    ],
)
def test_times_have_two_digits_of_the_year_where_these_are_clear(year: int, encoded: bytes) -> None:
    at = datetime(year, 2, 3, 4, 5, 6, 999_999, UTC)
    assert der.encode_time(at) == encoded
    assert der.encode_generalized_time(at) == f"\x18\x0f{year:04}0203040506Z".encode()


def test_times_without_a_zone_are_refused() -> None:
    for encode in (der.encode_time, der.encode_generalized_time):
        with pytest.raises(ValueError, match="time zone"):
            encode(datetime(2027, 1, 1))  # noqa: DTZ001
