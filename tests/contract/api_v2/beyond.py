"""Where the models go beyond the contract, or ask for less; anything else that differs is a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ADDRESSES: Final = frozenset({"ocsp_urls_encoded"})
_VERSION: Final = frozenset({"lint", "state", "revocation_time_seconds", "revocation_time_rfc3339"})
_TEMPLATE: Final = frozenset({"lint_level"})
_WILDCARDS: Final = frozenset({"allow_wildcard_certificates"})
_FALLBACK: Final = frozenset({"ca_fallback"})
_LETS_ENCRYPT: Final = "PublicCertificateConfigurationCALetsEncrypt"
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
    **{f"{_LETS_ENCRYPT}{suffix}": _FALLBACK for suffix in ("", "Metadata", "Patch", "Prototype")},
    "PrivateCertificateVersionMetadata": _VERSION,
}
EXTRA_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "key_type": frozenset({"ed25519"}),
    "private_key_type": frozenset({"ed25519"}),
}
_PUBLIC: Final = "PublicCertificateConfiguration"
_TEST: Final = f"{_PUBLIC}ActionTest"
EXTRA_VARIANTS: Final = frozenset(
    {
        "PrivateCertificateCryptoProviderPKCS11",
        "SecretRestoreFromVersionPrototype",
        _TEST,
        f"{_TEST}Prototype",
        *(
            f"{_PUBLIC}{kind}{suffix}"
            for kind in (
                "CAAcme",
                "DNSAkamai",
                "DNSCloudflare",
                "DNSExec",
                "DNSLexicon",
                "DNSPowerDns",
                "DNSRfc2136",
                "DNSRoute53",
            )
            for suffix in ("", "Metadata", "Patch", "Prototype")
        ),
    }
)
"""Keys in any PKCS#11 token; restoring, which the contract knows for one type only; more CAs and DNS providers."""
EXTRA_HEADERS: Final = frozenset({"X-Strongroom-Extensions"})
"""Asks for what the contract's clients do not know."""
OPTIONAL_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    # A template with ``require_cn`` off waives it.
    "PrivateCertificatePrototype": frozenset({"common_name"}),
    # Without a key the account is made here.
    f"{_LETS_ENCRYPT}Prototype": frozenset({"lets_encrypt_private_key"}),
}
"""What the contract's clients always send and our server can do without."""
