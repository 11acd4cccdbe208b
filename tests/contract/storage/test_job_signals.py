"""A job that another process queued is begun at once, where the database tells of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import psycopg
import pytest

from strongroom.domain.jobs.model import JobState
from strongroom.domain.jobs.steps import Done, new_job
from strongroom.domain.ports import Unit
from strongroom.kernel.clock import FrozenClock
from strongroom.runtime import worker as workers
from strongroom.storage import job_signals
from strongroom.storage.engine import ConnectionLost, Engine
from strongroom.storage.job_signals import JobSignals
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.store import SqlStorage, open_storage
from tests.contract.storage.builders import NOW
from tests.contract.storage.test_job_worker import make_worker, queue, running, total, until

_QUEUES = """
import sys
from strongroom.storage.store import open_storage
from tests.contract.storage.test_job_worker import queue
storage = open_storage(sys.argv[1], stream="other")
queue(storage, int(sys.argv[2]))
storage.close()
"""
_LISTENERS = "pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


@pytest.fixture
def url(postgres_url: str) -> str:
    """Give a database with tables."""
    open_storage(postgres_url, stream="first").close()
    return postgres_url


@pytest.fixture
def storage(url: str) -> Iterator[SqlStorage]:
    """Give a store of this process."""
    store = open_storage(url, stream="this", read_pool=2)
    yield store
    store.close()


def queue_elsewhere(url: str, count: int, root: Any) -> None:
    subprocess.run([sys.executable, "-c", _QUEUES, url, str(count)], check=True, cwd=root, timeout=60)


def is_listening(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute(f"SELECT {_LISTENERS}").fetchone() is not None


@pytest.mark.peers
def test_job_of_another_process_is_begun_without_looking(
    storage: SqlStorage, url: str, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_LOOK_EVERY", timedelta(hours=1))
    worker = make_worker(storage, lambda _: Done(), "this", FrozenClock(NOW), threads=1)
    with running(worker):
        storage.on_new_jobs(worker.wake)
        until(lambda: is_listening(url))
        queue_elsewhere(url, 3, pytestconfig.rootpath)
        until(lambda: total(storage, JobState.DONE) == 3)


@pytest.mark.peers
def test_lost_connection_is_made_again_and_what_was_missed_is_looked_for(
    storage: SqlStorage, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_signals, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(workers, "_LOOK_EVERY", timedelta(hours=1))
    worker = make_worker(storage, lambda _: Done(), "this", FrozenClock(NOW), threads=1)
    with running(worker):
        storage.on_new_jobs(worker.wake)
        until(lambda: is_listening(url))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid), " + _LISTENERS)
        queue(storage, 2)
        until(lambda: total(storage, JobState.DONE) == 2)
    assert "by looking only" in caplog.text


@pytest.mark.peers
def test_only_a_commit_with_a_new_job_is_told_of(storage: SqlStorage) -> None:
    heard: list[int] = []
    storage.on_new_jobs(lambda: heard.append(1))
    until(lambda: len(heard) == 1)

    def fails(unit: Unit) -> None:
        unit.jobs.enqueue(new_job("kind", dedupe_key="fails", now=NOW))
        raise LookupError

    with pytest.raises(LookupError):
        storage.write(fails)
    storage.write(lambda unit: unit.events.add("type", "", None, NOW, {}))
    first = new_job("kind", dedupe_key="same", now=NOW)
    assert storage.write(lambda unit: unit.jobs.enqueue(first))
    until(lambda: len(heard) >= 2)
    assert not storage.write(lambda unit: unit.jobs.enqueue(new_job("kind", dedupe_key="same", now=NOW)))
    storage.write(lambda unit: unit.jobs.enqueue(new_job("kind", dedupe_key="other", now=NOW)))
    until(lambda: len(heard) >= 3)
    assert len(heard) == 3


def test_sqlite_has_nothing_to_listen_to(tmp_path: Any) -> None:
    storage = open_storage(tmp_path / "strongroom.db", stream="main")
    ensure_schema(storage.engine)
    storage.on_new_jobs(lambda: pytest.fail("nobody tells"))
    assert storage.engine.open_listener() is None
    queue(storage, 1)
    storage.close()


class _Moody:
    """An engine whose database answers at the third try."""

    def __init__(self) -> None:
        self.tries = 0

    def open_listener(self) -> _Moody:
        self.tries += 1
        if self.tries < 3:
            raise ConnectionLost
        return self

    def wait(self, stop: socket.socket) -> bool:
        stop.recv(1)
        return False

    def close(self) -> None:
        """Hold nothing."""


def test_database_that_is_away_is_tried_again_and_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job_signals, "FIRST_PAUSE_S", 0.01)
    heard, engine = threading.Event(), _Moody()
    signals = JobSignals(cast("Engine", engine), heard.set)
    assert heard.wait(10)
    signals.close()
    assert engine.tries == 3
    assert caplog.text.count("by looking only") == 1
