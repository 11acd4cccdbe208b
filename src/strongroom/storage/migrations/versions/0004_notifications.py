"""Add notices: who is told, what was sent, and when to tell of the end of a secret.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_FIRST_NOTICE = 91 * 86_400_000_000
"""How long before the end of a secret, in microseconds, the first look for a notice is."""


def upgrade() -> None:
    """Create the tables and add the columns; nobody is told of what happened before."""
    op.add_column("secrets", sa.Column("notice_at", sa.BigInteger(), nullable=True))
    secrets = sa.table("secrets", sa.column("notice_at", sa.BigInteger), sa.column("expires_at", sa.BigInteger))
    first = secrets.c.expires_at - sa.literal_column(str(_FIRST_NOTICE))
    op.execute(sa.update(secrets).where(secrets.c.expires_at.is_not(None)).values(notice_at=first))
    has_notice = sa.text("notice_at IS NOT NULL")
    op.create_index(
        "ix_secrets_due_for_notice",
        "secrets",
        ["notice_at", "pk"],
        unique=False,
        sqlite_where=has_notice,
        postgresql_where=has_notice,
    )
    op.add_column("events", sa.Column("noticed_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE events SET noticed_at = at")
    is_waiting = sa.text("noticed_at IS NULL")
    op.create_index(
        "ix_events_waiting", "events", ["pk"], unique=False, sqlite_where=is_waiting, postgresql_where=is_waiting
    )
    op.create_table(
        "notification_registration",
        sa.Column("pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("instance_crn", _TEXT, nullable=False),
        sa.Column("source_name", _TEXT, nullable=False),
        sa.Column("source_description", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_notification_registration"),
    )
    op.create_table(
        "notification_destinations",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("destination_type", _TEXT, nullable=False),
        sa.Column("enabled", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("document", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name="pk_notification_destinations"),
        sa.UniqueConstraint("id", name="uq_notification_destinations_id"),
        sa.UniqueConstraint("name", name="uq_notification_destinations_name"),
    )
    _create_deliveries()


def downgrade() -> None:
    """Remove the tables and columns."""
    op.drop_table("notification_deliveries")
    op.drop_table("notification_destinations")
    op.drop_table("notification_registration")
    op.drop_index("ix_events_waiting", "events")
    op.drop_column("events", "noticed_at")
    op.drop_index("ix_secrets_due_for_notice", "secrets")
    op.drop_column("secrets", "notice_at")


def _create_deliveries() -> None:
    op.create_table(
        "notification_deliveries",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("destination_pk", _BIG, nullable=False),
        sa.Column("event_type", _TEXT, nullable=False),
        sa.Column("event_id", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("answer_code", sa.Integer(), nullable=True),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("payload", _TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["destination_pk"],
            ["notification_destinations.pk"],
            name="fk_notification_deliveries_destination",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_notification_deliveries"),
        sa.UniqueConstraint("id", name="uq_notification_deliveries_id"),
    )
    op.create_index(
        "ix_notification_deliveries_tried",
        "notification_deliveries",
        ["destination_pk", "sent_at", "pk"],
        unique=False,
    )
    for name, columns, condition in (
        ("open", ["destination_pk", "next_try_at", "pk"], "ended_at IS NULL"),
        ("ended", ["ended_at", "pk"], "ended_at IS NOT NULL"),
    ):
        op.create_index(
            f"ix_notification_deliveries_{name}",
            "notification_deliveries",
            columns,
            unique=False,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
