"""What resolvers answer, and what is made of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from strongroom.dns.ask import Unanswered, ask
from strongroom.dns.zone import Lookup, show_address, system_resolvers
from strongroom.kernel.errors import Unavailable
from strongroom.net.deadline import Deadline
from tests.peers.scripted_dns import reply, scripted_dns

SOA = "ns1.example.com. hostmaster.example.com. 7 3600 600 86400 5"


def test_zone_is_taken_from_the_answer_that_there_is_nothing() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        return reply(question, authority=(f"example.com. 5 SOA {SOA}",), rcode=dns.rcode.NXDOMAIN)

    with scripted_dns(answers) as server:
        assert _lookup(server.port).zone_of("_acme-challenge.www.example.com") == "example.com"
        assert len(server.questions) == 1


def test_zone_that_is_not_above_the_name_is_not_its_own() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        return reply(question, authority=(f"example.org. 5 SOA {SOA}", f"notexample.com. 5 SOA {SOA}"))

    with scripted_dns(answers) as server:
        assert _lookup(server.port).zone_of("www.example.com") is None
        assert [question.question[0].name.to_text() for _, question in server.questions] == [
            "www.example.com.",
            "example.com.",
            "com.",
        ]


def test_zone_is_looked_for_name_by_name_where_answers_carry_none() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        name = question.question[0].name.to_text()
        return reply(question, f"example.com. 5 SOA {SOA}") if name == "example.com." else reply(question)

    with scripted_dns(answers) as server:
        assert _lookup(server.port).zone_of("a.b.example.com") == "example.com"


def test_root_holds_no_name() -> None:
    with scripted_dns(lambda question: reply(question, authority=(f". 5 SOA {SOA}",))) as server:
        assert _lookup(server.port).zone_of("www.nowhere.example") is None


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
def test_resolver_that_refuses_leads_to_the_next(rcode: dns.rcode.Rcode) -> None:
    with (
        scripted_dns(lambda question: reply(question, rcode=rcode)) as first,
        scripted_dns(lambda question: reply(question, "example.com. 5 NS ns1.example.net.")) as second,
    ):
        lookup = Lookup(
            [("127.0.0.1", first.port), ("127.0.0.1", second.port)],
            timeout_s=2,
            deadline=Deadline(timedelta(seconds=20)),
        )

        assert lookup.name_servers("example.com") == ["ns1.example.net"]


def test_resolvers_that_all_fail_are_named_with_what_they_did() -> None:
    def garbage(question: dns.message.Message) -> bytes:
        return b"no message at all"

    with (
        scripted_dns(lambda question: reply(question, rcode=dns.rcode.SERVFAIL)) as first,
        scripted_dns(garbage) as second,
    ):
        lookup = Lookup(
            [("127.0.0.1", first.port), ("127.0.0.1", second.port)],
            timeout_s=0.2,
            deadline=Deadline(timedelta(seconds=20)),
        )

        with pytest.raises(Unavailable) as failed:
            lookup.alias("www.example.com")

    assert f"127.0.0.1:{first.port} answers SERVFAIL" in failed.value.detail
    assert f"127.0.0.1:{second.port} gave no answer within 0.2 s" in failed.value.detail


def test_lost_datagram_is_asked_for_again() -> None:
    seen: list[int] = []

    def answers(question: dns.message.Message) -> dns.message.Message | None:
        seen.append(question.id)
        return None if len(seen) == 1 else reply(question, "www.example.com. 5 CNAME end.example.org.")

    with scripted_dns(answers) as server:
        assert (
            Lookup([("127.0.0.1", server.port)], timeout_s=0.3, deadline=Deadline(timedelta(seconds=20))).alias(
                "www.example.com"
            )
            == "end.example.org"
        )


def test_truncated_answer_is_fetched_over_tcp() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        is_first = len(server.questions) == 1
        return reply(question, flags=dns.flags.TC) if is_first else reply(question, "example.com. 5 NS ns.example.com.")

    with scripted_dns(answers) as server:
        assert _lookup(server.port).name_servers("example.com") == ["ns.example.com"]
        assert [way for way, _ in server.questions] == ["udp", "tcp"]


def test_answer_with_another_id_is_not_believed() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        forged = reply(question, "www.example.com. 5 CNAME forged.example.org.")
        forged.id = question.id ^ 1
        return forged

    with scripted_dns(answers) as server, pytest.raises(Unanswered, match="no answer within 0.2 s"):
        ask("www.example.com", "CNAME", "127.0.0.1", server.port, recursive=True, timeout_s=0.2)


def test_addresses_of_a_host_behind_an_alias_are_found() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        alias = "ns.example.com. 5 CNAME real.example.org."
        if question.question[0].rdtype == dns.rdatatype.A:
            return reply(question, alias, "real.example.org. 5 A 192.0.2.53")
        return reply(question, alias, "real.example.org. 5 AAAA 2001:db8::53")

    with scripted_dns(answers) as server:
        assert _lookup(server.port).addresses("ns.example.com") == ["192.0.2.53", "2001:db8::53"]


@pytest.mark.parametrize("name", ["a" * 64 + ".example.com", "a..example.com"])
def test_name_that_cannot_exist_is_not_asked_for(name: str) -> None:
    with scripted_dns(lambda _: None) as server, pytest.raises(Unavailable, match="a name of that form"):
        _lookup(server.port).alias(name)


def test_system_resolvers_are_those_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.com\n")

    assert system_resolvers(str(path)) == (("192.0.2.53", 53), ("2001:db8::53", 53))


def test_system_without_resolvers_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as failed:
        system_resolvers(str(tmp_path / "missing"))

    assert failed.value.hint is not None
    assert "dns_resolvers" in failed.value.hint


def test_addresses_are_shown_as_settings_have_them() -> None:
    assert show_address("192.0.2.53", 53) == "192.0.2.53:53"
    assert show_address("2001:db8::53", 5353) == "[2001:db8::53]:5353"


def _lookup(port: int) -> Lookup:
    return Lookup([("127.0.0.1", port)], timeout_s=2, deadline=Deadline(timedelta(seconds=20)))
