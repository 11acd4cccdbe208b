from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.der import SEQUENCE, encode_sequence, read_children, read_only
from strongroom.pki.signing_request import certified_key, load_signing_request, request_alt_names, request_subject
from tests.factories.authorities import to_csr, to_csr_pem
from tests.factories.certificates import ec_key, rsa_key


def _refused(csr: x509.CertificateSigningRequest) -> str:
    with pytest.raises(Invalid) as caught:
        certified_key(csr, field="csr", allow_p224=True)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FIELD, "csr")
    return caught.value.detail


def _builder() -> x509.CertificateSigningRequestBuilder:
    return x509.CertificateSigningRequestBuilder(x509.Name([]))


def test_a_request_is_loaded_with_its_key_checked() -> None:
    key = ec_key()
    csr = load_signing_request(to_csr_pem(to_csr(key)), field="csr", allow_p224=False)
    assert certified_key(csr, field="csr", allow_p224=False) == key.public_key()
    assert request_alt_names(csr, field="csr") == []


def test_keys_of_other_kinds_are_refused() -> None:
    assert "a key of another kind" in _refused(_builder().sign(ed448.Ed448PrivateKey.generate(), None))


def test_a_key_that_cannot_even_be_read_is_refused() -> None:
    der = to_csr(ec_key()).public_bytes(Encoding.DER)
    unknown = der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209"))
    assert "a key of an unknown kind" in _refused(x509.load_der_x509_csr(unknown))


def test_a_key_larger_than_we_make_is_refused() -> None:
    # A modulus of nine thousand bits, in a request that nobody signed.
    numbers = rsa_key(8192).public_key().public_numbers()
    large = rsa.RSAPublicNumbers(numbers.e, numbers.n << 800 | 1).public_key()
    info, *rest = read_children(read_only(to_csr(rsa_key()).public_bytes(Encoding.DER), SEQUENCE).content)
    version, subject, _, *more = read_children(info.content)
    spki = large.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    changed = encode_sequence(version.raw, subject.raw, spki, *(element.raw for element in more))
    whole = encode_sequence(changed, *(element.raw for element in rest))
    assert "an RSA key of" in _refused(x509.load_der_x509_csr(whole))


def test_a_subject_that_cannot_be_read_is_refused() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example")])
    der = to_csr(ec_key(), name).public_bytes(Encoding.DER)
    broken = der.replace(b"\x0c\x07example", b"\x0c\x07exampl\xff")
    with pytest.raises(Invalid, match="a subject that cannot be read"):
        request_subject(x509.load_der_x509_csr(broken), field="csr")
