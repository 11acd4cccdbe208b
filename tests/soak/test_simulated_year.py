"""A year of a thousand certificates: none lapses, no limit of a CA is exceeded, every notice comes once."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.soak.simulated_year import run


def test_a_simulated_year_passes_without_a_fault(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    option = request.config.getoption
    seed = option("--year-seed") or int(time.time())
    with capsys.disabled():
        print(f"\nsimulated year with seed {seed}")  # noqa: T201  (also when it breaks off)
    report = run(tmp_path, certificates=option("--certificates"), days=option("--days"), seed=seed)

    with capsys.disabled():
        print(json.dumps(asdict(report), indent=1))  # noqa: T201  (what the run found is what it is for)
    assert report.faults() == []
    assert sum(report.issued.values()) > report.certificates
