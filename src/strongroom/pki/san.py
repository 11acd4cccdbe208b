"""Subject alternative names: from the members of a request to the extension.

Source: contract of the compatible API, models M2.2, M4.1 and M4.2; RFC 5280 section 4.2.1.6.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography import x509

from strongroom.kernel.value import value
from strongroom.pki import names
from strongroom.pki.der import encode_utf8_string
from strongroom.pki.members import Members
from strongroom.pki.names import NameProblem

MAX_ALT_NAMES: Final = 99
MAX_OTHER_SANS: Final = 100

_OTHER_SAN: Final = re.compile(r"([0-9.]+)[;:](?:UTF-?8|UTF8String):(.+)", re.IGNORECASE)
_MAX_OTHER_VALUE: Final = 1024


@value
class OtherSan:
    """A subject alternative name of a kind of its own, always text.

    Attributes:
        oid: dotted kind.
        value: the text.
    """

    oid: str
    value: str

    def __str__(self) -> str:
        return f"{self.oid};UTF8:{self.value}"


@value
class AltNames:
    """Names in the form that goes into a certificate: ASCII host names, shortest addresses.

    Attributes:
        hosts_and_emails: DNS names and e-mail addresses.
    """

    hosts_and_emails: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    others: tuple[OtherSan, ...] = ()


def read_alt_names(members: Members) -> AltNames:
    """Read ``alt_names``, ``ip_sans``, ``uri_sans`` and ``other_sans``, noting what is wrong with them.

    Each may be a list, or a string with commas.
    """
    return AltNames(
        hosts_and_emails=members.read_list_or_listed("alt_names", names.check_host_or_email, most=MAX_ALT_NAMES),
        addresses=members.read_list_or_listed("ip_sans", names.check_address),
        uris=members.read_list_or_listed("uri_sans", names.check_uri),
        others=members.read_list_or_listed("other_sans", check_other_san, most=MAX_OTHER_SANS),
    )


def check_other_san(text: str) -> OtherSan:
    """Read ``oid;UTF8:value``; a colon behind the OID and ``UTF-8`` in any case are fine too.

    Raises:
        NameProblem: if it is something else.
    """
    match = _OTHER_SAN.fullmatch(text)
    if match is None:
        raise NameProblem("write it as oid;UTF8:value, such as 2.5.4.5;UTF8:1234")
    if len(match[2]) > _MAX_OTHER_VALUE:
        raise NameProblem(f"the value has at most {_MAX_OTHER_VALUE} characters")
    if not match[2].isprintable():
        raise NameProblem("the value has control characters")
    return OtherSan(oid=names.check_oid(match[1]), value=match[2])


def join_common_name(common_name: str, listed: Iterable[str], *, exclude: bool) -> tuple[str, ...]:
    """Return the DNS and e-mail SANs, the common name first if it is such a name; each once, whatever its case."""
    joined = list(listed)
    if not exclude and names.looks_like_name(common_name):
        joined.insert(0, names.check_host_or_email(common_name))
    unique = {name.lower(): name for name in reversed(joined)}
    return tuple(reversed(unique.values()))


def build_alt_names(found: AltNames) -> list[x509.GeneralName]:
    """Return the names as the extension holds them, in the order of `AltNames`."""
    return [
        *build_hosts_and_emails(found.hosts_and_emails),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in found.addresses),
        *(x509.UniformResourceIdentifier(uri) for uri in found.uris),
        *(x509.OtherName(x509.ObjectIdentifier(san.oid), encode_utf8_string(san.value)) for san in found.others),
    ]


def build_hosts_and_emails(found: Sequence[str]) -> list[x509.GeneralName]:
    """Return DNS names and e-mail addresses as the extension holds them."""
    return [x509.RFC822Name(name) if "@" in name else x509.DNSName(name) for name in found]
