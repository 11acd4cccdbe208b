from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from tests.peers.postgres import PostgresServer

pytestmark = [pytest.mark.peers, pytest.mark.integration]


def test_a_database_is_empty_and_sorts_by_bytes(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        encoding = connection.execute("SHOW server_encoding").fetchone()
        order = connection.execute("SELECT 'B' < 'a'").fetchone()
    assert (tables, encoding, order) == ((0,), ("UTF8",), (True,))


def test_each_test_gets_another_database(postgres_server: PostgresServer, postgres_url: str) -> None:
    other = postgres_server.create_database()
    try:
        assert other not in postgres_url
    finally:
        postgres_server.drop_database(other)


def test_loopback_asks_for_the_password(postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=parts.port, user=parts.username, password="guess", dbname="postgres")


def test_a_durable_cluster_keeps_what_was_committed_when_it_is_killed(durable_postgres: PostgresServer) -> None:
    durable_postgres.execute("CREATE TABLE kept (value integer)")
    durable_postgres.execute("INSERT INTO kept VALUES (7)")
    durable_postgres.kill()
    durable_postgres.start()
    with psycopg.connect(durable_postgres.url()) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]
