"""``kill -9`` of a running server with a notice under way: it arrives all the same, under one id if it comes twice."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.server import LiveServer
from tests.peers.sinks import WebhookSink, running_webhook_sink

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DESTINATIONS = "/api/v2/notifications/destinations"
_OFTEN, _NEVER = "100ms", "1d"


class Told:
    """A server that tells one webhook of new secrets, over its kills.

    Attributes:
        server: the process.
        destination: address of the destination.
    """

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.destination = ""
        self._hours = 0

    def start(self, *, looks: str = _OFTEN) -> None:
        """Start the process an hour later than the one before: what that held is free by then."""
        self.server.environment |= {
            "STRONGROOM_ALLOW_PRIVATE_ADDRESSES": "true",
            "STRONGROOM_SCHEDULER_INTERVAL": looks,
            "STRONGROOM_TEST_MODE": "true",
            "STRONGROOM_TEST_CLOCK_OFFSET": f"{self._hours}h",
        }
        self._hours += 1
        self.server._token = None
        self.server.start()

    def tell(self, url: str) -> None:
        """Make the destination, and a secret to tell of."""
        body = {"name": "hook", "type": "webhook", "url": url, "filters": {"event_types": ["secret_created"]}}
        made = self.server.request("POST", DESTINATIONS, body)
        assert made.status == 201, made.raw
        self.destination = f"{DESTINATIONS}/{made.json['id']}"
        secret = {"secret_type": "arbitrary", "name": "told", "payload": "text"}
        assert self.server.request("POST", "/api/v2/secrets", secret).status == 201

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the log of the destination."""
        answer = self.server.request("GET", f"{self.destination}/deliveries")
        assert answer.status == 200, answer.raw
        return list(answer.json["deliveries"])

    def require_delivered(self, sink: WebhookSink, *, times: int) -> None:
        """Wait until the log has the delivery; nothing else came meanwhile or comes afterwards."""
        until(lambda: [delivery["state"] for delivery in self.deliveries()] == ["delivered"])
        time.sleep(0.5)
        assert len(sink.received) == times
        assert {request.json["id"] for request in sink.received} == {self.deliveries()[0]["event_id"]}
        for request in sink.received:
            assert [secret["secret_name"] for secret in request.json["data"]["secrets"]] == ["told"]


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    running = Told(LiveServer(tmp_path / "data", tls=False))
    yield running
    running.server.close()


def test_event_that_nothing_was_made_of_yet_is_told_of(told: Told, webhook_sink: WebhookSink) -> None:
    told.start(looks=_NEVER)
    told.tell(webhook_sink.url)
    told.server.kill()
    assert webhook_sink.received == []

    told.start()

    told.require_delivered(webhook_sink, times=1)


def test_notice_that_did_not_leave_before_the_kill_leaves_after_it(told: Told) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        # It takes connections only into its queue: nothing that is sent is ever read.
        port = deaf.getsockname()[1]
        told.start()
        told.tell(f"http://127.0.0.1:{port}/hook")
        assert select.select([deaf], [], [], 60)[0]
        told.server.kill()

    with running_webhook_sink(port) as sink:
        told.start()
        told.require_delivered(sink, times=1)


def test_notice_that_arrived_before_the_kill_comes_again_with_its_id(told: Told, webhook_sink: WebhookSink) -> None:
    webhook_sink.silent = silent = threading.Event()
    told.start()
    told.tell(webhook_sink.url)
    until(lambda: len(webhook_sink.received) == 1)
    told.server.kill()
    silent.set()

    told.start()

    told.require_delivered(webhook_sink, times=2)
    first, second = webhook_sink.received
    assert first.body == second.body


def test_notice_that_waits_for_its_next_try_keeps_its_place(told: Told, webhook_sink: WebhookSink) -> None:
    webhook_sink.statuses = [503]
    told.start()
    told.tell(webhook_sink.url)
    until(lambda: [delivery["state"] for delivery in told.deliveries()] == ["retrying"])
    told.server.kill()

    told.start()

    told.require_delivered(webhook_sink, times=2)
    assert told.deliveries()[0]["attempt"] == 2
