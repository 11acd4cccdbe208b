"""The short form of the random kills; ``python -m tests.soak.random_kills`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.postgres import PostgresServer
from tests.soak.random_kills import Report, run


def _assert_nothing_lost(report: Report) -> None:
    assert report.lost == []
    assert report.audit.get("verified") is True, report.audit
    assert report.missing_audit == 0
    assert report.acknowledged > 20 * report.kills / 10


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_no_acknowledged_write_is_lost_across_kills_on_sqlite(tmp_path: Path) -> None:
    _assert_nothing_lost(run(tmp_path, kills=25, seed=25))


@pytest.mark.integration
@pytest.mark.peers
@pytest.mark.timeout(300)
def test_no_acknowledged_write_is_lost_across_kills_on_postgresql(
    tmp_path: Path, durable_postgres: PostgresServer
) -> None:
    environment = {"STRONGROOM_DATABASE_URL": durable_postgres.url()}
    _assert_nothing_lost(run(tmp_path, kills=5, seed=5, environment=environment))
