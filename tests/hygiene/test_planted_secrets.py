"""No payload, key or token is anywhere but where it belongs, whatever happened to the server."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.hygiene.place import Place, report
from tests.hygiene.planted import files_below
from tests.hygiene.scenario import Scenario, corrupt
from tests.peers.postgres import PostgresServer, database_name
from tools.system_packages import find_program

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

_CORRUPT = """UPDATE versions SET sealed = {damaged}
    WHERE sealed IS NOT NULL AND secret_pk IN (SELECT pk FROM secrets WHERE id = '{secret}')"""


def _live(
    place: Place, run_sql: Callable[[str], None], look: Callable[[], None], passphrase: Path, *, restore_to: str | None
) -> None:
    """Run the scenario across backup, restore, kill and restart, looking all the time."""
    passphrase.write_text(place.planted.word("passphrase of the backup"), encoding="ascii")
    server = place.server.start()
    try:
        scenario = Scenario(server, place.planted)
        scenario.run()
        look()
        scenario.rotate_master_key()
        data, secret_file = str(server.data_dir), str(passphrase)
        place.command("backup", "--data-dir", data, "--out", str(place.backup), "--passphrase-file", secret_file)
        restored = ["--data-dir", str(place.restored), "--passphrase-file", secret_file]
        shutil.copytree(
            server.data_dir, place.restored, ignore=lambda _, names: [n for n in names if n != "master.key"]
        )
        place.command("restore", str(place.backup), *restored, database_url=restore_to)
        look()
        server.kill()
        look()
        server.start()
        scenario.read_all()
        corrupt(scenario, "plain", lambda secret: run_sql(_CORRUPT.format(damaged="{damaged}", secret=secret)))
        scenario.look()
        assert server.stop() == 0
        look()
    finally:
        server.close()
    for where, data_seen in (*scenario.refusals, *scenario.views, *place.printed):
        place.finds += place.planted.look(where, data_seen)
    assert len(scenario.refusals) > 100
    assert len(place.planted.needles) > 1_000
    assert '"level": "debug"' in server.log
    assert "request failed" in server.log


def test_nothing_secret_is_left_anywhere_on_sqlite(tmp_path: Path) -> None:
    place = Place(tmp_path, {})

    def run_sql(statement: str) -> None:
        with closing(sqlite3.connect(place.server.data_dir / "strongroom.db", timeout=10)) as connection, connection:
            assert connection.execute(statement.format(damaged="zeroblob(length(sealed))")).rowcount

    _live(place, run_sql, place.look, tmp_path / "passphrase", restore_to=None)

    assert not place.finds, report(place.finds)


def _written_by(postgres: PostgresServer, databases: tuple[str, str]) -> list[Path]:
    """Return what PostgreSQL itself has written: tables and indexes of the databases, write-ahead log, its own log."""
    import psycopg

    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        rows = connection.execute("SELECT oid FROM pg_database WHERE datname = ANY(%s)", [list(databases)]).fetchall()
    data = postgres.folder / "data"
    tables = [path for row in rows for path in files_below(data / "base" / str(row[0]))]
    return [postgres.log, *files_below(data / "pg_wal"), *tables]


@pytest.fixture
def databases(postgres_server: PostgresServer) -> Iterator[tuple[str, str]]:
    names = postgres_server.create_database(), postgres_server.create_database()
    try:
        yield names[0], names[1]
    finally:
        for name in names:
            postgres_server.drop_database(name)


@pytest.mark.peers
def test_nothing_secret_is_left_anywhere_on_postgresql(
    tmp_path: Path, postgres_server: PostgresServer, databases: tuple[str, str]
) -> None:
    import psycopg

    url, other = (postgres_server.url(name) for name in databases)
    place = Place(tmp_path, {"STRONGROOM_DATABASE_URL": url})
    program = find_program("postgresql")
    assert program is not None

    def run_sql(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            damaged = statement.format(damaged="decode(repeat('00', length(sealed)), 'hex')")
            assert connection.execute(damaged.encode()).rowcount

    def look() -> None:
        place.look()
        for database in (url, other):
            dump = subprocess.run(
                [str(program.with_name("pg_dump")), "--dbname", database], capture_output=True, check=True, timeout=60
            )
            place.finds += place.planted.look(f"dump of {database_name(database)}", dump.stdout)

    _live(place, run_sql, look, tmp_path / "passphrase", restore_to=other)
    place.finds += place.planted.look_in_files(_written_by(postgres_server, databases))

    assert not place.finds, report(place.finds)
