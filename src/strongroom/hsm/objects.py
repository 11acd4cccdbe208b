"""Key objects of a token: looking them up, reading their public half, making them, signing with them.

Whoever calls holds the lock of the library.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, cast

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from strongroom.hsm.keys import TokenPublicKey, wrap_key
from strongroom.hsm.reference import KeyReference
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.secret import Secret
from strongroom.pki import der
from strongroom.pki.keys import EC_CURVES, KeySpec

_CURVES: Final[dict[bytes, ec.EllipticCurve]] = {
    encode_named_curve_parameters(curve().name): curve() for curve in EC_CURVES.values()
}
"""Curves by their parameters in DER."""
_UNCOMPRESSED: Final = 0x04
_PROBE: Final = b"the public key object must belong to the private key with its ID"


class _Signs(Protocol):
    def sign(self, data: bytes, **kwargs: Any) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A private key that may sign, with its public half.

    Attributes:
        reference: with the ID, whatever it was found by.
        asks_every_time: the token wants the PIN with each signature.
    """

    reference: KeyReference
    # Its own repr would ask the token, without the lock.
    private: _Signs = field(repr=False)
    public: TokenPublicKey
    asks_every_time: bool


def find_key(session: pkcs11.Session, wanted: KeyReference) -> FoundKey | None:
    """Return the key of a reference, or ``None``.

    Raises:
        Invalid: there is one that cannot be used, or several.
    """
    found = _find(session, ObjectClass.PRIVATE_KEY, label=wanted.label, key_id=wanted.key_id)
    if len(found) > 1:
        raise _refused(
            wanted,
            f"has {len(found)} private keys with {wanted}; they cannot be told apart.",
            hint="Name the key by an id that only one private key has.",
        )
    if not found:
        _refuse_half_a_match(session, wanted)
        return None
    return _read_key(session, found[0], wanted)


def generate_key(session: pkcs11.Session, wanted: KeyReference, spec: KeySpec) -> KeyReference:
    """Make a key pair that cannot be exported, under the label and ID of the reference; return how to find it.

    Args:
        session: one that may write.
        wanted: which label and ID; without an ID it gets a random one.
        spec: its kind.

    Raises:
        Invalid: ``invalid_field`` for a kind of key that tokens are not asked for.
    """
    key_id = wanted.key_id or uuid.uuid4().bytes
    arguments: dict[str, Any] = {
        "id": key_id,
        "label": wanted.label,
        "store": True,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    }
    if spec.kind == "rsa":
        session.generate_keypair(KeyType.RSA, spec.bits, **arguments)
    elif spec.kind == "ec" and spec.bits in EC_CURVES:
        parameters = encode_named_curve_parameters(EC_CURVES[spec.bits]().name)
        domain = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: parameters}, local=True)
        domain.generate_keypair(**arguments)
    else:
        raise Invalid(ErrorCode.INVALID_FIELD, "key_type of a key in a token must be rsa or ec.", field="key_type")
    return replace(wanted, key_id=key_id)


def sign_with(found: FoundKey, data: bytes, mechanism: Mechanism, pin: Secret[str]) -> bytes:
    """Sign bytes in the token."""
    again = {"pin": pin.reveal()} if found.asks_every_time else {}
    return found.private.sign(data, mechanism=mechanism, **again)


