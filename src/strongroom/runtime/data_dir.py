"""The data directory: one server at a time, and files that nobody else can read."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from strongroom.kernel.errors import Conflict, ErrorCode, Unavailable


class DataDir:
    """A data directory that this process holds.

    Attributes:
        path: made with mode 700 if it is new.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """Return the embedded database."""
        return self.path / "strongroom.db"

    @property
    def master_key(self) -> Path:
        """Return the default master key file."""
        return self.path / "master.key"

    @property
    def admin_apikey(self) -> Path:
        """Return the file with the first administrator's API key."""
        return self.path / "admin-apikey"

    @property
    def pending_apikey(self) -> Path:
        """Return where that key waits until the store knows it."""
        return self.path / ".admin-apikey.pending"

    @property
    def instance(self) -> Path:
        """Return the file that tells whose data this directory holds."""
        return self.path / "instance-id"

    @property
    def node(self) -> Path:
        """Return the file that names this node among others on one database."""
        return self.path / "node-id"

    @property
    def tls(self) -> Path:
        """Return the folder of TLS files."""
        return self.path / "tls"

    def make(self) -> None:
        """Create the directory.

        Raises:
            Unavailable: it cannot be created or written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.tls.mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"The data directory cannot be used: {error.strerror}.", hint=str(self.path)
            ) from error
        if self.path.stat().st_mode & stat.S_IWOTH:
            # Whoever can put files in here can put in a master key, or an administrator's.
            raise Unavailable(
                ErrorCode.UNAVAILABLE,
                "The data directory can be written by every user of this machine.",
                hint=f"chmod o-w {self.path}",
            )

    def __enter__(self) -> Self:
        """Take the directory.

        Raises:
            Conflict: ``already_running`` if another process has it.
            Unavailable: it cannot be created or written.
        """
        self.make()
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(error, self.path) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Conflict(
                ErrorCode.ALREADY_RUNNING,
                "Another strongroom process uses this data directory.",
                hint=f"Stop it first, or choose another directory than {self.path}.",
            ) from None
        self._lock = lock
        self._tidy()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _tidy(self) -> None:
        """Remove what a killed process was about to write; nobody else writes while the directory is held."""
        for folder in (self.path, self.tls):
            for pattern in (".*.new", ".*.tmp"):
                for draft in folder.glob(pattern):
                    draft.unlink(missing_ok=True)


def write_private(path: Path, text: str | bytes, *, mode: int = 0o600) -> None:
    """Write a file as a whole: after a crash there is the old one or the new one, on disk.

    Raises:
        Unavailable: it cannot be written.
    """
    data = text.encode() if isinstance(text, str) else text
    draft: Path | None = None
    try:
        draft, handle = open_draft(path, mode=mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise Unavailable(
            ErrorCode.UNAVAILABLE, f"A file cannot be written: {error.strerror}.", hint=f"It is {path}."
        ) from error


def open_draft(path: Path, *, mode: int = 0o600) -> tuple[Path, int]:
    """Create the file that will take a path's place; return its own path and its descriptor.

    Whatever waits under that name is removed, not opened: somebody else could have put it there to read along.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    return draft, os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(error: OSError, path: Path) -> Unavailable:
    return Unavailable(
        ErrorCode.UNAVAILABLE,
        f"The data directory cannot be used: {error.strerror}.",
        hint=f"Make {path} a folder that the server's user can write.",
    )
