"""Quick builders of keys and certificates: EC keys made on the spot, RSA keys from ``tests/assets/pki``."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from strongroom.kernel.clock import SystemClock

ASSETS = Path(__file__).parent.parent / "assets" / "pki"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return to_pem(self.certificate)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> str:
        """PKCS#8, whatever the kind of key."""
        return key_to_pem(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Leaf, intermediate and root that belong together."""

    leaf: Made
    intermediate: Made
    root: Made


@functools.cache
def rsa_key(bits: int = 2048, *, other: bool = False) -> rsa.RSAPrivateKey:
    """Return a kept RSA key: 512, 1024, 2048 (two of them), 3072, 4096 or 8192 bits."""
    path = ASSETS / f"rsa-{bits}{'-other' if other else ''}.pem"
    key = load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def to_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def key_to_pem(key: Key, layout: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, layout, NoEncryption()).decode()


def key_to_der(key: Key, layout: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.DER, layout, NoEncryption())


def make_ca(
    common_name: str = "Example Root",
    *,
    issuer: Made | None = None,
    key: Key | None = None,
    days: float = 3650,
    now: datetime | None = None,
    age: timedelta = timedelta(hours=1),
) -> Made:
    """Make a CA certificate, self-signed unless ``issuer`` is given."""
    key = key or ec_key()
    return _make(
        _name(common_name),
        issuer,
        key,
        (now or SystemClock().now(), age, timedelta(days=days)),
        [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        ],
    )


@functools.cache
def default_ca() -> Made:
    """Return the CA that leaves get when a test does not care."""
    return make_ca("Example Trust R3")


def make_leaf(
    days: float = 30,
    *,
    key: Key | None = None,
    names: Sequence[str] = ("example.com",),
    common_name: str | None = None,
    issuer: Made | None = None,
    self_signed: bool = False,
    now: datetime | None = None,
    age: timedelta = timedelta(hours=1),
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Made:
    """Make a server certificate for ``names`` (hosts, addresses, e-mails); the first is the common name."""
    key = key or ec_key()
    subject = common_name if common_name is not None else (names[0] if names else "")
    built: list[tuple[x509.ExtensionType, bool]] = []
    if names:
        built.append((x509.SubjectAlternativeName([_general_name(name) for name in names]), False))
    return _make(
        _name(subject) if subject else x509.Name([]),
        None if self_signed else issuer or default_ca(),
        key,
        (now or SystemClock().now(), age, timedelta(days=days)),
        [*built, *extensions],
        hash_algorithm,
    )


def make_sha1_leaf(*, key: Key | None = None, now: datetime | None = None) -> Made:
    """Make a leaf that says it is signed with SHA-1; the signature itself is wrong (nobody here signs so)."""
    made = make_leaf(key=key, issuer=make_ca(key=rsa_key(), now=now), now=now)
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    return Made(certificate=x509.load_der_x509_certificate(made.der.replace(sha256, sha1)), key=made.key)


def make_chain(
    *,
    leaf_key: Key | None = None,
    names: Sequence[str] = ("example.com",),
    days: float = 30,
    now: datetime | None = None,
) -> Chain:
    """Make a leaf under an intermediate under a root."""
    root = make_ca("Example Root", now=now)
    intermediate = make_ca("Example Intermediate", issuer=root, now=now)
    leaf = make_leaf(days, key=leaf_key, names=names, issuer=intermediate, now=now)
    return Chain(leaf=leaf, intermediate=intermediate, root=root)


def make_csr(key: Key | None = None, *, common_name: str = "example.com") -> str:
    """Make a signing request in PEM."""
    key = key or ec_key()
    builder = x509.CertificateSigningRequestBuilder(_name(common_name))
    return builder.sign(key, _hash(key, None)).public_bytes(Encoding.PEM).decode()


def sign_csr(pem: str, *, issuer: Made | None = None, days: float = 30, now: datetime | None = None) -> Made:
    """Sign a request as an outside authority would; the result's key is the issuer's, which nobody uses."""
    request = x509.load_pem_x509_csr(pem.encode())
    issuer = issuer or default_ca()
    moment = now or SystemClock().now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(hours=1))
        .not_valid_after(moment + timedelta(days=days))
    )
    for extension in request.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return Made(certificate=builder.sign(issuer.key, _hash(issuer.key, None)), key=issuer.key)


def _make(
    subject: x509.Name,
    issuer: Made | None,
    key: Key,
    life: tuple[datetime, timedelta, timedelta],
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
) -> Made:
    now, age, length = life
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age)
        .not_valid_after(now + length)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Made(certificate=builder.sign(signer, _hash(signer, hash_algorithm)), key=key)


def _hash(key: Key, chosen: hashes.SHA256 | hashes.SHA384 | None) -> hashes.SHA256 | hashes.SHA384 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else chosen or hashes.SHA256()


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Trust"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
