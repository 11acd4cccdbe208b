"""Hearing at once of jobs that were queued, on a database that tells (PostgreSQL).

The commit that brings a new job also sends a signal, and every process listens on a connection of its own.
A signal only says "look": that workers look every second anyway is what jobs rely on. So a signal that is
lost costs a second, and so does a connection that is lost, until it is there again.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Final

from strongroom.kernel.errors import StrongroomError
from strongroom.storage.engine import Engine

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0

_log = logging.getLogger(__name__)


class JobSignals:
    """Listens in a thread of its own until it is closed.

    Args:
        engine: where the connection comes from.
        heard: called after a signal, and whenever the connection is there (again); it must not fail.
    """

    def __init__(self, engine: Engine, heard: Callable[[], None]) -> None:
        self._engine = engine
        self._heard = heard
        self._closing = threading.Event()
        # A byte on this pair ends the wait for the database.
        self._stop_reader, self._stop_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._work, name="strongroom-job-signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._stop_writer.send(b"\0")
        self._thread.join()
        self._stop_reader.close()
        self._stop_writer.close()

    def _work(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                listener = self._engine.open_listener()
                if listener is None:
                    return
                try:
                    pause = FIRST_PAUSE_S
                    # Nobody listened until now.
                    self._heard()
                    while listener.wait(self._stop_reader):
                        self._heard()
                finally:
                    listener.close()
            except StrongroomError as error:
                if pause == FIRST_PAUSE_S:
                    _log.warning("new jobs of other processes are noticed by looking only: %s", error.detail)
                self._closing.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
