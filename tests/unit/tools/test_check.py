from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.check import run_checks


def test_every_check_runs_although_one_fails_and_the_failed_one_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [
        ("first", [sys.executable, "-c", "raise SystemExit('the reason')"]),
        ("second", [sys.executable, "-c", "print('not shown')"]),
    ]
    assert run_checks(checks, tmp_path) == ["first"]
    out = capsys.readouterr().out
    assert "the reason" in out
    assert "not shown" not in out
    verdicts = [line.split()[:2] for line in out.splitlines() if line.startswith(("first", "second"))]
    assert verdicts == [["first", "FAILED"], ["second", "ok"]]
