"""A first start that is killed between any two of its steps; the next one always gets through."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from strongroom.kernel.clock import FrozenClock, SystemClock
from strongroom.kernel.errors import ErrorCode, Integrity
from strongroom.runtime import bootstrap
from strongroom.runtime.server_keys import make_server_keys
from strongroom.runtime.settings import load_settings
from tests.peers.in_process import in_process
from tests.peers.mortal import End, Mortal
from tests.peers.postgres import PostgresServer
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def stops(end: End) -> list[int]:
    """Return the steps to die at: after each call, which is also before the next."""
    assert (end.died, end.error) == (False, None)
    return [index for index, step in enumerate(end.steps) if step.startswith("after ")]


def keys_in(database: Path) -> int:
    store = sqlite3.connect(database)
    try:
        return int(store.execute("SELECT count(*) FROM api_keys").fetchone()[0])
    finally:
        store.close()


def use(data_dir: Path, **settings: object) -> str:
    """Start, log in with the key of the file, write and read; return the instance."""
    with in_process(data_dir, FrozenClock(SystemClock().now()), **settings) as server:
        body = {"secret_type": "arbitrary", "name": "one", "payload": "value"}
        created = server.request("POST", "/api/v2/secrets", body)
        assert created.status == 201, created.raw
        read = server.request("GET", f"/api/v2/secrets/{created.json['id']}")
        assert read.json["payload"] == "value"
        assert server.request("GET", "/api/v2/secret_groups").json["total_count"] == 1
        return server.container.store.instance.id


def test_a_kill_at_any_step_leaves_what_the_next_start_completes(mortal: Mortal, tmp_path: Path) -> None:
    whole = mortal.run("init", {"data_dir": tmp_path / "whole"})
    assert any("admin-apikey" in step for step in whole.steps)
    assert any("commit" in step for step in whole.steps)
    for index in stops(whole):
        data = tmp_path / str(index)
        killed = mortal.run("init", {"data_dir": data}, die_at=index)
        assert killed.died, whole.steps[index]
        # A file of this name always opens the store.
        if (data / "admin-apikey").exists():
            assert keys_in(data / "strongroom.db") == 1, whole.steps[index]
        use(data)
        assert keys_in(data / "strongroom.db") == 1, whole.steps[index]
        left = {path.name for path in data.iterdir() if path.name.startswith(".")}
        assert not left, whole.steps[index]
        shutil.rmtree(data)


def test_a_start_that_is_killed_again_and_again_gets_through(mortal: Mortal, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for index in range(1, 60, 4):
        mortal.run("init", {"data_dir": data}, die_at=index)
    first = use(data)
    with in_process(data, FrozenClock(SystemClock().now())) as server:
        assert server.container.store.instance.id == first
        assert not server.container.store.created


@pytest.mark.peers
def test_a_kill_at_any_step_on_postgresql(mortal: Mortal, tmp_path: Path, postgres_server: PostgresServer) -> None:
    def database() -> str:
        return postgres_server.url(postgres_server.create_database())

    whole = mortal.run("init", {"data_dir": tmp_path / "whole", "database_url": database()})
    telling = ("commit", "link", "replace")
    for index in [index for index in stops(whole) if whole.steps[index].split()[1] in telling]:
        data, url = tmp_path / str(index), database()
        assert mortal.run("init", {"data_dir": data, "database_url": url}, die_at=index).died
        # Another node comes first, as when the first one stays down; it has the same master key, where there is one.
        other = tmp_path / f"other-{index}"
        other.mkdir(mode=0o700)
        if (data / "master.key").exists():
            shutil.copy2(data / "master.key", other)
        if (data / "admin-apikey").exists() or (data / ".admin-apikey.pending").exists():
            mortal.run("init", {"data_dir": other, "database_url": url})
        mortal.run("init", {"data_dir": data, "database_url": url})
        holders = [place for place in (data, other) if (place / "admin-apikey").exists()]
        assert len(holders) == 1, whole.steps[index]
        use(holders[0], database_url=url)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM api_keys").fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM instance").fetchone() == (1,)


@pytest.mark.peers
@pytest.mark.parametrize("same_key", [True, False])
def test_of_two_nodes_that_fill_one_database_one_wins(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, same_key: bool
) -> None:
    slow, quick = (load_settings({"data_dir": tmp_path / name, "database_url": postgres_url}) for name in ("a", "b"))
    overtaken = threading.Event()

    def overtaking(settings: Any, clock: Any) -> Any:
        keys = make_server_keys(settings, clock)
        if not overtaken.is_set():
            overtaken.set()
            if same_key:
                quick.data_dir.mkdir(mode=0o700)
                shutil.copy2(slow.data_dir / "master.key", quick.data_dir)
            assert bootstrap.prepare_data_dir(quick).created
        return keys

    monkeypatch.setattr(bootstrap, "make_server_keys", overtaking)
    if same_key:
        assert not bootstrap.prepare_data_dir(slow).created
    else:
        with pytest.raises(Integrity) as caught:
            bootstrap.prepare_data_dir(slow)
        assert caught.value.code is ErrorCode.MASTER_KEY_WRONG
        shutil.copy2(quick.data_dir / "master.key", slow.data_dir)
        assert not bootstrap.prepare_data_dir(slow).created
    assert not (slow.data_dir / "admin-apikey").exists()
    assert not (slow.data_dir / ".admin-apikey.pending").exists()
    use(quick.data_dir, database_url=postgres_url)


def test_a_kill_while_serving_is_no_obstacle(data_dir: Path) -> None:
    server = LiveServer(data_dir)
    try:
        for _ in range(3):
            server.start()
            assert server.request("GET", "/api/v2/secret_groups").status == 200
            server.kill()
    finally:
        server.close()
    use(data_dir)
