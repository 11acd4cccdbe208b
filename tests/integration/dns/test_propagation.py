"""Looking at real DNS servers: one that is fast, one that lags, one that is dead."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Sequence

import pytest

from strongroom.dns.propagation import MOST_ALIASES, AuthoritativeServers
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Unavailable
from strongroom.net.guard import Guard
from tests.peers.bind import BindSecondary, BindServer

pytestmark = pytest.mark.peers

Endpoint = tuple[str, int]


@pytest.fixture
def name() -> str:
    """Give a name of the zone with two servers that no other test uses."""
    return f"_acme-challenge.{secrets.token_hex(4)}.twins.example.net"


@pytest.fixture
def propagation(bind: BindServer, bind_secondary: BindSecondary, clock: FrozenClock) -> AuthoritativeServers:
    """Give a view for which both servers are resolvers of the operator's."""
    return _propagation(clock, [_endpoint(bind), _endpoint(bind_secondary)])


def test_record_on_all_servers_is_seen_on_each(
    propagation: AuthoritativeServers, bind: BindServer, bind_secondary: BindSecondary, clock: FrozenClock, name: str
) -> None:
    bind.add_txt(name, "one")
    bind.add_txt(name, "two")
    bind_secondary.catch_up()

    reports = propagation.look(name, ["one", "two"], {})

    assert [(report.name, report.address) for report in reports] == [
        ("ns1.example.com", "127.0.0.1"),
        ("ns2.example.com", "::1"),
    ]
    assert all(report.seen and report.problem is None and report.found == () for report in reports)
    assert {report.soa_serial for report in reports} == {bind.serial("twins.example.net")}
    assert {report.checked_at for report in reports} == {clock.now()}


def test_server_that_lags_is_told_apart_by_value_and_serial(
    propagation: AuthoritativeServers, bind: BindServer, bind_secondary: BindSecondary, name: str
) -> None:
    bind.add_txt(name, "old")
    bind_secondary.catch_up()
    bind.add_txt(name, "new")

    fast, slow = propagation.look(name, ["new"], {})

    assert (fast.seen, slow.seen) == (True, False)
    assert slow.found == ("old",)
    assert slow.problem is None
    assert fast.soa_serial is not None
    assert slow.soa_serial is not None
    assert slow.soa_serial < fast.soa_serial
    bind_secondary.catch_up()
    assert all(report.seen for report in propagation.look(name, ["new"], {}))


def test_one_value_of_two_is_not_enough(
    propagation: AuthoritativeServers, bind: BindServer, bind_secondary: BindSecondary, name: str
) -> None:
    bind.add_txt(name, "apex")
    bind_secondary.catch_up()

    reports = propagation.look(name, ["apex", "wildcard"], {})

    assert [(report.seen, report.found) for report in reports] == [(False, ("apex",))] * 2


def test_name_without_records_is_reported_with_the_serial_of_its_zone(
    propagation: AuthoritativeServers, bind: BindServer, name: str
) -> None:
    report = propagation.look(name, ["one"], {})[0]

    assert (report.seen, report.found, report.problem) == (False, (), None)
    assert report.soa_serial == bind.serial("twins.example.net")


def test_dead_server_is_a_problem_of_its_own_report(
    propagation: AuthoritativeServers, bind: BindServer, bind_secondary: BindSecondary, name: str
) -> None:
    bind.add_txt(name, "one")

    with bind_secondary.stopped():
        alive, dead = propagation.look(name, ["one"], {})

    assert alive.seen
    assert (dead.seen, dead.soa_serial) == (False, None)
    assert dead.problem is not None
    assert dead.problem.startswith(("gave no answer within", "cannot be reached"))


def test_answer_too_long_for_a_datagram_is_fetched_over_tcp(
    propagation: AuthoritativeServers, bind: BindServer, bind_secondary: BindSecondary, name: str
) -> None:
    values = [secrets.token_urlsafe(32) for _ in range(40)]
    for value in values:
        bind.add_txt(name, value)
    bind_secondary.catch_up()

    assert all(report.seen for report in propagation.look(name, values, {}))


def test_server_on_a_private_address_is_not_asked_unless_the_operator_named_it(
    bind: BindServer, bind_secondary: BindSecondary, clock: FrozenClock, name: str
) -> None:
    bind.add_txt(name, "one")
    propagation = _propagation(clock, [_endpoint(bind)], allow_private=False)

    named, other = propagation.look(name, ["one"], {})

    assert named.seen
    assert other.problem is not None
    assert "must not be contacted" in other.problem


