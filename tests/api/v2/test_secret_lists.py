"""Lists of secrets: pages and their links, order, search, filters, and what restricted callers see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from strongroom.domain.access.actions import Role
from strongroom.kernel.clock import FrozenClock
from tests.api.v2.conftest import watch
from tests.api.v2.sending import SECRETS, UNKNOWN, create, field, import_certificate, leaf, made, make_group
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

# In order of creation: name, type, members, and the day of its last change and read.
STOCK: Final[tuple[tuple[str, str, dict[str, Any], int | None, int | None], ...]] = (
    ("delta", "kv", {"labels": ["prod", "edge"]}, 9, None),
    ("Bravo", "arbitrary", {"labels": ["prod"], "expiration_date": "2026-06-01T00:00:00Z"}, None, 8),
    ("alpha", "username_password", {"labels": ["dev", "edge"], "description": "Straße nach Köln"}, None, 7),
    ("echo", "arbitrary", {"description": "alpha and 100% of_beta"}, 8, None),
    ("charlie", "username_password", {"expiration_date": "2026-05-01T00:00:00Z"}, None, None),
)
NEWEST_FIRST: Final = [row[0] for row in reversed(STOCK)]


class Place:
    """A server with secrets in two groups."""

    def __init__(self, server: InProcess) -> None:
        self.server = server
        self.group = make_group(server)
        self.ids: dict[str, str] = {}
        for name, kind, members, _, _ in STOCK:
            where = self.group if kind == "arbitrary" else "default"
            address = made(create(server, kind, name, secret_group_id=where, **members))
            self.ids[name] = address.rpartition("/")[2]
            server.clock.advance(timedelta(seconds=1))
        for day in (7, 8, 9):
            server.clock.advance(timedelta(days=day) - (server.clock.now() - START_OF_TESTS))
            server.forget_tokens()
            for name, _, _, changed, read in STOCK:
                if changed == day:
                    server.request("PATCH", f"{SECRETS}/{self.ids[name]}/metadata", {"custom_metadata": {"n": day}})
                if read == day:
                    server.request("GET", f"{SECRETS}/{self.ids[name]}")

    def ask(self, query: str = "", caller: str = "administrator") -> Answer:
        """Ask for a list."""
        return self.server.request("GET", f"{SECRETS}{query}", token=caller)

    def names(self, query: str = "", caller: str = "administrator") -> list[str]:
        """Return the names of a list, which must be whole."""
        answer = self.ask(query, caller)
        assert answer.status == 200, answer.raw
        names = [secret["name"] for secret in answer.json["secrets"]]
        assert answer.json["total_count"] == len(names)
        return names


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give one stocked server to all tests of this file; none of them changes it."""
    with in_process(tmp_path_factory.mktemp("lists") / "data", FrozenClock(START_OF_TESTS)) as server:
        yield Place(watch(server))


# --- pages


def test_an_empty_list_still_has_its_frame(server: InProcess) -> None:
    page = server.request("GET", SECRETS).json
    assert (page["total_count"], page["limit"], page["offset"], page["secrets"]) == (0, 200, 0, [])
    for link in ("first", "last"):
        assert page[link]["href"] == "https://strongroom.example.com/api/v2/secrets?limit=200&offset=0"
    assert "next" not in page
    assert "previous" not in page


def test_newest_come_first_without_a_sort(place: Place) -> None:
    assert place.names() == NEWEST_FIRST


def test_pages_link_to_each_other_and_keep_the_filters(place: Place) -> None:
    first = place.ask("?limit=2&sort=name").json
    assert [secret["name"] for secret in first["secrets"]] == ["Bravo", "alpha"]
    assert "previous" not in first
    seen, page, query = list(first["secrets"]), first, ""
    while "next" in page:
        query = urlsplit(page["next"]["href"]).query
        values = parse_qs(query, keep_blank_values=True, strict_parsing=True)
        assert (values["limit"], values["sort"]) == (["2"], ["name"])
        page = place.ask(f"?{query}").json
        seen += page["secrets"]
        assert "previous" in page
    assert [secret["name"] for secret in seen] == ["Bravo", "alpha", "charlie", "delta", "echo"]
    assert page["last"]["href"].partition("?")[2] == query
    assert parse_qs(urlsplit(page["previous"]["href"]).query)["offset"] == ["2"]


def test_offsets_beyond_the_end_give_an_empty_page(place: Place) -> None:
    page = place.ask("?offset=100&limit=2").json
    assert (page["secrets"], page["total_count"], page["offset"]) == ([], 5, 100)
    assert "next" not in page


def test_links_leave_out_parameters_without_a_value(place: Place) -> None:
    page = place.ask("?limit=2&search=&groups=&secret_types=&match_all_labels=&sort=").json
    assert page["total_count"] == 5
    parse_qs(urlsplit(page["next"]["href"]).query, strict_parsing=True)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "offset=-1",
        "offset=10000001",
        "sort=description",
        "sort=--name",
        "search=a",
        f"search={'a' * 129}",
        "secret_types=certificate",
        "secret_types=kv,certificate",
        f"groups={','.join([UNKNOWN] * 202)}",
        f"match_all_labels={','.join(['label'] * 31)}",
    ],
)
def test_broken_parameters_are_refused_by_name(place: Place, query: str) -> None:
    assert field(place.ask(f"?{query}")) == query.partition("=")[0]


