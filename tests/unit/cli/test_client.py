from __future__ import annotations

import http.server
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from strongroom.cli.client import MAX_REPLY_BYTES, Client
from strongroom.cli.errors import CommandError, Exit, ServerRefused
from strongroom.cli.target import Target
from strongroom.kernel.errors import ErrorCode
from strongroom.kernel.secret import Secret
from tests.unit.cli.conftest import APIKEY, TOKEN, Answer, FakeServer, refusal

PATH = "/api/v2/secrets"

Connect = Callable[[Target], Client]


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def connect(naps: list[float]) -> Iterator[Connect]:
    """Open clients that are closed at the end of the test."""
    opened: list[Client] = []

    def go(target: Target) -> Client:
        opened.append(Client(target, sleep=naps.append))
        return opened[-1]

    yield go
    for client in opened:
        client.close()


@pytest.fixture
def client(server: FakeServer, connect: Connect) -> Client:
    return connect(Target(url=server.url, token_url=server.url + "/identity/token", apikey=Secret(APIKEY)))


def test_one_token_serves_many_requests(client: Client, server: FakeServer) -> None:
    server.on("GET", PATH, Answer(200, {"n": 1}))
    assert [client.call("GET", PATH) for _ in range(3)] == [{"n": 1}] * 3
    assert [request.path for request in server.requests] == ["/identity/token", PATH, PATH, PATH]
    assert server.last.headers["Authorization"] == f"Bearer {TOKEN}"
    assert server.last.headers["User-Agent"].startswith("strongroom-cli/")


def test_an_ended_token_is_replaced_once(client: Client, server: FakeServer) -> None:
    server.on("POST", PATH, Answer(201, {}))
    client.login()
    server.token = "another.token"
    assert client.call("POST", PATH, body={}) == {}
    assert [request.path for request in server.requests].count("/identity/token") == 2


def test_a_given_token_is_never_exchanged(server: FakeServer, connect: Connect) -> None:
    target = Target(url=server.url, token_url="http://127.0.0.1:1/identity/token", token=Secret("wrong"))
    with pytest.raises(ServerRefused) as caught:
        connect(target).call("GET", PATH)
    assert caught.value.exit_code is Exit.NOT_ALLOWED
    assert len(server.requests) == 1


def test_without_authentication_no_header_is_sent(server: FakeServer, connect: Connect) -> None:
    with pytest.raises(ServerRefused):
        connect(Target(url=server.url, token_url="", anonymous=True)).call("GET", PATH)
    assert server.last.headers["Authorization"] is None


def test_a_refused_key_says_so_and_is_not_shown(server: FakeServer, connect: Connect) -> None:
    target = Target(url=server.url, token_url=server.url + "/identity/token", apikey=Secret("planted-wrong"))
    with pytest.raises(CommandError) as caught:
        connect(target).call("GET", PATH)
    assert (caught.value.exit_code, caught.value.code) == (Exit.NOT_ALLOWED, ErrorCode.CREDENTIAL_REFUSED)
    assert "Provided API key could not be found." in caught.value.detail
    assert "planted-wrong" not in caught.value.diagnostics()
    assert "planted-wrong" not in repr(target)


@pytest.mark.parametrize("token", ["two\r\nlines", "with blank", ""])
def test_tokens_that_would_break_the_header_are_refused(token: str, connect: Connect) -> None:
    target = Target(url="http://127.0.0.1:1", token_url="", token=Secret(token))
    with pytest.raises(CommandError) as caught:
        connect(target).call("GET", PATH)
    assert caught.value.code is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_reads_are_tried_again_after_the_time_the_server_names(
    client: Client, server: FakeServer, naps: list[float], status: int
) -> None:
    server.on("GET", PATH, refusal(status, "unavailable", "Later.", Retry_After="7"), Answer(200, {"ok": True}))
    assert client.call("GET", PATH) == {"ok": True}
    assert naps == [7.0]


