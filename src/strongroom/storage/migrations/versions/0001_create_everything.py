"""Create everything.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_OPEN_JOB = sa.text("state IN ('queued', 'running', 'waiting')")
_ENDED_JOB = sa.text("(state NOT IN ('queued', 'running', 'waiting'))")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, the search index and the rows that always exist."""
    _create_secrets()
    _create_identities()
    _create_jobs_and_trail()
    _create_server()
    if op.get_context().dialect.name == "sqlite":
        # Row numbers only: the text lies in secret_search, and every hit is looked at there again.
        op.execute(
            "CREATE VIRTUAL TABLE secret_trigrams USING fts5"
            "(text, content='', detail=none, columnsize=0, tokenize='trigram case_sensitive 1')"
        )
    else:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute("CREATE INDEX ix_secret_search_trigrams ON secret_search USING gin (text gin_trgm_ops)")
    op.execute("INSERT INTO identity_generation (pk, generation) VALUES (1, 1)")


def downgrade() -> None:
    """Remove everything."""
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TABLE secret_trigrams")
    op.drop_table("locks")
    op.drop_table("versions")
    op.drop_table("secret_search")
    op.drop_table("secret_labels")
    op.drop_table("secrets")
    op.drop_table("secret_counts")
    op.drop_table("access_group_members")
    op.drop_table("users")
    op.drop_table("service_ids")
    op.drop_table("secret_groups")
    op.drop_table("refresh_tokens")
    op.drop_table("policies")
    op.drop_table("keys")
    op.drop_table("jobs")
    op.drop_table("instance")
    op.drop_table("identity_generation")
    op.drop_table("events")
    op.drop_table("configurations")
    op.drop_table("audit_records")
    op.drop_table("audit_checkpoints")
    op.drop_table("api_keys")
    op.drop_table("access_groups")


