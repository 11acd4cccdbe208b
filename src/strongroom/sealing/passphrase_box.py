r"""A stream of bytes under a passphrase, for backups.

Layout::

    strongroom-backup-v1\n | memory KiB (4) | passes (1) | lanes (1) | salt (16) | header check (32) | frame ...

Argon2id turns passphrase and salt into two keys: one authenticates the header, so that a wrong passphrase
is told apart from a damaged file; the other encrypts. A frame is 64 KiB of plaintext under AES-256-GCM,
the last one shorter or equal. The nonce is the frame's number (11 bytes, big endian) and a byte that is 1
on the last frame only: frames cannot be dropped, repeated, swapped or cut off at the end unnoticed. The
keys are fresh with every salt, so numbered nonces never repeat under one key.

Source: Hoang, Reyhanitabar, Rogaway, Vizar, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (the STREAM construction), section 7.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.kernel.errors import ErrorCode, Internal, Invalid
from strongroom.sealing.envelope import KEY_BYTES, TAG_BYTES
from strongroom.sealing.kdf import SALT_BYTES, Argon2Cost, check_passphrase, derive_key

MAGIC = b"strongroom-backup-v1\n"
FRAME_BYTES = 64 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024
FIELD = "passphrase"

_COST = struct.Struct(">IBB")
_CHECK_BYTES = 32
_HEADER_BYTES = len(MAGIC) + _COST.size + SALT_BYTES
_SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES


class ByteSink(Protocol):
    """Anything that takes bytes: a file opened for binary writing."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


class ByteSource(Protocol):
    """Anything that gives bytes: a file opened for binary reading."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        ...


class BoxWriter:
    """Encrypts what is written to it.

    `close` writes the last frame; a box that was not closed is refused when read. As a context manager it
    closes itself, unless the block fails. The file below stays open, and syncing it is the caller's duty.

    Args:
        fileobj: where the box goes.
        passphrase: at least 12 characters of UTF-8.
        cost: cost of the key derivation; the reader finds it in the header.

    Raises:
        Invalid: ``settings_invalid`` if the passphrase is too short.
    """

    def __init__(self, fileobj: ByteSink, passphrase: bytes, *, cost: Argon2Cost | None = None) -> None:
        check_passphrase(passphrase, field=FIELD)
        cost = cost or Argon2Cost()
        salt = os.urandom(SALT_BYTES)
        header = MAGIC + _COST.pack(cost.memory_kib, cost.passes, cost.lanes) + salt
        self._key, check = _keys(passphrase, header, salt, cost)
        self._fileobj = fileobj
        self._waiting = bytearray()
        self._number = 0
        self._closed = False
        fileobj.write(header + check)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the box if the block succeeded; otherwise leave it without its last frame."""
        if kind is None:
            self.close()
        self._closed = True

    def write(self, data: bytes) -> int:
        """Add bytes and return how many."""
        if self._closed:
            raise Internal(ErrorCode.INTERNAL, "A box was written to after it was closed.")
        self._waiting += data
        # A full frame waits until more comes: only then is it known not to be the last one.
        start = 0
        while len(self._waiting) - start > FRAME_BYTES:
            self._seal(bytes(self._waiting[start : start + FRAME_BYTES]), last=False)
            start += FRAME_BYTES
        del self._waiting[:start]
        return len(data)

    def close(self) -> None:
        """Write the last frame; does nothing the second time."""
        if not self._closed:
            self._closed = True
            self._seal(bytes(self._waiting), last=True)
            self._waiting.clear()

    def _seal(self, plaintext: bytes, *, last: bool) -> None:
        self._fileobj.write(self._key.encrypt(_nonce(self._number, last=last), plaintext, None))
        self._number += 1


