"""Notices key-encryption keys that another process has made."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

from strongroom.domain.ports import Storage
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.runtime.server_keys import KEK, kek_record
from strongroom.sealing.keyring import Keyring
from strongroom.sealing.wrappers import MasterKeyProvider

_PAUSE_S: Final = 1.0
_PATIENCE_S: Final = 2.0


class KeysRefresh:
    """After a rotation elsewhere, opens the new keys here: within seconds, or when one is asked for.

    Only for a database that several processes share; otherwise nobody else can make keys.
    """

    every: Final = timedelta(seconds=5)

    def __init__(self, storage: Storage, keyring: Keyring, provider: MasterKeyProvider) -> None:
        self._storage = storage
        self._keyring = keyring
        self._provider = provider
        self._refreshing = threading.Lock()
        self._next_at_once = 0.0

    def run(self) -> None:
        """Open what is new.

        Raises:
            Integrity: ``master_key_wrong`` while this node's key file lacks the new master key.
        """
        with self._refreshing:
            self._refresh()

    def at_once(self) -> None:
        """Open what is new, for a value under a key that is not open here.

        A damaged value names such a key too, and is asked for again and again: the store is asked once a second.

        Raises:
            Integrity: as `run`.
            Unavailable: other threads are at it and do not come to an end.
        """
        # The caller may hold a connection that the thread which refreshes is waiting for.
        if not self._refreshing.acquire(timeout=_PATIENCE_S):
            raise Unavailable(
                ErrorCode.UNAVAILABLE,
                "Keys that another server has made are being opened.",
                retry_after=timedelta(seconds=1),
            )
        try:
            if time.monotonic() >= self._next_at_once:
                self._next_at_once = time.monotonic() + _PAUSE_S
                self._refresh()
        finally:
            self._refreshing.release()

    def _refresh(self) -> None:
        records = [kek_record(key) for key in self._storage.read(lambda unit: unit.keys.listing(KEK))]
        if {(record.id, record.wrapped) for record in records} != {
            (record.id, record.wrapped) for record in self._keyring.records
        }:
            self._keyring.install(self._provider, records)
