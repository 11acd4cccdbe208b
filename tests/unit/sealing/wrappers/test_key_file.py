from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.ports import Binding
from strongroom.kernel.errors import ErrorCode, Integrity, Invalid, StrongroomError, Unavailable
from strongroom.sealing.wrappers.key_file import LINE_TAG, MAX_FILE_BYTES, KeyFileProvider

KEY = bytes(range(32))
PLACE = Binding(table="keks", row="1", column="wrapped")


class Killed(BaseException):
    """The process dies here."""


def lines_of(path: Path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text().splitlines()]


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def refusal_of(path: Path) -> StrongroomError:
    with pytest.raises(StrongroomError) as refusal:
        KeyFileProvider(path).current_key_id()
    assert str(path) not in refusal.value.detail
    assert str(path) in (refusal.value.hint or "")
    return refusal.value


def write(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "master.key"
    KeyFileProvider(made).create_if_missing()
    return made


def test_a_new_file_has_one_line_and_belongs_to_its_user_only(path: Path) -> None:
    assert path.stat().st_mode & 0o7777 == 0o600
    [(tag, key_id, key)] = lines_of(path)
    assert tag == "strongroom-master-key-v1"
    assert key_id == hashlib.sha256(base64.b64decode(key)).hexdigest()[:16]
    assert KeyFileProvider(path).current_key_id() == key_id
    assert names_in(path.parent) == [path.name]


def test_an_existing_file_is_never_created_again(path: Path) -> None:
    before = path.read_bytes()
    assert not KeyFileProvider(path).create_if_missing()
    assert path.read_bytes() == before


def test_the_loser_of_a_race_keeps_the_winners_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    assert not KeyFileProvider(path).create_if_missing()
    assert path.read_bytes() == before
    assert names_in(path.parent) == [path.name]


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    KeyFileProvider(tmp_path / "missing" / "master.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601, 0o666])
def test_a_file_that_others_can_reach_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    refusal = refusal_of(path)
    assert isinstance(refusal, Invalid)
    assert refusal.code is ErrorCode.SETTINGS_INVALID
    assert f"{mode:03o}" in refusal.detail
    assert refusal.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_something_else_than_a_file_is_refused(tmp_path: Path, make: Callable[..., None]) -> None:
    make(tmp_path / "master.key", 0o700)
    assert isinstance(refusal_of(tmp_path / "master.key"), (Invalid, Unavailable))


def test_a_file_that_cannot_be_opened_is_said_with_its_reason(tmp_path: Path) -> None:
    loop = tmp_path / "master.key"
    loop.symlink_to(loop)
    refusal = refusal_of(loop)
    assert refusal.code is ErrorCode.MASTER_KEY_MISSING
    assert "symbolic links" in refusal.detail


def test_every_truncation_is_refused_but_that_of_the_line_end(path: Path) -> None:
    content = path.read_bytes()
    for size in range(len(content) - 1):
        path.write_bytes(content[:size])
        refusal = refusal_of(path)
        assert isinstance(refusal, Integrity)
        assert refusal.code is ErrorCode.MASTER_KEY_WRONG
    path.write_bytes(content[:-1])
    assert KeyFileProvider(path).current_key_id()


def test_every_changed_character_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for at in range(len(content) - 1):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert refusal_of(path).code is ErrorCode.MASTER_KEY_WRONG


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n", "line 1"),
        (b"# comment\n", "line 1"),
        (b"strongroom-master-key-v2 00 00\n", "line 1"),
        (f"{LINE_TAG} 0011223344556677 {base64.b64encode(b'short').decode()}\n".encode(), "line 1"),
        (b"x" * (MAX_FILE_BYTES + 10), "longer than"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(tmp_path: Path, content: bytes, reason: str) -> None:
    refusal = refusal_of(write(tmp_path / "master.key", content))
    assert refusal.code is ErrorCode.MASTER_KEY_WRONG
    assert reason in refusal.detail


def test_a_repeated_key_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)
    assert "repeats key" in refusal_of(path).detail


def test_line_ends_of_another_system_are_accepted(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert KeyFileProvider(path).current_key_id()


def test_no_refusal_shows_a_key(path: Path) -> None:
    [(_, _, key)] = lines_of(path)
    path.write_bytes(path.read_bytes().replace(b"-v1", b"-v9"))
    assert key not in refusal_of(path).diagnostics()


def test_rotation_appends_then_moves_to_the_front(path: Path) -> None:
    provider = KeyFileProvider(path)
    old = provider.current_key_id()
    new = provider.prepare_rotation()
    assert [line[1] for line in lines_of(path)] == [old, new]
    provider.finish_rotation(new)
    assert [line[1] for line in lines_of(path)] == [new, old]
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked.key"
    link.symlink_to(path)
    KeyFileProvider(link).prepare_rotation()
    assert link.is_symlink()
    assert len(lines_of(path)) == 2


def test_a_key_added_to_the_file_while_running_is_found(path: Path) -> None:
    here, there = KeyFileProvider(path), KeyFileProvider(path)
    assert here.current_key_id() == there.current_key_id()
    wrapped = there.wrap(KEY, PLACE, master_key_id=there.prepare_rotation())
    assert here.unwrap(*wrapped, PLACE) == KEY


def test_a_running_server_does_not_need_the_file_again(path: Path) -> None:
    provider = KeyFileProvider(path)
    wrapped = provider.wrap(KEY, PLACE)
    path.unlink()
    assert provider.unwrap(*wrapped, PLACE) == KEY
    provider.health()
    with pytest.raises(Unavailable) as refusal:
        provider.prepare_rotation()
    assert refusal.value.code is ErrorCode.MASTER_KEY_MISSING


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["open", "fsync", "link"])
def test_a_folder_that_cannot_be_written_is_said_on_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, failing(28))
    with pytest.raises(Unavailable, match="No space left") as refusal:
        KeyFileProvider(tmp_path / "master.key").create_if_missing()
    monkeypatch.undo()
    assert refusal.value.code is ErrorCode.UNAVAILABLE
    assert names_in(tmp_path) == []


def test_a_rotation_that_cannot_be_written_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = KeyFileProvider(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(5))
        with pytest.raises(Unavailable):
            provider.prepare_rotation()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing(30))
        with pytest.raises(Unavailable):
            provider.prepare_rotation()
    assert path.read_bytes() == before
    assert names_in(path.parent) == [path.name]


