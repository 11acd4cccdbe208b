"""A throw-away PostgreSQL on loopback, and an empty database for each test that asks.

PostgreSQL refuses to run as root, so there it runs as another user, in a folder of its own that this user can
reach (the temporary folders of pytest are closed to others).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.peers.needs import require

ROLE = "strongroom"
START_TRIES = 5
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class PostgresServer:
    """One cluster of its own.

    Args:
        program: ``postgres``; the other programs lie beside it.
        durable: really wait for the disk, for tests that kill; otherwise tests are quicker without.
    """

    def __init__(self, program: Path, *, durable: bool = False) -> None:
        self._bin = program.parent
        self._durable = durable
        self._password = secrets.token_urlsafe(18)
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = _other_user()
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="strongroom-pg-"))
        self.log = self.folder / "log"
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database, with the password in it."""
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, on the port it had before or a free one, and wait until it answers."""
        known = self.port
        for _ in range(START_TRIES):
            self.port = known or _free_port()
            if self._try_start():
                return
            # After a kill the old children may still hold their memory for a moment.
            time.sleep(0.2)
        message = f"PostgreSQL does not start: {self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Stop as an administrator would, ending connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop without any chance to tidy up, as a power cut would."""
        assert self._process is not None
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._end(signal.SIGKILL)
        # Its children notice only after a while that it is gone, and would go on to serve what is connected.
        for child in map(int, listed):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        while any(map(_is_alive, listed)):
            time.sleep(0.01)

    def close(self) -> None:
        """Stop and remove everything."""
        if self._process is not None:
            # SIGQUIT: at once, but the children go too.
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement: str) -> None:
        """Run one administrative statement outside a transaction."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode("utf-8"))

    def create_database(self, *, template: str = "template0") -> str:
        """Create a database and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self._password, encoding="ascii")
        password_file.chmod(0o600)
        if self._as_user:
            for path in (self.folder, password_file):
                shutil.chown(path, self._as_user["user"], self._as_user["group"])
        command = [str(self._bin / "initdb"), "--pgdata", str(self.folder / "data"), "--username", ROLE, "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(
            [*command, "--pwfile", str(password_file)],
            check=True,
            capture_output=True,
            cwd=self.folder,
            timeout=START_TIMEOUT_S,
            **self._as_user,
        )

    def _try_start(self) -> bool:
        settings: dict[str, Any] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": 60,
            "shared_buffers": "32MB",
            "log_min_messages": "warning",
            "wal_level": "minimal",
            "max_wal_senders": 0,
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self._as_user
            )
        ready = [str(self._bin / "pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", str(self.port)]
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                # Most likely somebody took the port between looking and starting.
                self._process = None
                return False
            if subprocess.run(ready, check=False, capture_output=True).returncode == 0:
                return True
            time.sleep(0.05)
        self._end(signal.SIGQUIT)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if how == signal.SIGKILL:
            # What its children held is let go of a moment later; a new start waits for that.
            self._wait_until_released()

    def _wait_until_released(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    return
            time.sleep(0.02)


def _other_user() -> Mapping[str, Any]:
    """Return the arguments that make a process another user's, for root only."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    message = "run as root there must be a user 'postgres' or 'nobody' for PostgreSQL to run as"
    raise RuntimeError(message)


def _free_port() -> int:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give one running cluster to all tests of a worker; it forgets the disk, so it is not for crash tests."""
    server = PostgresServer(require("postgresql"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def durable_postgres() -> Iterator[PostgresServer]:
    """Give a cluster of the test's own that waits for the disk and may be killed and started again."""
    server = PostgresServer(require("postgresql"), durable=True)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of an empty database, removed after the test."""
    name = postgres_server.create_database()
    try:
        yield postgres_server.url(name)
    finally:
        postgres_server.drop_database(name)


def database_name(url: str) -> str:
    """Return the database that an address names."""
    return urlsplit(url).path.removeprefix("/")


def _is_alive(pid: str) -> bool:
    """Tell whether a process still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
