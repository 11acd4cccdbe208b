"""What every provider of a master key must do, run against each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path

import pytest

from strongroom.domain.ports import Binding
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Integrity, Unavailable
from strongroom.sealing.kdf import Argon2Cost
from strongroom.sealing.keyring import Keyring
from strongroom.sealing.wrappers import MasterKeyProvider
from strongroom.sealing.wrappers.key_file import KeyFileProvider
from strongroom.sealing.wrappers.passphrase import PassphraseProvider

KEY = bytes(range(32))
PLACE = Binding(table="keks", row="1", column="wrapped")
CLOCK = FrozenClock(datetime(2027, 1, 31, 12, tzinfo=UTC))
CHEAP = Argon2Cost(memory_kib=64, passes=1, lanes=1)


class Site(ABC):
    """Where a provider keeps its key between two starts of the server."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.file = folder / "key"

    @abstractmethod
    def start(self) -> MasterKeyProvider:
        """Return the provider as a fresh process sees it."""

    @abstractmethod
    def use_other_key(self) -> None:
        """Put a key in place that belongs to another store."""

    def lose_key(self) -> None:
        self.file.unlink()


class KeyFileSite(Site):
    name = "key-file"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        KeyFileProvider(self.file).create_if_missing()

    def start(self) -> MasterKeyProvider:
        return KeyFileProvider(self.file)

    def use_other_key(self) -> None:
        self.file.unlink()
        KeyFileProvider(self.file).create_if_missing()


class PassphraseSite(Site):
    name = "passphrase"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file.touch(mode=0o600)
        self.file.write_text("correct horse battery\n")

    def start(self) -> MasterKeyProvider:
        return PassphraseProvider(self.file, cost=CHEAP)

    def use_other_key(self) -> None:
        self.file.write_text("something else altogether\n")