class BoxReader:
    """Decrypts a box; iterating gives lines, as with any binary file.

    Everything returned is authentic, but only reading to the end shows that the box is whole: do not act
    on a part of it.

    Args:
        fileobj: where the box comes from.
        passphrase: the one it was written with.

    Raises:
        Invalid: ``backup_unreadable`` if this is no box or the passphrase is wrong.
    """

    def __init__(self, fileobj: ByteSource, passphrase: bytes) -> None:
        self._fileobj = fileobj
        header = _read_exactly(fileobj, _HEADER_BYTES)
        if not header.startswith(MAGIC):
            _refuse("This is no Strongroom backup, or it was made by a newer release.")
        check = _read_exactly(fileobj, _CHECK_BYTES)
        if len(header) + len(check) < _HEADER_BYTES + _CHECK_BYTES:
            _refuse("The backup is cut off within its header.")
        memory_kib, passes, lanes = _COST.unpack_from(header, len(MAGIC))
        cost = Argon2Cost(memory_kib=memory_kib, passes=passes, lanes=lanes)
        if not cost.is_acceptable:
            _refuse("The header of the backup is damaged: its key derivation cost is out of bounds.")
        self._key, expected = _keys(passphrase, header, header[-SALT_BYTES:], cost)
        if not hmac.compare_digest(check, expected):
            _refuse("The passphrase is wrong, or the header of the backup is damaged.", field=FIELD)
        self._number = 0
        self._ahead = _read_exactly(fileobj, _SEALED_FRAME_BYTES)
        self._plain, self._at = b"", 0
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """Return at most ``size`` bytes (all that is left if negative); none only at the end.

        Raises:
            Invalid: ``backup_unreadable`` if a frame was changed or moved, or the end is missing.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(FRAME_BYTES), b""))
        return self._take(size) if size and self._more() else b""

    def readline(self) -> bytes:
        r"""Return bytes up to and including the next ``\n``, or what is left at the end.

        Raises:
            Invalid: as `read`, and for a line longer than 64 MiB.
        """
        line = bytearray()
        while self._more():
            found = self._plain.find(b"\n", self._at)
            line += self._take(FRAME_BYTES if found < 0 else found + 1 - self._at)
            if found >= 0:
                break
            if len(line) > MAX_LINE_BYTES:
                _refuse(f"The backup has a line longer than {MAX_LINE_BYTES} bytes.")
        return bytes(line)

    def __iter__(self) -> Iterator[bytes]:
        """Yield lines with their line ends."""
        return iter(self.readline, b"")

    def _more(self) -> bool:
        while self._at == len(self._plain) and not self._ended:
            self._next_frame()
        return self._at < len(self._plain)

    def _take(self, size: int) -> bytes:
        chunk = self._plain[self._at : self._at + size]
        self._at += len(chunk)
        return chunk

    def _next_frame(self) -> None:
        sealed = self._ahead
        self._ahead = _read_exactly(self._fileobj, _SEALED_FRAME_BYTES) if len(sealed) == _SEALED_FRAME_BYTES else b""
        last = not self._ahead
        try:
            plain = self._key.decrypt(_nonce(self._number, last=last), sealed, None)
        except (InvalidTag, ValueError):
            self._explain(sealed, last=last)
        self._number += 1
        self._ended = last
        self._plain, self._at = plain, 0

    def _explain(self, sealed: bytes, *, last: bool) -> NoReturn:
        if last and (not sealed or self._opens(sealed, last=False)):
            _refuse("The backup is cut off: its last part is missing.", hint="Copy the file again; compare its size.")
        if not last and self._opens(sealed, last=True):
            _refuse("The backup has foreign bytes after its end.")
        _refuse(f"The backup is damaged: part {self._number + 1} fails authentication, or is cut off or out of order.")

    def _opens(self, sealed: bytes, *, last: bool) -> bool:
        try:
            self._key.decrypt(_nonce(self._number, last=last), sealed, None)
        except (InvalidTag, ValueError):
            return False
        return True


def _keys(passphrase: bytes, header: bytes, salt: bytes, cost: Argon2Cost) -> tuple[AESGCM, bytes]:
    derived = derive_key(passphrase, salt=salt, cost=cost, length=2 * KEY_BYTES)
    check = hmac.new(derived[KEY_BYTES:], header, hashlib.sha256).digest()
    return AESGCM(derived[:KEY_BYTES]), check


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _read_exactly(fileobj: ByteSource, size: int) -> bytes:
    """Return ``size`` bytes, fewer only at the end; pipes and sockets give less at a time."""
    content = b""
    while len(content) < size:
        chunk = fileobj.read(size - len(content))
        if not chunk:
            break
        content += chunk
    return content


def _refuse(detail: str, *, field: str | None = None, hint: str | None = None) -> NoReturn:
    raise Invalid(ErrorCode.BACKUP_UNREADABLE, detail, field=field, hint=hint)
