"""The list of what is measured. A new row of the targets is one more entry in `MEASUREMENTS`.

A measurement of load needs nothing but a workload of each contender under the names it gives; anything else is a
class with the attributes of `Measurement`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tools.bench.contender import Contender
from tools.bench.figures import Bound, Figure, Gate, Unit, compare
from tools.bench.load import Turn, first_counter, run_turn
from tools.bench.wire import Client

MIB = 1024.0 * 1024.0
_GATED_LOAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The contenders, and how long and hard they are measured.

    Attributes:
        peer: what our side is divided by.
        own: the side that the gates judge.
        beside: servers that are measured in the same turns and only told about.
        folder: private folder for plans.
        say: tells how far it is.
        starts: how often each server is started to take the median.
        settle_s: pause between a server's first answer and the look at its memory.
    """

    peer: Contender
    own: Contender
    beside: Sequence[Contender]
    folder: Path
    say: Callable[[str], None]
    rounds: int
    seconds: int
    loads: Sequence[int]
    starts: int
    settle_s: float

    @property
    def contenders(self) -> Sequence[Contender]:
        """Return all, in the order of a round's turns."""
        return [self.peer, self.own, *self.beside]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """All turns of one server in one measurement at one load."""

    measurement: str
    contender: str
    load: int
    turns: Sequence[Turn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a measurement gives."""

    figures: Sequence[Figure]
    series: Sequence[Series] = ()


class Measurement(Protocol):
    """One thing that is measured."""

    @property
    def name(self) -> str:
        """Return the word that selects it."""
        ...

    @property
    def rows(self) -> Sequence[int]:
        """Return the rows of the targets that it decides."""
        ...

    def run(self, bench: Bench) -> Measured:
        """Measure."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderLoad:
    """A workload of the peer against one of ours, in alternating turns at every load.

    Attributes:
        what: the operation, in words.
        peer: name of the peer's workload; ours is ``name``.
        throughput: gates by load for answers per second; a load without one is only told.
        p99: the same for the 99th percentile.
    """

    name: str
    what: str
    peer: str
    throughput: Mapping[int, Gate] = field(default_factory=dict)
    p99: Mapping[int, Gate] = field(default_factory=dict)

    @property
    def rows(self) -> Sequence[int]:
        """Return the rows of the targets that it decides."""
        return sorted({gate.row for gate in (*self.throughput.values(), *self.p99.values())})

    def run(self, bench: Bench) -> Measured:
        """Warm up, then take turns at each load."""
        bench.say(f"{self.what}: warming up")
        for contender in bench.contenders:
            self._turn(bench, contender, tag=f"{self.name}-warm", load=max(bench.loads))
        figures = []
        series = []
        for load in bench.loads:
            taken: dict[str, list[Turn]] = {contender.label: [] for contender in bench.contenders}
            for number in range(bench.rounds):
                bench.say(f"{self.what}: {load} at a time, round {number + 1} of {bench.rounds}")
                for contender in bench.contenders:
                    tag = f"{self.name}-{load}-{number}"
                    taken[contender.label].append(self._turn(bench, contender, tag=tag, load=load))
            peer, own = taken[bench.peer.label], taken[bench.own.label]
            figures += self._figures(load, peer, own)
            series += [
                Series(measurement=self.name, contender=label, load=load, turns=turns) for label, turns in taken.items()
            ]
        return Measured(figures=figures, series=series)

    def _turn(self, bench: Bench, contender: Contender, *, tag: str, load: int) -> Turn:
        workload = contender.workloads[self.peer if contender is bench.peer else self.name]()
        plan = workload.plan
        client = Client(plan.port)
        try:
            probe = plan.with_counter(f"{tag}-probe")
            workload.check(client.send(plan.method, probe.paths[0], headers=plan.headers, body=probe.body))
            turn = run_turn(
                plan, contender.server, tag=tag, connections=load, seconds=bench.seconds, folder=bench.folder
            )
        finally:
            client.close()
        if workload.read_back is not None and not turn.errors:
            workload.read_back(first_counter(tag))
        return turn

    def _figures(self, load: int, peer: Sequence[Turn], own: Sequence[Turn]) -> list[Figure]:
        return [
            compare(
                f"{self.what}, answers per second",
                [turn.per_second for turn in peer],
                [turn.per_second for turn in own],
                gate=self.throughput.get(load),
                load=load,
            ),
            compare(
                f"{self.what}, p99 in ms",
                [turn.p99_ms for turn in peer],
                [turn.p99_ms for turn in own],
                gate=self.p99.get(load),
                load=load,
            ),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """Time from the start of the process to the first authorised answer, and memory before there was any load."""

    name: str = "start"
    ready: Gate
    memory: Gate

    @property
    def rows(self) -> Sequence[int]:
        """Return the rows of the targets that it decides."""
        return [self.memory.row, self.ready.row]

    def run(self, bench: Bench) -> Measured:
        """Start both servers in turns, on the 100 secrets that they have."""
        seconds: dict[str, list[float]] = {bench.peer.label: [], bench.own.label: []}
        memory: dict[str, list[float]] = {bench.peer.label: [], bench.own.label: []}
        for number in range(bench.starts):
            bench.say(f"start {number + 1} of {bench.starts}")
            for contender in (bench.peer, bench.own):
                seconds[contender.label].append(contender.restart())
                time.sleep(bench.settle_s)
                memory[contender.label].append(contender.server.pss_bytes() / MIB)
        peer, own = bench.peer.label, bench.own.label
        return Measured(
            figures=[
                compare("idle memory after a start, PSS in MiB", memory[peer], memory[own], gate=self.memory),
                compare("start to ready, in s", seconds[peer], seconds[own], gate=self.ready),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterLoad:
    """Memory once the load is over, of servers that were not started again since."""

    name: str = "memory"
    rows: Sequence[int] = ()

    def run(self, bench: Bench) -> Measured:
        """Let both settle, and look."""
        bench.say("memory after load")
        time.sleep(bench.settle_s)
        peer, own = ([side.server.pss_bytes() / MIB] for side in (bench.peer, bench.own))
        return Measured(figures=[compare("memory after load, PSS in MiB", peer, own)])


def _at_least(row: int, minimum: float | None, goal: float) -> Gate:
    least = None if minimum is None else Bound(value=minimum)
    return Gate(row=row, minimum=least, goal=Bound(value=goal))


def _at_most(row: int, minimum: float, goal: float, unit: Unit = Unit.RATIO) -> Gate:
    return Gate(row=row, minimum=Bound(value=minimum, at_most=True), goal=Bound(value=goal, at_most=True), unit=unit)


MEASUREMENTS: Sequence[Measurement] = (
    # Before any load: it looks at what a server needs when nobody asks for anything.
    Starting(memory=_at_most(10, 1.0, 0.6), ready=_at_most(12, 1.0, 0.5, Unit.SECONDS)),
    UnderLoad(
        name="read",
        what="read a 4 KB secret",
        peer="read",
        throughput={_GATED_LOAD: _at_least(1, 2.0, 3.5)},
        p99={_GATED_LOAD: _at_most(2, 0.5, 0.25)},
    ),
    UnderLoad(
        name="write",
        what="write a 4 KB secret",
        peer="write",
        throughput={_GATED_LOAD: _at_least(3, 1.5, 3.0), 32: _at_least(3, None, 4.0)},
    ),
    AfterLoad(),
)
