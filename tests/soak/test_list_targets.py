"""Every kind of list page over a million secrets, within its target (both databases)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.postgres import PostgresServer


def _measure(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], *target: str) -> None:
    secrets = str(request.config.getoption("--secrets"))
    words = [sys.executable, "-m", "tests.soak.list_targets", "--secrets", secrets, *target]
    with capsys.disabled():
        done = subprocess.run(words, check=False)
    assert done.returncode == 0, "a target was missed; the table above says which"


def test_on_sqlite(tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    _measure(request, capsys, "--data-dir", str(tmp_path))


def test_on_postgresql(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], durable_postgres: PostgresServer
) -> None:
    _measure(request, capsys, "--database-url", durable_postgres.url())
