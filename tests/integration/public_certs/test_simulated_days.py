"""The short form of the simulated year; ``python -m tests.soak.simulated_year`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.simulated_year import run


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_no_certificate_lapses_in_sixty_days_of_trouble(tmp_path: Path) -> None:
    report = run(tmp_path, certificates=60, days=60, seed=3)

    assert report.faults() == []
    # What it is about has happened.
    assert report.limits["new_order"] == "10 of 10"
    assert report.limits["certificate"] == "4 of 4"
    assert report.refused_by_ledger > 10
    assert report.refused_by_cas["plain-ca"] > 0
    assert report.killed_in_a_call > 5
    assert report.events["secret_rotated"] > 150
    told = {name for name, count in report.notices.items() if count}
    assert told >= {"in_60_days", "in_30_days", "in_10_days", "in_1_day", "in_0_days"}
    assert report.notices_received > 20
