"""Answers to the question whether a certificate is revoked (OCSP).

Answers are written here rather than by the builder of `cryptography`, which dates them by the machine's clock and
writes the certificate's identity anew; some clients compare it byte for byte with what they sent.

Source: RFC 6960, RFC 9654 (nonces).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.kernel.value import value
from strongroom.pki import der
from strongroom.pki.crl import encode_reason
from strongroom.pki.draft import CertifiedKey, Draft, SigningKey
from strongroom.pki.encoding import subject_of
from strongroom.pki.raw import RawCertificate, read_certificate
from strongroom.pki.signed_der import sign_der

REQUEST_MEDIA_TYPE: Final = "application/ocsp-request"
ANSWER_MEDIA_TYPE: Final = "application/ocsp-response"

MALFORMED_REQUEST: Final = bytes.fromhex("30030a0101")
TRY_LATER: Final = bytes.fromhex("30030a0103")
UNAUTHORIZED: Final = bytes.fromhex("30030a0106")
"""Unsigned answers of RFC 6960 section 4.2.1. The last one is for certificates of authorities that are not served
here, as RFC 5019 section 2.2.3 reads it."""

MAX_REQUEST_BYTES: Final = 4096
MAX_NONCE_BYTES: Final = 128
"""RFC 9654 section 2.1: no longer nonce, and no empty one, is accepted."""
SIGNER_BACK_DATING: Final = timedelta(minutes=5)
"""How far the clock of a client may be behind before it takes a new signer's certificate for one of the future."""
SIGNER_NAME: Final = "OCSP signer"

_MAX_PATH_CHARACTERS: Final = 4 * MAX_REQUEST_BYTES
"""Base64 takes four characters for three bytes, and each may be written as a percent code."""

_OCSP_BASIC: Final = bytes.fromhex("06092b0601050507300101")
_OCSP_NONCE: Final = bytes.fromhex("06092b0601050507300102")
_SUCCESSFUL: Final = bytes.fromhex("0a0100")
_SIGNER_KEY_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_GOOD: Final = bytes.fromhex("8000")
_UNKNOWN: Final = bytes.fromhex("8200")
_REVOKED: Final = 0xA1
_EXPLICIT_0, _EXPLICIT_1, _EXPLICIT_2 = 0xA0, 0xA1, 0xA2

_HASHES: Final = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    OverflowError,
    NotImplementedError,
    UnsupportedAlgorithm,
    InternalError,
    x509.DuplicateExtension,
)


class MalformedQuestion(ValueError):
    """The bytes are no request that can be answered; the client gets `MALFORMED_REQUEST`."""


@value
class IssuerHash:
    """How a request names the authority that issued a certificate.

    Attributes:
        algorithm: object identifier of the hash.
        name: hash of the authority's name.
        key: hash of its public key.
    """

    algorithm: str
    name: bytes
    key: bytes


@value
class Question:
    """A request about one certificate.

    Attributes:
        certificate_id: the request's own encoding of issuer and serial number. Answers repeat it, so an answer that
            is kept belongs to it.
        issuer: to be looked for in the `issuer_hashes` of the authorities that are served.
        serial: never negative; anything else may come.
        nonce: what the answer must repeat. An answer to a request without one may be kept.
    """

    certificate_id: bytes
    issuer: IssuerHash
    serial: int
    nonce: bytes | None = None


@value
class Revoked:
    """The certificate was revoked."""

    at: datetime
    reason: x509.ReasonFlags | None = None


Status = Literal["good", "unknown"] | Revoked


@value
class Responder:
    """Who signs answers.

    Attributes:
        certificate: of the signer; it is sent along.
        key: fits the certificate.
    """

    certificate: x509.Certificate
    key: SigningKey


def read_request(encoded: bytes) -> Question:
    """Read a request in DER, the body of a POST.

    A request about several certificates is refused. RFC 5019 section 2.1.1 allows one, and clients that ask more
    repeat the question for each.

    Raises:
        MalformedQuestion: if it is no request, is longer than `MAX_REQUEST_BYTES`, asks for several certificates or
            for something critical that is unknown here, or has a nonce of a forbidden length.
    """
    if len(encoded) > MAX_REQUEST_BYTES:
        raise MalformedQuestion(f"the request has {len(encoded)} bytes; at most {MAX_REQUEST_BYTES} are read")
    try:
        request = ocsp.load_der_ocsp_request(encoded)
        serial, extensions = request.serial_number, request.extensions
        certificate_id = _find_certificate_id(encoded)
        issuer = _read_issuer_hash(certificate_id)
    except _PARSE_ERRORS as problem:
        raise MalformedQuestion("the bytes are no OCSP request about one certificate") from problem
    if serial < 0:
        raise MalformedQuestion("the serial number is negative")
    return Question(certificate_id=certificate_id.raw, issuer=issuer, serial=serial, nonce=_find_nonce(extensions))


