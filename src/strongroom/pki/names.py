"""Which texts are host names, e-mail addresses, IP addresses, URIs and object identifiers.

Checks give the form that goes into a certificate, or raise `NameProblem` with a reason that continues the sentence
"``<value>`` cannot be used: ...".
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import Final

MAX_HOST_LENGTH: Final = 253
MAX_LABEL_LENGTH: Final = 63
MAX_EMAIL_LOCAL_LENGTH: Final = 64
MAX_URI_LENGTH: Final = 2048
_LONGEST_TRIED: Final = 4
"""Normalising may join several characters to one, so a text that is a few times too long may still fit."""

# Underscores are no host name letters by RFC 1123, but names with them are in use and clients accept them.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE)
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#$&-;=?-Z\[\]_a-z~%]+")
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,30}")
_MAX_FIRST_ARCS: Final = 40
_ACE_PREFIX: Final = "xn--"
_NAMES_KEPT: Final = 256
"""On its way into a certificate a name is looked at five times."""


class NameProblem(ValueError):
    """Why a text is not the kind of name it should be."""


@lru_cache(maxsize=_NAMES_KEPT)
def check_host(text: str) -> str:
    """Return a host name, wildcard or single label in its ASCII form.

    Raises:
        NameProblem: if it is none.

    Source: RFC 5280 section 4.2.1.6, RFC 6125 section 6.4.3 (one leftmost wildcard), RFC 5890 (A-labels).
    """
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if len(name) > _LONGEST_TRIED * MAX_HOST_LENGTH:
        raise NameProblem(f"a host name has at most {MAX_HOST_LENGTH} characters")
    if "*" in name:
        raise NameProblem("a wildcard is `*.` at the start, followed by a name")
    if name.endswith("."):
        raise NameProblem("names in certificates have no final dot")
    labels = [_check_label(label) for label in name.split(".")]
    if is_address(name):
        raise NameProblem("it is an IP address, which belongs in ip_sans")
    if labels[-1].isdigit():
        raise NameProblem("the last part of a host name is not a number")
    host = wildcard + ".".join(labels)
    if len(host) > MAX_HOST_LENGTH:
        raise NameProblem(f"a host name has at most {MAX_HOST_LENGTH} characters")
    return host


def _check_label(label: str) -> str:
    if not label:
        raise NameProblem("there is an empty part between or around its dots")
    # Encoding takes the square of the length, and a megabyte fits into a request.
    if len(label) > _LONGEST_TRIED * MAX_LABEL_LENGTH:
        raise NameProblem(f"a part between dots has at most {MAX_LABEL_LENGTH} characters")
    ascii_label = label if label.isascii() else _to_a_label(label)
    if len(ascii_label) > MAX_LABEL_LENGTH:
        raise NameProblem(f"a part between dots has at most {MAX_LABEL_LENGTH} characters")
    if not _LABEL.fullmatch(ascii_label):
        raise NameProblem("the parts of a host name are letters, digits and inner hyphens")
    if ascii_label[:4].lower() == _ACE_PREFIX:
        _check_a_label(ascii_label)
    return ascii_label


def _to_a_label(label: str) -> str:
    # The standard library knows IDNA 2003. Where that and IDNA 2008 differ (sharp s, final sigma, joiners, symbols)
    # the label does not survive the round trip or is no letter, and the user is asked for the A-label.
    plain = unicodedata.normalize("NFC", label).lower()
    if all(char == "-" or unicodedata.category(char)[0] in "LM" or char.isdecimal() for char in plain):
        try:
            encoded = plain.encode("idna").decode("ascii")
            if encoded.encode().decode("idna") == plain:
                return encoded
        except UnicodeError:
            pass
    raise NameProblem("write the international part in its ASCII form (xn--...)")


def _check_a_label(label: str) -> None:
    try:
        decoded = label[len(_ACE_PREFIX) :].encode().decode("punycode")
    except UnicodeError:
        decoded = ""
    if decoded.isascii() or not decoded.isprintable():
        raise NameProblem(f"{label} is no valid international label")


def is_address(text: str) -> bool:
    """Return whether a text is an IP address of either version."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_email(text: str) -> str:
    """Return an e-mail address with its domain in ASCII form.

    Raises:
        NameProblem: if it is none.

    Source: RFC 5280 section 4.2.1.6 (rfc822Name is a Mailbox with an ASCII local part).
    """
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local) or len(local) > MAX_EMAIL_LOCAL_LENGTH:
        raise NameProblem("an e-mail address looks like name@example.com")
    if "*" in domain:
        raise NameProblem("an e-mail address has no wildcard")
    return f"{local}@{check_host(domain)}"


def check_host_or_email(text: str) -> str:
    """Return a host name or e-mail address in the form that goes into a certificate.

    Raises:
        NameProblem: if it is neither.
    """
    return check_email(text) if "@" in text else check_host(text)


def looks_like_name(text: str) -> bool:
    """Return whether a common name is a host name or e-mail address that belongs in the SANs too.

    A single international word (a person's or a company's name) is not taken for a host.
    """
    if "." not in text and not text.isascii():
        return False
    try:
        check_host_or_email(text)
    except NameProblem:
        return False
    return True


def check_address(text: str) -> str:
    """Return an IP address in its shortest form.

    Raises:
        NameProblem: if it is none.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise NameProblem("an IP address looks like 192.0.2.1 or 2001:db8::1") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise NameProblem("an IP address in a certificate has no zone (%...)")
    return str(address)


def check_uri(text: str) -> str:
    """Return a URI with a scheme.

    Raises:
        NameProblem: if it is none.

    Source: RFC 5280 section 4.2.1.6 (not relative; a host where there is an authority), RFC 3986.
    """
    if len(text) > MAX_URI_LENGTH:
        raise NameProblem(f"a URI has at most {MAX_URI_LENGTH} characters")
    if not text.isascii() or not _URI.fullmatch(text):
        raise NameProblem("a URI has a scheme and ASCII characters only, such as https://www.example.com/ or urn:x:y")
    rest = text.partition(":")[2]
    if rest.startswith("//") and rest[2:3] in {"", "/", "?", "#", ":"}:
        raise NameProblem("there is no host behind its //")
    return text


def check_oid(text: str) -> str:
    """Return a dotted object identifier.

    Raises:
        NameProblem: if it is none.

    Source: ITU-T X.660 (the second number is below 40 under the roots 0 and 1).
    """
    if _OID.fullmatch(text):
        root, second = text.split(".")[:2]
        if root == "2" or int(second) < _MAX_FIRST_ARCS:
            return text
    raise NameProblem("an object identifier is numbers with dots, such as 1.3.6.1.4.1.311.20.2.3")
