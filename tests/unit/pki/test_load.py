from __future__ import annotations

import base64
import contextlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError
from strongroom.pki.load import (
    MAX_CERTIFICATES,
    MAX_PEM_CHARACTERS,
    load_certificates,
    load_csr,
    load_private_key,
)
from tests.factories.certificates import (
    ASSETS,
    Key,
    ec_key,
    key_to_der,
    key_to_pem,
    make_chain,
    make_csr,
    make_leaf,
    rsa_key,
    to_pem,
)

RSA = rsa_key()
LEAF = make_leaf(key=RSA)
CHAIN = make_chain()
CSR = make_csr()
PLAIN = PrivateFormat.TraditionalOpenSSL

# --- what is accepted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem,
        lambda pem: pem.rstrip("\n"),
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", "\r"),
        lambda pem: pem.replace("\n", "  \t\n"),
        lambda pem: "\ufeff" + pem,
        lambda pem: "\u00ef\u00bb\u00bf" + pem,
        lambda pem: "subject=CN = example.com\nissuer=Some: thing\n\n" + pem,
        lambda pem: "\n\n\n" + pem + "\n\n",
        lambda pem: pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
        lambda pem: "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + pem,
        lambda pem: pem.replace("\n", "").replace("-----M", "-----\nM").replace("-----END", "\n-----END"),
    ],
)
def test_a_certificate_is_found_whatever_surrounds_it(change: object) -> None:
    assert callable(change)
    assert load_certificates(change(LEAF.pem), field="certificate") == [LEAF.certificate]


def test_several_certificates_keep_their_order_with_text_between_them() -> None:
    text = f" 0 s:CN = leaf\n{CHAIN.leaf.pem} 1 s:CN = intermediate\n{CHAIN.intermediate.pem}and\n{CHAIN.root.pem}"
    loaded = load_certificates(text, field="certificate")
    assert loaded == [CHAIN.leaf.certificate, CHAIN.intermediate.certificate, CHAIN.root.certificate]


