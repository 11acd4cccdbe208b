"""Master keys derived from a passphrase in a file.

The id of such a key says how it is derived (``argon2id:m=65536,t=3,p=4:<salt>``), so nothing but the
passphrase has to be kept beside the database.

The first line of the file is the current passphrase. To change it, write the new one above the old one and
rotate: until the rotation is stored the older line still opens everything, whenever the server dies.
Afterwards the older line can go.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from threading import RLock
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.domain.ports import Binding
from strongroom.kernel.errors import ErrorCode, Integrity, Unavailable
from strongroom.sealing.envelope import KEY_BYTES, place_of
from strongroom.sealing.kdf import MAX_PASSPHRASE_BYTES, SALT_BYTES, Argon2Cost, check_passphrase, derive_key
from strongroom.sealing.wrappers.aes import unwrap_key, wrap_key
from strongroom.sealing.wrappers.files import read_private_file

FIELD = "passphrase_file"
MAX_LINES = 4
_ID = re.compile(r"argon2id:m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2}):([A-Za-z0-9_-]{22})")
_MAX_FILE_BYTES = MAX_LINES * (MAX_PASSPHRASE_BYTES + 2)


class PassphraseProvider:
    """Wraps under keys derived with Argon2id; each is derived once and kept in memory.

    Args:
        path: file with the passphrase.
        cost: cost of keys made from now on; older ones keep theirs.
    """

    name: Final = "passphrase"

    def __init__(self, path: Path, *, cost: Argon2Cost | None = None) -> None:
        self._path = path
        self._cost = cost or Argon2Cost()
        # Held while deriving, so that threads in a hurry do not each spend 64 MiB on the same key.
        self._deriving = RLock()
        # Keys that are known to be right: made here, or proved by unwrapping something.
        self._keys: dict[str, AESGCM] = {}
        self._current: str | None = None

    def __repr__(self) -> str:
        """Return the kind only."""
        return "PassphraseProvider()"

    def current_key_id(self) -> str:
        """Return the id of the current key; on an empty store that is a new one."""
        with self._deriving:
            if self._current is None:
                self._current = self.prepare_rotation()
            return self._current

    def wrap(self, key: bytes, binding: Binding, *, master_key_id: str | None = None) -> tuple[str, bytes]:
        """Encrypt a key under the current or a prepared master key."""
        used = self.current_key_id() if master_key_id is None else master_key_id
        master = self._keys.get(used)
        if master is None:
            # Deriving it from today's passphrase could bind a stored key to the wrong one.
            self._refuse_unknown(used)
        return used, wrap_key(master, key, binding)

    def unwrap(self, master_key_id: str, wrapped: bytes, binding: Binding) -> bytes:
        """Decrypt with the key that its id describes, from any line of the file."""
        with self._deriving:
            master = self._keys.get(master_key_id)
            if master is not None:
                key = unwrap_key(master, wrapped, binding)
                if key is None:
                    raise Integrity(
                        ErrorCode.INTEGRITY_FAILED,
                        f"The wrapped key {place_of(binding)} fails authentication under master key {master_key_id}.",
                        hint="It was changed or moved; restore the store from a backup.",
                    )
                return key
            for passphrase in self._read(master_key_id):
                candidate = _derive(passphrase, master_key_id)
                key = unwrap_key(candidate, wrapped, binding)
                if key is not None:
                    self._keys[master_key_id] = candidate
                    return key
        raise Integrity(
            ErrorCode.MASTER_KEY_WRONG,
            f"The passphrase does not open what master key {master_key_id} wrapped.",
            field=FIELD,
            hint=f"Put the passphrase of this store into {self._path}; while it is being changed, the new one on the "
            "first line and the old one on the second.",
        )

    def prepare_rotation(self) -> str:
        """Read the file again, derive a key from its first line with a new salt, and return its id."""
        with self._deriving:
            salt = base64.urlsafe_b64encode(os.urandom(SALT_BYTES)).rstrip(b"=").decode()
            cost = self._cost
            key_id = f"argon2id:m={cost.memory_kib},t={cost.passes},p={cost.lanes}:{salt}"
            self._keys[key_id] = _derive(self._read()[0], key_id)
            return key_id

    def finish_rotation(self, master_key_id: str) -> None:
        """Make a key current that was prepared here or has unwrapped something."""
        with self._deriving:
            if master_key_id not in self._keys:
                self._refuse_unknown(master_key_id)
            self._current = master_key_id

    def health(self) -> None:
        """Check that the current key wraps and unwraps."""
        binding = Binding(table="health", row="0", column="probe")
        probe = bytes(KEY_BYTES)
        self.unwrap(*self.wrap(probe, binding), binding)

    def _read(self, needed: str | None = None) -> list[bytes]:
        content = read_private_file(
            self._path, what="passphrase file", field=FIELD, max_bytes=_MAX_FILE_BYTES, needed=needed
        )
        lines = [line.removesuffix(b"\r") for line in content.removesuffix(b"\n").split(b"\n")][:MAX_LINES]
        for line in lines:
            check_passphrase(line, field=FIELD)
        return lines

    def _refuse_unknown(self, master_key_id: str) -> NoReturn:
        raise Unavailable(
            ErrorCode.MASTER_KEY_MISSING,
            f"Master key {master_key_id} has not been derived in this process.",
            field=FIELD,
            hint="Open the store first, then start the rotation again.",
        )


def _derive(passphrase: bytes, key_id: str) -> AESGCM:
    match = _ID.fullmatch(key_id)
    cost = Argon2Cost(memory_kib=int(match[1]), passes=int(match[2]), lanes=int(match[3])) if match else None
    if match is None or cost is None or not cost.is_acceptable:
        raise Integrity(
            ErrorCode.MASTER_KEY_WRONG,
            "The store was sealed by another master key provider than a passphrase, or its key id is damaged.",
            field=FIELD,
            hint="Check which provider the settings name.",
        )
    salt = base64.urlsafe_b64decode(match[4] + "==")
    return AESGCM(derive_key(passphrase, salt=salt, cost=cost, length=KEY_BYTES))
