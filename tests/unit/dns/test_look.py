"""What is made of the answers of authoritative servers, also of those that mean no good."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import timedelta

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from strongroom.dns.propagation import AuthoritativeServers
from strongroom.domain.orders.dns import DnsProblem, ServerReport
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Unavailable
from strongroom.net.guard import Guard
from tests.peers.scripted_dns import reply, scripted_dns

NAME = "_acme-challenge.www.example.com"
SOA = "example.com. 5 SOA ns1.example.com. hostmaster.example.com. 7 3600 600 86400 5"

Special = Callable[[dns.message.Message], "dns.message.Message | None"]


def test_server_is_asked_without_recursion_and_resolvers_with_it(clock: FrozenClock) -> None:
    asked: list[tuple[str, bool]] = []

    def texts(question: dns.message.Message) -> dns.message.Message:
        asked.append(("TXT", bool(question.flags & dns.flags.RD)))
        return reply(question, f'{NAME}. 120 TXT "one"')

    (report,) = _look(clock, texts)

    assert (report.seen, report.soa_serial) == (True, 7)
    assert asked == [("TXT", False)]


def test_value_in_several_strings_is_one_value(clock: FrozenClock) -> None:
    (report,) = _look(clock, lambda question: reply(question, f'{NAME}. 120 TXT "o" "ne"'))

    assert report.seen


def test_values_of_others_are_shown_few_short_and_printable(clock: FrozenClock) -> None:
    def texts(question: dns.message.Message) -> dns.message.Message:
        long = '"' + "a" * 200 + '"'
        return reply(
            question, *(f'{NAME}. 120 TXT "\\027[2J{number}"' for number in range(9)), f"{NAME}. 120 TXT {long}"
        )

    (report,) = _look(clock, texts)

    assert not report.seen
    assert len(report.found) == 4
    assert all(text.isprintable() and len(text) <= 100 for text in report.found)


def test_answer_without_authority_is_no_answer(clock: FrozenClock) -> None:
    with pytest.raises(Unavailable, match="ns1.example.com does not hold the zone, though the zone names it"):
        _look(clock, lambda question: reply(question, f'{NAME}. 120 TXT "one"', flags=0))


def test_refusal_is_no_answer(clock: FrozenClock) -> None:
    with pytest.raises(Unavailable, match="ns1.example.com answers SERVFAIL"):
        _look(clock, lambda question: reply(question, rcode=dns.rcode.SERVFAIL))


def test_lost_datagram_is_asked_for_again(clock: FrozenClock) -> None:
    seen: list[int] = []

    def texts(question: dns.message.Message) -> dns.message.Message | None:
        seen.append(question.id)
        return None if len(seen) == 1 else reply(question, f'{NAME}. 120 TXT "one"')

    assert _look(clock, texts)[0].seen


def test_server_without_an_address_is_a_problem_of_its_own_report(clock: FrozenClock) -> None:
    reports = _look(clock, lambda question: reply(question, f'{NAME}. 120 TXT "one"'), "ns1", "nowhere")

    assert [(report.name, report.seen, report.problem) for report in reports] == [
        ("ns1.example.com", True, None),
        ("nowhere.example.com", False, "has a name without addresses"),
    ]


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_host_without_a_route_for_a_family_is_content_with_the_other(
    clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    _without_ipv6(monkeypatch, number)

    reports = _look(clock, lambda question: reply(question, f'{NAME}. 120 TXT "one"'), "both")

    assert [(report.address, report.seen) for report in reports] == [("127.0.0.1", True)]


def test_server_that_has_no_other_address_stays_in_the_reports(
    clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_ipv6(monkeypatch, errno.ENETUNREACH)

    reports = _look(clock, lambda question: reply(question, f'{NAME}. 120 TXT "one"'), "ns1", "six")

    assert {(report.name, report.seen) for report in reports} == {
        ("ns1.example.com", True),
        ("six.example.com", False),
    }
    assert [report.problem for report in reports if not report.seen] == ["cannot be reached: no route"]


def test_silent_servers_take_no_longer_than_the_whole_look_may(clock: FrozenClock) -> None:
    with scripted_dns(_authority(lambda _: None, ("ns1",))) as server:
        propagation = _propagation(server.port, clock, limit=timedelta(seconds=0.5), timeout_s=0.4)

        with pytest.raises(Unavailable, match="None of the DNS servers of example.com can be asked: ns1.example.com"):
            propagation.look(NAME, ["one"], {})


def test_resolver_that_is_silent_takes_no_longer_either(clock: FrozenClock) -> None:
    with scripted_dns(lambda _: None) as server:
        propagation = _propagation(server.port, clock, limit=timedelta(seconds=0.3), timeout_s=0.2)

        with pytest.raises(Unavailable, match="No DNS resolver tells the CNAME records"):
            propagation.target(NAME)


def test_alias_to_what_is_no_host_name_is_refused(clock: FrozenClock) -> None:
    with (
        scripted_dns(lambda question: reply(question, f"{NAME}. 5 CNAME a\\032b.example.com.")) as server,
        pytest.raises(DnsProblem, match="leads to something that is not a host name"),
    ):
        _propagation(server.port, clock).target(NAME)


def _authority(texts: Special, names: tuple[str, ...]) -> Special:
    """Return answers of a resolver that holds example.com itself."""

    def answers(question: dns.message.Message) -> dns.message.Message | None:
        asked, kind = question.question[0].name.to_text(), question.question[0].rdtype
        if kind == dns.rdatatype.TXT:
            return texts(question)
        if kind == dns.rdatatype.NS:
            return reply(question, *(f"example.com. 5 NS {name}.example.com." for name in names))
        if kind == dns.rdatatype.A and asked in {"ns1.example.com.", "both.example.com."}:
            return reply(question, f"{asked} 5 A 127.0.0.1")
        if kind == dns.rdatatype.AAAA and asked in {"six.example.com.", "both.example.com."}:
            return reply(question, f"{asked} 5 AAAA 2001:db8::53")
        return reply(question, SOA) if asked == "example.com." else reply(question, authority=(SOA,))

    return answers


def _propagation(
    port: int, clock: FrozenClock, *, limit: timedelta = timedelta(seconds=20), timeout_s: float = 0.3
) -> AuthoritativeServers:
    return AuthoritativeServers(
        resolvers=[("127.0.0.1", port)],
        guard=Guard(allow_private=True),
        clock=clock,
        timeout_s=timeout_s,
        limit=limit,
    )


def _look(clock: FrozenClock, texts: Special, *names: str) -> list[ServerReport]:
    with scripted_dns(_authority(texts, names or ("ns1",))) as server:
        return list(_propagation(server.port, clock).look(NAME, ["one"], {}))


def _without_ipv6(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the system refuse to send to IPv6 addresses, as it does on hosts that have none."""
    real = dns.query.udp_with_fallback

    def fake(question: dns.message.Message, where: str, *more: object, **named: object) -> object:
        if ":" in where:
            raise OSError(number, "no route")
        return real(question, where, *more, **named)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(dns.query, "udp_with_fallback", fake)
