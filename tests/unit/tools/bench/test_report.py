from __future__ import annotations

import json

from tools.bench.figures import Bound, Gate, compare
from tools.bench.load import Turn
from tools.bench.measuring import Series
from tools.bench.report import Report, as_json, as_text

GATE = Gate(row=1, minimum=Bound(value=2.0), goal=Bound(value=3.5))
FACTS = {"strongroom": "strongroom 1", "peer": "OpenBao v2"}


def report(*, ratio: float = 3.0, errors: int = 0) -> Report:
    turn = Turn(requests=10, per_second=5.0, p50_ms=1.0, p99_ms=2.0, max_ms=3.0, cpu_ms=0.25, errors=errors)
    return Report(
        facts=FACTS,
        figures=[compare("read a secret", [1000.0], [ratio * 1000.0], gate=GATE, load=8)],
        series=[Series(measurement="read", contender="Strongroom", load=8, turns=[turn])],
    )


def test_a_line_shows_both_sides_the_ratio_and_its_gate() -> None:
    text = as_text(report())

    (line,) = [line for line in text.splitlines() if line.lstrip().startswith("1 ")]
    assert line.split() == (
        "1 read a secret 8 1000 3000 3.00x (3.00 - 3.00) >= 2x >= 3.5x minimum met".split()  # noqa: SIM905
    )
    assert text.endswith("PASSED: every minimum that was measured is met.")


def test_a_missed_minimum_fails_and_names_the_row() -> None:
    missed = report(ratio=1.5)

    assert not missed.passed
    assert as_text(missed).endswith("FAILED: the minimum is missed in row 1 (read a secret).")


def test_failed_requests_fail_whatever_the_ratio() -> None:
    broken = report(ratio=9.0, errors=2)

    assert not broken.passed
    assert as_text(broken).endswith("FAILED: 2 requests were not answered with success.")


def test_the_file_for_programs_has_every_turn() -> None:
    content = json.loads(as_json(report()))

    assert content["passed"] is True
    assert content["facts"] == FACTS
    assert content["figures"][0]["gate"]["minimum"] == {"value": 2.0, "at_most": False}
    assert content["series"][0]["turns"][0]["cpu_ms"] == 0.25
