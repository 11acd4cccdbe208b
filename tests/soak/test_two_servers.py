"""Every order of two servers is placed once and issued, although one of them dies half-way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.bind import BindServer
from tests.soak.two_servers import run


def test_orders_of_two_servers(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    postgres_url: str,
    bind: BindServer,
) -> None:
    option = request.config.getoption
    report = run(tmp_path, postgres_url, bind, orders=option("--orders"), seed=option("--kill-seed"))
    with capsys.disabled():
        print(f"\n{report}")  # noqa: T201  (what the run found is what it is for)
    assert report.wrong == []
    assert report.issued == report.placed == report.orders
