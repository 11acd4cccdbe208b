"""What every test gets: no network but loopback, a frozen clock, an own folder, the peers.

The seed of a run is printed in its header; ``--randomly-seed`` repeats it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from strongroom.kernel.clock import FrozenClock
from tests.peers.bind import bind, bind_secondary
from tests.peers.in_process import START_OF_TESTS, prepared_data_dir, server
from tests.peers.needs import LEFT_OUT, require
from tests.peers.pebble import challenge_dns, pebble, pebble_with_external_accounts
from tests.peers.postgres import durable_postgres, postgres_server, postgres_url
from tests.peers.public_peers import ordering_server, orders_bind, public_peers
from tests.peers.server import live_server
from tests.peers.softhsm import softhsm
from tools import coverage_floor

__all__ = [
    "START_OF_TESTS",
    "bind",
    "bind_secondary",
    "challenge_dns",
    "durable_postgres",
    "live_server",
    "ordering_server",
    "orders_bind",
    "pebble",
    "pebble_with_external_accounts",
    "postgres_server",
    "postgres_url",
    "prepared_data_dir",
    "public_peers",
    "server",
    "softhsm",
]

# The same examples in every run: a change is judged by its own merits. `make soak` looks for new ones.
hypothesis.settings.register_profile(
    "test", derandomize=True, database=None, deadline=None, max_examples=60, print_blob=True
)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=5000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

_figures: pytest.StashKey[list[coverage_floor.Figure] | None] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that holds the run to the coverage floors."""
    parser.addoption("--coverage-floor", action="store_true", help="fail when a package misses its coverage floor")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Give random numbers that depend on the printed seed and the test's name alone."""
    return random.Random(f"{_seed(request.config)}:{request.node.nodeid}")


@pytest.fixture
def clock() -> FrozenClock:
    """Give a clock that moves only when told to."""
    return FrozenClock(START_OF_TESTS)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Give the path of a data directory that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def requires() -> Callable[[str], Path]:
    """Give the function that returns a system program, or leaves the test out without it."""
    return require


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith(("STRONGROOM_", "SECRETS_MANAGER_", "IBMCLOUD_", "IC_API_KEY")):
            monkeypatch.delenv(name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Compare what the tests reached with the floors, once all workers have reported."""
    session.config.stash[_figures] = None
    is_worker = hasattr(session.config, "workerinput")
    if is_worker or not session.config.getoption("--coverage-floor") or exitstatus != pytest.ExitCode.OK:
        return
    report = json.loads(coverage_floor.REPORT.read_text(encoding="utf-8"))
    figures = coverage_floor.measure(report, coverage_floor.read_floors(coverage_floor.ROOT / "pyproject.toml"))
    session.config.stash[_figures] = figures
    if any(figure.is_short for figure in figures):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Name what was left out and how far the tests reach, before the closing line."""
    yield
    left_out: dict[str, int] = {}
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(LEFT_OUT):
            left_out[reason.removeprefix(LEFT_OUT)] = left_out.get(reason.removeprefix(LEFT_OUT), 0) + 1
    if left_out:
        terminalreporter.section("left out")
        for reason, count in sorted(left_out.items()):
            terminalreporter.write_line(f"{count} tests: {reason}")
    figures = config.stash.get(_figures, None)
    if figures:
        terminalreporter.section("coverage of lines and branches")
        for line in coverage_floor.describe(figures):
            terminalreporter.write_line(line, red="SHORT" in line)


def _seed(config: pytest.Config) -> int:
    """Return the seed of the random order, which every worker shares; 0 where the order is fixed."""
    seed = config.getoption("randomly_seed", 0)
    return seed if isinstance(seed, int) else 0
