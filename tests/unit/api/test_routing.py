"""Paths find their endpoints."""

from __future__ import annotations

import asyncio

import pytest

from strongroom.api.asgi import Application, Message, Receive, Scope, Send
from strongroom.api.routing import Router

seen: list[tuple[str, dict[str, str]]] = []


def endpoint(name: str) -> Application:
    async def run(scope: Scope, _: Receive, __: Send) -> None:
        seen.append((name, dict(scope["path_params"])))

    return run


PATHS = ("/things/{id}", "/things/special", "/things/{id}/parts/{part}", "/crn/{crn:path}/end", "/", "/a.b/{id}")
ROUTER = Router({path: endpoint(path) for path in PATHS}, endpoint("default"))


async def nothing() -> Message:
    raise AssertionError


def find(path: str, kind: str = "http") -> tuple[str, dict[str, str]]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    seen.clear()
    asyncio.run(ROUTER({"type": kind, "path": path}, nothing, send))
    return seen[0] if seen else (str(sent[0]["type"]), {})


@pytest.mark.parametrize(
    ("path", "name", "parameters"),
    [
        ("/things/1", "/things/{id}", {"id": "1"}),
        ("/things/special", "/things/special", {}),
        ("/things/1/parts/2", "/things/{id}/parts/{part}", {"id": "1", "part": "2"}),
        ("/crn/a/b:c/end", "/crn/{crn:path}/end", {"crn": "a/b:c"}),
        ("/", "/", {}),
        ("/a.b/x", "/a.b/{id}", {"id": "x"}),
        ("/axb/x", "default", {}),
        ("/things/", "default", {}),
        ("/things/1/", "default", {}),
        ("/things/1\n", "/things/{id}", {"id": "1\n"}),
        ("/nothing", "default", {}),
    ],
)
def test_path_finds_its_endpoint_and_parameters(path: str, name: str, parameters: dict[str, str]) -> None:
    assert find(path) == (name, parameters)


def test_web_socket_is_closed() -> None:
    assert find("/things/1", "websocket")[0] == "websocket.close"
