"""What every measurement has in common, and the usual one: two workloads in alternating turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tools.bench.contender import Contender, OwnContender, Workload
from tools.bench.figures import Figure, Gate, compare
from tools.bench.load import Mark, Turn, first_counter, run_turn
from tools.bench.wire import Client


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
    own: OwnContender
    beside: Sequence[OwnContender]
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
        return take_turn(bench, contender, workload, tag=tag, load=load)

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


def take_turn(
    bench: Bench,
    contender: Contender,
    workload: Workload,
    *,
    tag: str,
    load: int,
    seconds: int | None = None,
    mark: Mark | None = None,
) -> Turn:
    """Check one answer, put load on a server, and read back what it stored.

    Args:
        bench: where and how long.
        contender: the server.
        workload: the requests.
        tag: goes into every counter; no two turns on one server may share it.
        load: requests at a time.
        seconds: another length of the turn.
        mark: an answer to time.
    """
    plan = workload.plan
    client = Client(plan.port)
    try:
        probe = plan.with_counter(f"{tag}-probe")
        workload.check(client.send(plan.method, probe.paths[0], headers=plan.headers, body=probe.body))
    finally:
        client.close()
    turn = run_turn(
        plan,
        contender.server,
        tag=tag,
        connections=load,
        seconds=bench.seconds if seconds is None else seconds,
        folder=bench.folder,
        mark=mark,
    )
    if workload.read_back is not None and not turn.errors:
        workload.read_back(first_counter(tag))
    return turn
