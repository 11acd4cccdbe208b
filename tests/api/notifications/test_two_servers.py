"""Two servers on one PostgreSQL send everything once, also when one of them is gone half-way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.api.notifications.sending import destination
from tests.api.v2.sending import create, import_certificate, leaf, made
from tests.peers.in_process import InProcess, in_process
from tests.peers.sinks import WebhookSink

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]
SECRETS = 120


@pytest.fixture
def servers(tmp_path: Path, postgres_url: str, clock: FrozenClock) -> Iterator[list[InProcess]]:
    key = tmp_path / "master.key"
    settings = {"database_url": postgres_url, "master_key_file": key, "allow_private_addresses": True}
    with ExitStack() as stack:
        found = [
            stack.enter_context(
                in_process(tmp_path / name, clock, scheduler_interval=timedelta(milliseconds=200), **settings)
            )
            for name in ("one", "two")
        ]
        # The key of the first administrator lies where the first server began.
        found[1].administrator = found[0].administrator  # type: ignore[method-assign]
        yield found


def until_told_of(sink: WebhookSink, count: int) -> Counter[str]:
    end, found = time.monotonic() + 30, Counter[str]()
    while time.monotonic() < end:
        # A copy: the receiver's thread goes on.
        found = Counter(s["secret_name"] for request in list(sink.received) for s in request.json["data"]["secrets"])
        if len(found) >= count:
            return found
        time.sleep(0.05)
    pytest.fail(f"only {len(found)} of {count} were told of")


def test_every_event_is_sent_once_by_whichever_server(servers: list[InProcess], webhook_sink: WebhookSink) -> None:
    one, two = servers
    for number in range(3):
        destination(one, name=f"hook-{number}", url=webhook_sink.url, filters={"event_types": ["secret_created"]})
    for server in servers:
        server.container.worker.start()

    for number in range(SECRETS):
        made(create(servers[number % 2], name=f"secret-{number}"))
        one.clock.advance(timedelta(seconds=2))
    one.clock.advance(timedelta(minutes=2))

    found = until_told_of(webhook_sink, SECRETS)
    time.sleep(1)
    found = until_told_of(webhook_sink, SECRETS)
    assert set(found.values()) == {3}
    assert two.request("GET", "/api/v2/notifications/destinations").json["total_count"] == 3


def test_notices_of_an_end_are_sent_once(servers: list[InProcess], webhook_sink: WebhookSink) -> None:
    one, two = servers
    destination(one, url=webhook_sink.url, filters={"event_types": ["secret_about_to_expire"]})
    certificate = leaf(one, 30.5).pem
    for number in range(30):
        made(import_certificate(servers[number % 2], f"cert-{number}", certificate=certificate))
    for server in (one, two):
        server.container.worker.start()

    # The notices of the creations go first; what comes meanwhile is gathered for a minute.
    time.sleep(1)
    one.clock.advance(timedelta(minutes=2))
    until_told_of(webhook_sink, 30)
    one.clock.advance(timedelta(hours=1))
    time.sleep(1.5)

    found = Counter(
        secret["secret_name"] for request in webhook_sink.received for secret in request.json["data"]["secrets"]
    )
    assert set(found.values()) == {1}


def test_other_server_sends_what_the_first_left(servers: list[InProcess], webhook_sink: WebhookSink) -> None:
    one, two = servers
    destination(one, url=webhook_sink.url, filters={"event_types": ["secret_created"]})
    webhook_sink.statuses = [503]
    made(create(one, name="left"))
    one.work()
    assert len(webhook_sink.received) == 1
    one.container.worker.stop()

    two.container.worker.start()
    two.clock.advance(timedelta(minutes=7))

    end = time.monotonic() + 30
    while len(webhook_sink.received) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    first, second = webhook_sink.received
    assert first.json["id"] == second.json["id"]
