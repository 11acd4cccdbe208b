"""The kinds of names in a certificate, as far as rules for certificates in general tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from strongroom.pki.draft import Draft
from strongroom.pki.names import NameProblem, check_host

_LONG_COMMON_NAME: Final = 64
"""RFC 5280 appendix A.1 (``ub-common-name``); the compatible API takes longer ones."""


def name_kinds(draft: Draft) -> Iterator[str]:
    """Yield which kinds of names a certificate about to be signed has, as far as a linter tells them apart."""
    for attribute in draft.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield "long-cn" if len(attribute.value) > _LONG_COMMON_NAME else "cn"
    for extension in draft.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            yield from map(_kind, extension.value)


def _kind(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName(value=text):
            return f"{'wildcard' if text.startswith('*') else 'host'}{'' if _is_host(text) else '-odd'}"
        case x509.IPAddress(value=address):
            return f"ip{address.version}"
        case _:
            return type(name).__name__.lower()


def _is_host(text: str) -> bool:
    try:
        check_host(text)
    except NameProblem:
        return False
    return True