def _create_secrets() -> None:
    op.create_table(
        "secret_groups",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_secret_groups"),
        sa.UniqueConstraint("id", name="uq_secret_groups_id"),
        sa.UniqueConstraint("name", name="uq_secret_groups_name"),
    )
    op.create_table(
        "secret_counts",
        sa.Column("group_no", _BIG, autoincrement=False, nullable=False),
        sa.Column("type_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_no"], ["secret_groups.pk"], name="fk_secret_counts_group_no_secret_groups", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_no", "type_no", name="pk_secret_counts"),
    )
    op.create_table(
        "secrets",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("type_no", sa.SmallInteger(), nullable=False),
        sa.Column("group_no", _BIG, nullable=False),
        sa.Column("group_id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=False),
        sa.Column("labels", _TEXT, nullable=False),
        sa.Column("custom_metadata", _TEXT, nullable=True),
        sa.Column("attributes", _TEXT, nullable=False),
        sa.Column("rotation", _TEXT, nullable=True),
        sa.Column("warnings", _TEXT, nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("retrieved_at", sa.BigInteger(), nullable=True),
        sa.Column("downloaded", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("next_rotation_at", sa.BigInteger(), nullable=True),
        sa.Column("rotation_status", _TEXT, nullable=False),
        sa.Column("versions_total", sa.Integer(), nullable=False),
        sa.Column("versions_made", sa.Integer(), nullable=False),
        sa.Column("locks_total", sa.Integer(), nullable=False),
        sa.Column("current_version_id", _TEXT, nullable=True),
        sa.Column("previous_version_id", _TEXT, nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("private_state", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["group_no"], ["secret_groups.pk"], name="fk_secrets_group_no_secret_groups"),
        sa.PrimaryKeyConstraint("pk", name="pk_secrets"),
        sa.UniqueConstraint("id", name="uq_secrets_id"),
    )
    op.create_index("ix_secrets_by_created_at", "secrets", ["created_at", "pk", "group_no", "type_no"], unique=False)
    op.create_index("ix_secrets_by_id", "secrets", ["id", "pk", "group_no", "type_no"], unique=False)
    op.create_index("ix_secrets_by_name", "secrets", ["name", "pk", "group_no", "type_no"], unique=False)
    op.create_index("ix_secrets_by_updated_at", "secrets", ["updated_at", "pk", "group_no", "type_no"], unique=False)
    op.create_index(
        "ix_secrets_due_for_expiry",
        "secrets",
        ["expires_at", "pk"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL AND state = 1"),
        postgresql_where=sa.text("expires_at IS NOT NULL AND state = 1"),
    )
    op.create_index(
        "ix_secrets_due_for_rotation",
        "secrets",
        ["next_rotation_at", "pk"],
        unique=False,
        sqlite_where=sa.text("next_rotation_at IS NOT NULL AND state IN (1, 5)"),
        postgresql_where=sa.text("next_rotation_at IS NOT NULL AND state IN (1, 5)"),
    )
    op.create_index(
        "ix_secrets_expires_down",
        "secrets",
        [sa.text("coalesce(expires_at, -1)"), "pk", "group_no", "type_no", "expires_at"],
        unique=False,
    )
    op.create_index(
        "ix_secrets_expires_up",
        "secrets",
        [sa.text("coalesce(expires_at, 9223372036854775807)"), "pk", "group_no", "type_no", "expires_at"],
        unique=False,
    )
    op.create_index("ix_secrets_group", "secrets", ["group_no", "pk", "type_no"], unique=False)
    op.create_index("ix_secrets_newest", "secrets", ["pk", "group_no", "type_no"], unique=False)
    op.create_index(
        "ix_secrets_retrieved_down",
        "secrets",
        [sa.text("coalesce(retrieved_at, -1)"), "pk", "group_no", "type_no", "retrieved_at"],
        unique=False,
    )
    op.create_index(
        "ix_secrets_retrieved_up",
        "secrets",
        [sa.text("coalesce(retrieved_at, 9223372036854775807)"), "pk", "group_no", "type_no", "retrieved_at"],
        unique=False,
    )
    op.create_index("ix_secrets_type", "secrets", ["type_no", "pk", "group_no"], unique=False)
    op.create_index(
        "ix_secrets_type_expires_down",
        "secrets",
        ["type_no", sa.text("coalesce(expires_at, -1)"), "pk", "group_no", "expires_at"],
        unique=False,
    )
    op.create_index(
        "ix_secrets_type_expires_up",
        "secrets",
        ["type_no", sa.text("coalesce(expires_at, 9223372036854775807)"), "pk", "group_no", "expires_at"],
        unique=False,
    )
    op.create_index("uq_secrets_type_name", "secrets", ["type_no", "name"], unique=True)
    op.create_table(
        "secret_labels",
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("secret_pk", _BIG, autoincrement=False, nullable=False),
        sa.Column("group_no", _BIG, nullable=False),
        sa.Column("type_no", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["secret_pk"], ["secrets.pk"], name="fk_secret_labels_secret_pk_secrets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("label", "secret_pk", name="pk_secret_labels"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_secret_labels_secret_pk", "secret_labels", ["secret_pk"], unique=False)
    op.create_table(
        "secret_search",
        sa.Column("pk", _BIG, autoincrement=False, nullable=False),
        sa.Column("group_no", _BIG, nullable=False),
        sa.Column("type_no", sa.SmallInteger(), nullable=False),
        sa.Column("text", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["pk"], ["secrets.pk"], name="fk_secret_search_pk_secrets", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pk", name="pk_secret_search"),
    )
    op.create_table(
        "versions",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("secret_pk", _BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("auto_rotated", sa.Boolean(), nullable=False),
        sa.Column("downloaded", sa.Boolean(), nullable=False),
        sa.Column("payload_available", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("attributes", _TEXT, nullable=False),
        sa.Column("custom_metadata", _TEXT, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["secret_pk"], ["secrets.pk"], name="fk_versions_secret_pk_secrets", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_versions"),
        sa.UniqueConstraint("id", name="uq_versions_id"),
        sa.UniqueConstraint("secret_pk", "number", name="uq_versions_secret_pk_number"),
    )
    op.create_table(
        "locks",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("secret_pk", _BIG, nullable=False),
        sa.Column("version_pk", _BIG, nullable=False),
        sa.Column("group_no", _BIG, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("folded_name", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=True),
        sa.Column("attributes", _TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["secret_pk"], ["secrets.pk"], name="fk_locks_secret_pk_secrets", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["version_pk"], ["versions.pk"], name="fk_locks_version_pk_versions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_locks"),
        sa.UniqueConstraint("version_pk", "name", name="uq_locks_version_pk_name"),
    )
    op.create_index("ix_locks_secret", "locks", ["secret_pk", "group_no", "folded_name"], unique=False)


def _create_identities() -> None:
    op.create_table(
        "access_groups",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=True),
        sa.Column("oidc_groups", _TEXT, nullable=False),
        sa.Column("entity_tag", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_by", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_access_groups"),
        sa.UniqueConstraint("id", name="uq_access_groups_id"),
        sa.UniqueConstraint("name", name="uq_access_groups_name"),
    )
    op.create_table(
        "api_keys",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("iam_id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=True),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("entity_tag", _TEXT, nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("allowed_networks", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        sa.UniqueConstraint("id", name="uq_api_keys_id"),
    )
    op.create_index("ix_api_keys_iam_id", "api_keys", ["iam_id", "pk"], unique=False)
    op.create_table(
        "identity_generation",
        sa.Column("pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_identity_generation"),
    )
    op.create_table(
        "policies",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("subject_kind", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("roles", _TEXT, nullable=False),
        sa.Column("group_id", _TEXT, nullable=True),
        sa.Column("description", _TEXT, nullable=True),
        sa.Column("document", _TEXT, nullable=False),
        sa.Column("entity_tag", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_by", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_policies"),
        sa.UniqueConstraint("id", name="uq_policies_id"),
    )
    op.create_index("ix_policies_group_id", "policies", ["group_id", "pk"], unique=False)
    op.create_index("ix_policies_subject", "policies", ["subject", "subject_kind", "pk"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("iam_id", _TEXT, nullable=False),
        sa.Column("api_key_id", _TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_refresh_tokens"),
        sa.UniqueConstraint("digest", name="uq_refresh_tokens_digest"),
    )
    op.create_index("ix_refresh_tokens_api_key_id", "refresh_tokens", ["api_key_id"], unique=False)
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"], unique=False)
    op.create_table(
        "service_ids",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("iam_id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT, nullable=True),
        sa.Column("entity_tag", _TEXT, nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_service_ids"),
        sa.UniqueConstraint("iam_id", name="uq_service_ids_iam_id"),
        sa.UniqueConstraint("id", name="uq_service_ids_id"),
    )
    op.create_index("ix_service_ids_name", "service_ids", ["name", "pk"], unique=False)
    op.create_table(
        "users",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("iam_id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("email", _TEXT, nullable=True),
        sa.Column("origin", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("password_hash", _TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name="pk_users"),
        sa.UniqueConstraint("iam_id", name="uq_users_iam_id"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "access_group_members",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("group_pk", _BIG, nullable=False),
        sa.Column("iam_id", _TEXT, nullable=False),
        sa.Column("type", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_pk"],
            ["access_groups.pk"],
            name="fk_access_group_members_group_pk_access_groups",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_access_group_members"),
        sa.UniqueConstraint("group_pk", "iam_id", name="uq_access_group_members_group_pk_iam_id"),
    )
    op.create_index("ix_access_group_members_iam_id", "access_group_members", ["iam_id", "group_pk"], unique=False)


def _create_jobs_and_trail() -> None:
    op.create_table(
        "audit_checkpoints",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("after_pk", sa.BigInteger(), nullable=False),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("signature", _TEXT, nullable=False),
        sa.Column("public_key", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_audit_checkpoints"),
    )
    op.create_index("ix_audit_checkpoints_time", "audit_checkpoints", ["time", "pk"], unique=False)
    op.create_table(
        "audit_records",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("stream", _TEXT, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("initiator", _TEXT, nullable=False),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("target_id", _TEXT, nullable=True),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=True),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("previous_hash", _TEXT, nullable=False),
        sa.Column("hash", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_audit_records"),
        sa.UniqueConstraint("stream", "sequence", name="uq_audit_records_stream_sequence"),
    )
    op.create_index("ix_audit_records_action", "audit_records", ["action", "time", "pk"], unique=False)
    op.create_index("ix_audit_records_initiator", "audit_records", ["initiator", "time", "pk"], unique=False)
    op.create_index(
        "ix_audit_records_outcome",
        "audit_records",
        ["outcome", "time", "pk"],
        unique=False,
        sqlite_where=sa.text("outcome != 'success'"),
        postgresql_where=sa.text("outcome != 'success'"),
    )
    op.create_index("ix_audit_records_request_id", "audit_records", ["request_id", "time", "pk"], unique=False)
    op.create_index("ix_audit_records_target_id", "audit_records", ["target_id", "time", "pk"], unique=False)
    op.create_index("ix_audit_records_time", "audit_records", ["time", "pk"], unique=False)
    op.create_table(
        "events",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("event_type", _TEXT, nullable=False),
        sa.Column("sub_type", _TEXT, nullable=False),
        sa.Column("secret_id", _TEXT, nullable=True),
        sa.Column("group_id", _TEXT, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("payload", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_events"),
    )
    op.create_index("ix_events_at", "events", ["at", "pk"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("dedupe_key", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("step", _TEXT, nullable=False),
        sa.Column("data", _TEXT, nullable=False),
        sa.Column("secret_id", _TEXT, nullable=True),
        sa.Column("group_id", _TEXT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("waiting_for", _TEXT, nullable=True),
        sa.Column("last_error", _TEXT, nullable=True),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", _TEXT, nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("result", _TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
    )
    op.create_index(
        "ix_jobs_due", "jobs", ["run_at", "pk"], unique=False, sqlite_where=_OPEN_JOB, postgresql_where=_OPEN_JOB
    )
    op.create_index(
        "ix_jobs_ended",
        "jobs",
        ["updated_at", "pk"],
        unique=False,
        sqlite_where=_ENDED_JOB,
        postgresql_where=_ENDED_JOB,
    )
    op.create_index("ix_jobs_group_id", "jobs", ["group_id", "pk"], unique=False)
    op.create_index("ix_jobs_kind", "jobs", ["kind", "pk"], unique=False)
    op.create_index("ix_jobs_secret_id", "jobs", ["secret_id", "pk"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state", "pk"], unique=False)
    op.create_index(
        "uq_jobs_dedupe_key", "jobs", ["dedupe_key"], unique=True, sqlite_where=_OPEN_JOB, postgresql_where=_OPEN_JOB
    )


def _create_server() -> None:
    op.create_table(
        "configurations",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("config_type", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("document", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name="pk_configurations"),
        sa.UniqueConstraint("id", name="uq_configurations_id"),
        sa.UniqueConstraint("kind", "name", name="uq_configurations_kind_name"),
    )
    op.create_index("ix_configurations_config_type", "configurations", ["config_type", "pk"], unique=False)
    op.create_index("ix_configurations_name", "configurations", ["name", "pk"], unique=False)
    op.create_table(
        "instance",
        sa.Column("pk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("account_id", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_instance"),
    )
    op.create_table(
        "keys",
        sa.Column("pk", _BIG, sa.Identity(always=False), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("master_key_id", _TEXT, nullable=False),
        sa.Column("public", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_keys"),
        sa.UniqueConstraint("kind", "id", name="uq_keys_kind_id"),
    )
