"""The command: read options, start both servers, measure, report, and stop everything."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tools.bench.contender import Contender
from tools.bench.figures import Figure, compare, in_order
from tools.bench.load import LoadGeneratorError, wrk_version
from tools.bench.measurements import MEASUREMENTS
from tools.bench.measuring import Bench, Measurement
from tools.bench.openbao import OpenBao
from tools.bench.processes import measure_fsync
from tools.bench.report import Report, as_json, as_text
from tools.bench.strongroom import Strongroom
from tools.bench.wire import UnexpectedAnswerError

ROOT = Path(__file__).resolve().parent.parent.parent
DATABASE_VARIABLE = "STRONGROOM_BENCH_DATABASE_URL"
_LIMIT = timedelta(hours=1)
_QUIET_LOAD = 0.25
"""Processes per processor that may have run in the minute before."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0 if it passes, 1 if a minimum is missed or requests failed, 2 if it cannot run."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _stop)
    # Whatever hangs, the servers do not stay behind.
    signal.alarm(int(_LIMIT.total_seconds()))
    try:
        report = measure(options)
    except (LoadGeneratorError, UnexpectedAnswerError, OSError, RuntimeError) as error:
        print(f"The benchmark cannot run: {error}", file=sys.stderr)
        return 2
    finally:
        signal.alarm(0)
    print(as_text(report))
    if options.json:
        options.json.write_text(as_json(report), encoding="utf-8")
    return 0 if report.passed else 1


def measure(options: argparse.Namespace) -> Report:
    """Start the servers, take every chosen measurement, and stop them."""
    facts = {"load": f"{wrk_version()}, 1 thread, {options.rounds} rounds of {options.seconds} s"}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_folder(options.dir, keep=options.keep))
        facts |= _machine(folder)
        peer = OpenBao(folder / "openbao")
        own = Strongroom(folder / "strongroom")
        beside: list[Strongroom] = []
        if options.database_url:
            beside.append(Strongroom(folder / "postgresql", label="on PostgreSQL", database_url=options.database_url))
        facts = {"strongroom": own.version, "peer": peer.version, **facts}
        first = {}
        contenders: list[Contender] = [peer, own, *beside]
        for contender in contenders:
            stack.callback(contender.close)
            _say(f"starting {contender.label}")
            first[contender.label] = contender.start()
        bench = Bench(
            peer=peer,
            own=own,
            beside=beside,
            folder=folder,
            say=_say,
            rounds=options.rounds,
            seconds=options.seconds,
            loads=options.connections,
            starts=options.starts,
            settle_s=options.settle,
        )
        figures: list[Figure] = []
        series = []
        for measurement in options.rows:
            measured = measurement.run(bench)
            figures += measured.figures
            series += measured.series
        figures.append(compare("first start on an empty folder, in s", [first[peer.label]], [first[own.label]]))
    return Report(facts=facts, figures=in_order(figures), series=series)


def choose(text: str) -> list[Measurement]:
    """Return the measurements that a comma list of row numbers or names selects, in their usual order.

    Raises:
        argparse.ArgumentTypeError: if a part of it names none.
    """
    wanted = [part.strip() for part in text.split(",")]
    for part in wanted:
        if not any(_is_meant(measurement, part) for measurement in MEASUREMENTS):
            names = ", ".join(measurement.name for measurement in MEASUREMENTS)
            rows = ", ".join(str(row) for row in sorted({row for entry in MEASUREMENTS for row in entry.rows}))
            raise argparse.ArgumentTypeError(f"there is no row {part!r}; there are {rows}, or by name {names}")
    return [entry for entry in MEASUREMENTS if any(_is_meant(entry, part) for part in wanted)]


def _is_meant(measurement: Measurement, part: str) -> bool:
    return part == measurement.name or part in {str(row) for row in measurement.rows}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description="Strongroom and OpenBao side by side.")
    parser.add_argument("--rounds", type=_positive, default=3, help="turns of each server per load (3)")
    parser.add_argument("--seconds", type=_positive, default=2, help="length of a turn (2)")
    parser.add_argument("--starts", type=_positive, default=5, help="starts of each server (5)")
    parser.add_argument("--settle", type=float, default=2.0, help="seconds before a look at the memory (2)")
    parser.add_argument(
        "--connections", type=_loads, default=[1, 8, 32], metavar="N,...", help="requests at a time (1,8,32)"
    )
    parser.add_argument(
        "--rows", type=choose, default=list(MEASUREMENTS), metavar="ROW,...", help="rows or names; all without it"
    )
    parser.add_argument(
        "--database-url",
        default=os.environ.get(DATABASE_VARIABLE),
        metavar="URL",
        help=f"an empty PostgreSQL database: the same rows on it are told, not judged (or {DATABASE_VARIABLE})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, turn by turn")
    parser.add_argument(
        "--dir", type=Path, default=ROOT / "build", metavar="DIR", help="where the servers keep their data (build)"
    )
    parser.add_argument("--keep", action="store_true", help="leave data and logs of the servers for a look")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _loads(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


@contextlib.contextmanager
def _folder(parent: Path, *, keep: bool) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent.resolve()))
    try:
        yield folder
    finally:
        if keep:
            _say(f"data and logs stay in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _machine(folder: Path) -> dict[str, str]:
    taken = [seconds * 1e3 for seconds in measure_fsync(folder)]
    p99 = taken[int(len(taken) * 0.99)]
    processors = os.cpu_count() or 1
    waiting = os.getloadavg()[0]
    # Measured, not guessed: who spends less processor time gains from a busy machine, so ratios taken there flatter.
    busy = "; BUSY, the ratios of this run prove nothing" if waiting > _QUIET_LOAD * processors else ""
    return {
        "machine": f"{processors} processors, {platform.system()} {platform.release()} {platform.machine()}",
        "load before": f"{waiting:.1f} processes in the minute before{busy}",
        "python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "disk": f"4 KiB written and synchronised in {statistics.median(taken):.2f} ms, p99 {p99:.2f} ms",
    }


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that everything on the way out is stopped and removed.
    raise SystemExit(f"The benchmark was ended by {signal.Signals(number).name}.")
