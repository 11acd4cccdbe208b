"""Connections of callers who mean no good: endless heads, heads that never end, bodies that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from strongroom.runtime.protocol import MAX_HEAD_BYTES, BoundedProtocol

GOOD = b"GET / HTTP/1.1\r\nhost: strongroom.example.com\r\n\r\n"


class Hurried(BoundedProtocol):
    """Waits for a fraction of the time."""

    head_within_s = 0.2


async def answer_at_once(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answer_late(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.6)
    await answer_at_once(scope, receive, send)


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def talk(conversation: Conversation, *, app: Any = answer_at_once, protocol: Any = Hurried) -> bytes:
    async def run() -> bytes:
        config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                return await asyncio.wait_for(conversation(reader, writer), 10)
            finally:
                writer.close()

    return asyncio.run(run())


def after(*parts: bytes, pause: float = 0.0) -> Conversation:
    """Return the conversation that sends the parts and reads until the server closes."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        received = b""
        for part in parts:
            writer.write(part)
            try:
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(pause)
        try:
            while more := await reader.read(65536):
                received += more
        except ConnectionError:
            pass
        return received

    return conversation


def test_a_request_is_answered_and_the_next_one_too() -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        received = b""
        for _ in range(3):
            writer.write(GOOD)
            received += await reader.readuntil(b"ok")
        return received

    assert talk(conversation).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([GOOD[:-2] + b"x: " + b"y" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n"], id="one-header-at-once"),
        pytest.param([GOOD[:-2] + b"x: ", *[b"y" * 8192] * 20], id="one-header-in-pieces"),
        pytest.param([GOOD[:-2], *[b"x: y\r\n" * 1500] * 20], id="many-headers"),
        pytest.param([b"GET /?", *[b"y" * 8192] * 20], id="the-path"),
    ],
)
def test_a_head_without_end_is_refused(parts: list[bytes]) -> None:
    answer = talk(after(*parts, pause=0.001), protocol=BoundedProtocol)

    # Who goes on sending may find the connection gone before the answer was read.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


def test_a_head_of_a_usual_size_passes_in_pieces() -> None:
    head = GOOD[:-2] + b"authorization: Bearer " + b"y" * 16_000 + b"\r\n\r\n"
    pieces = [head[at : at + 100] for at in range(0, len(head), 100)]

    assert talk(after(*pieces, pause=0)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="nothing"),
        pytest.param([b"GET / HTTP/1.1\r\nhost: a"], id="half-a-head"),
        pytest.param([b"\r\n"] * 10, id="blank-lines"),
        pytest.param([b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 10], id="a-header-now-and-then"),
    ],
)
def test_who_sends_no_request_in_time_is_hung_up_on(parts: list[bytes]) -> None:
    assert talk(after(*parts, pause=0.1)) == b""


def test_the_second_request_has_to_come_in_time_as_well() -> None:
    assert talk(after(GOOD + b"GET / HT")).count(b"HTTP/1.1 200") == 1


def test_a_body_that_nobody_waits_for_ends_the_connection() -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n"

    assert talk(after(head, b"x", b"x")).count(b"HTTP/1.1 200") == 1


def test_what_is_no_request_is_answered_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert talk(after(b"\x16\x03\x01 nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert not caplog.records


@pytest.mark.parametrize("more", [b"", b"\r\n", b"GET / HT"])
def test_a_long_answer_is_not_cut_short(more: bytes) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GOOD)
        await asyncio.sleep(0.05)
        writer.write(more)
        return await reader.readuntil(b"ok")

    assert talk(conversation, app=answer_late).startswith(b"HTTP/1.1 200 ")
