"""The list of what is measured. A new row of the targets is one more entry in `MEASUREMENTS`.

A measurement of load needs nothing but a workload of each contender under the names it gives; anything else is a
class with the attributes of `Measurement`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.bench.figures import Bound, Gate, Unit, compare
from tools.bench.measuring import Bench, Measured, Measurement, UnderLoad
from tools.bench.private_certificates import IssueRsa, ReadMeanwhile, RevokeAmongMany

MIB = 1024.0 * 1024.0
_GATED_LOAD = 8


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
    UnderLoad(
        name="issue-ec",
        what="issue an EC P-256 certificate",
        peer="issue-ec",
        throughput={_GATED_LOAD: _at_least(4, 1.3, 2.0)},
    ),
    UnderLoad(
        name="issue-ec-no-store",
        what="the same, the peer storing nothing",
        peer="issue-ec-no-store",
        throughput={_GATED_LOAD: _at_least(5, 0.8, 1.2)},
    ),
    UnderLoad(
        name="sign-csr",
        what="sign a ready EC P-256 CSR",
        peer="sign-csr",
        throughput={_GATED_LOAD: _at_least(6, 1.2, 1.7)},
    ),
    IssueRsa(
        name="issue-rsa",
        what="issue an RSA-2048 certificate, RSA-2048 CA",
        load=_GATED_LOAD,
        filled=_at_least(7, 10.0, 20.0),
        empty=_at_least(8, 1.1, 1.5),
    ),
    IssueRsa(
        name="issue-rsa-ec-ca",
        what="issue an RSA-2048 certificate, EC P-256 CA",
        load=_GATED_LOAD,
        filled=_at_least(7, 10.0, 30.0),
    ),
    ReadMeanwhile(load=_GATED_LOAD, gate=_at_most(9, 2.0, 1.3)),
    UnderLoad(name="ocsp", what="answer an OCSP question", peer="ocsp"),
    RevokeAmongMany(load=_GATED_LOAD),
    AfterLoad(),
)
