"""A fresh world of identities for every test, copied from an empty store that is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from tests.factories.identities import World, empty_store, make_world

__all__ = ["empty_store"]


@pytest.fixture
def world(empty_store: Path, tmp_path: Path, clock: FrozenClock) -> Iterator[World]:
    path = tmp_path / "store.db"
    shutil.copyfile(empty_store, path)
    made = make_world(path, clock)
    yield made
    made.storage.close()
