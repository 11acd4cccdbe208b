"""Programs of others: run without a shell, in a clean environment, for a limited time, with little of what they say."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import IO, Final

from strongroom.kernel.value import value

_MOST_OUTPUT: Final = 4096
_CHUNK: Final = 65_536
_LAST_WORDS: Final = 2.0
"""Seconds that a program which has ended may leave its output open to others."""


@value
class Ended:
    """How a program ended.

    Attributes:
        status: its exit status, negative for a signal; ``None`` if it was stopped for taking too long.
        output: the beginning of what it printed, in one line.
    """

    status: int | None
    output: str


def start(argv: Sequence[str], *, environment: Mapping[str, str], stdin: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start a program with its own process group, so that all that it starts can be stopped with it.

    Raises:
        OSError: it cannot be run.
    """
    return subprocess.Popen(  # noqa: S603  (no shell; whoever calls says what may be run)
        argv,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=dict(environment),
        cwd="/",
        start_new_session=True,
        umask=0o077,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a program and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(argv: Sequence[str], *, environment: Mapping[str, str], limit: timedelta) -> Ended:
    """Run a program to its end.

    Args:
        argv: absolute path of the program, and its arguments.
        environment: all of it.
        limit: after which it is stopped, with all that it started.

    Raises:
        OSError: it cannot be run.
    """
    process = start(argv, environment=environment, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    said = bytearray()
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    reader = threading.Thread(target=_read, args=(process.stdout, said), daemon=True)
    reader.start()
    status: int | None
    try:
        status = process.wait(limit.total_seconds())
    except subprocess.TimeoutExpired:
        status = None
    # Also what it left running: that would hold the output open.
    stop(process)
    reader.join(_LAST_WORDS)
    return Ended(status=status, output=_line(bytes(said)))


def _read(stream: IO[bytes], said: bytearray) -> None:
    """Keep the beginning and read the rest away, so that the program is not held up."""
    with stream:
        while chunk := stream.read1(_CHUNK):  # type: ignore[attr-defined]  # a pipe is buffered
            said.extend(chunk[: _MOST_OUTPUT - len(said)])


def _line(said: bytes) -> str:
    text = said.decode("utf-8", "replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
