"""Read the files a user names, write files nobody else can read half-done."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from strongroom.cli.errors import CommandError, Exit

MAX_INPUT_BYTES = 4 * 1024 * 1024
"""The server reads no more than this in one request."""

PRIVATE = 0o600
PUBLIC = 0o644


def read_text(path: Path, *, option: str) -> str:
    """Read a UTF-8 text file of at most 4 MiB.

    Line ends are kept as they are, because PEM text is stored byte for byte.

    Raises:
        CommandError: the file is missing, unreadable, too large or not text.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        detail = f"The file {path} cannot be read: {_reason(error)}."
        raise CommandError(detail, exit_code=Exit.USAGE, field=option) from error
    return decode(raw, option=option, name=str(path))


def decode(raw: bytes, *, option: str, name: str) -> str:
    """Return bytes as text.

    Raises:
        CommandError: more than 4 MiB, or not UTF-8.
    """
    if len(raw) > MAX_INPUT_BYTES:
        detail = f"{name} is larger than the 4 MiB that a request may have."
        raise CommandError(detail, exit_code=Exit.USAGE, field=option)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"{name} is a binary file; text in UTF-8 is needed here."
        hint = f"A certificate in DER is converted with: openssl x509 -inform DER -in {name} -out {name}.pem"
        raise CommandError(detail, exit_code=Exit.USAGE, field=option, hint=hint) from error


def write_file(path: Path, text: str, *, mode: int = PRIVATE, overwrite: bool = False) -> None:
    """Write a file so that others see the old content, or the whole new one, and never more than ``mode`` allows.

    The text goes to a new file beside the target, which is created with ``mode``, flushed to disk and then moved
    over it. A symbolic link is never followed.

    Raises:
        CommandError: the target exists and ``overwrite`` is off, is no ordinary file, or cannot be written.
    """
    refuse_target(path, overwrite=overwrite)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                temporary.replace(path)
            else:
                # link() fails when the name was taken since the check; replace() would destroy that file.
                path.hardlink_to(temporary)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_directory(path.parent)
    except OSError as error:
        detail = f"The file {path} cannot be written: {_reason(error)}."
        raise CommandError(detail, exit_code=Exit.REFUSED) from error


def refuse_target(path: Path, *, overwrite: bool) -> None:
    """Check that a file may be written here.

    Raises:
        CommandError: something is there that must not be replaced.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        detail = f"The file {path} cannot be written: {_reason(error)}."
        raise CommandError(detail, exit_code=Exit.REFUSED) from error
    if not stat.S_ISREG(found.st_mode):
        detail = f"{path} is a symbolic link, directory or device; only ordinary files are replaced."
        raise CommandError(detail, exit_code=Exit.REFUSED, hint="Remove it first, or name another place.")
    if not overwrite:
        detail = f"{path} exists already."
        raise CommandError(detail, exit_code=Exit.REFUSED, hint="Give --force to replace it.")


def ensure_private_directory(path: Path) -> None:
    """Create a directory, and its parents, that only its owner can enter.

    Raises:
        CommandError: it cannot be created.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        detail = f"The directory {path} cannot be created: {_reason(error)}."
        raise CommandError(detail, exit_code=Exit.REFUSED) from error


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
