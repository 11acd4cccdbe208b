"""Keys of ACME accounts: made, checked, and ready to sign. Source: RFC 8555 section 6.2."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.value import value
from strongroom.pki.keys import KeySpec, generate_private_key
from strongroom.pki.load import load_private_key

if TYPE_CHECKING:
    from josepy.jwa import JWASignature
    from josepy.jwk import JWK

AccountKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

FIELD: Final = "private_key"
_NEW: Final = KeySpec(kind="ec", bits=256)
_MIN_RSA_BITS: Final = 2048
_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
"""Each curve has its own. Source: RFC 7518 section 3.4."""
_KEPT: Final = 64
_PROBE: Final = b"does this key sign what it verifies"


@value
class Signer:
    """A key that is ready to sign.

    Attributes:
        key: as josepy wants it.
        algorithm: RS256, ES256, ES384 or ES512.
        thumbprint: base64url. Source: RFC 7638.
    """

    key: JWK
    algorithm: JWASignature
    thumbprint: str


def new_account_key() -> str:
    """Make a key on the curve P-256: every CA takes it, and it signs fast. Returns PKCS#8 in PEM form."""
    key = generate_private_key(_NEW)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def check_account_key(pem: str, *, field: str = FIELD) -> str:
    """Return the key as it is to be kept: as it was given.

    Raises:
        Invalid: it is no key that can have an ACME account, is too weak, or does not sign what it verifies.
    """
    key = _load(pem, field)
    # Whether an RSA key's numbers fit together would take seconds to prove; a signature that verifies is proof enough.
    try:
        _try_out(key)
    except (InvalidSignature, InternalError, UnsupportedAlgorithm, ValueError):
        raise Invalid(
            ErrorCode.KEY_UNREADABLE,
            f"{field} holds a key that does not work: what it signs does not verify.",
            field=field,
        ) from None
    return pem


class Signers:
    """Opens keys once and keeps the last few; reading one takes longer than signing with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Signer] = OrderedDict()

    def open(self, pem: str) -> Signer:
        """Return the signer of a key.

        Raises:
            Invalid: it cannot have an ACME account.
        """
        name = hashlib.sha256(pem.encode()).digest()
        with self._lock:
            if (known := self._known.get(name)) is not None:
                self._known.move_to_end(name)
                return known
        made = _signer(_load(pem, FIELD))
        with self._lock:
            self._known[name] = made
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return made


def _signer(key: AccountKey) -> Signer:
    from josepy import b64, jwa, jwk

    if isinstance(key, rsa.RSAPrivateKey):
        own: JWK = jwk.JWKRSA(key=key)
        algorithm: JWASignature = jwa.RS256
    else:
        own = jwk.JWKEC(key=key)
        algorithm = jwa.JWASignature.SIGNATURES[_ALGORITHMS[key.curve.name]]
    return Signer(key=own, algorithm=algorithm, thumbprint=b64.b64encode(own.public_key().thumbprint()).decode())


def _load(pem: str, field: str) -> AccountKey:
    key = load_private_key(pem, field=field, validate=False)
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _MIN_RSA_BITS:
            raise Invalid(
                ErrorCode.KEY_TOO_WEAK,
                f"{field} is an RSA key of {key.key_size} bits; an ACME account needs {_MIN_RSA_BITS} to 8192.",
                field=field,
            )
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _ALGORITHMS:
        return key
    raise Invalid(
        ErrorCode.KEY_UNREADABLE,
        f"{field} is a key that no ACME account can have; RSA keys and the curves P-256, P-384 and P-521 can.",
        field=field,
    )


def _try_out(key: AccountKey) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(_PROBE, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, _PROBE, padding.PKCS1v15(), hashes.SHA256())
    else:
        ec_signature = key.sign(_PROBE, ec.ECDSA(hashes.SHA256()))
        key.public_key().verify(ec_signature, _PROBE, ec.ECDSA(hashes.SHA256()))
