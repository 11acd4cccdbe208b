"""Where the models go beyond the contract, or ask for less; anything else that differs is a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ADDRESSES: Final = frozenset({"ocsp_urls_encoded"})
_VERSION: Final = frozenset({"lint", "state", "revocation_time_seconds", "revocation_time_rfc3339"})
_TEMPLATE: Final = frozenset({"lint_level"})
_WILDCARDS: Final = frozenset({"allow_wildcard_certificates"})
_AUTHORITY: Final = "PrivateCertificateConfigurationRootCA"
_INTERMEDIATE: Final = "PrivateCertificateConfigurationIntermediateCA"
_TEMPLATE_MODEL: Final = "PrivateCertificateConfigurationTemplate"

EXTRA_SECRET_MEMBERS: Final = frozenset({"warnings", "rotation_status", "job"})
"""What our answers carry for every secret."""
EXTRA_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "CertificateIssuanceInfo": frozenset({"reference_code"}),
    _AUTHORITY: _ADDRESSES,
    f"{_AUTHORITY}Prototype": _ADDRESSES,
    f"{_AUTHORITY}Patch": _ADDRESSES,
    _INTERMEDIATE: _ADDRESSES,
    f"{_INTERMEDIATE}Prototype": _ADDRESSES | {"auto_sign"},
    f"{_INTERMEDIATE}Patch": _ADDRESSES,
    _TEMPLATE_MODEL: _TEMPLATE | _WILDCARDS,
    f"{_TEMPLATE_MODEL}Prototype": _TEMPLATE,
    f"{_TEMPLATE_MODEL}Patch": _TEMPLATE | _WILDCARDS,
    # The CSR stays beside the certificate; the contract's clients look for it there.
    "PrivateCertificateConfigurationCACertificate": frozenset({"csr", "private_key_type", "serial_number"}),
    "PrivateCertificateVersion": _VERSION,
    "PrivateCertificateVersionMetadata": _VERSION,
}
EXTRA_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "key_type": frozenset({"ed25519"}),
    "private_key_type": frozenset({"ed25519"}),
}
EXTRA_VARIANTS: Final = frozenset({"PrivateCertificateCryptoProviderPKCS11", "SecretRestoreFromVersionPrototype"})
"""Keys in any PKCS#11 token; restoring, which the contract knows for one type only."""
EXTRA_HEADERS: Final = frozenset({"X-Strongroom-Extensions"})
"""Asks for what the contract's clients do not know."""
OPTIONAL_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    # A template with ``require_cn`` off waives it.
    "PrivateCertificatePrototype": frozenset({"common_name"}),
}
"""What the contract's clients always send and our server can do without."""
