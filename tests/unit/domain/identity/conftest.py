"""A fresh world of identities for every test, copied from an empty store that is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.storage.store import open_storage
from tests.factories.identities import World, make_world


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identities") / "empty.db"
    open_storage(path, stream="test").close()
    return path


@pytest.fixture
def world(empty_store: Path, tmp_path: Path, clock: FrozenClock) -> Iterator[World]:
    path = tmp_path / "store.db"
    shutil.copyfile(empty_store, path)
    made = make_world(path, clock)
    yield made
    made.storage.close()
