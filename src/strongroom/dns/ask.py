"""One question to one DNS server. It imports dnspython, so it is itself imported on first use only.

Source: RFC 1035 section 4.2, RFC 7766 (TCP after a truncated answer).
"""

from __future__ import annotations

import errno
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TXT
import dns.rrset

from strongroom.dns.names import plain

UDP_PAYLOAD: Final = 1232
"""Bytes of an answer that no network on the way cuts up; larger ones come over TCP."""

_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Unanswered(Exception):
    """A server gave no answer that can be used; the text says why, to follow "because it"."""


class NoRoute(Unanswered):
    """This host cannot send to addresses of that family at all."""


def ask(
    name: str, record_type: str, address: str, port: int, *, recursive: bool, timeout_s: float
) -> dns.message.Message:
    """Ask one server, over UDP and after a truncated answer over TCP.

    Args:
        name: full, with or without the last dot.
        record_type: such as ``TXT``.
        address: of the server, an IP address.
        port: of the server.
        recursive: whether it is to find the answer elsewhere, as resolvers do.
        timeout_s: for each of the two ways.

    Raises:
        NoRoute: this host has no way to the address.
        Unanswered: no answer in time, or one that is not of the DNS.
    """
    flags = dns.flags.RD if recursive else 0
    question = dns.message.make_query(read_name(name), record_type, use_edns=0, payload=UDP_PAYLOAD, flags=flags)
    try:
        # Answers to other questions and from other addresses are not errors: anybody can send them.
        answer, _ = dns.query.udp_with_fallback(
            question, address, timeout_s, port, ignore_unexpected=True, ignore_errors=True
        )
    except (dns.exception.DNSException, OSError, EOFError) as error:
        has_route = not (isinstance(error, OSError) and error.errno in _NO_ROUTE)
        raise (Unanswered if has_route else NoRoute)(reason(error, timeout_s)) from error
    return answer


def read_name(name: str) -> dns.name.Name:
    """Return a name as the library has it.

    Raises:
        Unanswered: it is not one: a part longer than 63 characters, for example.
    """
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise Unanswered("cannot be asked for a name of that form") from error


def reason(error: Exception, timeout_s: float) -> str:
    """Return in words what went wrong with an exchange, to follow "because it"."""
    if isinstance(error, dns.exception.Timeout):
        return f"gave no answer within {timeout_s:.3g} s"
    if isinstance(error, EOFError):
        return "closed the connection without an answer"
    if isinstance(error, OSError):
        return f"cannot be reached: {error.strerror or type(error).__name__}"
    return "sent an answer that is not of the DNS"


def is_negative_or_good(answer: dns.message.Message) -> bool:
    """Tell whether an answer says what there is, be it nothing."""
    return answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}


def refusal(answer: dns.message.Message) -> str:
    """Return in words what an answer without use says, to follow "because it"."""
    return f"answers {dns.rcode.to_text(answer.rcode())}"


def is_authoritative(answer: dns.message.Message) -> bool:
    """Tell whether the server answers from its own data."""
    return bool(answer.flags & dns.flags.AA)


def texts(answer: dns.message.Message, name: str) -> list[str]:
    """Return the values of the TXT records of a name, each joined to one string."""
    found = _rrset(answer, name, dns.rdatatype.TXT)
    records = [record for record in found or () if isinstance(record, dns.rdtypes.ANY.TXT.TXT)]
    return [b"".join(record.strings).decode("ascii", "replace") for record in records]


def alias(answer: dns.message.Message, name: str) -> str | None:
    """Return where the CNAME record of a name leads, without the last dot."""
    for record in _rrset(answer, name, dns.rdatatype.CNAME) or ():
        if isinstance(record, dns.rdtypes.ANY.CNAME.CNAME):
            return plain(record.target.to_text())
    return None


def targets(answer: dns.message.Message, name: str, record_type: str) -> list[str]:
    """Return the records of a name as text: names of servers, or addresses; without last dots."""
    found = _rrset(answer, name, dns.rdatatype.from_text(record_type))
    return [plain(record.to_text()) for record in found or ()]


def start_of_authority(answer: dns.message.Message) -> list[tuple[str, int]]:
    """Return owner, empty for the root, and serial number of every SOA record that an answer holds."""
    return [
        (plain(rrset.name.to_text()), record.serial)
        for rrset in (*answer.answer, *answer.authority)
        for record in rrset
        if isinstance(record, dns.rdtypes.ANY.SOA.SOA)
    ]


def addresses(answer: dns.message.Message, record_type: str) -> list[str]:
    """Return the addresses in an answer, of whatever name: resolvers follow CNAME records themselves."""
    wanted = dns.rdatatype.from_text(record_type)
    return [record.to_text() for rrset in answer.answer if rrset.rdtype == wanted for record in rrset]


def _rrset(answer: dns.message.Message, name: str, record_type: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    owner = read_name(name)
    return next((rrset for rrset in answer.answer if rrset.name == owner and rrset.rdtype == record_type), None)
