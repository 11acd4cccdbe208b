"""Every table, once, for migrations, statements and backups.

Portable types only. ``pk`` grows with creation; the id that the API shows lies beside it, unique.
Instants are microseconds since the epoch, UTC. JSON is text that the repositories encode, because rows
are used as the driver gives them. Text sorts by bytes on both databases. What is sealed stands last in
its row, so that reading what stands before it never walks the pages of a big payload.

Lists. A secret's group and type are also small numbers (``group_no``, ``type_no``) that never change,
so that every index a list walks can carry them and a filtered walk never leaves the index. Keys that
may be missing are indexed twice, with the missing ones last in either direction.

One module in spite of its length: a table is understood beside those it refers to.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)

NEVER_MAX: Final = 9223372036854775807
"""What a missing instant counts as where the earliest come first."""
NEVER_MIN: Final = -1
"""What a missing instant counts as where the latest come first."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives row numbers only to a key of the type INTEGER.
_BIG = BigInteger().with_variant(Integer, "sqlite")
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def _pk() -> Column[int]:
    return Column("pk", _BIG, Identity(), primary_key=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, _TEXT, nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _int(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean(create_constraint=False), nullable=False)


def _bytes(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


# The same to the databases: the name tells which columns need the keyring.
_sealed = _bytes


def with_missing(column: ColumnElement[Any], *, last_descending: bool) -> ColumnElement[int]:
    """Return what lists sort by where an instant may be missing: last in the direction that is asked for."""
    return func.coalesce(column, literal_column(str(NEVER_MIN if last_descending else NEVER_MAX)))


instance = Table(
    "instance",
    metadata,
    Column("pk", Integer, primary_key=True, autoincrement=False),  # always 1
    _text("id"),
    _text("account_id"),
    _instant("created_at"),
)

keys = Table(
    "keys",
    metadata,
    _pk(),
    _text("id"),
    _text("kind"),
    _flag("active"),
    _text("master_key_id"),
    _text("public"),
    _instant("created_at"),
    _sealed("blob"),
    UniqueConstraint("kind", "id"),
)

secret_groups = Table(
    "secret_groups",
    metadata,
    _pk(),
    _text("id"),
    _text("name"),
    _text("description"),
    _instant("created_at"),
    _text("created_by"),
    _instant("updated_at"),
    UniqueConstraint("id"),
    UniqueConstraint("name"),
)

secrets = Table(
    "secrets",
    metadata,
    _pk(),
    _text("id"),
    Column("type_no", SmallInteger, nullable=False),
    Column("group_no", _BIG, ForeignKey("secret_groups.pk"), nullable=False),
    _text("group_id"),
    _text("name"),
    _text("description"),
    _text("labels"),
    _text("custom_metadata", nullable=True),
    _text("attributes"),
    _text("rotation", nullable=True),
    _text("warnings"),
    _int("state"),
    _instant("created_at"),
    _text("created_by"),
    _instant("updated_at"),
    _instant("retrieved_at", nullable=True),
    _flag("downloaded"),
    _instant("expires_at", nullable=True),
    _instant("next_rotation_at", nullable=True),
    _text("rotation_status"),
    _int("versions_total"),
    _int("versions_made"),
    _int("locks_total"),
    _text("current_version_id", nullable=True),
    _text("previous_version_id", nullable=True),
    _int("row_version"),
    _sealed("private_state", nullable=True),
    _instant("notice_at", nullable=True),  # added later, so it stands behind; when to look whether to tell of its end
    UniqueConstraint("id"),
)
_s = secrets.c
# One index per order of the list; each goes on in creation order and carries what lists filter by. Those of an
# expression carry its column too: without it the databases would look the row up to be sure.
Index("ix_secrets_newest", _s.pk, _s.group_no, _s.type_no)
Index("ix_secrets_group", _s.group_no, _s.pk, _s.type_no)
Index("ix_secrets_type", _s.type_no, _s.pk, _s.group_no)
Index("uq_secrets_type_name", _s.type_no, _s.name, unique=True)
Index("ix_secrets_by_id", _s.id, _s.pk, _s.group_no, _s.type_no)
Index("ix_secrets_by_name", _s.name, _s.pk, _s.group_no, _s.type_no)
Index("ix_secrets_by_created_at", _s.created_at, _s.pk, _s.group_no, _s.type_no)
Index("ix_secrets_by_updated_at", _s.updated_at, _s.pk, _s.group_no, _s.type_no)
Index(
    "ix_secrets_expires_up",
    with_missing(_s.expires_at, last_descending=False),
    _s.pk,
    _s.group_no,
    _s.type_no,
    _s.expires_at,
)
Index(
    "ix_secrets_expires_down",
    with_missing(_s.expires_at, last_descending=True),
    _s.pk,
    _s.group_no,
    _s.type_no,
    _s.expires_at,
)
Index(
    "ix_secrets_retrieved_up",
    with_missing(_s.retrieved_at, last_descending=False),
    _s.pk,
    _s.group_no,
    _s.type_no,
    _s.retrieved_at,
)
Index(
    "ix_secrets_retrieved_down",
    with_missing(_s.retrieved_at, last_descending=True),
    _s.pk,
    _s.group_no,
    _s.type_no,
    _s.retrieved_at,
)
# When a secret expires depends on its type more than on anything else: walked alone, the indexes above
# could pass everything else before the first match.
Index(
    "ix_secrets_type_expires_up",
    _s.type_no,
    with_missing(_s.expires_at, last_descending=False),
    _s.pk,
    _s.group_no,
    _s.expires_at,
)
Index(
    "ix_secrets_type_expires_down",
    _s.type_no,
    with_missing(_s.expires_at, last_descending=True),
    _s.pk,
    _s.group_no,
    _s.expires_at,
)
# Due work. The conditions are spelt out, because a partial index serves only the statement that repeats them.
is_expiring = _s.expires_at.is_not(None) & (_s.state == literal_column("1"))
is_rotating = _s.next_rotation_at.is_not(None) & _s.state.in_([literal_column("1"), literal_column("5")])
Index("ix_secrets_due_for_expiry", _s.expires_at, _s.pk, sqlite_where=is_expiring, postgresql_where=is_expiring)
has_notice = _s.notice_at.is_not(None)
Index("ix_secrets_due_for_notice", _s.notice_at, _s.pk, sqlite_where=has_notice, postgresql_where=has_notice)
Index("ix_secrets_due_for_rotation", _s.next_rotation_at, _s.pk, sqlite_where=is_rotating, postgresql_where=is_rotating)
is_in_trouble = _s.rotation_status.in_([literal_column("'failed'"), literal_column("'blocked'")]) & _s.state.in_(
    [literal_column("1"), literal_column("5")]
)
Index(
    "ix_secrets_in_trouble",
    _s.rotation_status,
    _s.type_no,
    _s.pk,
    sqlite_where=is_in_trouble,
    postgresql_where=is_in_trouble,
)

secret_counts = Table(
    "secret_counts",
    metadata,
    Column("group_no", _BIG, ForeignKey("secret_groups.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("type_no", SmallInteger, primary_key=True, autoincrement=False),
    Column("total", BigInteger, nullable=False),
)

secret_labels = Table(
    "secret_labels",
    metadata,
    Column("label", _TEXT, primary_key=True),
    Column("secret_pk", _BIG, ForeignKey("secrets.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("group_no", _BIG, nullable=False),
    Column("type_no", SmallInteger, nullable=False),
    Index("ix_secret_labels_secret_pk", "secret_pk"),
    sqlite_with_rowid=False,
)

secret_search = Table(
    "secret_search",
    metadata,
    # The text that `search` looks through. Its trigram index is made by the migration: an FTS5 table
    # on SQLite (`secret_trigrams`, kept in step by the store), a GIN index on PostgreSQL.
    Column("pk", _BIG, ForeignKey("secrets.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("group_no", _BIG, nullable=False),
    Column("type_no", SmallInteger, nullable=False),
    _text("text"),
)

versions = Table(
    "versions",
    metadata,
    _pk(),
    _text("id"),
    Column("secret_pk", _BIG, ForeignKey("secrets.pk", ondelete="CASCADE"), nullable=False),
    _int("number"),
    _instant("created_at"),
    _text("created_by"),
    _flag("auto_rotated"),
    _flag("downloaded"),
    _flag("payload_available"),
    _instant("expires_at", nullable=True),
    _text("attributes"),
    _text("custom_metadata", nullable=True),
    _sealed("sealed", nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("secret_pk", "number"),
)

locks = Table(
    "locks",
    metadata,
    _pk(),
    Column("secret_pk", _BIG, ForeignKey("secrets.pk", ondelete="CASCADE"), nullable=False),
    Column("version_pk", _BIG, ForeignKey("versions.pk", ondelete="CASCADE"), nullable=False),
    Column("group_no", _BIG, nullable=False),
    _text("name"),
    _text("folded_name"),
    _text("description", nullable=True),
    _text("attributes", nullable=True),
    _instant("created_at"),
    _instant("updated_at"),
    _text("created_by"),
    UniqueConstraint("version_pk", "name"),
    Index("ix_locks_secret", "secret_pk", "group_no", "folded_name"),
)

configurations = Table(
    "configurations",
    metadata,
    _pk(),
    _text("id"),
    _text("kind"),
    _text("config_type"),
    _text("name"),
    _text("document"),
    _instant("created_at"),
    _text("created_by"),
    _instant("updated_at"),
    _int("row_version"),
    _sealed("sealed", nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("kind", "name"),
    Index("ix_configurations_config_type", "config_type", "pk"),
    Index("ix_configurations_name", "name", "pk"),
)

authorities = Table(
    "authorities",
    metadata,
    _pk(),
    _text("id"),
    Column("configuration_pk", _BIG, ForeignKey("configurations.pk", ondelete="CASCADE"), nullable=False),
    _int("generation"),
    _text("serial", nullable=True),
    _text("issuer", nullable=True),  # no foreign key: after a rotation a parent may be younger than its child
    _text("external_key", nullable=True),
    _text("key_id"),
    _instant("not_before", nullable=True),
    _instant("not_after", nullable=True),
    _instant("revoked_at", nullable=True),
    _instant("created_at"),
    Column("crl_number", BigInteger, nullable=False),
    Column("crl_wanted", BigInteger, nullable=False),
    _bytes("certificate", nullable=True),
    _text("chain"),
    _bytes("csr", nullable=True),
    _sealed("sealed_key", nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("configuration_pk", "generation"),
)

issued_certificates = Table(
    "issued_certificates",
    metadata,
    _pk(),
    Column("configuration_pk", _BIG, ForeignKey("configurations.pk", ondelete="CASCADE"), nullable=False),
    Column("authority_pk", _BIG, ForeignKey("authorities.pk", ondelete="CASCADE"), nullable=False),
    _text("serial"),
    _text("kind"),
    Column("secret_pk", _BIG, ForeignKey("secrets.pk", ondelete="SET NULL"), nullable=True),
    _text("version_id", nullable=True),
    _text("template_id", nullable=True),  # no foreign key: who issued what outlives the template
    _text("child_id", nullable=True),  # nor here: it outlives the child, too
    _instant("issued_at"),
    _instant("not_after"),
    _instant("revoked_at", nullable=True),
    _bytes("crl_entry", nullable=True),
    UniqueConstraint("configuration_pk", "serial"),
    Index("ix_issued_certificates_authority", "authority_pk", "kind"),
    Index("ix_issued_certificates_not_after", "not_after", "pk"),
)
_i = issued_certificates.c
# It holds a whole revocation list in its order: building one reads nothing else, however old the certificates are.
is_revoked = _i.revoked_at.is_not(None)
Index(
    "ix_issued_certificates_revoked",
    _i.authority_pk,
    _i.revoked_at,
    _i.pk,
    _i.not_after,
    _i.crl_entry,
    sqlite_where=is_revoked,
    postgresql_where=is_revoked,
)
_is_of_secret = _i.secret_pk.is_not(None)
Index("ix_issued_certificates_secret", _i.secret_pk, sqlite_where=_is_of_secret, postgresql_where=_is_of_secret)
Index(
    "ix_issued_certificates_template",
    _i.template_id,
    _i.secret_pk,
    sqlite_where=_is_of_secret,
    postgresql_where=_is_of_secret,
)

crls = Table(
    "crls",
    metadata,
    Column(
        "authority_pk", _BIG, ForeignKey("authorities.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("number", BigInteger, nullable=False),
    Column("covers", BigInteger, nullable=False),
    _instant("this_update"),
    _instant("next_update"),
    _bytes("der"),
)

ocsp_signers = Table(
    "ocsp_signers",
    metadata,
    Column(
        "authority_pk", _BIG, ForeignKey("authorities.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    _text("serial"),
    _instant("not_before"),
    _instant("not_after"),
    _bytes("certificate"),
    _sealed("sealed_key"),
)

users = Table(
    "users",
    metadata,
    _pk(),
    _text("iam_id"),
    _text("name"),
    _text("email", nullable=True),
    _text("origin"),
    _text("state"),
    _text("password_hash", nullable=True),
    _instant("created_at"),
    _instant("last_login_at", nullable=True),
    UniqueConstraint("iam_id"),
    UniqueConstraint("name"),
)

service_ids = Table(
    "service_ids",
    metadata,
    _pk(),
    _text("id"),
    _text("iam_id"),
    _text("name"),
    _text("description", nullable=True),
    _text("entity_tag"),
    _flag("locked"),
    _instant("created_at"),
    _instant("modified_at"),
    UniqueConstraint("id"),
    UniqueConstraint("iam_id"),
    Index("ix_service_ids_name", "name", "pk"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _pk(),
    _text("id"),
    _text("iam_id"),
    _text("name"),
    _text("description", nullable=True),
    _text("digest"),
    _text("entity_tag"),
    _flag("disabled"),
    _flag("locked"),
    _instant("expires_at", nullable=True),
    _text("allowed_networks"),
    _instant("created_at"),
    _text("created_by"),
    _instant("modified_at"),
    _instant("last_used_at", nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("digest"),
    Index("ix_api_keys_iam_id", "iam_id", "pk"),
)

policies = Table(
    "policies",
    metadata,
    _pk(),
    _text("id"),
    _text("subject_kind"),
    _text("subject"),
    _text("roles"),
    _text("group_id", nullable=True),
    _text("description", nullable=True),
    _text("document"),
    _text("entity_tag"),
    _instant("created_at"),
    _text("created_by"),
    _instant("modified_at"),
    _text("modified_by"),
    UniqueConstraint("id"),
    Index("ix_policies_subject", "subject", "subject_kind", "pk"),
    Index("ix_policies_group_id", "group_id", "pk"),
)

access_groups = Table(
    "access_groups",
    metadata,
    _pk(),
    _text("id"),
    _text("name"),
    _text("description", nullable=True),
    _text("oidc_groups"),
    _text("entity_tag"),
    _instant("created_at"),
    _text("created_by"),
    _instant("modified_at"),
    _text("modified_by"),
    UniqueConstraint("id"),
    UniqueConstraint("name"),
)

access_group_members = Table(
    "access_group_members",
    metadata,
    _pk(),
    Column("group_pk", _BIG, ForeignKey("access_groups.pk", ondelete="CASCADE"), nullable=False),
    _text("iam_id"),
    _text("type"),
    _instant("created_at"),
    _text("created_by"),
    UniqueConstraint("group_pk", "iam_id"),
    Index("ix_access_group_members_iam_id", "iam_id", "group_pk"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    _pk(),
    _text("digest"),
    _text("iam_id"),
    _text("api_key_id"),
    _instant("expires_at"),
    UniqueConstraint("digest"),
    Index("ix_refresh_tokens_expires_at", "expires_at"),
    Index("ix_refresh_tokens_api_key_id", "api_key_id"),
)

identity_generation = Table(
    "identity_generation",
    metadata,
    Column("pk", Integer, primary_key=True, autoincrement=False),  # always 1; the migration puts the row there
    Column("generation", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    _pk(),
    _text("id"),
    _text("kind"),
    _text("dedupe_key"),
    _text("state"),
    _text("step"),
    _text("data"),
    _text("secret_id", nullable=True),
    _text("group_id", nullable=True),
    _int("attempts"),
    _text("waiting_for", nullable=True),
    _text("last_error", nullable=True),
    _instant("run_at"),
    _text("lease_owner", nullable=True),
    _instant("lease_until", nullable=True),
    Column("fence", BigInteger, nullable=False),
    _text("result", nullable=True),
    _instant("created_at"),
    _instant("updated_at"),
    UniqueConstraint("id"),
)
_j = jobs.c
OPEN_JOB_STATES: Final = ("queued", "running", "waiting")
is_open_job = _j.state.in_([literal_column(f"'{state}'") for state in OPEN_JOB_STATES])
is_ended_job = _j.state.not_in([literal_column(f"'{state}'") for state in OPEN_JOB_STATES])
Index("uq_jobs_dedupe_key", _j.dedupe_key, unique=True, sqlite_where=is_open_job, postgresql_where=is_open_job)
Index("ix_jobs_due", _j.run_at, _j.pk, sqlite_where=is_open_job, postgresql_where=is_open_job)
Index("ix_jobs_ended", _j.updated_at, _j.pk, sqlite_where=is_ended_job, postgresql_where=is_ended_job)
Index("ix_jobs_kind", _j.kind, _j.pk)
Index("ix_jobs_state", _j.state, _j.pk)
Index("ix_jobs_secret_id", _j.secret_id, _j.pk)
Index("ix_jobs_group_id", _j.group_id, _j.pk)

audit_records = Table(
    "audit_records",
    metadata,
    _pk(),
    _text("stream"),
    Column("sequence", BigInteger, nullable=False),
    _instant("time"),
    _text("initiator"),
    _text("action"),
    _text("target_id", nullable=True),
    _text("outcome"),
    _text("request_id", nullable=True),
    _text("body"),
    _text("previous_hash"),
    _text("hash"),
    UniqueConstraint("stream", "sequence"),
)
_a = audit_records.c
# Nearly everything succeeds: what did not is what people look for, and the only part worth an index.
is_not_success = _a.outcome != literal_column("'success'")
Index("ix_audit_records_time", _a.time, _a.pk)
Index("ix_audit_records_initiator", _a.initiator, _a.time, _a.pk)
Index("ix_audit_records_action", _a.action, _a.time, _a.pk)
Index("ix_audit_records_target_id", _a.target_id, _a.time, _a.pk)
Index("ix_audit_records_request_id", _a.request_id, _a.time, _a.pk)
Index(
    "ix_audit_records_outcome",
    _a.outcome,
    _a.time,
    _a.pk,
    sqlite_where=is_not_success,
    postgresql_where=is_not_success,
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    _pk(),
    _instant("time"),
    Column("after_pk", BigInteger, nullable=False),  # the newest record then: its place in an export
    _text("body"),
    _text("signature"),
    _text("public_key"),
    Index("ix_audit_checkpoints_time", "time", "pk"),
)

events = Table(
    "events",
    metadata,
    _pk(),
    _text("event_type"),
    _text("sub_type"),
    _text("secret_id", nullable=True),
    _text("group_id", nullable=True),
    _instant("at"),
    _text("payload"),
    _instant("noticed_at", nullable=True),  # when it went into a notice, or nobody wanted to hear of it
    Index("ix_events_at", "at", "pk"),
)
is_waiting_event = events.c.noticed_at.is_(None)
Index("ix_events_waiting", events.c.pk, sqlite_where=is_waiting_event, postgresql_where=is_waiting_event)

orders = Table(
    "orders",
    metadata,
    _pk(),
    _text("id"),  # of its job; no foreign key: records are cleaned up after jobs are forgotten
    _text("secret_id"),  # nor here: an order outlives its secret until nothing of it is left in anybody's zone
    _text("state"),
    _text("names_key"),
    _flag("has_records"),
    _instant("created_at"),
    _instant("updated_at"),
    _int("row_version"),
    _text("document"),
    _sealed("sealed_key", nullable=True),
    UniqueConstraint("id"),
    Index("ix_orders_secret_id", "secret_id", "pk"),
)
_o = orders.c
is_open_order = _o.state == literal_column("'open'")
is_left_order = (_o.state != literal_column("'open'")) & _o.has_records
is_ended_order = (_o.state != literal_column("'open'")) & ~_o.has_records
Index("uq_orders_open_names_key", _o.names_key, unique=True, sqlite_where=is_open_order, postgresql_where=is_open_order)
Index("uq_orders_open_secret_id", _o.secret_id, unique=True, sqlite_where=is_open_order, postgresql_where=is_open_order)
Index("ix_orders_open", _o.pk, _o.id, _o.secret_id, sqlite_where=is_open_order, postgresql_where=is_open_order)
Index("ix_orders_with_records", _o.pk, _o.id, sqlite_where=is_left_order, postgresql_where=is_left_order)
Index("ix_orders_ended", _o.updated_at, _o.pk, sqlite_where=is_ended_order, postgresql_where=is_ended_order)

ca_uses = Table(
    "ca_uses",
    metadata,
    _pk(),
    _text("ca_key"),
    _text("kind"),
    _text("subject"),
    _instant("at"),
    Index("ix_ca_uses_subject", "ca_key", "kind", "subject", "at"),
    Index("ix_ca_uses_at", "at", "pk"),
)

renewal_checks = Table(
    "renewal_checks",
    metadata,
    Column("secret_pk", _BIG, ForeignKey("secrets.pk", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _text("version_id"),
    _instant("check_at"),
    _instant("window_start", nullable=True),
    _instant("window_end", nullable=True),
    _text("explanation_url", nullable=True),
    _instant("renew_at", nullable=True),
    _int("failures"),
    Index("ix_renewal_checks_check_at", "check_at", "secret_pk"),
)

notification_registration = Table(
    "notification_registration",
    metadata,
    Column("pk", Integer, primary_key=True, autoincrement=False),  # always 1
    _text("instance_crn"),
    _text("source_name"),
    _text("source_description"),
    _instant("created_at"),
    _text("created_by"),
)

notification_destinations = Table(
    "notification_destinations",
    metadata,
    _pk(),
    _text("id"),
    _text("name"),
    _text("destination_type"),
    _flag("enabled"),
    _text("document"),
    _instant("created_at"),
    _text("created_by"),
    _instant("updated_at"),
    _int("row_version"),
    _sealed("sealed", nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("name"),
)

notification_deliveries = Table(
    "notification_deliveries",
    metadata,
    _pk(),
    _text("id"),
    Column(
        "destination_pk",
        _BIG,
        ForeignKey("notification_destinations.pk", ondelete="CASCADE", name="fk_notification_deliveries_destination"),
        nullable=False,
    ),
    _text("event_type"),
    _text("event_id"),
    _text("state"),
    _int("attempt"),
    Column("answer_code", Integer, nullable=True),
    _text("message"),
    _instant("created_at"),
    _instant("sent_at", nullable=True),
    _instant("next_try_at", nullable=True),
    _instant("ended_at", nullable=True),
    _text("payload", nullable=True),
    UniqueConstraint("id"),
    Index("ix_notification_deliveries_tried", "destination_pk", "sent_at", "pk"),
)
_d = notification_deliveries.c
is_open_delivery = _d.ended_at.is_(None)
is_ended_delivery = _d.ended_at.is_not(None)
Index(
    "ix_notification_deliveries_open",
    _d.destination_pk,
    _d.next_try_at,
    _d.pk,
    sqlite_where=is_open_delivery,
    postgresql_where=is_open_delivery,
)
Index(
    "ix_notification_deliveries_ended",
    _d.ended_at,
    _d.pk,
    sqlite_where=is_ended_delivery,
    postgresql_where=is_ended_delivery,
)
