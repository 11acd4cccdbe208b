"""Backup and restore as the commands do them: what is refused, what is left, where the master key goes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid, NotFound, StrongroomError
from strongroom.runtime.backup import create_backup, restore_backup
from strongroom.runtime.settings import Settings, load_settings
from tests.peers.in_process import in_process

PASSPHRASE = "correct horse battery staple"


def at(path: Path, **more: object) -> Settings:
    return load_settings({"data_dir": path, **more})


@pytest.fixture
def origin(tmp_path: Path, clock: FrozenClock) -> Path:
    """Give a data directory that was in use."""
    with in_process(tmp_path / "origin", clock) as server:
        body = {"secret_type": "arbitrary", "name": "one", "payload": "planted-3fd0"}
        assert server.request("POST", "/api/v2/secrets", body).status == 201
    return tmp_path / "origin"


@pytest.fixture
def file(tmp_path: Path, origin: Path) -> Path:
    """Give a backup with the master key."""
    create_backup(at(origin), tmp_path / "copy", PASSPHRASE, include_master_key=True)
    return tmp_path / "copy"


def test_what_was_copied_comes_back_with_its_key(tmp_path: Path, origin: Path, file: Path, clock: FrozenClock) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    report = restore_backup(at(tmp_path / "new"), file, PASSPHRASE)
    assert report.records > 5
    assert (tmp_path / "new" / "master.key").read_bytes() == (origin / "master.key").read_bytes()
    assert stat.S_IMODE((tmp_path / "new" / "master.key").stat().st_mode) == 0o600
    (tmp_path / "new" / "admin-apikey").write_bytes((origin / "admin-apikey").read_bytes())
    with in_process(tmp_path / "new", clock) as server:
        found = server.request("GET", "/api/v2/secrets").json["secrets"]
        assert [secret["name"] for secret in found] == ["one"]
        actions = {event["action"] for event in server.request("GET", "/api/v2/audit_events").json["audit_events"]}
        assert "secrets-manager.instance.restore" in actions


@pytest.mark.parametrize("included", [True, False])
def test_the_trail_tells_whether_the_master_key_went_along(
    tmp_path: Path, origin: Path, clock: FrozenClock, *, included: bool
) -> None:
    create_backup(at(origin), tmp_path / "copy", PASSPHRASE, include_master_key=included)

    with in_process(origin, clock) as server:
        path = "/api/v2/audit_events?action=secrets-manager.instance.backup"
        (event,) = server.request("GET", path).json["audit_events"]
    assert event["target"]["name"].endswith(" records and the master key" if included else " records")


def test_neither_payload_nor_key_stand_in_it_in_clear(origin: Path, file: Path) -> None:
    content = file.read_bytes()
    assert b"planted-3fd0" not in content
    assert (origin / "master.key").read_bytes().split()[2] not in content


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no store"):
        create_backup(at(tmp_path / "nothing"), tmp_path / "copy", PASSPHRASE, include_master_key=False)
    assert list(tmp_path.iterdir()) == []


def test_a_short_passphrase_is_refused_and_leaves_no_file(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(Invalid):
        create_backup(at(origin), tmp_path / "copy", "short", include_master_key=False)
    assert [path.name for path in tmp_path.iterdir()] == ["origin"]


def test_a_key_that_is_not_there_cannot_be_included(tmp_path: Path, origin: Path) -> None:
    (origin / "master.key").unlink()
    with pytest.raises(StrongroomError) as caught:
        create_backup(at(origin), tmp_path / "copy", PASSPHRASE, include_master_key=True)
    assert caught.value.code is ErrorCode.MASTER_KEY_MISSING


def test_a_passphrase_is_no_key_that_could_be_included(tmp_path: Path, origin: Path) -> None:
    settings = at(origin, master_passphrase_file=tmp_path / "phrase")
    with pytest.raises(Invalid) as caught:
        create_backup(settings, tmp_path / "copy", PASSPHRASE, include_master_key=True)
    assert caught.value.code is ErrorCode.NOT_SUPPORTED


def test_another_key_in_the_place_is_kept(tmp_path: Path, file: Path) -> None:
    (tmp_path / "new").mkdir(mode=0o700)
    (tmp_path / "new" / "master.key").write_text("another key")
    with pytest.raises(Conflict) as caught:
        restore_backup(at(tmp_path / "new"), file, PASSPHRASE)
    assert caught.value.code is ErrorCode.STORE_NOT_EMPTY
    assert (tmp_path / "new" / "master.key").read_text() == "another key"


def test_a_store_in_use_is_left_alone(origin: Path, file: Path) -> None:
    with pytest.raises(Conflict, match="not empty"):
        restore_backup(at(origin), file, PASSPHRASE)
    assert (origin / "master.key").exists()


@pytest.mark.parametrize("cut", [0, 10, 500, -1])
def test_a_damaged_file_restores_nothing(tmp_path: Path, file: Path, cut: int, clock: FrozenClock) -> None:
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(Invalid) as caught:
        restore_backup(at(tmp_path / "new"), file, PASSPHRASE)
    assert caught.value.code is ErrorCode.BACKUP_UNREADABLE
    # No key is left that would stand in the way of another one.
    assert not (tmp_path / "new" / "master.key").exists()
    with in_process(tmp_path / "new", clock) as server:
        assert server.container.store.created


def test_a_wrong_passphrase_restores_nothing(tmp_path: Path, file: Path) -> None:
    with pytest.raises(Invalid) as caught:
        restore_backup(at(tmp_path / "new"), file, PASSPHRASE + "x")
    assert caught.value.code is ErrorCode.BACKUP_UNREADABLE
    assert not (tmp_path / "new" / "master.key").exists()
