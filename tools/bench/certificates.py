"""What both sides' workloads of certificates share: the request that is signed, and the look at an answer."""

from __future__ import annotations

import base64
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import ocsp

from tools.bench.wire import Answer, UnexpectedAnswerError

NAME: Final = "service.example.com"
TTL: Final = "720h"
OCSP_QUESTIONS: Final = 100
"""Different certificates that are asked about."""


@cache
def csr_pem() -> str:
    """Return a signing request for `NAME`, the same for both sides and all requests."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def require_certificate(certificate: str, issuer: str, key: str | None, *, is_rsa: bool = False) -> None:
    """Do nothing for a certificate that its issuer signed and that belongs to its key, or to the CSR without one.

    Raises:
        UnexpectedAnswerError: for any other.
    """
    leaf = x509.load_pem_x509_certificate(certificate.encode())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(issuer.encode()))
    if key is not None:
        expected = load_pem_private_key(key.encode(), None).public_key()
    else:
        expected = x509.load_pem_x509_csr(csr_pem().encode()).public_key()
    if not isinstance(expected, rsa.RSAPublicKey if is_rsa else ec.EllipticCurvePublicKey):
        raise UnexpectedAnswerError("the certificate has a key of another kind")
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != expected.public_bytes(*form):
        raise UnexpectedAnswerError("the certificate does not belong to its key")


def question(certificate: str, issuer: str) -> str:
    """Return an OCSP question about a certificate, as the end of the address of a GET."""
    leaf, signer = (x509.load_pem_x509_certificate(text.encode()) for text in (certificate, issuer))
    request = ocsp.OCSPRequestBuilder().add_certificate(leaf, signer, hashes.SHA1()).build()  # noqa: S303 (a name)
    # The letters of base64 that mean something in an address.
    encoded = base64.b64encode(request.public_bytes(Encoding.DER)).decode()
    return encoded.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")


def require_good(answer: Answer) -> None:
    """Do nothing for an OCSP answer that says good.

    Raises:
        UnexpectedAnswerError: for any other.
    """
    status = ocsp.load_der_ocsp_response(answer.body).certificate_status if answer.status == 200 else None
    if status is not ocsp.OCSPCertStatus.GOOD:
        raise UnexpectedAnswerError(f"an OCSP question was answered with {answer.status} and not with good")