def prove_pair(found: FoundKey, pin: Secret[str]) -> None:
    """Sign something and verify it with the public key object.

    Raises:
        Invalid: ``invalid_field`` if the two do not belong together.
    """
    key = wrap_key(f"key with {found.reference}", found.public, _Prover(found, pin))
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(_PROBE, PKCS1v15(), hashes.SHA256())
            key.public_key().verify(signature, _PROBE, PKCS1v15(), hashes.SHA256())
        else:
            signature = key.sign(_PROBE, ec.ECDSA(hashes.SHA256()))
            key.public_key().verify(signature, _PROBE, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise _refused(
            found.reference,
            f"has a public key object of the same ID as the private key with {found.reference} that belongs to "
            "another key.",
            hint="Replace the public key object by the right one.",
        ) from None


class _Prover:
    """Signs with one found key."""

    def __init__(self, found: FoundKey, pin: Secret[str]) -> None:
        self._found = found
        self._pin = pin

    def sign_pkcs1(self, digest_info: bytes) -> bytes:
        return sign_with(self._found, digest_info, Mechanism.RSA_PKCS, self._pin)

    def sign_ecdsa(self, digest: bytes) -> bytes:
        return sign_with(self._found, digest, Mechanism.ECDSA, self._pin)


def _find(
    session: pkcs11.Session,
    object_class: ObjectClass,
    *,
    label: str | None = None,
    key_id: bytes | None = None,
    key_type: KeyType | None = None,
) -> list[pkcs11.Object]:
    template: dict[Attribute, Any] = {Attribute.CLASS: object_class}
    if label is not None:
        template[Attribute.LABEL] = label
    if key_id is not None:
        template[Attribute.ID] = key_id
    if key_type is not None:
        template[Attribute.KEY_TYPE] = key_type
    return list(session.get_objects(template))


def _refuse_half_a_match(session: pkcs11.Session, wanted: KeyReference) -> None:
    """Refuse a label and an ID that belong to different keys: a second key would get one of them."""
    if wanted.label is None or wanted.key_id is None:
        return
    for label, key_id, what in (
        (wanted.label, None, f"label '{wanted.label}' but another id"),
        (None, wanted.key_id, f"id {wanted.key_id.hex()} but another label"),
    ):
        if _find(session, ObjectClass.PRIVATE_KEY, label=label, key_id=key_id):
            raise _refused(wanted, f"has a private key with {what}.", hint="Give its label or its id alone.")


def _read_key(session: pkcs11.Session, private: pkcs11.Object, wanted: KeyReference) -> FoundKey:
    key_id = bytes(private[Attribute.ID])
    if not key_id:
        raise _refused(
            wanted,
            f"has a private key with {wanted} that has no ID, so its public key object cannot be found.",
            hint="Give the private key and its public key object the same CKA_ID.",
        )
    key_type = _key_type(private)
    if key_type not in {KeyType.RSA, KeyType.EC}:
        raise _refused(wanted, f"has a key with {wanted} that is neither RSA nor EC.")
    if not private[Attribute.SIGN]:
        raise _refused(wanted, f"does not let the private key with {wanted} sign (CKA_SIGN).")
    publics = _find(session, ObjectClass.PUBLIC_KEY, key_id=key_id, key_type=key_type)
    if len(publics) != 1:
        raise _refused(
            wanted,
            f"has {len(publics) or 'no'} public key object{'s' if publics else ''} with the id {key_id.hex()} of the "
            f"private key with {wanted}; it must have one.",
            hint="Store the public key in the token under the ID of the private key.",
        )
    read = _read_rsa if key_type is KeyType.RSA else _read_ec
    try:
        public = read(publics[0])
    except (ValueError, KeyError):
        curves = ", ".join(curve.name for curve in _CURVES.values())
        raise _refused(
            wanted, f"has a public key object with id {key_id.hex()} that is no RSA key and not on {curves}."
        ) from None
    return FoundKey(
        reference=replace(wanted, key_id=key_id, allow_generate=False),
        private=cast("_Signs", private),
        public=public,
        asks_every_time=_asks_every_time(private),
    )


def _key_type(key: pkcs11.Object) -> KeyType | None:
    try:
        return KeyType(key[Attribute.KEY_TYPE])
    except ValueError:
        # A type of the vendor's own.
        return None


def _asks_every_time(private: pkcs11.Object) -> bool:
    try:
        return bool(private[Attribute.ALWAYS_AUTHENTICATE])
    except pkcs11.PKCS11Error:
        # Tokens older than PKCS#11 2.20 do not know it.
        return False


def _read_rsa(public: pkcs11.Object) -> rsa.RSAPublicKey:
    modulus = int.from_bytes(public[Attribute.MODULUS], "big")
    exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT], "big")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _read_ec(public: pkcs11.Object) -> ec.EllipticCurvePublicKey:
    curve = _CURVES[bytes(public[Attribute.EC_PARAMS])]
    point = bytes(public[Attribute.EC_POINT])
    # It should be inside an OCTET STRING; some tokens leave that out, and both begin with 04.
    if len(point) != 2 * ((curve.key_size + 7) // 8) + 1 or point[0] != _UNCOMPRESSED:
        point = der.read_only(point, der.OCTET_STRING).content
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)


def _refused(wanted: KeyReference, what: str, *, hint: str | None = None) -> Invalid:
    return Invalid(ErrorCode.INVALID_FIELD, f"The token '{wanted.token_label}' {what}", field=wanted.field, hint=hint)
