"""Builds the ASGI application from the operation tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from strongroom.api.asgi import Receive, Scope, Send
from strongroom.api.edge import Edge, PathEndpoint, method_not_allowed, not_found
from strongroom.api.operations import Operation, Work
from strongroom.api.routing import Router

_WITH_SLASHES: Final = re.compile(r"\{(crn|request)\}")

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

    Paths with and without the last slash are operations of their own where a contract has both.
    """
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        # A slash in a CRN or in Base64 is sent encoded, but servers decode it before they route.
        path = _WITH_SLASHES.sub(r"{\1:path}", operation.path)
        by_path.setdefault(path, []).append(operation)

    async def no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
        await edge.run(NOT_FOUND, scope, receive, send)

    endpoints = {path: PathEndpoint(edge, items, METHOD_NOT_ALLOWED) for path, items in by_path.items()}
    return Router(endpoints, no_such_path)
