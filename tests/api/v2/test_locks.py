"""Locks: creating with both modes, replacing, listing, deleting, limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from strongroom.domain.access.actions import Role
from tests.api.v2.sending import code, create, error, events, field, import_certificate, leaf, lock, made, make_group
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

ALL = "/api/v2/secrets_locks"


def rotate(server: InProcess, address: str) -> Answer:
    """Make the next version."""
    return server.request("POST", f"{address}/versions", {"payload": "next"})


def names(answer: Answer) -> list[list[str]]:
    """Return the lock names of each version of an answer, current first."""
    return [version["locks"] for version in answer.json["versions"]]


def locks(server: InProcess, address: str, query: str = "") -> list[str]:
    """Return the names in a list of locks."""
    answer = server.request("GET", f"{address}/locks{query}")
    assert answer.status == 200, answer.raw
    return [item["name"] for item in answer.json["locks"]]


def total(server: InProcess, address: str) -> int:
    """Return how many locks the secret says it has."""
    return int(server.request("GET", f"{address}/metadata").json["locks_total"])


def test_locks_are_put_on_the_current_version(server: InProcess) -> None:
    address = made(create(server))
    version = server.request("GET", f"{address}/versions/current/metadata").json["id"]
    body = {"locks": [{"name": "edge", "description": "the edge", "attributes": {"host": "a", "n": None}}]}
    answer = server.request("POST", f"{address}/locks_bulk", body)
    assert answer.status == 201, answer.raw
    assert answer.json == {
        "secret_id": address.rpartition("/")[2],
        "secret_group_id": "default",
        "secret_type": "arbitrary",
        "secret_name": "example",
        "versions": [{"version_id": version, "version_alias": "current", "locks": ["edge"], "payload_available": True}],
    }
    (shown,) = server.request("GET", f"{address}/locks").json["locks"]
    assert {name: shown[name] for name in ("name", "description", "attributes")} == body["locks"][0]
    assert (shown["secret_version_id"], shown["secret_version_alias"]) == (version, "current")
    assert total(server, address) == 1


def test_the_same_name_replaces_the_lock_on_that_version(server: InProcess) -> None:
    address = made(create(server))
    body = {"locks": [{"name": "edge", "description": "one"}]}
    server.request("POST", f"{address}/locks_bulk", body)
    server.clock.advance(timedelta(seconds=9))
    server.request("POST", f"{address}/locks_bulk", {"locks": [{"name": "edge", "attributes": {"a": 1}}]})
    (shown,) = server.request("GET", f"{address}/locks").json["locks"]
    assert "description" not in shown
    assert shown["attributes"] == {"a": 1}
    assert shown["created_at"] != shown["updated_at"]
    assert total(server, address) == 1


def test_locks_stay_with_their_version_when_it_becomes_previous(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "edge", "core")
    assert rotate(server, address).status == 201
    listed = server.request("GET", f"{address}/locks").json["locks"]
    assert {(item["name"], item["secret_version_alias"]) for item in listed} == {
        ("edge", "previous"),
        ("core", "previous"),
    }
    assert names(lock(server, address, "edge")) == [["edge"], ["edge", "core"]]
    assert total(server, address) == 3
    assert code(rotate(server, address), 412) == "secret_version_locked"


def test_a_version_is_locked_by_alias_or_id(server: InProcess) -> None:
    address = made(create(server))
    rotate(server, address)
    previous = server.request("GET", f"{address}/versions/previous/metadata").json["id"]
    assert names(lock(server, f"{address}/versions/{previous}", "one")) == [[], ["one"]]
    assert names(lock(server, f"{address}/versions/previous", "two")) == [[], ["one", "two"]]
    assert names(lock(server, f"{address}/versions/current", "two")) == [["two"], ["one", "two"]]
    assert locks(server, f"{address}/versions/previous") == ["two", "one"]
    assert locks(server, f"{address}/versions/current") == ["two"]


def test_remove_previous_moves_names_to_the_current_version(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "edge", "core")
    rotate(server, address)
    assert names(lock(server, address, "edge", mode="remove_previous")) == [["edge"], ["core"]]
    answer = lock(server, address, "core", mode="remove_previous")
    assert names(answer) == [["edge", "core"], []]
    assert answer.json["versions"][1]["payload_available"] is True
    assert rotate(server, address).status == 201


def test_remove_previous_and_delete_erases_the_previous_version_once_it_is_free(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "edge", "core")
    rotate(server, address)
    answer = lock(server, address, "edge", mode="remove_previous_and_delete")
    assert (names(answer), answer.json["versions"][1]["payload_available"]) == ([["edge"], ["core"]], True)
    assert "secret_version_data_deleted" not in events(server)
    answer = lock(server, address, "core", mode="remove_previous_and_delete")
    assert (names(answer), answer.json["versions"][1]["payload_available"]) == ([["edge", "core"], []], False)
    assert events(server)[-1] == "secret_version_data_deleted"
    version = server.request("GET", f"{address}/versions/previous").json
    assert "payload" not in version
    assert version["payload_available"] is False
    lock(server, address, "core", mode="remove_previous_and_delete")
    assert events(server).count("secret_version_data_deleted") == 1
    assert code(lock(server, f"{address}/versions/previous", "late")) == "payload_not_available"


def test_modes_without_a_previous_version_just_lock(server: InProcess) -> None:
    address = made(create(server))
    assert names(lock(server, address, "edge", mode="remove_previous_and_delete")) == [["edge"]]


def test_modes_are_for_the_current_version(server: InProcess) -> None:
    address = made(create(server))
    rotate(server, address)
    for mode in ("remove_previous", "remove_previous_and_delete"):
        assert field(lock(server, f"{address}/versions/previous", "edge", mode=mode)) == "mode"
        assert lock(server, f"{address}/versions/current", "edge", mode=mode).status == 201
    assert field(lock(server, address, "edge", mode="exclusive")) == "mode"


def test_versions_without_a_value_cannot_be_locked(server: InProcess) -> None:
    address = made(create(server))
    oldest = server.request("GET", f"{address}/versions/current/metadata").json["id"]
    rotate(server, address)
    rotate(server, address)
    assert code(lock(server, f"{address}/versions/{oldest}", "edge")) == "payload_not_available"


def test_bad_lock_names_are_refused(shared: InProcess) -> None:
    address = made(create(shared, name="bad-names"))
    for name in ("", "a", "1a", "-a", "a" * 65, "a b", "a/b", "ab\n", "ä-b"):
        assert field(lock(shared, address, "good", name)) == "locks[1].name"
    assert locks(shared, address) == []


def test_limits_of_a_request(shared: InProcess) -> None:
    address = made(create(shared, name="limits"))

    def refused(*items: Any) -> str:
        return field(shared.request("POST", f"{address}/locks_bulk", {"locks": list(items)}))

    assert refused() == "locks"
    assert refused(*({"name": f"lock-{number}"} for number in range(1001))) == "locks"
    assert refused({"name": "ab", "description": "d" * 1025}) == "locks[0].description"
    assert refused({"name": "ab", "attributes": {"a": "b" * 10_240}}) == "locks[0].attributes"
    assert refused({"name": "ab", "attributes": "text"}) == "locks[0].attributes"
    assert refused({"description": "no name"}) == "locks[0].name"
    assert refused({"name": "ab", "other": 1}) == "locks[0].other"
    assert field(shared.request("POST", f"{address}/locks_bulk", {})) == "locks"
    assert total(shared, address) == 0


def test_a_thousand_locks_are_the_limit_of_a_secret(server: InProcess) -> None:
    address = made(create(server))
    assert lock(server, address, *(f"lock-{number}" for number in range(1000))).status == 201
    assert lock(server, address, "lock-7").status == 201
    answer = lock(server, address, "one-more")
    assert code(answer) == "limit_reached"
    assert "reached the maximum" in error(answer)["message"]
    rotate(server, address)
    assert code(lock(server, address, "one-more")) == "limit_reached"
    assert total(server, address) == 1000


def test_locks_are_deleted_by_name_or_all_at_once(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "one", "two", "three")
    rotate(server, address)
    lock(server, address, "one", "four")
    bulk = f"{address}/locks_bulk"
    assert names(server.request("DELETE", f"{bulk}?name=two,unknown")) == [["one", "four"], ["one", "three"]]
    assert names(server.request("DELETE", f"{bulk}?name=one")) == [["four"], ["three"]]
    assert total(server, address) == 2
    assert names(server.request("DELETE", f"{bulk}?name=unknown")) == [["four"], ["three"]]
    assert names(server.request("DELETE", f"{address}/versions/previous/locks_bulk")) == [["four"], []]
    assert names(server.request("DELETE", bulk)) == [[], []]
    assert total(server, address) == 0
    assert server.request("DELETE", bulk).status == 200


def test_locks_of_one_version_are_deleted_by_name(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "one", "two")
    rotate(server, address)
    lock(server, address, "one", "two")
    answer = server.request("DELETE", f"{address}/versions/previous/locks_bulk?name=one")
    assert names(answer) == [["one", "two"], ["two"]]
    answer = server.request("DELETE", f"{address}/versions/current/locks_bulk?name=two%2Cone")
    assert names(answer) == [[], ["two"]]


def test_an_empty_list_of_names_does_not_mean_all(server: InProcess) -> None:
    address = made(create(server))
    lock(server, address, "one")
    for query in ("name=", "name=,"):
        assert field(server.request("DELETE", f"{address}/locks_bulk?{query}")) == "name"
    many = ",".join(f"lock-{number}" for number in range(1001))
    assert field(server.request("DELETE", f"{address}/locks_bulk?name={many}")) == "name"
    assert total(server, address) == 1


def test_lists_of_locks_are_paged_sorted_and_searched(server: InProcess) -> None:
    address = made(create(server))
    for name in ("beta", "Alpha", "gamma"):
        lock(server, address, name)
        server.clock.advance(timedelta(seconds=1))
    lock(server, address, "beta")
    assert locks(server, address) == ["gamma", "Alpha", "beta"]
    for key, expected in (
        ("name", ["Alpha", "beta", "gamma"]),
        ("created_at", ["beta", "Alpha", "gamma"]),
        ("updated_at", ["Alpha", "gamma", "beta"]),
    ):
        assert locks(server, address, f"?sort={key}") == expected
        assert locks(server, address, f"?sort=-{key}") == expected[::-1]
    assert locks(server, address, "?search=ALPH") == ["Alpha"]
    page = server.request("GET", f"{address}/locks?limit=1&offset=1&sort=name").json
    assert [item["name"] for item in page["locks"]] == ["beta"]
    assert (page["total_count"], page["limit"], page["offset"]) == (3, 1, 1)
    assert page["next"]["href"].endswith("/locks?limit=1&offset=2&sort=name")
    plain = server.request("GET", f"{address}/locks").json
    assert plain["limit"] == 25
    assert "next" not in plain
    for query in ("limit=101", "limit=0", "offset=1001", "offset=-1", "sort=version", "search=a"):
        assert field(server.request("GET", f"{address}/locks?{query}")) == query.partition("=")[0]


def test_secrets_with_locks_are_listed_by_group_and_lock_name(server: InProcess) -> None:
    group = make_group(server)
    addresses = {}
    for name, where in (("one", "default"), ("two", group), ("three", group), ("free", group)):
        addresses[name] = made(create(server, name=name, secret_group_id=where))
        server.clock.advance(timedelta(seconds=1))
    lock(server, addresses["one"], "edge-1")
    lock(server, addresses["two"], "edge-2", "core")
    lock(server, addresses["three"], "core")

    def listed(query: str = "", who: str = "administrator") -> list[str]:
        answer = server.request("GET", f"{ALL}{query}", token=who)
        assert answer.status == 200, answer.raw
        assert answer.json["total_count"] >= len(answer.json["secrets_locks"])
        return [item["secret_name"] for item in answer.json["secrets_locks"]]

    assert listed() == ["three", "two", "one"]
    assert listed("?search=EDGE") == ["two", "one"]
    assert listed(f"?groups={group}") == ["three", "two"]
    assert listed("?groups=default") == ["one"]
    assert listed(f"?groups=default,{group}&limit=2&offset=1") == ["two", "one"]
    member = server.login_with(Role.READER, group=group)
    assert listed(who=member) == ["three", "two"]
    assert listed("?groups=default", member) == []
    assert server.request("GET", ALL).json["limit"] == 200
    assert field(server.request("GET", f"{ALL}?limit=1001")) == "limit"
    assert field(server.request("GET", f"{ALL}?search=a")) == "search"


def test_metadata_and_reads_are_never_blocked_by_locks(server: InProcess) -> None:
    address = made(import_certificate(server, certificate=leaf(server).pem))
    lock(server, address, "edge")
    assert server.request("GET", address).status == 200
    assert server.request("PATCH", f"{address}/metadata", {"labels": ["new"]}).status == 200
    body = {"version_custom_metadata": {"a": 1}}
    assert server.request("PATCH", f"{address}/versions/current/metadata", body).status == 200


def test_writers_lock_and_managers_unlock(server: InProcess) -> None:
    address = made(create(server))
    writer, manager = server.login_with(Role.WRITER), server.login_with(Role.MANAGER)
    body = {"locks": [{"name": "edge"}]}
    assert server.request("POST", f"{address}/locks_bulk", body, token=writer).status == 201
    assert server.request("DELETE", f"{address}/locks_bulk", token=writer).status == 403
    assert server.request("DELETE", f"{address}/locks_bulk", token=manager).status == 200


def test_the_limit_of_locks_is_a_setting(data_dir: Any, clock: Any) -> None:
    with in_process(data_dir, clock, limits={"locks_per_secret": 2}) as server:
        address = made(create(server))
        assert field(lock(server, address, "one", "two", "three")) == "locks"
        assert lock(server, address, "one", "two").status == 201
        assert code(lock(server, address, "three")) == "limit_reached"
