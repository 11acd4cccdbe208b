from __future__ import annotations

import base64
import hashlib
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, x25519
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.pki import der, raw
from strongroom.pki.inspect import format_serial, inspect_certificate
from strongroom.pki.load import load_certificates
from tests.factories.certificates import Key, ec_key, make_ca, make_leaf, make_sha1_leaf, rsa_key

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


def _odd(content: bytes, oid: str = "2.5.29.17") -> x509.Certificate:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), content)
    return make_leaf(names=(), extensions=[(extension, False)], now=NOW).certificate


def _patched(old: bytes, new: bytes) -> x509.Certificate:
    """A certificate with some bytes exchanged; its signature is wrong, which nobody looks at here."""
    made = make_leaf(common_name="patch-me", names=("example.com",), now=NOW)
    text = base64.encodebytes(made.der.replace(old, new)).decode()
    return load_certificates(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n", field="certificate")[0]


def test_facts_of_an_ordinary_certificate() -> None:
    names = ("shop.example.com", "www.shop.example.com", "admin@example.com", "192.0.2.1", "2001:db8::1")
    leaf = make_leaf(30, key=rsa_key(2048), names=names, now=NOW)
    facts = inspect_certificate(leaf.certificate)

    assert facts.common_name == "shop.example.com"
    assert facts.alt_names == ("shop.example.com", "www.shop.example.com", "admin@example.com")
    assert facts.ip_sans == ("192.0.2.1", "2001:db8::1")
    assert facts.uri_sans == ()
    assert facts.issuer == "C=US, O=Example Trust, CN=Example Trust R3"
    assert facts.subject == "C=US, O=Example Trust, CN=shop.example.com"
    assert facts.signing_algorithm == "ECDSA-SHA256"
    assert facts.key_algorithm == "RSA2048"
    assert facts.not_before == NOW - timedelta(hours=1)
    assert facts.not_after == NOW + timedelta(days=30)
    assert facts.is_ca is False
    assert facts.is_self_issued is False
    assert facts.fingerprint_sha256 == hashlib.sha256(leaf.der).hexdigest()
    assert facts.names == {*names}


def test_the_serial_number_is_what_openssl_prints() -> None:
    leaf = make_leaf(now=NOW)
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-serial"], input=leaf.pem, capture_output=True, text=True, check=True
    ).stdout
    assert inspect_certificate(leaf.certificate).serial_number.replace(":", "") == printed.strip()[7:].lower()


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"\x00", "00"), (b"\x7f", "7f"), (b"\x00\xff", "ff"), (b"\x01\x00", "01:00"), (b"\xff", "-01"), (b"\x80", "-80")],
)
def test_serial_numbers_of_every_sign(content: bytes, text: str) -> None:
    assert format_serial(content) == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rsa-sha256", "SHA256-RSA"),
        ("rsa-sha384", "SHA384-RSA"),
        ("rsa-pss", "SHA256-RSAPSS"),
        ("ec-sha384", "ECDSA-SHA384"),
        ("ed25519", "Ed25519"),
    ],
)
def test_signature_algorithms_have_the_words_of_the_contract(name: str, expected: str) -> None:
    signers: dict[str, tuple[Key, hashes.SHA256 | hashes.SHA384 | None, padding.PSS | None]] = {
        "rsa-sha256": (rsa_key(), hashes.SHA256(), None),
        "rsa-sha384": (rsa_key(), hashes.SHA384(), None),
        "rsa-pss": (rsa_key(), hashes.SHA256(), padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
        "ec-sha384": (ec_key(ec.SECP384R1()), hashes.SHA384(), None),
        "ed25519": (ed25519.Ed25519PrivateKey.generate(), None, None),
    }
    key, algorithm, rsa_padding = signers[name]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    facts = inspect_certificate(builder.sign(key, algorithm, rsa_padding=rsa_padding))
    assert facts.signing_algorithm == expected
    assert not facts.is_weakly_signed


@pytest.mark.parametrize(
    ("public_key", "expected"),
    [
        (rsa_key(1024).public_key(), "RSA1024"),
        (rsa_key(4096).public_key(), "RSA4096"),
        (ec_key(ec.SECP384R1()).public_key(), "ECDSA384"),
        (ec_key(ec.SECP521R1()).public_key(), "ECDSA521"),
        (ed25519.Ed25519PrivateKey.generate().public_key(), "Ed25519"),
        (ed448.Ed448PrivateKey.generate().public_key(), "Ed448"),
        (x25519.X25519PrivateKey.generate().public_key(), "X25519"),
        (mldsa.MLDSA65PrivateKey.generate().public_key(), "ML-DSA-65"),
        (dsa.generate_private_key(2048).public_key(), "DSA2048"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_key_algorithms_have_the_words_of_the_contract(public_key: ec.EllipticCurvePublicKey, expected: str) -> None:
    issuer = make_ca(now=NOW)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(issuer.key, hashes.SHA256())
    )
    facts = inspect_certificate(certificate)
    assert facts.key_algorithm == expected
    assert facts.subject == ""
    assert facts.common_name is None


def test_a_ca_is_seen_by_its_basic_constraints() -> None:
    facts = inspect_certificate(make_ca(now=NOW).certificate)
    assert facts.is_ca
    assert facts.is_self_issued


def test_sha1_counts_as_weak() -> None:
    facts = inspect_certificate(make_sha1_leaf(now=NOW).certificate)
    assert facts.signing_algorithm == "SHA1-RSA"
    assert facts.is_weakly_signed


def test_names_are_written_in_the_order_of_the_certificate_with_rfc_4514_escapes() -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Example, Inc. "+" <a>;\\'),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, " spaced "),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "M\u00fcnchen"),
            x509.NameAttribute(NameOID.STREET_ADDRESS, "a\u202eb\x00"),
            x509.NameAttribute(x509.ObjectIdentifier("1.2.3.4"), "x"),
        ]
    )
    encoded = name.public_bytes()
    assert raw.format_name(raw.read_name(encoded)) == (
        'O=Example\\, Inc. \\"\\+\\" \\<a\\>\\;\\\\, OU=\\ spaced\\ , L=M\u00fcnchen, '
        "STREET=a\\e2\\80\\aeb\\00, 1.2.3.4=x"
    )


def test_a_relative_name_of_several_parts_is_joined_with_plus() -> None:
    name = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.USER_ID, "b")]
            )
        ]
    )
    assert set(raw.format_name(raw.read_name(name.public_bytes())).split("+")) == {"CN=a", "UID=b"}


