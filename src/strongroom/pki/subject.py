"""Subjects: which values a certificate's holder may have, and the name that is built from them.

Source: RFC 5280 section 4.1.2.4 and the upper bounds (ub-...) of its appendix A.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from strongroom.kernel.errors import ErrorCode
from strongroom.kernel.value import value
from strongroom.pki.members import Members
from strongroom.pki.names import NameProblem

MAX_COMMON_NAME: Final = 128
MAX_SUBJECT_VALUES: Final = 10
MAX_SERIAL_NUMBER: Final = 64

SUBJECT_LIMITS: Final = {
    # Certificate authorities refuse more.
    "organization": 64,
    "ou": 64,
    "locality": 128,
    "province": 128,
    "street_address": 128,
    "postal_code": 40,
}
"""Longest value of each subject member but ``country``."""

SUBJECT_MEMBERS: Final = (*SUBJECT_LIMITS, "country")

_OIDS: Final = (
    ("country", NameOID.COUNTRY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("street_address", NameOID.STREET_ADDRESS),
    ("postal_code", NameOID.POSTAL_CODE),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("ou", NameOID.ORGANIZATIONAL_UNIT_NAME),
)
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
# X.520 serialNumber is a PrintableString.
_SERIAL_NUMBER: Final = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")


@value
class Subject:
    """The subject members, checked."""

    ou: tuple[str, ...] = ()
    organization: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    locality: tuple[str, ...] = ()
    province: tuple[str, ...] = ()
    street_address: tuple[str, ...] = ()
    postal_code: tuple[str, ...] = ()


def subject_of(source: object) -> Subject:
    """Return the subject members of something that has them, such as a template."""
    return Subject(**{name: getattr(source, name) for name in SUBJECT_MEMBERS})


def read_subject(members: Members) -> Subject:
    """Read the subject members, noting what is wrong with them."""
    return Subject(**read_subject_lists(members))


def read_subject_lists(members: Members) -> dict[str, tuple[str, ...]]:
    """Read the subject members by their names, noting what is wrong with them."""
    checks = {name: subject_check(limit) for name, limit in SUBJECT_LIMITS.items()} | {"country": _check_country}
    return {name: members.read_subject(name, check, most=MAX_SUBJECT_VALUES) for name, check in checks.items()}


def subject_view(source: object) -> dict[str, list[str]]:
    """Return the subject members of something that has them, as the API shows them."""
    return {name: list(getattr(source, name)) for name in SUBJECT_MEMBERS}


def read_common_name(members: Members, *, required: bool, remark: str = "") -> str:
    """Read ``common_name``; empty if there is none.

    Args:
        members: the request.
        required: its absence is a problem.
        remark: what follows "is required" in the message.
    """
    text = members.read_text("common_name")
    if required and not text:
        members.refuse("common_name", f"is required{remark}.", code=ErrorCode.MISSING_FIELD)
    if len(text) > MAX_COMMON_NAME:
        members.refuse("common_name", f"has {len(text)} characters; at most {MAX_COMMON_NAME} are allowed.")
    if not text.isprintable():
        members.refuse("common_name", "has control characters.")
    return text


def read_serial_number(members: Members) -> str:
    """Read ``serial_number``, the attribute of the subject; empty if there is none."""
    text = members.read_text("serial_number")
    if len(text) > MAX_SERIAL_NUMBER:
        members.refuse("serial_number", f"has {len(text)} characters; at most {MAX_SERIAL_NUMBER} are allowed.")
    if text and not _SERIAL_NUMBER.fullmatch(text):
        members.refuse("serial_number", "may have letters, digits, spaces and '()+,-./:=? only.")
    return text


def subject_check(limit: int) -> Callable[[str], str]:
    """Return a check for a subject value of at most so many characters."""

    def check(text: str) -> str:
        if not text.strip():
            raise NameProblem("it is empty")
        if not text.isprintable():
            raise NameProblem("it has control characters")
        if len(text) > limit:
            raise NameProblem(f"it has {len(text)} characters; at most {limit} are allowed")
        return text

    return check


def _check_country(text: str) -> str:
    if not _COUNTRY.fullmatch(text):
        raise NameProblem("a country is a code of two letters, such as DE or US")
    return text


def build_subject(
    subject: Subject, common_name: str, *, user_ids: Sequence[str] = (), serial_number: str = ""
) -> x509.Name:
    """Build the name: the parts from country to unit, then user ids, common name and serial number."""
    attributes = [
        # Authorities want the country code in capitals; it is shown again as it was sent.
        x509.NameAttribute(oid, text.upper() if member == "country" else text)
        for member, oid in _OIDS
        for text in getattr(subject, member)
    ]
    attributes += [x509.NameAttribute(NameOID.USER_ID, text) for text in user_ids]
    if common_name:
        attributes.append(_build_common_name(common_name))
    if serial_number:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial_number))
    return x509.Name(attributes)


def _build_common_name(text: str) -> x509.NameAttribute[str]:
    # DEVIATION: RFC 5280 stops at 64 characters, the compatible API at 128; private authorities sign the longer ones.
    # The library counts bytes besides, so that 40 characters of some scripts would be too many for it.
    return x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)


def find_common_name(name: x509.Name) -> str:
    """Return the most specific common name, or an empty text."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""
