"""The open key-encryption keys (KEKs): seal, open, and change the master key above them.

Rotation of the master key, each step safe to repeat and safe to die after::

    new_id = provider.prepare_rotation()             # the new master key is durable, not yet current
    records = keyring.rewrap(provider, new_id)       # every KEK wrapped again, one new KEK added
    ...                                              # one transaction replaces the stored records
    keyring.install(provider, records)               # this process seals under the new KEK
    keyring.settle(provider)                         # the new master key becomes the current one

At start ``Keyring.open(...)`` followed by ``settle`` finishes a rotation that died after its transaction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.domain.ports import Binding
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Integrity, LimitReached
from strongroom.sealing.envelope import KEY_BYTES, MAX_KEK_ID, kek_id_of, open_under, place_of, seal_under
from strongroom.sealing.wrappers import MasterKeyProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class KekRecord:
    """A key-encryption key as it is stored: wrapped by a master key.

    Attributes:
        id: 1 or more; stands in every value sealed under it.
        created_at: when it was made.
        master_key_id: which master key wraps it, in the provider's own form.
        wrapped: the provider's bytes.
        active: whether new values are sealed under it; true for exactly one.
    """

    id: int
    created_at: datetime
    master_key_id: str
    wrapped: bytes = field(repr=False)
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """One consistent view of the ring; replaced as a whole, so readers need no lock."""

    keys: Mapping[int, AESGCM] = field(repr=False)
    records: Mapping[int, KekRecord]
    active: KekRecord


def kek_binding(kek_id: int) -> Binding:
    """Return what the wrapping of a KEK is bound to."""
    return Binding(table="keks", row=str(kek_id), column="wrapped")


class Keyring:
    """Seals and opens values; safe to use from any thread."""

    __slots__ = ("_clock", "_look_again", "_opened")

    def __init__(self, opened: _Opened, clock: Clock) -> None:
        self._opened = opened
        self._clock = clock
        self._look_again: Callable[[], None] | None = None

    @classmethod
    def create(cls, provider: MasterKeyProvider, *, clock: Clock) -> tuple[Keyring, KekRecord]:
        """Make the first KEK of an empty store.

        Returns:
            The ring, and the record to store before anything is sealed with it.
        """
        record = _new_record(1, provider, provider.current_key_id(), clock)
        return cls(_open_records(provider, [record]), clock), record

    @classmethod
    def open(cls, provider: MasterKeyProvider, records: Sequence[KekRecord], *, clock: Clock) -> Keyring:
        """Open the stored KEKs.

        Raises:
            Unavailable: ``master_key_missing`` if the provider has no key at all.
            Integrity: ``master_key_wrong`` if it has other keys than the one looked for,
                ``integrity_failed`` if the records themselves are damaged.
        """
        return cls(_open_records(provider, records), clock)

    def __repr__(self) -> str:
        """Return ids only."""
        opened = self._opened
        return f"Keyring(active={opened.active.id}, open={sorted(opened.keys)})"

    @property
    def active_id(self) -> int:
        """Return the id of the KEK that new values are sealed under."""
        return self._opened.active.id

    @property
    def master_key_id(self) -> str:
        """Return the id of the master key above the active KEK."""
        return self._opened.active.master_key_id

    @property
    def records(self) -> list[KekRecord]:
        """Return every open KEK's record, by id."""
        return [record for _, record in sorted(self._opened.records.items())]

    def when_unknown(self, look_again: Callable[[], None]) -> None:
        """Have this called before a value under an unknown KEK is refused; it may `install` new ones."""
        self._look_again = look_again

    def can_open(self, blob: bytes, binding: Binding) -> bool:
        """Tell whether the KEK that ``blob`` names is open here.

        False means that another process rotated: load the records and `install` them.
        """
        return kek_id_of(blob, binding) in self._opened.keys

    def seal(self, plaintext: bytes, binding: Binding) -> bytes:
        """Seal a value for one row and column."""
        opened = self._opened
        kek_id = opened.active.id
        return seal_under(opened.keys[kek_id], kek_id, plaintext, binding)

    def unseal(self, blob: bytes, binding: Binding) -> bytes:
        """Open a value read from one row and column.

        Raises:
            Integrity: ``integrity_failed`` if it was changed, cut, moved, or sealed under an unknown KEK.
        """
        kek_id = kek_id_of(blob, binding)
        kek = self._opened.keys.get(kek_id)
        if kek is None and self._look_again is not None:
            self._look_again()
            kek = self._opened.keys.get(kek_id)
        if kek is None:
            raise Integrity(
                ErrorCode.INTEGRITY_FAILED,
                f"The sealed value {place_of(binding)} names key-encryption key {kek_id}, which is not open here.",
                hint="The value is damaged, or the key was added by another server a moment ago.",
            )
        return open_under(kek, blob, binding)

    def rewrap(self, provider: MasterKeyProvider, new_master_key_id: str) -> list[KekRecord]:
        """Wrap every KEK under another master key and add a new active one.

        Nothing changes here until `install`; payloads are not touched at all.

        Returns:
            Every record, by id, the last one new and active; store them in one transaction.
        """
        rewrapped = []
        for record in self.records:
            key = _unwrap(provider, record)
            master_key_id, wrapped = provider.wrap(key, kek_binding(record.id), master_key_id=new_master_key_id)
            rewrapped.append(replace(record, master_key_id=master_key_id, wrapped=wrapped, active=False))
        rewrapped.append(_new_record(rewrapped[-1].id + 1, provider, new_master_key_id, self._clock))
        return rewrapped

    def install(self, provider: MasterKeyProvider, records: Sequence[KekRecord]) -> None:
        """Take over stored records, after a rotation here or on another server.

        Keys that are open already stay open: values sealed a moment ago under them may still be on
        their way into the store.

        Raises:
            Unavailable: as `open`; the ring is unchanged then.
            Integrity: as `open`; the ring is unchanged then.
        """
        fresh = _open_records(provider, records)
        before = self._opened
        self._opened = _Opened(
            keys={**before.keys, **fresh.keys}, records={**before.records, **fresh.records}, active=fresh.active
        )

    def settle(self, provider: MasterKeyProvider) -> None:
        """Make the master key of the active KEK the provider's current one; does nothing if it is."""
        provider.finish_rotation(self.master_key_id)


