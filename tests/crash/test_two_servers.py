"""The short form of the orders of two servers; ``python -m tests.soak.two_servers`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.bind import BindServer
from tests.soak.two_servers import run


@pytest.mark.integration
@pytest.mark.peers
@pytest.mark.timeout(400)
def test_orders_of_a_killed_server_are_issued_by_the_other_and_placed_once(
    tmp_path: Path, postgres_url: str, bind: BindServer
) -> None:
    report = run(tmp_path, postgres_url, bind, orders=30, seed=30)
    assert report.wrong == []
    assert report.issued == report.placed == 30
