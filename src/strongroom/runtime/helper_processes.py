"""Helper processes for work that would hold the interpreter lock: key checks, key generation, lint.

A helper is a fresh interpreter, started when there is work and ended when idle, so that no lock or
connection of the server is inherited and its memory counts only while it is used. Calls and answers
cross private pipes and are never on disk.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

from strongroom.kernel.errors import ErrorCode, Internal, StrongroomError, Unavailable
from strongroom.runtime.helper import LARGEST, LENGTH

T = TypeVar("T")

_SWEEP_EVERY: Final = 5.0


class _Crashed(Exception):
    """The helper ended without an answer."""


class _TimedOut(Exception):
    """The helper did not answer in time."""


class _Helper:
    """One running helper process and its pipes."""

    def __init__(self, niceness: int) -> None:
        program = f"from strongroom.runtime.helper import main; main({niceness})"
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and program)
            # -P: a module in the working directory must not stand in for one of ours.
            [sys.executable, "-P", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A crash of the interpreter could print what it worked on.
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101  (asked for above)
        assert self._process.stdout is not None  # noqa: S101
        self._calls = self._process.stdin
        self._answers = self._process.stdout
        os.set_blocking(self._calls.fileno(), False)
        os.set_blocking(self._answers.fileno(), False)
        self.idle_since = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, raw: bytes, timeout: float) -> bytes:
        """Send a call and return the answer.

        Raises:
            _Crashed: the process ended, or its answer makes no sense.
            _TimedOut: it is still busy after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        self._write(LENGTH.pack(len(raw)) + raw, deadline)
        size: int = LENGTH.unpack(self._read(LENGTH.size, deadline))[0]
        if size > LARGEST:
            raise _Crashed
        return self._read(size, deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            try:
                written = self._calls.write(rest)
            except OSError as error:
                raise _Crashed from error
            rest = rest[written or 0 :]
            if rest:
                _wait(self._calls.fileno(), select.POLLOUT, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            _wait(self._answers.fileno(), select.POLLIN, deadline)
            part = self._answers.read(size - len(data))
            if part == b"":
                raise _Crashed
            data += part or b""
        return bytes(data)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def end(self, *, kill: bool = False) -> None:
        """Close its input, which ends it when idle, or kill it, and wait for it."""
        if kill:
            self._process.kill()
        for pipe in (self._calls, self._answers):
            with suppress(OSError):
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _wait(descriptor: int, event: int, deadline: float) -> None:
    """Wait until a pipe is ready; `poll`, because `select` fails on a server with many connections."""
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise _TimedOut


class HelperProcesses:
    """Runs functions in helper processes; implements the port `Helpers`.

    Args:
        size: processes at most.
        queue: callers that may wait for one at most.
        timeout: for a call, its wait for a helper included.
        idle: after so long without work a helper ends.
        niceness: of the helpers; above 0 for work that nobody waits for.
    """

    def __init__(
        self,
        *,
        size: int = 2,
        queue: int = 64,
        timeout: timedelta = timedelta(seconds=30),
        idle: timedelta = timedelta(seconds=60),
        niceness: int = 0,
    ) -> None:
        self._size = size
        self._queue = queue
        self._timeout = timeout.total_seconds()
        self._idle_for = idle.total_seconds()
        self._niceness = niceness
        self._changed = threading.Condition()
        self._idle: list[_Helper] = []
        self._busy: set[_Helper] = set()
        self._starting = 0
        self._waiting = 0
        self._closed = False
        self._sweeper: threading.Thread | None = None

    def run(self, fn: Callable[..., T], *args: Any) -> T:
        """Call ``fn(*args)`` in a helper and return what it returns; blocks the calling thread.

        ``fn`` must be importable by name. Errors of the tree cross as they are, any other as
        `Internal`. A helper that crashes is replaced once: the function must be safe to repeat.

        Raises:
            Unavailable: too many callers wait already; no helper was free, or none answered, within
                the time limit; or one crashed twice.
            Internal: ``fn`` met a bug.
        """
        raw = pickle.dumps((fn, args))
        if len(raw) > LARGEST:
            raise Internal(ErrorCode.INTERNAL, "The call is too big for a helper process.")
        deadline = time.monotonic() + self._timeout
        for _ in range(2):
            helper = self._take(deadline)
            try:
                answer = helper.call(raw, max(0.0, deadline - time.monotonic()))
            except _Crashed:
                self._drop(helper)
                continue
            except _TimedOut:
                self._drop(helper)
                raise Unavailable(
                    ErrorCode.UNAVAILABLE,
                    f"A helper process did not finish within {self._timeout:g} seconds.",
                    retry_after=timedelta(seconds=5),
                ) from None
            except BaseException:
                self._drop(helper)
                raise
            self._give_back(helper)
            return cast("T", _outcome(answer))
        raise Unavailable(
            ErrorCode.UNAVAILABLE, "A helper process crashed twice over this.", retry_after=timedelta(seconds=5)
        )

    @property
    def running(self) -> int:
        """Return how many helper processes there are."""
        with self._changed:
            return len(self._idle) + len(self._busy)

    def close(self) -> None:
        """End every helper; those that are busy are killed."""
        with self._changed:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
            self._changed.notify_all()
        for helper in idle:
            helper.end()
        for helper in busy:
            # Its caller is reading from it: it sees the end, and clears up.
            helper.kill()

    def _take(self, deadline: float) -> _Helper:
        """Return an idle helper, or start one, or wait for one."""
        with self._changed:
            if self._waiting >= self._queue:
                raise Unavailable(
                    ErrorCode.UNAVAILABLE,
                    "Too many requests wait for a helper process.",
                    retry_after=timedelta(seconds=1),
                )
            self._waiting += 1
            try:
                while not self._idle and len(self._busy) + self._starting >= self._size and not self._closed:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise Unavailable(
                            ErrorCode.UNAVAILABLE,
                            "No helper process became free in time.",
                            retry_after=timedelta(seconds=1),
                        )
            finally:
                self._waiting -= 1
            if self._closed:
                raise Unavailable(ErrorCode.UNAVAILABLE, "The server is stopping.")
            if self._idle:
                helper = self._idle.pop()
                self._busy.add(helper)
                return helper
            self._starting += 1
        try:
            helper = _Helper(self._niceness)
        except OSError as error:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
            raise Unavailable(ErrorCode.UNAVAILABLE, "A helper process could not be started.") from error
        with self._changed:
            self._starting -= 1
            self._busy.add(helper)
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, name="strongroom-helpers", daemon=True)
                self._sweeper.start()
        return helper

    def _give_back(self, helper: _Helper) -> None:
        helper.idle_since = time.monotonic()
        with self._changed:
            self._busy.discard(helper)
            if not self._closed:
                self._idle.append(helper)
                self._changed.notify()
                return
        helper.end()

    def _drop(self, helper: _Helper) -> None:
        with self._changed:
            self._busy.discard(helper)
            self._changed.notify()
        helper.end(kill=True)

    def _sweep(self) -> None:
        """End helpers that had nothing to do for a while; ends itself with the last one."""
        while True:
            time.sleep(min(_SWEEP_EVERY, self._idle_for))
            now = time.monotonic()
            with self._changed:
                tired = [helper for helper in self._idle if now - helper.idle_since >= self._idle_for]
                self._idle = [helper for helper in self._idle if helper not in tired]
            for helper in tired:
                helper.end()
            with self._changed:
                if self._closed or not (self._idle or self._busy or self._starting):
                    self._sweeper = None
                    return


def _outcome(raw: bytes) -> Any:
    try:
        succeeded, value = pickle.loads(raw)  # noqa: S301  (from our own child, through a private pipe)
    except Exception as error:
        raise Internal(ErrorCode.INTERNAL, "A helper process gave an answer that cannot be read.") from error
    if succeeded:
        return value
    if isinstance(value, StrongroomError):
        raise value
    raise Internal(ErrorCode.INTERNAL, "A helper process gave an answer that cannot be read.")
