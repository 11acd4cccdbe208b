"""The store on both databases; every test of the contract runs on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.storage.store import SqlStorage, open_storage

OpenStorage = Callable[..., SqlStorage]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peers)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "strongroom.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


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
