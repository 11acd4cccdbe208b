"""Every kind of address, and who may be sent to it."""

from __future__ import annotations

import pytest

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.net.guard import Guard

_PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255
169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
2606:4700::1111 2a00:1450:4001:800::200e 2001:200::1 2001:4860:4860::8888 3ffe::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 2001:0:808:808:0:0:f7f7:f7f7 2606:4700::5efe:808:808
"""
_PRIVATE = """
10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.254 172.16.0.1 172.31.255.255 192.168.0.1
192.168.255.255 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9
::1 fc00::1 fd12:3456:789a::1 fdff::1 2001:db8::1 2001:2::1 3fff::1
::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:a00:1 ::ffff:100.64.0.1 64:ff9b::10.0.0.1 64:ff9b::7f00:1 2002:a00:1::
2002:c0a8:101::1 2002:7f00:1::1 2001:0:808:808:0:0:f5ff:fffe 2001:0:a00:1:0:0:f7f7:f7f7 2606:4700::5efe:a00:1
2606:4700::200:5efe:7f00:1
"""
_PLATFORM = "100.100.100.200 168.63.129.16 fd00:ec2::254 fd20:ce::254 ::ffff:168.63.129.16 64:ff9b::6464:64c8"
_NEVER = """
0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 169.254.255.255 192.0.0.1 192.0.0.192 192.88.99.1 224.0.0.1 239.255.255.255
240.0.0.1 254.1.2.3 255.255.255.255
:: fe80::1 fe80::1%1 febf::1 fec0::1 ff02::1 ff0e::1 100::1 4000::1 8000::1 2001:10::1 2001:20::1 ::2 ::7f00:1
::127.0.0.1 64:ff9b:1::1 64:ff9b:1::a9fe:a9fe 2606:4700::1%1
::ffff:169.254.169.254 ::ffff:0.0.0.0 ::ffff:224.0.0.1 ::ffff:255.255.255.255 64:ff9b::a9fe:a9fe 64:ff9b::0
2002:a9fe:a9fe:: 2002:e000:1:: 2001:0:808:808:0:0:5601:5601 2001:0:a9fe:a9fe:0:0:f7f7:f7f7 fe80::5efe:808:808
2606:4700::5efe:a9fe:a9fe
"""
_STRANGE = "127.1 0177.0.0.1 2130706433 0x7f000001 127.0.0.1. 010.0.0.1 1.2.3 [::1] 1::2::3 localhost"


def _may_be_sent(guard: Guard, address: str, *, is_operators: bool) -> bool:
    try:
        guard.check_address(address, is_operators)
    except Invalid as refused:
        return refused.code is not ErrorCode.DESTINATION_NOT_ALLOWED
    return True


def _allowed(address: str) -> tuple[bool, bool, bool]:
    """Return whether an address is open to users, to users with the setting, and to the operator."""
    strict, lenient = Guard(allow_private=False), Guard(allow_private=True)
    operators = _may_be_sent(strict, address, is_operators=True)
    assert operators == _may_be_sent(lenient, address, is_operators=True)
    return (
        _may_be_sent(strict, address, is_operators=False),
        _may_be_sent(lenient, address, is_operators=False),
        operators,
    )


@pytest.mark.parametrize("address", _PUBLIC.split())
def test_a_public_address_is_open_to_everybody(address: str) -> None:
    assert _allowed(address) == (True, True, True)


@pytest.mark.parametrize("address", _PRIVATE.split())
def test_a_private_address_needs_the_setting_or_the_operator(address: str) -> None:
    assert _allowed(address) == (False, True, True)


@pytest.mark.parametrize("address", _PLATFORM.split())
def test_services_of_the_platform_are_the_operators_alone(address: str) -> None:
    assert _allowed(address) == (False, False, True)


@pytest.mark.parametrize("address", _NEVER.split())
def test_some_addresses_are_out_of_bounds_for_everybody(address: str) -> None:
    assert _allowed(address) == (False, False, False)


@pytest.mark.parametrize("text", ["", *_STRANGE.split()])
def test_what_cannot_be_judged_is_not_contacted(text: str) -> None:
    assert _allowed(text) == (False, False, False)


def test_the_refusal_names_address_kind_and_setting() -> None:
    with pytest.raises(Invalid) as refused:
        Guard(allow_private=False).check_address("10.1.2.3", host="ns1.example.com")

    assert str(refused.value) == (
        "ns1.example.com (10.1.2.3) must not be contacted: it is a private address, and the host must be public."
    )
    assert refused.value.hint is not None
    assert "allow_private_addresses" in refused.value.hint


def test_the_refusal_does_not_name_a_setting_that_would_not_help() -> None:
    with pytest.raises(Invalid) as refused:
        Guard(allow_private=False).check_address("169.254.169.254")

    assert refused.value.hint is None


def test_the_address_inside_another_is_named() -> None:
    with pytest.raises(Invalid, match="a loopback address \\(127.0.0.1 in IPv6 form\\)"):
        Guard(allow_private=False).check_address("64:ff9b::7f00:1")
