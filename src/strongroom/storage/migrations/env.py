"""Runs migrations; Alembic looks for this file.

Either on the connection that `strongroom.storage.migrate` opened, or, to write their text down, on none.
"""

from __future__ import annotations

from alembic import context

from strongroom.storage import schema

# The caller holds the transaction, on SQLite too: a migration happens whole or not at all.
if context.is_offline_mode():
    attributes = context.config.attributes
    context.configure(dialect_name=attributes["dialect"], output_buffer=attributes["output"], transactional_ddl=False)
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=schema.metadata,
        transactional_ddl=False,
    )
context.run_migrations()
