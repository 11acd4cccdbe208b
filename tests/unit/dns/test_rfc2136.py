"""Settings of signed updates, and what is made of a server's answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest

from strongroom.dns.providers import Providers
from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.orders.dns import DnsProblem, DnsProvider, DnsRefusal, TxtRecord
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable
from tests.factories.dns import make_context
from tests.peers.scripted_dns import ScriptedDns, reply, scripted_dns

PLANTED = base64.b64encode(b"planted secret of thirty-two byt").decode()
GOOD = {
    "rfc2136_server": "ns1.example.com",
    "rfc2136_tsig_key_name": "orders",
    "rfc2136_tsig_secret": PLANTED,
}
KEY = dns.tsig.Key("orders", PLANTED, "hmac-sha256")
RECORD = TxtRecord(name="_acme-challenge.www.example.com", value="one")
SOA = "ns1.example.com. hostmaster.example.com. 7 3600 600 86400 5"


def test_defaults_are_filled_in() -> None:
    assert _check(GOOD) == {**GOOD, "rfc2136_port": 53, "rfc2136_tsig_algorithm": "hmac-sha256"}


def test_names_are_stored_in_one_spelling() -> None:
    checked = _check({**GOOD, "rfc2136_server": "NS1.Example.com.", "rfc2136_zone": "Example.COM."})

    assert (checked["rfc2136_server"], checked["rfc2136_zone"]) == ("ns1.example.com", "example.com")


@pytest.mark.parametrize(
    ("member", "given", "says"),
    [
        ("rfc2136_server", None, "rfc2136_server is required"),
        ("rfc2136_server", "", "rfc2136_server is required"),
        ("rfc2136_server", "not a host", "The host must be .* ASCII letters"),
        ("rfc2136_server", "https://ns1.example.com", "The host must be .* ASCII letters"),
        ("rfc2136_server", "127.1", "The host must be .* ASCII letters"),
        ("rfc2136_server", 53, "rfc2136_server must be a text"),
        ("rfc2136_server", "a" * 256, "must have 1 to 255 characters; it has 256"),
        ("rfc2136_server", "ns1\n", "must not contain control characters"),
        ("rfc2136_port", 0, "must be a whole number from 1 to 65535"),
        ("rfc2136_port", 65536, "must be a whole number from 1 to 65535"),
        ("rfc2136_port", True, "must be a whole number from 1 to 65535"),
        ("rfc2136_port", "53", "must be a whole number from 1 to 65535"),
        ("rfc2136_tsig_key_name", "two words", "must be a name such as example.com"),
        ("rfc2136_tsig_algorithm", "hmac-md5", 'must be one of hmac-sha256, .* not "hmac-md5"'),
        ("rfc2136_tsig_algorithm", 1, "must be one of hmac-sha256"),
        ("rfc2136_tsig_secret", "", "rfc2136_tsig_secret is required"),
        ("rfc2136_tsig_secret", "not!base64", "must be base64"),
        ("rfc2136_tsig_secret", "abc", "must be base64"),
        ("rfc2136_zone", "exa mple.com", "must be a name such as example.com"),
    ],
)
def test_setting_that_breaks_a_rule_is_refused_by_its_field(member: str, given: Any, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        _check({**GOOD, member: given})

    assert refused.value.field == member
    assert "not!base64" not in refused.value.detail


def test_every_broken_rule_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        _check({"rfc2136_port": 0})

    assert {cause.field for cause in refused.value.causes} == {
        "rfc2136_server",
        "rfc2136_port",
        "rfc2136_tsig_key_name",
        "rfc2136_tsig_secret",
    }


@pytest.mark.parametrize(
    ("address", "allow_private", "is_refused"),
    [
        ("192.0.2.53", False, True),
        ("10.0.0.53", False, True),
        ("10.0.0.53", True, False),
        ("127.0.0.1", False, True),
        ("127.0.0.1", True, False),
        ("169.254.169.254", True, True),
        ("fe80::1", True, True),
        ("9.9.9.9", False, False),
        ("[2620:fe::fe]", False, False),
    ],
)
def test_address_out_of_bounds_is_refused_when_it_is_configured(
    address: str, allow_private: bool, is_refused: bool
) -> None:
    providers = Providers(make_context(allow_private=allow_private))
    values = {**GOOD, "rfc2136_server": address}

    if is_refused:
        with pytest.raises(Invalid) as refused:
            providers.check(ConfigType.DNS_RFC2136, values)
        assert refused.value.field == "rfc2136_server"
        assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED
    else:
        assert providers.check(ConfigType.DNS_RFC2136, values)["rfc2136_server"] == address.strip("[]")


def test_private_server_that_is_a_resolver_of_the_operator_may_be_used_on_its_port_only() -> None:
    providers = Providers(make_context(allow_private=False, resolvers=[("127.0.0.1", 5353)]))
    values = {**GOOD, "rfc2136_server": "127.0.0.1"}

    assert providers.check(ConfigType.DNS_RFC2136, {**values, "rfc2136_port": 5353})["rfc2136_port"] == 5353
    with pytest.raises(Invalid, match="127.0.0.1 must not be contacted"):
        providers.check(ConfigType.DNS_RFC2136, {**values, "rfc2136_port": 22})


def test_name_that_leads_to_a_private_address_is_refused_when_it_is_used() -> None:
    # As it was stored while private addresses were allowed.
    stored = {**_check(GOOD), "rfc2136_server": "localhost"}
    provider = Providers(make_context(allow_private=False)).provider(ConfigType.DNS_RFC2136, stored)

    with pytest.raises(Invalid) as refused:
        provider.present(RECORD)

    assert refused.value.code is ErrorCode.DESTINATION_NOT_ALLOWED


def test_update_adds_one_record_with_its_time_to_live_and_minds_aliases() -> None:
    with scripted_dns(reply, KEY) as server:
        _provider(server, rfc2136_zone="example.com").present(RECORD)

    way, update = server.questions[-1]
    assert way == "tcp"
    assert update.had_tsig
    zone, prerequisite, added = (section[0] for section in update.sections[:3])
    assert zone.name.to_text() == "example.com."
    assert (prerequisite.rdtype, str(prerequisite.deleting)) == (dns.rdatatype.CNAME, "254")
    assert added.to_text() == '_acme-challenge.www.example.com. 120 IN TXT "one"'


@pytest.mark.parametrize(
    ("rcode", "refusal", "says"),
    [
        (dns.rcode.REFUSED, DnsRefusal.AUTHORIZATION, "does not let the key change TXT records of"),
        (dns.rcode.NOTAUTH, DnsRefusal.NO_ZONE, "serves no such zone for"),
        (dns.rcode.NOTZONE, DnsRefusal.NO_ZONE, "serves no such zone for"),
        (dns.rcode.NXDOMAIN, DnsRefusal.NO_ZONE, "serves no such zone for"),
        (dns.rcode.YXRRSET, DnsRefusal.ERROR, "holds a CNAME record"),
        (dns.rcode.FORMERR, DnsRefusal.ERROR, "answers FORMERR"),
        (dns.rcode.NOTIMP, DnsRefusal.ERROR, "answers NOTIMP"),
    ],
)
def test_refusal_of_the_server_is_told_by_its_kind(rcode: dns.rcode.Rcode, refusal: DnsRefusal, says: str) -> None:
    with scripted_dns(lambda question: reply(question, rcode=rcode), KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, DnsProblem)
    assert (error.refusal, error.step) == (refusal, "present")
    assert says in error.detail


def test_server_that_cannot_do_it_now_is_unavailable() -> None:
    with scripted_dns(lambda question: reply(question, rcode=dns.rcode.SERVFAIL), KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, Unavailable)
    assert "SERVFAIL" in error.detail


def test_answer_without_a_signature_is_not_believed() -> None:
    def unsigned(question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.Message(question.id)
        answer.flags = dns.message.make_response(question).flags
        return answer

    with scripted_dns(unsigned, KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, DnsProblem)
    assert error.refusal is DnsRefusal.ERROR
    assert "not signed" in error.detail


def test_answer_signed_with_another_secret_is_not_believed() -> None:
    def forged(question: dns.message.Message) -> dns.message.Message:
        answer = reply(question)
        answer.use_tsig(dns.tsig.Key("orders", base64.b64encode(b"another").decode(), "hmac-sha256"))
        return answer

    with scripted_dns(forged, KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, DnsProblem)
    assert error.refusal is DnsRefusal.AUTHORIZATION
    assert PLANTED not in error.detail


@pytest.mark.parametrize(
    ("code", "refusal", "says"),
    [
        (dns.rcode.BADKEY, DnsRefusal.AUTHORIZATION, "does not know the key orders"),
        (dns.rcode.BADSIG, DnsRefusal.AUTHORIZATION, "has another secret for the key orders"),
        (dns.rcode.BADTIME, DnsRefusal.ERROR, "disagree by more than five minutes"),
    ],
)
def test_error_of_the_signature_is_told_by_its_kind(code: dns.rcode.Rcode, refusal: DnsRefusal, says: str) -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.Message(question.id)
        answer.flags = dns.message.make_response(question).flags
        answer.set_rcode(dns.rcode.NOTAUTH)
        answer.use_tsig(KEY, tsig_error=code)
        return answer

    with scripted_dns(answers, KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, DnsProblem)
    assert error.refusal is refusal
    assert says in error.detail


@pytest.mark.parametrize("content", [b"", b"\x00" * 11, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_garbage_is_an_error_of_the_provider(content: bytes) -> None:
    with scripted_dns(lambda _: content, KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, DnsProblem)
    assert error.refusal is DnsRefusal.ERROR


def test_connection_closed_without_an_answer_is_unavailable() -> None:
    with scripted_dns(lambda _: None, KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.com"))

    assert isinstance(error, Unavailable)
    assert error.detail == "The DNS server 127.0.0.1 closed the connection without an answer."


def test_zone_is_looked_up_at_the_server_and_the_nearest_is_changed() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        return reply(question, authority=(f"example.com. 5 SOA {SOA}", f"com. 5 SOA {SOA}"))

    with scripted_dns(answers, KEY) as server:
        _provider(server).present(RECORD)

    assert server.questions[-1][1].sections[0][0].name.to_text() == "example.com."


def test_name_in_a_part_that_was_handed_on_is_not_written_to_the_zone_above() -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        if question.question[0].name.to_text() == "example.com.":
            return reply(question, f"example.com. 5 SOA {SOA}")
        return reply(question, authority=("www.example.com. 5 NS ns.example.org.",), flags=0)

    with scripted_dns(answers, KEY) as server:
        error = _failure(_provider(server))

    assert isinstance(error, DnsProblem)
    assert error.refusal is DnsRefusal.NO_ZONE


def test_name_outside_the_configured_zone_is_refused_without_a_question() -> None:
    with scripted_dns(reply, KEY) as server:
        error = _failure(_provider(server, rfc2136_zone="example.org"))

    assert isinstance(error, DnsProblem)
    assert error.refusal is DnsRefusal.NO_ZONE
    assert "the only one of this configuration" in error.detail
    assert server.questions == []


def test_server_is_one_to_be_asked_on_its_port() -> None:
    assert _open({**GOOD, "rfc2136_port": 5353}).servers == {"ns1.example.com": 5353}


def _check(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return Providers(make_context()).check(ConfigType.DNS_RFC2136, values)


def _open(values: Mapping[str, Any]) -> DnsProvider:
    return Providers(make_context()).provider(ConfigType.DNS_RFC2136, _check(values))


def _provider(server: ScriptedDns, **more: str) -> DnsProvider:
    return _open({**GOOD, "rfc2136_server": "127.0.0.1", "rfc2136_port": server.port, **more})


def _failure(provider: DnsProvider) -> StrongroomError:
    with pytest.raises(StrongroomError) as failed:
        provider.present(RECORD)
    return failed.value
