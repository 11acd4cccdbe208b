"""Backup and restore: the store's logical copy inside an encrypted box."""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.audit.record import AuditEntry, Initiator, Outcome, Target
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound
from strongroom.kernel.ids import AuditId, new_uuid
from strongroom.runtime.bootstrap import clock_of
from strongroom.runtime.data_dir import DataDir, open_draft, write_private
from strongroom.runtime.settings import Settings
from strongroom.sealing.passphrase_box import BoxReader, BoxWriter
from strongroom.storage.backup import dump, load
from strongroom.storage.store import SqlStorage, open_storage

_STREAM: Final = "commands"
"""Audit stream of commands that work on the store beside a running server."""
_MAX_HEAD: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds."""

    records: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What was restored."""

    records: int


def create_backup(settings: Settings, out: Path, passphrase: str, include_master_key: bool) -> BackupReport:  # noqa: FBT001  (the command's own flag)
    """Write an encrypted copy of the store as it is now; a running server goes on.

    The file appears under its name only when it is complete and on disk.

    Raises:
        NotFound: there is no store to copy.
        Invalid: the passphrase is too short.
        Unavailable: ``master_key_missing`` if the key is wanted and is not there.
    """
    directory = DataDir(settings.data_dir)
    if settings.database_url is None and not directory.database.exists():
        raise NotFound(
            ErrorCode.NOT_FOUND, "There is no store in the data directory.", hint=f"Looked in {directory.path}."
        )
    clock = clock_of(settings)
    master_key = _read_master_key(settings, directory) if include_master_key else None
    storage = _open(settings, directory)
    try:
        draft, handle = open_draft(out)
    except BaseException:
        storage.close()
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            with BoxWriter(file, passphrase.encode()) as box:
                head = {"master_key": base64.b64encode(master_key).decode() if master_key is not None else None}
                box.write(json.dumps(head).encode() + b"\n")
                counts = dump(storage, box, at=clock.now())
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        draft.replace(out)
        contents = f"{sum(counts.values())} records" + (" and the master key" if master_key is not None else "")
        _record(storage, clock, "instance.backup", contents)
    finally:
        draft.unlink(missing_ok=True)
        storage.close()
    return BackupReport(records=sum(counts.values()), bytes=size)


def restore_backup(settings: Settings, source: Path, passphrase: str) -> RestoreReport:
    """Fill an empty store from a backup: wholly, or not at all.

    Raises:
        Conflict: ``store_not_empty``; or a server uses the data directory; or another master key is there.
        Invalid: ``backup_unreadable``: wrong passphrase, damaged, cut off, or of another version.
    """
    with DataDir(settings.data_dir) as directory, source.open("rb") as file:
        box = BoxReader(file, passphrase.encode())
        master_key = _read_head(box)
        storage = _open(settings, directory)
        try:
            # The key comes first: a kill in between leaves a key without a store, and restoring again works.
            placed = master_key is not None and _place_master_key(settings, directory, master_key)
            try:
                counts = load(storage, box)
            except BaseException:
                if placed:
                    _master_key_file(settings, directory).unlink(missing_ok=True)
                raise
            _record(storage, clock_of(settings), "instance.restore", f"{sum(counts.values())} records")
        finally:
            storage.close()
    return RestoreReport(records=sum(counts.values()))


def _open(settings: Settings, directory: DataDir) -> SqlStorage:
    url = directory.database if settings.database_url is None else settings.database_url.get_secret_value()
    return open_storage(url, stream=f"{_STREAM}-{new_uuid()[:8]}", read_pool=1)


def _master_key_file(settings: Settings, directory: DataDir) -> Path:
    if settings.master_passphrase_file is not None:
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            "The master key comes from a passphrase; a backup cannot hold it.",
            hint="Keep the passphrase file beside the backup, or leave out --include-master-key.",
        )
    return settings.master_key_file or directory.master_key


def _read_master_key(settings: Settings, directory: DataDir) -> bytes:
    path = _master_key_file(settings, directory)
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            ErrorCode.MASTER_KEY_MISSING, f"The master key file cannot be read: {error.strerror}.", hint=str(path)
        ) from error


def _place_master_key(settings: Settings, directory: DataDir, master_key: bytes) -> bool:
    """Write the backup's master key to its place; return ``False`` if it is there already."""
    path = _master_key_file(settings, directory)
    if not path.exists():
        write_private(path, master_key)
        return True
    if path.read_bytes() != master_key:
        raise Conflict(
            ErrorCode.STORE_NOT_EMPTY,
            "Another master key than the backup's is in its place already.",
            hint=f"Move {path} away first.",
        )
    return False


def _read_head(box: BoxReader) -> bytes | None:
    line = box.readline()
    try:
        encoded: str | None = json.loads(line[:_MAX_HEAD])["master_key"]
        return None if encoded is None else base64.b64decode(encoded, validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Invalid(ErrorCode.BACKUP_UNREADABLE, "The file is no backup of a Strongroom store.") from None


def _record(storage: SqlStorage, clock: Clock, action: str, name: str) -> None:
    entry = AuditEntry(
        id=AuditId(new_uuid()),
        time=clock.now(),
        initiator=Initiator(id=SYSTEM.iam_id, name=SYSTEM.name, type=SYSTEM.kind.value),
        action=f"secrets-manager.{action}",
        target=Target(type="instance", name=name),
        outcome=Outcome.SUCCESS,
    )
    storage.write(lambda unit: unit.audit(entry))