def test_reads_are_given_up_after_three_more_tries(client: Client, server: FakeServer, naps: list[float]) -> None:
    server.on("GET", PATH, refusal(503, "unavailable", "Later."))
    with pytest.raises(ServerRefused):
        client.call("GET", PATH)
    assert naps == [0.5, 1.0, 2.0]
    assert len(server.api_requests) == 4


def test_a_very_long_wait_is_left_to_the_user(client: Client, server: FakeServer, naps: list[float]) -> None:
    server.on("GET", PATH, refusal(503, "unavailable", "Later.", Retry_After="3600"))
    with pytest.raises(ServerRefused):
        client.call("GET", PATH)
    assert naps == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_writes_that_may_have_been_done_are_not_repeated(
    client: Client, server: FakeServer, method: str, status: int
) -> None:
    server.on(method, PATH, refusal(status, "unavailable", "Later.", Retry_After="0"))
    with pytest.raises(ServerRefused):
        client.call(method, PATH, body={})
    assert len(server.api_requests) == 1


def test_writes_refused_for_their_rate_are_repeated(client: Client, server: FakeServer) -> None:
    server.on("POST", PATH, refusal(429, "too_many", "Slowly.", Retry_After="0"), Answer(201, {"id": "x"}))
    assert client.call("POST", PATH, body={}) == {"id": "x"}


