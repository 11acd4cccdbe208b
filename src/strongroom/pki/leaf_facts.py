"""What a certificate says that was signed here a moment ago.

`strongroom.pki.inspect` takes certificates of others apart byte by byte. Of our own everything is known from its draft.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography import x509

from strongroom.kernel.value import value
from strongroom.pki import raw
from strongroom.pki.draft import Draft
from strongroom.pki.inspect import format_number, inspect_certificate, name_public_key, name_signature
from strongroom.pki.subject import find_common_name

_ISSUERS_KEPT: Final = 256


@value
class LeafFacts:
    """Members as those of `strongroom.pki.inspect.CertificateFacts`."""

    common_name: str
    alt_names: tuple[str, ...]
    issuer: str
    serial_number: str
    signing_algorithm: str
    key_algorithm: str


def facts_of_leaf(draft: Draft, certificate: x509.Certificate, issuer: x509.Certificate) -> LeafFacts:
    """Return what a certificate says.

    Args:
        draft: what was signed.
        certificate: what came of it.
        issuer: the certificate of who signed it.
    """
    return LeafFacts(
        common_name=raw.printable(find_common_name(draft.subject)),
        alt_names=_hosts_and_emails(draft),
        issuer=_name_of(issuer),
        serial_number=format_number(certificate.serial_number),
        signing_algorithm=name_signature(certificate),
        key_algorithm=name_public_key(draft.public_key),
    )


def _hosts_and_emails(draft: Draft) -> tuple[str, ...]:
    for item in draft.extensions:
        if isinstance(item.value, x509.SubjectAlternativeName):
            kinds = (x509.DNSName, x509.RFC822Name)
            return tuple(raw.printable(name.value) for name in item.value if isinstance(name, kinds))
    return ()


@lru_cache(maxsize=_ISSUERS_KEPT)
def _name_of(issuer: x509.Certificate) -> str:
    return inspect_certificate(issuer).subject
