from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.domain.ports import Binding
from strongroom.kernel.errors import ErrorCode, Integrity, Invalid, Unavailable
from strongroom.sealing.kdf import Argon2Cost, derive_key
from strongroom.sealing.wrappers.passphrase import PassphraseProvider

KEY = bytes(range(32))
PLACE = Binding(table="keks", row="1", column="wrapped")
CHEAP = Argon2Cost(memory_kib=64, passes=1, lanes=1)
OLD, NEW = "correct horse battery", "staple of the new year"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "passphrase"
    made.touch(mode=0o600)
    made.write_text(OLD)
    return made


def start(path: Path) -> PassphraseProvider:
    return PassphraseProvider(path, cost=CHEAP)


def test_the_id_says_how_the_key_is_derived(path: Path) -> None:
    key_id = start(path).current_key_id()
    assert key_id.startswith("argon2id:m=64,t=1,p=1:")
    assert start(path).current_key_id() != key_id


def test_the_default_cost_is_that_of_the_rfc(path: Path) -> None:
    provider = PassphraseProvider(path)
    key_id, wrapped = provider.wrap(KEY, PLACE)
    assert key_id.startswith("argon2id:m=65536,t=3,p=4:")
    assert PassphraseProvider(path).unwrap(key_id, wrapped, PLACE) == KEY


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_line_end_does_not_belong_to_the_passphrase(path: Path, ending: str) -> None:
    wrapped = start(path).wrap(KEY, PLACE)
    path.write_bytes((OLD + ending).encode())
    assert start(path).unwrap(*wrapped, PLACE) == KEY


@pytest.mark.parametrize("content", [b"", b"\n", b"eleven char", "é".encode() * 11, b"\xff" * 20, b"x" * 5000])
def test_a_passphrase_of_the_wrong_form_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Invalid) as refusal:
        start(path).current_key_id()
    assert refusal.value.code is ErrorCode.SETTINGS_INVALID
    assert refusal.value.field == "passphrase_file"
    assert "eleven" not in refusal.value.diagnostics()


def test_a_short_older_passphrase_is_refused_too(path: Path) -> None:
    path.write_text(f"{NEW}\nshort\n")
    with pytest.raises(Invalid):
        start(path).current_key_id()


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    path.chmod(0o644)
    with pytest.raises(Invalid) as refusal:
        start(path).current_key_id()
    assert refusal.value.hint == f"chmod 600 {path}"


def test_each_key_is_derived_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derived = []

    def counting(passphrase: bytes, *, salt: bytes, cost: Argon2Cost, length: int) -> bytes:
        derived.append(salt)
        return derive_key(passphrase, salt=salt, cost=cost, length=length)

    monkeypatch.setattr("strongroom.sealing.wrappers.passphrase.derive_key", counting)
    provider = start(path)
    for _ in range(3):
        provider.unwrap(*provider.wrap(KEY, PLACE), PLACE)
    assert len(derived) == 1


def test_the_new_passphrase_wraps_and_the_old_line_still_opens(path: Path) -> None:
    provider = start(path)
    old = provider.wrap(KEY, PLACE)
    path.write_text(f"{NEW}\n{OLD}\n")
    prepared = provider.prepare_rotation()
    new = provider.wrap(KEY, PLACE, master_key_id=prepared)
    both = start(path)
    assert both.unwrap(*old, PLACE) == both.unwrap(*new, PLACE) == KEY
    path.write_text(NEW)
    assert start(path).unwrap(*new, PLACE) == KEY
    with pytest.raises(Integrity) as refusal:
        start(path).unwrap(*old, PLACE)
    assert refusal.value.code is ErrorCode.MASTER_KEY_WRONG


def test_a_running_server_rotates_without_the_old_line(path: Path) -> None:
    provider = start(path)
    old = provider.wrap(KEY, PLACE)
    path.write_text(NEW)
    provider.finish_rotation(provider.prepare_rotation())
    assert provider.unwrap(*old, PLACE) == KEY
    assert start(path).unwrap(*provider.wrap(KEY, PLACE), PLACE) == KEY


def test_a_key_that_nobody_proved_is_not_used_for_wrapping(path: Path) -> None:
    foreign = start(path).current_key_id()
    with pytest.raises(Unavailable) as refusal:
        start(path).wrap(KEY, PLACE, master_key_id=foreign)
    assert refusal.value.code is ErrorCode.MASTER_KEY_MISSING


@pytest.mark.parametrize(
    "key_id",
    [
        "0011223344556677",
        "argon2id:m=9999999,t=3,p=4:AAAAAAAAAAAAAAAAAAAAAA",
        "argon2id:m=64,t=99,p=1:AAAAAAAAAAAAAAAAAAAAAA",
        "argon2id:m=64,t=1,p=99:AAAAAAAAAAAAAAAAAAAAAA",
        "argon2id:m=64,t=1,p=16:AAAAAAAAAAAAAAAAAAAAAA",
        "argon2id:m=64,t=0,p=1:AAAAAAAAAAAAAAAAAAAAAA",
        "argon2id:m=64,t=1,p=1:short",
    ],
)
def test_an_id_with_an_unreasonable_cost_is_refused_before_it_is_paid(path: Path, key_id: str) -> None:
    with pytest.raises(Integrity) as refusal:
        start(path).unwrap(key_id, bytes(61), PLACE)
    assert refusal.value.code is ErrorCode.MASTER_KEY_WRONG
