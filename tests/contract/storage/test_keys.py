"""The server's own keys, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from strongroom.domain.ports import Storage, StoredKey, Unit

AT = datetime(2026, 3, 2, 9, 14, 7, 123456, tzinfo=UTC)


def key(id: str, kind: str = "kek", *, minutes: int = 0, active: bool = True) -> StoredKey:
    return StoredKey(
        id=id,
        kind=kind,
        active=active,
        master_key_id="0011223344556677" if kind == "kek" else "",
        blob=bytes(range(256)),
        public="" if kind == "kek" else "public text",
        created_at=AT + timedelta(minutes=minutes),
    )


def test_new_store_has_no_keys(storage: Storage) -> None:
    assert list(storage.read(lambda unit: unit.keys.listing())) == []


def test_keys_come_back_whole_and_oldest_first(storage: Storage) -> None:
    younger, older, token = key("2", minutes=2), key("1", minutes=1), key("a", "token", minutes=3)

    def put(unit: Unit) -> None:
        for one in (younger, older, token):
            unit.keys.put(one)

    storage.write(put)

    assert list(storage.read(lambda unit: unit.keys.listing())) == [older, younger, token]
    assert list(storage.read(lambda unit: unit.keys.listing("kek"))) == [older, younger]
    assert list(storage.read(lambda unit: unit.keys.listing("tls"))) == []


def test_put_replaces_the_key_of_the_same_kind_and_id(storage: Storage) -> None:
    storage.write(lambda unit: unit.keys.put(key("1")))
    storage.write(lambda unit: unit.keys.put(key("1", "audit")))
    rewrapped = replace(key("1"), active=False, master_key_id="ffeeddccbbaa9988", blob=b"wrapped again")

    storage.write(lambda unit: unit.keys.put(rewrapped))

    assert list(storage.read(lambda unit: unit.keys.listing("kek"))) == [rewrapped]
    assert list(storage.read(lambda unit: unit.keys.listing("audit"))) == [key("1", "audit")]
