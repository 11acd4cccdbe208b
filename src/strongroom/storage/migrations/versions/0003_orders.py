"""Add orders of public certificates, the uses of CAs that count against limits, and when to ask about renewal.

Rotations that failed or are held back get an index: those of public certificates are not overdue meanwhile.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'open'")
_IN_TROUBLE = sa.text("rotation_status IN ('failed', 'blocked') AND state IN (1, 5)")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _create_orders()
    _create_ca_uses()
    _create_renewal_checks()
    op.create_index(
        "ix_secrets_in_trouble",
        "secrets",
        ["rotation_status", "type_no", "pk"],
        unique=False,
        sqlite_where=_IN_TROUBLE,
        postgresql_where=_IN_TROUBLE,
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_index("ix_secrets_in_trouble", table_name="secrets")
    op.drop_table("renewal_checks")
    op.drop_table("ca_uses")
    op.drop_table("orders")


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("secret_id", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("names_key", _TEXT, nullable=False),
        sa.Column("has_records", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("document", _TEXT, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name="pk_orders"),
        sa.UniqueConstraint("id", name="uq_orders_id"),
    )
    op.create_index("ix_orders_secret_id", "orders", ["secret_id", "pk"], unique=False)
    op.create_index(
        "uq_orders_open_names_key",
        "orders",
        ["names_key"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "uq_orders_open_secret_id",
        "orders",
        ["secret_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "ix_orders_open",
        "orders",
        ["pk", "id", "secret_id"],
        unique=False,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "ix_orders_with_records",
        "orders",
        ["pk", "id"],
        unique=False,
        sqlite_where=sa.text("state != 'open' AND has_records = 1"),
        postgresql_where=sa.text("state != 'open' AND has_records"),
    )
    op.create_index(
        "ix_orders_ended",
        "orders",
        ["updated_at", "pk"],
        unique=False,
        sqlite_where=sa.text("state != 'open' AND has_records = 0"),
        postgresql_where=sa.text("state != 'open' AND NOT has_records"),
    )


def _create_ca_uses() -> None:
    op.create_table(
        "ca_uses",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("ca_key", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_ca_uses"),
    )
    op.create_index("ix_ca_uses_subject", "ca_uses", ["ca_key", "kind", "subject", "at"], unique=False)
    op.create_index("ix_ca_uses_at", "ca_uses", ["at", "pk"], unique=False)


def _create_renewal_checks() -> None:
    op.create_table(
        "renewal_checks",
        sa.Column("secret_pk", _BIG, autoincrement=False, nullable=False),
        sa.Column("version_id", _TEXT, nullable=False),
        sa.Column("check_at", sa.BigInteger(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=True),
        sa.Column("window_end", sa.BigInteger(), nullable=True),
        sa.Column("explanation_url", _TEXT, nullable=True),
        sa.Column("renew_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["secret_pk"], ["secrets.pk"], name="fk_renewal_checks_secret_pk_secrets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("secret_pk", name="pk_renewal_checks"),
    )
    op.create_index("ix_renewal_checks_check_at", "renewal_checks", ["check_at", "secret_pk"], unique=False)
