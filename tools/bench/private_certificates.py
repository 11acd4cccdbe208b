"""Measurements of private certificates that are more than two workloads side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from tools.bench.contender import REVOCATIONS, OwnContender
from tools.bench.figures import Figure, Gate, compare, tell
from tools.bench.load import Mark, Turn
from tools.bench.measuring import Bench, Measured, Series, take_turn
from tools.bench.wire import UnexpectedAnswerError

_RSA_SECONDS: Final = 6
"""A turn of two seconds is some twenty keys: too few for a figure."""
_REVOKED: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRsa:
    """Certificates with RSA keys: as long as there are keys made ahead, and after that.

    Both come from the same turn of ours: it begins with a full pool, empties it, and goes on.

    Attributes:
        name: of the workloads of both sides.
        filled: gate for the answers that find a key.
        empty: gate for those that wait for one; without it they are told.
    """

    name: str
    what: str
    load: int
    filled: Gate
    empty: Gate | None = None

    @property
    def rows(self) -> Sequence[int]:
        """Return the rows of the targets that it decides."""
        return sorted(gate.row for gate in (self.filled, self.empty) if gate is not None)

    def run(self, bench: Bench) -> Measured:
        """Warm up, then take turns; ours wait for a full pool."""
        bench.say(f"{self.what}: warming up")
        for contender in bench.contenders:
            take_turn(bench, contender, contender.workloads[self.name](), tag=f"{self.name}-warm", load=self.load)
        taken: dict[str, list[Turn]] = {contender.label: [] for contender in bench.contenders}
        for number in range(bench.rounds):
            bench.say(f"{self.what}: round {number + 1} of {bench.rounds}")
            for contender in bench.contenders:
                # What fills the pool of one server must not take processors from another one's turn.
                ready = min(other.wait_for_keys() for other in (bench.own, *bench.beside))
                turn = take_turn(
                    bench,
                    contender,
                    contender.workloads[self.name](),
                    tag=f"{self.name}-{number}",
                    load=self.load,
                    seconds=max(_RSA_SECONDS, bench.seconds),
                    # The probe took one; of the requests under way at the mark none has waited.
                    mark=Mark(answer=ready - self.load - 1),
                )
                taken[contender.label].append(turn)
        return Measured(
            figures=self._figures(taken[bench.peer.label], taken[bench.own.label]),
            series=[
                Series(measurement=self.name, contender=label, load=self.load, turns=turns)
                for label, turns in taken.items()
            ],
        )

    def _figures(self, peer: Sequence[Turn], own: Sequence[Turn]) -> list[Figure]:
        theirs = [turn.per_second for turn in peer]
        parts = [_split(turn) for turn in own]
        return [
            compare(
                f"{self.what}, keys ready, answers per second",
                theirs,
                [part[0] for part in parts],
                gate=self.filled,
                load=self.load,
            ),
            compare(
                f"{self.what}, no key ready, answers per second",
                theirs,
                [part[1] for part in parts],
                gate=self.empty,
                load=self.load,
            ),
        ]


def _split(turn: Turn) -> tuple[float, float]:
    """Return the answers per second up to the mark and after it."""
    if turn.marked_s is None:
        message = f"only {turn.requests} answers came, fewer than there were keys"
        raise UnexpectedAnswerError(message)
    return turn.marked / turn.marked_s, (turn.requests - turn.marked) / (turn.duration_s - turn.marked_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMeanwhile:
    """Reads while RSA keys are made, against reads of the same server while none are.

    Attributes:
        gate: for the ratio of the 99th percentiles.
    """

    load: int
    gate: Gate
    name: str = "read-meanwhile"

    @property
    def rows(self) -> Sequence[int]:
        """Return the rows of the targets that it decides."""
        return [self.gate.row]

    def run(self, bench: Bench) -> Measured:
        """Take turns with a full pool, and right after it was emptied."""
        own = bench.own
        quiet, busy = [], []
        for number in range(bench.rounds):
            bench.say(f"read while keys are made: round {number + 1} of {bench.rounds}")
            own.wait_for_keys()
            quiet.append(self._turn(bench, f"quiet-{number}"))
            own.take_keys(f"{self.name}-{number}")
            busy.append(self._turn(bench, f"busy-{number}"))
        labels = {"no keys in making": quiet, "keys in making": busy}
        return Measured(
            figures=[
                compare(
                    "read while RSA keys are made to read while none are (both ours), p99 in ms",
                    [turn.p99_ms for turn in quiet],
                    [turn.p99_ms for turn in busy],
                    gate=self.gate,
                    load=self.load,
                ),
            ],
            series=[
                Series(measurement=self.name, contender=f"{own.label}, {words}", load=self.load, turns=turns)
                for words, turns in labels.items()
            ],
        )

    def _turn(self, bench: Bench, tag: str) -> Turn:
        return take_turn(bench, bench.own, bench.own.workloads["read"](), tag=f"{self.name}-{tag}", load=self.load)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAmongMany:
    """Revocations by a CA whose list is long already, and reads while that list is built.

    It stops our server and writes the revoked certificates into its store, so it comes last.
    """

    load: int
    name: str = "revoke"
    rows: Sequence[int] = ()

    def run(self, bench: Bench) -> Measured:
        """Revoke with few and with many entries, then read while lists are built again and again."""
        own = bench.own
        figures, series = [], []
        for entries in (0, _REVOKED):
            bench.say(f"revoke with {entries} entries on the list")
            own.add_revoked(entries)
            turn = take_turn(
                bench,
                own,
                own.workloads["revoke"](),
                tag=f"revoke-{entries}",
                load=self.load,
                mark=Mark(answer=REVOCATIONS - self.load - 1, ends_turn=True),
            )
            figures.append(tell(f"revoke with {entries} entries on the list, p99 in ms", [turn.p99_ms], self.load))
            series.append(Series(measurement=f"revoke-{entries}", contender=own.label, load=self.load, turns=[turn]))
        quiet, busy = [], []
        for number in range(bench.rounds):
            bench.say(f"read while lists are built: round {number + 1} of {bench.rounds}")
            quiet.append(self._read(bench, f"quiet-{number}"))
            with _Listing(own) as listing:
                busy.append(self._read(bench, f"busy-{number}"))
            figures.append(tell(f"list of {_REVOKED} entries anew, in ms", listing.taken_ms))
        for words, turns in (("read, no list in building", quiet), ("read, lists in building", busy)):
            figures.append(tell(f"{words}, p99 in ms", [turn.p99_ms for turn in turns], self.load))
            series.append(Series(measurement=words, contender=own.label, load=self.load, turns=turns))
        return Measured(figures=figures, series=series)

    def _read(self, bench: Bench, tag: str) -> Turn:
        return take_turn(bench, bench.own, bench.own.workloads["read"](), tag=f"{self.name}-{tag}", load=self.load)


class _Listing:
    """Revokes and fetches the list, over and over, while something else is measured."""

    def __init__(self, own: OwnContender) -> None:
        self.taken_ms: list[float] = []
        self._own = own
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            self.taken_ms.append(self._own.renew_list() * 1e3)
