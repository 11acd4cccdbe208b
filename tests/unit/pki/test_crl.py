from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.clock import SystemClock
from strongroom.pki import der
from strongroom.pki.armor import encode_pem
from strongroom.pki.crl import build_crl, entry_der, read_crl_number
from strongroom.pki.draft import Draft, Issuer, SigningKey, sign_draft, signature_hash
from strongroom.runtime.lint_rules import crl_findings
from tests.factories.certificates import ec_key, rsa_key

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Trust", _ASN1Type.PrintableString),
        x509.NameAttribute(NameOID.COMMON_NAME, "Exámple Root"),
    ]
)
KEY_ID = b"\x01" * 20
EC = ec_key()

KEYS: dict[str, Callable[[], SigningKey]] = {
    "rsa": rsa_key,
    "p224": lambda: ec_key(ec.SECP224R1()),
    "p256": ec_key,
    "p384": lambda: ec_key(ec.SECP384R1()),
    "p521": lambda: ec_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
_REASONS = [reason for reason in x509.ReasonFlags if reason is not x509.ReasonFlags.remove_from_crl]


def _build(
    entries: Sequence[bytes] = (),
    *,
    key: SigningKey = EC,
    number: int = 7,
    at: datetime = NOW,
    life: timedelta = DAY,
    name: x509.Name = NAME,
) -> bytes:
    issuer = Issuer(subject=name, key=key)
    return build_crl(issuer, key_id=KEY_ID, number=number, this_update=at, next_update=at + life, entries=entries)


def _root(key: SigningKey, *, now: datetime) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
    ]
    return _sign(NAME, key, key, 1, now, extensions)


def _sign(
    subject: x509.Name,
    key: SigningKey,
    issuer_key: SigningKey,
    serial: int,
    now: datetime,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    draft = Draft(
        subject=subject,
        public_key=key.public_key(),
        not_before=now - timedelta(hours=1),
        not_after=now + 30 * DAY,
        extensions=tuple(x509.Extension(content.oid, critical, content) for content, critical in extensions),
    )
    return sign_draft(draft, Issuer(subject=NAME, key=issuer_key), serial)


@pytest.mark.parametrize("kind", KEYS)
def test_a_list_is_what_the_library_builds_itself(kind: str) -> None:
    key = KEYS[kind]()
    revoked = [(serial, NOW - DAY * serial, _REASONS[serial % len(_REASONS)]) for serial in range(1, 20)]
    ours = _build([entry_der(*entry) for entry in revoked], key=key)
    builder = (
        x509.CertificateRevocationListBuilder(NAME, NOW, NOW + DAY)
        .add_extension(x509.AuthorityKeyIdentifier(KEY_ID, None, None), critical=False)
        .add_extension(x509.CRLNumber(7), critical=False)
    )
    for serial, at, reason in revoked:
        entry = x509.RevokedCertificateBuilder(serial, at)
        if reason is not x509.ReasonFlags.unspecified:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    theirs = builder.sign(key, signature_hash(key))
    parsed = x509.load_der_x509_crl(ours)
    assert parsed.tbs_certlist_bytes == theirs.tbs_certlist_bytes
    assert parsed.signature_algorithm_oid == theirs.signature_algorithm_oid
    assert parsed.is_signature_valid(key.public_key())
    frame = len(theirs.public_bytes(Encoding.DER)) - len(theirs.signature)
    assert len(ours) - len(parsed.signature) == pytest.approx(frame, abs=2)  # the length of an ECDSA signature varies


def test_an_empty_list_has_no_list_of_entries() -> None:
    encoded = _build()
    (body, _algorithm, _signature) = der.read_children(der.read_only(encoded, der.SEQUENCE).content)
    tags = [part.tag for part in der.read_children(body.content)]
    assert tags == [der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.UTC_TIME, der.UTC_TIME, 0xA0]
    assert list(x509.load_der_x509_crl(encoded)) == []


def test_the_name_is_that_of_the_authority_byte_for_byte() -> None:
    authority = _root(EC, now=NOW)
    assert authority.subject.public_bytes() == NAME.public_bytes()
    assert NAME.public_bytes() in _build(name=authority.subject)


@given(
    serial=st.integers(1, 2**160 - 1),
    at=st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    reason=st.sampled_from(_REASONS) | st.none(),
)
def test_any_entry_is_read_back(serial: int, at: datetime, reason: x509.ReasonFlags | None) -> None:
    (entry,) = x509.load_der_x509_crl(_build([entry_der(serial, at, reason)]))
    assert (entry.serial_number, entry.revocation_date_utc) == (serial, at.replace(microsecond=0))
    said = reason if reason is not x509.ReasonFlags.unspecified else None
    assert [extension.value for extension in entry.extensions] == ([x509.CRLReason(said)] if said else [])


def test_times_change_their_form_with_the_year_2050() -> None:
    last, first = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
    assert entry_der(1, last) == bytes.fromhex("3012020101170d") + b"491231235959Z"
    assert entry_der(1, first) == bytes.fromhex("3014020101180f") + b"20500101000000Z"
    late = x509.load_der_x509_crl(_build(at=last, life=timedelta(seconds=1)))
    assert (late.last_update_utc, late.next_update_utc) == (last, first)


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-13)))
    assert entry_der(1, elsewhere) == entry_der(1, NOW)


def test_entries_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="not positive"):
        entry_der(0, NOW)
    with pytest.raises(ValueError, match="time zone"):
        entry_der(1, NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="remove_from_crl is no reason"):
        entry_der(1, NOW, x509.ReasonFlags.remove_from_crl)


