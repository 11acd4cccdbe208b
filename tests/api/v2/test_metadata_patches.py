"""Merge patches of metadata: what is replaced, what is merged, what null means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api.v2.sending import code, create, field, import_certificate, leaf, made, text
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess

KINDS = ("arbitrary", "kv", "username_password", "imported_cert")


def make(server: InProcess, kind: str, name: str, **members: Any) -> str:
    """Make a secret of any type."""
    if kind == "imported_cert":
        return made(import_certificate(server, name, certificate=leaf(server).pem, **members))
    return made(create(server, kind, name, **members))


def patch(server: InProcess, address: str, **members: Any) -> Any:
    """Send a patch of a secret's metadata."""
    return server.request("PATCH", f"{address}/metadata", members)


@pytest.mark.parametrize("kind", KINDS)
def test_common_members_are_replaced_as_a_whole(server: InProcess, kind: str) -> None:
    address = make(server, kind, "before", labels=["one", "two"], custom_metadata={"a": {"b": 1}, "c": 2})
    server.clock.advance(timedelta(seconds=10))
    changes: dict[str, Any] = {
        "name": "after",
        "description": "changed",
        "labels": ["three"],
        "custom_metadata": {"a": {"d": None}},
    }
    answer = patch(server, address, **changes)
    assert answer.status == 200, answer.raw
    assert {name: answer.json[name] for name in changes} == changes
    assert answer.json == server.request("GET", f"{address}/metadata").json
    assert answer.json["updated_at"] == text(START_OF_TESTS + timedelta(seconds=10))
    assert answer.json["created_at"] == text(START_OF_TESTS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_patch_changes_nothing(server: InProcess, kind: str) -> None:
    address = make(server, kind, "same", labels=["one"], custom_metadata={"a": 1})
    before = server.request("GET", f"{address}/metadata").json
    server.clock.advance(timedelta(seconds=10))
    assert patch(server, address).json == before
    assert server.request("GET", f"{address}/metadata").json == before


def test_null_removes_what_may_be_absent(shared: InProcess) -> None:
    address = make(shared, "arbitrary", "nulls", labels=["one"], custom_metadata={"a": 1}, description="text")
    answer = patch(shared, address, labels=None, custom_metadata=None, description=None).json
    assert (answer["labels"], answer["description"]) == ([], "")
    assert "custom_metadata" not in answer
    assert patch(shared, address, labels=[]).json["labels"] == []
    assert field(patch(shared, address, name=None)) == "name"


def test_every_broken_rule_is_told_and_nothing_is_changed(shared: InProcess) -> None:
    address = make(shared, "arbitrary", "broken-patch")
    before = shared.request("GET", f"{address}/metadata").json
    answer = patch(
        shared,
        address,
        name="-",
        description="d" * 1025,
        labels=["x"],
        custom_metadata={"a": "b" * 10_240},
        expiration_date="tomorrow",
    )
    assert [problem["target"]["name"] for problem in answer.json["errors"]] == [
        "name",
        "description",
        "labels[0]",
        "custom_metadata",
        "expiration_date",
    ]
    assert shared.request("GET", f"{address}/metadata").json == before


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("arbitrary", "rotation"),
        ("arbitrary", "password_generation_policy"),
        ("arbitrary", "managed_csr"),
        ("kv", "expiration_date"),
        ("kv", "rotation"),
        ("username_password", "username"),
        ("imported_cert", "expiration_date"),
        ("imported_cert", "rotation"),
        ("imported_cert", "version_custom_metadata"),
    ],
)
def test_members_of_other_types_are_refused(shared: InProcess, kind: str, member: str) -> None:
    address = make(shared, kind, f"foreign-{member.replace('_', '-')}")
    answer = patch(shared, address, **{member: None})
    assert (field(answer), code(answer)) == (member, "unknown_field")


@pytest.mark.parametrize("kind", ["arbitrary", "username_password"])
def test_an_expiry_is_moved_and_removed(server: InProcess, kind: str) -> None:
    address = make(server, kind, "expiring", expiration_date="2026-02-01T00:00:00+01:00")
    shown = server.request("GET", f"{address}/metadata").json
    assert shown["expiration_date"] == "2026-01-31T23:00:00Z"
    assert patch(server, address, description="same").json["expiration_date"] == "2026-01-31T23:00:00Z"
    moved = patch(server, address, expiration_date="2026-03-01T00:00:00.5Z").json
    assert moved["expiration_date"] == "2026-03-01T00:00:00Z"
    assert "expiration_date" not in patch(server, address, expiration_date=None).json
    assert field(patch(server, address, expiration_date="2026-01-01T00:00:00Z")) == "expiration_date"
    assert field(patch(server, address, expiration_date="never")) == "expiration_date"


@pytest.mark.parametrize("kind", ["arbitrary", "username_password"])
def test_an_expiry_in_the_past_is_refused_at_creation(shared: InProcess, kind: str) -> None:
    for value in ("2026-01-15T12:00:00Z", "soon"):
        assert field(create(shared, kind, "late", expiration_date=value)) == "expiration_date"


def test_versions_show_the_expiry_they_were_made_with(server: InProcess) -> None:
    address = make(server, "arbitrary", "expiring", expiration_date="2026-02-01T00:00:00Z")
    server.request("POST", f"{address}/versions", {"payload": "next"})
    for alias in ("current", "previous"):
        version = server.request("GET", f"{address}/versions/{alias}/metadata").json
        assert version["expiration_date"] == "2026-02-01T00:00:00Z"


def test_an_expired_secret_keeps_its_expiry_but_may_be_renamed(server: InProcess) -> None:
    address = make(server, "arbitrary", "gone", expiration_date="2026-01-15T13:00:00Z")
    server.clock.advance(timedelta(hours=1))
    server.forget_tokens()
    server.work()
    for value in ("2027-01-01T00:00:00Z", None):
        assert field(patch(server, address, expiration_date=value)) == "expiration_date"
    assert patch(server, address, name="long-gone").json["state"] == 5
