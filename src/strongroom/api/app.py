"""Builds the ASGI application from the operation tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from strongroom.api.edge import Edge, PathEndpoint, method_not_allowed, not_found
from strongroom.api.operations import Operation, Work

NOT_FOUND = Operation(
    name="no_such_path",
    method="GET",
    path="/",
    action="public",
    handler=not_found,
    work=Work.POINT,
    summary="",
    tag="",
    audit=False,
)
METHOD_NOT_ALLOWED = Operation(
    name="no_such_method",
    method="GET",
    path="/",
    action="public",
    handler=method_not_allowed,
    work=Work.POINT,
    summary="",
    tag="",
    audit=False,
)


def build_app(edge: Edge, operations: Sequence[Operation]) -> Router:
    """Return the application that serves the operations and nothing else.

    Starlette's own application would add two layers around the router that answer exceptions; the edge lets none out.
    """
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    routes: list[BaseRoute] = [
        # A CRN has a slash in it, which clients send encoded and servers decode before they route.
        Route(path.replace("{crn}", "{crn:path}"), endpoint=PathEndpoint(edge, by_path[path], METHOD_NOT_ALLOWED))
        for path in _words_before_parameters(by_path)
    ]

    async def no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        await edge.run(NOT_FOUND, scope, receive, send)

    # Paths with and without the last slash are operations of their own where a contract has both.
    return Router(routes=routes, redirect_slashes=False, default=no_such_path)


def _words_before_parameters(paths: Iterable[str]) -> list[str]:
    """Return the paths with each before those that would match it: the router takes the first that fits."""
    ordered: list[str] = []
    for path in paths:
        place = next((place for place, other in enumerate(ordered) if _matches(other, path)), len(ordered))
        ordered.insert(place, path)
    return ordered


def _matches(pattern: str, path: str) -> bool:
    """Tell whether requests for one path fit the pattern of another."""
    parts, words = pattern.split("/"), path.split("/")
    return len(parts) == len(words) and all(
        part == word or part.startswith("{") for part, word in zip(parts, words, strict=True)
    )
