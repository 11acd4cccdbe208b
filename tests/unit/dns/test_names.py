"""Names of the DNS, compared and taken apart."""

from __future__ import annotations

import pytest

from strongroom.dns.names import HOST, is_endpoint, is_within, longest_zone, parents, relative


@pytest.mark.parametrize(
    ("name", "zone", "within"),
    [
        ("example.com", "example.com", True),
        ("www.example.com", "example.com", True),
        ("WWW.Example.com.", "example.COM.", True),
        ("notexample.com", "example.com", False),
        ("com", "example.com", False),
        ("example.com", ".", True),
    ],
)
def test_name_lies_in_a_zone_by_whole_labels(name: str, zone: str, within: bool) -> None:
    assert is_within(name, zone) is within


def test_longest_zone_wins() -> None:
    zones = ["example.com", "sub.example.com.", "b.example.com", "com"]

    assert longest_zone("a.sub.example.com", zones) == "sub.example.com"
    assert longest_zone("a.example.com", zones) == "example.com"
    assert longest_zone("example.org", zones) is None


def test_relative_name_is_what_stands_before_the_zone() -> None:
    assert relative("_acme-challenge.www.example.com.", "example.com") == "_acme-challenge.www"
    assert relative("Example.com", "example.com.") == "@"


def test_parents_begin_with_the_name_and_end_below_the_root() -> None:
    assert parents("a.example.com.") == ["a.example.com", "example.com", "com"]


@pytest.mark.parametrize("name", ["example.com", "_acme-challenge.example.com", "a", "xn--bcher-kva.example", "a.b."])
def test_host_names_are_accepted(name: str) -> None:
    assert HOST.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["", ".", "-a.example.com", "a-.example.com", "a..b", "a b", "a\\.b", "*.example.com", "a" * 64, "a." * 127]
)
def test_what_is_no_host_name_is_told(name: str) -> None:
    assert not HOST.fullmatch(name)


@pytest.mark.parametrize(
    ("host", "port", "is_one"),
    [
        ("2001:db8::53", 53, True),
        ("2001:0DB8:0::53", 53, True),
        ("2001:db8::53", 5353, False),
        ("127.0.0.1", 53, False),
        ("ns1.example.com", 53, False),
    ],
)
def test_endpoints_are_compared_by_their_addresses(host: str, port: int, is_one: bool) -> None:
    assert is_endpoint(host, port, [("2001:DB8::53", 53)]) is is_one
