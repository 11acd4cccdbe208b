"""Brings the database to the schema of this program.

The stored revision is compared with a constant, which costs one statement; Alembic is imported only
when they differ. A migration runs in one transaction, and one process at a time runs one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from strongroom.kernel.errors import ErrorCode, StrongroomError, Unavailable
from strongroom.storage.compiled import compiled_schema
from strongroom.storage.engine import Connection, Engine, WriteConnection
from strongroom.storage.statements import SQLITE, Statement

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection as AlchemyConnection

REVISION: Final = "0004"
"""The newest migration; a test compares it with the migrations folder."""

ADVISORY_LOCK: Final = 7_320_001
LOCK_TIMEOUT: Final = "60s"

_WAIT_LONGER: Final = Statement(
    "migrate.wait_longer", lambda _: f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', true)"
)
_TAKE_TURNS: Final = Statement("migrate.take_turns", lambda _: f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
_HAS_REVISION: Final = Statement(
    "migrate.has_revision",
    lambda dialect: (
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
        if dialect == SQLITE
        else "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL"
    ),
)
_REVISION: Final = Statement("migrate.revision", lambda _: "SELECT version_num FROM alembic_version")


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the database, or ``None`` for one without our tables."""
    if connection.row(_HAS_REVISION) is None:
        return None
    row = connection.row(_REVISION)
    return None if row is None else str(row[0])


def ensure_schema(engine: Engine) -> None:
    """Create or upgrade the tables; does nothing when they are current.

    Raises:
        Unavailable: the database belongs to a newer program, or cannot be reached.
    """
    connection = engine.open_writer()
    try:
        stored = stored_revision(connection)
        if stored == REVISION:
            return
        if stored is None and _create(connection):
            return
    finally:
        connection.close()
    upgrade(engine)


def _create(connection: WriteConnection) -> bool:
    """Create everything in an empty database, if the text of that is at hand and the database agrees.

    The text is what the migrations do; it spares a first start their machinery.
    """
    texts = compiled_schema(connection.dialect)
    if not texts:
        return False
    try:
        connection.begin()
        if connection.dialect != SQLITE:
            connection.rows(_WAIT_LONGER)
            connection.rows(_TAKE_TURNS)
        if stored_revision(connection) is None:
            for number, text in enumerate(texts):
                connection.run(Statement(f"migrate.create.{number}", lambda _, text=text: text))  # type: ignore[misc]
        connection.commit()
    except StrongroomError:
        # The long way round says better what is wrong.
        connection.rollback()
        return False
    return stored_revision(connection) == REVISION


def upgrade(engine: Engine, target: str = "head") -> None:
    """Run the migrations that are missing.

    Raises:
        Unavailable: the database belongs to a newer program, or refuses.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    with _transaction(engine) as (config, connection):
        stored = _revision_of(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if stored is not None and stored not in known:
            raise Unavailable(
                ErrorCode.UNAVAILABLE,
                f"The database has schema revision {stored}, which this version does not know.",
                hint="Start the version of Strongroom that wrote it last, or a newer one.",
            )
        command.upgrade(config, target)


def downgrade(engine: Engine, target: str) -> None:
    """Take migrations back; for tests and for going back one release."""
    from alembic import command

    with _transaction(engine) as (config, _):
        command.downgrade(config, target)


@contextmanager
def _transaction(engine: Engine) -> Iterator[tuple[Config, AlchemyConnection]]:
    """Open one transaction that no other process can run migrations beside."""
    import sqlalchemy as sa
    from alembic.config import Config

    alchemy = sa.create_engine(engine.url, poolclass=sa.NullPool)
    is_sqlite = engine.dialect == SQLITE
    if is_sqlite:
        # The driver would begin a transaction only before the first change of a row, not of a table.
        sa.event.listen(alchemy, "connect", _leave_transactions_alone)
        sa.event.listen(alchemy, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", "strongroom.storage:migrations")
    try:
        with alchemy.begin() as connection:
            if not is_sqlite:
                connection.exec_driver_sql(_WAIT_LONGER.postgresql)
                connection.exec_driver_sql(_TAKE_TURNS.postgresql)
            config.attributes["connection"] = connection
            yield config, connection
    except sa.exc.DBAPIError as error:
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            "The database refused to be brought to the schema of this version.",
            hint="Its log says why; on PostgreSQL the role needs the right to create tables and the extension pg_trgm.",
        ) from error
    finally:
        alchemy.dispose()


def _leave_transactions_alone(raw: Any, _: Any) -> None:
    raw.isolation_level = None
    raw.execute("PRAGMA busy_timeout = 60000")


def _revision_of(connection: AlchemyConnection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()