def test_the_largest_page_has_a_thousand(place: Place) -> None:
    assert place.ask("?limit=1000").json["limit"] == 1000


# --- order


@pytest.mark.parametrize(
    ("key", "ascending"),
    [
        ("name", ["Bravo", "alpha", "charlie", "delta", "echo"]),
        ("created_at", ["delta", "Bravo", "alpha", "echo", "charlie"]),
        ("updated_at", ["Bravo", "alpha", "charlie", "echo", "delta"]),
        ("retrieved_at", ["alpha", "Bravo"]),
        ("expiration_date", ["charlie", "Bravo"]),
        ("secret_type", ["Bravo", "echo", "delta", "alpha", "charlie"]),
    ],
)
def test_every_key_sorts_in_both_directions_and_missing_values_come_last(
    place: Place, key: str, ascending: list[str]
) -> None:
    valued = len(ascending)
    up, down = place.names(f"?sort={key}"), place.names(f"?sort=-{key}")
    assert up[:valued] == ascending
    if key == "secret_type":
        assert [place_type(name) for name in down] == sorted(map(place_type, down), reverse=True)
    else:
        assert down[:valued] == ascending[::-1]
    assert set(up[valued:]) == set(down[valued:]) == set(place.ids) - set(ascending)


def place_type(name: str) -> str:
    """Return the type of a stocked secret."""
    return next(row[1] for row in STOCK if row[0] == name)


def test_ids_sort_as_text(place: Place) -> None:
    ordered = sorted(place.ids, key=lambda name: place.ids[name])
    assert place.names("?sort=id") == ordered
    assert place.names("?sort=-id") == ordered[::-1]


def test_ties_keep_the_order_of_creation_across_pages(place: Place) -> None:
    whole = place.names("?sort=secret_type")
    paged = [place.ask(f"?sort=secret_type&limit=1&offset={at}").json["secrets"][0]["name"] for at in range(5)]
    assert paged == whole


# --- search and filters


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ALPHA", ["echo", "alpha"]),
        ("ravo", ["Bravo"]),
        ("straße", ["alpha"]),
        ("K%C3%96LN", ["alpha"]),
        ("edge", ["alpha", "delta"]),
        ("username", ["charlie", "alpha"]),
        ("kv", ["delta"]),
        ("100%25", ["echo"]),
        ("f_b", ["echo"]),
        ("%25%25", []),
        ("__", []),
        ("nothing", []),
    ],
)
def test_search_looks_into_names_descriptions_labels_and_types(place: Place, text: str, found: list[str]) -> None:
    assert place.names(f"?search={text.replace('ß', '%C3%9F')}") == found


def test_search_finds_ids(place: Place) -> None:
    for name, secret_id in place.ids.items():
        assert place.names(f"?search={secret_id}") == [name]
        assert name in place.names(f"?search={secret_id[9:18].upper()}")


def test_filters_are_combined(place: Place) -> None:
    assert place.names("?groups=default") == ["charlie", "alpha", "delta"]
    assert place.names(f"?groups={place.group}") == ["echo", "Bravo"]
    assert place.names(f"?groups={place.group},default") == NEWEST_FIRST
    assert place.names(f"?groups={place.group}%2Cdefault") == NEWEST_FIRST
    assert place.names(f"?groups={UNKNOWN}") == []
    assert place.names("?secret_types=kv,username_password") == ["charlie", "alpha", "delta"]
    assert place.names("?secret_types=private_cert") == []
    assert place.names("?match_all_labels=edge") == ["alpha", "delta"]
    assert place.names("?match_all_labels=edge,prod") == ["delta"]
    assert place.names("?match_all_labels=Edge") == []
    assert place.names("?match_all_labels=edge,prod,dev") == []
    assert place.names("?groups=default&secret_types=username_password&match_all_labels=edge&search=al") == ["alpha"]
    assert place.names("?secret_types=arbitrary&sort=name&search=al") == ["echo"]


def test_lists_carry_no_values(place: Place) -> None:
    answer = place.ask()
    for secret in answer.json["secrets"]:
        assert not {"payload", "data", "username", "password"} & secret.keys()
    assert b"something" not in answer.raw


def test_certificates_are_found_by_what_is_searched_only(server: InProcess) -> None:
    import_certificate(server, "cert", certificate=leaf(server, names=("shop.example.com",)).pem)
    assert server.request("GET", f"{SECRETS}?search=imported").json["total_count"] == 1
    assert server.request("GET", f"{SECRETS}?search=shop").json["total_count"] == 0


# --- restricted callers


def test_callers_see_secrets_of_their_groups_only(place: Place) -> None:
    member = place.server.login_with(Role.READER, group=place.group)
    assert place.names(caller=member) == ["echo", "Bravo"]
    assert place.names(f"?groups={place.group},default", member) == ["echo", "Bravo"]
    assert place.names("?groups=default", member) == []
    assert place.names("?search=alpha", member) == ["echo"]
    assert place.names("?sort=name&secret_types=kv", member) == []
    assert place.ask(caller=place.server.login_with()).status == 403
    assert place.ask(caller=place.server.login_with(Role.ADMINISTRATOR)).status == 403


def test_one_caller_in_two_groups_sees_both(place: Place) -> None:
    both = place.server.login_with(Role.READER, group="default")
    assert place.names(caller=both) == ["charlie", "alpha", "delta"]
