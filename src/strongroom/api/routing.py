"""Finds the endpoint of a path.

A path without parameters is found by its text, any other among those with as many segments: every request pays for
this, and a general router costs a twentieth of a whole read (ADR 0016).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from strongroom.api.asgi import Application, Receive, Scope, Send

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(:path)?\}")


class Router:
    """All paths of a server, as one application.

    Args:
        endpoints: by path; ``{name}`` stands for one segment, ``{name:path}`` for all that follow.
        default: answers every other path.
    """

    def __init__(self, endpoints: Mapping[str, Application], default: Application) -> None:
        self.endpoints = endpoints
        self._default = default
        self._fixed = {path: endpoint for path, endpoint in endpoints.items() if "{" not in path}
        self._open: list[tuple[re.Pattern[str], Application]] = []
        self._by_segments: dict[int, list[tuple[re.Pattern[str], Application]]] = defaultdict(list)
        for path, endpoint in endpoints.items():
            if "{" in path:
                found = self._open if ":path}" in path else self._by_segments[path.count("/")]
                found.append((_pattern(path), endpoint))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to its endpoint, with the parameters of its path in ``path_params``."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        endpoint, scope["path_params"] = self._find(scope["path"])
        await endpoint(scope, receive, send)

    def _find(self, path: str) -> tuple[Application, Mapping[str, str]]:
        endpoint = self._fixed.get(path)
        if endpoint is not None:
            return endpoint, {}
        for candidates in (self._by_segments.get(path.count("/"), ()), self._open):
            for pattern, endpoint in candidates:
                match = pattern.fullmatch(path)
                if match is not None:
                    return endpoint, match.groupdict()
        return self._default, {}


def _pattern(path: str) -> re.Pattern[str]:
    text, end = "", 0
    for parameter in _PARAMETER.finditer(path):
        text += re.escape(path[end : parameter.start()])
        text += f"(?P<{parameter[1]}>{'.*' if parameter[2] else '[^/]+'})"
        end = parameter.end()
    return re.compile(text + re.escape(path[end:]), re.DOTALL)
