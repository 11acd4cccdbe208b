"""Key usages by the names that the API uses: those of Go's x509 package, case-insensitive."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from strongroom.pki.names import NameProblem

KEY_USAGES: Final = {
    "DigitalSignature": "digital_signature",
    "ContentCommitment": "content_commitment",
    "KeyEncipherment": "key_encipherment",
    "DataEncipherment": "data_encipherment",
    "KeyAgreement": "key_agreement",
    "CertSign": "key_cert_sign",
    "CRLSign": "crl_sign",
    "EncipherOnly": "encipher_only",
    "DecipherOnly": "decipher_only",
}
"""Name to the keyword of `cryptography.x509.KeyUsage`."""

SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
CODE_SIGNING: Final = "1.3.6.1.5.5.7.3.3"
EMAIL_PROTECTION: Final = "1.3.6.1.5.5.7.3.4"

FLAG_USAGES: Final = (
    ("server_flag", SERVER_AUTH),
    ("client_flag", CLIENT_AUTH),
    ("code_signing_flag", CODE_SIGNING),
    ("email_protection_flag", EMAIL_PROTECTION),
)
"""Switches of the API and the extended key usages that they add."""

EXTENDED_KEY_USAGES: Final = {
    "Any": "2.5.29.37.0",
    "ServerAuth": SERVER_AUTH,
    "ClientAuth": CLIENT_AUTH,
    "CodeSigning": CODE_SIGNING,
    "EmailProtection": EMAIL_PROTECTION,
    "IPSECEndSystem": "1.3.6.1.5.5.7.3.5",
    "IPSECTunnel": "1.3.6.1.5.5.7.3.6",
    "IPSECUser": "1.3.6.1.5.5.7.3.7",
    "TimeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
    "MicrosoftServerGatedCrypto": "1.3.6.1.4.1.311.10.3.3",
    "NetscapeServerGatedCrypto": "2.16.840.1.113730.4.1",
    "MicrosoftCommercialCodeSigning": "1.3.6.1.4.1.311.2.1.22",
    "MicrosoftKernelCodeSigning": "1.3.6.1.4.1.311.61.1.1",
}
"""Name to object identifier."""

_KEY_USAGES: Final = {name.lower(): name for name in KEY_USAGES}
_EXTENDED: Final = {name.lower(): name for name in EXTENDED_KEY_USAGES}


def find_key_usage(text: str) -> str | None:
    """Return the proper spelling of a key usage, or ``None``."""
    return _KEY_USAGES.get(text.lower())


def find_extended_key_usage(text: str) -> str | None:
    """Return the proper spelling of an extended key usage, or ``None``."""
    return _EXTENDED.get(text.lower())


def purposes(flags: Iterable[str], by_name: Iterable[str], by_oid: Iterable[str]) -> list[str]:
    """Return the object identifiers of extended key usages, each once.

    Args:
        flags: identifiers that switches ask for.
        by_name: keys of `EXTENDED_KEY_USAGES`.
        by_oid: dotted identifiers.
    """
    return list(dict.fromkeys([*flags, *(EXTENDED_KEY_USAGES[name] for name in by_name), *by_oid]))


def check_key_usage(text: str) -> str:
    """Return the proper spelling of a key usage.

    Raises:
        NameProblem: if it is none.
    """
    usage = find_key_usage(text)
    if usage is None:
        raise NameProblem(f"key usages are {', '.join(KEY_USAGES)}")
    return usage


def check_extended_key_usage(text: str) -> str:
    """Return the proper spelling of an extended key usage.

    Raises:
        NameProblem: if it is none.
    """
    usage = find_extended_key_usage(text)
    if usage is None:
        raise NameProblem(f"extended key usages are {', '.join(EXTENDED_KEY_USAGES)}")
    return usage


def go_together(key_usages: Collection[str]) -> bool:
    """Return whether ``KeyAgreement`` is there beside the usages that mean nothing without it.

    Source: RFC 5280 section 4.2.1.3.
    """
    return "KeyAgreement" in key_usages or not {"EncipherOnly", "DecipherOnly"} & set(key_usages)
