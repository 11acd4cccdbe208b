"""A server that refuses everything, and repeats in its answer all that it was told: the worst way to say no."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Echo:
    """The server.

    Attributes:
        url: where it listens.
        said: everything that it answered.
    """

    url: str = ""
    said: list[str] = field(default_factory=list)


@contextmanager
def running_echo() -> Iterator[Echo]:
    """Run it for the length of a block."""
    echo = Echo()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._refuse()

        def do_POST(self) -> None:
            self._refuse()

        def do_PATCH(self) -> None:
            self._refuse()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (of the library)
            """Print nothing."""

        def _refuse(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
            told = " ".join([*self.headers.values(), self.path, body])
            answer = json.dumps({"error": told, "message": told}, ensure_ascii=False).encode()
            echo.said.append(told)
            self.send_response(401, "Not with this key")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    echo.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield echo
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
