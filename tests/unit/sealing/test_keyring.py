from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from strongroom.domain.ports import Binding, Sealer
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Integrity, LimitReached, Unavailable
from strongroom.sealing.keyring import KekRecord, Keyring, kek_binding
from strongroom.sealing.wrappers.key_file import KeyFileProvider

PLACE = Binding(table="payloads", row="41f8", column="sealed")


def test_the_ring_is_a_sealer(provider: KeyFileProvider, clock: FrozenClock) -> None:
    sealer: Sealer = Keyring.create(provider, clock=clock)[0]
    assert sealer.unseal(sealer.seal(b"payload", PLACE), PLACE) == b"payload"


def test_the_first_key_is_active_and_wrapped_by_the_current_master_key(
    provider: KeyFileProvider, clock: FrozenClock
) -> None:
    ring, record = Keyring.create(provider, clock=clock)
    assert (record.id, record.active, record.created_at) == (1, True, clock.now())
    assert record.master_key_id == provider.current_key_id() == ring.master_key_id
    assert ring.active_id == 1
    assert ring.records == [record]


def test_a_reopened_ring_opens_what_the_first_one_sealed(
    provider: KeyFileProvider, key_file: Path, clock: FrozenClock
) -> None:
    ring, record = Keyring.create(provider, clock=clock)
    blob = ring.seal(b"payload", PLACE)
    again = Keyring.open(KeyFileProvider(key_file), [record], clock=clock)
    assert again.unseal(blob, PLACE) == b"payload"


