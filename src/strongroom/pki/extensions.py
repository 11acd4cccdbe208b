"""The extensions of certificates and requests, each from plain values.

Every function returns a list, empty where the extension would say nothing, so that a caller joins them.
Source: RFC 5280 section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from strongroom.pki.draft import CertifiedKey
from strongroom.pki.usages import KEY_USAGES

Extensions: TypeAlias = list[x509.Extension[x509.ExtensionType]]

_KEPT: Final = 256
"""Templates and authorities are few, certificates many: what comes from the former is built once."""


def extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[x509.ExtensionType]:
    """Return a value with its flag."""
    return x509.Extension(value.oid, critical, value)


def build_san(alt_names: Sequence[x509.GeneralName], *, has_subject: bool) -> Extensions:
    """Return the subject alternative names; critical where the subject is empty (RFC 5280 section 4.2.1.6)."""
    if not alt_names:
        return []
    return [extension(x509.SubjectAlternativeName(alt_names), critical=not has_subject)]


def build_key_usage(chosen: Iterable[str]) -> Extensions:
    """Return the key usages by the names of `KEY_USAGES`."""
    wanted = frozenset(chosen)
    return [_key_usage(wanted)] if wanted else []


@lru_cache(maxsize=_KEPT)
def _key_usage(wanted: frozenset[str]) -> x509.Extension[x509.ExtensionType]:
    usages = x509.KeyUsage(**{keyword: name in wanted for name, keyword in KEY_USAGES.items()})
    return extension(usages, critical=True)


def build_extended_key_usage(oids: Iterable[str]) -> Extensions:
    """Return the extended key usages by their object identifiers, each once."""
    unique = tuple(dict.fromkeys(oids))
    return [_extended_key_usage(unique)] if unique else []


@lru_cache(maxsize=_KEPT)
def _extended_key_usage(oids: tuple[str, ...]) -> x509.Extension[x509.ExtensionType]:
    # RFC 3161 section 2.3: clients take time stamps only from certificates that are for nothing else, critically so.
    stamps_time = oids == (ExtendedKeyUsageOID.TIME_STAMPING.dotted_string,)
    return extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in oids]), critical=stamps_time)


def build_policies(oids: Iterable[str]) -> Extensions:
    """Return the certificate policies by their object identifiers."""
    policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    return [extension(x509.CertificatePolicies(policies), critical=False)] if policies else []


def build_name_constraints(permitted_dns_domains: Sequence[str]) -> Extensions:
    """Return the constraint to DNS names of these domains and below them."""
    if not permitted_dns_domains:
        return []
    permitted = [x509.DNSName(domain) for domain in permitted_dns_domains]
    return [extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)]


def build_key_ids(public_key: CertifiedKey, issuer: x509.Certificate | None) -> Extensions:
    """Return the identifiers of the subject's and the issuer's key.

    Args:
        public_key: the key to be certified.
        issuer: who will sign; ``None`` for a self-signed certificate.

    Source: RFC 5280 sections 4.2.1.1 and 4.2.1.2, method 1.
    """
    own = x509.SubjectKeyIdentifier.from_public_key(public_key)
    above = own if issuer is None else read_key_id(issuer)
    return [
        extension(own, critical=False),
        extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False),
    ]


@lru_cache(maxsize=_KEPT)
def read_key_id(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """Return the key identifier that a CA certificate gives itself, or that of its key."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())


def build_addresses(*, crl_url: str | None, ca_url: str | None, ocsp_url: str | None) -> Extensions:
    """Return where relying parties find the revocation list, the issuer's certificate and its responder."""
    return list(_addresses(crl_url, ca_url, ocsp_url))


@lru_cache(maxsize=_KEPT)
def _addresses(
    crl_url: str | None, ca_url: str | None, ocsp_url: str | None
) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    built: Extensions = []
    if crl_url:
        point = x509.DistributionPoint(
            full_name=[x509.UniformResourceIdentifier(crl_url)], relative_name=None, reasons=None, crl_issuer=None
        )
        built.append(extension(x509.CRLDistributionPoints([point]), critical=False))
    kinds = ((AuthorityInformationAccessOID.OCSP, ocsp_url), (AuthorityInformationAccessOID.CA_ISSUERS, ca_url))
    access = [x509.AccessDescription(kind, x509.UniformResourceIdentifier(url)) for kind, url in kinds if url]
    if access:
        built.append(extension(x509.AuthorityInformationAccess(access), critical=False))
    return tuple(built)
