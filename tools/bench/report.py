"""The result as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.bench.figures import Bound, Figure, Unit, Verdict
from tools.bench.measuring import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a run found out.

    Attributes:
        facts: versions, machine and settings of the run, in words.
        figures: the compared lines, in order of their rows.
        series: the turns behind them.
    """

    facts: Mapping[str, str]
    figures: Sequence[Figure]
    series: Sequence[Series]

    @property
    def errors(self) -> int:
        """Return how many requests failed, of all servers; a figure with failures behind it says nothing."""
        return sum(turn.errors for series in self.series for turn in series.turns)

    @property
    def missed(self) -> Sequence[Figure]:
        """Return the figures that miss their minimum."""
        return [figure for figure in self.figures if figure.verdict is Verdict.MISSED]

    @property
    def passed(self) -> bool:
        """Tell whether no minimum was missed and no request failed."""
        return not self.missed and not self.errors


NOT_EQUAL = (
    "OpenBao writes two audit entries for a request, before and after it; Strongroom writes one.",
    "Both write a new name each time; Strongroom also keeps its list and search indexes.",
    "OpenBao forgets the private key of a certificate; Strongroom encrypts and keeps it.",
    "OpenBao signs certificates with a root; Strongroom with an intermediate, so its answers hold a longer chain.",
    "Load generator and server share the processors, and the peer may use all of them.",
)
"""What the comparison leaves unequal; printed, so that nobody has to find out."""


def as_text(report: Report) -> str:
    """Return the tables that a person reads."""
    lines = [f"{name + ':':<14}{value}" for name, value in report.facts.items()]
    own, peer = report.facts["strongroom"], report.facts["peer"]
    lines += ["", f"Targets: {own} against {peer}. Ratios are ours to the peer's, round by round.", ""]
    lines += _table(
        ("row", "what", "at a time", "peer", "ours", "median", "(least - most)", "minimum", "goal", ""),
        [_figure_cells(figure) for figure in report.figures],
        left={1, 5, 6, 9},
    )
    if report.series:
        lines += ["", "Turns: medians of the rounds. CPU is the server's, in ms per request.", ""]
        lines += _table(
            ("measured", "server", "at a time", "per second", "p50 ms", "p99 ms", "CPU ms", "requests", "errors"),
            [_series_cells(series) for series in report.series],
            left={0, 1},
        )
    lines += ["", "Not equal:", *(f"- {sentence}" for sentence in NOT_EQUAL), "", _verdict(report)]
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """Return all of it for programs, turn by turn."""
    content: dict[str, Any] = {
        "facts": dict(report.facts),
        "passed": report.passed,
        "errors": report.errors,
        "figures": [dataclasses.asdict(figure) for figure in report.figures],
        "series": [dataclasses.asdict(series) for series in report.series],
    }
    return json.dumps(content, indent=2) + "\n"


def _verdict(report: Report) -> str:
    if report.errors:
        return f"FAILED: {report.errors} requests were not answered with success."
    if report.missed:
        missed = ", ".join(f"{figure.row} ({figure.what})" for figure in report.missed)
        return f"FAILED: the minimum is missed in row {missed}."
    return "PASSED: every minimum that was measured is met."


def _figure_cells(figure: Figure) -> Sequence[str]:
    gate = figure.gate
    suffix = gate.unit.value if gate else Unit.RATIO.value
    judged = figure.judged
    return (
        str(figure.row or ""),
        figure.what,
        str(figure.load or ""),
        _number(figure.peer),
        _number(figure.own),
        f"{judged.median:.2f}{suffix}" if judged else "-",
        f"({judged.low:.2f} - {judged.high:.2f})" if judged else "",
        _bound(gate.minimum if gate else None, suffix),
        _bound(gate.goal if gate else None, suffix),
        figure.verdict.value,
    )


def _series_cells(series: Series) -> Sequence[str]:
    turns = series.turns

    def middle(values: Sequence[float]) -> str:
        return _number(statistics.median(values))

    return (
        series.measurement,
        series.contender,
        str(series.load),
        middle([turn.per_second for turn in turns]),
        middle([turn.p50_ms for turn in turns]),
        middle([turn.p99_ms for turn in turns]),
        middle([turn.cpu_ms for turn in turns]),
        str(sum(turn.requests for turn in turns)),
        str(sum(turn.errors for turn in turns)),
    )


def _bound(bound: Bound | None, suffix: str) -> str:
    if bound is None:
        return "-"
    return f"{'<=' if bound.at_most else '>='} {bound.value:g}{suffix}"


def _number(value: float | None) -> str:
    """Return three digits or so, whatever the size."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[int]) -> list[str]:
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    shown = []
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    shown.insert(1, "  ".join("-" * width for width in widths))
    return shown
