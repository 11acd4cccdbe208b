"""The store on both databases; every test of the contract runs on each.

The migrations run once per worker and database; tests get copies of what they made.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.storage.engine import open_engine
from strongroom.storage.migrate import ensure_schema
from strongroom.storage.store import SqlStorage, open_storage
from tests.peers.postgres import PostgresServer

OpenStorage = Callable[..., SqlStorage]

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.peers)]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an SQLite file with the tables in it."""
    path = tmp_path_factory.mktemp("migrated") / "strongroom.db"
    _migrate(str(path))
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> str:
    """Give the name of a PostgreSQL database with the tables in it."""
    name = postgres_server.create_database()
    _migrate(postgres_server.url(name))
    return name


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database without any table."""
    if request.param == "sqlite":
        return str(tmp_path / "strongroom.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database with its tables and nothing in them."""
    if request.param == "sqlite":
        path = tmp_path / "strongroom.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        yield str(path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template=request.getfixturevalue("migrated_database"))
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def open_store(database_url: str) -> Iterator[OpenStorage]:
    """Give the function that opens the database, any number of times; all are closed at the end."""
    opened: list[SqlStorage] = []

    def opens(*, stream: str = "main", durable_reads: bool = False, queue_limit: int = 10_000) -> SqlStorage:
        store = open_storage(
            database_url, stream=stream, durable_reads=durable_reads, read_pool=4, queue_limit=queue_limit
        )
        opened.append(store)
        return store

    yield opens
    for store in opened:
        store.close()


@pytest.fixture
def storage(open_store: OpenStorage) -> SqlStorage:
    """Give the store, with its tables and nothing in them."""
    return open_store()


def _migrate(url: str) -> None:
    engine = open_engine(url, read_pool=1)
    ensure_schema(engine)
    engine.close()
