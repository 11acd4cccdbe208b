"""Runs migrations on the connection that `strongroom.storage.migrate` opened; Alembic looks for this file."""

from __future__ import annotations

from alembic import context

from strongroom.storage import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    # The caller holds the transaction, on SQLite too: a migration happens whole or not at all.
    transactional_ddl=False,
)
context.run_migrations()
