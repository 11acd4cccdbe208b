"""The wrapper that certificates, revocation lists and OCSP answers share: what is signed, how, and the signature.

`cryptography` writes it around everything that it builds itself. This is for what we write ourselves. Keys are asked
for a signature the way its builders ask, so keys that live in a token work too.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from strongroom.pki import der
from strongroom.pki.draft import SigningKey, signature_hash

# RFC 4055 section 5: the parameters of RSA are NULL, and not left out.
_RSA: Final = {"sha256": bytes.fromhex("300d06092a864886f70d01010b0500")}
# RFC 5758 section 3.2: ECDSA has no parameters.
_ECDSA: Final = {
    "sha256": bytes.fromhex("300a06082a8648ce3d040302"),
    "sha384": bytes.fromhex("300a06082a8648ce3d040303"),
    "sha512": bytes.fromhex("300a06082a8648ce3d040304"),
}
# RFC 8410 section 3: neither has Ed25519.
_ED25519: Final = bytes.fromhex("300506032b6570")


def signature_algorithm(key: SigningKey) -> bytes:
    """Return the AlgorithmIdentifier of the signatures that `sign_der` makes with a key."""
    digest = signature_hash(key)
    if digest is None:
        return _ED25519
    return (_RSA if isinstance(key, rsa.RSAPrivateKey) else _ECDSA)[digest.name]


def sign_der(to_be_signed: bytes, key: SigningKey, *, behind: bytes = b"") -> bytes:
    """Return the SEQUENCE of an element, the algorithm and the signature over the element.

    Args:
        to_be_signed: one whole element.
        key: signs it.
        behind: elements that follow the signature, unsigned.
    """
    signature = _sign(to_be_signed, key)
    return der.encode_sequence(to_be_signed, signature_algorithm(key), der.encode_bit_string(signature), behind)


def _sign(data: bytes, key: SigningKey) -> bytes:
    digest = signature_hash(key) or hashes.SHA256()
    match key:
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePrivateKey():
            return key.sign(data, ec.ECDSA(digest))
        case _:
            return key.sign(data)
