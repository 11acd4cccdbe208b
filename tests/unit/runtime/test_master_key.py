"""Rotating the master key of an open store, and opening keys that another process has made."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.domain.ports import Binding
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Integrity, Unavailable
from strongroom.runtime import keys_refresh
from strongroom.runtime.bootstrap import OpenStore, open_store
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.keys_refresh import KeysRefresh
from strongroom.runtime.master_key import MasterKeyRotation, provider_of
from strongroom.runtime.server_keys import KEK, kek_record, open_server_keys, store_keys, stored_kek
from strongroom.runtime.settings import Settings, load_settings
from strongroom.sealing.keyring import Keyring
from strongroom.sealing.wrappers.key_file import KeyFileProvider
from strongroom.sealing.wrappers.passphrase import PassphraseProvider

PLACE = Binding("versions", "one", "payload")


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return load_settings({"data_dir": data_dir})


@pytest.fixture
def store(settings: Settings, clock: FrozenClock) -> Iterator[OpenStore]:
    with DataDir(settings.data_dir) as directory:
        opened = open_store(settings, directory, clock)
        try:
            yield opened
        finally:
            opened.storage.close()


def rotation(store: OpenStore) -> MasterKeyRotation:
    return MasterKeyRotation(
        storage=store.storage,
        keyring=store.keys.keyring,
        provider=store.keys.provider,
        store=lambda unit, records: store_keys(unit, [stored_kek(record) for record in records]),
    )


@pytest.fixture
def other(store: OpenStore, tmp_path: Path, clock: FrozenClock) -> tuple[Keyring, KeysRefresh, Path]:
    """Give another process's ring on the same store, with a key file of its own."""
    file = tmp_path / "other.key"
    shutil.copy2(tmp_path / "data" / "master.key", file)
    provider = KeyFileProvider(file)
    records = [kek_record(key) for key in store.storage.read(lambda unit: unit.keys.listing(KEK))]
    ring = Keyring.open(provider, records, clock=clock)
    refresh = KeysRefresh(store.storage, ring, provider)
    ring.when_unknown(refresh.at_once)
    return ring, refresh, file


def test_the_settings_name_the_provider(tmp_path: Path) -> None:
    assert isinstance(provider_of(load_settings({})), KeyFileProvider)
    phrase = {"master_passphrase_file": tmp_path / "phrase"}
    assert isinstance(provider_of(load_settings(phrase)), PassphraseProvider)


def test_a_key_file_is_made_only_when_asked_for(settings: Settings) -> None:
    settings.data_dir.mkdir()
    provider_of(settings)
    assert not (settings.data_dir / "master.key").exists()
    provider_of(settings, create=True)
    assert (settings.data_dir / "master.key").exists()


def test_a_rotation_tells_what_it_did_and_keeps_everything_open(
    settings: Settings, store: OpenStore, clock: FrozenClock
) -> None:
    ring = store.keys.keyring
    before, blob = ring.master_key_id, ring.seal(b"payload", PLACE)
    done = rotation(store).rotate()
    assert done == {"previous_key_id": before, "key_id": ring.master_key_id, "keys_rewrapped": 2}
    assert ring.master_key_id != before
    assert ring.unseal(blob, PLACE) == b"payload"
    stored = store.storage.read(lambda unit: unit.keys.listing())
    reopened = open_server_keys(settings, stored, clock)
    assert reopened.keyring.unseal(blob, PLACE) == b"payload"
    assert reopened.provider.current_key_id() == ring.master_key_id


def test_rotations_at_once_take_turns(store: OpenStore) -> None:
    rotating = rotation(store)
    threads = [threading.Thread(target=rotating.rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = [kek_record(key) for key in store.storage.read(lambda unit: unit.keys.listing(KEK))]
    assert len(records) == 5
    assert [record.id for record in records if record.active] == [5]


def test_a_value_under_a_new_key_is_opened_at_once(
    store: OpenStore, other: tuple[Keyring, KeysRefresh, Path], tmp_path: Path
) -> None:
    ring, _, file = other
    rotation(store).rotate()
    blob = store.keys.keyring.seal(b"payload", PLACE)
    shutil.copy2(tmp_path / "data" / "master.key", file)
    assert not ring.can_open(blob, PLACE)
    assert ring.unseal(blob, PLACE) == b"payload"


def test_new_keys_are_opened_in_time_without_being_asked_for(
    store: OpenStore, other: tuple[Keyring, KeysRefresh, Path], tmp_path: Path
) -> None:
    ring, refresh, file = other
    rotation(store).rotate()
    shutil.copy2(tmp_path / "data" / "master.key", file)
    refresh.run()
    assert ring.master_key_id == store.keys.keyring.master_key_id


def test_a_node_without_the_new_master_key_goes_on_and_says_so(
    store: OpenStore, other: tuple[Keyring, KeysRefresh, Path], tmp_path: Path
) -> None:
    ring, refresh, file = other
    old = ring.seal(b"old", PLACE)
    rotation(store).rotate()
    new = store.keys.keyring.seal(b"new", PLACE)
    for ask in (refresh.run, lambda: ring.unseal(new, PLACE)):
        with pytest.raises(Integrity) as caught:
            ask()
        assert caught.value.code is ErrorCode.MASTER_KEY_WRONG
    assert ring.unseal(old, PLACE) == b"old"
    assert ring.unseal(ring.seal(b"own", PLACE), PLACE) == b"own"
    shutil.copy2(tmp_path / "data" / "master.key", file)
    refresh.run()
    assert ring.unseal(new, PLACE) == b"new"


def test_a_damaged_value_asks_the_store_once_a_second(
    other: tuple[Keyring, KeysRefresh, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, refresh, _ = other
    asked: list[float] = []
    at = [100.0]
    monkeypatch.setattr(refresh, "_refresh", lambda: asked.append(at[0]))
    monkeypatch.setattr("strongroom.runtime.keys_refresh.time.monotonic", lambda: at[0])
    blob = ring.seal(b"payload", PLACE)
    damaged = blob[:1] + (7).to_bytes(4, "big") + blob[5:]
    for moment in (100.0, 100.1, 100.9, 101.1):
        at[0] = moment
        with pytest.raises(Integrity) as caught:
            ring.unseal(damaged, PLACE)
        assert caught.value.code is ErrorCode.INTEGRITY_FAILED
    assert asked == [100.0, 101.1]


def test_nobody_waits_for_ever_for_another_thread(
    other: tuple[Keyring, KeysRefresh, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refresh, _ = other
    monkeypatch.setattr(keys_refresh, "_PATIENCE_S", 0.01)
    with refresh._refreshing, pytest.raises(Unavailable) as caught:
        refresh.at_once()
    assert caught.value.retry_after is not None