def test_nothing_secret_is_in_the_text_of_ring_and_record(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, record = Keyring.create(provider, clock=clock)
    assert repr(ring) == "Keyring(active=1, open=[1])"
    assert "wrapped" not in repr(record)


def test_a_value_of_an_unknown_key_is_refused(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    blob = ring.seal(b"payload", PLACE)
    foreign = blob[:1] + (7).to_bytes(4, "big") + blob[5:]
    assert ring.can_open(blob, PLACE)
    assert not ring.can_open(foreign, PLACE)
    with pytest.raises(Integrity, match="key-encryption key 7") as refusal:
        ring.unseal(foreign, PLACE)
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED


def test_a_value_relabelled_to_another_open_key_is_refused(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    ring.install(provider, ring.rewrap(provider, provider.prepare_rotation()))
    blob = ring.seal(b"payload", PLACE)
    with pytest.raises(Integrity):
        ring.unseal(blob[:1] + (1).to_bytes(4, "big") + blob[5:], PLACE)


def test_rewrapping_changes_every_record_and_adds_an_active_key(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, first = Keyring.create(provider, clock=clock)
    clock.advance(timedelta(days=90))
    new_id = provider.prepare_rotation()
    records = ring.rewrap(provider, new_id)
    assert [(r.id, r.active, r.master_key_id) for r in records] == [(1, False, new_id), (2, True, new_id)]
    assert records[0].wrapped != first.wrapped
    assert records[0].created_at == first.created_at
    assert records[1].created_at == clock.now()
    assert ring.records == [first]


def test_an_installed_rotation_seals_under_the_new_key_and_opens_the_old(
    provider: KeyFileProvider, clock: FrozenClock
) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    old = ring.seal(b"old", PLACE)
    new_id = provider.prepare_rotation()
    ring.install(provider, ring.rewrap(provider, new_id))
    ring.settle(provider)
    new = ring.seal(b"new", PLACE)
    assert (ring.unseal(old, PLACE), ring.unseal(new, PLACE)) == (b"old", b"new")
    assert int.from_bytes(new[1:5], "big") == ring.active_id == 2
    assert provider.current_key_id() == ring.master_key_id == new_id


def test_another_server_takes_over_the_records_of_a_rotation(
    provider: KeyFileProvider, key_file: Path, clock: FrozenClock
) -> None:
    here, first = Keyring.create(provider, clock=clock)
    there = Keyring.open(KeyFileProvider(key_file), [first], clock=clock)
    there_provider = KeyFileProvider(key_file)
    assert there_provider.current_key_id()
    records = here.rewrap(provider, provider.prepare_rotation())
    here.install(provider, records)
    blob = here.seal(b"payload", PLACE)
    assert not there.can_open(blob, PLACE)
    there.install(there_provider, records)
    assert there.unseal(blob, PLACE) == b"payload"


def test_a_key_that_is_open_stays_open_when_records_lack_it(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    blob = ring.seal(b"payload", PLACE)
    records = ring.rewrap(provider, provider.prepare_rotation())
    ring.install(provider, records[1:])
    assert ring.unseal(blob, PLACE) == b"payload"


def test_a_refused_installation_leaves_the_ring_as_it_was(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, first = Keyring.create(provider, clock=clock)
    records = ring.rewrap(provider, provider.prepare_rotation())
    with pytest.raises(Integrity):
        ring.install(provider, [records[0], replace(records[1], wrapped=records[0].wrapped)])
    assert ring.records == [first]


@pytest.mark.parametrize("active", [[], [1, 2]])
def test_a_store_without_exactly_one_active_key_is_refused(
    provider: KeyFileProvider, clock: FrozenClock, active: list[int]
) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    records = [replace(r, active=r.id in active) for r in ring.rewrap(provider, provider.current_key_id())]
    with pytest.raises(Integrity, match="exactly one active") as refusal:
        Keyring.open(provider, records, clock=clock)
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED


def test_a_store_without_keys_is_refused(provider: KeyFileProvider, clock: FrozenClock) -> None:
    with pytest.raises(Integrity, match="0 of 0"):
        Keyring.open(provider, [], clock=clock)


def test_wrapped_keys_of_two_records_cannot_be_swapped(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    one, two = ring.rewrap(provider, provider.current_key_id())
    swapped = [replace(one, wrapped=two.wrapped), replace(two, wrapped=one.wrapped)]
    with pytest.raises(Integrity) as refusal:
        Keyring.open(provider, swapped, clock=clock)
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED


def test_a_key_of_the_wrong_size_is_refused(provider: KeyFileProvider, clock: FrozenClock) -> None:
    _, record = Keyring.create(provider, clock=clock)
    _, wrapped = provider.wrap(b"short", kek_binding(1))
    with pytest.raises(Integrity, match="has 5 bytes"):
        Keyring.open(provider, [replace(record, wrapped=wrapped)], clock=clock)


def test_a_missing_master_key_is_named(provider: KeyFileProvider, key_file: Path, clock: FrozenClock) -> None:
    _, record = Keyring.create(provider, clock=clock)
    key_file.unlink()
    with pytest.raises(Unavailable, match=record.master_key_id) as refusal:
        Keyring.open(KeyFileProvider(key_file), [record], clock=clock)
    assert refusal.value.code is ErrorCode.MASTER_KEY_MISSING


def test_a_wrong_master_key_is_named(provider: KeyFileProvider, tmp_path: Path, clock: FrozenClock) -> None:
    _, record = Keyring.create(provider, clock=clock)
    other = KeyFileProvider(tmp_path / "other.key")
    other.create_if_missing()
    with pytest.raises(Integrity, match=record.master_key_id) as refusal:
        Keyring.open(other, [record], clock=clock)
    assert refusal.value.code is ErrorCode.MASTER_KEY_WRONG


def test_running_out_of_key_ids_is_said(provider: KeyFileProvider, clock: FrozenClock) -> None:
    key_id, wrapped = provider.wrap(bytes(32), kek_binding(2**32 - 1))
    last = KekRecord(id=2**32 - 1, created_at=clock.now(), master_key_id=key_id, wrapped=wrapped, active=True)
    ring = Keyring.open(provider, [last], clock=clock)
    with pytest.raises(LimitReached) as refusal:
        ring.rewrap(provider, key_id)
    assert refusal.value.code is ErrorCode.LIMIT_REACHED


def test_threads_seal_and_open_while_the_ring_rotates(provider: KeyFileProvider, clock: FrozenClock) -> None:
    ring, _ = Keyring.create(provider, clock=clock)
    opened: list[bytes] = []

    def work() -> None:
        for number in range(200):
            value = str(number).encode()
            opened.append(ring.unseal(ring.seal(value, PLACE), PLACE))

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        ring.install(provider, ring.rewrap(provider, provider.current_key_id()))
    for thread in threads:
        thread.join()
    assert len(opened) == 600
    assert ring.active_id == 6


def test_somebody_may_bring_an_unknown_key_before_a_value_is_refused(
    provider: KeyFileProvider, clock: FrozenClock
) -> None:
    ring, record = Keyring.create(provider, clock=clock)
    records = ring.rewrap(provider, provider.prepare_rotation())
    elsewhere = Keyring.open(provider, records, clock=clock)
    blob = elsewhere.seal(b"payload", PLACE)
    asked = []
    ring.when_unknown(lambda: asked.append("in vain"))
    with pytest.raises(Integrity):
        ring.unseal(blob, PLACE)
    ring.when_unknown(lambda: ring.install(provider, records))
    assert ring.unseal(blob, PLACE) == b"payload"
    assert asked == ["in vain"]
    assert record.id == 1
