"""Lists of secrets against a plain sort and filter in Python, on both databases."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import Secret, SecretQuery, SecretType
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import GroupId, SecretId
from strongroom.kernel.result import Sort
from strongroom.storage.repositories import pieces, secret_lists
from strongroom.storage.repositories.rows import search_text
from strongroom.storage.repositories.secret_list_statements import KEYS, Way
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import NOW, add_group, add_secret, later, make_secret

GROUPS = ("default", "team-a", "team-b", "team-c")
TYPES = (SecretType.KV, SecretType.IMPORTED_CERT, SecretType.ARBITRARY, SecretType.USERNAME_PASSWORD)
LABELS = ("dev", "prod", "eu", "us")
WORDS = ("alpha", "Beta", "GAMMA", "straße", "Ünïcode", "50%_off", "back\\slash", "quo'te\"s", "日本語の証明書")


def wanted(secrets: list[Secret], query: SecretQuery) -> tuple[list[SecretId], int]:
    """Answer the query in plain Python; ``secrets`` are in order of creation."""
    found = [
        (index, secret)
        for index, secret in enumerate(secrets)
        if (query.groups is None or secret.group_id in query.groups)
        and (query.secret_types is None or secret.secret_type in query.secret_types)
        and set(query.labels) <= set(secret.labels)
        and (query.search is None or query.search.casefold() in search_text(secret))
    ]
    keys: dict[str, Callable[[Secret], Any]] = {
        "id": lambda secret: secret.id,
        "name": lambda secret: secret.name.encode(),
        "created_at": lambda secret: secret.created_at,
        "updated_at": lambda secret: secret.updated_at,
        "retrieved_at": lambda secret: secret.retrieved_at,
        "expiration_date": lambda secret: secret.expires_at,
        "secret_type": lambda secret: secret.secret_type.value,
    }
    if query.sort is None:
        found.reverse()
    else:
        key = keys[query.sort.key]
        present = [(index, secret) for index, secret in found if key(secret) is not None]
        missing = [(index, secret) for index, secret in found if key(secret) is None]
        present.sort(key=lambda pair: (key(pair[1]), pair[0]), reverse=query.sort.descending)
        if query.sort.descending:
            missing.reverse()
        found = present + missing
    return [secret.id for _, secret in found][query.offset : query.offset + query.limit], len(found)


def listed(storage: SqlStorage, query: SecretQuery) -> tuple[list[SecretId], int]:
    page = storage.read(lambda unit: unit.secrets.page(query))
    assert (page.limit, page.offset) == (query.limit, query.offset)
    return [secret.id for secret in page.items], page.total


def make_many(rng: random.Random, count: int) -> list[Secret]:
    """Make secrets with many ties and gaps in what lists sort by."""
    return [
        make_secret(
            f"{rng.choice(WORDS)}-{index}",
            secret_type=rng.choice(TYPES),
            group_id=GroupId(rng.choice(GROUPS)),
            labels=tuple(sorted(rng.sample(LABELS, rng.randint(0, 3)))),
            description=rng.choice(("", "for the shop", "Straßenbahn", "rotate by hand")),
            created_at=later(rng.randint(0, 5)),
            updated_at=later(rng.randint(0, 5)),
            retrieved_at=rng.choice((None, later(rng.randint(0, 5)))),
            expires_at=rng.choice((None, later(rng.randint(-5, 5)))),
        )
        for index in range(count)
    ]


@pytest.fixture
def stored(storage: SqlStorage) -> list[Secret]:
    for group in GROUPS:
        add_group(storage, group)
    secrets = make_many(random.Random(20260115), 120)

    def add(unit: Unit) -> None:
        for secret in secrets:
            unit.secrets.add(secret)

    storage.write(add)
    return secrets


def sorts() -> Iterator[Sort | None]:
    yield None
    for key, descending in itertools.product(KEYS, (False, True)):
        yield Sort(key=key, descending=descending)


def filters() -> Iterator[dict[str, Any]]:
    yield {}
    yield {"groups": frozenset({GroupId("team-a")})}
    yield {"groups": frozenset(map(GroupId, ("default", "team-b", "team-c")))}
    yield {"secret_types": frozenset({SecretType.KV})}
    yield {"secret_types": frozenset({SecretType.KV, SecretType.ARBITRARY})}
    yield {"groups": frozenset({GroupId("team-b")}), "secret_types": frozenset({SecretType.IMPORTED_CERT})}
    yield {"labels": ("dev",)}
    yield {"labels": ("eu", "dev"), "groups": frozenset({GroupId("default"), GroupId("team-a")})}
    yield {"search": "straße"}
    yield {"search": "SHOP", "secret_types": frozenset(TYPES[:2])}
    yield {"search": "ha"}
    yield {"search": "rotate", "labels": ("prod",), "groups": frozenset({GroupId("team-c")})}


def _name(chosen: dict[str, Any]) -> str:
    """Return a name that does not depend on the order of sets, which differs between processes."""
    return ",".join(
        f"{key}={sorted(value) if isinstance(value, frozenset) else value}" for key, value in chosen.items()
    )


@pytest.mark.parametrize("chosen", list(filters()), ids=_name)
def test_every_order_of_a_filtered_list_is_what_plain_python_gives(
    storage: SqlStorage, stored: list[Secret], chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rare_hits in (secret_lists.RARE_HITS, 1):
        # With few candidates allowed, the same searches take the way of common words.
        monkeypatch.setattr(secret_lists, "RARE_HITS", rare_hits)
        for sort in sorts():
            for offset in (0, 7, 60, 113):
                query = SecretQuery(limit=7, offset=offset, sort=sort, **chosen)
                assert listed(storage, query) == wanted(stored, query), query


@pytest.mark.parametrize("way", [Way.WALK, Way.GROUP, Way.TYPE])
def test_every_way_gives_the_same_list(
    storage: SqlStorage, stored: list[Secret], way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_lists, "_way", lambda *_, **__: way)
    chosen = {"groups": frozenset(map(GroupId, GROUPS[1:3])), "secret_types": frozenset(TYPES[:3])}
    for sort in sorts():
        for offset in (0, 30):
            query = SecretQuery(limit=10, offset=offset, sort=sort, **chosen)  # type: ignore[arg-type]
            assert listed(storage, query) == wanted(stored, query), query


@pytest.mark.parametrize("way", [Way.WALK, Way.LABEL])
def test_every_way_through_labels_gives_the_same_list(
    storage: SqlStorage, stored: list[Secret], way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_lists, "_way", lambda *_, **__: way)
    for sort in sorts():
        query = SecretQuery(limit=10, offset=3, sort=sort, labels=("dev", "us"))
        assert listed(storage, query) == wanted(stored, query), query


def test_pages_cover_a_list_once(storage: SqlStorage, stored: list[Secret]) -> None:
    for sort in sorts():
        pages = [listed(storage, SecretQuery(limit=13, offset=offset, sort=sort)) for offset in range(0, 130, 13)]
        ids = [id_ for page, _ in pages for id_ in page]
        assert {total for _, total in pages} == {len(stored)}
        assert sorted(ids) == sorted(secret.id for secret in stored)


def test_list_without_a_chance_is_empty(storage: SqlStorage, stored: list[Secret]) -> None:
    assert listed(storage, SecretQuery(limit=5, groups=frozenset())) == ([], 0)
    assert listed(storage, SecretQuery(limit=5, groups=frozenset({GroupId("unknown")}))) == ([], 0)
    assert listed(storage, SecretQuery(limit=5, secret_types=frozenset())) == ([], 0)
    assert listed(storage, SecretQuery(limit=5, labels=("unknown",))) == ([], 0)
    assert listed(storage, SecretQuery(limit=5, offset=10_000_000)) == ([], len(stored))


def test_unknown_sort_key_is_refused(storage: SqlStorage) -> None:
    with pytest.raises(Invalid) as refused:
        listed(storage, SecretQuery(limit=5, sort=Sort(key="state")))
    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_FIELD, "sort")


@pytest.mark.parametrize(
    "search",
    ["STRASSE", "ünïcode", "ÜNÏCODE", "日本", "証明書", "50%", "%_", "\\s", "quo'te\"s", '"s', "imported_cert", "us"],
)
def test_search_finds_any_part_in_any_case(storage: SqlStorage, stored: list[Secret], search: str) -> None:
    query = SecretQuery(limit=200, search=search)

    ids, total = listed(storage, query)

    assert (ids, total) == wanted(stored, query)
    assert total > 0


@pytest.mark.parametrize("search", ["5%_", "a%a", "a_a", "* OR", "NEAR(", "50_", '""', "'--", "dev\x1fprod", "-0 AND"])
def test_search_takes_every_character_as_itself(storage: SqlStorage, stored: list[Secret], search: str) -> None:
    query = SecretQuery(limit=200, search=search)

    assert listed(storage, query) == wanted(stored, query)


@pytest.mark.parametrize("rare_hits", [1, 10_000])
@pytest.mark.parametrize(
    "search",
    [
        "alpha-1",
        "GAMMA-10",
        "rotate by",
        "for the shop",
        "50%_off-",
        "imported_cert",
        "the shop\x1fdev",
        "missing words",
    ],
)
def test_search_by_rare_pieces_finds_the_same(
    storage: SqlStorage, stored: list[Secret], search: str, rare_hits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_lists, "RARE_HITS", rare_hits)
    monkeypatch.setattr(pieces, "SAMPLED_FROM", 0)
    monkeypatch.setattr(pieces, "RARE_SHARE", 1.0)
    for chosen in ({}, {"labels": ("prod",), "groups": frozenset(map(GroupId, GROUPS[:2]))}):
        for sort in (None, Sort(key="name"), Sort(key="expiration_date", descending=True)):
            for offset in (0, 5):
                query = SecretQuery(limit=5, offset=offset, sort=sort, search=search, **chosen)  # type: ignore[arg-type]
                assert listed(storage, query) == wanted(stored, query), query


def test_search_finds_composed_and_decomposed_letters_alike(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage, "Cafe\u0301 menu")

    assert listed(storage, SecretQuery(limit=5, search="CAF\u00c9")) == ([secret.id], 1)


def test_search_follows_changes(storage: SqlStorage) -> None:
    add_group(storage)
    secret = add_secret(storage, "before", labels=("old",))
    storage.write(lambda unit: unit.secrets.save(replace(secret, name="after", labels=("Old", "new"))))

    assert listed(storage, SecretQuery(limit=5, search="before")) == ([], 0)
    assert listed(storage, SecretQuery(limit=5, search="after")) == ([secret.id], 1)
    assert listed(storage, SecretQuery(limit=5, labels=("old",))) == ([], 0)
    assert listed(storage, SecretQuery(limit=5, labels=("Old", "new"))) == ([secret.id], 1)


def test_unit_finds_what_it_has_just_stored(storage: SqlStorage) -> None:
    add_group(storage)

    def adds_and_looks(unit: Unit) -> list[int]:
        unit.secrets.add(make_secret("fresh", labels=("new",)))
        queries = (SecretQuery(limit=5), SecretQuery(limit=5, search="fresh"), SecretQuery(limit=5, labels=("new",)))
        return [unit.secrets.page(query).total for query in queries]

    assert storage.write(adds_and_looks) == [1, 1, 1]


def test_equal_times_are_listed_in_order_of_creation(storage: SqlStorage) -> None:
    add_group(storage)
    ids = [add_secret(storage, f"{i}", created_at=NOW + timedelta(seconds=1)).id for i in range(5)]

    assert listed(storage, SecretQuery(limit=5))[0] == ids[::-1]
    assert listed(storage, SecretQuery(limit=5, sort=Sort(key="created_at")))[0] == ids
