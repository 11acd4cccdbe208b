"""Certificates and signing requests of authorities, drafted.

Source: contract of the compatible API, domain sections 5.2 and 5.3; RFC 5280 section 4.2 for the extensions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki import usages
from strongroom.pki.authority import UNLIMITED, AuthoritySpec, CaNames
from strongroom.pki.draft import CertifiedKey, Draft, SigningKey, signature_hash
from strongroom.pki.extensions import (
    Extensions,
    build_key_ids,
    build_key_usage,
    build_name_constraints,
    build_san,
    extension,
)
from strongroom.pki.issuing import Issuing, backdated, issuer_extensions, remaining_life
from strongroom.pki.members import shorten
from strongroom.pki.san import build_alt_names
from strongroom.pki.signing_options import SigningOptions
from strongroom.pki.signing_request import (
    certified_key,
    request_alt_names,
    request_common_name,
    request_extensions,
    request_subject,
)
from strongroom.pki.subject import build_subject

BACKDATE: Final = timedelta(seconds=30)
"""Clients with slow clocks accept a certificate from its first moment."""
CA_USAGES: Final = ("CertSign", "CRLSign")

# What a request may add to a CA certificate besides its names: all of it limits what the CA can do, or says how it
# works. Everything else (above all basic constraints, key identifiers and addresses) is the signer's to say.
_COPIED: Final = (
    (x509.ExtendedKeyUsage, False),
    (x509.CertificatePolicies, False),
    (x509.PolicyConstraints, True),
    (x509.InhibitAnyPolicy, True),
    (x509.NameConstraints, True),
)


def draft_root(spec: AuthoritySpec, public_key: CertifiedKey, now: datetime) -> Draft:
    """Draft the self-signed certificate of a root; sign it with an `Issuer` of its own subject and key."""
    now = now.replace(microsecond=0)
    return Draft(
        subject=_build_ca_subject(spec.names),
        public_key=public_key,
        not_before=now - BACKDATE,
        not_after=now + spec.ttl,
        extensions=(
            *_ca_extensions(spec.max_path_length, CA_USAGES),
            *build_name_constraints(spec.permitted_dns_domains),
            *_build_ca_san(spec.names),
            *build_key_ids(public_key, None),
        ),
    )


def build_ca_csr(spec: AuthoritySpec, key: SigningKey) -> bytes:
    """Build and sign the request of an intermediate; return it as DER.

    It asks for what a CA needs, for signers that copy extensions. How many CAs may stand below it is the signer's to
    say.
    """
    builder = x509.CertificateSigningRequestBuilder(_build_ca_subject(spec.names))
    for found in (*_ca_extensions(UNLIMITED, CA_USAGES), *_build_ca_san(spec.names)):
        builder = builder.add_extension(found.value, critical=found.critical)
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.DER)


def build_renewed_csr(certificate: x509.Certificate, key: SigningKey) -> bytes:
    """Build and sign a request for another certificate like one that an intermediate has; return it as DER.

    Whoever signed may have overridden what the intermediate asked for at first. What the certificate says counts.
    """
    builder = x509.CertificateSigningRequestBuilder(certificate.subject)
    kept = (x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName, *(kind for kind, _ in _COPIED))
    for found in certificate.extensions:
        if isinstance(found.value, kept):
            builder = builder.add_extension(found.value, critical=found.critical)
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.DER)


def draft_child(csr: x509.CertificateSigningRequest, options: SigningOptions, issuing: Issuing, now: datetime) -> Draft:
    """Draft the certificate of an intermediate from its request.

    It lives as long as asked, but never beyond its signer's own end and ``max_ttl``.

    Args:
        csr: its request, the signature checked.
        options: what the action asks for.
        issuing: who will sign.
        now: instant from which its life counts.

    Raises:
        Invalid: ``state_forbids`` if the signer may not sign CAs or has expired, ``missing_field`` if the CA would
            have no name, ``invalid_field`` for a request that cannot be certified.
    """
    now = now.replace(microsecond=0)
    path_length = child_path_length(issuing.certificate, options.max_path_length)
    life = min(options.ttl or issuing.max_ttl, issuing.max_ttl, remaining_life(issuing, now))
    public_key = certified_key(csr, field="csr", allow_p224=options.allow_p224)
    if options.use_csr_values:
        subject = request_subject(csr, field="csr")
        _refuse_controls(subject)
        described = _copy_extensions(csr, options, path_length)
    else:
        ca_names = options.names
        if not ca_names.common_name:
            ca_names = _with_common_name(ca_names, request_common_name(csr, field="csr"))
        subject = _build_ca_subject(ca_names)
        described = [
            *_ca_extensions(path_length, CA_USAGES),
            *build_name_constraints(options.permitted_dns_domains),
            *_build_ca_san(ca_names),
        ]
    _require_name(subject)
    return Draft(
        subject=subject,
        public_key=public_key,
        not_before=backdated(issuing, now, BACKDATE),
        not_after=now + life,
        extensions=(*described, *issuer_extensions(issuing, public_key)),
    )


def child_path_length(signer: x509.Certificate, asked: int) -> int:
    """Return how many CAs may stand below a child: one less than below its signer, else what was asked.

    Raises:
        Invalid: ``state_forbids`` if none may stand below the signer.
    """
    try:
        limit = signer.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:
        limit = None
    if limit is None:
        return asked
    if limit == 0:
        raise Invalid(
            ErrorCode.STATE_FORBIDS,
            "The path length of the signing CA is 0: it signs leaf certificates only, and no other CA.",
            hint="Sign with a CA above it, or make one with max_path_length 1 or more.",
        )
    return limit - 1


def _ca_extensions(path_length: int, key_usages: tuple[str, ...]) -> Extensions:
    limit = None if path_length == UNLIMITED else path_length
    return [
        extension(x509.BasicConstraints(ca=True, path_length=limit), critical=True),
        *build_key_usage(key_usages),
    ]


def _build_ca_subject(ca_names: CaNames) -> x509.Name:
    return build_subject(ca_names.subject, ca_names.common_name, serial_number=ca_names.serial_number)


def _build_ca_san(ca_names: CaNames) -> Extensions:
    return build_san(build_alt_names(ca_names.all_alt_names), has_subject=True)


def _with_common_name(ca_names: CaNames, common_name: str) -> CaNames:
    return CaNames(
        common_name=common_name,
        subject=ca_names.subject,
        serial_number=ca_names.serial_number,
        alt_names=ca_names.alt_names,
        exclude_cn_from_sans=ca_names.exclude_cn_from_sans,
    )


def _require_name(subject: x509.Name) -> None:
    # RFC 5280 section 4.1.2.6: the subject of a CA is not empty.
    if not list(subject):
        raise Invalid(
            ErrorCode.MISSING_FIELD,
            "common_name is required: neither the action nor the signing request names the certificate authority.",
            field="common_name",
        )


def _refuse_controls(subject: x509.Name) -> None:
    # What is copied is not read by anybody before it is signed. A NUL ends a name for some programs, not for others.
    for attribute in subject:
        if isinstance(attribute.value, str) and not attribute.value.isprintable():
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"csr has `{shorten(attribute.value)}` in its subject; control characters are not allowed there.",
                field="csr",
            )


def _refuse_malformed(alt_names: Iterable[x509.GeneralName]) -> None:
    # RFC 5280 section 4.2.1.6: these are IA5 strings, and an address is that of one host.
    for name in alt_names:
        text = str(name.value)
        is_text = isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier)
        if (is_text and not text.isascii()) or (isinstance(name, x509.IPAddress) and "/" in text):
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"csr asks for the alternative name `{shorten(text)}`; names are in their ASCII form (xn--...), and "
                "addresses are no networks.",
                field="csr",
            )


def _copy_extensions(csr: x509.CertificateSigningRequest, options: SigningOptions, path_length: int) -> Extensions:
    asked = request_extensions(csr, field="csr")
    built = _ca_extensions(path_length, _key_usages(asked))
    constraints = build_name_constraints(options.permitted_dns_domains)
    for kind, critical in _COPIED:
        if constraints and kind is x509.NameConstraints:
            continue
        try:
            found = asked.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            continue
        if isinstance(found, x509.ExtendedKeyUsage):
            _refuse_ocsp_signing(found)
        built.append(extension(found, critical=critical))
    alt_names = request_alt_names(csr, field="csr")
    _refuse_malformed(alt_names)
    return [*built, *constraints, *build_san(alt_names, has_subject=True)]


def _key_usages(asked: x509.Extensions) -> tuple[str, ...]:
    try:
        usage = asked.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return CA_USAGES
    agreement = usage.key_agreement
    more = [
        name
        for name, keyword in usages.KEY_USAGES.items()
        # Without keyAgreement those two cannot even be asked for.
        if (agreement or keyword not in {"encipher_only", "decipher_only"}) and getattr(usage, keyword)
    ]
    return tuple(dict.fromkeys((*CA_USAGES, *more)))


def _refuse_ocsp_signing(found: x509.ExtendedKeyUsage) -> None:
    # RFC 6960 section 4.2.2.2: whoever has it from a CA may answer for all certificates of that CA.
    if ExtendedKeyUsageOID.OCSP_SIGNING in found:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            "csr asks for the extended key usage OCSPSigning, with which the new CA could declare its signer's "
            "certificates valid or revoked.",
            field="csr",
        )
