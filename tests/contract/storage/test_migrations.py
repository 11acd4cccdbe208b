"""Migrations make what the schema says, go both ways, whole or not at all, on both databases."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from strongroom.kernel.errors import Unavailable
from strongroom.storage import migrate, schema
from strongroom.storage.engine import Engine, open_engine
from strongroom.storage.postgresql import PostgresEngine
from strongroom.storage.sqlite import SqliteEngine
from strongroom.storage.store import open_storage
from tests.peers.postgres import PostgresServer

BY_HAND = frozenset({"alembic_version", "secret_trigrams", "ix_secret_search_trigrams"})
"""What only the migrations make."""


TABLES = "SELECT name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"
COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, collation_name, is_identity,"
    # A column that was dropped leaves a gap in the numbers.
    " row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position)"
    " FROM information_schema.columns WHERE table_schema = 'public'"
)
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
CONSTRAINTS = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"


def shape_of(engine: Engine) -> set[Any]:
    """Return everything the database says about its tables and indexes."""
    if isinstance(engine, SqliteEngine):
        with contextlib.closing(sqlite3.connect(engine.path)) as file:
            rows = file.execute(TABLES).fetchall()
        return {
            (name, *sorted(re.split(r", (?![^(]*\))", " ".join(text.split()).removesuffix(" )"))))
            for name, table, text in rows
            if name not in BY_HAND and not table.startswith("secret_trigrams")
        }
    assert isinstance(engine, PostgresEngine)
    found: set[Any] = set()
    with psycopg.connect(engine._url) as server:
        for text in (COLUMNS, INDEXES, CONSTRAINTS):
            found |= set(server.execute(text).fetchall())
    return {row for row in found if row[0] not in BY_HAND and not str(row[0]).startswith("alembic_version")}


@pytest.fixture
def engine(empty_database_url: str) -> Engine:
    return open_engine(empty_database_url, read_pool=1)


def stored(engine: Engine) -> str | None:
    connection = engine.open_writer()
    try:
        return migrate.stored_revision(connection)
    finally:
        connection.close()


def test_constant_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")

    assert ScriptDirectory.from_config(config).get_current_head() == migrate.REVISION


@pytest.mark.parametrize("make", [migrate.ensure_schema, migrate.upgrade], ids=["texts", "migrations"])
def test_migrations_make_what_the_schema_says(
    engine: Engine, tmp_path: Path, request: pytest.FixtureRequest, make: Callable[[Engine], None]
) -> None:
    make(engine)
    if engine.dialect == "sqlite":
        other: Engine = open_engine(tmp_path / "from-schema.db", read_pool=1)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        other = open_engine(server.url(server.create_database()), read_pool=1)
    alchemy = sa.create_engine(other.url, poolclass=sa.NullPool)
    schema.metadata.create_all(alchemy)
    alchemy.dispose()

    migrated, declared = shape_of(engine), shape_of(other)

    assert migrated - declared == set()
    assert declared - migrated == set()


def test_migrations_go_down_and_up_again(engine: Engine) -> None:
    migrate.ensure_schema(engine)
    before = shape_of(engine)

    migrate.downgrade(engine, "base")
    assert stored(engine) is None
    assert shape_of(engine) == set()

    migrate.ensure_schema(engine)
    assert stored(engine) == migrate.REVISION
    assert shape_of(engine) == before


@pytest.mark.parametrize("older", ["0001", "0002"])
def test_older_database_becomes_what_a_new_one_is_and_keeps_its_rows(
    engine: Engine, tmp_path: Path, request: pytest.FixtureRequest, older: str
) -> None:
    migrate.upgrade(engine, older)
    assert stored(engine) == older
    alchemy = sa.create_engine(engine.url, poolclass=sa.NullPool)
    with alchemy.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO configurations (id, kind, config_type, name, document, created_at, created_by, updated_at,"
                " row_version) VALUES ('c1', 'k', 't', 'n', '{}', 1, 'me', 1, 0)"
            )
        )

    migrate.ensure_schema(engine)

    if engine.dialect == "sqlite":
        other: Engine = open_engine(tmp_path / "new.db", read_pool=1)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        other = open_engine(server.url(server.create_database()), read_pool=1)
    migrate.ensure_schema(other)
    assert stored(engine) == migrate.REVISION
    assert shape_of(engine) == shape_of(other)
    with alchemy.begin() as connection:
        assert connection.execute(sa.text("SELECT id FROM configurations")).scalars().all() == ["c1"]
    alchemy.dispose()

    migrate.downgrade(engine, older)
    assert stored(engine) == older
    migrate.ensure_schema(engine)
    assert shape_of(engine) == shape_of(other)


def test_current_database_is_left_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.ensure_schema(engine)
    monkeypatch.setattr(migrate, "upgrade", lambda _: pytest.fail("it was migrated again"))

    migrate.ensure_schema(engine)


def test_database_of_a_newer_program_is_refused(engine: Engine) -> None:
    migrate.ensure_schema(engine)
    alchemy = sa.create_engine(engine.url, poolclass=sa.NullPool)
    with alchemy.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    alchemy.dispose()

    with pytest.raises(Unavailable, match="revision 9999, which this version does not know") as refused:
        migrate.ensure_schema(engine)
    assert refused.value.hint


def test_failed_migration_leaves_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    upgrade = command.upgrade

    def fails_at_the_end(config: Config, target: str) -> None:
        upgrade(config, target)
        raise RuntimeError("power cut")

    monkeypatch.setattr(command, "upgrade", fails_at_the_end)
    with pytest.raises(RuntimeError, match="power cut"):
        migrate.upgrade(engine)
    monkeypatch.undo()

    assert stored(engine) is None
    assert shape_of(engine) == set()
    migrate.ensure_schema(engine)


def test_database_that_refuses_is_left_as_it_was(engine: Engine) -> None:
    alchemy = sa.create_engine(engine.url, poolclass=sa.NullPool)
    with alchemy.begin() as connection:
        connection.execute(sa.text("CREATE TABLE versions (somebody_elses INTEGER)"))
    alchemy.dispose()
    before = shape_of(engine)

    with pytest.raises(Unavailable, match="refused"):
        migrate.ensure_schema(engine)

    assert shape_of(engine) == before


def test_several_processes_may_start_at_once(empty_database_url: str) -> None:
    code = (
        "import sys; from strongroom.storage.engine import open_engine; from strongroom.storage.migrate import *;"
        "ensure_schema(open_engine(sys.argv[1], read_pool=1))"
    )
    starts = [subprocess.Popen([sys.executable, "-c", code, empty_database_url]) for _ in range(4)]

    assert [start.wait(60) for start in starts] == [0, 0, 0, 0]
    open_storage(empty_database_url, stream="main").close()


def test_current_database_opens_without_alembic_or_sqlalchemy(database_url: str) -> None:
    code = (
        "import sys; from strongroom.storage.engine import open_engine; from strongroom.storage.migrate import *;"
        "ensure_schema(open_engine(sys.argv[1], read_pool=1));"
        "sys.exit(sum(name.split('.')[0] in {'alembic', 'sqlalchemy'} for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code, database_url], check=False, timeout=60).returncode == 0


def test_unreachable_database_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_storage("postgresql://nobody@127.0.0.1:1/none", stream="main")
    with pytest.raises(Unavailable, match="cannot be opened") as refused:
        open_storage(tmp_path / "no-such-folder" / "file.db", stream="main")
    assert str(tmp_path) not in refused.value.detail


def test_database_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "strongroom.db"
    store = open_storage(path, stream="main")
    store.write(lambda unit: unit.groups.count())

    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    store.close()

    assert set(modes) >= {"strongroom.db", "strongroom.db-wal"}
    assert set(modes.values()) == {0o600}