def read_request_path(text: str) -> Question:
    """Read a request in the address of a GET: base64 in standard alphabet, percent codes or not.

    Args:
        text: all that follows the address of the responder and a slash.

    Raises:
        MalformedQuestion: as `read_request`, and for anything that is no base64.

    Source: RFC 6960 appendix A.1.
    """
    if len(text) > _MAX_PATH_CHARACTERS:
        raise MalformedQuestion(f"the path has {len(text)} characters; at most {_MAX_PATH_CHARACTERS} are read")
    try:
        encoded = base64.b64decode(unquote(text), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise MalformedQuestion("the path is not the base64 of an OCSP request") from problem
    return read_request(encoded)


def _find_certificate_id(encoded: bytes) -> der.Element:
    # The request was parsed before, so its parts are where they should be, and it holds exactly one question.
    whole = der.read_children(der.read_only(encoded, der.SEQUENCE).content)
    questions = next(part for part in der.read_children(whole[0].content) if part.tag == der.SEQUENCE)
    (question,) = der.read_children(questions.content)
    return der.read_children(question.content)[0]


def _read_issuer_hash(certificate_id: der.Element) -> IssuerHash:
    algorithm, name, key, _serial = der.read_children(certificate_id.content)
    oid = der.read_children(algorithm.content)[0]
    return IssuerHash(algorithm=der.decode_oid(oid.content), name=name.content, key=key.content)


def _find_nonce(extensions: x509.Extensions) -> bytes | None:
    nonce = None
    for extension in extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
            if not 1 <= len(nonce) <= MAX_NONCE_BYTES:
                raise MalformedQuestion(f"the nonce has {len(nonce)} bytes; 1 to {MAX_NONCE_BYTES} are allowed")
        elif extension.critical and not isinstance(extension.value, x509.OCSPAcceptableResponses):
            raise MalformedQuestion(f"the critical extension {extension.oid.dotted_string} is not known")
    return nonce


def issuer_hashes(certificate: x509.Certificate) -> frozenset[IssuerHash]:
    """Return every way in which requests may name an authority, by its certificate.

    Source: RFC 6960 section 4.1.1 (the key is hashed without the header of its BIT STRING).
    """
    parts = read_certificate(certificate)
    key = _key_bits(parts)
    return frozenset(
        IssuerHash(algorithm=oid, name=_hash(name, parts.subject), key=_hash(name, key))
        for oid, name in _HASHES.items()
    )


def _key_bits(parts: RawCertificate) -> bytes:
    # As they stand there: a key that is written anew may become another point form.
    _algorithm, bits = der.read_children(der.read_only(parts.spki, der.SEQUENCE).content)
    return bits.content[1:]


def _hash(name: str, data: bytes) -> bytes:
    # Identifies, protects nothing: RFC 5019 section 2.1.1 has every client know SHA-1.
    return hashlib.new(name, data, usedforsecurity=False).digest()


def build_answer(
    question: Question,
    status: Status,
    *,
    responder: Responder,
    produced_at: datetime,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """Build and sign the answer to a question, as DER.

    Args:
        question: what was asked; its nonce is repeated.
        status: good, revoked, or unknown for a serial number that the authority never used.
        responder: signs, and is named by the hash of its key.
        produced_at: now.
        this_update: when the status was known to be right.
        next_update: until when clients may keep the answer.

    Raises:
        ValueError: if the answer ends before it starts, or for a reason that is none.
    """
    if next_update <= this_update:
        raise ValueError("the next update is not later than this one")
    answer = der.encode_sequence(
        question.certificate_id,
        _encode_status(status),
        der.encode_generalized_time(this_update),
        der.encode_element(_EXPLICIT_0, der.encode_generalized_time(next_update)),
    )
    name, sent_along = _introduce(responder.certificate)
    to_be_signed = der.encode_sequence(
        name, der.encode_generalized_time(produced_at), der.encode_sequence(answer), _encode_nonce(question.nonce)
    )
    signed = sign_der(to_be_signed, responder.key, behind=sent_along)
    body = der.encode_sequence(_OCSP_BASIC, der.encode_element(der.OCTET_STRING, signed))
    return der.encode_sequence(_SUCCESSFUL, der.encode_element(_EXPLICIT_0, body))


@functools.lru_cache(maxsize=256)
def _introduce(signer: x509.Certificate) -> tuple[bytes, bytes]:
    """Return the name of a signer in its answers, and its certificate as it follows their signature."""
    # A signer makes many answers, and taking its certificate apart takes longer than a signature.
    key_hash = _hash("sha1", _key_bits(read_certificate(signer)))
    return (
        der.encode_element(_EXPLICIT_2, der.encode_element(der.OCTET_STRING, key_hash)),
        der.encode_element(_EXPLICIT_0, der.encode_sequence(signer.public_bytes(Encoding.DER))),
    )


def _encode_status(status: Status) -> bytes:
    match status:
        case "good":
            return _GOOD
        case "unknown":
            return _UNKNOWN
        case Revoked(at=at, reason=reason):
            code = encode_reason(reason)
            return der.encode_element(
                _REVOKED,
                der.encode_generalized_time(at) + (der.encode_element(_EXPLICIT_0, code) if code else b""),
            )


def _encode_nonce(nonce: bytes | None) -> bytes:
    if nonce is None:
        return b""
    # The content of an extension is an OCTET STRING, and this one is itself of that type.
    content = der.encode_element(der.OCTET_STRING, der.encode_element(der.OCTET_STRING, nonce))
    return der.encode_element(_EXPLICIT_1, der.encode_sequence(der.encode_sequence(_OCSP_NONCE, content)))


def draft_ocsp_signer(
    ca_certificate: x509.Certificate, public_key: CertifiedKey, *, now: datetime, life: timedelta
) -> Draft:
    """Draft the certificate of a signer of answers, which the authority then signs with the key that it answers for.

    Its name is the authority's with another common name, so that it stays within name constraints. Nobody has to
    ask whether it is revoked itself: it is short-lived instead.

    Args:
        ca_certificate: of the authority.
        public_key: of the signer.
        now: the current instant.
        life: how long it shall last; it ends no later than the authority's certificate.

    Raises:
        Conflict: ``state_forbids`` if the authority's certificate is over or not yet valid.

    Source: RFC 6960 sections 4.2.2.2 and 4.2.2.2.1.
    """
    first, last = ca_certificate.not_valid_before_utc, ca_certificate.not_valid_after_utc
    moment = now.astimezone(UTC).replace(microsecond=0)
    if not first <= moment < last:
        raise Conflict(
            ErrorCode.STATE_FORBIDS,
            f"No signer of OCSP answers can be made at {moment:%Y-%m-%dT%H:%M:%SZ}: the CA certificate is valid from "
            f"{first:%Y-%m-%dT%H:%M:%SZ} to {last:%Y-%m-%dT%H:%M:%SZ}.",
        )
    return Draft(
        subject=_signer_name(subject_of(ca_certificate)),
        public_key=public_key,
        not_before=max(first, moment - SIGNER_BACK_DATING),
        not_after=min(last, moment + life),
        extensions=(
            _extension(_SIGNER_KEY_USAGE, critical=True),
            _extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])),
            _extension(x509.OCSPNoCheck()),
            _extension(x509.SubjectKeyIdentifier.from_public_key(public_key)),
            _extension(_authority_key_id(ca_certificate)),
        ),
    )


def _signer_name(authority: x509.Name) -> x509.Name:
    kept = [relative for relative in authority.rdns if not relative.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return x509.Name([*kept, x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, SIGNER_NAME)])])


def _authority_key_id(ca_certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    parts = read_certificate(ca_certificate)
    # Outside authorities may have left it out; RFC 5280 section 4.2.1.2 then takes the hash of the key.
    return x509.AuthorityKeyIdentifier(parts.subject_key_id or _hash("sha1", _key_bits(parts)), None, None)


def _extension(content: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(content.oid, critical, content)
