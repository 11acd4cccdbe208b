"""The program of a helper process: reads calls from its parent, answers them, ends with it.

Started as ``python -c``; imports only what the functions it is sent come from.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import struct
import sys
from typing import Any, BinaryIO, Final

LENGTH: Final = struct.Struct(">I")
LARGEST: Final = 64 * 1024 * 1024
"""No call and no answer is bigger; four bytes of noise must not become a huge allocation."""


def main(niceness: int) -> None:
    """Answer calls on standard input until it ends.

    Args:
        niceness: added to the priority number, for work that may wait.
    """
    # Ctrl-C in a terminal reaches the whole group; the parent decides when its helpers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if niceness:
        os.nice(niceness)
    calls, answers = _own_pipes()
    while (raw := read_frame(calls)) is not None:
        write_frame(answers, answer(raw))


def answer(raw: bytes) -> bytes:
    """Run one pickled call and return its pickled outcome.

    The outcome is ``(True, result)`` or ``(False, error)``. An error that cannot be pickled, or is
    none of ours, crosses as its type's name: its text may hold what the function worked on.
    """
    from strongroom.kernel.errors import ErrorCode, Internal, StrongroomError

    try:
        fn, args = pickle.loads(raw)  # noqa: S301  (from our parent, through a private pipe)
        return pickle.dumps((True, fn(*args)))
    except StrongroomError as error:
        return pickle.dumps((False, error))
    except Exception as error:  # noqa: BLE001  (whatever broke, the parent must hear of it)
        return pickle.dumps((False, Internal(ErrorCode.INTERNAL, f"A helper process met {type(error).__name__}.")))


def read_frame(source: BinaryIO) -> bytes | None:
    """Read one message, or return ``None`` where the pipe has ended."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    if size > LARGEST:
        return None
    body = source.read(size)
    return body if len(body) == size else None


def write_frame(target: BinaryIO, body: bytes) -> None:
    """Write one message."""
    target.write(LENGTH.pack(len(body)) + body)
    target.flush()


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the calls, so that a stray ``print`` cannot garble them."""
    calls: Any = io.FileIO(os.dup(0), "rb")
    answers: Any = io.FileIO(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(null, number)
    os.close(null)
    sys.stdout = sys.stderr
    return io.BufferedReader(calls), io.BufferedWriter(answers)
