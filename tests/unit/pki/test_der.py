from __future__ import annotations

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
