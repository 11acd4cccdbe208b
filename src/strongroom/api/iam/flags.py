"""Small parts of requests that IBM's identity clients send."""

from __future__ import annotations

from strongroom.api.operations import Call
from strongroom.kernel.errors import ErrorCode, Invalid


def header_flag(call: Call, name: str) -> bool:
    """Return whether a header says ``true``; absent means false.

    Raises:
        Invalid: ``invalid_field`` for anything but ``true`` and ``false``.
    """
    value = call.headers.get(name, "false").strip().lower()
    if value not in ("true", "false"):
        raise Invalid(ErrorCode.INVALID_FIELD, f"The header {name} must be true or false.", field=name)
    return value == "true"


def refuse_filter(value: str | None) -> None:
    """Refuse a filter expression: a list that ignored it would claim too much.

    Raises:
        Invalid: ``not_supported``.
    """
    if value:
        raise Invalid(ErrorCode.NOT_SUPPORTED, "filter: filter expressions are not supported.", field="filter")
