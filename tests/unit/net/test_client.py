"""The HTTP client against servers that behave, and against those that do not."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.net.client import MAX_HEADER_BYTES, USER_AGENT, HttpClient
from strongroom.net.guard import Guard
from tests.conftest import START_OF_TESTS
from tests.factories.certificates import make_ca
from tests.peers.loopback import LoopbackServer, Script, answer, loopback, private_ca, server_context

_SHORT = timedelta(seconds=0.4)


def _everything_is_here(host: str) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(Guard(allow_private=True, resolve=_everything_is_here), clock=FrozenClock(START_OF_TESTS))
    yield made
    made.close()


def _url(server: LoopbackServer, path: str = "/", host: str = "api.example.com", scheme: str = "http") -> str:
    return f"{scheme}://{host}:{server.port}{path}"


def test_a_request_arrives_as_it_was_asked_for(client: HttpClient) -> None:
    with loopback(answer(b'{"zones": []}')) as server:
        got = client.request(
            "POST", _url(server, "/v1/zones?page=1%2F2"), json={"näme": 1}, headers={"X-Auth": "a b"}, allow_http=True
        )

        assert got.json() == {"zones": []}
        assert got.is_success
        head, _, body = server.heads[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/zones?page=1%2F2 HTTP/1.1"
    assert f"Host: api.example.com:{server.port}" in lines
    assert f"User-Agent: {USER_AGENT}" in lines
    assert "X-Auth: a b" in lines
    assert "Content-Type: application/json" in lines
    assert body == '{"näme": 1}'.encode()


def test_headers_of_the_caller_replace_ours_but_not_those_that_frame_the_request(client: HttpClient) -> None:
    with loopback(answer()) as server:
        headers = {"user-agent": "own", "host": "other.example.com", "Content-Length": "7", "Accept-Encoding": "gzip"}
        client.request("PUT", _url(server), headers=headers, content=b"abc", allow_http=True)
        lines = server.heads[0].decode().split("\r\n")

    assert "user-agent: own" in lines
    assert not any(line.startswith("User-Agent") for line in lines)
    assert f"Host: api.example.com:{server.port}" in lines
    assert "Content-Length: 3" in lines
    assert "Accept-Encoding: identity" in lines


@pytest.mark.parametrize("headers", [{"X-Key": "one\r\nX-Other: two"}, {"X Key": "one"}, {"X-Key": "schlüssel"}])
def test_a_header_cannot_smuggle_another_one_and_is_not_shown(client: HttpClient, headers: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="has characters that a header cannot have") as refused:
        client.request("GET", "https://api.example.com/", headers=headers)

    assert "two" not in str(refused.value)


def test_a_method_is_a_word_in_capitals(client: HttpClient) -> None:
    with pytest.raises(Invalid, match="method"):
        client.request("GET / HTTP/1.1\r\nX: ", "https://api.example.com/")


def test_connections_are_used_again(client: HttpClient) -> None:
    with loopback(answer()) as server:
        for _ in range(3):
            client.request("GET", _url(server), allow_http=True)

        assert server.connections == 1


def test_a_connection_that_the_server_closed_is_not_used_again(client: HttpClient) -> None:
    def once(connection: socket.socket, head: bytes) -> None:
        answer()(connection, head)
        connection.shutdown(socket.SHUT_RDWR)

    with loopback(once) as server:
        for _ in range(3):
            assert client.request("GET", _url(server), allow_http=True).status == 200
            time.sleep(0.05)

        assert server.connections == 3


def test_a_connection_of_the_operators_does_not_serve_users() -> None:
    client = HttpClient(Guard(allow_private=False, resolve=_everything_is_here))
    with loopback(answer()) as server:
        assert client.request("GET", _url(server), is_operators=True).status == 200

        with pytest.raises(Invalid) as refused:
            client.request("GET", _url(server), allow_http=True)

        assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
        assert len(server.heads) == 1
        client.close()


def test_threads_share_a_client(client: HttpClient) -> None:
    seen: list[int] = []

    def ask() -> None:
        seen.extend(client.request("GET", _url(server), allow_http=True).status for _ in range(5))

    with loopback(answer()) as server:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == [200] * 40


@pytest.mark.parametrize(
    ("status", "is_temporary"), [("404 Not Found", False), ("429 Slow Down", True), ("503 Busy", True)]
)
def test_a_status_is_no_error_of_ours(client: HttpClient, status: str, *, is_temporary: bool) -> None:
    with loopback(answer(b"{}", status, "Retry-After: 120", "Link: <a>", "Link: <b>")) as server:
        got = client.request("GET", _url(server), allow_http=True)

    assert got.status == int(status[:3])
    assert got.is_temporary is is_temporary
    assert got.retry_after == timedelta(minutes=2)
    assert got.headers["link"] == "<a>, <b>"
    if is_temporary:
        with pytest.raises(Unavailable) as refused:
            got.raise_if_temporary()
        assert refused.value.retry_after == timedelta(minutes=2)
    else:
        got.raise_if_temporary()


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\xfd", b"[" * 200_000, b"1" * 10_000])
def test_a_body_that_is_no_json_is_told_without_its_text(client: HttpClient, body: bytes) -> None:
    with loopback(answer(body)) as server:
        got = client.request("GET", _url(server), allow_http=True)

    with pytest.raises(Unavailable, match="api.example.com answered with something that is not JSON"):
        got.json()


def test_bodies_and_headers_are_not_in_the_repr(client: HttpClient) -> None:
    with loopback(answer(b'{"access_token": "hidden"}', "200 OK", "X-Token: hidden")) as server:
        got = client.request("GET", _url(server), allow_http=True)

    assert "hidden" not in repr(got)


def _drip(prefix: bytes, piece: bytes) -> Script:
    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(prefix)
        for _ in range(100):
            time.sleep(0.05)
            connection.sendall(piece)

    return script


@pytest.mark.parametrize(
    "script",
    [
        _drip(b"", b""),
        _drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        _drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "headers", "body", "chunks", "informational answers"],
)
def test_a_server_that_drips_is_left_when_the_time_is_over(client: HttpClient, script: Script) -> None:
    with loopback(script) as server:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="api.example.com did not answer completely within 0.4 seconds"):
            client.request("GET", _url(server, "/?key=hidden"), timeout=_SHORT, allow_http=True)

        assert time.monotonic() - began < 2


def test_a_tls_handshake_that_never_ends_is_left_when_the_time_is_over(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://api.example.com:{silent.getsockname()[1]}/"

        with pytest.raises(Unavailable, match="within 0.4 seconds"):
            client.request("GET", url, timeout=_SHORT)


def test_a_request_that_nobody_reads_is_left_when_the_time_is_over(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://api.example.com:{deaf.getsockname()[1]}/"

        with pytest.raises(Unavailable, match="within 0.4 seconds"):
            client.request("POST", url, content=b"x" * 20_000_000, timeout=_SHORT, allow_http=True)


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
def test_a_body_that_is_too_large_is_not_read_to_its_end(client: HttpClient, framing: str) -> None:
    sent: list[int] = []

    def huge(connection: socket.socket, head: bytes) -> None:
        head_line = {
            "length": b"Content-Length: 1000000000\r\n\r\n",
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n",
            "until the end": b"Connection: close\r\n\r\n",
        }[framing]
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head_line)
        piece = b"x" * 65536
        while len(sent) < 10_000:
            connection.sendall(b"10000\r\n" + piece + b"\r\n" if framing == "chunked" else piece)
            sent.append(1)

    with loopback(huge) as server, pytest.raises(Unavailable, match="more than 100000 bytes of body"):
        client.request("GET", _url(server), max_bytes=100_000, allow_http=True)

    assert len(sent) < 1_000


def test_a_body_of_exactly_the_limit_is_read(client: HttpClient) -> None:
    with loopback(answer(b"x" * 1000)) as server:
        assert client.request("GET", _url(server), max_bytes=1000, allow_http=True).body == b"x" * 1000


def test_headers_that_are_too_large_are_refused(client: HttpClient) -> None:
    with (
        loopback(answer(b"", "200 OK", *[f"X-{number}: {'y' * 1000}" for number in range(40)])) as server,
        pytest.raises(Unavailable, match=f"more than {MAX_HEADER_BYTES} bytes of headers"),
    ):
        client.request("GET", _url(server), allow_http=True)


def test_endless_headers_are_not_read_for_ever(client: HttpClient) -> None:
    def endless(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")

    with loopback(endless) as server, pytest.raises(Unavailable):
        client.request("GET", _url(server), allow_http=True)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
    ],
)
def test_what_is_no_http_is_unavailable(client: HttpClient, said: bytes) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    with loopback(script) as server, pytest.raises(Unavailable, match="api.example.com"):
        client.request("GET", _url(server), allow_http=True)


def test_a_compressed_answer_is_refused_because_it_could_swell(client: HttpClient) -> None:
    with (
        loopback(answer(gzip.compress(b"x" * 10_000_000), "200 OK", "Content-Encoding: gzip")) as server,
        pytest.raises(Unavailable, match="compressed"),
    ):
        client.request("GET", _url(server), allow_http=True)


def test_redirects_are_handed_back_unless_asked_for(client: HttpClient) -> None:
    with loopback(answer(b"", "302 Found", "Location: https://169.254.169.254/")) as server:
        got = client.request("GET", _url(server), allow_http=True)

    assert (got.status, got.headers["location"]) == (302, "https://169.254.169.254/")


@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254/latest?key=hidden",
        "https://10.0.0.1/",
        "//127.0.0.1/",
        "https://localhost/",
        "ftp://example.com/",
        "https://user:hidden@example.com/",
        "https://[::1",
        "https://metadata.example.com/",
    ],
)
@pytest.mark.parametrize("of_operator", [True, False])
def test_a_redirect_to_where_users_may_not_go_is_refused(location: str, *, of_operator: bool) -> None:
    def resolve(host: str) -> list[str]:
        return ["127.0.0.1"] if host == "api.example.com" else ["10.9.8.7"]

    client = HttpClient(Guard(allow_private=False, resolve=resolve))
    with loopback(answer(b"", "302 Found", f"Location: {location}")) as server:
        with pytest.raises((Invalid, Unavailable)) as refused:
            client.request("GET", _url(server), is_operators=of_operator, allow_http=True, follow_redirects=True)
        client.close()

    assert "hidden" not in refused.value.diagnostics()
    assert len(server.heads) == int(of_operator)


def test_a_redirect_is_followed_with_each_host_resolved_anew(client: HttpClient) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"GET /old?x HTTP"):
            location = f"Location: http://other.example.com:{server.port}/new"
            answer(b"", "301 Moved", location)(connection, head)
        else:
            answer(b'"here"')(connection, head)

    with loopback(script) as server:
        headers = {"Authorization": "Bearer hidden", "X-Auth-Key": "hidden", "Accept": "application/json"}
        got = client.request("GET", _url(server, "/old?x"), headers=headers, allow_http=True, follow_redirects=True)

        assert got.json() == "here"
        assert got.host == "other.example.com"
        assert b"hidden" in server.heads[0]
        assert b"hidden" not in server.heads[1]
        assert b"Accept: application/json" in server.heads[1]


def test_a_redirect_on_the_same_server_keeps_the_credential(client: HttpClient) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        moved = answer(b"", "308 Moved", "Location: new")
        (moved if head.startswith(b"GET /a/old") else answer())(connection, head)

    with loopback(script) as server:
        headers = {"Authorization": "Bearer token"}
        client.request("GET", _url(server, "/a/old"), headers=headers, allow_http=True, follow_redirects=True)

        assert server.heads[1].startswith(b"GET /a/new HTTP")
        assert b"Bearer token" in server.heads[1]


def test_what_is_the_operators_on_one_port_is_not_on_another() -> None:
    client = HttpClient(Guard(allow_private=False, resolve=_everything_is_here))
    with loopback(answer()) as other:
        script = answer(b"", "302 Found", f"Location: https://api.example.com:{other.port}/")
        with loopback(script) as server, pytest.raises(Invalid) as refused:
            client.request("GET", _url(server), is_operators=True, follow_redirects=True)
        client.close()

        assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
        assert other.connections == 0


def test_a_post_is_never_redirected(client: HttpClient) -> None:
    with loopback(answer(b"", "307 Temporary", "Location: /other")) as server:
        got = client.request("POST", _url(server), content=b"x", allow_http=True, follow_redirects=True)

        assert got.status == 307
        assert len(server.heads) == 1


def test_redirects_come_to_an_end(client: HttpClient) -> None:
    with (
        loopback(answer(b"", "302 Found", "Location: /again")) as server,
        pytest.raises(Unavailable, match="redirects more than 5 times"),
    ):
        client.request("GET", _url(server), allow_http=True, follow_redirects=True)


def test_a_private_authority_is_trusted_if_its_bundle_is_given(client: HttpClient, tmp_path: Path) -> None:
    ca = private_ca()
    with loopback(answer(), context=server_context(tmp_path, "api.example.com", issuer=ca)) as server:
        url = _url(server, scheme="https")

        assert client.request("GET", url, trust_pem=ca.pem).status == 200
        with pytest.raises(Unavailable, match="The TLS certificate of api.example.com is not accepted"):
            client.request("GET", url)
        with pytest.raises(Unavailable, match="not accepted"):
            client.request("GET", url, trust_pem=private_ca().pem)


def test_the_certificate_must_be_for_the_host_that_was_asked_for(client: HttpClient, tmp_path: Path) -> None:
    ca = private_ca()
    with (
        loopback(answer(), context=server_context(tmp_path, "other.example.com", issuer=ca)) as server,
        pytest.raises(Unavailable, match="Hostname mismatch"),
    ):
        client.request("GET", _url(server, scheme="https"), trust_pem=ca.pem)


def test_hosts_on_one_address_do_not_share_connections(client: HttpClient, tmp_path: Path) -> None:
    ca = private_ca()
    with loopback(answer(), context=server_context(tmp_path, "api.example.com", issuer=ca)) as server:
        assert client.request("GET", _url(server, scheme="https"), trust_pem=ca.pem).status == 200

        with pytest.raises(Unavailable, match="Hostname mismatch"):
            client.request("GET", _url(server, host="other.example.com", scheme="https"), trust_pem=ca.pem)


def test_a_redirect_from_https_to_http_is_refused(client: HttpClient, tmp_path: Path) -> None:
    ca = private_ca()
    script = answer(b"", "302 Found", "Location: http://api.example.com/")
    with loopback(script, context=server_context(tmp_path, "api.example.com", issuer=ca)) as server:
        url = _url(server, scheme="https")

        with pytest.raises(Invalid, match="redirects from https:// to http://"):
            client.request("GET", url, trust_pem=ca.pem, allow_http=True, follow_redirects=True)


@pytest.mark.parametrize(
    "bundle", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "keins für dich"]
)
def test_a_bundle_without_certificates_is_refused(client: HttpClient, bundle: str) -> None:
    with pytest.raises(Invalid) as refused:
        client.request("GET", "https://api.example.com/", trust_pem=bundle)

    assert refused.value.code is ErrorCode.CERTIFICATE_UNREADABLE


def test_a_bundle_may_hold_an_intermediate_and_comments_alone(client: HttpClient, tmp_path: Path) -> None:
    intermediate = make_ca("Loopback Issuer", issuer=private_ca())
    with loopback(answer(), context=server_context(tmp_path, "api.example.com", issuer=intermediate)) as server:
        bundle = f"# für Prüfungen\n{intermediate.pem}"

        assert client.request("GET", _url(server, scheme="https"), trust_pem=bundle).status == 200


def test_more_bundles_than_are_kept_work(client: HttpClient, tmp_path: Path) -> None:
    ca = private_ca()
    with loopback(answer(), context=server_context(tmp_path, "api.example.com", issuer=ca)) as server:
        for number in range(40):
            url = _url(server, scheme="https")
            assert client.request("GET", url, trust_pem=ca.pem + "\n" * number).status == 200


def test_proxies_of_the_environment_are_ignored(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(answer(b'"proxy"')) as proxy, loopback(answer(b'"server"')) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert client.request("GET", _url(server), allow_http=True).json() == "server"
        assert proxy.connections == 0


def test_an_unreachable_host_is_named_without_the_rest_of_the_url(client: HttpClient) -> None:
    with loopback(answer()) as server:
        url = _url(server, "/services/hidden?token=hidden")

    with pytest.raises(Unavailable) as refused:
        client.request("GET", url, allow_http=True)

    assert str(refused.value) == "api.example.com cannot be reached: Connection refused."