def test_servers_whose_names_do_not_resolve_are_found_by_their_authority(
    bind: BindServer, bind_secondary: BindSecondary, clock: FrozenClock, name: str
) -> None:
    bind.add_txt(name, "one")
    bind_secondary.catch_up()
    # The secondary knows the zone and nothing of example.com, where the names of its servers lie.
    propagation = _propagation(clock, [_endpoint(bind_secondary)])

    reports = propagation.look(name, ["one"], {bind.address: bind.port})

    assert {(report.address, report.seen) for report in reports} == {("127.0.0.1", True), ("::1", True)}


def test_port_of_the_providers_server_comes_before_that_of_a_resolver(
    bind: BindServer, clock: FrozenClock, name: str
) -> None:
    bind.add_txt(name, "one")
    resolvers = [_endpoint(bind), (bind.address, 1)]

    reports = _propagation(clock, resolvers).look(name, ["one"], {bind.address: bind.port})

    assert reports[0].seen


def test_of_two_resolvers_on_one_address_the_one_with_the_zone_is_asked(
    bind: BindServer, clock: FrozenClock, name: str
) -> None:
    bind.add_txt(name, "one")
    resolvers = [_endpoint(bind), (bind.address, 1)]

    reports = _propagation(clock, resolvers).look(name, ["one"], {})

    assert [report.seen for report in reports if report.address == bind.address] == [True]


def test_name_that_no_zone_holds_is_refused(propagation: AuthoritativeServers) -> None:
    with pytest.raises(DnsProblem, match="no zone that holds _acme-challenge.www.nowhere.example") as refused:
        propagation.look("_acme-challenge.www.nowhere.example", ["one"], {})

    assert refused.value.refusal is DnsRefusal.NO_ZONE


def test_zone_whose_servers_all_fail_cannot_be_asked(bind: BindServer, clock: FrozenClock) -> None:
    name = "_acme-challenge.www.elsewhere.example.net"

    with pytest.raises(Unavailable, match="ns1.example.com does not hold the zone"):
        _propagation(clock, [_endpoint(bind)]).look(name, ["one"], {})


def test_name_without_aliases_is_its_own_target(propagation: AuthoritativeServers) -> None:
    assert propagation.target("_acme-challenge.Plain.example.com.") == "_acme-challenge.plain.example.com"


def test_aliases_are_followed_into_another_zone(propagation: AuthoritativeServers, bind: BindServer) -> None:
    first, second, end = (
        f"{secrets.token_hex(4)}.{zone}" for zone in ("example.com", "example.org", "acme.example.net")
    )
    bind.add_cname(first, second)
    bind.add_cname(second, end)

    assert propagation.target(first) == end


def test_aliases_in_a_circle_are_refused(propagation: AuthoritativeServers, bind: BindServer) -> None:
    first, second = (f"{secrets.token_hex(4)}.example.com" for _ in range(2))
    bind.add_cname(first, second)
    bind.add_cname(second, first)

    with pytest.raises(DnsProblem, match=f"circle: {first} -> {second} -> {first}"):
        propagation.target(first)


@pytest.mark.parametrize(("links", "is_refused"), [(MOST_ALIASES, False), (MOST_ALIASES + 1, True)])
def test_chain_of_aliases_has_an_end(
    propagation: AuthoritativeServers, bind: BindServer, links: int, is_refused: bool
) -> None:
    mark = secrets.token_hex(4)
    names = [f"{number}.{mark}.example.com" for number in range(links + 1)]
    for name, following in itertools.pairwise(names):
        bind.add_cname(name, following)

    if is_refused:
        with pytest.raises(DnsProblem, match="More than 16 CNAME records"):
            propagation.target(names[0])
    else:
        assert propagation.target(names[0]) == names[-1]


def test_alias_beside_the_record_is_told(propagation: AuthoritativeServers, bind: BindServer) -> None:
    name = f"_acme-challenge.{secrets.token_hex(4)}.example.com"
    bind.add_cname(name, "end.acme.example.net")

    with pytest.raises(Unavailable, match="has a CNAME record there, which leads to end.acme.example.net"):
        propagation.look(name, ["one"], {})


def test_resolvers_that_do_not_answer_are_named(bind: BindServer, clock: FrozenClock) -> None:
    propagation = _propagation(clock, [_endpoint(bind)])
    started = time.monotonic()

    with bind.stopped(), pytest.raises(Unavailable, match=f"127.0.0.1:{bind.port} gave no answer within"):
        propagation.target("_acme-challenge.www.example.com")

    assert time.monotonic() - started < 15


def _propagation(
    clock: FrozenClock, resolvers: Sequence[Endpoint], *, allow_private: bool = True
) -> AuthoritativeServers:
    return AuthoritativeServers(
        resolvers=resolvers, guard=Guard(allow_private=allow_private), clock=clock, timeout_s=0.5
    )


def _endpoint(server: BindServer | BindSecondary) -> Endpoint:
    return server.address, server.port
