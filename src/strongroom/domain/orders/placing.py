"""Placing an order at a CA, and reading what proves its names. One exchange, or a few; nothing is stored here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from strongroom.domain.orders.acme import AcmeAuthorization, AcmeOrder, AcmeProblem, AcmeSession, AcmeStatus
from strongroom.domain.orders.configured import PublicCa
from strongroom.domain.orders.context import OrderContext
from strongroom.domain.orders.faults import Fault, FaultCode, Side
from strongroom.domain.orders.ledger import Verdict
from strongroom.domain.orders.model import Order, OrderChallenge

CHALLENGE_LABEL: Final = "_acme-challenge"
_NOT_ABOUT_REPLACING: Final = frozenset({"rateLimited", "serverInternal", "badNonce", "rejectedIdentifier", "caa"})


def open_session(context: OrderContext, ca: PublicCa) -> AcmeSession:
    """Return a session with the account's address known; an account that the CA has never seen is made."""
    if ca.account.url is not None:
        return context.session(ca)
    session = context.session(ca)
    url = session.find_account() or session.register()
    return context.acme.session(replace(ca.account, url=url))


def place(session: AcmeSession, ca: PublicCa, order: Order, *, may_exist: bool) -> AcmeOrder:
    """Place an order, or find the one that was placed before somebody stopped us.

    Args:
        session: with the CA.
        ca: the CA.
        order: ours.
        may_exist: whether it may have been placed already.
    """
    known = session.find_order(order.names) if may_exist else None
    # One that went further is of an earlier certificate: ours has no key yet.
    if known is not None and known.status in {AcmeStatus.PENDING, AcmeStatus.READY}:
        return known
    return session.new_order(order.names, profile=ca.profile, replaces=order.replaces)


def too_early(verdict: Verdict, now: datetime) -> Fault:
    """Return the fault of an order that the limits of its CA do not allow yet."""
    assert verdict.wait_until is not None  # noqa: S101  (it would be allowed otherwise)
    return Fault(
        FaultCode.CA_RATE_LIMITED,
        verdict.reason or "The limits of the CA are used up.",
        side=Side.CA,
        is_final=False,
        retry_after=verdict.wait_until - now,
        is_foreseen=True,
    )


def is_about_replacing(problem: AcmeProblem) -> bool:
    """Tell whether an order may be refused because of the certificate that it is to follow.

    That is a courtesy: the CA, or the account with it, may be another than that of the last order.
    """
    return problem.problem_type not in _NOT_ABOUT_REPLACING


def read_challenges(session: AcmeSession, placed: AcmeOrder) -> tuple[OrderChallenge, ...]:
    """Return what proves each name of a placed order.

    Raises:
        Fault: the CA does not take a proof over DNS.
    """
    return tuple(challenge_of(session.authorization(url)) for url in placed.authorizations)


def challenge_of(authorization: AcmeAuthorization) -> OrderChallenge:
    """Return the proof of one name.

    Raises:
        Fault: the CA does not take a proof over DNS.
    """
    is_offered = authorization.challenge_url is not None and authorization.txt_value is not None
    if not is_offered and authorization.status is not AcmeStatus.VALID:
        raise Fault(
            FaultCode.CA_ANSWER_UNUSABLE,
            f"The CA offers no dns-01 challenge for {authorization.domain}; Strongroom proves names over DNS only.",
            side=Side.CA,
        )
    return OrderChallenge(
        domain=authorization.domain,
        is_wildcard=authorization.is_wildcard,
        authorization_url=authorization.url,
        challenge_url=authorization.challenge_url or "",
        txt_name=f"{CHALLENGE_LABEL}.{authorization.domain}",
        txt_value=authorization.txt_value or "",
        status=authorization.status,
        expires=authorization.expires,
    )


def pending(challenges: Sequence[OrderChallenge]) -> list[OrderChallenge]:
    """Return the proofs that are still owed; recently proved names come back valid."""
    return [challenge for challenge in challenges if challenge.status is AcmeStatus.PENDING]