@pytest.mark.parametrize("key", [RSA, ec_key(), ed25519.Ed25519PrivateKey.generate()], ids=["rsa", "ec", "ed25519"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_pkcs8_keys_are_read(key: Key, line_break: str) -> None:
    loaded = load_private_key(key_to_pem(key).replace("\n", line_break), field="private_key", validate=True)
    assert type(loaded) is type(key)


def test_pkcs1_keys_are_read() -> None:
    pem = key_to_pem(RSA, PLAIN)
    assert "BEGIN RSA PRIVATE KEY" in pem
    loaded = load_private_key(pem, field="private_key", validate=True)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers() == RSA.private_numbers()


def test_sec1_keys_are_read_with_and_without_their_parameters() -> None:
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey"]
    pem = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "BEGIN EC PARAMETERS" in pem
    both = load_private_key(pem, field="private_key", validate=True)
    alone = load_private_key(pem[pem.index("-----BEGIN EC PRIVATE") :], field="private_key", validate=True)
    assert isinstance(both, ec.EllipticCurvePrivateKey)
    assert isinstance(alone, ec.EllipticCurvePrivateKey)
    assert both.private_numbers() == alone.private_numbers()


def test_bag_attributes_of_openssl_pkcs12_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "b.p12").write_bytes(
        pkcs12.serialize_key_and_certificates(b"name", RSA, LEAF.certificate, None, BestAvailableEncryption(b"x"))
    )
    command = ["openssl", "pkcs12", "-in", str(tmp_path / "b.p12"), "-passin", "pass:x", "-nodes", "-nocerts"]
    pem = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Bag Attributes" in pem
    assert isinstance(load_private_key(pem, field="private_key", validate=False), rsa.RSAPrivateKey)


def test_a_signing_request_is_read() -> None:
    for text in (CSR, CSR.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")):
        assert "example.com" in load_csr(text, field="csr").subject.rfc4514_string()


# --- what is refused, and how it is called ----------------------------------------------------------------------


def _raises_certificate(text: str, field: str = "certificate") -> Invalid:
    with pytest.raises(Invalid) as caught:
        load_certificates(text, field=field)
    return _checked(caught.value, field, text)


def _raises_key(text: str, *, validate: bool = True) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load_private_key(text, field="private_key", validate=validate)
    return _checked(caught.value, "private_key", text)


def _checked(error: Invalid, field: str, text: str) -> Invalid:
    assert error.field == field
    assert error.help_page == "import-problems"
    assert error.detail.endswith(".")
    assert "openssl" in str(error.hint)
    # Nothing of the text itself may be repeated: it could be a key.
    for line in text.splitlines():
        if len(line) > 40 and not line.startswith("-----"):
            assert line[5:35] not in error.diagnostics()
    return error


def _b64(data: bytes) -> str:
    return base64.encodebytes(data).decode()


def _armored(label: str, data: bytes) -> str:
    return f"-----BEGIN {label}-----\n{_b64(data)}-----END {label}-----\n"


def _openssl(*arguments: str, text: str) -> str:
    return subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, check=True).stdout


LEAF_DER = LEAF.der
KEY_DER = key_to_der(RSA)
CSR_DER = x509.load_pem_x509_csr(CSR.encode()).public_bytes(Encoding.DER)
P7_DER = pkcs7.serialize_certificates([LEAF.certificate], Encoding.DER)
P7_PEM = pkcs7.serialize_certificates([LEAF.certificate], Encoding.PEM).decode()
P12 = pkcs12.serialize_key_and_certificates(b"name", RSA, LEAF.certificate, None, BestAvailableEncryption(b"x"))
ENCRYPTED_DER = RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
ENCRYPTED_PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
PROC_TYPE_PEM = RSA.private_bytes(Encoding.PEM, PLAIN, BestAvailableEncryption(b"x")).decode()
PUBLIC_DER = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PUBLIC_PKCS1 = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
OPENSSH_PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
OPENSSH_DER = base64.b64decode("".join(OPENSSH_PEM.splitlines()[1:-1]))
OPENSSH_ENCRYPTED = OPENSSH_PEM.replace(
    "".join(OPENSSH_PEM.splitlines(keepends=True)[1:-1]),
    _b64(b"openssh-key-v1\0\0\0\0\x0aaes256-ctr" + OPENSSH_DER[23:]),
)
JKS = b"\xfe\xed\xfe\xed\x00\x00\x00\x02" + bytes(60)
HTML = "<!DOCTYPE html><html><body>Please log in to download your certificate</body></html>"
PUTTY = "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: a\nPublic-Lines: 6\n"
PGP = "-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n-----END PGP MESSAGE-----\n"
CRL = _armored("X509 CRL", b"\x30\x03\x02\x01\x00")

DER_LINE = "openssl x509 -inform DER -in file.der -out certificate.pem"

CERTIFICATE_FIELD = [
    ("DER as Latin-1", LEAF_DER.decode("latin-1"), "a certificate in DER (binary) form", DER_LINE),
    ("DER as broken UTF-8", LEAF_DER.decode("utf-8", "replace"), "a certificate in DER (binary) form", DER_LINE),
    (
        "base64 of DER",
        _b64(LEAF_DER),
        "a certificate in base64 without BEGIN and END lines",
        "openssl base64 -d -A -out decoded.bin && openssl x509 -inform DER -in decoded.bin",
    ),
    ("base64 of PEM", _b64(LEAF.pem.encode()), "a PEM file in base64", "openssl base64 -d -A -out certificate.pem"),
    ("PKCS#7", P7_PEM, "a PKCS#7 bundle", "openssl pkcs7 -in bundle.p7b -print_certs -out certificate.pem"),
    ("CMS", P7_PEM.replace("PKCS7", "CMS"), "a PKCS#7 bundle", "openssl pkcs7 -in bundle.p7b -print_certs"),
    (
        "PKCS#7 DER",
        P7_DER.decode("latin-1"),
        "a PKCS#7 bundle",
        "openssl pkcs7 -inform DER -in bundle.p7b -print_certs -out certificate.pem",
    ),
    ("PKCS#7 as broken UTF-8", P7_DER.decode("utf-8", "replace"), "a PKCS#7 bundle", "openssl pkcs7 -inform DER"),
    ("PKCS#7 base64", _b64(P7_DER), "a PKCS#7 bundle", "openssl pkcs7 -inform DER -in decoded.bin -print_certs"),
    (
        "PKCS#7 with indefinite length",
        (b"\x30\x80" + P7_DER[4:]).decode("latin-1"),
        "a PKCS#7 bundle",
        "openssl pkcs7 -inform DER",
    ),
    ("PKCS#7 as CERTIFICATE", _armored("CERTIFICATE", P7_DER), "a PKCS#7 bundle", "openssl pkcs7"),
    (
        "PKCS#12",
        P12.decode("latin-1"),
        "a PKCS#12 file (.p12 or .pfx) in DER (binary) form",
        "openssl pkcs12 -in bundle.p12 -clcerts -nokeys -out certificate.pem",
    ),
    ("PKCS#12 as broken UTF-8", P12.decode("utf-8", "replace"), "a PKCS#12 file", "openssl pkcs12 -in bundle.p12"),
    ("PKCS#12 base64", _b64(P12), "a PKCS#12 file", "openssl pkcs12 -in decoded.bin -clcerts -nokeys"),
    ("CSR", CSR, "a certificate signing request (CSR) in line 1", "openssl x509 -req -in request.csr"),
    ("CSR DER", CSR_DER.decode("latin-1"), "a certificate signing request", "openssl x509 -req -inform DER"),
    ("CSR as broken UTF-8", CSR_DER.decode("utf-8", "replace"), "a certificate signing request", "openssl x509 -req"),
    ("CSR base64", _b64(CSR_DER), "a certificate signing request", "openssl req -inform DER -in decoded.bin"),
    ("key", key_to_pem(RSA), "a private key in line 1", "Send it as `private_key`"),
    ("PKCS#1 key", key_to_pem(RSA, PLAIN), "a private key", "Send it as `private_key`"),
    ("key DER", KEY_DER.decode("latin-1"), "a private key in DER (binary) form", "Send it as `private_key`"),
    ("key base64", _b64(KEY_DER), "a private key in base64", "openssl pkey -inform DER -in decoded.bin -out key.pem"),
    ("certificate and key", LEAF.pem + key_to_pem(RSA), "a private key in line", "openssl x509 -in certificate.pem"),
    ("encrypted key", ENCRYPTED_PEM, "an encrypted private key", "openssl x509"),
    ("public key", PUBLIC_PEM, "a public key", "openssl x509"),
    ("public key DER", PUBLIC_DER.decode("latin-1"), "a public key", "openssl x509"),
    ("public key base64", _b64(PUBLIC_PKCS1), "a public key", "openssl pkey -pubin -inform DER"),
    ("trusted certificate", "", "a certificate with OpenSSL trust settings", "openssl x509 -in file.pem"),
    ("CRL", CRL, "a certificate revocation list", "openssl x509"),
    ("OpenSSH key", OPENSSH_PEM, "an OpenSSH private key", "openssl x509"),
    ("SSH public key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ user@host.example.com", "an SSH public key", "openssl"),
    ("HTML", HTML, "an HTML page", "openssl x509 -in certificate.pem -noout"),
    ("JSON", '{"certificate": "-----"}' + " " * 40, "a JSON document", "openssl x509"),
    ("Java keystore", JKS.decode("latin-1"), "a Java keystore", "keytool -importkeystore -srckeystore keystore.jks"),
    ("Java keystore, broken", JKS.decode("utf-8", "replace"), "a Java keystore", "openssl pkcs12"),
    ("PGP", PGP, "a PGP message", "openssl x509"),
    ("unknown PEM", _armored("NOISE", b"x" * 40), "a PEM block of another kind (NOISE) in line 1", "openssl x509"),
    ("text", "This is certainly not a certificate but a sentence.", "text that is neither PEM nor base64", "openssl"),
    ("binary", "\x00\x01\x02\x03" * 20, "binary data", "openssl x509"),
    ("base64 of nothing known", _b64(b"nothing known to anybody at all" * 3), "neither PEM nor base64", "openssl"),
]


@pytest.mark.parametrize(
    ("name", "text", "found", "hint"), CERTIFICATE_FIELD, ids=[str(row[0]) for row in CERTIFICATE_FIELD]
)
@pytest.mark.parametrize("field", ["certificate", "intermediate"])
def test_what_is_no_certificate_is_named_for_what_it_is(
    name: str, text: str, found: str, hint: str, field: str
) -> None:
    if name == "trusted certificate":
        text = _openssl("x509", "-addtrust", "serverAuth", "-trustout", text=LEAF.pem)
    error = _raises_certificate(text, field)
    assert error.code is ErrorCode.WRONG_FORMAT
    assert found in error.detail
    if field == "certificate":
        assert error.detail.startswith("Unable to parse the certificate: certificate holds ")
        assert hint in str(error.hint)
    else:
        assert error.detail.startswith("Unable to parse the intermediate certificate: intermediate holds ")


KEY_FIELD = [
    ("DER as Latin-1", KEY_DER.decode("latin-1"), "a private key in DER", "openssl pkey -inform DER -in file.der"),
    ("DER as broken UTF-8", KEY_DER.decode("utf-8", "replace"), "a private key in DER", "openssl pkey -inform DER"),
    ("PKCS#1 DER", key_to_der(RSA, PLAIN).decode("latin-1"), "a private key in DER", "openssl pkey -inform DER"),
    ("SEC1 DER", key_to_der(ec_key(), PLAIN).decode("latin-1"), "a private key in DER", "openssl pkey -inform DER"),
    (
        "SEC1 as broken UTF-8",
        key_to_der(ec_key(), PLAIN).decode("utf-8", "replace"),
        "a private key in DER",
        "openssl pkey -inform DER",
    ),
    (
        "base64 of DER",
        _b64(KEY_DER),
        "a private key in base64 without",
        "openssl base64 -d -A -out decoded.bin && openssl pkey -inform DER -in decoded.bin -out key.pem",
    ),
    ("base64 of PEM", _b64(key_to_pem(RSA).encode()), "a PEM file in base64", "openssl base64 -d -A"),
    ("certificate", LEAF.pem, "a certificate in line 1", "Send it as `certificate`"),
    ("certificate DER", LEAF_DER.decode("latin-1"), "a certificate in DER", "Send it as `certificate`"),
    ("key and certificate", key_to_pem(RSA) + LEAF.pem, "a certificate in line", "Send it as `certificate`"),
    ("CSR", CSR, "a certificate signing request", "openssl pkey -in key.pem -noout"),
    ("public key", PUBLIC_PEM, "a public key", "A public key holds no private key"),
    ("public key DER", PUBLIC_DER.decode("utf-8", "replace"), "a public key", "A public key holds no private key"),
    ("PKCS#7", P7_PEM, "a PKCS#7 bundle", "openssl pkey -in key.pem -noout"),
    ("PKCS#12", P12.decode("latin-1"), "a PKCS#12 file", "openssl pkcs12 -in bundle.p12 -nocerts -nodes -out key.pem"),
    ("PKCS#12 base64", _b64(P12), "a PKCS#12 file", "openssl pkcs12 -in decoded.bin -nocerts -nodes -out key.pem"),
    ("OpenSSH", OPENSSH_PEM, "an OpenSSH private key", "ssh-keygen -p -N '' -m PKCS8 -f key && openssl pkey -in key"),
    ("OpenSSH base64", _b64(OPENSSH_DER), "an OpenSSH private key", "ssh-keygen -p"),
    ("PuTTY", PUTTY, "a PuTTY private key", "puttygen key.ppk"),
    ("Java keystore", _b64(JKS), "a Java keystore", "keytool -importkeystore"),
    ("HTML", HTML, "an HTML page", "openssl pkey -in key.pem -noout"),
]


@pytest.mark.parametrize(("name", "text", "found", "hint"), KEY_FIELD, ids=[str(row[0]) for row in KEY_FIELD])
def test_what_is_no_private_key_is_named_for_what_it_is(name: str, text: str, found: str, hint: str) -> None:
    error = _raises_key(text)
    assert error.code is ErrorCode.WRONG_FORMAT, name
    assert error.detail.startswith("Unable to parse the private key: private_key holds ")
    assert found in error.detail
    assert hint in str(error.hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (ENCRYPTED_PEM, "openssl pkey -in encrypted-key.pem -out key.pem"),
        (PROC_TYPE_PEM, "openssl pkey -in encrypted-key.pem -out key.pem"),
        (PROC_TYPE_PEM.replace("\n", "\r\n"), "openssl pkey -in encrypted-key.pem -out key.pem"),
        (_armored("PRIVATE KEY", ENCRYPTED_DER), "openssl pkey -in encrypted-key.pem"),
        (ENCRYPTED_DER.decode("latin-1"), "openssl pkey -inform DER -in encrypted-key.pem -out key.pem"),
        (ENCRYPTED_DER.decode("utf-8", "replace"), "openssl pkey -inform DER"),
        (_b64(ENCRYPTED_DER), "openssl pkey -inform DER -in decoded.bin -out key.pem"),
        (OPENSSH_ENCRYPTED, "ssh-keygen -p -N ''"),
    ],
    ids=["PKCS#8", "Proc-Type", "Proc-Type CRLF", "wrong label", "DER", "broken UTF-8", "base64", "OpenSSH"],
)
def test_an_encrypted_key_is_refused_with_the_command_that_decrypts_it(text: str, hint: str) -> None:
    error = _raises_key(text)
    assert error.code is ErrorCode.KEY_ENCRYPTED
    assert "an encrypted " in error.detail
    assert "without a passphrase is needed" in error.detail
    assert hint in str(error.hint)


