"""Placing orders: whose account it is, whether there was one before, and what is to be proved."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from strongroom.domain.orders.acme import AcmeAccount, AcmeAuthorization, AcmeProblem, AcmeStatus
from strongroom.domain.orders.configured import PublicCa
from strongroom.domain.orders.context import OrderContext
from strongroom.domain.orders.faults import Fault, FaultCode
from strongroom.domain.orders.model import Order, OrderTrigger
from strongroom.domain.orders.names import names_key
from strongroom.domain.orders.placing import challenge_of, is_about_replacing, open_session, pending, place
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.ids import IamId, JobId, SecretId
from tests.factories.orders import DIRECTORY, FakeAcme, FakeDns, make_ca

NOW = datetime(2026, 1, 15, tzinfo=UTC)
NAMES = ("www.example.com", "example.com")


@pytest.fixture
def acme(clock: FrozenClock) -> FakeAcme:
    return FakeAcme({DIRECTORY: make_ca(clock, FakeDns(clock))})


def context_of(acme: FakeAcme) -> OrderContext:
    """Return what opening a session needs of the context."""
    needed = SimpleNamespace(acme=acme, session=lambda ca: acme.session(ca.account))
    return cast("OrderContext", needed)


def ca_of(acme: FakeAcme, **changes: Any) -> PublicCa:
    account = AcmeAccount(directory_url=DIRECTORY, private_key=acme.new_account_key(), **changes)
    return PublicCa(configuration=cast("Any", None), account=account, preferred_chain=None, profile=None, fallback=None)


def order(**changes: Any) -> Order:
    members: dict[str, Any] = {
        "id": JobId("1"),
        "secret_id": SecretId("2"),
        "trigger": OrderTrigger.CREATE,
        "by": IamId("3"),
        "names": NAMES,
        "names_key": names_key(NAMES),
        "ca": "my-ca",
        "dns": "my-dns",
        "key_algorithm": "ECDSA256",
        "rotate_keys": False,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order(**{**members, **changes})


def authorization(**changes: Any) -> AcmeAuthorization:
    members: dict[str, Any] = {
        "url": "https://acme.example.com/authorization/1",
        "domain": "example.com",
        "is_wildcard": True,
        "status": AcmeStatus.PENDING,
        "challenge_url": "https://acme.example.com/challenge/1",
        "challenge_status": AcmeStatus.PENDING,
        "txt_value": "value",
    }
    return AcmeAuthorization(**{**members, **changes})


def test_account_that_is_known_is_not_asked_for(acme: FakeAcme) -> None:
    open_session(context_of(acme), ca_of(acme, url="https://acme.example.com/account/1"))
    assert not acme.calls


def test_account_that_the_ca_has_never_seen_is_made_once(acme: FakeAcme) -> None:
    ca = ca_of(acme)
    for _ in range(2):
        open_session(context_of(acme), ca).directory()
    assert (acme.calls["find_account"], acme.calls["register"]) == (2, 1)
    assert len(acme.cas[DIRECTORY].accounts) == 1


def test_order_that_may_exist_is_looked_for_and_not_placed_again(acme: FakeAcme) -> None:
    ca = ca_of(acme)
    session = open_session(context_of(acme), ca)
    first = place(session, ca, order(), may_exist=False)
    assert place(session, ca, order(names=NAMES[::-1]), may_exist=True) == first
    assert place(session, ca, order(names=NAMES[:1]), may_exist=True) != first
    assert len(acme.cas[DIRECTORY].orders) == 2


def test_order_is_placed_anew_where_it_cannot_exist(acme: FakeAcme) -> None:
    ca = ca_of(acme)
    session = open_session(context_of(acme), ca)
    urls = {place(session, ca, order(), may_exist=False).url for _ in range(2)}
    assert len(urls) == 2
    assert acme.calls["find_order"] == 0


@pytest.mark.parametrize(
    ("problem_type", "is_about"),
    [
        ("malformed", True),
        ("alreadyReplaced", True),
        ("unauthorized", True),
        ("conflict", True),
        ("rateLimited", False),
        ("serverInternal", False),
        ("badNonce", False),
        ("rejectedIdentifier", False),
        ("caa", False),
    ],
)
def test_only_refusals_that_may_be_about_the_last_certificate_are_taken_so(problem_type: str, is_about: bool) -> None:
    assert is_about_replacing(AcmeProblem("no", problem_type=problem_type)) is is_about


def test_challenge_says_where_and_what() -> None:
    challenge = challenge_of(authorization())
    assert (challenge.txt_name, challenge.txt_value) == ("_acme-challenge.example.com", "value")
    assert (challenge.domain, challenge.is_wildcard) == ("example.com", True)
    assert pending([challenge]) == [challenge]


def test_name_that_is_proved_already_needs_no_challenge() -> None:
    challenge = challenge_of(authorization(status=AcmeStatus.VALID, challenge_url=None, txt_value=None))
    assert (challenge.challenge_url, challenge.txt_value) == ("", "")
    assert pending([challenge]) == []


@pytest.mark.parametrize("missing", ["challenge_url", "txt_value"])
def test_proof_over_dns_must_be_on_offer(missing: str) -> None:
    with pytest.raises(Fault, match="no dns-01 challenge for example") as caught:
        challenge_of(authorization(**{missing: None}))
    assert caught.value.fault is FaultCode.CA_ANSWER_UNUSABLE