def _open_records(provider: MasterKeyProvider, records: Iterable[KekRecord]) -> _Opened:
    by_id = {record.id: record for record in records}
    active = [record for record in by_id.values() if record.active]
    if len(active) != 1:
        raise Integrity(
            ErrorCode.INTEGRITY_FAILED,
            f"The store must have exactly one active key-encryption key; it has {len(active)} of {len(by_id)}.",
            hint="Restore the store from a backup.",
        )
    keys = {record.id: AESGCM(_unwrap(provider, record)) for record in by_id.values()}
    return _Opened(keys=keys, records=by_id, active=active[0])


def _unwrap(provider: MasterKeyProvider, record: KekRecord) -> bytes:
    key = provider.unwrap(record.master_key_id, record.wrapped, kek_binding(record.id))
    if len(key) != KEY_BYTES:
        raise Integrity(
            ErrorCode.INTEGRITY_FAILED,
            f"Key-encryption key {record.id} has {len(key)} bytes; it must have {KEY_BYTES}.",
        )
    return key


def _new_record(kek_id: int, provider: MasterKeyProvider, master_key_id: str, clock: Clock) -> KekRecord:
    if kek_id > MAX_KEK_ID:
        raise LimitReached(ErrorCode.LIMIT_REACHED, f"There are no key-encryption key ids left after {MAX_KEK_ID}.")
    key = os.urandom(KEY_BYTES)
    used_id, wrapped = provider.wrap(key, kek_binding(kek_id), master_key_id=master_key_id)
    return KekRecord(id=kek_id, created_at=clock.now(), master_key_id=used_id, wrapped=wrapped, active=True)
