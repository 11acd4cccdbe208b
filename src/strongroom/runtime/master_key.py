"""Which master key provider the settings name, and rotating the master key of a running server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from strongroom.domain.ports import Storage, Unit
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.settings import Settings
from strongroom.sealing.keyring import KekRecord, Keyring
from strongroom.sealing.wrappers import MasterKeyProvider
from strongroom.sealing.wrappers.key_file import KeyFileProvider
from strongroom.sealing.wrappers.passphrase import PassphraseProvider


def provider_of(settings: Settings, *, create: bool = False) -> MasterKeyProvider:
    """Return the provider that the settings name.

    Args:
        settings: say whether it is a key file or a passphrase, and where.
        create: make a key file that is missing; only for a store without any key.
    """
    if settings.master_passphrase_file is not None:
        return PassphraseProvider(settings.master_passphrase_file)
    provider = KeyFileProvider(settings.master_key_file or DataDir(settings.data_dir).master_key)
    if create:
        provider.create_if_missing()
    return provider


class MasterKeyRotation:
    """Re-wraps the key-encryption keys under a new master key, while the server runs.

    Payloads are not touched. A crash at any point leaves keys that the provider can open: the new
    master key is durable before anything is wrapped under it, and older ones stay.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        keyring: Keyring,
        provider: MasterKeyProvider,
        store: Callable[[Unit, list[KekRecord]], None],
    ) -> None:
        self._storage = storage
        self._keyring = keyring
        self._provider = provider
        self._store = store
        self._lock = threading.Lock()

    def rotate(self) -> dict[str, Any]:
        """Rotate and return what was done."""
        with self._lock:
            before = self._keyring.master_key_id
            new = self._provider.prepare_rotation()
            records = self._keyring.rewrap(self._provider, new)
            self._storage.write(lambda unit: self._store(unit, records))
            self._keyring.install(self._provider, records)
            self._keyring.settle(self._provider)
        return {"previous_key_id": before, "key_id": new, "keys_rewrapped": len(records)}
