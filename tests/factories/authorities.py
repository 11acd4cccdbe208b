"""Authorities of our own and what they issue, made the way the product makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.pki.authority import parse_authority
from strongroom.pki.authority_drafts import build_ca_csr, draft_child, draft_root
from strongroom.pki.draft import Draft, Issuer, new_serial, sign_draft, signature_hash
from strongroom.pki.issuing import Issuing
from strongroom.pki.leaf import draft_leaf, parse_leaf_request
from strongroom.pki.profile import Profile
from strongroom.pki.signing_options import parse_signing_options, signing_defaults
from tests.factories.certificates import Key, Made, ec_key, rsa_key

NOW = datetime(2027, 1, 15, 12, 0, 0, 5000, tzinfo=UTC)
FAR = timedelta(hours=876_000)


def key_of(kind: str) -> Key:
    """Return a key: ``rsa``, ``ec256``, ``ec384``, ``ec521`` or ``ed25519``."""
    match kind:
        case "rsa":
            return rsa_key()
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ec384":
            return ec_key(ec.SECP384R1())
        case "ec521":
            return ec_key(ec.SECP521R1())
        case _:
            return ec_key()


def sign(draft: Draft, issuer: Made | None, key: Key) -> Made:
    """Sign a draft with the issuer's key, or with its own."""
    signer = Issuer(subject=issuer.certificate.subject, key=issuer.key) if issuer else None
    certificate = sign_draft(draft, signer or Issuer(subject=draft.subject, key=key), new_serial())
    return Made(certificate=certificate, key=key)


def make_root(*, key: Key | None = None, now: datetime = NOW, **members: Any) -> Made:
    """Make a root from members of its create body."""
    values = {"common_name": "Example Root CA", "max_ttl": "87600h", **members}
    _, spec = parse_authority(values, root=True)
    key = key or ec_key()
    return sign(draft_root(spec, key.public_key(), now), None, key)


def make_request(key: Key, **members: Any) -> tuple[dict[str, Any], x509.CertificateSigningRequest]:
    """Make the request of an intermediate; return its document too."""
    values = {"common_name": "Example Issuing CA", "max_ttl": "26280h", "signing_method": "external", **members}
    document, spec = parse_authority(values, root=False)
    return document, x509.load_der_x509_csr(build_ca_csr(spec, key))


def make_intermediate(
    parent: Made,
    *,
    key: Key | None = None,
    members: Mapping[str, Any] | None = None,
    now: datetime = NOW,
    **options: Any,
) -> Made:
    """Make an intermediate under a parent, signed by an action with these options."""
    key = key or ec_key()
    document, csr = make_request(key, **(members or {}))
    chosen = parse_signing_options(options, defaults=signing_defaults(document))
    return sign(draft_child(csr, chosen, issuing(parent), now), parent, key)


def issuing(made: Made, **facts: Any) -> Issuing:
    """Return the facts that a draft takes from an authority."""
    return Issuing(certificate=made.certificate, **{"max_ttl": FAR, **facts})


def make_private_leaf(
    issuer: Made,
    *,
    key: Key | None = None,
    profile: Profile | None = None,
    now: datetime = NOW,
    **members: Any,
) -> Made:
    """Make a leaf from members of its create body."""
    key = key or ec_key()
    request = parse_leaf_request({"common_name": "www.example.com", "ttl": "720h", **members})
    return sign(draft_leaf(request, profile or Profile(), issuing(issuer), key.public_key(), now), issuer, key)


def to_csr(
    key: Key,
    subject: x509.Name | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.CertificateSigningRequest:
    """Make somebody else's request, whatever it asks for."""
    builder = x509.CertificateSigningRequestBuilder(subject or x509.Name([]))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(key, signature_hash(key))


def to_csr_pem(csr: x509.CertificateSigningRequest) -> str:
    return csr.public_bytes(Encoding.PEM).decode()