@pytest.mark.parametrize(
    ("tag", "content", "text"),
    [
        (0x1E, "Ex\u00e4mple".encode("utf-16-be"), "Ex\u00e4mple"),
        (0x1C, "Exa".encode("utf-32-be"), "Exa"),
        (0x14, b"Ex\xe4mple", "Ex\u00e4mple"),
        (0x0C, b"a\xffb", "a\ufffdb"),
        (0x1E, b"\xd8\x00\x41", "\ufffd"),
        (0x03, b"\x00\x01", "#03020001"),
    ],
)
def test_subject_strings_of_every_encoding_are_read(tag: int, content: bytes, text: str) -> None:
    pair = der.encode_element(0x30, b"\x06\x03\x55\x04\x03" + der.encode_element(tag, content))
    encoded = der.encode_element(0x30, der.encode_element(0x31, pair))
    ((kind, value),) = raw.read_name(encoded)[0]
    assert (kind, value[:20]) == (raw.COMMON_NAME, text)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x04\x00",
        b"\x30\x03\x82\x05a",
        b"\x30\x02\x9f\x01",
        b"\x30\x00trailing",
        b"\xff" * 9,
    ],
)
def test_a_broken_alternative_name_extension_leaves_no_names(content: bytes) -> None:
    facts = inspect_certificate(_odd(content))
    assert facts.alt_names == ()
    assert facts.common_name is None


def test_bad_encodings_in_alternative_names_are_shown_escaped() -> None:
    entries = b"".join(
        [
            der.encode_element(0x82, b"b\xc3\xbccher.example.com"),
            der.encode_element(0x82, b"evil\x00.example.com"),
            der.encode_element(0x82, b"\xff.example.com"),
            der.encode_element(0x86, b"urn:x"),
            der.encode_element(0x87, b"\x7f\x00\x00"),
            der.encode_element(0x87, b"\x7f\x00\x00\x01"),
            der.encode_element(0x88, b"\x2a\x03"),
        ]
    )
    facts = inspect_certificate(_odd(der.encode_element(0x30, entries)))
    assert facts.alt_names == ("b\u00fccher.example.com", "evil\\x00.example.com", "\ufffd.example.com")
    assert facts.uri_sans == ("urn:x",)
    assert facts.ip_sans == ("7f:00:00", "127.0.0.1")


