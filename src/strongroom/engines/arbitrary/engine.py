"""Arbitrary text. Source: api-v2-models M7.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.secrets.model import SecretType
from strongroom.engines.expiration import FIELD, read_expiration
from strongroom.kernel.errors import ErrorCode, Invalid, Problems


class ArbitraryEngine:
    """Keeps one text of up to a million characters."""

    secret_type: ClassVar[SecretType] = SecretType.ARBITRARY
    slow: ClassVar[bool] = False
    patchable: ClassVar[frozenset[str]] = frozenset({FIELD})
    absent_payload: ClassVar[Mapping[str, Any]] = {}
    restorable: ClassVar[bool] = False

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Check the text and the expiry."""
        problems = Problems()
        payload = _checked(problems, work, new.values)
        expires_at = read_expiration(problems, new.values, work.clock.now())
        problems.raise_any()
        return Prepared(payload=payload, expires_at=expires_at)

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Check the next text; the expiry stays."""
        problems = Problems()
        payload = _checked(problems, work, new.values)
        problems.raise_any()
        secret = present.secret
        return Prepared(payload=payload, attributes=secret.attributes, expires_at=secret.expires_at)

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Refuse; the type does not support it."""
        raise Invalid(ErrorCode.NOT_SUPPORTED, "Arbitrary secrets do not support restore.")

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Move or remove the expiry."""
        problems = Problems()
        expires_at = read_expiration(problems, changes, work.clock.now())
        problems.raise_any()
        return Patched(attributes=present.secret.attributes, rotation=None, expires_at=expires_at)


def _checked(problems: Problems, work: Work, values: Mapping[str, Any]) -> dict[str, Any]:
    text = values["payload"]
    most = work.limits.payload_characters
    if len(text) > most:
        problems.add("payload", f"payload must have at most {most} characters; it has {len(text)}.")
    return {"payload": text}
