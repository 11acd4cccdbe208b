"""Look for requests that are answered wrongly, for as long as there is time.

Round after round with a new seed: generated and broken requests for every operation against a fresh server, then the
property tests of ``tests/fuzz`` with thousands of new examples each. Run it with
``python -m tests.soak.fuzz --minutes 60``; what a round finds is printed with its seed, which repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.driver import Report, run
from tests.fuzz.wire import wired
from tests.peers.postgres import PostgresServer
from tools.system_packages import find_program

_PROPERTIES = ("test_pem_intake.py", "test_merge_patch.py", "test_tokens.py", "test_signed_garbage.py")
_FUZZ = Path(__file__).resolve().parents[1] / "fuzz"


@dataclass
class Totals:
    """What the whole run did and found."""

    rounds: int = 0
    requests: int = 0
    property_runs: int = 0
    seconds: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)


def fuzz(minutes: float, *, seed: int, each: int, postgres: PostgresServer | None) -> Totals:
    """Run rounds until the time is up; every other one on PostgreSQL, if there is one."""
    totals = Totals()
    started = time.monotonic()
    deadline = started + 60 * minutes
    while totals.rounds == 0 or time.monotonic() < deadline:
        number = seed + totals.rounds
        on_postgres = postgres is not None and totals.rounds % 2 == 1
        report = _round(number, each, postgres if on_postgres else None)
        totals.rounds += 1
        totals.requests += report.requests
        place = "postgresql" if on_postgres else "sqlite"
        for key, text in report.failures.items():
            totals.failures.setdefault(key, f"seed {number} on {place}\n{text}")
        _say(number, place, report)
        if time.monotonic() < deadline:
            _properties(number, totals)
    totals.seconds = time.monotonic() - started
    return totals


def _round(number: int, each: int, postgres: PostgresServer | None) -> Report:
    with (
        tempfile.TemporaryDirectory() as folder,
        _database(postgres) as settings,
        wired(Path(folder) / "data", **settings) as wire,
    ):
        return run(wire, each=each, seed_of_run=number)


@contextmanager
def _database(postgres: PostgresServer | None) -> Iterator[dict[str, Any]]:
    if postgres is None:
        yield {}
        return
    name = postgres.create_database()
    try:
        yield {"database_url": postgres.url(name)}
    finally:
        postgres.drop_database(name)


def _properties(number: int, totals: Totals) -> None:
    """Run one file of property tests in a process of its own, with examples that no run had before."""
    name = _PROPERTIES[totals.property_runs % len(_PROPERTIES)]
    totals.property_runs += 1
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=0", f"--hypothesis-seed={number}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(_FUZZ / name), *options],
        env={**os.environ, "HYPOTHESIS_PROFILE": "soak"},
        capture_output=True,
        text=True,
        check=False,
    )
    _print({"properties": name, "seed": number, "passed": done.returncode == 0})
    if done.returncode != 0:
        totals.failures.setdefault(f"{name} --hypothesis-seed={number}", done.stdout[-6000:])


def _say(number: int, place: str, report: Report) -> None:
    line = {"seed": number, "on": place, "requests": report.requests, "seconds": round(report.seconds, 1)}
    _print({**line, "failures": list(report.failures)})


def _print(value: Any) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201  (its whole output)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--each", type=int, default=40, help="requests of each kind to each operation in a round")
    options = parser.parse_args()
    program = find_program("postgresql")
    postgres = PostgresServer(program) if program is not None else None
    try:
        totals = fuzz(options.minutes, seed=options.seed, each=options.each, postgres=postgres)
    finally:
        if postgres is not None:
            postgres.close()
    _print(asdict(totals))
    return 1 if totals.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