@pytest.fixture(params=[KeyFileSite, PassphraseSite], ids=["key file", "passphrase"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    made: Site = request.param(tmp_path)
    return made


def test_the_provider_says_its_name(site: Site) -> None:
    assert site.start().name == site.name


def test_a_wrapped_key_unwraps_after_a_restart(site: Site) -> None:
    key_id, wrapped = site.start().wrap(KEY, PLACE)
    assert site.start().unwrap(key_id, wrapped, PLACE) == KEY


def test_the_current_key_wraps_by_default(site: Site) -> None:
    provider = site.start()
    current = provider.current_key_id()
    assert provider.wrap(KEY, PLACE)[0] == current == provider.current_key_id()


def test_two_wrappings_of_one_key_differ_and_do_not_contain_it(site: Site) -> None:
    provider = site.start()
    one, other = provider.wrap(KEY, PLACE)[1], provider.wrap(KEY, PLACE)[1]
    assert one != other
    assert KEY not in one
    assert KEY[:8] not in one


def test_a_wrapped_key_unwraps_in_its_place_only(site: Site) -> None:
    provider = site.start()
    key_id, wrapped = provider.wrap(KEY, PLACE)
    with pytest.raises(Integrity) as refusal:
        provider.unwrap(key_id, wrapped, Binding(table="keks", row="2", column="wrapped"))
    assert refusal.value.code is ErrorCode.INTEGRITY_FAILED


def test_every_changed_byte_of_a_wrapped_key_is_noticed(site: Site) -> None:
    provider = site.start()
    key_id, wrapped = provider.wrap(KEY, PLACE)
    for at in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[at] ^= 0x80
        with pytest.raises(Integrity):
            provider.unwrap(key_id, bytes(changed), PLACE)


def test_every_truncation_of_a_wrapped_key_is_noticed(site: Site) -> None:
    provider = site.start()
    key_id, wrapped = provider.wrap(KEY, PLACE)
    for size in range(len(wrapped)):
        with pytest.raises(Integrity):
            provider.unwrap(key_id, wrapped[:size], PLACE)


def test_a_lost_key_is_missing_and_named(site: Site) -> None:
    key_id, wrapped = site.start().wrap(KEY, PLACE)
    site.lose_key()
    with pytest.raises(Unavailable) as refusal:
        site.start().unwrap(key_id, wrapped, PLACE)
    assert refusal.value.code is ErrorCode.MASTER_KEY_MISSING
    assert key_id in refusal.value.detail
    assert str(site.file) not in refusal.value.detail
    assert str(site.file) in (refusal.value.hint or "")


def test_without_a_key_there_is_no_current_one(site: Site) -> None:
    site.lose_key()
    with pytest.raises(Unavailable) as refusal:
        site.start().current_key_id()
    assert refusal.value.code is ErrorCode.MASTER_KEY_MISSING
    with pytest.raises(Unavailable):
        site.start().health()


def test_another_key_is_wrong_and_the_one_looked_for_is_named(site: Site) -> None:
    key_id, wrapped = site.start().wrap(KEY, PLACE)
    site.use_other_key()
    with pytest.raises(Integrity) as refusal:
        site.start().unwrap(key_id, wrapped, PLACE)
    assert refusal.value.code is ErrorCode.MASTER_KEY_WRONG
    assert key_id in refusal.value.detail
    assert str(site.file) not in refusal.value.detail
    assert refusal.value.hint


def test_an_id_of_another_kind_of_provider_is_wrong(site: Site) -> None:
    with pytest.raises(Integrity) as refusal:
        site.start().unwrap("kms:example", b"\x01" + bytes(60), PLACE)
    assert refusal.value.code is ErrorCode.MASTER_KEY_WRONG


def test_wrapping_under_an_unknown_key_is_refused(site: Site) -> None:
    with pytest.raises((Integrity, Unavailable)):
        site.start().wrap(KEY, PLACE, master_key_id="0011223344556677")


def test_a_healthy_provider_says_nothing(site: Site) -> None:
    site.start().health()


def test_a_prepared_key_is_usable_but_not_current(site: Site) -> None:
    provider = site.start()
    before = provider.current_key_id()
    prepared = provider.prepare_rotation()
    assert prepared != before == provider.current_key_id()
    key_id, wrapped = provider.wrap(KEY, PLACE, master_key_id=prepared)
    assert key_id == prepared
    assert site.start().unwrap(prepared, wrapped, PLACE) == KEY


def test_a_finished_rotation_changes_the_current_key_and_keeps_the_older(site: Site) -> None:
    provider = site.start()
    old_id, old = provider.wrap(KEY, PLACE)
    prepared = provider.prepare_rotation()
    provider.finish_rotation(prepared)
    provider.finish_rotation(prepared)
    assert provider.current_key_id() == prepared
    assert provider.wrap(KEY, PLACE)[0] == prepared
    assert site.start().unwrap(old_id, old, PLACE) == KEY


def test_finishing_with_an_unknown_key_is_refused(site: Site) -> None:
    provider = site.start()
    before = provider.current_key_id()
    with pytest.raises((Integrity, Unavailable)):
        provider.finish_rotation("0011223344556677")
    assert provider.current_key_id() == before


def test_no_key_is_in_the_text_of_a_provider(site: Site) -> None:
    provider = site.start()
    provider.health()
    secret = site.file.read_text().split()[-1]
    assert secret not in repr(provider)
    assert str(site.file) not in repr(provider)


@pytest.mark.parametrize("died_after", ["nothing", "prepare", "rewrap", "commit", "install", "settle"])
def test_a_rotation_that_dies_between_any_two_steps_leaves_every_key_open(site: Site, died_after: str) -> None:
    provider = site.start()
    ring, first = Keyring.create(provider, clock=CLOCK)
    stored = [first]
    blobs = [ring.seal(b"before", PLACE)]
    steps = ["nothing", "prepare", "rewrap", "commit", "install", "settle"]
    reached = steps.index(died_after)
    if reached >= 1:
        new_id = provider.prepare_rotation()
        if reached >= 2:
            records = ring.rewrap(provider, new_id)
            if reached >= 3:
                stored = records
            if reached >= 4:
                ring.install(provider, records)
                blobs.append(ring.seal(b"after", PLACE))
            if reached >= 5:
                ring.settle(provider)

    provider = site.start()
    ring = Keyring.open(provider, stored, clock=CLOCK)
    ring.settle(provider)
    assert [ring.unseal(blob, PLACE) for blob in blobs] == [b"before", b"after"][: len(blobs)]
    assert provider.current_key_id() == ring.master_key_id == stored[-1].master_key_id

    # And the next rotation goes through.
    ring.install(provider, ring.rewrap(provider, provider.prepare_rotation()))
    ring.settle(provider)
    again = Keyring.open(site.start(), ring.records, clock=CLOCK)
    assert again.unseal(blobs[0], PLACE) == b"before"
