"""Which URLs and hosts pass, and that connections go to the address that was checked."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.clock import SystemClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.addresses import Reach, judge
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard, parse_address
from strongroom.runtime.outside import Outside
from strongroom.runtime.settings import load_settings
from tests.peers.loopback import answer, loopback

_STRICT = Guard(allow_private=False)


class Answers:
    """A resolver that gives one list of addresses after the other."""

    def __init__(self, *lists: Sequence[str]) -> None:
        self._lists = list(lists)
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._lists.pop(0)


def _in(seconds: float = 5) -> Deadline:
    return Deadline(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///path",
        "//example.com/",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://user@example.com/",
        "https://user:hunter2@example.com/",
        "https://:hunter2@example.com/",
        "https://@example.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:-1/",
        "https://example.com:http/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com\\@10.0.0.1/",
        "https://example.com/\r\nHost: other",
        "https://example.com/\t",
        "https://exämple.com/",
        "https://example.com/" + "a" * 4096,
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[not-an-address]/",
        "https://-example.com/",
        "https://example..com/",
        "https://.example.com/",
        "https://" + "a" * 64 + ".com/",
        "https://" + ".".join(["a" * 60] * 5) + "/",
        "https://exa%6dple.com/",
        "https://example.com,other.example.com/",
    ],
)
def test_a_malformed_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        Guard(allow_private=True).check_url(url, field="webhook_url")

    assert refused.value.code in {ErrorCode.INVALID_FIELD, ErrorCode.DESTINATION_NOT_ALLOWED}
    assert refused.value.field == "webhook_url"
    assert "hunter2" not in refused.value.diagnostics()


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/",
        "https://a.localhost:8/",
    ],
)
def test_a_url_that_names_a_private_host_is_refused_before_any_connection(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        _STRICT.check_url(url + "?key=hidden")

    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    assert "hidden" not in refused.value.diagnostics()
    Guard(allow_private=True).check_url(url)
    _STRICT.check_url(url, is_operators=True)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("https://EXAMPLE.com./a%2Fb?c=d#e", "example.com", 443, "/a%2Fb?c=d", "example.com"),
        ("https://example.com:8443/a", "example.com", 8443, "/a", "example.com:8443"),
        ("https://example.com:443/", "example.com", 443, "/", "example.com"),
        ("https://a_b.xn--exmple-cua.com/?q", "a_b.xn--exmple-cua.com", 443, "/?q", "a_b.xn--exmple-cua.com"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/", "8.8.8.8"),
        ("https://[2606:4700:0::1]:99/", "2606:4700::1", 99, "/", "[2606:4700::1]:99"),
    ],
)
def test_a_url_is_taken_apart_once(url: str, host: str, port: int, path: str, authority: str) -> None:
    target = _STRICT.check_url(url)

    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)


def test_plain_http_needs_leave() -> None:
    with pytest.raises(Invalid, match="The URL of example.com must begin with https://") as refused:
        _STRICT.check_url("http://example.com/")

    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    assert _STRICT.check_url("http://example.com/", allow_http=True).port == 80
    assert _STRICT.check_url("http://example.com/", is_operators=True).port == 80


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    guard = Guard(allow_private=False, resolve=Answers(["8.8.8.8", "2606:4700::1", "10.0.0.1"]))

    with pytest.raises(Invalid, match="hooks.example.com \\(10.0.0.1\\) must not be contacted"):
        guard.addresses("hooks.example.com", deadline=_in())


def test_a_name_is_resolved_once_for_a_connection() -> None:
    with loopback(answer()) as server:
        resolver = Answers(["127.0.0.1"], ["169.254.169.254"])
        guard = Guard(allow_private=True, resolve=resolver)

        with guard.connect("hooks.example.com", server.port, deadline=_in()) as opened:
            assert opened.getpeername() == ("127.0.0.1", server.port)

        assert resolver.asked == ["hooks.example.com"]


def test_an_answer_that_turns_private_is_refused_at_the_next_connection() -> None:
    resolver = Answers(["8.8.8.8"], ["127.0.0.1"])
    guard = Guard(allow_private=False, resolve=resolver)
    assert guard.addresses("hooks.example.com", deadline=_in()) == ["8.8.8.8"]

    with loopback(answer()) as server:
        with pytest.raises(Invalid) as refused:
            guard.connect("hooks.example.com", server.port, deadline=_in())
        assert server.connections == 0

    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with loopback(answer()) as server:
        guard = Guard(allow_private=True, resolve=Answers(["::1", "127.0.0.1"]))

        with guard.connect("hooks.example.com", server.port, deadline=_in()) as opened:
            assert opened.getpeername()[0] == "127.0.0.1"


def test_a_name_without_addresses_is_unavailable() -> None:
    def fails(host: str) -> Sequence[str]:
        raise OSError("no such name")

    for resolve in (fails, Answers([])):
        with pytest.raises(Unavailable, match="The name gone.example.com does not resolve to an address."):
            Guard(allow_private=False, resolve=resolve).addresses("gone.example.com", deadline=_in())


def test_a_resolver_that_hangs_does_not_hold_up_longer_than_the_deadline() -> None:
    ended = threading.Event()

    def hangs(host: str) -> Sequence[str]:
        ended.wait(30)
        return ["8.8.8.8"]

    guard = Guard(allow_private=False, resolve=hangs)
    try:
        with pytest.raises(Unavailable, match="slow.example.com did not answer completely within 0.1 seconds"):
            guard.addresses("slow.example.com", deadline=_in(0.1))
    finally:
        ended.set()


def test_a_host_that_nobody_listens_on_is_unavailable() -> None:
    with loopback(answer()) as server:
        port = server.port

    with pytest.raises(Unavailable, match="127.0.0.1 cannot be reached: Connection refused"):
        Guard(allow_private=True).connect("127.0.0.1", port, deadline=_in())


def test_a_port_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Invalid, match="The port must be 1 to 65535, not 0"):
        Guard(allow_private=True).connect("127.0.0.1", 0, deadline=_in())


_pieces = st.sampled_from(
    [
        *("https://", "http://", "//", "@", ":", "/", "?", "#", "\\", "%", "[", "]", ".", ";", "\t", "%2e", "user"),
        *("::1", "fe80::1%25lo", "127.0.0.1", "0x7f", "2130706433", "10.0.0.1", "169.254.169.254", "443", "0"),
        *("localhost", "example.com", "a"),
    ]
)


@given(st.lists(_pieces, max_size=8).map("".join))
def test_whatever_passes_is_one_host_that_may_be_contacted(tail: str) -> None:
    guard = Guard(allow_private=False)
    try:
        target = guard.check_url("https://" + tail)
    except Invalid:
        return

    address = parse_address(target.host)
    assert address is None or judge(address).reach is Reach.PUBLIC
    assert not set(target.host) & set("@/?#\\%[] \t")
    assert 1 <= target.port <= 65535
    again = guard.check_url(f"{target.scheme}://{target.authority}{target.path}")
    assert again == target


def test_the_setting_lets_users_name_private_hosts() -> None:
    for allowed in (False, True):
        settings = load_settings({"allow_private_addresses": allowed})
        guard = Outside.build(settings, SystemClock()).guard
        if allowed:
            guard.check_url("https://10.0.0.1/")
        else:
            with pytest.raises(Invalid):
                guard.check_url("https://10.0.0.1/")


def test_client_libraries_are_imported_with_the_first_request() -> None:
    program = (
        "import sys, strongroom.net.client, strongroom.net.guard, strongroom.net.tls\n"
        "print([name for name in ('httpcore2', 'httpx2', 'requests', 'h11', 'smtplib') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
