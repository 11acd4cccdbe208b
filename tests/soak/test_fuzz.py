"""The whole API, certificate intake and merge patches under generated input, for as long as ``--fuzz-minutes`` says."""

from __future__ import annotations

import time

import pytest

from tests.peers.postgres import PostgresServer
from tests.soak.fuzz import fuzz


def test_no_answer_is_a_server_error_or_breaks_its_schema(
    request: pytest.FixtureRequest, postgres_server: PostgresServer
) -> None:
    totals = fuzz(request.config.getoption("--fuzz-minutes"), seed=int(time.time()), each=40, postgres=postgres_server)
    assert not totals.failures
