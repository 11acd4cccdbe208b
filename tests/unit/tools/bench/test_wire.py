from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tools.bench.wire import Client, UnexpectedAnswerError, wait_until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class OneAnswerEach:
    """Answers one request of each connection, promises to keep it, and closes it all the same."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[str] = []
        self.closed = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def close(self) -> None:
        # A closed listener does not wake a thread that waits in it; a last connection does.
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def _work(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                request = connection.recv(65536)
                if not request:
                    return
                self.requests.append(request.decode().split(" ", 1)[0])
                connection.sendall(ANSWER)
            self.closed.release()


@pytest.fixture
def server() -> Iterator[OneAnswerEach]:
    running = OneAnswerEach()
    yield running
    running.close()


@pytest.fixture
def client(server: OneAnswerEach) -> Iterator[Client]:
    opened = Client(server.port)
    yield opened
    opened.close()


def test_a_get_goes_on_when_the_server_closed_the_kept_connection(server: OneAnswerEach, client: Client) -> None:
    assert client.send("GET", "/").status == 200
    server.closed.acquire()

    assert client.send("GET", "/").status == 200
    assert server.requests == ["GET", "GET"]


def test_a_write_is_never_sent_twice(server: OneAnswerEach, client: Client) -> None:
    client.send("GET", "/")
    server.closed.acquire()

    with pytest.raises(ConnectionError, match="POST /"):
        client.send("POST", "/", body="{}")
    assert server.requests == ["GET"]


def test_another_status_than_the_expected_one_is_an_error(server: OneAnswerEach, client: Client) -> None:
    with pytest.raises(UnexpectedAnswerError, match="GET / answered 200, not 201"):
        client.expect("GET", "/", status=201)


def test_nobody_listening_means_not_ready_yet_until_waiting_is_pointless() -> None:
    def refused() -> bool:
        raise ConnectionRefusedError

    def dead() -> None:
        raise RuntimeError("it ended")

    with pytest.raises(RuntimeError, match="it ended"):
        wait_until(refused, alive=dead, timeout_s=5.0, what="the server")
    with pytest.raises(TimeoutError, match="the server was not ready"):
        wait_until(lambda: False, alive=lambda: None, timeout_s=0.01, what="the server")
