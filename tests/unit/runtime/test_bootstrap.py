"""The first start: whose key file it writes, and whose it keeps."""

from __future__ import annotations

import stat
from pathlib import Path

from strongroom.runtime.bootstrap import prepare_data_dir
from strongroom.runtime.settings import Settings


def test_the_key_to_another_database_is_kept(tmp_path: Path) -> None:
    (tmp_path / "admin-apikey").write_text("precious\n")

    prepared = prepare_data_dir(Settings(data_dir=tmp_path))

    assert (tmp_path / "admin-apikey.old").read_text() == "precious\n"
    assert prepared.admin_apikey_file.read_text().startswith("sr_")
    assert stat.S_IMODE(prepared.admin_apikey_file.stat().st_mode) == 0o600


def test_a_second_start_moves_nothing(tmp_path: Path) -> None:
    key = prepare_data_dir(Settings(data_dir=tmp_path)).admin_apikey_file.read_text()

    assert prepare_data_dir(Settings(data_dir=tmp_path)).admin_apikey_file.read_text() == key
    assert not (tmp_path / "admin-apikey.old").exists()
