"""The page frame and the list parameters that every API here shares (api-v2 section 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from strongroom.api.operations import Call
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import GroupId
from strongroom.kernel.result import Page, Sort

T = TypeVar("T")


def page_body(call: Call, page: Page[T], key: str, render: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """Return the frame with links that keep the caller's filters.

    The links carry ``offset`` and never a parameter without a value: the official pagers read
    them with a strict parser.
    """
    # An offset between two pages shifts the last page with it.
    shift = page.offset % page.limit
    last = shift + (page.total - 1 - shift) // page.limit * page.limit if page.total > shift else 0
    body: dict[str, Any] = {
        "total_count": page.total,
        "limit": page.limit,
        "offset": page.offset,
        "first": _link(call, page.limit, 0),
        "last": _link(call, page.limit, last),
    }
    if page.offset + page.limit < page.total:
        body["next"] = _link(call, page.limit, page.offset + page.limit)
    if page.offset > 0:
        # From behind the end it leads back to the last page.
        body["previous"] = _link(call, page.limit, max(0, min(page.offset - page.limit, last)))
    body[key] = [render(item) for item in page.items]
    return body


def _link(call: Call, limit: int, offset: int) -> dict[str, str]:
    model = call.operation.query
    known = model.model_fields if model is not None else {}
    others = {
        name: value for name, value in call.query.items() if value and name in known and name not in {"limit", "offset"}
    }
    query = urlencode({"limit": limit, "offset": offset, **others})
    path = call.operation.path.format_map({name: quote(value, safe="") for name, value in call.path.items()})
    return {"href": f"{call.base_url}{path}?{query}"}


def parse_sort(text: str | None, allowed: frozenset[str]) -> Sort | None:
    """Return the sort key behind ``name`` or ``-name``.

    Raises:
        Invalid: the list cannot be sorted by it.
    """
    if not text:
        return None
    key = text.removeprefix("-")
    if key not in allowed:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"sort must be one of {', '.join(sorted(allowed))}, with '-' in front for descending order.",
            field="sort",
        )
    return Sort(key=key, descending=text.startswith("-"))


def parse_list(text: str | None, *, field: str, most: int) -> tuple[str, ...]:
    """Split a comma-separated parameter; empty means absent.

    Raises:
        Invalid: more items than allowed, or nothing but commas.
    """
    items = tuple(item for item in (text or "").split(",") if item)
    if len(items) > most:
        raise Invalid(ErrorCode.INVALID_FIELD, f"{field} may hold at most {most} items.", field=field)
    if text and not items:
        # Taken as absent it would mean everything.
        raise Invalid(ErrorCode.INVALID_FIELD, f"{field} holds commas and no item.", field=field)
    return items


def parse_groups(call: Call, text: str | None) -> frozenset[GroupId] | None:
    """Return the secret groups that a list is narrowed to; ``None`` means it is not.

    Raises:
        Invalid: more groups than there can be.
    """
    # The default group is beside those that the limit counts.
    items = parse_list(text, field="groups", most=call.services.limits.secret_groups + 1)
    return frozenset(GroupId(item) for item in items) if items else None


def parse_search(text: str | None) -> str | None:
    """Return the search text.

    Raises:
        Invalid: it holds control characters, which no name or label has.
    """
    if text is not None and any(char < " " for char in text):
        raise Invalid(ErrorCode.INVALID_FIELD, "search must not hold control characters.", field="search")
    return text
