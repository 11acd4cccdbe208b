"""What was asked of CAs lately, held against their limits: an order that a CA would refuse is not placed, it waits.

Let's Encrypt publishes its limits; they count in sliding windows here, which is never more than it allows. Other CAs
are left alone until one says that it has had enough. Sources: contract domain section 4.1; https://letsencrypt.org/docs/rate-limits/
and https://letsencrypt.org/docs/staging-environment/; RFC 8555 section 6.6.

Orders that are under way are claims: each will become a certificate, and none may be one too many. A claim is released
when its order ends, and an order that nobody ended does not count for longer than a day.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.limits import Limits
from strongroom.domain.orders.configured import ENVIRONMENT, PublicCa
from strongroom.domain.orders.model import CaUse, Order, OrderTrigger
from strongroom.domain.orders.names import names_key
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.time import format_rfc3339
from strongroom.kernel.value import value

RegisteredDomain = Callable[[str], str]
"""Tells which registered domain a name belongs to; a name that is a public suffix is its own."""


class UseKind(StrEnum):
    """What a CA was used for; what is counted has a limit."""

    NEW_ORDER = "new_order"
    CERTIFICATE = "certificate"
    DUPLICATE = "duplicate"
    FAILED_VALIDATION = "failed_validation"
    CLAIMED = "claimed"
    RELEASED = "released"
    HELD = "held"


@value
class CaLimits:
    """Limits of a CA; windows are `WINDOWS`.

    Attributes:
        new_orders: of an account.
        certificates: for a registered domain, whoever orders; renewals do not count.
        duplicates: certificates for the very same names, whoever orders.
        failed_validations: of a name, by an account.
    """

    new_orders: int
    certificates: int
    duplicates: int
    failed_validations: int


WINDOWS: Final = {
    UseKind.NEW_ORDER: timedelta(hours=3),
    UseKind.CERTIFICATE: timedelta(days=7),
    UseKind.DUPLICATE: timedelta(days=7),
    UseKind.FAILED_VALIDATION: timedelta(hours=1),
}
PLACED_WITHIN: Final = timedelta(minutes=35)
"""So long after its reservation an order may be placed: while its CA is away it is tried again. The CA counts from then
on, so what is reserved counts for longer than the CA's window. Source: contract domain section 4.5."""
_COUNTED: Final = WINDOWS | {UseKind.NEW_ORDER: WINDOWS[UseKind.NEW_ORDER] + PLACED_WITHIN}
STAGING: Final = CaLimits(new_orders=1_500, certificates=30_000, duplicates=30_000, failed_validations=60)
"""Of Let's Encrypt's environment for tests."""

CLAIM_LASTS: Final = timedelta(days=1)
ASK_AGAIN: Final = timedelta(minutes=10)
"""When it is looked again whether orders under way have ended."""
LONGEST_HELD: Final = timedelta(days=7)
ACCOUNT_HELD: Final = timedelta(hours=3)
"""Limits of whole accounts are counted in hours; a longer wait is about the names of the order."""
HELD_WITHOUT_A_TIME: Final = timedelta(hours=1)
_ACCOUNT: Final = ""
_A_MOMENT: Final = timedelta(seconds=1)
"""Clocks differ."""


@value
class Verdict:
    """Whether an order may be placed.

    Attributes:
        wait_until: when it may be, or when to ask again.
        reason: which limit, in words.
    """

    wait_until: datetime | None = None
    reason: str | None = None

    @property
    def allowed(self) -> bool:
        """Tell whether nothing speaks against it."""
        return self.wait_until is None


ALLOWED: Final = Verdict()


@value
class _Charge:
    """One limit that an order counts against."""

    kind: UseKind
    subject: str
    most: int
    what: str

    @property
    def claim(self) -> str:
        """Return the subject of claims on it."""
        return f"{self.kind.value} {self.subject}"


