"""Configurations on both databases."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration, ConfigurationQuery
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import SecretType, State
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import ConfigurationId
from strongroom.kernel.result import Page, Sort
from strongroom.storage.repositories.configurations import SORT_KEYS
from strongroom.storage.statements import SQLITE
from strongroom.storage.store import SqlStorage
from tests.contract.storage.builders import add_authority, add_configuration, add_issued, later, make_group, make_secret
from tests.contract.storage.conftest import OpenStorage


def page(storage: SqlStorage, **query: Any) -> Page[Configuration]:
    return storage.read(lambda unit: unit.configurations.page(ConfigurationQuery(**{"limit": 10, **query})))


def names(storage: SqlStorage, **query: Any) -> list[str]:
    found = page(storage, **query)
    assert found.total >= len(found.items)
    return [configuration.name for configuration in found.items]


def test_configuration_comes_back_as_it_was_stored(storage: SqlStorage) -> None:
    configuration = add_configuration(
        storage,
        "Example-Root",
        document={"max_ttl_seconds": 1, "common_name": "Grüße", "a": [None, True, 1.5]},
        sealed=b"\x00\xff",
        updated_at=later(1.000001),
        row_version=3,
    )

    assert storage.read(lambda unit: unit.configurations.find_by_id(configuration.id)) == configuration
    assert storage.read(lambda unit: unit.configurations.find(ConfigKind.PRIVATE_CA, "Example-Root")) == configuration
    assert storage.write(lambda unit: unit.configurations.find_for_update(configuration.id)) == configuration


def test_what_is_not_there_is_not_found(storage: SqlStorage) -> None:
    configuration = add_configuration(storage, "Example")
    unknown = ConfigurationId("unknown")

    assert storage.read(lambda unit: unit.configurations.find(ConfigKind.PRIVATE_CA, "example")) is None
    assert storage.read(lambda unit: unit.configurations.find(ConfigKind.TEMPLATE, configuration.name)) is None
    assert storage.read(lambda unit: unit.configurations.find_by_id(unknown)) is None
    assert storage.write(lambda unit: unit.configurations.find_for_update(unknown)) is None


def test_name_is_taken_once_within_a_kind(storage: SqlStorage) -> None:
    root = add_configuration(storage, "example")

    with pytest.raises(Conflict, match="already exists: example") as refused:
        add_configuration(storage, "example", config_type=ConfigType.INTERMEDIATE_CA)
    assert refused.value.code is ErrorCode.ALREADY_EXISTS

    template = add_configuration(storage, "example", config_type=ConfigType.TEMPLATE)
    assert storage.read(lambda unit: unit.configurations.named("example")) == [root, template]
    assert storage.read(lambda unit: unit.configurations.named("other")) == []


def test_kind_is_listed_oldest_first(storage: SqlStorage) -> None:
    for name, config_type in (("z", ConfigType.ROOT_CA), ("t", ConfigType.TEMPLATE), ("a", ConfigType.INTERMEDIATE_CA)):
        add_configuration(storage, name, config_type=config_type)

    def of_kind(kind: ConfigKind) -> list[str]:
        found = storage.read(lambda unit: unit.configurations.of_kind(kind))
        return [configuration.name for configuration in found]

    assert of_kind(ConfigKind.PRIVATE_CA) == ["z", "a"]
    assert of_kind(ConfigKind.TEMPLATE) == ["t"]


def test_changed_document_is_stored_under_the_next_row_version(storage: SqlStorage) -> None:
    configuration = add_configuration(storage, document={"a": 1}, sealed=b"old")
    changed = replace(configuration, document={"a": 2}, sealed=None, updated_at=later(5))

    saved = storage.write(lambda unit: unit.configurations.save(changed))

    assert saved == replace(changed, row_version=1)
    assert storage.read(lambda unit: unit.configurations.find_by_id(configuration.id)) == saved


def test_change_of_what_somebody_else_changed_is_refused(storage: SqlStorage) -> None:
    configuration = add_configuration(storage)
    saved = storage.write(lambda unit: unit.configurations.save(replace(configuration, document={"mine": 1})))

    with pytest.raises(Conflict, match="changed by somebody else") as refused:
        storage.write(lambda unit: unit.configurations.save(replace(configuration, document={"other": 1})))

    assert refused.value.code is ErrorCode.STALE_VERSION
    assert storage.read(lambda unit: unit.configurations.find_by_id(configuration.id)) == saved


def test_configuration_that_a_unit_relies_on_stays_as_it_is_until_the_commit(open_store: OpenStorage) -> None:
    stores = [open_store(stream=stream) for stream in ("one", "two", "three")]
    configuration = add_configuration(stores[0])
    unknown = ConfigurationId("unknown")
    relied, may_commit = threading.Event(), threading.Event()

    def relies(unit: Unit) -> Mapping[ConfigurationId, int]:
        assert unit.configurations.rely_on(unknown) == {}
        found = unit.configurations.rely_on(configuration.id, unknown)
        relied.set()
        assert may_commit.wait(10)
        return found

    first = stores[0].submit(relies)
    assert relied.wait(10)
    changing = stores[1].submit(lambda unit: unit.configurations.save(replace(configuration, document={"new": 1})))
    if stores[2].dialect != SQLITE:
        # Any number may rely on it at once.
        assert stores[2].submit(lambda unit: unit.configurations.rely_on(configuration.id)).result(10)
    with pytest.raises(TimeoutError):
        changing.result(0.2)
    may_commit.set()

    assert first.result(10) == {configuration.id: configuration.row_version}
    assert changing.result(10).row_version == 1


def test_configuration_that_is_read_for_a_change_waits_for_the_one_before(open_store: OpenStorage) -> None:
    stores = [open_store(stream="one"), open_store(stream="two")]
    configuration = add_configuration(stores[0], document={"count": 0})

    def count(unit: Unit) -> None:
        found = unit.configurations.find_for_update(configuration.id)
        assert found is not None
        unit.configurations.save(replace(found, document={"count": found.document["count"] + 1}))

    def count_often(store: SqlStorage) -> None:
        for _ in range(15):
            store.write(count)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count_often, stores))

    found = stores[0].read(lambda unit: unit.configurations.find_by_id(configuration.id))
    assert found is not None
    assert (found.document, found.row_version) == ({"count": 30}, 30)


def test_what_was_removed_can_be_neither_changed_nor_removed_again(storage: SqlStorage) -> None:
    configuration = add_configuration(storage)
    storage.write(lambda unit: unit.configurations.remove(configuration.id))

    assert storage.read(lambda unit: unit.configurations.find_by_id(configuration.id)) is None
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.configurations.save(configuration))
    with pytest.raises(NotFound):
        storage.write(lambda unit: unit.configurations.remove(configuration.id))


def test_configuration_takes_its_authorities_along(storage: SqlStorage) -> None:
    configuration, other = add_configuration(storage, "one"), add_configuration(storage, "two")
    authority, kept = add_authority(storage, configuration), add_authority(storage, other)
    add_issued(storage, authority, "1")
    add_issued(storage, kept, "1")

    storage.write(lambda unit: unit.configurations.remove(configuration.id))

    assert storage.read(lambda unit: unit.authorities.find(authority.id)) is None
    assert storage.read(lambda unit: unit.authorities.find_issued(configuration.id, "1")) is None
    assert storage.read(lambda unit: unit.authorities.find(kept.id)) == kept
    assert storage.read(lambda unit: unit.authorities.find_issued(other.id, "1")) is not None


@pytest.fixture
def several(storage: SqlStorage) -> SqlStorage:
    """Give a store with five configurations; their names in order of creation: b, A_1, c, a%1, B."""
    for seconds, (name, config_type) in enumerate(
        (
            ("b", ConfigType.TEMPLATE),
            ("A_1", ConfigType.ROOT_CA),
            ("c", ConfigType.INTERMEDIATE_CA),
            ("a%1", ConfigType.TEMPLATE),
            ("B", ConfigType.ROOT_CA),
        )
    ):
        add_configuration(storage, name, config_type=config_type, created_at=later(seconds))
    return storage


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, ["B", "a%1", "c", "A_1", "b"]),
        (Sort(key="name"), ["A_1", "B", "a%1", "b", "c"]),
        (Sort(key="name", descending=True), ["c", "b", "a%1", "B", "A_1"]),
        (Sort(key="config_type"), ["c", "A_1", "B", "b", "a%1"]),
        (Sort(key="config_type", descending=True), ["a%1", "b", "B", "A_1", "c"]),
        (Sort(key="secret_type"), ["b", "A_1", "c", "a%1", "B"]),
        (Sort(key="secret_type", descending=True), ["B", "a%1", "c", "A_1", "b"]),
        (Sort(key="created_at"), ["b", "A_1", "c", "a%1", "B"]),
        (Sort(key="created_at", descending=True), ["B", "a%1", "c", "A_1", "b"]),
    ],
    ids=str,
)
def test_list_is_sorted_by_each_key(several: SqlStorage, sort: Sort | None, expected: list[str]) -> None:
    assert names(several, sort=sort) == expected
    assert [names(several, sort=sort, limit=1, offset=place) for place in range(6)] == [
        *([name] for name in expected),
        [],
    ]


def test_every_sort_key_has_its_order() -> None:
    assert set(SORT_KEYS) == {"config_type", "secret_type", "name", "created_at"}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("b", ["B", "b"]),
        ("A_", ["A_1"]),
        ("a%1", ["a%1"]),
        ("%", ["a%1"]),
        ("_1", ["A_1"]),
        ("ROOT_ca", ["B", "A_1"]),
        ("configuration_temp", ["a%1", "b"]),
        ("private_cert", ["B", "a%1", "c", "A_1", "b"]),
        ("Private_Cert_", ["B", "a%1", "c", "A_1", "b"]),
        ("ü", []),
    ],
)
def test_search_finds_parts_of_names_and_types_whatever_their_case(
    several: SqlStorage, search: str, expected: list[str]
) -> None:
    found = page(several, search=search)

    assert [configuration.name for configuration in found.items] == expected
    assert found.total == len(expected)


def test_list_shows_only_the_types_that_were_asked_for(several: SqlStorage) -> None:
    templates, cas = frozenset({ConfigType.TEMPLATE}), frozenset({ConfigType.ROOT_CA, ConfigType.INTERMEDIATE_CA})

    assert names(several, config_types=templates) == ["a%1", "b"]
    assert names(several, config_types=cas) == ["B", "c", "A_1"]
    assert names(several, config_types=frozenset(ConfigType)) == ["B", "a%1", "c", "A_1", "b"]
    assert names(several, config_types=frozenset()) == []
    assert names(several, config_types=templates, search="1", sort=Sort(key="name")) == ["a%1"]


def test_total_counts_every_match(several: SqlStorage) -> None:
    assert page(several, limit=2).total == 5
    assert page(several, limit=0).total == 5
    assert page(several, limit=2, offset=100).total == 5
    assert page(several, limit=1, config_types=frozenset({ConfigType.ROOT_CA})).total == 2
    assert page(several, limit=3, offset=1).offset == 1


def test_public_certificates_that_name_a_configuration_are_found_oldest_first(storage: SqlStorage) -> None:
    def fill(unit: Unit) -> None:
        unit.groups.add(make_group())
        for name, secret_type, state, attributes in (
            ("one", SecretType.PUBLIC_CERT, State.ACTIVE, {"ca": "le", "dns": "zones"}),
            ("other", SecretType.PUBLIC_CERT, State.ACTIVE, {"ca": "le-2", "dns": "le"}),
            ("two", SecretType.PUBLIC_CERT, State.PRE_ACTIVATION, {"ca": "le", "dns": "manual"}),
            ("gone", SecretType.PUBLIC_CERT, State.DESTROYED, {"ca": "le", "dns": "zones"}),
            ("three", SecretType.PUBLIC_CERT, State.DEACTIVATED, {"ca": "le", "text": '"ca":"le-2"'}),
            ("text", SecretType.ARBITRARY, State.ACTIVE, {"ca": "le"}),
        ):
            secret = make_secret(name, secret_type=secret_type, state=state, attributes=attributes)
            unit.secrets.add(secret)

    storage.write(fill)

    def users(kind: ConfigKind, name: str, limit: int = 10) -> list[str]:
        return list(storage.read(lambda unit: unit.configurations.public_users(kind, name, limit)))

    assert users(ConfigKind.PUBLIC_CA, "le") == ["one", "two", "three"]
    assert users(ConfigKind.PUBLIC_CA, "le", 2) == ["one", "two"]
    assert users(ConfigKind.PUBLIC_CA, "le-2") == ["other"]
    assert users(ConfigKind.DNS, "zones") == ["one"]
    assert users(ConfigKind.DNS, "nobody") == []