def test_the_conversion_commands_do_convert(tmp_path: Path) -> None:
    """Run what the hints say, and import the result."""
    files = {
        "certificate": (LEAF_DER, "file.der"),
        "p12": (P12, "bundle.p12"),
        "p7b": (P7_DER, "bundle.p7b"),
        "text": (_b64(LEAF_DER).encode(), "encoded.txt"),
    }
    for data, name in files.values():
        (tmp_path / name).write_bytes(data)
    for text in (LEAF_DER.decode("latin-1"), P7_DER.decode("latin-1"), _b64(LEAF_DER), P12.decode("latin-1")):
        command = str(_raises_certificate(text).hint).split("`")[1]
        subprocess.run(["sh", "-c", command.replace("pkcs12", "pkcs12 -passin pass:x")], cwd=tmp_path, check=True)
        assert load_certificates((tmp_path / "certificate.pem").read_text(), field="certificate") == [LEAF.certificate]
        (tmp_path / "certificate.pem").unlink()
    (tmp_path / "file.der").write_bytes(KEY_DER)
    (tmp_path / "encrypted-key.pem").write_text(ENCRYPTED_PEM)
    for text in (KEY_DER.decode("latin-1"), P12.decode("latin-1"), ENCRYPTED_PEM):
        command = str(_raises_key(text).hint).split("`")[1]
        for tool in ("pkcs12", "pkey"):
            command = command.replace(f"{tool} ", f"{tool} -passin pass:x ")
        subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
        load_private_key((tmp_path / "key.pem").read_text(), field="private_key", validate=True)
        (tmp_path / "key.pem").unlink()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \r\n\t", "it is empty"),
        ("\ufeff", "it is empty"),
        (LEAF.pem.replace("\n", "\\n"), "its line breaks are written as a backslash and the letter n"),
        (LEAF.pem.replace("\n", " "), "its line breaks are missing (line 1)"),
        (LEAF.pem.replace("\n", ""), "its line breaks are missing (line 1)"),
        ("  " + LEAF.pem.replace("\n", "\n  "), "the block near line 1 is indented"),
        (LEAF.pem.replace("\n-----END", "\n  -----END"), "the block near line 1 is indented"),
        (LEAF.pem[:400], "the block that starts in line 1 has no matching END line"),
        (LEAF.pem.replace("END CERTIFICATE", "END X509"), "the block that starts in line 1 has no matching END line"),
        (CHAIN.root.pem + LEAF.pem[:300] + CHAIN.root.pem, "has no matching END line"),
        (LEAF.pem.replace("MII", "M*I", 1), "the block that starts in line 1 is not valid base64"),
        (_armored("CERTIFICATE", LEAF_DER[:-20]), "the content of the CERTIFICATE block in line 1 is damaged"),
        (_armored("CERTIFICATE", b""), "the block that starts in line 1 is not valid base64"),
        (_armored("CERTIFICATE", LEAF_DER + b"\x00"), "is damaged"),
        (_armored("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"), "it holds no certificate"),
    ],
)
def test_a_damaged_certificate_is_unreadable_with_the_reason(text: str, reason: str) -> None:
    for field, code in (
        ("certificate", ErrorCode.CERTIFICATE_UNREADABLE),
        ("intermediate", ErrorCode.INTERMEDIATE_UNREADABLE),
    ):
        with pytest.raises(Invalid) as caught:
            load_certificates(text, field=field)
        error = _checked(caught.value, field, text)
        assert error.code is code
        assert reason in error.detail
        assert "Unable to parse the " in error.detail
        assert field != "certificate" or "Unable to parse the certificate" in error.detail


