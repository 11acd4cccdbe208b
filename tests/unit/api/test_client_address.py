"""Who is at the other end, with and without proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.api.client_address import ClientAddress

PUBLIC = "https://strongroom.example.com"
PROXIES = ("10.0.0.0/8", "2001:db8::/64", "127.0.0.1")


def look(client: str | None, headers: dict[str, str], *, trusted: tuple[str, ...] = PROXIES) -> tuple[str | None, str]:
    scope = {"client": (client, 1) if client is not None else None, "scheme": "http"}
    return ClientAddress(PUBLIC, trusted).of(scope, {"host": "inner.example.com", **headers})


FORWARDED = {
    "x-forwarded-for": "198.51.100.9",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "outer.example.com",
}


def test_a_trusted_proxy_is_believed() -> None:
    assert look("10.1.2.3", FORWARDED) == ("198.51.100.9", "https://outer.example.com")


@pytest.mark.parametrize("client", ["192.0.2.1", "11.0.0.1", "2001:db9::1", "not-an-address"])
def test_anybody_else_is_not_believed(client: str) -> None:
    assert look(client, FORWARDED) == (client, "http://inner.example.com")


def test_nobody_is_believed_where_no_proxy_is_set() -> None:
    assert look("10.1.2.3", FORWARDED, trusted=()) == ("10.1.2.3", "http://inner.example.com")


def test_a_unix_socket_has_no_address() -> None:
    assert look(None, FORWARDED) == (None, "http://inner.example.com")


def test_an_ipv4_caller_of_a_socket_for_both_families_is_the_same_caller() -> None:
    assert look("::ffff:192.0.2.1", {})[0] == "192.0.2.1"
    assert look("::ffff:10.1.2.3", FORWARDED)[0] == "198.51.100.9"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.66, 198.51.100.9", "198.51.100.9"),
        ("203.0.113.66, 198.51.100.9, 10.9.9.9", "198.51.100.9"),
        ("10.9.9.9, 10.8.8.8", "10.1.2.3"),
        ("", "10.1.2.3"),
        ("203.0.113.66, unknown", "10.1.2.3"),
        ("203.0.113.66, 198.51.100.9:1234", "10.1.2.3"),
        ("2001:DB9::1", "2001:db9::1"),
        (" , ,198.51.100.9 ,", "198.51.100.9"),
    ],
)
def test_the_list_is_believed_from_its_end_as_far_as_the_proxies_reach(forwarded: str, address: str) -> None:
    assert look("10.1.2.3", {"x-forwarded-for": forwarded})[0] == address


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-proto": "javascript"},
        {"x-forwarded-proto": "https, http"},
        {"x-forwarded-host": "a.example.com, b.example.com"},
        {"x-forwarded-host": "a.example.com/x"},
        {"x-forwarded-host": "a@b.example.com"},
        {"host": "a b"},
    ],
)
def test_a_base_that_is_none_becomes_the_public_url(headers: dict[str, str]) -> None:
    assert look("10.1.2.3", headers)[1] == PUBLIC


@given(st.text(max_size=60))
def test_no_host_smuggles_anything_into_links(host: str) -> None:
    base = look("192.0.2.1", {"host": host})[1]

    assert base in {PUBLIC, f"http://{host}"}
    assert not set(base.partition("://")[2]) & set("/@?#\\ \r\n\"'<>%,")
