"""Between rows and domain objects: JSON text, instants, numbers of types."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from strongroom.domain.notifications.ladder import first_look
from strongroom.domain.secrets.model import Secret, SecretType, State, Version
from strongroom.kernel.ids import GroupId, IamId, SecretId, VersionId
from strongroom.kernel.result import Notice
from strongroom.kernel.time import from_microseconds, to_microseconds
from strongroom.storage.engine import Row

TYPE_NUMBERS: Final[Mapping[SecretType, int]] = {
    # Stored in rows: never renumbered, and in the order of the words, because lists sort by them.
    SecretType.ARBITRARY: 10,
    SecretType.CUSTOM_CREDENTIALS: 20,
    SecretType.IAM_CREDENTIALS: 30,
    SecretType.IMPORTED_CERT: 40,
    SecretType.KV: 50,
    SecretType.PRIVATE_CERT: 60,
    SecretType.PUBLIC_CERT: 70,
    SecretType.SERVICE_CREDENTIALS: 80,
    SecretType.USERNAME_PASSWORD: 90,
}
TYPES: Final[Mapping[int, SecretType]] = {number: kind for kind, number in TYPE_NUMBERS.items()}
STATES: Final[Mapping[int, State]] = {state.value: state for state in State}

SEPARATOR: Final = "\x1f"
"""Stands between the parts of a search text, so that no match crosses from one into the next."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
# What was stored here has no white space around it: the scanner alone reads it, at half the price.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]

SECRET_COLUMNS: Final = (
    "id",
    "type_no",
    "name",
    "description",
    "group_id",
    "labels",
    "custom_metadata",
    "attributes",
    "rotation",
    "warnings",
    "state",
    "created_at",
    "created_by",
    "updated_at",
    "retrieved_at",
    "downloaded",
    "expires_at",
    "next_rotation_at",
    "rotation_status",
    "versions_total",
    "versions_made",
    "locks_total",
    "current_version_id",
    "previous_version_id",
    "row_version",
    "private_state",
)
"""What `secret_of` reads, in its order."""

VERSION_COLUMNS: Final = (
    "id",
    "number",
    "created_at",
    "created_by",
    "auto_rotated",
    "downloaded",
    "payload_available",
    "expires_at",
    "attributes",
    "custom_metadata",
)
"""What `version_of` reads, in its order."""


def text_of(value: Any) -> str:
    """Return a JSON value as it is stored."""
    return _encode(value)


def text_or_none(value: Any) -> str | None:
    """Return a JSON value as it is stored, or nothing."""
    return None if value is None else _encode(value)


def instant_of(value: int | None) -> datetime | None:
    """Return a stored instant."""
    return None if value is None else from_microseconds(value)


def micros_of(value: datetime | None) -> int | None:
    """Return an instant as it is stored."""
    return None if value is None else to_microseconds(value)


def fold(text: str) -> str:
    """Return text in the form in which it is searched: composed, without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def search_text(secret: Secret) -> str:
    """Return everything that a search looks through, in one folded text."""
    parts = (secret.id, secret.name, secret.description, *secret.labels, secret.secret_type.value)
    return fold(SEPARATOR.join(parts))


def like_pattern(needle: str) -> str:
    """Return the pattern that finds the needle anywhere, whatever characters are in it."""
    for special in ("\\", "%", "_"):
        needle = needle.replace(special, "\\" + special)
    return f"%{needle}%"


def _decode(text: str) -> Any:
    return _scan(text, 0)[0]


def object_or_none(text: str | None) -> dict[str, Any] | None:
    """Read a stored JSON object, if there is one."""
    return None if text is None else _decode(text)


def array_of(text: str) -> list[Any]:
    """Read a stored JSON array."""
    return [] if text == "[]" else _decode(text)


def object_of(text: str) -> dict[str, Any]:
    """Read a stored JSON object."""
    return {} if text == "{}" else _decode(text)


def secret_of(row: Row) -> Secret:
    """Read the columns of `SECRET_COLUMNS`, in their order; more may follow."""
    labels: str = row[5]
    warnings: str = row[9]
    return Secret(
        id=SecretId(row[0]),
        secret_type=TYPES[row[1]],
        name=row[2],
        description=row[3],
        group_id=GroupId(row[4]),
        labels=() if labels == "[]" else tuple(_decode(labels)),
        custom_metadata=object_or_none(row[6]),
        attributes=object_of(row[7]),
        rotation=object_or_none(row[8]),
        warnings=() if warnings == "[]" else _warnings(warnings),
        state=STATES[row[10]],
        created_at=from_microseconds(row[11]),
        created_by=IamId(row[12]),
        updated_at=from_microseconds(row[13]),
        retrieved_at=instant_of(row[14]),
        downloaded=bool(row[15]),
        expires_at=instant_of(row[16]),
        next_rotation_at=instant_of(row[17]),
        rotation_status=row[18],
        versions_total=row[19],
        versions_made=row[20],
        locks_total=row[21],
        current_version_id=row[22],
        previous_version_id=row[23],
        row_version=row[24],
        private_state=row[25],
    )


def _warnings(text: str) -> tuple[Notice, ...]:
    return tuple(Notice(code=code, message=message) for code, message in _decode(text))


def secret_parameters(secret: Secret) -> dict[str, Any]:
    """Return the parameters that a changed secret is stored with."""
    return {
        "name": secret.name,
        "description": secret.description,
        "labels": text_of(secret.labels),
        "custom_metadata": text_or_none(secret.custom_metadata),
        "attributes": text_of(secret.attributes),
        "rotation": text_or_none(secret.rotation),
        "warnings": text_of([(notice.code, notice.message) for notice in secret.warnings]),
        "state": int(secret.state),
        "updated_at": to_microseconds(secret.updated_at),
        "downloaded": secret.downloaded,
        "expires_at": micros_of(secret.expires_at),
        "next_rotation_at": micros_of(secret.next_rotation_at),
        "notice_at": None
        if secret.expires_at is None
        else to_microseconds(first_look(secret.expires_at, secret.updated_at)),
        "rotation_status": secret.rotation_status,
        "versions_total": secret.versions_total,
        "versions_made": secret.versions_made,
        "locks_total": secret.locks_total,
        "current_version_id": secret.current_version_id,
        "previous_version_id": secret.previous_version_id,
        "private_state": secret.private_state,
    }


def version_of(row: Row, secret_id: SecretId, start: int = 0) -> Version:
    """Read the columns of `VERSION_COLUMNS` from ``start`` on; more may follow."""
    return Version(
        id=VersionId(row[start]),
        secret_id=secret_id,
        number=row[start + 1],
        created_at=from_microseconds(row[start + 2]),
        created_by=IamId(row[start + 3]),
        auto_rotated=bool(row[start + 4]),
        downloaded=bool(row[start + 5]),
        payload_available=bool(row[start + 6]),
        expires_at=instant_of(row[start + 7]),
        attributes=object_of(row[start + 8]),
        custom_metadata=object_or_none(row[start + 9]),
    )
