"""Servers as processes: start them, stop them for certain, read what they cost from ``/proc``.

A server runs in a session of its own, so that its helper processes are known, counted and stopped with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_STOP_TIMEOUT_S = 15.0
_GONE = ("Z", "X")


class ServerProcess:
    """One server, with everything it starts.

    Args:
        command: program and arguments.
        environment: the whole environment; nothing is inherited.
        log: file that takes what it prints; appended to.
        folder: its working folder.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, folder: Path) -> None:
        self._name = Path(command[0]).name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )

    def require_alive(self) -> None:
        """Do nothing while the server runs.

        Raises:
            RuntimeError: with the end of its log, if it has ended.
        """
        code = self._process.poll()
        if code is not None:
            tail = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            message = f"{self._name} ended with code {code}: {tail}"
            raise RuntimeError(message)

    def cpu_s(self) -> float:
        """Return the processor time used so far by the server, its children and those it waited for."""
        ticks = 0
        for fields in _session(self._process.pid):
            # Fields 14 to 17 of proc(5): own user and system time, and that of children waited for.
            ticks += sum(int(field) for field in fields[11:15])
        return ticks * _TICK_S

    def pss_bytes(self) -> int:
        """Return the memory of the whole tree, shared pages counted in proportion."""
        total = 0
        for fields in _session(self._process.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                rollup = Path(f"/proc/{fields[-1]}/smaps_rollup").read_text(encoding="ascii")
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
        return total

    def stop(self) -> None:
        """Ask the server to end, and end it and its children if it does not; harmless when it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_TIMEOUT_S)
        # The session is ours alone: this reaches children that outlived the server, and nothing else.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while time.monotonic() < deadline and any(fields[0] not in _GONE for fields in _session(self._process.pid)):
            time.sleep(0.002)


def free_port() -> int:
    """Return a port of loopback that nobody holds at the moment."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def measure_fsync(folder: Path, *, count: int = 200) -> list[float]:
    """Return the seconds that each of ``count`` appended and synchronised 4 KiB blocks took, ascending."""
    path = folder / "fsync-probe"
    block = os.urandom(4096)
    taken = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            started = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(taken)


def _session(leader: int) -> Iterator[list[str]]:
    """Yield, for each process of a session, fields 3 and following of its ``stat``, and its id as the last."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The name in parentheses may hold anything, so the rest is what follows the last one.
        fields = text.rpartition(")")[2].split()
        if int(fields[3]) == leader:
            yield [*fields, entry.name]
