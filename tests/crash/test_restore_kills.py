"""A restore, and a backup, that is killed between any two of its steps."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.clock import FrozenClock, SystemClock
from tests.peers.in_process import InProcess, in_process
from tests.peers.mortal import Mortal

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PASSPHRASE = "correct horse battery staple"


def now() -> FrozenClock:
    return FrozenClock(SystemClock().now())


def read(server: InProcess, secret: str) -> str:
    return str(server.request("GET", f"/api/v2/secrets/{secret}").json["payload"])


@pytest.fixture
def origin(tmp_path: Path) -> tuple[Path, str]:
    """Give a data directory with one secret, and its id."""
    with in_process(tmp_path / "origin", now()) as server:
        body = {"secret_type": "arbitrary", "name": "one", "payload": "value"}
        return tmp_path / "origin", str(server.request("POST", "/api/v2/secrets", body).json["id"])


def is_filled(data: Path) -> bool:
    store = sqlite3.connect(data / "strongroom.db")
    try:
        return bool(store.execute("SELECT count(*) FROM secrets").fetchone()[0])
    except sqlite3.OperationalError:
        return False
    finally:
        store.close()


def test_a_kill_at_any_step_leaves_everything_or_nothing(
    mortal: Mortal, tmp_path: Path, origin: tuple[Path, str]
) -> None:
    data, secret = origin
    file = tmp_path / "copy.backup"
    assert mortal.run("backup", {"data_dir": data}, out=file, passphrase=PASSPHRASE).error is None
    given: dict[str, Any] = {"source": str(file), "passphrase": PASSPHRASE}
    whole = mortal.run("restore", {"data_dir": tmp_path / "whole"}, **given)
    assert (whole.died, whole.error) == (False, None)
    outcomes = set()
    for index, step in enumerate(whole.steps):
        if not step.startswith("after "):
            continue
        empty = tmp_path / str(index)
        assert mortal.run("restore", {"data_dir": empty}, die_at=index, **given).died, step
        filled = is_filled(empty)
        outcomes.add(filled)
        again = mortal.run("restore", {"data_dir": empty}, **given)
        # The second try completes the first, or says that there is nothing left to do.
        assert (again.error is not None and again.error.startswith("Conflict")) is filled, step
        (empty / "admin-apikey").write_bytes((data / "admin-apikey").read_bytes())
        with in_process(empty, now()) as server:
            assert read(server, secret) == "value", step
    assert outcomes == {True, False}


def test_a_killed_backup_leaves_no_file_of_the_wanted_name(
    mortal: Mortal, tmp_path: Path, origin: tuple[Path, str]
) -> None:
    data, secret = origin
    settings = {"data_dir": data}
    whole = mortal.run("backup", settings, out=tmp_path / "whole.backup", passphrase=PASSPHRASE)
    replaced = next(index for index, step in enumerate(whole.steps) if step.startswith("after replace"))
    for index in range(len(whole.steps)):
        file = tmp_path / f"{index}.backup"
        assert mortal.run("backup", settings, die_at=index, out=file, passphrase=PASSPHRASE).died
        assert file.exists() is (index >= replaced), whole.steps[index]
        if file.exists():
            given: dict[str, Any] = {"source": str(file), "passphrase": PASSPHRASE}
            assert mortal.run("restore", {"data_dir": tmp_path / f"from-{index}"}, **given).error is None
    with in_process(data, now()) as server:
        assert read(server, secret) == "value"