def test_a_page_of_a_proxy_is_not_shown_as_an_answer(client: Client, server: FakeServer) -> None:
    html = Answer(200, raw=b"<html>", headers={"Content-Type": "text/html"})
    server.on("GET", PATH, html)
    with pytest.raises(CommandError, match="not with JSON"):
        client.call("GET", PATH)
    server.on("GET", PATH, Answer(200, raw=b"{broken"))
    with pytest.raises(CommandError, match="not with JSON"):
        client.call("GET", PATH)
    server.on("POST", PATH, Answer(502, raw=b"<html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(ServerRefused, match="status 502"):
        client.call("POST", PATH, body={})


def test_redirects_are_not_followed(client: Client, server: FakeServer) -> None:
    server.on("GET", PATH, Answer(302, headers={"Location": "https://elsewhere.example.com/"}))
    with pytest.raises(CommandError, match="redirect"):
        client.call("GET", PATH)


def test_an_answer_of_another_shape_is_refused(client: Client, server: FakeServer) -> None:
    server.on("GET", PATH, Answer(200, [1]))
    with pytest.raises(CommandError, match="without a JSON object"):
        client.call_object("GET", PATH)
    server.on("GET", PATH, Answer(204))
    assert client.call("GET", PATH) is None


def test_an_answer_cut_off_in_the_middle_is_an_error(client: Client, server: FakeServer) -> None:
    cut = Answer(200, raw=b'{"a":', headers={"Content-Length": "500", "Connection": "close"})
    server.on("GET", PATH, cut)
    with pytest.raises(CommandError, match="before the answer was complete") as caught:
        client.call("GET", PATH)
    assert caught.value.exit_code is Exit.UNREACHABLE


def test_an_endless_answer_is_not_read_to_the_end(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_REPLY_BYTES > 4 * 1024 * 1024
    monkeypatch.setattr("strongroom.cli.client.MAX_REPLY_BYTES", 1000)
    server.on("GET", PATH, Answer(200, raw=b" " * 1001))
    with pytest.raises(CommandError, match="larger"):
        client.call("GET", PATH)


def test_a_token_answer_without_a_token_is_an_error(client: Client, server: FakeServer) -> None:
    server.token = ""
    with pytest.raises(CommandError, match="without an access token"):
        client.login()


def test_login_does_not_hand_out_tokens(client: Client) -> None:
    assert client.login() == {"expires_in": 3600, "token_type": "Bearer"}


def test_login_needs_a_key(server: FakeServer, connect: Connect) -> None:
    with pytest.raises(CommandError, match="no API key"):
        connect(Target(url=server.url, token_url="")).login()


def test_a_kept_connection_that_was_closed_is_opened_anew_for_reads(client: Client, server: FakeServer) -> None:
    server.on("GET", PATH, Answer(200, {}))
    client.call("GET", PATH)
    for link in client._links.values():
        assert link._connection is not None
        link._connection.sock.shutdown(socket.SHUT_RDWR)
    assert client.call("GET", PATH) == {}


def test_an_idle_connection_is_not_used_for_writes(client: Client, server: FakeServer) -> None:
    server.on("POST", PATH, Answer(201, {}))
    client.call("POST", PATH, body={})
    for link in client._links.values():
        assert link._connection is not None
        link._connection.sock.shutdown(socket.SHUT_RDWR)
        link._used_at = float("-inf")
    assert client.call("POST", PATH, body={}) == {}


def test_a_closed_port_is_unreachable(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    target = Target(url=f"http://127.0.0.1:{port}", token_url="", anonymous=True)
    with pytest.raises(CommandError, match="connection refused") as caught:
        connect(target).call("GET", PATH)
    assert caught.value.exit_code is Exit.UNREACHABLE


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_server_that_does_not_answer_is_unreachable(
    silent_port: int, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    monkeypatch.setattr("strongroom.cli.client.READ_TIMEOUT_S", 0.05)
    target = Target(url=f"http://127.0.0.1:{silent_port}", token_url="", anonymous=True)
    with pytest.raises(CommandError, match="in time") as caught:
        connect(target).call("GET", PATH)
    assert caught.value.exit_code is Exit.UNREACHABLE


def test_something_that_is_no_http_server_is_unreachable(connect: Connect) -> None:
    def chat() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ports.append(listening.getsockname()[1])
            ready.set()
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"SSH-2.0-nothing\r\n")

    ports: list[int] = []
    ready = threading.Event()
    thread = threading.Thread(target=chat)
    thread.start()
    ready.wait()
    with pytest.raises(CommandError, match="does not speak HTTP"):
        connect(Target(url=f"http://127.0.0.1:{ports[0]}", token_url="", anonymous=True)).call("GET", PATH)
    thread.join()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = tmp_path / "both.pem"
    both.write_bytes(
        ca_file.read_bytes()
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing about handshakes that a client broke off."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    serving = Server(("127.0.0.1", 0), Handler)
    serving.socket = context.wrap_socket(serving.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{serving.server_address[1]}", ca_file
    serving.shutdown()
    serving.server_close()
    thread.join()


def test_a_trusted_ca_file_opens_the_connection(tls: tuple[str, Path], connect: Connect) -> None:
    url, ca_file = tls
    client = connect(Target(url=url, token_url="", anonymous=True, ca_file=ca_file))
    assert client.call("GET", PATH) == {}


def test_an_unknown_ca_is_refused_with_the_option_that_helps(tls: tuple[str, Path], connect: Connect) -> None:
    with pytest.raises(CommandError, match="not trusted") as caught:
        connect(Target(url=tls[0], token_url="", anonymous=True)).call("GET", PATH)
    assert caught.value.exit_code is Exit.UNREACHABLE
    assert "--ca-file" in (caught.value.hint or "")


def test_verification_can_be_switched_off_for_scripts_that_do(tls: tuple[str, Path], connect: Connect) -> None:
    client = connect(Target(url=tls[0], token_url="", anonymous=True, insecure=True))
    assert client.call("GET", PATH) == {}


def test_https_to_a_plain_server_names_the_handshake(server: FakeServer, connect: Connect) -> None:
    url = server.url.replace("http:", "https:")
    with pytest.raises(CommandError, match="TLS handshake failed"):
        connect(Target(url=url, token_url="", anonymous=True)).call("GET", PATH)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_useless_ca_file_is_a_usage_error(tmp_path: Path, text: str | None, connect: Connect) -> None:
    ca_file = tmp_path / "ca.pem"
    if text is not None:
        ca_file.write_text(text)
    target = Target(url="https://127.0.0.1:1", token_url="", anonymous=True, ca_file=ca_file)
    with pytest.raises(CommandError, match="CA file") as caught:
        connect(target).call("GET", PATH)
    assert caught.value.exit_code is Exit.USAGE
