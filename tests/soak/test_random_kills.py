"""No acknowledged write is lost, whenever the server dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.postgres import PostgresServer
from tests.soak.random_kills import Report, run


def _judge(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{report}")  # noqa: T201  (what the run found is what it is for)
    assert report.lost == []
    assert report.audit.get("verified") is True
    assert report.missing_audit == 0


def test_on_sqlite(tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    option = request.config.getoption
    _judge(run(tmp_path, kills=option("--kills"), seed=option("--kill-seed")), capsys)


def test_on_postgresql(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    durable_postgres: PostgresServer,
) -> None:
    option = request.config.getoption
    environment = {"STRONGROOM_DATABASE_URL": durable_postgres.url()}
    kills, seed = option("--kills-postgresql"), option("--kill-seed")
    _judge(run(tmp_path, kills=kills, seed=seed, environment=environment), capsys)
