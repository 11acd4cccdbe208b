"""The numbers of the long runs; ``make soak ARGS="--kills 10000"`` changes them."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add one option for each number."""
    group = parser.getgroup("soak", "long runs")
    group.addoption("--kills", type=int, default=1000, help="kills of a server on SQLite (1000)")
    group.addoption("--kills-postgresql", type=int, default=100, help="kills of a server on PostgreSQL (100)")
    group.addoption("--kill-seed", type=int, default=1, help="seed of the moments of the kills (1)")
    group.addoption("--orders", type=int, default=200, help="orders of two servers of which one is killed (200)")
    group.addoption("--secrets", type=int, default=1_000_000, help="secrets in the store whose lists are timed")
    group.addoption("--revoked", type=int, default=100_000, help="entries of the revocation list (100,000)")
    group.addoption("--template-cases", type=int, default=10_000, help="template cases against OpenBao (10,000)")
    group.addoption("--fuzz-minutes", type=float, default=60, help="minutes of fuzzing over the whole API (60)")
    group.addoption("--certificates", type=int, default=1000, help="certificates of the simulated year (1000)")
    group.addoption("--days", type=int, default=365, help="days of the simulated year (365)")
    group.addoption("--year-seed", type=int, help="seed of the simulated year (the time)")
