"""A rotation of the master key that is killed between any two of its steps; everything always opens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.clock import FrozenClock, SystemClock
from strongroom.kernel.errors import ErrorCode, StrongroomError
from strongroom.runtime.bootstrap import prepare_data_dir
from strongroom.runtime.keys_refresh import KeysRefresh
from strongroom.runtime.settings import load_settings
from tests.peers.in_process import InProcess, in_process
from tests.peers.mortal import Mortal

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def now() -> FrozenClock:
    return FrozenClock(SystemClock().now())


def create(server: InProcess, name: str) -> str:
    body = {"secret_type": "arbitrary", "name": name, "payload": f"value of {name}"}
    answer = server.request("POST", "/api/v2/secrets", body)
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def read(server: InProcess, secret: str) -> str:
    return str(server.request("GET", f"/api/v2/secrets/{secret}").json["payload"])


@pytest.fixture(params=["key file", "passphrase"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Give the settings of a provider of the master key."""
    if request.param == "key file":
        return {}
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery staple\n")
    phrase.chmod(0o600)
    return {"master_passphrase_file": phrase}


def test_a_kill_at_any_step_leaves_keys_that_open(mortal: Mortal, tmp_path: Path, provider: dict[str, Any]) -> None:
    base = tmp_path / "base"
    with in_process(base, now(), **provider) as server:
        before = create(server, "before")
    shutil.copytree(base, tmp_path / "whole")
    whole = mortal.run("rotate", {"data_dir": tmp_path / "whole", **provider})
    assert (whole.died, whole.error) == (False, None)
    for index, step in enumerate(whole.steps):
        if not step.startswith("after "):
            continue
        data = tmp_path / str(index)
        shutil.copytree(base, data)
        assert mortal.run("rotate", {"data_dir": data, **provider}, die_at=index).died, step
        with in_process(data, now(), **provider) as server:
            assert read(server, before) == "value of before", step
            after = create(server, "after")
        # Whatever was half done is no obstacle to the next rotation.
        again = mortal.run("rotate", {"data_dir": data, **provider})
        assert (again.died, again.error) == (False, None), step
        with in_process(data, now(), **provider) as server:
            assert read(server, before) == "value of before", step
            assert read(server, after) == "value of after", step
            current = server.container.store.keys.keyring.master_key_id
            assert server.container.store.keys.provider.current_key_id() == current, step
        shutil.rmtree(data)


def test_a_change_of_the_passphrase_may_die_too(mortal: Mortal, tmp_path: Path) -> None:
    old, new = "correct horse battery staple", "another phrase altogether"
    phrase = tmp_path / "phrase"
    phrase.write_text(old + "\n")
    phrase.chmod(0o600)
    base = tmp_path / "base"
    settings = {"master_passphrase_file": phrase}
    with in_process(base, now(), **settings) as server:
        secret = create(server, "one")
    phrase.write_text(f"{new}\n{old}\n")
    shutil.copytree(base, tmp_path / "whole")
    whole = mortal.run("rotate", {"data_dir": tmp_path / "whole", **settings})
    for index in range(len(whole.steps)):
        data = tmp_path / str(index)
        shutil.copytree(base, data)
        assert mortal.run("rotate", {"data_dir": data, **settings}, die_at=index).died
        with in_process(data, now(), **settings) as server:
            assert read(server, secret) == "value of one"
    phrase.write_text(new + "\n")
    with in_process(tmp_path / "whole", now(), **settings) as server:
        assert read(server, secret) == "value of one"


def names(folder: Path) -> set[str]:
    """Return what lies in a folder; the log beside the database comes and goes with whoever has it open last."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return found - {"strongroom.db-wal", "strongroom.db-shm"}


def refused(data: Path, **settings: object) -> StrongroomError:
    """Return how a start ends that must not work and must not change anything."""
    before = names(data)
    with pytest.raises(StrongroomError) as caught:
        prepare_data_dir(load_settings({"data_dir": data, **settings}))
    assert names(data) == before
    assert "\n" not in caught.value.detail
    assert caught.value.hint
    return caught.value


def test_a_wrong_or_missing_key_is_refused_and_nothing_is_made(data_dir: Path, tmp_path: Path) -> None:
    with in_process(data_dir, now()) as server:
        secret = create(server, "one")
    prepare_data_dir(load_settings({"data_dir": tmp_path / "other"}))
    key = data_dir / "master.key"
    kept = key.read_bytes()
    key.unlink()
    missing = refused(data_dir)
    assert missing.code is ErrorCode.MASTER_KEY_MISSING
    assert str(key) in (missing.hint or "")
    assert not key.exists()
    shutil.copy2(tmp_path / "other" / "master.key", key)
    assert refused(data_dir).code is ErrorCode.MASTER_KEY_WRONG
    key.write_bytes(kept[:-9])
    assert refused(data_dir).code is ErrorCode.MASTER_KEY_WRONG
    key.write_bytes(kept)
    key.chmod(0o644)
    assert refused(data_dir).hint == f"chmod 600 {key}"
    key.chmod(0o600)
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery staple\n")
    phrase.chmod(0o600)
    assert refused(data_dir, master_passphrase_file=phrase).code is ErrorCode.MASTER_KEY_WRONG
    with in_process(data_dir, now()) as server:
        assert read(server, secret) == "value of one"


@pytest.mark.parametrize("content", ["", "short\n", "another phrase altogether\n"])
def test_a_wrong_passphrase_is_refused_and_nothing_is_made(data_dir: Path, tmp_path: Path, content: str) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery staple\n")
    phrase.chmod(0o600)
    prepare_data_dir(load_settings({"data_dir": data_dir, "master_passphrase_file": phrase}))
    phrase.write_text(content)
    before = names(data_dir)
    with pytest.raises(StrongroomError) as caught:
        prepare_data_dir(load_settings({"data_dir": data_dir, "master_passphrase_file": phrase}))
    assert caught.value.code in {ErrorCode.MASTER_KEY_WRONG, ErrorCode.SETTINGS_INVALID}
    assert names(data_dir) == before
    assert "correct horse" not in caught.value.diagnostics()


@pytest.mark.peers
def test_the_other_node_takes_over_a_rotation_when_it_has_the_key(tmp_path: Path, postgres_url: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with in_process(one, now(), database_url=postgres_url) as first:
        before = create(first, "before")
        two.mkdir(mode=0o700)
        for name in ("master.key", "admin-apikey"):
            shutil.copy2(one / name, two)
        with in_process(two, now(), database_url=postgres_url) as second:
            assert read(second, before) == "value of before"
            assert first.request("POST", "/api/v2/master_key/rotate").status == 202
            first.work()
            after = create(first, "after")
            refresh = next(task for task in second.container.worker._periodic if isinstance(task, KeysRefresh))
            # Without the key it goes on with what it has, and says what it lacks.
            assert read(second, before) == "value of before"
            assert second.request("GET", "/readyz", token=None).status == 200
            with pytest.raises(StrongroomError) as caught:
                refresh.run()
            assert caught.value.code is ErrorCode.MASTER_KEY_WRONG
            assert second.request("GET", f"/api/v2/secrets/{after}").status >= 500
            shutil.copy2(one / "master.key", two / "master.key")
            # Nobody has run the refresh: the value itself asks for its key.
            refresh._next_at_once = 0.0
            assert read(second, after) == "value of after"
            assert read(second, before) == "value of before"
            own = create(second, "own")
            assert read(first, own) == "value of own"
