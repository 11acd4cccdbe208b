"""Hold the tests to the shares of lines and branches that ``pyproject.toml`` demands, package by package.

``python -m tools.coverage_floor`` prints the figures of the last ``make test``; pytest's ``--coverage-floor``
does the same at the end of a run and fails it.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "coverage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What the tests reached in one package.

    Attributes:
        package: dotted name.
        covered: lines and branches that ran.
        total: lines and branches there are; 0 while nothing of the package exists.
        floor: percent that must be reached.
        worst: the files with most missing, with their missing count.
    """

    package: str
    covered: int
    total: int
    floor: float
    worst: tuple[tuple[str, int], ...] = ()

    @property
    def percent(self) -> float:
        """Return the share, 100 for an empty package."""
        return 100.0 * self.covered / self.total if self.total else 100.0

    @property
    def is_short(self) -> bool:
        """Tell whether the floor is missed."""
        return self.percent < self.floor


def read_floors(pyproject: Path) -> dict[str, float]:
    """Return percent by package."""
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    floors: dict[str, float] = content["tool"]["strongroom"]["coverage-floor"]
    return floors


def measure(report: Mapping[str, Any], floors: Mapping[str, float]) -> list[Figure]:
    """Add up coverage.py's JSON report per package."""
    figures = []
    for package, floor in floors.items():
        folder = PurePosixPath("src", *package.split("."))
        covered = total = 0
        missing: list[tuple[str, int]] = []
        for name, file in report["files"].items():
            path = PurePosixPath(name.replace("\\", "/"))
            if not path.is_relative_to(folder):
                continue
            summary = file["summary"]
            reached = summary["covered_lines"] + summary.get("covered_branches", 0)
            there = summary["num_statements"] + summary.get("num_branches", 0)
            covered += reached
            total += there
            if reached < there:
                missing.append((path.relative_to(folder).as_posix(), there - reached))
        worst = tuple(sorted(missing, key=lambda entry: (-entry[1], entry[0]))[:5])
        figures.append(Figure(package=package, covered=covered, total=total, floor=floor, worst=worst))
    return figures


def describe(figures: Sequence[Figure]) -> list[str]:
    """Return a line per package, and the worst files of those that fall short."""
    lines = []
    for figure in figures:
        verdict = "SHORT" if figure.is_short else "ok"
        share = f"{figure.percent:6.2f} %  floor {figure.floor:g} %  {figure.covered}/{figure.total}"
        lines.append(f"{figure.package:<20} {share}  {verdict}")
        if figure.is_short:
            lines += [f"    {name}: {count} lines or branches not reached" for name, count in figure.worst]
    return lines


def main() -> int:
    """Print the figures of the last report; fail when one falls short."""
    if not REPORT.is_file():
        print("no report yet: run 'make test' first", file=sys.stderr)
        return 2
    figures = measure(json.loads(REPORT.read_text(encoding="utf-8")), read_floors(ROOT / "pyproject.toml"))
    print("\n".join(describe(figures)))
    return int(any(figure.is_short for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