TWO_KEYS = key_to_pem(ec_key()) + key_to_pem(ec_key())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (TWO_KEYS, "it holds two private keys, in lines 1 and 6; send one"),
        (key_to_pem(RSA)[:500], "no matching END line"),
        (_armored("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"), "but no private key"),
        (_armored("PRIVATE KEY", KEY_DER[:-9]), "the content of the PRIVATE KEY block in line 1 is damaged"),
        (_armored("PRIVATE KEY", b"\x30\x80" + bytes(60)), "is damaged"),
        (key_to_pem(RSA).replace("\n", "\\n"), "its line breaks are written as"),
    ],
)
def test_a_damaged_key_is_unreadable_with_the_reason(text: str, reason: str) -> None:
    error = _raises_key(text)
    assert error.code is ErrorCode.KEY_UNREADABLE
    assert reason in error.detail


def test_an_rsa_key_with_wrong_arithmetic_is_found_only_when_it_is_checked() -> None:
    numbers = RSA.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d + 2,
        dmp1=numbers.dmp1,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
    pem = key_to_pem(wrong)
    load_private_key(pem, field="private_key", validate=False)
    assert _raises_key(pem).code is ErrorCode.KEY_UNREADABLE


def test_an_ec_key_whose_public_half_is_another_one_is_unreadable() -> None:
    def point(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    one, other = ec_key(), ec_key()
    pem = _armored("EC PRIVATE KEY", key_to_der(one, PLAIN).replace(point(one), point(other)))
    assert _raises_key(pem, validate=False).code is ErrorCode.KEY_UNREADABLE


def test_an_ec_key_of_an_unknown_curve_is_unreadable() -> None:
    encoded = key_to_der(ec_key()).replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f"))
    assert _raises_key(_armored("PRIVATE KEY", encoded)).code is ErrorCode.KEY_UNREADABLE


def test_a_key_of_another_algorithm_is_unreadable() -> None:
    encoded = key_to_der(ed25519.Ed25519PrivateKey.generate()).replace(b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x00")
    error = _raises_key(_armored("PRIVATE KEY", encoded))
    assert error.code is ErrorCode.KEY_UNREADABLE
    assert "a kind that is not supported" in error.detail


def test_dsa_keys_are_read_because_their_certificates_exist() -> None:
    key = dsa.generate_private_key(2048)
    pem = key.private_bytes(Encoding.PEM, PLAIN, NoEncryption()).decode()
    assert isinstance(load_private_key(pem, field="private_key", validate=True), dsa.DSAPrivateKey)


def test_an_rsa_key_that_takes_minutes_to_check_is_refused_without_checking() -> None:
    huge = rsa_key(8192).private_numbers()
    p = huge.p << 2048 | 1
    public = rsa.RSAPublicNumbers(e=65537, n=p * huge.q)
    key = rsa.RSAPrivateNumbers(
        p=p, q=huge.q, d=huge.d, dmp1=huge.dmp1, dmq1=huge.dmq1, iqmp=huge.iqmp, public_numbers=public
    ).private_key(unsafe_skip_rsa_key_validation=True)
    error = _raises_key(key_to_pem(key))
    assert error.code is ErrorCode.KEY_UNREADABLE
    assert "10240 bits; up to 8192" in error.detail


def test_sizes_out_of_range_are_named() -> None:
    long = _raises_certificate(LEAF.pem + "x" * MAX_PEM_CHARACTERS)
    assert long.code is ErrorCode.INVALID_FIELD
    assert (
        f"{len(LEAF.pem) + MAX_PEM_CHARACTERS} characters; at most 100000 are allowed for a certificate" in long.detail
    )
    short = _raises_key("secret")
    assert short.code is ErrorCode.INVALID_FIELD
    assert "private_key has 6 characters; at least 50 are needed for a private key" in short.detail


def test_an_input_of_exactly_the_largest_size_is_read() -> None:
    text = LEAF.pem + "\n" * (MAX_PEM_CHARACTERS - len(LEAF.pem))
    assert load_certificates(text, field="certificate") == [LEAF.certificate]


def test_too_many_certificates_are_refused() -> None:
    small = to_pem(make_leaf(names=(), common_name="a").certificate)
    assert len(load_certificates(small * MAX_CERTIFICATES, field="certificate")) == MAX_CERTIFICATES
    with pytest.raises(Invalid, match="more than 64 certificates") as caught:
        load_certificates(small * (MAX_CERTIFICATES + 1), field="certificate")
    assert caught.value.code is ErrorCode.INVALID_FIELD


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        (LEAF.pem, ErrorCode.WRONG_FORMAT, "a certificate"),
        (CSR_DER.decode("latin-1"), ErrorCode.WRONG_FORMAT, "a certificate signing request (CSR) in DER"),
        (P12.decode("latin-1"), ErrorCode.WRONG_FORMAT, "a PKCS#12 file"),
        (CSR + CSR, ErrorCode.INVALID_FIELD, "it holds 2 signing requests"),
        (_armored("CERTIFICATE REQUEST", CSR_DER[:-5]), ErrorCode.INVALID_FIELD, "is damaged"),
        (_armored("CERTIFICATE REQUEST", CSR_DER[:-1] + b"\x55"), ErrorCode.INVALID_FIELD, "its signature does not"),
    ],
)
def test_what_is_no_signing_request_is_refused(text: str, code: ErrorCode, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_csr(text, field="csr")
    assert caught.value.code is code
    assert reason in caught.value.detail
    assert "openssl" in str(caught.value.hint)


# --- nothing else ever comes out --------------------------------------------------------------------------------

SEEDS = [LEAF.pem, key_to_pem(RSA), key_to_pem(ec_key(), PLAIN), CSR, P7_PEM, ENCRYPTED_PEM, PROC_TYPE_PEM, OPENSSH_PEM]
BINARY = [LEAF_DER, KEY_DER, CSR_DER, P7_DER, P12, ENCRYPTED_DER, PUBLIC_DER, JKS, OPENSSH_DER]


def _load_everything(text: str) -> None:
    for load in (
        lambda: load_certificates(text, field="certificate"),
        lambda: load_certificates(text, field="intermediate"),
        lambda: load_private_key(text, field="private_key", validate=False),
        lambda: load_csr(text, field="csr"),
    ):
        with contextlib.suppress(StrongroomError):
            load()


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=400))
def test_any_text_is_loaded_or_refused(text: str) -> None:
    _load_everything(text)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400), label=st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE REQUEST"]))
