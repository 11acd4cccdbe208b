"""Signing a certificate for looks: with a key that nobody trusts, before the real key signs.

What a linter reads is the whole certificate, signature algorithm included. One that the authority's own key had signed
would be a certificate already, mistakes and all.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from strongroom.pki.draft import Draft, Issuer, SigningKey, new_serial, sign_draft
from strongroom.pki.keys import KeySpec, generate_private_key

_RSA_BITS: Final = 2048
"""For authorities of any RSA size: the algorithm is the same, and 8192 bits take seconds to make."""


def rehearse(draft: Draft, issuer: Issuer) -> x509.Certificate:
    """Return what the issuer would sign, signed by a throw-away key of the same kind.

    Name, key identifiers and all extensions are the real ones; the serial number is as random as the real one will be.
    """
    return sign_draft(draft, Issuer(subject=issuer.subject, key=_throw_away_key(_kind_of(issuer.key))), new_serial())


def _kind_of(key: SigningKey) -> KeySpec:
    match key:
        case ed25519.Ed25519PrivateKey():
            return KeySpec(kind="ed25519", bits=0)
        case ec.EllipticCurvePrivateKey():
            return KeySpec(kind="ec", bits=key.curve.key_size)
        case _:
            return KeySpec(kind="rsa", bits=_RSA_BITS)


@cache
def _throw_away_key(spec: KeySpec) -> SigningKey:
    # One for the whole process does: what it signs is read by the linter and then forgotten.
    return generate_private_key(spec)