def test_lists_that_cannot_be_are_refused() -> None:
    for number in (-1, 2**159):
        with pytest.raises(ValueError, match="CRL number"):
            _build(number=number)
    with pytest.raises(ValueError, match="not later"):
        _build(life=timedelta())


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**64, 2**159 - 1])
def test_the_number_is_read_back(number: int) -> None:
    assert read_crl_number(_build(number=number)) == number


def _without_number() -> bytes:
    return (
        x509.CertificateRevocationListBuilder(NAME, NOW, NOW + DAY).sign(EC, hashes.SHA256()).public_bytes(Encoding.DER)
    )


@pytest.mark.parametrize("data", [b"", b"\x30\x00", _without_number(), _build()[:-1]])
def test_what_is_no_list_has_no_number(data: bytes) -> None:
    with pytest.raises(der.DerError, match="no certificate revocation list"):
        read_crl_number(data)


def test_the_pem_form_is_the_one_the_library_writes() -> None:
    for entries in ([], [entry_der(1, NOW)], [entry_der(serial, NOW) for serial in range(1, 50)]):
        encoded = _build(entries)
        assert encode_pem(encoded, "X509 CRL").encode() == x509.load_der_x509_crl(encoded).public_bytes(Encoding.PEM)


class _TokenKey(ec.EllipticCurvePrivateKey):
    """Signs, and does nothing else, as keys in a token do."""

    def __init__(self, inside: ec.EllipticCurvePrivateKey) -> None:
        self._inside = inside

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._inside.curve

    def sign(self, data: object, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        assert isinstance(data, bytes)
        return self._inside.sign(data, signature_algorithm)

    def _refuse(self, *_arguments: object, **_named: object) -> None:
        raise AssertionError("the key does not leave its token")

    key_size = property(_refuse)
    exchange = private_bytes = private_numbers = public_key = __copy__ = __deepcopy__ = _refuse  # type: ignore[assignment]


def test_a_key_that_only_signs_is_enough() -> None:
    inside = ec_key(ec.SECP384R1())
    parsed = x509.load_der_x509_crl(_build([entry_der(5, NOW)], key=_TokenKey(inside)))
    assert parsed.is_signature_valid(inside.public_key())
    assert isinstance(parsed.signature_hash_algorithm, hashes.SHA384)


@pytest.mark.parametrize("kind", [kind for kind in KEYS if kind != "p224"])
@pytest.mark.peers
def test_openssl_accepts_the_list_and_sees_who_is_on_it(
    kind: str, tmp_path: Path, requires: Callable[[str], Path]
) -> None:
    openssl = str(requires("openssl"))
    now = SystemClock().now().replace(microsecond=0)
    key = KEYS[kind]()
    root = _root(key, now=now)
    leaf_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    key_id = leaf_key.key_identifier
    assert key_id is not None
    for serial, name in ((2, "good"), (3, "revoked")):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        end: list[tuple[x509.ExtensionType, bool]] = [(leaf_key, False)]
        leaf = _sign(subject, EC, key, serial, now, end)
        (tmp_path / f"{name}.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    issuer = Issuer(subject=root.subject, key=key)
    entry = entry_der(3, now, x509.ReasonFlags.key_compromise)
    encoded = build_crl(issuer, key_id=key_id, number=9, this_update=now, next_update=now + DAY, entries=[entry])
    (tmp_path / "crl.pem").write_text(encode_pem(encoded, "X509 CRL"))

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([openssl, *command], cwd=tmp_path, capture_output=True, text=True, check=False)

    shown = run("crl", "-in", "crl.pem", "-verify", "-CAfile", "root.pem", "-noout", "-text")
    assert shown.returncode == 0, shown.stderr
    assert "verify OK" in shown.stderr
    assert "Key Compromise" in shown.stdout
    check = ("verify", "-x509_strict", "-crl_check", "-CAfile", "root.pem", "-CRLfile", "crl.pem")
    assert run(*check, "good.pem").returncode == 0
    refused = run(*check, "revoked.pem")
    assert refused.returncode != 0
    assert "certificate revoked" in refused.stderr


@pytest.mark.parametrize("kind", KEYS)
def test_the_linter_finds_nothing(kind: str) -> None:
    key = KEYS[kind]()
    entries = [entry_der(1, NOW), entry_der(2**159 - 1, NOW - DAY, x509.ReasonFlags.key_compromise)]
    for listed in ([], entries):
        assert crl_findings(_build(listed, key=key)) == []


def _entries(count: int) -> list[bytes]:
    return [entry_der((serial << 128) + 1, NOW) for serial in range(1, count + 1)]


def _shortest_time(entries: Sequence[bytes]) -> float:
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        _build(entries)
        taken.append(time.perf_counter() - start)
    return min(taken)


def test_a_hundred_thousand_entries_take_little_time() -> None:
    entries = _entries(100_000)
    encoded = _build(entries, number=100)
    assert len(encoded) > 100_000 * len(entries[0])
    parsed = x509.load_der_x509_crl(encoded)
    assert parsed.is_signature_valid(EC.public_key())
    assert parsed.get_revoked_certificate_by_serial_number((100_000 << 128) + 1) is not None
    assert read_crl_number(encoded) == 100
    assert _shortest_time(entries) < 1


def test_the_time_grows_with_the_length_and_no_faster() -> None:
    # Ten times the entries: ten times the time, where quadratic growth would be a hundred. One signature is in both.
    entries = _entries(200_000)
    assert _shortest_time(entries) < 30 * _shortest_time(entries[:20_000])


def test_a_list_above_16_mebibytes_is_framed_right() -> None:
    entry = entry_der(2**150, NOW)
    encoded = _build([entry] * (2**24 // len(entry) + 1))
    assert len(encoded) > 2**24
    (body, _algorithm, _signature) = der.read_children(der.read_only(encoded, der.SEQUENCE).content)
    assert len(body.content) > 2**24
    assert read_crl_number(encoded) == 7
