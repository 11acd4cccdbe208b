"""Running the server: what it does not import, addresses, exit codes, several processes and their supervisor."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.runtime.serve import serve
from strongroom.runtime.settings import load_settings
from tests.peers.server import PROGRAM, LiveServer, process_environment, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HEAVY = {
    "alembic",
    "argon2",
    "jmespath",
    "mako",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pydantic_settings",
    "rich",
    "sqlalchemy",
    "structlog",
    "yaml",
}
"""What costs memory and time, and what a server that was just started has not needed yet."""


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_server_that_is_ready_has_imported_nothing_heavy(data_dir: Path) -> None:
    with running(data_dir, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in server.log.splitlines()}
    assert "strongroom" in imported
    assert not imported & HEAVY


def test_an_address_in_use_is_told(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable) as caught:
            serve(load_settings({"data_dir": data_dir, "listen": listen}))
    assert caught.value.code is ErrorCode.UNAVAILABLE
    assert caught.value.detail == f"Cannot listen on {listen}: Address already in use."


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--listen", "nowhere"], 2, "listen (--listen) must be HOST:PORT"),
        (["--workers", "0"], 2, "--workers"),
        (["--database-url", "mysql://u:planted-91@db/x"], 2, "must be a URL that begins with postgresql://"),
        (["--database-url", "postgresql://u:planted-91@127.0.0.1:1/x"], 6, "database"),
        (["--http", "--listen", "0.0.0.0:0"], 2, "Plain HTTP on 0.0.0.0 is refused"),
    ],
)
def test_what_cannot_start_ends_with_a_code_and_a_reason(
    data_dir: Path, words: list[str], code: int, line: str
) -> None:
    ended = subprocess.run(
        [str(PROGRAM), "server", "--data-dir", str(data_dir), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=process_environment(),
    )
    assert ended.returncode == code, ended.stderr
    assert line in ended.stderr
    assert "planted-91" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def test_ipv6_is_spoken(data_dir: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("there is no IPv6 on this machine")
    process = subprocess.Popen(
        [str(PROGRAM), "server", "--data-dir", str(data_dir), "--http", "--listen", f"[::1]:{port}"],
        stdout=subprocess.PIPE,
        text=True,
        env=process_environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Strongroom serves at http://[::1]:{port}\n"
        key = (data_dir / "admin-apikey").read_text().strip()
        connection = http.client.HTTPConnection("::1", port, timeout=30)
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/identity/token", urllib.parse.urlencode(form), headers)
        token = json.loads(connection.getresponse().read())["access_token"]
        connection.request("GET", "/api/v2/secrets", headers={"Authorization": f"Bearer {token}"})
        page = json.loads(connection.getresponse().read())
        assert page["first"]["href"].startswith(f"http://[::1]:{port}/api/v2/secrets")
        connection.close()
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()  # type: ignore[union-attr]


def test_a_second_signal_does_no_harm(data_dir: Path) -> None:
    with running(data_dir) as server:
        assert server.process is not None
        for _ in range(3):
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
    assert "Traceback" not in server.log


def test_a_signal_during_the_start_ends_it(data_dir: Path) -> None:
    server = LiveServer(data_dir)
    try:
        server.spawn()
        wait_until((data_dir / "lock").exists, "the server did not take its directory")
        assert server.stop() in (0, -signal.SIGTERM)
        server.start()
        assert server.stop() == 0
    finally:
        server.close()


# --- several processes


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.fixture
def pair(data_dir: Path, postgres_url: str) -> LiveServer:
    """Give a server of two workers, not yet started."""
    return LiveServer(data_dir, environment={"STRONGROOM_DATABASE_URL": postgres_url})


@pytest.mark.peers
def test_a_worker_that_dies_is_replaced_and_the_stop_is_clean(pair: LiveServer) -> None:
    try:
        pair.start("--workers", "2")
        assert pair.process is not None
        supervisor = pair.process.pid
        wait_until(lambda: len(children_of(supervisor)) == 2, "there are no two workers")
        victim = children_of(supervisor)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in children_of(supervisor), "the killed worker is still there")
        wait_until(lambda: len(children_of(supervisor)) == 2, "it was not replaced")
        assert re.search(r'"event": "worker died".*"exit_code": -9', pair.log)
        for _ in range(10):
            assert pair.request("GET", "/api/v2/secret_groups").status == 200
        workers = children_of(supervisor)
        assert pair.stop(60) == 0
        assert all(gone(pid) for pid in workers)
    finally:
        pair.close()


@pytest.mark.peers
def test_workers_end_with_a_supervisor_that_was_killed(pair: LiveServer) -> None:
    workers: list[int] = []
    try:
        pair.start("--workers", "2")
        assert pair.process is not None
        wait_until(lambda: len(children_of(pair.process.pid)) == 2, "there are no two workers")  # type: ignore[union-attr]
        workers = children_of(pair.process.pid)
        pair.kill()
        wait_until(lambda: all(gone(pid) for pid in workers), "workers go on without their supervisor")
        pair.start("--workers", "2")
        assert pair.stop(60) == 0
    finally:
        pair.close()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.peers
def test_a_stop_while_the_workers_start_is_clean(pair: LiveServer) -> None:
    try:
        pair.spawn("--workers", "3")
        assert pair.process is not None
        wait_until(lambda: bool(children_of(pair.process.pid)), "there is no worker")  # type: ignore[union-attr]
        assert pair.stop(60) == 0
    finally:
        pair.close()
