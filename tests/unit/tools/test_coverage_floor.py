from __future__ import annotations

from pathlib import Path
from typing import Any

from tools import coverage_floor

ROOT = Path(__file__).resolve().parents[3]


def _file(covered: int, lines: int, covered_branches: int = 0, branches: int = 0) -> dict[str, Any]:
    summary = {"covered_lines": covered, "num_statements": lines}
    return {"summary": summary | {"covered_branches": covered_branches, "num_branches": branches}}


REPORT = {
    "files": {
        "src/strongroom/pki/chain.py": _file(90, 100, 10, 20),
        "src/strongroom/pki/keys.py": _file(80, 80),
        "src/strongroom/kernel/time.py": _file(10, 10),
        "src/strongroom/kernelish.py": _file(0, 50),
    }
}


def test_lines_and_branches_of_a_package_are_added_up() -> None:
    (figure,) = coverage_floor.measure(REPORT, {"strongroom.pki": 95})
    assert (figure.covered, figure.total, figure.percent) == (180, 200, 90.0)


def test_a_package_below_its_floor_is_short_and_names_its_worst_files() -> None:
    figures = coverage_floor.measure(REPORT, {"strongroom.pki": 95, "strongroom.kernel": 95})
    assert [figure.is_short for figure in figures] == [True, False]
    lines = coverage_floor.describe(figures)
    assert lines[0].endswith("SHORT")
    assert lines[1] == "    chain.py: 20 lines or branches not reached"
    assert lines[2].endswith("10/10  ok")


def test_a_package_that_does_not_exist_yet_is_not_short() -> None:
    (figure,) = coverage_floor.measure(REPORT, {"strongroom.dns": 95})
    assert not figure.is_short


def test_the_four_packages_that_must_not_be_wrong_have_a_floor() -> None:
    floors = coverage_floor.read_floors(ROOT / "pyproject.toml")
    packages = {"strongroom.kernel", "strongroom.pki", "strongroom.domain", "strongroom.sealing"}
    assert {name for name, floor in floors.items() if floor >= 95} == packages