class Ledger:
    """Counts the uses of CAs.

    Args:
        limits: the operator's; they hold for Let's Encrypt's production environment.
        registered_domain: of a name.
    """

    def __init__(self, limits: Limits, registered_domain: RegisteredDomain) -> None:
        self._production = CaLimits(
            new_orders=limits.ca_orders_per_account,
            certificates=limits.ca_certificates_per_domain,
            duplicates=limits.ca_duplicates,
            failed_validations=limits.ca_failed_validations,
        )
        self._registered_domain = registered_domain

    def limits_of(self, ca: PublicCa) -> CaLimits | None:
        """Return the limits that are known of a CA."""
        configuration = ca.configuration
        if configuration.config_type is not ConfigType.LETS_ENCRYPT:
            return None
        return self._production if configuration.document[ENVIRONMENT] == "production" else STAGING

    def check(self, unit: ReadUnit, ca: PublicCa, order: Order, now: datetime) -> Verdict:
        """Tell whether an order may be placed now; of several limits the one that takes longest counts.

        An order that replaces a certificate as its CA proposed (RFC 9773) is free of all limits; it waits only if
        the CA turned the whole account away.
        """
        verdicts = [self.held(unit, ca, order, now)]
        limits = self.limits_of(ca)
        if limits is not None and order.replaces is None:
            verdicts.append(
                _count(
                    unit,
                    _account_key(ca),
                    UseKind.NEW_ORDER,
                    _ACCOUNT,
                    limits.new_orders,
                    now,
                    f"{limits.new_orders} orders of an account",
                )
            )
            verdicts += (
                _count(
                    unit,
                    _account_key(ca),
                    UseKind.FAILED_VALIDATION,
                    name,
                    # A name and its wildcard are proved one by one, and both may fail.
                    max(limits.failed_validations - proofs + 1, 1),
                    now,
                    f"{limits.failed_validations} failed validations of {name}",
                )
                for name, proofs in Counter(map(_bare_name, order.names)).items()
            )
            verdicts += (_count_with_claims(unit, ca, charge, order, now) for charge in self._charges(limits, order))
        return max(verdicts, key=lambda verdict: verdict.wait_until or datetime.min.replace(tzinfo=now.tzinfo))

    def held(self, unit: ReadUnit, ca: PublicCa, order: Order, now: datetime) -> Verdict:
        """Tell whether the CA asked this account, or what orders these names, to leave it alone for now."""
        subjects = [_ACCOUNT] if order.replaces is not None else [_ACCOUNT, *_bare(order.names)]
        held = (unit.orders.uses(_account_key(ca), UseKind.HELD.value, subject, now) for subject in subjects)
        ends = [end for found in held for end in found]
        until = max(ends, default=now)
        if until <= now:
            return ALLOWED
        reason = f"The CA {ca.configuration.name} asked to be left alone until {format_rfc3339(until)}."
        return Verdict(wait_until=until, reason=reason)

    def reserve(self, unit: Unit, ca: PublicCa, order: Order, now: datetime) -> Verdict:
        """Check an order and, if it may be placed, count it; call it in a unit of its own right before placing.

        Two processes do not reserve with one configuration at the same time. An order that is reserved again
        (its process died before it was placed) is a new order, and keeps its claims.
        """
        unit.configurations.find_for_update(ca.configuration.id)
        verdict = self.check(unit, ca, order, now)
        limits = self.limits_of(ca)
        if not verdict.allowed or limits is None or order.replaces is not None:
            return verdict
        _note(unit, _account_key(ca), UseKind.NEW_ORDER, _ACCOUNT, now)
        for charge in self._charges(limits, order):
            if not _claims(unit, ca, charge.claim, now)[_claim_of(order)]:
                _note(unit, _ca_key(ca), UseKind.CLAIMED, charge.claim, _claim_of(order))
        return verdict

    def note_issued(self, unit: Unit, ca: PublicCa, order: Order, now: datetime) -> None:
        """Count the certificate of an order, in the unit that stores it, and release the order's claims."""
        self.note_ended(unit, ca, order, now)
        limits = self.limits_of(ca)
        if limits is not None and order.replaces is None:
            for charge in self._charges(limits, order):
                _note(unit, _ca_key(ca), charge.kind, charge.subject, now)

    def note_ended(self, unit: Unit, ca: PublicCa, order: Order, now: datetime) -> None:
        """Release the claims of an order that came to nothing with this CA, if it has any."""
        limits = self.limits_of(ca)
        if limits is None:
            return
        for charge in self._charges(limits, order):
            if _claims(unit, ca, charge.claim, now)[_claim_of(order)]:
                _note(unit, _ca_key(ca), UseKind.RELEASED, charge.claim, _claim_of(order))

    def note_failed_validation(self, unit: Unit, ca: PublicCa, names: Sequence[str], now: datetime) -> None:
        """Count that the CA could not validate these names; one that is there twice has failed twice."""
        if self.limits_of(ca) is not None:
            for name in names:
                _note(unit, _account_key(ca), UseKind.FAILED_VALIDATION, _bare_name(name), now)

    def note_held(
        self,
        unit: Unit,
        ca: PublicCa,
        names: Sequence[str],
        now: datetime,
        *,
        retry_after: timedelta | None,
        identifiers: Sequence[str] = (),
    ) -> datetime:
        """Remember that a CA answered ``rateLimited``, and return until when it is left alone.

        Args:
            unit: of work.
            ca: which CA.
            names: of the order that it refused.
            now: when.
            retry_after: what it asked for; a week at most.
            identifiers: the names that its problem is about. Without any, the whole account waits, too: for some
                hours at most, because one domain's limit may take days.
        """
        wait = HELD_WITHOUT_A_TIME if retry_after is None else min(max(retry_after, timedelta()), LONGEST_HELD)
        for name in _bare(identifiers or names):
            _note(unit, _account_key(ca), UseKind.HELD, name, now + wait)
        if not identifiers:
            _note(unit, _account_key(ca), UseKind.HELD, _ACCOUNT, now + min(wait, ACCOUNT_HELD))
        return now + wait

    def _charges(self, limits: CaLimits, order: Order) -> Iterator[_Charge]:
        yield _Charge(
            kind=UseKind.DUPLICATE,
            subject=names_key(order.names),
            most=limits.duplicates,
            what=f"{limits.duplicates} certificates for exactly the same names",
        )
        # The CA takes an order for the names of an earlier certificate for a renewal of that one.
        if order.trigger is OrderTrigger.CREATE:
            for domain in sorted({self._registered_domain(name) for name in _bare(order.names)}):
                yield _Charge(
                    kind=UseKind.CERTIFICATE,
                    subject=domain,
                    most=limits.certificates,
                    what=f"{limits.certificates} certificates for {domain} and the names below it",
                )


