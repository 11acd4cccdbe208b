"""Signed questions and updates to one DNS server. It imports dnspython, so it is itself imported on first use only.

Source: RFC 2136 section 2 and 3.8 (RCODEs), RFC 8945 section 5.3 (errors of signatures).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
from dns.rdtypes.ANY.TXT import TXT

from strongroom.dns.ask import Unanswered, is_authoritative, read_name, reason, start_of_authority
from strongroom.dns.names import is_within, parents
from strongroom.dns.rfc2136 import TsigKey
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal
from strongroom.kernel.errors import ErrorCode, Unavailable
from strongroom.net.deadline import Deadline

_NO_ZONE: Final = frozenset({dns.rcode.NOTAUTH, dns.rcode.NOTZONE, dns.rcode.NXDOMAIN})
_PAST_ZONE: Final = _NO_ZONE | {dns.rcode.REFUSED}
_ADDRESSES_TRIED: Final = 4
_LONGEST: Final = 255
"""Bytes of one string of a TXT record."""


class Signed:
    """Talks to one server and believes only what it has signed.

    Args:
        host: as it is configured, for messages.
        addresses: of the host, checked; tried one after the other.
        port: of the server.
        key: for both directions.
        step: what it is done for, for errors.
        limit: for each exchange.

    All calls raise:
        DnsProblem: the server refused.
        Unavailable: it cannot be reached, does not answer in time, or cannot do it just now.
    """

    def __init__(
        self, *, host: str, addresses: Sequence[str], port: int, key: TsigKey, step: str, limit: timedelta
    ) -> None:
        self._host = host
        self._addresses = addresses[:_ADDRESSES_TRIED]
        self._port = port
        self._key = dns.tsig.Key(read_name(key.name), key.secret.reveal(), key.algorithm)
        self._step = step
        self._limit = limit

    def zone_of(self, name: str) -> str:
        """Return the zone of this server that a name lies in."""
        is_delegated = False
        for candidate in parents(name):
            answer = self._exchange(dns.message.make_query(self._name(candidate), "SOA", flags=0))
            if not is_authoritative(answer):
                if answer.rcode() not in _PAST_ZONE:
                    self._judge(answer, candidate)
                    # If it holds a zone above, the name lies in another server's part of it.
                    is_delegated = True
                continue
            owners = [owner for owner, _ in start_of_authority(answer) if owner and is_within(candidate, owner)]
            if owners and is_delegated:
                break
            if owners:
                return max(owners, key=len)
        raise self._problem(DnsRefusal.NO_ZONE, f"{self._host} serves no zone that holds {name}.")

    def add_text(self, zone: str, name: str, text: str, ttl: timedelta) -> None:
        """Add a TXT record beside those that are there."""
        update = dns.update.UpdateMessage(self._name(zone))
        # Beside a CNAME record nothing may stand: servers would leave the new one out without a word.
        update.absent(self._name(name), "CNAME")
        update.add(self._name(name), int(ttl.total_seconds()), _text(text))
        self._judge(self._exchange(update), name)

    def delete_text(self, zone: str, name: str, text: str) -> None:
        """Delete the one TXT record with a value."""
        update = dns.update.UpdateMessage(self._name(zone))
        update.delete(self._name(name), _text(text))
        self._judge(self._exchange(update), name)

    def _name(self, name: str) -> dns.name.Name:
        try:
            return read_name(name)
        except Unanswered:
            raise self._problem(DnsRefusal.NO_ZONE, f"{name} is not a name that the DNS can hold.") from None

    def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        message.use_tsig(self._key)
        deadline = Deadline(self._limit)
        problem: OSError | EOFError | dns.exception.Timeout = TimeoutError()
        for position, address in enumerate(self._addresses):
            try:
                # An address that swallows packets must leave time for the next one.
                share = deadline.left() / (len(self._addresses) - position)
                answer = dns.query.tcp(message, address, share, self._port)
            except (OSError, EOFError, dns.exception.Timeout) as error:
                problem = error
                continue
            except dns.tsig.PeerBadTime:
                raise self._problem(
                    DnsRefusal.ERROR, f"{self._host} and this server disagree by more than five minutes about the time."
                ) from None
            except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadKey, dns.tsig.BadAlgorithm) as error:
                raise self._problem(DnsRefusal.AUTHORIZATION, self._about_key(error)) from None
            except dns.exception.DNSException as error:
                raise self._problem(
                    DnsRefusal.ERROR, f"{self._host} sent an answer that is not signed with the key, or not of the DNS."
                ) from error
            if not answer.had_tsig:
                raise self._problem(DnsRefusal.ERROR, f"{self._host} sent an answer that is not signed with the key.")
            return answer
        raise Unavailable(
            ErrorCode.UNAVAILABLE,
            f"The DNS server {self._host} {reason(problem, self._limit.total_seconds())}.",
        )

    def _about_key(self, error: dns.exception.DNSException) -> str:
        name = self._key.name.to_text(omit_final_dot=True)
        if isinstance(error, dns.tsig.PeerBadKey):
            return f"{self._host} does not know the key {name} with that algorithm."
        if isinstance(error, dns.tsig.PeerBadSignature | dns.tsig.PeerBadTruncation):
            return f"{self._host} has another secret for the key {name}."
        return f"{self._host} did not sign its answer with the key {name}."

    def _judge(self, answer: dns.message.Message, name: str) -> None:
        code = answer.rcode()
        word = dns.rcode.to_text(code)
        if code == dns.rcode.NOERROR:
            return
        if code == dns.rcode.SERVFAIL:
            raise Unavailable(
                ErrorCode.UNAVAILABLE, f"The DNS server {self._host} cannot do it now: it answers SERVFAIL."
            )
        if code == dns.rcode.REFUSED:
            raise self._problem(
                DnsRefusal.AUTHORIZATION, f"{self._host} does not let the key change TXT records of {name} (REFUSED)."
            )
        if code in _NO_ZONE:
            raise self._problem(DnsRefusal.NO_ZONE, f"{self._host} serves no such zone for {name} ({word}).")
        if code == dns.rcode.YXRRSET:
            raise self._problem(DnsRefusal.ERROR, f"{name} holds a CNAME record now, beside which nothing may stand.")
        raise self._problem(DnsRefusal.ERROR, f"{self._host} answers {word} to a change of {name}.")

    def _problem(self, refusal: DnsRefusal, detail: str) -> DnsProblem:
        return DnsProblem(detail, refusal=refusal, step=self._step)


def _text(text: str) -> TXT:
    """Return a TXT record; what is longer than one string may be is cut into several."""
    content = text.encode("utf-8")
    strings = [content[start : start + _LONGEST] for start in range(0, len(content), _LONGEST)]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
