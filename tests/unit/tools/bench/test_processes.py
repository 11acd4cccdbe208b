from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tools.bench.processes import ServerProcess, measure_fsync

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(40_000_000); time.sleep(60)"])
print(child.pid, flush=True)
while True:
    time.sleep(60)
"""


def spawn(tmp_path: Path, program: str) -> ServerProcess:
    command = [sys.executable, "-c", program]
    return ServerProcess(command, environment={}, log=tmp_path / "log", folder=tmp_path)


def log_of(tmp_path: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        text = (tmp_path / "log").read_text(encoding="utf-8")
        if text.endswith("\n"):
            return text
        time.sleep(0.01)
    message = "the program printed nothing"
    raise TimeoutError(message)


@pytest.mark.integration
def test_children_are_counted_and_stopped_with_the_server(tmp_path: Path) -> None:
    server = spawn(tmp_path, PARENT)
    try:
        child = int(log_of(tmp_path))
        deadline = time.monotonic() + 20
        while server.pss_bytes() < 40_000_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.pss_bytes() >= 40_000_000
        assert server.cpu_s() > 0.0
    finally:
        server.stop()
    # The entry of an orphan may stay in the table until its new parent looks.
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in ("Z", "X")


@pytest.mark.integration
def test_a_server_that_ended_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    server = spawn(tmp_path, "print('no port left'); raise SystemExit(3)")
    log_of(tmp_path)
    server.stop()

    with pytest.raises(RuntimeError, match=r"ended with code (3|-15): no port left"):
        server.require_alive()
    server.stop()


def test_synchronised_writes_are_timed_and_leave_nothing_behind(tmp_path: Path) -> None:
    taken = measure_fsync(tmp_path, count=3)

    assert len(taken) == 3
    assert taken == sorted(taken)
    assert list(tmp_path.iterdir()) == []