@pytest.mark.parametrize("content", [b"", b"\x30\x00", b"\x01\x01\xff", b"\x30\x03\x01\x01\x00", b"\x30\x05\x01"])
def test_odd_basic_constraints_make_no_ca(content: bytes) -> None:
    assert inspect_certificate(_odd(content, "2.5.29.19")).is_ca is False


@pytest.mark.parametrize("oid", ["2.5.29.14", "2.5.29.35"])
@pytest.mark.parametrize("content", [b"", b"\x30\x00", b"\x30\x05\x80", b"\x05\x00"])
def test_odd_key_identifiers_count_as_none(oid: str, content: bytes) -> None:
    parts = raw.read_certificate(
        make_leaf(
            names=(), extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.14"), content), False)]
        ).certificate
        if oid == "2.5.29.14"
        else _patched(b"\x06\x03\x55\x1d\x23", b"\x06\x03\x55\x1d\x24")
    )
    assert (parts.subject_key_id if oid == "2.5.29.14" else parts.authority_key_id) is None


def test_a_negative_serial_number_is_shown_with_its_sign() -> None:
    made = make_leaf(now=NOW)
    serial = der.read_children(der.read_only(made.certificate.tbs_certificate_bytes, 0x30).content)[1]
    content = b"\x80" + serial.content[1:]
    text = base64.encodebytes(made.der.replace(serial.content, content)).decode()
    certificate = load_certificates(
        f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n", field="certificate"
    )[0]
    assert inspect_certificate(certificate).serial_number.startswith("-")


def test_unknown_algorithms_are_shown_as_dotted_numbers() -> None:
    # id-ecPublicKey and ecdsa-with-SHA256 turned into numbers that nobody uses.
    key = inspect_certificate(_patched(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")))
    assert key.key_algorithm == "1.2.840.10045.2.127"
    signed = inspect_certificate(_patched(bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")))
    assert signed.signing_algorithm == "1.2.840.10045.4.3.127"


def test_a_certificate_of_version_1_has_no_extensions() -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", "/dev/null", "-subj", "/CN=old", "-days", "1", "-config", "/dev/null"]
    pem = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (certificate,) = load_certificates(pem, field="certificate")
    assert certificate.version is x509.Version.v1
    facts = inspect_certificate(certificate)
    assert facts.common_name == "old"
    assert facts.is_self_issued
    assert facts.issuer == "CN=old"


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=80), oid=st.sampled_from(["2.5.29.17", "2.5.29.19", "2.5.29.14", "1.2.3"]))
def test_inspecting_never_raises_whatever_an_extension_holds(content: bytes, oid: str) -> None:
    facts = inspect_certificate(_odd(content, oid))
    assert "\x00" not in "".join([*facts.alt_names, *facts.uri_sans])


_TEMPLATE = make_leaf(names=("example.com", "192.0.2.1", "a@example.com"), now=NOW).der


@settings(max_examples=300, deadline=None)
@given(position=st.integers(min_value=0), value=st.integers(min_value=0, max_value=255))
def test_inspecting_never_raises_for_a_certificate_with_one_wrong_byte(position: int, value: int) -> None:
    data = bytearray(_TEMPLATE)
    data[position % len(data)] = value
    try:
        certificate = x509.load_der_x509_certificate(bytes(data))
    except (ValueError, Warning, x509.InvalidVersion):
        return
    inspect_certificate(certificate)


def test_rsa_signatures_are_named_by_their_number() -> None:
    sha256 = bytes.fromhex("06092a864886f70d01010b0500")
    made = make_leaf(issuer=make_ca(key=rsa_key(), now=NOW), now=NOW)
    certificate = x509.load_der_x509_certificate(made.der.replace(sha256, bytes.fromhex("06092a864886f70d01010d0500")))
    assert inspect_certificate(certificate).signing_algorithm == "SHA512-RSA"
    odd = x509.load_der_x509_certificate(made.der.replace(sha256, bytes.fromhex("06092a864886f70d01017f0500")))
    assert inspect_certificate(odd).signing_algorithm == "1.2.840.113549.1.1.127"
