"""Callers that nobody knows cannot fill the disk with records of their refusals, and none is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import pytest

from strongroom.api.refusals import AnonymousRefusals
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import AuditEntry, Initiator, Outcome, Reason, Target
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.kernel.ids import AuditId
from tests.unit.api.asgi import READER, Server, echo, operation

NUMBERS = count()


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refusal(address: str | None = "192.0.2.7") -> AuditEntry:
    return AuditEntry(
        id=AuditId(f"id-{next(NUMBERS)}"),
        time=datetime(2026, 1, 15, tzinfo=UTC),
        initiator=Initiator(id="anonymous", name="anonymous", type="anonymous", address=address),
        action="secrets-manager.secrets.list",
        target=Target(type="secret"),
        outcome=Outcome.DENIED,
        reason=Reason(code="401", type="Unauthorized", message="No token."),
    )


def messages(records: list[AuditEntry]) -> list[str]:
    return [record.reason.message for record in records if record.reason is not None]


def test_the_first_refusals_of_an_address_have_records_of_their_own() -> None:
    refusals = AnonymousRefusals(burst=3, monotonic=Ticks())
    entries = [refusal() for _ in range(3)]

    assert [refusals.admit(entry) for entry in entries] == [[entry] for entry in entries]
    assert refusals.flush() == []


def test_what_comes_beyond_is_counted_and_told_by_the_next_record() -> None:
    clock = Ticks()
    refusals = AnonymousRefusals(burst=1, per_second=1, monotonic=clock)
    refusals.admit(refusal())

    assert [refusals.admit(refusal()) for _ in range(9)] == [[]] * 9
    clock.now = 1.0
    last = refusal()
    (record,) = refusals.admit(last)

    assert record.id == last.id
    assert messages([record]) == ["No token. This stands for 10 refused requests from there, the last of them shown."]
    assert refusals.flush() == []


def test_what_nothing_follows_is_told_when_it_is_asked_for() -> None:
    refusals = AnonymousRefusals(burst=1, monotonic=Ticks())
    for _ in range(3):
        refusals.admit(refusal())

    assert messages(refusals.flush()) == [
        "No token. This stands for 2 refused requests from there, the last of them shown."
    ]
    assert refusals.flush() == []


@pytest.mark.parametrize("other", ["192.0.2.8", None])
def test_addresses_are_counted_apart(other: str | None) -> None:
    refusals = AnonymousRefusals(burst=1, monotonic=Ticks())
    refusals.admit(refusal())

    assert refusals.admit(refusal()) == []
    assert len(refusals.admit(refusal(other))) == 1


def test_a_network_of_ipv6_counts_as_one() -> None:
    refusals = AnonymousRefusals(burst=1, monotonic=Ticks())
    refusals.admit(refusal("2001:db8::1"))

    assert refusals.admit(refusal("2001:db8::2")) == []


def test_an_address_that_is_forgotten_is_settled_first() -> None:
    refusals = AnonymousRefusals(burst=1, addresses_most=1, monotonic=Ticks())
    for _ in range(3):
        refusals.admit(refusal())

    _, settled = refusals.admit(refusal("198.51.100.1"))

    assert settled.initiator.address == "192.0.2.7"
    assert "2 refused requests" in messages([settled])[0]


def test_the_edge_counts_callers_without_a_token_and_records_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.api.edge.AnonymousRefusals", lambda: AnonymousRefusals(burst=0))
    server = Server([operation(echo, method="DELETE", action=Action.SECRET_DELETE)])

    assert server.ask("DELETE", "/things", token=None).status == 401
    assert server.ask("DELETE", "/things", token="nobody").status == 401
    # Recorded when the edge was closed.
    assert [entry.initiator.id for entry in server.storage.trail] == ["anonymous", "anonymous"]
    assert server.ask("DELETE", "/things", token=READER).status == 403
    assert server.storage.trail[2].initiator.name == "reader"


def test_a_store_that_is_closed_does_not_keep_the_edge_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.api.edge.AnonymousRefusals", lambda: AnonymousRefusals(burst=0))
    server = Server([operation(echo)])
    server.storage.refuses_records = Unavailable(ErrorCode.UNAVAILABLE, "The store is closed.")

    assert server.ask("GET", "/things", token=None).status == 401
