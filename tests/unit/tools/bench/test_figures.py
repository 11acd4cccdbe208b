from __future__ import annotations

import pytest

from tools.bench.figures import Bound, Figure, Gate, Unit, Verdict, compare, in_order, judge

THROUGHPUT = Gate(row=1, minimum=Bound(value=2.0), goal=Bound(value=3.5))
LATENCY = Gate(row=2, minimum=Bound(value=0.5, at_most=True), goal=Bound(value=0.25, at_most=True))
START = Gate(row=12, minimum=Bound(value=1.0, at_most=True), goal=Bound(value=0.5, at_most=True), unit=Unit.SECONDS)


@pytest.mark.parametrize(
    ("gate", "value", "verdict"),
    [
        (THROUGHPUT, 3.5, Verdict.GOAL),
        (THROUGHPUT, 2.0, Verdict.MINIMUM),
        (THROUGHPUT, 1.99, Verdict.MISSED),
        (LATENCY, 0.25, Verdict.GOAL),
        (LATENCY, 0.5, Verdict.MINIMUM),
        (LATENCY, 0.51, Verdict.MISSED),
        (None, 0.0, Verdict.NONE),
    ],
)
def test_a_bound_is_kept_when_it_is_just_reached(gate: Gate | None, value: float, verdict: Verdict) -> None:
    assert judge(value, gate) is verdict


def test_a_gate_without_a_minimum_cannot_be_missed() -> None:
    gate = Gate(row=3, minimum=None, goal=Bound(value=4.0))

    assert judge(0.1, gate) is Verdict.NONE
    assert judge(4.0, gate) is Verdict.GOAL


def test_ratios_are_taken_round_by_round() -> None:
    figure = compare("x", [100.0, 1000.0, 10.0], [300.0, 2000.0, 40.0], gate=THROUGHPUT)

    assert figure.judged is not None
    assert (figure.judged.low, figure.judged.median, figure.judged.high) == (2.0, 3.0, 4.0)
    assert (figure.peer, figure.own) == (100.0, 300.0)


def test_a_gate_in_seconds_judges_our_own_time() -> None:
    figure = compare("x", [0.1, 0.1, 0.1], [0.8, 0.6, 0.7], gate=START)

    assert figure.judged is not None
    assert figure.judged.median == 0.7
    assert figure.verdict is Verdict.MINIMUM


def test_sides_with_different_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter|longer"):
        compare("x", [1.0, 2.0], [1.0])


def test_figures_without_a_row_come_last() -> None:
    def figure(gate: Gate | None, what: str) -> Figure:
        return compare(what, [1.0], [1.0], gate=gate)

    ordered = in_order([figure(None, "a"), figure(START, "b"), figure(THROUGHPUT, "c"), figure(None, "d")])

    assert [entry.what for entry in ordered] == ["c", "b", "a", "d"]