class Dying:
    """Lets a number of system calls through, then kills; both before and after a call has its effect."""

    CALLS = ((os, "open"), (os, "fsync"), (os, "link"), (os, "close"), (Path, "replace"), (Path, "unlink"))

    def __init__(self, patch: pytest.MonkeyPatch, allowed: int) -> None:
        self.left = allowed
        self.died = False
        for owner, name in self.CALLS:
            patch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self.tick()
            result = call(*args, **kwargs)
            self.tick()
            return result

        return wrapper

    def tick(self) -> None:
        if self.died:
            return
        self.left -= 1
        if self.left < 0:
            self.died = True
            raise Killed


def kill_at_every_step(patch: pytest.MonkeyPatch, prepare: Callable[[], Any], act: Callable[[Any], Any]) -> int:
    """Run ``act`` again and again, dying one step later each time, and return how many steps there are."""
    for allowed in range(200):
        given = prepare()
        with patch.context() as inner:
            dying = Dying(inner, allowed)
            with contextlib.suppress(Killed):
                act(given)
        if not dying.died:
            return allowed
    pytest.fail("the action never ended")


def test_a_creation_killed_at_any_step_leaves_a_good_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def prepare() -> Path:
        folders.append(tmp_path / str(len(folders)))
        folders[-1].mkdir()
        return folders[-1] / "master.key"

    def act(path: Path) -> None:
        KeyFileProvider(path).create_if_missing()

    assert kill_at_every_step(monkeypatch, prepare, act) > 8
    for folder in folders:
        provider = KeyFileProvider(folder / "master.key")
        provider.create_if_missing()
        provider.health()
        assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
        # What a killed creation left behind goes with the next rotation.
        provider.prepare_rotation()
        assert names_in(folder) == ["master.key"]


@pytest.mark.parametrize("step", ["prepare", "finish"])
def test_a_rotation_killed_at_any_step_keeps_every_key(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    wrapped: list[tuple[str, bytes]] = []

    def prepare() -> tuple[KeyFileProvider, str]:
        provider = KeyFileProvider(path)
        wrapped.append(provider.wrap(KEY, PLACE))
        prepared = provider.prepare_rotation()
        wrapped.append(provider.wrap(KEY, PLACE, master_key_id=prepared))
        return provider, prepared

    def act(given: tuple[KeyFileProvider, str]) -> None:
        provider, prepared = given
        if step == "prepare":
            provider.prepare_rotation()
        else:
            provider.finish_rotation(prepared)

    assert kill_at_every_step(monkeypatch, prepare, act) > 8
    fresh = KeyFileProvider(path)
    assert all(fresh.unwrap(*each, PLACE) == KEY for each in wrapped)
    fresh.prepare_rotation()
    assert names_in(path.parent) == [path.name]
