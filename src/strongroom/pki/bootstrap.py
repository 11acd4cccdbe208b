"""The authority that makes the server's own certificate, so that the first start needs nobody else."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki import names as name_rules
from strongroom.pki.keys import IssuedKey, KeySpec, generate_private_key

CA_LIFE: Final = timedelta(days=3650)
BACKDATE: Final = timedelta(minutes=5)
"""Clients with slow clocks accept a certificate from its first minute."""

_MAX_COMMON_NAME: Final = 64


def make_bootstrap_ca(common_name: str, now: datetime) -> tuple[IssuedKey, x509.Certificate]:
    """Make a self-signed authority for ten years that signs leaf certificates only.

    Args:
        common_name: 1 to 64 characters.
        now: start of its life, moved back five minutes.
    """
    key = generate_private_key(KeySpec(kind="ec", bits=256))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    public = key.public_key()
    builder = _start(name, public, now, now + CA_LIFE).issuer_name(name)
    usage = _key_usage(digital_signature=False, signs_certificates=True)
    for extension in (x509.BasicConstraints(ca=True, path_length=0), usage):
        builder = builder.add_extension(extension, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return key, builder.sign(key, hashes.SHA256())


def issue_server_certificate(
    ca_cert: x509.Certificate,
    ca_key: IssuedKey,
    key: IssuedKey,
    names: Sequence[str],
    now: datetime,
    life: timedelta,
) -> x509.Certificate:
    """Issue a TLS server certificate.

    Args:
        ca_cert: the bootstrap authority.
        ca_key: its key, EC.
        key: the server's key.
        names: host names and IP addresses, the first one becomes the common name.
        now: start of its life, moved back five minutes.
        life: at most until the authority's own end.

    Raises:
        Invalid: ``invalid_field`` if there is no name, or one is neither host name nor address.
    """
    alt_names = [_read_name(name) for name in names]
    if not alt_names:
        raise Invalid(ErrorCode.INVALID_FIELD, "A server certificate needs at least one name.", field="names")
    common = names[0] if len(names[0]) <= _MAX_COMMON_NAME else None
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    end = min(now + life, ca_cert.not_valid_after_utc)
    builder = _start(subject, key.public_key(), now, end).issuer_name(ca_cert.subject)
    # RSA key exchange is gone from TLS 1.3; signing is all that a server key does.
    usage = _key_usage(digital_signature=True, signs_certificates=False)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(alt_names), common is None),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(ca_key, hashes.SHA256())


def _start(
    subject: x509.Name, public_key: CertificatePublicKeyTypes, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
    )


def _key_usage(*, digital_signature: bool, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _read_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name_rules.check_host(name))
    except name_rules.NameProblem as problem:
        raise Invalid(
            ErrorCode.INVALID_FIELD, f"The server name `{name}` cannot be used: {problem}.", field="names"
        ) from None
