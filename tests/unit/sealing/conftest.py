from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.sealing.wrappers.key_file import KeyFileProvider


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(datetime(2027, 1, 31, 12, tzinfo=UTC))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "master.key"


@pytest.fixture
def provider(key_file: Path) -> KeyFileProvider:
    created = KeyFileProvider(key_file)
    created.create_if_missing()
    return created
