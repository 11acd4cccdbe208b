"""Runs the server: one process, or several on one socket with PostgreSQL."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, NoReturn

import uvicorn

from strongroom.kernel.errors import ErrorCode, StrongroomError, Unavailable
from strongroom.runtime.bootstrap import clock_of, open_store, public_url
from strongroom.runtime.container import GRACE, Container, build
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.logging import configure_logging, logger
from strongroom.runtime.process import limit_process
from strongroom.runtime.protocol import BoundedProtocol
from strongroom.runtime.settings import Settings, split_listen, unknown_variables

_BACKLOG: Final = 2048
_CANNOT_START: Final = 1
_DIED: Final = 70
_COMMON: Final[dict[str, Any]] = {
    "loop": "uvloop",
    "http": BoundedProtocol,
    "ws": "none",
    "lifespan": "off",
    "interface": "asgi3",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,
    "backlog": _BACKLOG,
    "timeout_keep_alive": 75,
}
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_TOO_SOON_S: Final = 5.0
_PAUSE_S: Final = 1.0


def serve(settings: Settings) -> int:
    """Serve until told to stop; return the exit code.

    Raises:
        Conflict: ``already_running`` if another process uses the data directory.
        Unavailable: the address cannot be used, or the database does not answer.
        Integrity: ``master_key_wrong``.
    """
    limit_process()
    configure_logging(settings.log_level)
    for name in unknown_variables():
        logger("settings").warning("unknown variable", variable=name)
    with DataDir(settings.data_dir) as directory:
        listeners = Listeners(
            everything=_bind(settings.listen, "--listen HOST:PORT or STRONGROOM_LISTEN"),
            ca_files=_bind(settings.ca_files_listen, "STRONGROOM_CA_FILES_LISTEN")
            if settings.ca_files_listen
            else None,
        )
        _warn_of_hidden_ca_files(settings, listeners)
        if settings.workers == 1:
            return _run(settings, directory, listeners, worker=0, announce=True)
        # An empty store is filled before the processes divide, by one of them.
        open_store(settings, directory, clock_of(settings)).storage.close()
        return _Supervisor(
            lambda worker: _run(settings, directory, listeners, worker=worker, announce=worker == 0),
            settings.workers,
        ).run()


def _warn_of_hidden_ca_files(settings: Settings, listeners: Listeners) -> None:
    """Tell of certificates whose addresses lead past the listener that was opened for them.

    Programs that check certificates do not fetch over HTTPS what they check certificates with (RFC 5280 section 8).
    """
    url = public_url(settings, listeners.everything.getsockname()[1])
    if listeners.ca_files is not None and settings.ca_files_url is None and url.startswith("https:"):
        logger("settings").warning(
            "certificates will carry HTTPS addresses of revocation lists and OCSP, which most programs do not fetch",
            address=url,
            hint="Set STRONGROOM_CA_FILES_URL to the http:// address by which others reach STRONGROOM_CA_FILES_LISTEN.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Sockets that requests come in by.

    Attributes:
        ca_files: serves only what relying parties fetch, and never over TLS.
    """

    everything: socket.socket
    ca_files: socket.socket | None


def _bind(address: str, setting: str) -> socket.socket:
    host, port = split_listen(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            f"Cannot listen on {address}: {error.strerror or error}.",
            hint=f"Choose another address with {setting}.",
        ) from error
    listener.set_inheritable(True)
    return listener


def _run(settings: Settings, directory: DataDir, listeners: Listeners, *, worker: int, announce: bool) -> int:
    port = listeners.everything.getsockname()[1]
    container = build(settings, directory, port=port, worker=worker)
    try:
        if announce:
            _announce(container, directory, listeners)
        container.worker.start()
        container.services.authorities.templates.expect_requests()
        server = _Server(container, listeners)
        # What is there now stays: it need never be looked at again, and pages that workers share stay shared.
        gc.freeze()
        gc.enable()
        # Held until everything is closed: a second signal must not cut the end short.
        for number in _SIGNALS:
            signal.signal(number, server.handle_exit)
        server.run(sockets=[listeners.everything])
        return 0 if server.started else 1
    finally:
        container.close()


