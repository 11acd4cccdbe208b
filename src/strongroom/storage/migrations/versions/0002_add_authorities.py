"""Add the authorities of private CAs, what they issued and what they revoked.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REVOKED = sa.text("revoked_at IS NOT NULL")
_OF_SECRET = sa.text("secret_pk IS NOT NULL")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _create_authorities()
    _create_issued_certificates()
    _create_what_is_signed_again()


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("ocsp_signers")
    op.drop_table("crls")
    op.drop_table("issued_certificates")
    op.drop_table("authorities")


def _create_authorities() -> None:
    op.create_table(
        "authorities",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("configuration_pk", _BIG, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("serial", _TEXT, nullable=True),
        sa.Column("issuer", _TEXT, nullable=True),
        sa.Column("external_key", _TEXT, nullable=True),
        sa.Column("key_id", _TEXT, nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("not_after", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("crl_number", sa.BigInteger(), nullable=False),
        sa.Column("crl_wanted", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("chain", _TEXT, nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["configuration_pk"],
            ["configurations.pk"],
            name="fk_authorities_configuration_pk_configurations",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_authorities"),
        sa.UniqueConstraint("id", name="uq_authorities_id"),
        sa.UniqueConstraint("configuration_pk", "generation", name="uq_authorities_configuration_pk_generation"),
    )


def _create_issued_certificates() -> None:
    op.create_table(
        "issued_certificates",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("configuration_pk", _BIG, nullable=False),
        sa.Column("authority_pk", _BIG, nullable=False),
        sa.Column("serial", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("secret_pk", _BIG, nullable=True),
        sa.Column("version_id", _TEXT, nullable=True),
        sa.Column("template_id", _TEXT, nullable=True),
        sa.Column("child_id", _TEXT, nullable=True),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("crl_entry", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["configuration_pk"],
            ["configurations.pk"],
            name="fk_issued_certificates_configuration_pk_configurations",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["authority_pk"],
            ["authorities.pk"],
            name="fk_issued_certificates_authority_pk_authorities",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["secret_pk"], ["secrets.pk"], name="fk_issued_certificates_secret_pk_secrets", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_issued_certificates"),
        sa.UniqueConstraint("configuration_pk", "serial", name="uq_issued_certificates_configuration_pk_serial"),
    )
    op.create_index("ix_issued_certificates_authority", "issued_certificates", ["authority_pk", "kind"], unique=False)
    op.create_index("ix_issued_certificates_not_after", "issued_certificates", ["not_after", "pk"], unique=False)
    op.create_index(
        "ix_issued_certificates_revoked",
        "issued_certificates",
        ["authority_pk", "revoked_at", "pk", "not_after", "crl_entry"],
        unique=False,
        sqlite_where=_REVOKED,
        postgresql_where=_REVOKED,
    )
    op.create_index(
        "ix_issued_certificates_secret",
        "issued_certificates",
        ["secret_pk"],
        unique=False,
        sqlite_where=_OF_SECRET,
        postgresql_where=_OF_SECRET,
    )
    op.create_index(
        "ix_issued_certificates_template",
        "issued_certificates",
        ["template_id", "secret_pk"],
        unique=False,
        sqlite_where=_OF_SECRET,
        postgresql_where=_OF_SECRET,
    )


def _create_what_is_signed_again() -> None:
    op.create_table(
        "crls",
        sa.Column("authority_pk", _BIG, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("covers", sa.BigInteger(), nullable=False),
        sa.Column("this_update", sa.BigInteger(), nullable=False),
        sa.Column("next_update", sa.BigInteger(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authority_pk"], ["authorities.pk"], name="fk_crls_authority_pk_authorities", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("authority_pk", name="pk_crls"),
    )
    op.create_table(
        "ocsp_signers",
        sa.Column("authority_pk", _BIG, autoincrement=False, nullable=False),
        sa.Column("serial", _TEXT, nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authority_pk"], ["authorities.pk"], name="fk_ocsp_signers_authority_pk_authorities", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("authority_pk", name="pk_ocsp_signers"),
    )