def _count(unit: ReadUnit, ca_key: str, kind: UseKind, subject: str, most: int, now: datetime, what: str) -> Verdict:
    uses = unit.orders.uses(ca_key, kind.value, subject, now - _COUNTED[kind])
    return ALLOWED if len(uses) < most else _full(kind, uses, most, what)


def _count_with_claims(unit: ReadUnit, ca: PublicCa, charge: _Charge, order: Order, now: datetime) -> Verdict:
    uses = unit.orders.uses(_ca_key(ca), charge.kind.value, charge.subject, now - WINDOWS[charge.kind])
    if len(uses) >= charge.most:
        return _full(charge.kind, uses, charge.most, charge.what)
    claims = _claims(unit, ca, charge.claim, now)
    claims[_claim_of(order)] = 0
    if len(uses) + claims.total() < charge.most:
        return ALLOWED
    return Verdict(
        wait_until=now + ASK_AGAIN,
        reason=f"The CA allows {charge.what} in {_words(WINDOWS[charge.kind])}, and as many are issued or on order.",
    )


def _full(kind: UseKind, uses: Sequence[datetime], most: int, what: str) -> Verdict:
    until = uses[len(uses) - most] + _COUNTED[kind] + _A_MOMENT
    return Verdict(
        wait_until=until,
        reason=f"The CA allows {what} in {_words(WINDOWS[kind])}, and they are used up until {format_rfc3339(until)}.",
    )


def _claims(unit: ReadUnit, ca: PublicCa, subject: str, now: datetime) -> Counter[datetime]:
    """Return the claims that were not released, as `_claim_of` gives them."""
    since = now - CLAIM_LASTS
    claims = Counter(unit.orders.uses(_ca_key(ca), UseKind.CLAIMED.value, subject, since))
    claims.subtract(unit.orders.uses(_ca_key(ca), UseKind.RELEASED.value, subject, since))
    return +claims


def _claim_of(order: Order) -> datetime:
    """Return the instant that an order's claims are known by: soon after its creation, and no other order's."""
    number = int.from_bytes(hashlib.sha256(order.id.encode()).digest()[:8])
    return order.created_at + timedelta(microseconds=number % 3_600_000_000)


def _note(unit: Unit, ca_key: str, kind: UseKind, subject: str, at: datetime) -> None:
    unit.orders.note_use(CaUse(ca_key=ca_key, kind=kind.value, subject=subject, at=at))


def _ca_key(ca: PublicCa) -> str:
    """Return what is shared by all accounts of a CA."""
    return ca.account.directory_url


def _account_key(ca: PublicCa) -> str:
    return f"{ca.account.directory_url} {ca.account.url or ca.configuration.id}"


def _bare(names: Sequence[str]) -> list[str]:
    """Return the names that are validated: a wildcard is proved at its domain."""
    return list(dict.fromkeys(map(_bare_name, names)))


def _bare_name(name: str) -> str:
    return name.removeprefix("*.")


def _words(window: timedelta) -> str:
    if window.days:
        return f"{window.days} days"
    hours = int(window.total_seconds() // 3600)
    return "an hour" if hours == 1 else f"{hours} hours"
