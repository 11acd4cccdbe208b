"""What was answered survives kill -9, whole; the long form is in tests/soak."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.audit.chain import GENESIS, link
from strongroom.domain.secrets.model import SecretQuery
from strongroom.storage.store import SqlStorage, open_storage
from tests.peers.postgres import PostgresServer

WRITER = """
import sys
from strongroom.domain.ports import Unit
from strongroom.storage.store import open_storage
from tests.contract.storage.builders import *

storage = open_storage(sys.argv[1], stream="main")
if not storage.read(lambda unit: unit.groups.listing()):
    add_group(storage)


def add(number):
    version_id = VersionId(new_uuid())
    secret = make_secret(f"secret-{number}-{new_uuid()}", current_version_id=version_id, labels=("a", "b"))

    def unit_of_work(unit):
        unit.secrets.add(secret)
        unit.versions.add(make_version(secret, id=version_id), b"sealed")
        unit.audit(make_entry("create", target=Target(type="secret", id=secret.id)))
        return secret.id

    future = storage.submit(unit_of_work)
    future.add_done_callback(lambda done: print(done.result(), flush=True))
    return future


while True:
    waiting = [add(number) for number in range(8)]
    waiting[-1].result()
"""


def run_and_kill(url: str, after: int) -> set[str]:
    """Write until so many secrets were acknowledged, kill, and return all that were."""
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ}
    )
    assert process.stdout is not None
    acknowledged: set[str] = set()
    while len(acknowledged) < after:
        line = process.stdout.readline()
        assert line, "the writer died by itself"
        acknowledged.add(line.strip())
    process.send_signal(signal.SIGKILL)
    acknowledged.update(line.strip() for line in process.stdout if len(line.strip()) == 36)
    process.wait(10)
    process.stdout.close()
    return acknowledged


def check(storage: SqlStorage, acknowledged: set[str]) -> None:
    """Look at every row there is."""
    page = storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=100_000)))
    stored: set[str] = {secret.id for secret in page.items}
    assert acknowledged <= stored
    assert sum(storage.read(lambda unit: unit.secrets.counts()).values()) == len(stored)
    assert storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=1, labels=("a", "b")))).total == len(stored)
    assert storage.read(lambda unit: unit.secrets.page(SecretQuery(limit=1, search="secret-"))).total == len(stored)
    for secret in page.items:
        found = storage.read(lambda unit, id_=secret.id: unit.secrets.find_current(id_))  # type: ignore[misc]
        assert found is not None
        assert found.sealed == b"sealed"
    records = storage.read(lambda unit: unit.audit_trail.records_after("main", 0, 100_000))
    assert len(records) == len(stored)
    previous = GENESIS
    for number, record in enumerate(records, 1):
        assert (record.sequence, record.previous_hash) == (number, previous)
        assert record.hash == link(previous, record.body)
        previous = record.hash


def test_acknowledged_writes_survive_a_kill_on_sqlite(tmp_path: Path, rng: random.Random) -> None:
    url = str(tmp_path / "strongroom.db")
    acknowledged: set[str] = set()
    for _ in range(3):
        acknowledged |= run_and_kill(url, rng.randint(5, 60))
    storage = open_storage(url, stream="main")
    check(storage, acknowledged)
    storage.close()


@pytest.mark.peers
def test_acknowledged_writes_survive_kills_of_program_and_server_on_postgresql(
    durable_postgres: PostgresServer, rng: random.Random
) -> None:
    url = durable_postgres.url(durable_postgres.create_database())
    acknowledged = run_and_kill(url, rng.randint(5, 60))
    acknowledged |= run_and_kill(url, rng.randint(5, 60))
    durable_postgres.kill()
    durable_postgres.start()
    storage = open_storage(url, stream="main")
    check(storage, acknowledged)
    storage.close()


@pytest.mark.peers
def test_store_goes_on_after_a_restart_of_the_server(
    durable_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from strongroom.kernel.errors import Unavailable
    from strongroom.storage import postgresql
    from tests.contract.storage.builders import add_group, add_secret, make_entry

    # The outage is longer than anybody waits, as it mostly is.
    monkeypatch.setattr(postgresql, "POOL_TIMEOUT_S", 0.3)
    url = durable_postgres.url(durable_postgres.create_database())
    storage = open_storage(url, stream="main", read_pool=2)
    add_group(storage)
    first = add_secret(storage, "first")

    durable_postgres.kill()
    with pytest.raises(Unavailable):
        add_secret(storage, "while it is away")
    with pytest.raises(Unavailable):
        storage.ready()
    assert storage.record(make_entry("read while it is away")) is None
    durable_postgres.start()

    second = add_secret(storage, "second")
    storage.ready()
    assert storage.read(lambda unit: unit.secrets.find(first.id)) == first
    assert storage.read(lambda unit: unit.secrets.find(second.id)) == second
    storage.close()
    again = open_storage(url, stream="main")
    records = again.read(lambda unit: unit.audit_trail.records_after("main", 0, 10))
    again.close()
    assert ["read while it is away" in record.body for record in records] == [True]


@pytest.mark.peers
def test_one_process_writes_a_stream(durable_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from strongroom.kernel.errors import Conflict, ErrorCode
    from strongroom.storage import postgresql

    monkeypatch.setattr(postgresql, "STREAM_HOLD_PAUSE_S", 0.01)
    url = durable_postgres.url(durable_postgres.create_database())
    first = open_storage(url, stream="one")
    with pytest.raises(Conflict) as refused:
        open_storage(url, stream="one")
    assert refused.value.code is ErrorCode.ALREADY_RUNNING
    open_storage(url, stream="two").close()
    first.close()
    open_storage(url, stream="one").close()


@pytest.mark.peers
def test_store_goes_on_when_the_connection_ends_inside_a_unit_that_fails(postgres_url: str) -> None:
    import psycopg

    from strongroom.kernel.errors import Conflict, ErrorCode
    from tests.contract.storage.builders import add_group

    storage = open_storage(postgres_url, stream="main")
    ended: list[int] = []

    def fails(unit: Any) -> None:
        unit.groups.find("default")
        if not ended:
            ended.append(unit._connection.raw.info.backend_pid)
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", ended)
        raise Conflict(ErrorCode.ALREADY_EXISTS, "the unit's own refusal")

    with pytest.raises(Conflict, match="own refusal"):
        storage.write(fails)
    add_group(storage)
    storage.close()


@pytest.mark.peers
def test_unit_that_goes_on_after_a_failed_statement_is_not_told_that_it_was_stored(postgres_url: str) -> None:
    from strongroom.kernel.errors import Internal
    from strongroom.storage.engine import DriverFailure
    from tests.contract.storage.builders import add_group, make_group

    storage = open_storage(postgres_url, stream="main")
    group = make_group("lost")

    def swallows(unit: Any) -> None:
        unit.groups.add(group)
        with contextlib.suppress(DriverFailure):
            unit._connection.plain("SELECT no_such_function()")

    with pytest.raises(Internal):
        storage.write(swallows)
    add_group(storage)
    assert storage.read(lambda unit: unit.groups.find(group.id)) is None
    storage.close()
