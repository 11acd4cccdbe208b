from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.mortal import Mortal
from tests.peers.sinks import webhook_sink

__all__ = ["webhook_sink"]


@pytest.fixture(scope="module")
def mortal() -> Iterator[Mortal]:
    """Give what runs actions that die at a step."""
    with Mortal() as running:
        yield running
