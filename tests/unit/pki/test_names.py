from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.pki import names
from strongroom.pki.names import NameProblem


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("example.com", "example.com"),
        ("WWW.Example.COM", "WWW.Example.COM"),
        ("alt1", "alt1"),
        ("*.example.com", "*.example.com"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("a-b.3com.example", "a-b.3com.example"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("*.\u4f8b\u3048.example", "*.xn--r8jz45g.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_host_names_are_given_in_ascii(text: str, form: str) -> None:
    assert names.check_host(text) == form


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an empty part"),
        ("a..b", "an empty part"),
        (".example.com", "an empty part"),
        ("example.com.", "no final dot"),
        ("*", "a wildcard is"),
        ("a.*.example.com", "a wildcard is"),
        ("*.*.example.com", "a wildcard is"),
        ("w*.example.com", "a wildcard is"),
        ("192.0.2.1", "belongs in ip_sans"),
        ("example.1", "not a number"),
        ("-a.example", "letters, digits and inner hyphens"),
        ("a-.example", "letters, digits and inner hyphens"),
        ("a b.example", "letters, digits and inner hyphens"),
        ("a/b", "letters, digits and inner hyphens"),
        ("https://example.com", "letters, digits and inner hyphens"),
        ("a" * 64 + ".example", "at most 63"),
        (".".join(["a" * 60] * 5), "at most 253"),
        ("stra\u00dfe.example", "ASCII form"),
        ("\u2603.example", "ASCII form"),
        ("a\u200db.example", "ASCII form"),
        ("xn--a.example", "no valid international label"),
        ("xn--999999999.example", "no valid international label"),
    ],
)
def test_what_is_no_host_name_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(NameProblem, match=reason):
        names.check_host(text)


def test_email_addresses_are_checked() -> None:
    assert names.check_email("first.last+tag@b\u00fccher.example") == "first.last+tag@xn--bcher-kva.example"
    for text in (
        "@example.com",
        "a@",
        "a@b@c d",
        ".a@example.com",
        "a@*.example.com",
        "a" * 65 + "@example.com",
        "plain",
    ):
        with pytest.raises(NameProblem):
            names.check_email(text)


def test_addresses_take_their_shortest_form() -> None:
    assert names.check_address("2001:0DB8::0:1") == "2001:db8::1"
    for text in ("192.0.2.256", "192.0.2.0/24", "fe80::1%eth0", "localhost"):
        with pytest.raises(NameProblem):
            names.check_address(text)


@pytest.mark.parametrize(
    "text", ["https://www.example.com/test", "spiffe://example.com/web", "urn:uuid:1", "ldap://[2001:db8::1]/", "a:b"]
)
def test_uris_are_accepted(text: str) -> None:
    assert names.check_uri(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "www.example.com",
        "/path",
        "https:///path",
        "https://",
        "https://?q",
        "ht tp://a",
        "https://b\u00fc/",
        "a:" + "b" * 2048,
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(NameProblem):
        names.check_uri(text)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("separator", ["", "."])
def test_a_host_name_that_fills_the_request_is_refused_before_it_is_encoded(separator: str) -> None:
    name = separator.join(chr(0x4E00 + number % 20_000) for number in range(300_000))

    with pytest.raises(NameProblem, match="has at most 253 characters"):
        names.check_host(name)


@pytest.mark.timeout(10)
def test_a_long_part_of_a_host_name_is_refused_before_it_is_encoded() -> None:
    with pytest.raises(NameProblem, match="has at most 63 characters"):
        names.check_host("\u4e00" * 900 + ".example.com")


def test_a_part_that_is_short_enough_once_it_is_normalised_passes() -> None:
    assert names.check_host("u\u0308" * 40 + ".example.com") == names.check_host("\u00fc" * 40 + ".example.com")


def test_a_very_long_uri_is_refused() -> None:
    with pytest.raises(NameProblem, match="at most 2048"):
        names.check_uri("a:" + "b" * 2048)


def test_object_identifiers_are_checked() -> None:
    for text in ("1.3.6.1.4.1.311.20.2.3", "2.5.4.5", "2.999", "0.9.2342.19200300.100.1.1"):
        assert names.check_oid(text) == text
    for text in ("", "1", "3.1", "1.40", "1.2.", "1.02.3", "a.b", "1.2." + "9" * 40, "1." * 40 + "1"):
        with pytest.raises(NameProblem):
            names.check_oid(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", True),
        ("example", True),
        ("*.example.com", True),
        ("someone@example.com", True),
        ("b\u00fccher.example", True),
        ("M\u00fcller", False),
        ("Jane Roe", False),
        ("192.0.2.1", False),
        ("", False),
    ],
)
def test_a_common_name_counts_as_a_name_if_it_looks_like_one(text: str, expected: bool) -> None:
    assert names.looks_like_name(text) is expected


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_name_in_ascii_or_refused(text: str) -> None:
    for check in (
        names.check_host,
        names.check_email,
        names.check_host_or_email,
        names.check_address,
        names.check_uri,
        names.check_oid,
    ):
        try:
            form = check(text)
        except NameProblem:
            continue
        assert form.isascii()
        assert check(form) == form
