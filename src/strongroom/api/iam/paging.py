"""Links between the pages of a list, in each form that the clients of these APIs follow."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from strongroom.api.operations import Call
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Json, Page

_OFFSET_MAX = 10**9


def token_of(offset: int) -> str:
    """Return an opaque page token."""
    return base64.urlsafe_b64encode(f"o{offset}".encode()).decode().rstrip("=")


def offset_of(token: str | None, field: str) -> int:
    """Read a page token; none is the first page.

    Raises:
        Invalid: ``invalid_field`` if it is not one of ours.
    """
    if not token:
        return 0
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
        if not text.startswith("o") or not text[1:].isdecimal():
            raise ValueError
        offset = int(text[1:])
        if offset > _OFFSET_MAX:
            raise ValueError
    except ValueError:
        raise Invalid(
            ErrorCode.INVALID_FIELD, f"{field} must be taken from an earlier answer as it is.", field=field
        ) from None
    return offset


def url_of(call: Call, changed: Mapping[str, Any]) -> str:
    """Return the URL of this list with some query parameters changed; ``None`` leaves one out.

    A parameter without a value is left out too: the official pagers read links strictly.
    """
    query = {name: value for name, value in {**call.query, **changed}.items() if value is not None and value != ""}
    path = call.operation.path
    for name, value in call.path.items():
        path = path.replace("{" + name + "}", value)
    return f"{call.base_url}{path}?{urlencode(query)}"


def identity_frame(call: Call, page: Page[Any]) -> Json:
    """Return the frame of service IDs and API keys: links as text, positions as tokens."""
    frame: Json = {"offset": page.offset, "limit": page.limit}
    frame["first"] = url_of(call, {"pagesize": page.limit, "pagetoken": None})
    before, after = _neighbours(page)
    if before is not None:
        frame["previous"] = url_of(call, {"pagesize": page.limit, "pagetoken": token_of(before)})
    if after is not None:
        frame["next"] = url_of(call, {"pagesize": page.limit, "pagetoken": token_of(after)})
    return frame


def policy_frame(call: Call, page: Page[Any]) -> Json:
    """Return the frame of policies: ``href`` beside ``start``."""
    frame: Json = {"limit": page.limit, "first": {"href": url_of(call, {"limit": page.limit, "start": None})}}
    before, after = _neighbours(page)
    for name, offset in (("previous", before), ("next", after)):
        if offset is not None:
            start = token_of(offset)
            frame[name] = {"href": url_of(call, {"limit": page.limit, "start": start}), "start": start}
    return frame


def offset_frame(call: Call, page: Page[Any]) -> Json:
    """Return the frame of access groups, members and users: a total, and ``href`` by offset."""
    last = max(0, (page.total - 1) // page.limit * page.limit)
    before, after = _neighbours(page)
    frame: Json = {"total_count": page.total, "limit": page.limit, "offset": page.offset}
    for name, offset in (("first", 0), ("last", last), ("previous", before), ("next", after)):
        if offset is not None:
            frame[name] = {"href": url_of(call, {"limit": page.limit, "offset": offset})}
    return frame


def _neighbours(page: Page[Any]) -> tuple[int | None, int | None]:
    before = max(0, page.offset - page.limit) if page.offset else None
    after = page.offset + page.limit
    return before, after if after < page.total else None
