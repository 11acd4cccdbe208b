"""No order is placed that its CA would refuse, and none waits without need."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.domain.limits import Limits
from strongroom.domain.orders.acme import AcmeAccount
from strongroom.domain.orders.configured import ENVIRONMENT, PublicCa
from strongroom.domain.orders.ledger import (
    ACCOUNT_HELD,
    ASK_AGAIN,
    CLAIM_LASTS,
    LONGEST_HELD,
    PLACED_WITHIN,
    WINDOWS,
    CaLimits,
    Ledger,
    UseKind,
)
from strongroom.domain.orders.model import CaUse, Order, OrderTrigger
from strongroom.domain.orders.names import names_key
from strongroom.domain.ports import Unit
from strongroom.kernel.ids import ConfigurationId, IamId, JobId, SecretId, new_uuid

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = 7 * DAY
COUNTED = 3 * HOUR + PLACED_WITHIN
"""How long a new order counts."""


@dataclass
class Uses:
    """What the ledger needs of a unit of work."""

    noted: list[CaUse] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)

    @property
    def orders(self) -> Uses:
        return self

    @property
    def configurations(self) -> Uses:
        return self

    def find_for_update(self, configuration_id: str) -> None:
        self.locked.append(configuration_id)

    def note_use(self, use: CaUse) -> None:
        self.noted.append(use)

    def uses(self, ca_key: str, kind: str, subject: str, since: datetime) -> list[datetime]:
        return sorted(
            use.at
            for use in self.noted
            if (use.ca_key, use.kind, use.subject) == (ca_key, kind, subject) and use.at >= since
        )


def make_ca(
    name: str = "le",
    *,
    config_type: ConfigType = ConfigType.LETS_ENCRYPT,
    environment: str = "production",
    **account: Any,
) -> PublicCa:
    document = {ENVIRONMENT: environment} if config_type is ConfigType.LETS_ENCRYPT else {}
    configuration = Configuration(
        id=ConfigurationId(name),
        config_type=config_type,
        name=name,
        document=document,
        created_at=NOW,
        created_by=IamId("me"),
        updated_at=NOW,
    )
    members = {
        "directory_url": "https://ca.example.com/directory",
        "private_key": "key",
        "url": f"https://ca.example.com/accounts/{name}",
    }
    return PublicCa(
        configuration=configuration,
        account=AcmeAccount(**(members | account)),
        preferred_chain=None,
        profile=None,
        fallback=None,
    )


def make_order(*names: str, **changes: Any) -> Order:
    chosen = names or ("www.example.com",)
    members: dict[str, Any] = {
        "id": JobId(new_uuid()),
        "trigger": OrderTrigger.CREATE,
        "by": IamId("me"),
        "ca": "le",
        "dns": "dns",
        "key_algorithm": "ECDSA256",
        "rotate_keys": False,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order(secret_id=SecretId("s"), names=chosen, names_key=names_key(chosen), **(members | changes))


def last_two_labels(name: str) -> str:
    return ".".join(name.split(".")[-2:])


@dataclass
class Bench:
    """A ledger with its uses, and a CA."""

    ledger: Ledger
    ca: PublicCa = field(default_factory=make_ca)
    uses: Uses = field(default_factory=Uses)

    @property
    def unit(self) -> Unit:
        return cast("Unit", self.uses)

    def wait(self, order: Order, now: datetime = NOW, ca: PublicCa | None = None) -> timedelta | None:
        verdict = self.ledger.check(self.unit, ca or self.ca, order, now)
        assert (verdict.reason is None) == verdict.allowed
        return None if verdict.wait_until is None else verdict.wait_until - now

    def place(self, order: Order, now: datetime = NOW, ca: PublicCa | None = None) -> bool:
        return self.ledger.reserve(self.unit, ca or self.ca, order, now).allowed

    def issue(self, order: Order, now: datetime = NOW, ca: PublicCa | None = None) -> None:
        self.ledger.note_issued(self.unit, ca or self.ca, order, now)


def make_bench(**limits: Any) -> Bench:
    return Bench(Ledger(Limits(**limits), last_two_labels))


@pytest.fixture
def bench() -> Bench:
    return make_bench()


def test_first_order_is_placed(bench: Bench) -> None:
    assert bench.wait(make_order()) is None
    assert bench.place(make_order())


def test_account_places_300_orders_in_three_hours(bench: Bench) -> None:
    for number in range(300):
        assert bench.place(make_order(f"{number}.example"), NOW + number * SECOND)

    at = NOW + 300 * SECOND
    assert bench.wait(make_order("last.example"), at) == COUNTED - 300 * SECOND + SECOND
    assert not bench.place(make_order("last.example"), NOW + COUNTED)
    assert bench.place(make_order("last.example"), NOW + COUNTED + SECOND)
    assert not bench.place(make_order("next.example"), NOW + COUNTED + SECOND)


def test_refused_order_is_told_why(bench: Bench) -> None:
    small = make_bench(ca_orders_per_account=1)
    small.place(make_order())

    verdict = small.ledger.check(small.unit, small.ca, make_order("b.example"), NOW)

    assert verdict.reason == (
        "The CA allows 1 orders of an account in 3 hours, and they are used up until 2026-03-01T15:35:01Z."
    )


def test_refused_order_counts_nothing() -> None:
    small = make_bench(ca_orders_per_account=1)
    small.place(make_order())
    before = list(small.uses.noted)

    assert not small.place(make_order("b.example"))
    assert small.uses.noted == before


def test_domain_gets_fifty_certificates_in_seven_days(bench: Bench) -> None:
    for number in range(50):
        order = make_order(f"{number}.example.com", "*.example.org", created_at=NOW + number * HOUR)
        assert bench.place(order, NOW + number * HOUR)
        bench.issue(order, NOW + number * HOUR)

    at = NOW + 50 * HOUR
    assert bench.wait(make_order("new.example.com"), at) == WEEK - 50 * HOUR + SECOND
    assert bench.wait(make_order("new.example.org"), at) == WEEK - 50 * HOUR + SECOND
    assert bench.wait(make_order("new.example.net"), at) is None
    assert bench.wait(make_order("new.example.net", "new.example.com"), at) is not None
    assert bench.wait(make_order("new.example.com"), NOW + WEEK + SECOND) is None


def test_same_names_get_five_certificates_in_seven_days(bench: Bench) -> None:
    for number in range(5):
        order = make_order("a.example.com", "b.example.com", trigger=OrderTrigger.MANUAL)
        assert bench.place(order)
        bench.issue(order, NOW + number * HOUR)

    at = NOW + 6 * HOUR
    again = make_order("b.example.com", "a.example.com", trigger=OrderTrigger.AUTO)
    assert bench.wait(again, at) == WEEK - 6 * HOUR + SECOND
    assert bench.wait(make_order("a.example.com"), at) is None


def test_renewal_of_the_same_names_does_not_count_for_the_domain() -> None:
    small = make_bench(ca_certificates_per_domain=1)
    first = make_order("a.example.com")
    small.place(first)
    small.issue(first)

    renewal = make_order("a.example.com", trigger=OrderTrigger.AUTO)
    assert small.wait(make_order("b.example.com")) is not None
    assert small.place(renewal)
    small.issue(renewal, NOW + DAY)
    assert small.wait(make_order("b.example.com"), NOW + WEEK + SECOND) is None


def test_orders_under_way_are_claims_until_they_end() -> None:
    small = make_bench(ca_certificates_per_domain=2)
    first, second, third = (make_order(f"{number}.example.com") for number in range(3))
    assert small.place(first)
    assert small.place(second)

    assert small.wait(third) == ASK_AGAIN
    small.ledger.note_ended(small.unit, small.ca, first, NOW + HOUR)
    assert small.wait(third, NOW + HOUR) is None
    assert small.place(third, NOW + HOUR)
    small.issue(second, NOW + HOUR)
    small.issue(third, NOW + 2 * HOUR)

    assert small.wait(make_order("4.example.com"), NOW + 2 * HOUR) == WEEK - HOUR + SECOND


def test_reason_says_that_others_are_on_order() -> None:
    small = make_bench(ca_certificates_per_domain=1)
    small.place(make_order("a.example.com"))

    verdict = small.ledger.check(small.unit, small.ca, make_order("b.example.com"), NOW)

    assert verdict.reason is not None
    assert "1 certificates for example.com and the names below it in 7 days" in verdict.reason
    assert "on order" in verdict.reason


def test_forgotten_claim_does_not_count_for_ever() -> None:
    small = make_bench(ca_duplicates=1)
    small.place(make_order())

    assert small.wait(make_order(), NOW + CLAIM_LASTS) == ASK_AGAIN
    assert small.wait(make_order(), NOW + CLAIM_LASTS + HOUR) is None


def test_order_that_is_reserved_again_keeps_its_claims() -> None:
    small = make_bench(ca_duplicates=1)
    order = make_order()

    assert small.place(order)
    assert small.place(order)
    assert small.wait(make_order()) == ASK_AGAIN
    small.ledger.note_ended(small.unit, small.ca, order, NOW)
    small.ledger.note_ended(small.unit, small.ca, order, NOW)
    assert small.place(order)
    assert small.wait(make_order()) == ASK_AGAIN
    small.issue(order)
    assert small.wait(make_order()) == WEEK + SECOND


def test_orders_of_one_instant_are_claims_of_their_own() -> None:
    small = make_bench(ca_certificates_per_domain=30)

    placed = [small.place(make_order(f"{number}.example.com")) for number in range(40)]

    assert placed.count(True) == 30


def test_end_of_an_order_that_was_never_reserved_releases_nothing() -> None:
    small = make_bench(ca_duplicates=1)
    small.place(make_order())

    small.ledger.note_ended(small.unit, small.ca, make_order(), NOW)

    assert small.wait(make_order()) == ASK_AGAIN


def test_reservation_waits_for_others_with_the_same_configuration(bench: Bench) -> None:
    bench.place(make_order())

    assert bench.uses.locked == ["le"]


def test_name_may_fail_five_times_an_hour(bench: Bench) -> None:
    for minute in range(5):
        assert bench.wait(make_order("*.example.com"), NOW) is None
        at = NOW + timedelta(minutes=minute)
        bench.ledger.note_failed_validation(bench.unit, bench.ca, ["*.example.com"], at)

    at = NOW + timedelta(minutes=5)
    assert bench.wait(make_order("a.example.com", "example.com"), at) == timedelta(minutes=55) + SECOND
    assert bench.wait(make_order("a.example.com"), at) is None
    assert bench.wait(make_order("example.com"), NOW + HOUR + SECOND) is None


def test_name_and_its_wildcard_may_both_fail(bench: Bench) -> None:
    both = make_order("example.com", "*.example.com")
    for minute in range(2):
        assert bench.wait(both, NOW + timedelta(minutes=minute)) is None
        bench.ledger.note_failed_validation(bench.unit, bench.ca, both.names, NOW + timedelta(minutes=minute))

    at = NOW + timedelta(minutes=5)
    assert bench.wait(both, at) == timedelta(minutes=55) + SECOND
    assert bench.wait(make_order("example.com"), at) is None


def test_replacing_order_is_free_of_limits_and_counts_nothing() -> None:
    small = make_bench(ca_orders_per_account=1, ca_certificates_per_domain=1, ca_duplicates=1, ca_failed_validations=1)
    first = make_order()
    small.place(first)
    small.issue(first)
    small.ledger.note_failed_validation(small.unit, small.ca, first.names, NOW)
    before = list(small.uses.noted)

    renewal = make_order(replaces="a.b", trigger=OrderTrigger.AUTO)
    assert small.place(renewal)
    small.issue(renewal)

    assert small.uses.noted == before
    assert small.wait(make_order()) is not None


def test_every_limit_of_production_can_be_set() -> None:
    bench = make_bench(ca_orders_per_account=1, ca_certificates_per_domain=2, ca_duplicates=3, ca_failed_validations=4)
    assert bench.ledger.limits_of(bench.ca) == CaLimits(
        new_orders=1, certificates=2, duplicates=3, failed_validations=4
    )
    assert make_bench().ledger.limits_of(bench.ca) == CaLimits(
        new_orders=300, certificates=50, duplicates=5, failed_validations=5
    )


def test_longest_wait_counts() -> None:
    small = make_bench(ca_orders_per_account=1, ca_duplicates=1)
    first = make_order()
    small.place(first)
    small.issue(first)

    assert small.wait(make_order("other.example")) == COUNTED + SECOND
    assert small.wait(make_order()) == WEEK + SECOND


def test_domains_are_counted_for_all_accounts_and_orders_for_each() -> None:
    small = make_bench(ca_orders_per_account=1, ca_certificates_per_domain=1)
    other = make_ca("other")
    first = make_order("a.example.com")
    small.place(first)
    small.issue(first)

    assert small.wait(make_order("b.example.com"), ca=other) == WEEK + SECOND
    assert small.wait(make_order("b.example.net"), ca=other) is None
    assert small.wait(make_order("b.example.net")) == COUNTED + SECOND


def test_account_without_an_address_is_known_by_its_configuration() -> None:
    small = make_bench(ca_orders_per_account=1)
    nameless, other = make_ca("one", url=None), make_ca("two", url=None)
    small.place(make_order("a.example"), ca=nameless)

    assert small.wait(make_order("b.example"), ca=nameless) is not None
    assert small.wait(make_order("b.example"), ca=other) is None


def test_environment_for_tests_allows_more_and_counts_by_itself() -> None:
    small = make_bench(ca_orders_per_account=1, ca_certificates_per_domain=1, ca_duplicates=1)
    staging = make_ca("staging", environment="staging", directory_url="https://staging.example.com/directory")
    for number in range(20):
        order = make_order()
        assert small.place(order, NOW + number * SECOND, ca=staging)
        small.issue(order, NOW + number * SECOND, ca=staging)

    limits = small.ledger.limits_of(staging)
    assert limits is not None
    assert (limits.new_orders, limits.certificates, limits.duplicates, limits.failed_validations) == (
        1_500,
        30_000,
        30_000,
        60,
    )
    assert small.wait(make_order()) is None


def test_other_ca_has_no_limits_until_it_says_so() -> None:
    small = make_bench(ca_orders_per_account=1, ca_duplicates=1, ca_failed_validations=1)
    acme = make_ca("acme", config_type=ConfigType.ACME)
    for _ in range(20):
        order = make_order()
        assert small.place(order, ca=acme)
        small.ledger.note_failed_validation(small.unit, acme, order.names, NOW)
        small.issue(order, ca=acme)
        small.ledger.note_ended(small.unit, acme, order, NOW)
    assert small.uses.noted == []

    until = small.ledger.note_held(small.unit, acme, ["www.example.com"], NOW, retry_after=2 * HOUR)

    assert until == NOW + 2 * HOUR
    assert small.wait(make_order(), ca=acme) == 2 * HOUR
    assert small.wait(make_order("other.example"), ca=acme) == 2 * HOUR
    assert small.wait(make_order(replaces="a.b"), ca=acme) == 2 * HOUR
    assert small.wait(make_order(), NOW + 2 * HOUR, ca=acme) is None
    assert small.wait(make_order()) is None


def test_reason_of_a_held_order_names_ca_and_time(bench: Bench) -> None:
    bench.ledger.note_held(bench.unit, bench.ca, ["example.com"], NOW, retry_after=HOUR)

    verdict = bench.ledger.check(bench.unit, bench.ca, make_order("example.com"), NOW)

    assert verdict.reason == "The CA le asked to be left alone until 2026-03-01T13:00:00Z."


def test_long_wait_holds_its_names_and_the_account_for_some_hours(bench: Bench) -> None:
    bench.ledger.note_held(bench.unit, bench.ca, ["*.example.com", "a.example.com"], NOW, retry_after=2 * DAY)

    for name in ("example.com", "a.example.com", "*.a.example.com"):
        assert bench.wait(make_order(name, "other.example")) == 2 * DAY
    assert bench.wait(make_order("other.example")) == ACCOUNT_HELD
    assert bench.wait(make_order("a.example.com", replaces="a.b")) == ACCOUNT_HELD


def test_problem_about_some_names_holds_those_only(bench: Bench) -> None:
    names = ["a.example.com", "b.example.com"]
    bench.ledger.note_held(bench.unit, bench.ca, names, NOW, retry_after=HOUR, identifiers=["b.example.com"])

    assert bench.wait(make_order("b.example.com")) == HOUR
    assert bench.wait(make_order("a.example.com")) is None


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(None, HOUR), (400 * DAY, LONGEST_HELD), (-DAY, None), (timedelta(), None)], ids=str
)
def test_hold_has_a_sensible_length(bench: Bench, retry_after: timedelta | None, wait: timedelta | None) -> None:
    bench.ledger.note_held(bench.unit, bench.ca, ["www.example.com"], NOW, retry_after=retry_after)

    assert bench.wait(make_order()) == wait


def test_longest_hold_counts(bench: Bench) -> None:
    for hours in (2, 1):
        bench.ledger.note_held(bench.unit, bench.ca, ["www.example.com"], NOW, retry_after=hours * HOUR)

    assert bench.wait(make_order()) == 2 * HOUR


@dataclass
class SlidingCa:
    """A CA that counts for itself and does not forgive."""

    most: dict[UseKind, int]
    seen: dict[tuple[UseKind, str], list[datetime]] = field(default_factory=dict)

    def count(self, kind: UseKind, subject: str, now: datetime) -> None:
        times = self.seen.setdefault((kind, subject), [])
        times.append(now)
        within = [at for at in times if at > now - WINDOWS[kind]]
        assert len(within) <= self.most[kind], f"{kind.value} of {subject or 'the account'}"


steps = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "renew", "issue", "fail", "kill"]),
        st.integers(min_value=0, max_value=5),
        st.timedeltas(min_value=timedelta(), max_value=timedelta(hours=12)),
    ),
    max_size=120,
)


@settings(deadline=None, max_examples=150)
@given(steps)
def test_limits_are_never_exceeded_in_any_window(walk: list[tuple[str, int, timedelta]]) -> None:
    most = {UseKind.NEW_ORDER: 4, UseKind.CERTIFICATE: 3, UseKind.DUPLICATE: 2}
    bench = make_bench(ca_orders_per_account=4, ca_certificates_per_domain=3, ca_duplicates=2)
    server, now = SlidingCa(most), NOW
    running: list[Order] = []
    for what, which, pause in walk:
        now += pause
        # Orders have an end: none runs for longer than half a day here.
        for late in [order for order in running if order.created_at < now - 12 * HOUR]:
            running.remove(late)
            bench.ledger.note_ended(bench.unit, bench.ca, late, now)
        if what in {"order", "renew"}:
            trigger = OrderTrigger.CREATE if what == "order" else OrderTrigger.AUTO
            order = make_order(f"{which}.example.com", trigger=trigger, created_at=now)
            if bench.place(order, now):
                server.count(UseKind.NEW_ORDER, "", now)
                running.append(order)
        elif running:
            order = running[which % len(running)]
            if what == "kill":
                # It died between the reservation and the order: it comes again.
                if bench.place(order, now):
                    server.count(UseKind.NEW_ORDER, "", now)
                continue
            running.remove(order)
            if what == "fail":
                bench.ledger.note_ended(bench.unit, bench.ca, order, now)
                continue
            bench.issue(order, now)
            server.count(UseKind.DUPLICATE, order.names_key, now)
            if order.trigger is OrderTrigger.CREATE:
                server.count(UseKind.CERTIFICATE, "example.com", now)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.timedeltas(min_value=timedelta(), max_value=DAY), min_size=1, max_size=40))
def test_wait_is_never_longer_than_needed(pauses: list[timedelta]) -> None:
    bench = make_bench(ca_orders_per_account=3, ca_certificates_per_domain=4)
    now = NOW
    for number, pause in enumerate(pauses):
        now += pause
        order = make_order(f"{number}.example.com", created_at=now)
        wait = bench.wait(order, now)
        if wait is not None:
            # A moment before, it would have been one too many; then it is not.
            assert bench.wait(order, now + wait - 2 * SECOND) is not None
            now += wait
        order = replace(order, created_at=now)
        assert bench.place(order, now)
        bench.issue(order, now)
