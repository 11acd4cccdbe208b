"""Keys and values. Source: api-v2-models M7.2."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from strongroom.domain.engine import NewValues, Patched, Prepared, Present, Work
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.errors import ErrorCode, Invalid


class KeyValueEngine:
    """Keeps one JSON object."""

    secret_type: ClassVar[SecretType] = SecretType.KV
    slow: ClassVar[bool] = False
    patchable: ClassVar[frozenset[str]] = frozenset()
    absent_payload: ClassVar[Mapping[str, Any]] = {"data": {}}
    restorable: ClassVar[bool] = False

    def prepare_new(self, work: Work, new: NewValues) -> Prepared:
        """Check the object."""
        return Prepared(payload=_checked(work, new.values))

    def prepare_version(self, work: Work, present: Present, new: NewValues) -> Prepared:
        """Check the next object."""
        return Prepared(payload=_checked(work, new.values), attributes=present.secret.attributes)

    def prepare_restore(self, work: Work, present: Present, payload: Mapping[str, Any]) -> Prepared:
        """Refuse; the type does not support it."""
        raise Invalid(ErrorCode.NOT_SUPPORTED, "Key-value secrets do not support restore.")

    def prepare_patch(self, work: Work, present: Present, changes: Mapping[str, Any]) -> Patched:
        """Never called: nothing is patchable."""
        raise Invalid(ErrorCode.NOT_SUPPORTED, "Key-value secrets have no metadata of their own.")


def _checked(work: Work, values: Mapping[str, Any]) -> dict[str, Any]:
    data = values["data"]
    if not data:
        raise Invalid(ErrorCode.INVALID_FIELD, "data must have at least one key.", field="data")
    size = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if size > work.limits.kv_bytes:
        detail = f"data must take at most {work.limits.kv_bytes} bytes as JSON; it takes {size}."
        raise Invalid(ErrorCode.INVALID_FIELD, detail, field="data")
    return {"data": data}
