"""Secrets, with their labels, search text and counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from strongroom.domain.secrets.model import (
    CERTIFICATE_TYPES,
    RenewalQuery,
    Secret,
    SecretQuery,
    SecretType,
    StoredPayload,
)
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import GroupId, SecretId
from strongroom.kernel.result import Page
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection, DuplicateRow, Row
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.renewals import renewals_page
from strongroom.storage.repositories.rows import (
    SECRET_COLUMNS,
    TYPE_NUMBERS,
    TYPES,
    VERSION_COLUMNS,
    instant_of,
    search_text,
    secret_of,
    secret_parameters,
    version_of,
)
from strongroom.storage.repositories.secret_lists import SecretLists
from strongroom.storage.statements import (
    Statement,
    bucket,
    insert_into,
    insert_unless_there,
    one_of,
    sa,
    spread,
    tables,
)


def secret_columns() -> list[sa.ColumnElement[Any]]:
    """Return what `secret_of` reads."""
    return [tables.secrets.c[name] for name in SECRET_COLUMNS]


_FIND: Final = Statement(
    "secrets.find",
    lambda _: sa.select(*secret_columns()).where(tables.secrets.c.id == sa.bindparam("id")),
)
_FIND_FOR_UPDATE: Final = Statement(
    "secrets.find_for_update",
    lambda _: sa.select(*secret_columns()).where(tables.secrets.c.id == sa.bindparam("id")).with_for_update(),
)
_FIND_BY_NAME: Final = Statement(
    "secrets.find_by_name",
    lambda _: sa.select(*secret_columns()).where(
        tables.secrets.c.type_no == sa.bindparam("type_no"), tables.secrets.c.name == sa.bindparam("name")
    ),
)
_FIND_CURRENT: Final = Statement(
    "secrets.find_current",
    lambda _: (
        sa.select(*secret_columns(), *(tables.versions.c[name] for name in VERSION_COLUMNS), tables.versions.c.sealed)
        .join_from(tables.secrets, tables.versions, tables.versions.c.id == tables.secrets.c.current_version_id)
        .where(tables.secrets.c.id == sa.bindparam("id"))
    ),
)
_HAS_NAME: Final = Statement(
    "secrets.has_name",
    lambda _: sa.select(tables.secrets.c.id).where(
        tables.secrets.c.type_no == sa.bindparam("type_no"), tables.secrets.c.name == sa.bindparam("name")
    ),
)
_GROUP: Final = Statement(
    "secrets.group",
    lambda _: sa.select(tables.secret_groups.c.pk).where(tables.secret_groups.c.id == sa.bindparam("id")),
)
_GROUPS: Final = Statement("secrets.groups", lambda _: sa.select(tables.secret_groups.c.pk, tables.secret_groups.c.id))
_COUNTS: Final = Statement(
    "secrets.counts",
    lambda _: sa.select(tables.secret_counts.c.group_no, tables.secret_counts.c.type_no, tables.secret_counts.c.total),
)
_ADD: Final = Statement("secrets.add", lambda _: insert_unless_there(tables.secrets).returning(tables.secrets.c.pk))
_ADD_LABEL: Final = Statement("secrets.add_label", lambda _: insert_unless_there(tables.secret_labels, without=()))
_REMOVE_LABELS: Final = Statement(
    "secrets.remove_labels",
    lambda _: sa.delete(tables.secret_labels).where(tables.secret_labels.c.secret_pk == sa.bindparam("secret_pk")),
)
_ADD_TEXT: Final = Statement("secrets.add_text", lambda _: insert_into(tables.secret_search, without=()))
_SAVE_TEXT: Final = Statement(
    "secrets.save_text",
    lambda _: (
        sa.update(tables.secret_search)
        .where(tables.secret_search.c.pk == sa.bindparam("secret_pk"))
        .values(text=sa.bindparam("text"))
    ),
)
_STORED: Final = Statement(
    "secrets.stored",
    lambda _: (
        sa.select(
            tables.secrets.c.pk,
            tables.secrets.c.group_no,
            tables.secrets.c.type_no,
            tables.secrets.c.name,
            tables.secrets.c.labels,
            tables.secret_search.c.text,
        )
        .join_from(tables.secrets, tables.secret_search, tables.secret_search.c.pk == tables.secrets.c.pk)
        .where(tables.secrets.c.id == sa.bindparam("id"))
    ),
)
_SAVED_COLUMNS: Final = (
    "name",
    "description",
    "labels",
    "custom_metadata",
    "attributes",
    "rotation",
    "warnings",
    "state",
    "updated_at",
    "expires_at",
    "next_rotation_at",
    "rotation_status",
    "versions_total",
    "versions_made",
    "locks_total",
    "current_version_id",
    "previous_version_id",
    "private_state",
)


def _build_save(_: str) -> sa.Executable:
    secrets = tables.secrets.c
    # Reads of the payload mark `downloaded` beside us: only another current version resets it.
    downloaded = sa.case(
        (
            secrets.current_version_id.is_distinct_from(sa.bindparam("current_version_id", type_=sa.Text)),
            sa.bindparam("downloaded", type_=sa.Boolean),
        ),
        else_=secrets.downloaded,
    )
    # People hear of each end once, and of the end of each certificate, though it may be the same instant.
    ends_anew = secrets.expires_at.is_distinct_from(sa.bindparam("expires_at", type_=sa.BigInteger)) | (
        secrets.type_no.in_([sa.literal_column(str(TYPE_NUMBERS[type_])) for type_ in sorted(CERTIFICATE_TYPES)])
        & secrets.current_version_id.is_distinct_from(sa.bindparam("current_version_id", type_=sa.Text))
    )
    return (
        sa.update(tables.secrets)
        .where(secrets.id == sa.bindparam("secret_id"), secrets.row_version == sa.bindparam("expected"))
        .values(
            downloaded=downloaded,
            notice_at=sa.case((ends_anew, sa.bindparam("notice_at", type_=sa.BigInteger)), else_=secrets.notice_at),
            row_version=secrets.row_version + sa.literal_column("1"),
            **{name: sa.bindparam(name) for name in _SAVED_COLUMNS},
        )
        .returning(secrets.row_version, secrets.retrieved_at, secrets.downloaded)
    )


_SAVE: Final = Statement("secrets.save", _build_save)
_REMOVE: Final = Statement(
    "secrets.remove", lambda _: sa.delete(tables.secrets).where(tables.secrets.c.pk == sa.bindparam("secret_pk"))
)


def _has_no_job() -> sa.ColumnElement[bool]:
    """Return the condition that no job of a kind works on a secret, or waits to: those that wait are left out."""
    key = sa.bindparam("prefix", type_=sa.Text) + tables.secrets.c.id
    return ~sa.exists().where(tables.is_open_job, tables.jobs.c.dedupe_key == key)


_DUE_FOR_EXPIRY: Final = Statement(
    "secrets.due_for_expiry",
    lambda _: (
        sa.select(tables.secrets.c.id)
        .where(tables.is_expiring, tables.secrets.c.expires_at <= sa.bindparam("now"), _has_no_job())
        .order_by(tables.secrets.c.expires_at, tables.secrets.c.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    ),
)
_DUE_FOR_NOTICE: Final = Statement(
    "secrets.due_for_notice",
    lambda _: (
        sa.select(tables.secrets.c.id)
        .where(tables.has_notice, tables.secrets.c.notice_at <= sa.bindparam("now"))
        .order_by(tables.secrets.c.notice_at, tables.secrets.c.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    ),
)
_SET_NOTICE: Final = Statement(
    "secrets.set_notice",
    lambda _: (
        sa.update(tables.secrets)
        .where(tables.secrets.c.id == sa.bindparam("secret_id"))
        .values(notice_at=sa.bindparam("at", type_=sa.BigInteger))
    ),
)
_DUE_FOR_ROTATION: Final = Statement(
    "secrets.due_for_rotation",
    lambda _: (
        sa.select(tables.secrets.c.id)
        .where(tables.is_rotating, tables.secrets.c.next_rotation_at <= sa.bindparam("now"), _has_no_job())
        .order_by(tables.secrets.c.next_rotation_at, tables.secrets.c.pk)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    ),
)


@cache
def _find_many(size: int) -> Statement:
    return Statement(
        f"secrets.find_many.{size}",
        lambda _: sa.select(*secret_columns()).where(one_of(tables.secrets.c.id, "id", size)),
    )


class SqlSecrets:
    """Implements `strongroom.domain.ports.SecretRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def find(self, secret_id: SecretId) -> Secret | None:
        """Return the secret."""
        row = self._connection.row(_FIND, id=secret_id)
        return None if row is None else secret_of(row)

    def find_for_update(self, secret_id: SecretId) -> Secret | None:
        """Read it so that no other unit changes it before this one commits."""
        row = self._connection.row(_FIND_FOR_UPDATE, id=secret_id)
        return None if row is None else secret_of(row)

    def find_many(self, secret_ids: Sequence[SecretId]) -> Mapping[SecretId, Secret]:
        """Return those that are there."""
        if not secret_ids:
            return {}
        rows = self._connection.rows(_find_many(bucket(len(secret_ids))), **spread("id", secret_ids))
        return {secret.id: secret for secret in map(secret_of, rows)}

    def find_by_name(self, secret_type: SecretType, name: str) -> Secret | None:
        """Return the secret of this type and name."""
        row = self._connection.row(_FIND_BY_NAME, type_no=TYPE_NUMBERS[secret_type], name=name)
        return None if row is None else secret_of(row)

    def find_current(self, secret_id: SecretId) -> StoredPayload | None:
        """Read a secret with its current version and sealed payload in one statement."""
        row = self._connection.row(_FIND_CURRENT, id=secret_id)
        if row is None:
            return None
        secret = secret_of(row)
        return StoredPayload(secret=secret, version=version_of(row, secret.id, _VERSION_AT), sealed=row[-1])

    def page(self, query: SecretQuery) -> Page[Secret]:
        """Return one page of a list, with its exact total."""
        return SecretLists(self._connection, self._pending).page(query)

    def count_in_group(self, group_id: GroupId) -> int:
        """Return how many secrets the group has."""
        return sum(total for (group, _), total in self.counts().items() if group == group_id)

    def counts(self) -> dict[tuple[GroupId, SecretType], int]:
        """Return the number of secrets per group and type, from counters."""
        groups = {int(pk): GroupId(id_) for pk, id_ in self._connection.rows(_GROUPS)}
        return {
            (groups[group_no], TYPES[type_no]): total
            for group_no, type_no, total in self._numbered_counts()
            if group_no in groups and total > 0
        }

    def due_for_expiry(self, now: datetime, limit: int, *, unless_job: str) -> Sequence[SecretId]:
        """Return active secrets whose ``expires_at`` has passed and that no job is there for, soonest first."""
        rows = self._connection.rows(_DUE_FOR_EXPIRY, now=to_microseconds(now), limit=limit, prefix=f"{unless_job}:")
        return [SecretId(row[0]) for row in rows]

    def due_for_notice(self, now: datetime, limit: int) -> Sequence[SecretId]:
        """Return secrets whose next look for a notice of their end is due, longest due first."""
        rows = self._connection.rows(_DUE_FOR_NOTICE, now=to_microseconds(now), limit=limit)
        return [SecretId(row[0]) for row in rows]

    def set_notice(self, secret_id: SecretId, at: datetime | None) -> None:
        """Say when to look next; it is no change of the secret."""
        self._connection.run(_SET_NOTICE, secret_id=secret_id, at=None if at is None else to_microseconds(at))

    def due_for_rotation(self, now: datetime, limit: int, *, unless_job: str) -> Sequence[SecretId]:
        """Return active or expired secrets whose ``next_rotation_at`` has passed and that no job is there for.

        Soonest first.
        """
        rows = self._connection.rows(_DUE_FOR_ROTATION, now=to_microseconds(now), limit=limit, prefix=f"{unless_job}:")
        return [SecretId(row[0]) for row in rows]

    def renewals(self, query: RenewalQuery) -> Page[tuple[Secret, datetime]]:
        """Return active or expired secrets that have a ``next_rotation_at``, with it, soonest first."""
        return renewals_page(self._connection, query)

    def add(self, secret: Secret) -> None:
        """Store a new secret.

        Raises:
            Conflict: ``already_exists`` if the type has one of this name.
            NotFound: its group is not there.
        """
        group = self._connection.row(_GROUP, id=secret.group_id)
        if group is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no secret group {secret.group_id}.")
        group_no, type_no = int(group[0]), TYPE_NUMBERS[secret.secret_type]
        row = self._connection.row(
            _ADD,
            id=secret.id,
            type_no=type_no,
            group_no=group_no,
            group_id=secret.group_id,
            created_at=to_microseconds(secret.created_at),
            created_by=secret.created_by,
            retrieved_at=None if secret.retrieved_at is None else to_microseconds(secret.retrieved_at),
            row_version=secret.row_version,
            **secret_parameters(secret),
        )
        if row is None:
            raise _taken(secret.name)
        pk = int(row[0])
        text = search_text(secret)
        self._connection.run(_ADD_TEXT, pk=pk, group_no=group_no, type_no=type_no, text=text)
        self._add_labels(secret, pk, group_no, type_no)
        self._pending.index_text(pk, text)
        self._pending.count(group_no, type_no, 1)

    def save(self, secret: Secret) -> Secret:
        """Store a changed secret and return it with its new ``row_version``.

        Raises:
            Conflict: ``stale_version`` if it was changed since it was read,
                ``already_exists`` if another one of its type has the new name.
            NotFound: it is not there any more.
        """
        stored = self._stored(secret.id)
        pk, group_no, type_no, name, labels, text = stored
        if name != secret.name and self._connection.row(_HAS_NAME, type_no=type_no, name=secret.name) is not None:
            raise _taken(secret.name)
        parameters = secret_parameters(secret)
        try:
            row = self._connection.row(_SAVE, secret_id=secret.id, expected=secret.row_version, **parameters)
        except DuplicateRow as error:
            raise _taken(secret.name) from error
        if row is None:
            raise Conflict(
                ErrorCode.STALE_VERSION,
                f"The secret {secret.id} was changed by somebody else in the meantime; read it and try again.",
            )
        if parameters["labels"] != labels:
            self._connection.run(_REMOVE_LABELS, secret_pk=pk)
            self._add_labels(secret, pk, group_no, type_no)
        if (new_text := search_text(secret)) != text:
            self._connection.run(_SAVE_TEXT, secret_pk=pk, text=new_text)
            self._pending.forget_text(pk, text)
            self._pending.index_text(pk, new_text)
        return replace(secret, row_version=row[0], retrieved_at=instant_of(row[1]), downloaded=bool(row[2]))

    def remove(self, secret_id: SecretId) -> None:
        """Delete it with its versions, payloads, labels and locks.

        Raises:
            NotFound: it is not there.
        """
        pk, group_no, type_no, _, _, text = self._stored(secret_id)
        self._connection.run(_REMOVE, secret_pk=pk)
        self._pending.forget_text(pk, text)
        self._pending.count(group_no, type_no, -1)

    def _stored(self, secret_id: SecretId) -> Row:
        row = self._connection.row(_STORED, id=secret_id)
        if row is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no secret {secret_id}.")
        return row

    def _add_labels(self, secret: Secret, pk: int, group_no: int, type_no: int) -> None:
        if secret.labels:
            self._connection.many(
                _ADD_LABEL,
                [
                    {"label": label, "secret_pk": pk, "group_no": group_no, "type_no": type_no}
                    for label in secret.labels
                ],
            )

    def _numbered_counts(self) -> list[tuple[int, int, int]]:
        """Return ``(group_no, type_no, total)``, with what this unit and its batch did not store yet."""
        stored = self._connection.rows(_COUNTS)
        waiting = self._pending.waiting_counts()
        if not waiting:
            return stored
        for group_no, type_no, total in stored:
            waiting[group_no, type_no] += total
        return [(group_no, type_no, total) for (group_no, type_no), total in waiting.items()]


_VERSION_AT: Final = len(SECRET_COLUMNS)


def _taken(name: str) -> Conflict:
    return Conflict(ErrorCode.ALREADY_EXISTS, f"A secret with the same name already exists: {name}", field="name")