def test_any_content_under_a_pem_heading_is_loaded_or_refused(data: bytes, label: str) -> None:
    _load_everything(_armored(label, data))
    _load_everything(data.decode("latin-1"))
    _load_everything(data.decode("utf-8", "replace"))
    _load_everything(data.decode("utf-8", "surrogateescape"))


@settings(max_examples=200, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    start=st.integers(0, 2000),
    length=st.integers(0, 200),
    insert=st.text(max_size=20),
)
def test_a_text_changed_anywhere_is_loaded_or_refused(seed: str, start: int, length: int, insert: str) -> None:
    _load_everything(seed[:start] + insert + seed[start + length :])


@settings(max_examples=200, deadline=None)
@given(seed=st.sampled_from(BINARY), position=st.integers(0, 3000), value=st.binary(min_size=1, max_size=3))
def test_binary_changed_anywhere_is_loaded_or_refused(seed: bytes, position: int, value: bytes) -> None:
    position %= len(seed)
    data = seed[:position] + value + seed[position + len(value) :]
    for label in ("CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "CERTIFICATE REQUEST"):
        _load_everything(_armored(label, data))
    _load_everything(_b64(data))
    _load_everything(data.decode("latin-1"))


def test_scanning_a_hostile_text_of_the_largest_size_stays_quick() -> None:
    for text in (
        "-----BEGIN " * 9000,
        "-----BEGIN CERTIFICATE-----\n" * 3500,
        "0" * 100_000,
        "0\x82" * 50_000,
        "\n" * 100_000,
    ):
        _load_everything(text)


def test_the_kept_keys_are_there() -> None:
    assert {path.name for path in ASSETS.glob("*.pem")} >= {"rsa-1024.pem", "rsa-2048.pem", "rsa-4096.pem"}
