"""What is read from the signing requests of others, once `load_csr` has checked their signature.

Nothing here decides what is allowed; it only keeps out what could not be judged or shown.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.draft import CertifiedKey
from strongroom.pki.keys import EC_CURVES, RSA_SIZES, STRONG_RSA_BITS
from strongroom.pki.load import load_csr
from strongroom.pki.members import shorten
from strongroom.pki.subject import MAX_COMMON_NAME, find_common_name

MAX_REQUEST_CHARACTERS: Final = 4096
_MAX_EXPONENT_BITS: Final = 256
"""Source: CA/Browser Forum Baseline Requirements 6.1.6."""
_DISABLED_CURVE: Final = 224


def load_signing_request(pem: str, *, field: str, allow_p224: bool) -> x509.CertificateSigningRequest:
    """Load a request whose key may be certified.

    Raises:
        Invalid: what `load_csr` and `certified_key` raise, ``invalid_field`` if it is too long.
    """
    if len(pem) > MAX_REQUEST_CHARACTERS:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{field} has {len(pem)} characters; at most {MAX_REQUEST_CHARACTERS} are allowed.",
            field=field,
        )
    request = load_csr(pem, field=field)
    certified_key(request, field=field, allow_p224=allow_p224)
    return request


def certified_key(request: x509.CertificateSigningRequest, *, field: str, allow_p224: bool) -> CertifiedKey:
    """Return the key of a request.

    Raises:
        Invalid: ``key_too_weak`` for RSA below 2048 bits, ``invalid_field`` for keys of other kinds than we make.
    """
    try:
        key = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable(field, "a key of an unknown kind") from None
    match key:
        case rsa.RSAPublicKey() if key.key_size < STRONG_RSA_BITS:
            raise Invalid(
                ErrorCode.KEY_TOO_WEAK,
                f"{field} is for an RSA key of {key.key_size} bits; at least {STRONG_RSA_BITS} bits are required.",
                field=field,
            )
        case rsa.RSAPublicKey() if key.key_size > max(RSA_SIZES):
            raise _unusable(field, f"an RSA key of {key.key_size} bits")
        case rsa.RSAPublicKey() if key.public_numbers().e.bit_length() > _MAX_EXPONENT_BITS:
            raise _unusable(field, "an RSA key with a needlessly long exponent")
        case ec.EllipticCurvePublicKey() if not _is_known_curve(key.curve, allow_p224=allow_p224):
            raise _unusable(field, f"an EC key on the curve {key.curve.name}")
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey():
            return key
        case _:
            raise _unusable(field, "a key of another kind")


def _is_known_curve(curve: ec.EllipticCurve, *, allow_p224: bool) -> bool:
    return any(isinstance(curve, known) for size, known in EC_CURVES.items() if allow_p224 or size != _DISABLED_CURVE)


def _unusable(field: str, what: str) -> Invalid:
    return Invalid(
        ErrorCode.INVALID_FIELD,
        f"{field} is for {what}; use RSA with {STRONG_RSA_BITS} to {max(RSA_SIZES)} bits, EC with 256, 384 or 521 "
        "bits, or Ed25519.",
        field=field,
    )


def request_common_name(request: x509.CertificateSigningRequest, *, field: str) -> str:
    """Return the most specific common name of a request, or an empty text.

    Raises:
        Invalid: ``invalid_field`` if it is too long or cannot be shown.
    """
    text = find_common_name(request_subject(request, field=field))
    if len(text) > MAX_COMMON_NAME or not text.isprintable():
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{field} has the common name `{shorten(text)}`; at most {MAX_COMMON_NAME} characters without control "
            "characters are allowed.",
            field=field,
        )
    return text


def request_subject(request: x509.CertificateSigningRequest, *, field: str) -> x509.Name:
    """Return the subject of a request.

    Raises:
        Invalid: ``invalid_field`` if it cannot be read.
    """
    try:
        return request.subject
    except (ValueError, TypeError):
        raise Invalid(ErrorCode.INVALID_FIELD, f"{field} has a subject that cannot be read.", field=field) from None


def request_extensions(request: x509.CertificateSigningRequest, *, field: str) -> x509.Extensions:
    """Return the extensions that a request asks for.

    Raises:
        Invalid: ``invalid_field`` if one of them cannot be read or is there twice.
    """
    try:
        return request.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{field} asks for extensions that cannot be read.",
            field=field,
            hint="`openssl req -in request.pem -noout -text` shows them.",
        ) from None


def request_alt_names(request: x509.CertificateSigningRequest, *, field: str) -> list[x509.GeneralName]:
    """Return the subject alternative names that a request asks for, as they stand there.

    Raises:
        Invalid: ``invalid_field`` if they cannot be read, or one is empty or has spaces or control characters.
    """
    try:
        found = list(
            request_extensions(request, field=field).get_extension_for_class(x509.SubjectAlternativeName).value
        )
    except x509.ExtensionNotFound:
        return []
    for name in found:
        if isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier):
            _check_text(name.value, field)
    return found


def _check_text(text: str, field: str) -> None:
    if not text or not text.isprintable() or " " in text:
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            f"{field} asks for the name `{shorten(text)}`; names are not empty and have neither spaces nor control "
            "characters.",
            field=field,
        )
