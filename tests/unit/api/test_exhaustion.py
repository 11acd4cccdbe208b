"""What one caller can make the server spend, and that the others do not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from strongroom.api.client_address import ClientAddress
from strongroom.api.edge import Edge
from strongroom.api.operations import Call, Reply, Work, decode_json, validate
from strongroom.domain.limits import Limits
from strongroom.kernel.errors import ErrorCode, Forbidden, Invalid
from tests.unit.api.asgi import MANAGER, READER, URL, Server, operation

MIB = 1024 * 1024


class Names(BaseModel):
    """Takes texts."""

    names: list[str]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":[' + b"{}," * MIB + b"{}]}", id="many-objects"),
        pytest.param(b'{"a":[' + b"1," * MIB + b"1]}", id="many-numbers"),
        pytest.param(b'{"a":[' + b",".join([b"[" * 90 + b"]" * 90] * 5000) + b"]}", id="many-deep-lists"),
        pytest.param(b'{"a":"\\"' + b'["' * MIB, id="broken-texts"),
    ],
)
def test_a_body_of_a_million_values_is_refused_before_it_is_looked_at(body: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        decode_json(body)

    assert caught.value.code == "malformed_request"
    assert len(caught.value.detail) < 200


def test_brackets_inside_a_text_are_no_values() -> None:
    text = '[{\\"' * (MIB // 4)

    assert decode_json(f'{{"payload":"{text}"}}'.encode()) == {"payload": text.replace("\\", "")}


def test_a_value_as_large_as_a_kv_secret_may_be_is_read() -> None:
    assert len(decode_json(b"[" + b"1," * 262_143 + b"1]")) == 262_144


def test_a_body_that_breaks_rules_in_twenty_thousand_places_gets_one_sentence() -> None:
    with pytest.raises(Invalid) as caught:
        validate(Names, {"names": [1] * 20_000})

    assert caught.value.detail == "The request breaks the rules for its fields in 20000 places."
    assert not caught.value.causes


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_large_body_is_taken_apart_in_a_thread(size: int) -> None:
    where: list[str] = []

    def note(call: Call) -> Reply:
        where.append(threading.current_thread().name)
        return Reply(body=len(call.json()["text"]))

    server = Server([operation(note, method="POST", work=Work.WRITE)], limits=Limits(request_bytes=MIB))
    answer = server.ask("POST", "/things", b'{"text":"' + b"x" * size + b'"}')

    assert answer.json == size
    assert where[0].startswith("strongroom-request") is bool(size)


def test_a_large_body_is_not_asked_whether_it_is_quick() -> None:
    def asked(_: Call) -> Work:
        raise AssertionError

    made = operation(lambda _: Reply(), method="POST", work=Work.SLOW_WRITE, work_by=asked)

    assert Server([made], limits=Limits(request_bytes=MIB)).ask("POST", "/things", b" " * 100_000).status == 200


def test_slow_writes_keep_neither_reads_nor_logins_waiting() -> None:
    go_on = threading.Event()

    def slow(_: Call) -> Reply:
        assert go_on.wait(30)
        return Reply(body="slow")

    operations = [
        operation(slow, name="slow", path="/slow", method="POST", work=Work.SLOW_WRITE, body_required=False),
        operation(lambda _: Reply(body="quick"), name="quick", path="/quick", work=Work.SCAN),
    ]
    server = Server(operations)
    edge = Edge(server.services(), server.ears, ClientAddress(URL), threads=2)

    async def ask(path: str, method: str) -> int:
        by_path = {made.path: made for made in operations}
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        scope = {
            "type": "http",
            "method": method,
            "scheme": "https",
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {MANAGER}".encode())],
            "client": None,
        }
        await edge.run(by_path[path], scope, receive, send)
        return statuses[0]

    async def crowd() -> tuple[int, list[int]]:
        waiting = [asyncio.create_task(ask("/slow", "POST")) for _ in range(300)]
        await asyncio.sleep(0)
        try:
            quick = await asyncio.wait_for(ask("/quick", "GET"), 10)
        finally:
            go_on.set()
        return quick, await asyncio.gather(*waiting)

    quick, slow_ones = asyncio.run(crowd())
    edge.close()

    assert quick == 200
    # So many wait; the rest is told to come back.
    assert (slow_ones.count(200), slow_ones.count(503)) == (204, 96)


def test_rights_that_were_taken_away_while_the_body_came_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.api.edge._PATIENCE_S", 0.0)
    taken_away: list[Callable[[], object]] = []

    def take_away(_: Call) -> None:
        if taken_away:
            taken_away.pop()()

    made = operation(lambda _: Reply(), method="POST", work=Work.WRITE, guard=take_away)
    for token, status in ((MANAGER, 401), (READER, 401)):
        server = Server([made])
        taken_away.append(server.authenticator.known.clear)
        assert server.ask("POST", "/things", b"{}", token=token).status == status
    assert Server([made]).ask("POST", "/things", b"{}").status == 200


def test_the_addressed_thing_is_looked_at_again_after_a_slow_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.api.edge._PATIENCE_S", 0.0)
    seen: list[str] = []

    def guard(call: Call) -> None:
        seen.append(call.path["id"])
        if len(seen) > 1:
            raise Forbidden(ErrorCode.FORBIDDEN, "No longer.")

    made = operation(lambda _: Reply(), path="/things/{id}", method="POST", work=Work.WRITE, guard=guard)

    assert Server([made]).ask("POST", "/things/1", b"{}").status == 403