class _Server(uvicorn.Server):
    """Serves both sockets in one loop, and leaves signals to us.

    uvicorn's own handling of signals would end the process before the store is closed.
    """

    def __init__(self, container: Container, listeners: Listeners) -> None:
        super().__init__(_uvicorn_config(container))
        self._beside: _Beside | None = None
        if listeners.ca_files is not None:
            self._beside = _Beside(_plain_config(container), listeners.ca_files)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self._beside is not None:
            await self._beside.begin()

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done all the time; tell whether to stop."""
        if self._beside is not None:
            await self._beside.tick(counter)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests in flight finish, then stop."""
        if self._beside is not None:
            await self._beside.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield


class _Beside:
    """A second server in the first one's loop."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        self._server = uvicorn.Server(config)
        self._config = config
        self._listener = listener

    async def begin(self) -> None:
        """Begin to listen."""
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[self._listener])

    async def tick(self, counter: int) -> None:
        """Write today's date above answers."""
        await self._server.on_tick(counter)

    async def end(self) -> None:
        """Let requests in flight finish, then stop."""
        await self._server.shutdown(sockets=[self._listener])


def _plain_config(container: Container) -> uvicorn.Config:
    return uvicorn.Config(container.ca_files, **_COMMON, timeout_graceful_shutdown=int(GRACE.total_seconds()))


def _uvicorn_config(container: Container) -> uvicorn.Config:
    tls = container.tls
    factory: Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext] | None = None
    if tls is not None:
        context = tls.context

        def factory(_: uvicorn.Config, __: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
            return context

    return uvicorn.Config(
        container.app,
        **_COMMON,
        timeout_graceful_shutdown=int(GRACE.total_seconds()),
        ssl_context_factory=factory,
    )


def _announce(container: Container, directory: DataDir, listeners: Listeners) -> None:
    instance = container.store.instance
    lines = [
        f"Strongroom serves at {public_url(container.settings, listeners.everything.getsockname()[1])}",
        f"  instance {instance.id}, region {instance.region}",
    ]
    if listeners.ca_files is not None:
        host, port = listeners.ca_files.getsockname()[:2]
        lines.append(f"  CA files and OCSP, without TLS: http://{f'[{host}]' if ':' in host else host}:{port}")
    if directory.admin_apikey.exists():
        lines.append(f"  administrator's API key: {directory.admin_apikey}")
    if container.tls is not None and container.settings.tls_cert_file is None:
        lines.append(f"  CA certificate to trust: {directory.tls / 'ca.pem'}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


class _Supervisor:
    """Runs worker processes on one socket, replaces those that die, and stops them together.

    The processes are forked while this one has no threads and no connections; each opens the store for itself. They
    end when this one does, however it ends: they would hold the data directory against the next start.
    """

    def __init__(self, run: Callable[[int], int], workers: int) -> None:
        self._run = run
        self._workers = workers
        self._log = logger("supervisor")
        self._children: dict[int, int] = {}
        self._stopping = False
        # Nothing is ever written: its end closes with this process, and the workers notice.
        self._alive, self._held_open = os.pipe()

    def run(self) -> int:
        """Run until told to stop, or until a worker cannot even start; return the worst exit code."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        started = time.monotonic()
        for worker in range(self._workers):
            self._start(worker)
        worst = 0
        while self._children:
            pid, status = os.wait()
            worker = self._children.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if self._stopping:
                # One that was told before it could listen to signals ends by the signal.
                worst = max(worst, 0 if -code in _SIGNALS else abs(code))
            elif code == _CANNOT_START:
                # The others would fail the same way.
                worst = code
                self._stop(signal.SIGTERM, None)
            else:
                self._log.error("worker died", worker=worker, exit_code=code)
                if time.monotonic() - started < _TOO_SOON_S:
                    time.sleep(_PAUSE_S)
                started = time.monotonic()
                self._start(worker)
        return worst

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._stopping = True
        for pid in self._children:
            os.kill(pid, number)

    def _start(self, worker: int) -> None:
        # A signal must not come when there is a process that is not yet among the children.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if self._stopping:
                return
            pid = os.fork()
            if pid:
                self._children[pid] = worker
                return
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._be_worker(worker)

    def _be_worker(self, worker: int) -> NoReturn:
        code = _DIED
        try:
            os.close(self._held_open)
            threading.Thread(target=self._follow, name="follows-supervisor", daemon=True).start()
            code = self._run(worker)
        except StrongroomError as error:
            code = _CANNOT_START
            self._log.error("worker failed", worker=worker, reason=error.diagnostics())
        except BaseException as error:  # noqa: BLE001  (the end of the process; it would be lost)
            self._log.error("worker failed", worker=worker, exc_info=error)
        finally:
            os._exit(code)

    def _follow(self) -> None:
        os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)
