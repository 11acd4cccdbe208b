"""Files that hold a secret: only the server's user may reach them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private_file(path: Path, *, what: str, field: str, max_bytes: int, needed: str | None = None) -> bytes:
    """Read a small file after checking what it is and who else can reach it.

    Args:
        path: the file; symbolic links are followed, mounted secrets are made of them.
        what: its name in messages, such as ``master key file``.
        field: the setting that names it.
        max_bytes: how much is wanted at most.
        needed: id of the master key that is looked for in it, if one is; for the message.

    Returns:
        The content, at most ``max_bytes`` of it.

    Raises:
        Unavailable: ``master_key_missing`` if it is not there or cannot be read.
        Invalid: ``settings_invalid`` if it is no regular file or others can reach it.
    """
    found_none = f"Master key {needed} was not found: " if needed else "There is no master key: "
    try:
        # Not blocking: a named pipe in its place must be refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _check_status(os.fstat(descriptor), path, what=what, field=field)
            return file.read(max_bytes)
    except FileNotFoundError:
        raise Unavailable(
            ErrorCode.MASTER_KEY_MISSING,
            f"{found_none}the {what} does not exist.",
            field=field,
            hint=f"Put the one that belongs to this store at {path}, mode 600, or correct the setting {field}.",
        ) from None
    except OSError as error:
        raise Unavailable(
            ErrorCode.MASTER_KEY_MISSING,
            f"{found_none}the {what} cannot be read: {error.strerror}.",
            field=field,
            hint=f"Make {path} a file that the server's user can read.",
        ) from error


def _check_status(status: os.stat_result, path: Path, *, what: str, field: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"The {what} must be a regular file.",
            field=field,
            hint=f"Look at {path}.",
        )
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise Invalid(
            ErrorCode.SETTINGS_INVALID,
            f"The {what} has mode {mode:03o}, so other users can reach it; it must have mode 600.",
            field=field,
            hint=f"chmod 600 {path}",
        )
