"""Files of the data directory: whole, private, and never written into what somebody else put there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from strongroom.kernel.errors import Conflict, Unavailable
from strongroom.runtime.data_dir import DataDir, open_draft, write_private


def draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def test_a_new_directory_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    with DataDir(tmp_path / "data") as directory:
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700


def test_a_directory_has_one_holder(tmp_path: Path) -> None:
    with DataDir(tmp_path), pytest.raises(Conflict) as caught, DataDir(tmp_path):
        pass

    assert caught.value.code == "already_running"


def test_a_directory_that_everybody_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(Unavailable) as caught, DataDir(tmp_path):
        pass

    assert caught.value.hint == f"chmod o-w {tmp_path}"


def test_a_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"

    write_private(path, "first")
    write_private(path, b"second")

    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_waiting_link_is_not_followed(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    draft_of(path).symlink_to(elsewhere)

    write_private(path, "secret")

    assert elsewhere.read_text() == "kept"
    assert (path.read_text(), path.is_symlink()) == ("secret", False)


def test_a_waiting_file_does_not_get_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    draft_of(path).touch(mode=0o666)
    with draft_of(path).open("rb") as watched:
        write_private(path, "secret")

        assert watched.read() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_draft_is_private_from_the_start(tmp_path: Path) -> None:
    draft, handle = open_draft(tmp_path / "file")

    assert stat.S_IMODE(os.fstat(handle).st_mode) == 0o600
    os.close(handle)
    assert draft == draft_of(tmp_path / "file")


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    for name in (".admin-apikey.7.new", ".master.key.00ff.tmp", "tls/.server.pem.7.new"):
        (tmp_path / name).write_text("half")
    (tmp_path / ".kept").write_text("whole")

    with DataDir(tmp_path):
        assert sorted(found.name for found in tmp_path.iterdir()) == [".kept", "lock", "tls"]
        assert not list((tmp_path / "tls").iterdir())


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")

    with pytest.raises(Unavailable) as caught, DataDir(tmp_path / "data"):
        pass

    assert caught.value.detail == "The data directory cannot be used: File exists."


def test_a_lock_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()

    with pytest.raises(Unavailable) as caught, DataDir(tmp_path):
        pass

    assert caught.value.detail == "The data directory cannot be used: Is a directory."
    assert str(tmp_path) in (caught.value.hint or "")


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()

    with pytest.raises(Unavailable) as caught:
        write_private(tmp_path / "file", "secret")

    assert caught.value.detail == "A file cannot be written: Is a directory."
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
    with pytest.raises(Unavailable):
        write_private(tmp_path / "nowhere" / "file", "secret")


def test_the_directory_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with DataDir(tmp_path):
            assert (tmp_path / "lock").exists()
