"""Notices key-encryption keys that another process has made."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from strongroom.domain.ports import Storage
from strongroom.runtime.server_keys import KEK, kek_record
from strongroom.sealing.keyring import Keyring
from strongroom.sealing.wrappers import MasterKeyProvider


class KeysRefresh:
    """After a rotation elsewhere, opens the new keys here before values under them are asked for."""

    every: Final = timedelta(seconds=5)

    def __init__(self, storage: Storage, keyring: Keyring, provider: MasterKeyProvider) -> None:
        self._storage = storage
        self._keyring = keyring
        self._provider = provider

    def run(self) -> None:
        """Open what is new.

        Raises:
            Integrity: ``master_key_wrong`` while this node's key file lacks the new master key.
        """
        records = [kek_record(key) for key in self._storage.read(lambda unit: unit.keys.listing(KEK))]
        if {(record.id, record.wrapped) for record in records} != {
            (record.id, record.wrapped) for record in self._keyring.records
        }:
            self._keyring.install(self._provider, records)
