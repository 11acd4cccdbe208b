from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

from strongroom.kernel.clock import FrozenClock

ROOT = Path(__file__).resolve().parents[3]


def test_no_connection_leaves_the_machine() -> None:
    # 192.0.2.0/24 is for documentation: nobody answers there in any case.
    with (
        socket.socket() as outside,
        pytest.warns(UserWarning, match="192.0.2.1"),
        pytest.raises(SocketConnectBlockedError),
    ):
        outside.connect(("192.0.2.1", 443))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_a_warning_is_an_error() -> None:
    with pytest.raises(UserWarning, match="loud"):
        warnings.warn("loud", stacklevel=1)


def test_random_numbers_depend_on_the_test_alone(rng: random.Random, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("randomly_seed", 0)
    seed = seed if isinstance(seed, int) else 0
    assert rng.random() == random.Random(f"{seed}:{request.node.nodeid}").random()


def test_the_clock_stands_still(clock: FrozenClock) -> None:
    assert clock.now() == clock.now()


def test_settings_of_the_caller_do_not_reach_a_test() -> None:
    assert not [name for name in os.environ if name.startswith("STRONGROOM_")]


def test_a_program_is_asked_for_by_name(requires: Callable[[str], Path]) -> None:
    assert requires("openssl").name == "openssl"


def test_what_was_left_out_is_listed_at_the_end(tmp_path: Path) -> None:
    test = tmp_path / "test_left_out.py"
    test.write_text(
        "from tests.peers.needs import leave_out\n\n\n"
        "def test_one() -> None:\n    leave_out('no moon')\n\n\n"
        "def test_two() -> None:\n    leave_out('no moon')\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    environment = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "--rootdir", str(ROOT), "-p", "tests.conftest", str(test)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 tests: no moon" in done.stdout, done.stdout + done.stderr
