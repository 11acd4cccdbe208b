"""Gates, medians over rounds, and verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a gate's numbers are."""

    RATIO = "x"
    SECONDS = "s"


class Verdict(StrEnum):
    """How a figure stands to its gate."""

    GOAL = "goal met"
    MINIMUM = "minimum met"
    MISSED = "MISSED"
    NONE = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A number that must be reached, or not be passed."""

    value: float
    at_most: bool = False

    def holds(self, value: float) -> bool:
        """Tell whether a value keeps the bound; exactly on it is kept."""
        return value <= self.value if self.at_most else value >= self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One row of the targets: a release needs the minimum, the goal is what is aimed at."""

    row: int
    minimum: Bound | None
    goal: Bound | None
    unit: Unit = Unit.RATIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several rounds with the least and the greatest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result.

    Attributes:
        row: number of the row in the targets, if it belongs to one.
        what: what was measured, with its unit.
        load: requests at a time, or ``None`` where there is no load.
        peer: median of the peer, ``None`` where it has none.
        own: median of our side.
        judged: what the gate judges: ratios of rounds, or own values where the gate is no ratio; ``None`` for a figure
            that stands alone.
        gate: the gate, or ``None`` for a figure that is only told.
        verdict: how it stands to the gate.
    """

    row: int | None
    what: str
    load: int | None
    peer: float | None
    own: float
    judged: Spread | None
    gate: Gate | None
    verdict: Verdict


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the range of at least one value."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def compare(
    what: str, peer: Sequence[float], own: Sequence[float], *, gate: Gate | None = None, load: int | None = None
) -> Figure:
    """Build a figure from the values of both sides, round by round.

    With a gate that is a ratio, or none, each round's own value is divided by the peer's of the same round,
    because what disturbs a machine lasts longer than a round.

    Raises:
        ValueError: if the two sides do not have the same number of rounds.
    """
    ratios = [ours / theirs for ours, theirs in zip(own, peer, strict=True)]
    judged = spread(own if gate is not None and gate.unit is Unit.SECONDS else ratios)
    return Figure(
        row=gate.row if gate else None,
        what=what,
        load=load,
        peer=statistics.median(peer),
        own=statistics.median(own),
        judged=judged,
        gate=gate,
        verdict=judge(judged.median, gate),
    )


def tell(what: str, own: Sequence[float], load: int | None = None) -> Figure:
    """Build a figure of ours alone, in its own unit, that nothing judges."""
    return Figure(
        row=None,
        what=what,
        load=load,
        peer=None,
        own=statistics.median(own),
        judged=None,
        gate=None,
        verdict=Verdict.NONE,
    )


def judge(value: float, gate: Gate | None) -> Verdict:
    """Return how a value stands to a gate; without a minimum it cannot miss."""
    if gate is None:
        return Verdict.NONE
    if gate.goal is not None and gate.goal.holds(value):
        return Verdict.GOAL
    if gate.minimum is None:
        return Verdict.NONE
    return Verdict.MINIMUM if gate.minimum.holds(value) else Verdict.MISSED


def in_order(figures: Sequence[Figure]) -> list[Figure]:
    """Return figures by row, those of no row last, otherwise as they came."""
    return sorted(figures, key=lambda figure: (figure.row is None, figure.row or 0))
