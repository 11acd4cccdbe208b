"""Links between pages, read as the official clients read them: strictly."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from strongroom.api.operations import Call, Reply
from strongroom.api.paging import page_body, parse_list, parse_search, parse_sort
from strongroom.domain.audit.record import Target
from strongroom.kernel.errors import Invalid
from strongroom.kernel.result import Page
from tests.unit.api.asgi import Server, operation

BASE = "https://strongroom.example.com"


class ThingsQuery(BaseModel):
    """Parameters of a list of things."""

    offset: int = 0
    limit: int = 10
    search: str | None = None
    groups: str | None = None


def call_with(query: dict[str, str], *, path: str = "/api/v2/things", values: dict[str, str] | None = None) -> Call:
    server = Server([])
    return Call(
        operation=operation(lambda _: Reply(), path=path, query=ThingsQuery),
        services=server.services(),
        principal=server.authenticator.known["manager-token"],
        path=values or {},
        query=query,
        headers={},
        address=None,
        request_id="",
        base_url=BASE,
        target=Target(type="thing"),
    )


def body_of(total: int, limit: int, offset: int, query: dict[str, str] | None = None) -> dict[str, Any]:
    items = list(range(total))[offset : offset + limit]
    page = Page(items=items, total=total, limit=limit, offset=offset)
    return page_body(call_with(query or {}), page, "things", lambda item: {"id": item})


def strict(href: str) -> dict[str, str]:
    query = parse_qs(urlsplit(href).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}


def offset_of(link: dict[str, str]) -> int:
    return int(strict(link["href"])["offset"])


COUNTS = st.integers(0, 200)
LIMITS = st.integers(1, 50)


@given(COUNTS, LIMITS)
def test_following_next_shows_everything_once_and_ends_at_last(total: int, limit: int) -> None:
    seen: list[int] = []
    offset: int | None = 0
    last = 0
    while offset is not None:
        body = body_of(total, limit, offset)
        seen += [item["id"] for item in body["things"]]
        last = offset
        assert offset_of(body["last"]) == max(0, (total - 1) // limit * limit)
        offset = offset_of(body["next"]) if "next" in body else None

    assert seen == list(range(total))
    assert last == offset_of(body_of(total, limit, 0)["last"])


@given(COUNTS, LIMITS, st.integers(0, 300))
def test_links_from_any_offset_stay_within_the_list(total: int, limit: int, offset: int) -> None:
    body = body_of(total, limit, offset)

    assert body["total_count"] == total
    assert (body["limit"], body["offset"]) == (limit, offset)
    assert offset_of(body["first"]) == 0
    assert 0 <= offset_of(body["last"]) <= max(0, total - 1)
    assert ("next" in body) == (offset + limit < total)
    assert ("previous" in body) == (offset > 0)
    if "previous" in body:
        assert 0 <= offset_of(body["previous"]) <= max(0, total - 1)
        assert offset_of(body["previous"]) < offset
    if "next" in body:
        assert (offset_of(body["last"]) - offset) % limit == 0


@given(
    st.dictionaries(st.sampled_from(["search", "groups", "limit", "offset", "", "other", "?"]), st.text(max_size=20))
)
def test_links_keep_the_filters_and_nothing_without_a_value(query: dict[str, str]) -> None:
    for name in ("first", "last", "next"):
        found = strict(body_of(30, 10, 0, query)[name]["href"])

        kept = {name: value for name, value in query.items() if name in {"search", "groups"} and value}
        assert found == {"limit": "10", "offset": found["offset"], **kept}


def test_the_link_of_a_link_is_the_same_link() -> None:
    first = body_of(30, 10, 0, {"search": "a&b=c #%", "groups": "x,y"})["next"]["href"]
    again = body_of(30, 10, 0, strict(first))["next"]["href"]

    assert first == again
    assert urlencode({"groups": "x,y"}) in first


@given(st.text(min_size=1, max_size=20))
def test_what_stands_in_the_path_stays_in_the_path(value: str) -> None:
    call = call_with({}, path="/api/v2/things/{id}/parts", values={"id": value})
    page: Page[int] = Page(items=[], total=0, limit=10, offset=0)

    href = page_body(call, page, "parts", lambda item: {"id": item})["first"]["href"]

    assert urlsplit(href).path == f"/api/v2/things/{quote(value, safe='')}/parts"


# --- parameters


@pytest.mark.parametrize(
    ("text", "items"), [(None, ()), ("", ()), ("a", ("a",)), ("a,b", ("a", "b")), ("a,,b,", ("a", "b"))]
)
def test_a_list_is_split_at_commas(text: str | None, items: tuple[str, ...]) -> None:
    assert parse_list(text, field="groups", most=3) == items


@pytest.mark.parametrize("text", [",", ",,,", "a,b,c,d"])
def test_a_list_without_items_or_with_too_many_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_list(text, field="groups", most=3)

    assert caught.value.field == "groups"


@pytest.mark.parametrize(("text", "key", "descending"), [("name", "name", False), ("-name", "name", True)])
def test_a_sort_key_may_be_reversed(text: str, key: str, *, descending: bool) -> None:
    found = parse_sort(text, frozenset({"name"}))

    assert found is not None
    assert (found.key, found.descending) == (key, descending)


@pytest.mark.parametrize("text", ["other", "--name", "-", "name,-id", "+name"])
def test_another_sort_key_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(Invalid, match="id, name"):
        parse_sort(text, frozenset({"name", "id"}))


@pytest.mark.parametrize("text", ["a\0", "\n", "a\tb"])
def test_control_characters_are_not_searched_for(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_search(text)

    assert caught.value.field == "search"


@pytest.mark.parametrize("text", [None, "plain", "\u00fcber"])
def test_other_text_is_searched_for_as_it_is(text: str | None) -> None:
    assert parse_search(text) == text
