"""Versions of secrets and their sealed payloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from strongroom.domain.secrets.model import Version
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import SecretId, VersionId
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.rows import VERSION_COLUMNS, micros_of, text_of, text_or_none, version_of
from strongroom.storage.statements import Statement, bucket, conflict_insert, one_of, sa, spread, tables


def _secret_pk() -> sa.ScalarSelect[Any]:
    return sa.select(tables.secrets.c.pk).where(tables.secrets.c.id == sa.bindparam("secret_id")).scalar_subquery()


def _of_secret() -> sa.ColumnElement[bool]:
    return tables.versions.c.secret_pk == _secret_pk()


def _this() -> sa.ColumnElement[bool]:
    return sa.and_(tables.versions.c.id == sa.bindparam("version_id"), _of_secret())


def _columns() -> list[sa.ColumnElement[Any]]:
    return [tables.versions.c[name] for name in VERSION_COLUMNS]


_FIND: Final = Statement("versions.find", lambda _: sa.select(*_columns()).where(_this()))
_FIND_SEALED: Final = Statement("versions.find_sealed", lambda _: sa.select(tables.versions.c.sealed).where(_this()))
_LISTING: Final = Statement(
    "versions.listing",
    lambda _: sa.select(*_columns()).where(_of_secret()).order_by(tables.versions.c.number.desc()),
)
_SECRET: Final = Statement(
    "versions.secret",
    lambda _: sa.select(tables.secrets.c.pk).where(tables.secrets.c.id == sa.bindparam("secret_id")),
)


def _add(_: str) -> sa.Executable:
    """Add a version to its secret, if that is there, in one exchange."""
    given = {column.name: sa.bindparam(column.name, type_=column.type) for column in tables.versions.columns}
    names = [name for name in given if name != "pk"]
    values = [tables.secrets.c.pk if name == "secret_pk" else given[name] for name in names]
    row = sa.select(*values).where(tables.secrets.c.id == sa.bindparam("secret_id"))
    return conflict_insert(tables.versions).from_select(names, row).on_conflict_do_nothing()


_ADD: Final = Statement("versions.add", _add)
_SAVE: Final = Statement(
    "versions.save",
    lambda _: (
        sa.update(tables.versions)
        .where(_this())
        .values(
            downloaded=sa.bindparam("downloaded"),
            payload_available=sa.bindparam("payload_available"),
            attributes=sa.bindparam("attributes"),
            custom_metadata=sa.bindparam("custom_metadata"),
        )
    ),
)


def _erased() -> sa.Update:
    return sa.update(tables.versions).values(sealed=sa.null(), payload_available=sa.false())


_ERASE: Final = Statement("versions.erase", lambda _: _erased().where(_this()))


@cache
def _erase_except(size: int) -> Statement:
    """Keep ``size`` versions, or none."""

    def build(_: str) -> sa.Update:
        versions = tables.versions.c
        update = _erased().where(_of_secret(), versions.sealed.is_not(None) | versions.payload_available)
        return update.where(sa.not_(one_of(versions.id, "keep", size))) if size else update

    return Statement(f"versions.erase_except.{size}", build)


_TRIM: Final = Statement(
    "versions.trim",
    lambda _: sa.delete(tables.versions).where(
        tables.versions.c.secret_pk == sa.bindparam("secret_pk"),
        tables.versions.c.number
        <= (
            sa.select(tables.versions.c.number)
            .where(tables.versions.c.secret_pk == sa.bindparam("secret_pk"))
            .order_by(tables.versions.c.number.desc())
            .limit(1)
            .offset(sa.bindparam("keep", type_=sa.Integer))
            .correlate(None)
            .scalar_subquery()
        ),
    ),
)
_COUNT: Final = Statement(
    "versions.count",
    lambda _: (
        sa.select(sa.func.count())
        .select_from(tables.versions)
        .where(tables.versions.c.secret_pk == sa.bindparam("secret_pk"))
    ),
)
_MARK_DOWNLOADED: Final = Statement(
    "versions.mark_downloaded",
    lambda _: (
        sa.update(tables.versions).where(_this(), sa.not_(tables.versions.c.downloaded)).values(downloaded=sa.true())
    ),
)
_MARK_SECRET: Final = Statement(
    "versions.mark_secret",
    lambda _: (
        sa.update(tables.secrets)
        .where(
            tables.secrets.c.id == sa.bindparam("secret_id"),
            tables.secrets.c.current_version_id == sa.bindparam("version_id"),
            sa.not_(tables.secrets.c.downloaded),
        )
        .values(downloaded=sa.true())
    ),
)
_MARK_RETRIEVED: Final = Statement(
    "versions.mark_retrieved",
    lambda _: (
        sa.update(tables.secrets)
        .where(
            tables.secrets.c.id == sa.bindparam("secret_id"),
            sa.func.coalesce(tables.secrets.c.retrieved_at, sa.literal_column("-1"))
            < sa.bindparam("at", type_=sa.BigInteger),
        )
        .values(retrieved_at=sa.bindparam("at", type_=sa.BigInteger))
    ),
)


class SqlVersions:
    """Implements `strongroom.domain.ports.VersionRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def find(self, secret_id: SecretId, version_id: VersionId) -> Version | None:
        """Return the version, if the secret has it."""
        row = self._connection.row(_FIND, secret_id=secret_id, version_id=version_id)
        return None if row is None else version_of(row, secret_id)

    def find_sealed(self, secret_id: SecretId, version_id: VersionId) -> bytes | None:
        """Return the sealed payload, if there still is one."""
        row = self._connection.row(_FIND_SEALED, secret_id=secret_id, version_id=version_id)
        return None if row is None else row[0]

    def listing(self, secret_id: SecretId) -> Sequence[Version]:
        """Return all retained versions, newest first."""
        return [version_of(row, secret_id) for row in self._connection.rows(_LISTING, secret_id=secret_id)]

    def add(self, version: Version, sealed: bytes | None) -> None:
        """Store a new version.

        Raises:
            NotFound: the secret is not there.
            Conflict: ``already_exists`` if the secret has one of this number.
        """
        added = self._connection.run(
            _ADD,
            id=version.id,
            secret_id=version.secret_id,
            number=version.number,
            created_at=to_microseconds(version.created_at),
            created_by=version.created_by,
            auto_rotated=version.auto_rotated,
            downloaded=version.downloaded,
            payload_available=version.payload_available,
            expires_at=micros_of(version.expires_at),
            attributes=text_of(version.attributes),
            custom_metadata=text_or_none(version.custom_metadata),
            sealed=sealed,
        )
        if not added:
            self._secret_pk(version.secret_id)
            raise Conflict(ErrorCode.ALREADY_EXISTS, f"Version {version.number} of the secret already exists.")

    def save(self, version: Version) -> None:
        """Store changed attributes, custom metadata, ``downloaded`` and ``payload_available``.

        Raises:
            NotFound: it is not there any more.
        """
        saved = self._connection.run(
            _SAVE,
            secret_id=version.secret_id,
            version_id=version.id,
            downloaded=version.downloaded,
            payload_available=version.payload_available,
            attributes=text_of(version.attributes),
            custom_metadata=text_or_none(version.custom_metadata),
        )
        if not saved:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no version {version.id} of the secret.")

    def erase_payload(self, secret_id: SecretId, version_id: VersionId) -> None:
        """Destroy the sealed payload and clear ``payload_available``."""
        self._connection.run(_ERASE, secret_id=secret_id, version_id=version_id)

    def erase_payloads_except(self, secret_id: SecretId, keep: Iterable[VersionId]) -> None:
        """Destroy the sealed payloads of all other versions."""
        kept = tuple(keep)
        size = bucket(len(kept)) if kept else 0
        self._connection.run(_erase_except(size), secret_id=secret_id, **(spread("keep", kept) if kept else {}))

    def trim(self, secret_id: SecretId, keep: int) -> int:
        """Drop the oldest versions beyond ``keep`` and return how many are left."""
        secret_pk = self._secret_pk(secret_id)
        self._connection.run(_TRIM, secret_pk=secret_pk, keep=keep)
        row = self._connection.row(_COUNT, secret_pk=secret_pk)
        return 0 if row is None else int(row[0])

    def mark_read(self, secret_id: SecretId, version_id: VersionId, at: datetime | None) -> None:
        """Note that the payload was in an answer; ``at`` also moves ``retrieved_at`` of the secret."""
        self._connection.run(_MARK_DOWNLOADED, secret_id=secret_id, version_id=version_id)
        self._connection.run(_MARK_SECRET, secret_id=secret_id, version_id=version_id)
        if at is not None:
            self._connection.run(_MARK_RETRIEVED, secret_id=secret_id, at=to_microseconds(at))

    def _secret_pk(self, secret_id: SecretId) -> int:
        row = self._connection.row(_SECRET, secret_id=secret_id)
        if row is None:
            raise NotFound(ErrorCode.NOT_FOUND, f"There is no secret {secret_id}.")
        return int(row[0])
