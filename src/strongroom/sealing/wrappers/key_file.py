"""Master keys in a file that only the server's user can read.

One line per key, the current one first, the others retired or prepared::

    strongroom-master-key-v1 <key id> <key>

The key is 32 bytes in base64; its id is the first 8 bytes of its SHA-256, in hexadecimal. Every change
writes a whole new file beside the old one and renames it into place, so at any instant the name holds a
complete file. A key that was ever in the file stays in it: taking one out by hand is safe only when no
stored key and no older copy of the database needs it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.domain.ports import Binding
from strongroom.kernel.errors import ErrorCode, Integrity, Unavailable
from strongroom.sealing.envelope import KEY_BYTES, place_of
from strongroom.sealing.wrappers.aes import unwrap_key, wrap_key
from strongroom.sealing.wrappers.files import read_private_file

FIELD = "master_key_file"
LINE_TAG = "strongroom-master-key-v1"
MAX_FILE_BYTES = 64 * 1024
_ID_BYTES = 8
_PARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    key_id: str
    key: bytes = field(repr=False)

    def encode(self) -> bytes:
        return f"{LINE_TAG} {self.key_id} {base64.b64encode(self.key).decode()}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    current: str
    keys: Mapping[str, AESGCM] = field(repr=False)


class KeyFileProvider:
    """Wraps under keys read from a file; nothing is read before the first use.

    Args:
        path: the key file.
    """

    name: Final = "key-file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = Lock()
        self._loaded: _Loaded | None = None

    def __repr__(self) -> str:
        """Return the kind only; the path is the operator's business."""
        return "KeyFileProvider()"

    def create_if_missing(self) -> bool:
        """Create the file with one new key, unless there is one.

        Of several processes that try at once, one creates it and the others find it.

        Returns:
            Whether this call created it.

        Raises:
            Unavailable: ``unavailable`` if the folder cannot be written.
        """
        with self._changing:
            if os.path.lexists(self._path):
                return False
            try:
                temporary = self._write_beside(self._path, [_new_line()])
                try:
                    # A link fails where a rename would replace: the loser of a race must not overwrite.
                    os.link(temporary, self._path)
                except OSError as error:
                    temporary.unlink()
                    if isinstance(error, FileExistsError):
                        return False
                    raise
                temporary.unlink()
                _sync_folder(self._path.parent)
            except OSError as error:
                self._cannot_write(error)
            return True

    def current_key_id(self) -> str:
        """Return the id of the first key in the file."""
        return self._open().current

    def wrap(self, key: bytes, binding: Binding, *, master_key_id: str | None = None) -> tuple[str, bytes]:
        """Encrypt a key under the current or a prepared master key."""
        loaded = self._open()
        used = loaded.current if master_key_id is None else master_key_id
        return used, wrap_key(self._find(used), key, binding)

    def unwrap(self, master_key_id: str, wrapped: bytes, binding: Binding) -> bytes:
        """Decrypt with whichever key of the file has this id."""
        key = unwrap_key(self._find(master_key_id), wrapped, binding)
        if key is None:
            # The id is made from the key itself, so it is the wrapped key that is wrong.
            raise Integrity(
                ErrorCode.INTEGRITY_FAILED,
                f"The wrapped key {place_of(binding)} fails authentication under master key {master_key_id}.",
                hint="It was changed or moved; restore the store from a backup.",
            )
        return key

    def prepare_rotation(self) -> str:
        """Append a new key to the file and return its id."""
        with self._changing:
            lines = self._read()
            new = _new_line()
            self._replace([*lines, new])
            return new.key_id

    def finish_rotation(self, master_key_id: str) -> None:
        """Move a key to the first line."""
        with self._changing:
            lines = self._read()
            if lines[0].key_id != master_key_id:
                chosen = [line for line in lines if line.key_id == master_key_id]
                if not chosen:
                    self._refuse_unknown(master_key_id, [line.key_id for line in lines])
                self._replace([*chosen, *(line for line in lines if line.key_id != master_key_id)])

    def health(self) -> None:
        """Check that the current key wraps and unwraps."""
        binding = Binding(table="health", row="0", column="probe")
        probe = bytes(KEY_BYTES)
        self.unwrap(*self.wrap(probe, binding), binding)

    def _open(self, needed: str | None = None) -> _Loaded:
        loaded = self._loaded
        return self._remember(self._read(needed)) if loaded is None else loaded

    def _find(self, master_key_id: str) -> AESGCM:
        loaded = self._open(master_key_id)
        key = loaded.keys.get(master_key_id)
        if key is None:
            # The operator may have copied the file of a server that rotated; look again before refusing.
            loaded = self._remember(self._read(master_key_id))
            key = loaded.keys.get(master_key_id)
        if key is None:
            self._refuse_unknown(master_key_id, list(loaded.keys))
        return key

    def _remember(self, lines: Sequence[_Line]) -> _Loaded:
        self._loaded = _Loaded(current=lines[0].key_id, keys={line.key_id: AESGCM(line.key) for line in lines})
        return self._loaded

    def _read(self, needed: str | None = None) -> list[_Line]:
        content = read_private_file(
            self._path, what="master key file", field=FIELD, max_bytes=MAX_FILE_BYTES + 1, needed=needed
        )
        return self._parse(content)

    def _parse(self, content: bytes) -> list[_Line]:
        if len(content) > MAX_FILE_BYTES:
            self._refuse_damaged(f"it is longer than {MAX_FILE_BYTES} bytes")
        rows = content.removesuffix(b"\n").split(b"\n") if content else []
        lines: list[_Line] = []
        for number, row in enumerate(rows, start=1):
            line = _parse_line(row)
            if line is None:
                self._refuse_damaged(f"line {number} is not '{LINE_TAG} <id> <key>' with a key that matches its id")
            if any(line.key_id == other.key_id for other in lines):
                self._refuse_damaged(f"line {number} repeats key {line.key_id}")
            lines.append(line)
        if not lines:
            self._refuse_damaged("it is empty")
        return lines

    def _replace(self, lines: Sequence[_Line]) -> None:
        # The name may be a symbolic link into a mounted volume; replace what it points to.
        target = self._path.resolve()
        try:
            for leftover in target.parent.glob(f".{target.name}.*.tmp"):
                leftover.unlink(missing_ok=True)
            temporary = self._write_beside(target, lines)
            try:
                temporary.replace(target)
            except OSError:
                temporary.unlink()
                raise
            _sync_folder(target.parent)
        except OSError as error:
            self._cannot_write(error)
        self._remember(lines)

    def _write_beside(self, target: Path, lines: Sequence[_Line]) -> Path:
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"".join(line.encode() for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink()
            raise
        return temporary

    def _refuse_unknown(self, master_key_id: str, present: Sequence[str]) -> NoReturn:
        raise Integrity(
            ErrorCode.MASTER_KEY_WRONG,
            f"The store needs master key {master_key_id}; the key file holds {', '.join(present)} only.",
            field=FIELD,
            hint=f"Put the key file that belongs to this store at {self._path}, or add the line of that key to it.",
        )

    def _refuse_damaged(self, what: str) -> NoReturn:
        raise Integrity(
            ErrorCode.MASTER_KEY_WRONG,
            f"The master key file is damaged: {what}.",
            field=FIELD,
            hint=f"Put an undamaged copy at {self._path}.",
        )

    def _cannot_write(self, error: OSError) -> NoReturn:
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            f"The master key file cannot be written: {error.strerror}.",
            field=FIELD,
            hint=f"Let the server's user write in the folder of {self._path}.",
        ) from error


def _key_id(key: bytes) -> str:
    return hashlib.sha256(key).digest()[:_ID_BYTES].hex()


def _new_line() -> _Line:
    key = os.urandom(KEY_BYTES)
    return _Line(key_id=_key_id(key), key=key)


def _parse_line(row: bytes) -> _Line | None:
    parts = row.removesuffix(b"\r").split(b" ")
    if len(parts) != _PARTS or parts[0] != LINE_TAG.encode():
        return None
    try:
        key = base64.b64decode(parts[2], validate=True)
    except binascii.Error:
        return None
    # Base64 has spare bits at its end; a text that differs there was changed all the same.
    if base64.b64encode(key) != parts[2]:
        return None
    if len(key) != KEY_BYTES or not hmac.compare_digest(_key_id(key).encode(), parts[1]):
        return None
    return _Line(key_id=_key_id(key), key=key)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
