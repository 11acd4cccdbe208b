from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from strongroom.kernel.clock import SystemClock
from strongroom.kernel.errors import Conflict, ErrorCode
from strongroom.pki import der
from strongroom.pki.draft import Issuer, SigningKey, sign_draft
from strongroom.pki.ocsp import (
    MALFORMED_REQUEST,
    MAX_REQUEST_BYTES,
    TRY_LATER,
    UNAUTHORIZED,
    MalformedQuestion,
    Question,
    Responder,
    Revoked,
    Status,
    build_answer,
    draft_ocsp_signer,
    issuer_hashes,
    read_request,
    read_request_path,
)
from strongroom.runtime.lint_rules import certificate_findings, ocsp_findings
from tests.factories.certificates import Made, ec_key, make_ca, make_leaf, rsa_key

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SIGNER_KEYS: dict[str, Callable[[], SigningKey]] = {
    "rsa": lambda: rsa_key(other=True),
    "p256": ec_key,
    "p384": lambda: ec_key(ec.SECP384R1()),
    "p521": lambda: ec_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
REQUEST_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An authority, a certificate of it, and who answers for it."""

    ca: Made
    leaf: Made
    responder: Responder

    def answer(self, question: Question, status: Status = "good", *, now: datetime = NOW) -> bytes:
        return build_answer(
            question, status, responder=self.responder, produced_at=now, this_update=now, next_update=now + DAY
        )


def _scene(now: datetime = NOW, *, ca_key: SigningKey | None = None, signer_key: SigningKey | None = None) -> Scene:
    ca = make_ca(key=ca_key, now=now)
    return Scene(ca=ca, leaf=make_leaf(issuer=ca, now=now), responder=_responder(ca, now, signer_key))


def _responder(ca: Made, now: datetime, key: SigningKey | None = None) -> Responder:
    key = key or ec_key()
    draft = draft_ocsp_signer(ca.certificate, key.public_key(), now=now, life=7 * DAY)
    return Responder(certificate=sign_draft(draft, Issuer(subject=ca.certificate.subject, key=ca.key), 77), key=key)


SCENE = _scene()


def _ask(
    certificate: x509.Certificate = SCENE.leaf.certificate,
    issuer: x509.Certificate = SCENE.ca.certificate,
    *extensions: tuple[x509.ExtensionType, bool],
    algorithm: type[hashes.HashAlgorithm] = hashes.SHA1,
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm())
    for content, critical in extensions:
        builder = builder.add_extension(content, critical=critical)
    return builder.build().public_bytes(Encoding.DER)


def _ask_by_serial(content: bytes) -> bytes:
    """A request with any bytes as the content of its serial number."""
    request = ocsp.OCSPRequestBuilder().add_certificate_by_hash(b"n" * 20, b"k" * 20, 1, hashes.SHA1())  # noqa: S303
    (entry,) = _entries(request.build().public_bytes(Encoding.DER))
    certificate_id = der.read_children(der.read_children(entry.content)[0].content)
    serial = der.encode_element(der.INTEGER, content)
    return _wrap(der.encode_sequence(der.encode_sequence(*(part.raw for part in certificate_id[:3]), serial)))


def _entries(request: bytes) -> list[der.Element]:
    body = der.read_children(der.read_only(request, der.SEQUENCE).content)[0]
    return der.read_children(der.read_children(body.content)[0].content)


def _wrap(*entries: bytes) -> bytes:
    return der.encode_sequence(der.encode_sequence(der.encode_sequence(*entries)))


# Requests


@pytest.mark.parametrize("name", REQUEST_HASHES)
def test_a_request_names_authority_and_certificate(name: str) -> None:
    question = read_request(_ask(algorithm=REQUEST_HASHES[name]))
    assert question.serial == SCENE.leaf.certificate.serial_number
    assert question.issuer in issuer_hashes(SCENE.ca.certificate)
    assert question.nonce is None


def test_an_authority_of_the_same_name_with_another_key_is_another_one() -> None:
    twin = make_ca(now=NOW)
    assert twin.certificate.subject == SCENE.ca.certificate.subject
    assert read_request(_ask(issuer=twin.certificate)).issuer not in issuer_hashes(SCENE.ca.certificate)


def test_a_hash_that_is_not_known_names_no_authority() -> None:
    strange = _ask().replace(bytes.fromhex("2b0e03021a"), bytes.fromhex("2b0e03021b"))
    question = read_request(strange)
    assert question.issuer.algorithm == "1.3.14.3.2.27"
    assert question.issuer not in issuer_hashes(SCENE.ca.certificate)


@pytest.mark.parametrize("key", [ec_key(), rsa_key(), ed25519.Ed25519PrivateKey.generate()])
def test_authorities_of_every_kind_of_key_are_recognised(key: SigningKey) -> None:
    ca = make_ca(key=key, now=NOW)
    leaf = make_leaf(issuer=ca, now=NOW).certificate
    assert read_request(_ask(leaf, ca.certificate)).issuer in issuer_hashes(ca.certificate)


@pytest.mark.parametrize("size", [1, 16, 32, 127, 128])
@pytest.mark.parametrize("critical", [False, True])
def test_a_nonce_is_read_and_repeated(size: int, critical: bool) -> None:
    nonce = bytes(range(size))
    question = read_request(_ask(SCENE.leaf.certificate, SCENE.ca.certificate, (x509.OCSPNonce(nonce), critical)))
    assert question.nonce == nonce
    answer = ocsp.load_der_ocsp_response(SCENE.answer(question))
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


@pytest.mark.parametrize("size", [0, 129, 500])
def test_a_nonce_of_a_forbidden_length_is_refused(size: int) -> None:
    request = _ask(SCENE.leaf.certificate, SCENE.ca.certificate, (x509.OCSPNonce(b"n" * size), False))
    with pytest.raises(MalformedQuestion, match=f"nonce has {size} bytes; 1 to 128"):
        read_request(request)


def test_unknown_extensions_are_passed_over_unless_critical() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.9"), b"\x05\x00")
    certificate, issuer = SCENE.leaf.certificate, SCENE.ca.certificate
    assert read_request(_ask(certificate, issuer, (odd, False))).nonce is None
    with pytest.raises(MalformedQuestion, match=r"critical extension 1\.3\.6\.1\.5\.5\.7\.48\.1\.9"):
        read_request(_ask(certificate, issuer, (odd, True)))


def test_a_client_may_insist_on_the_form_of_answer_that_is_given() -> None:
    accepted = x509.OCSPAcceptableResponses([x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")])
    request = _ask(SCENE.leaf.certificate, SCENE.ca.certificate, (accepted, True))
    assert read_request(request).serial == SCENE.leaf.certificate.serial_number


def test_who_asks_and_whether_the_request_is_signed_does_not_matter() -> None:
    (entry,) = _entries(_ask())
    version = der.encode_element(0xA0, der.encode_integer(0))
    asker = der.encode_element(0xA1, der.encode_element(0xA4, x509.Name([]).public_bytes()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    signature = der.encode_element(0xA0, der.encode_sequence(algorithm, der.encode_bit_string(b"x")))
    for head in (b"", asker):
        for tail in (b"", signature):
            body = der.encode_sequence(head, der.encode_sequence(entry.raw))
            assert read_request(der.encode_sequence(body, tail)) == read_request(_ask())
    # DER leaves out what is the default, so writing the version is an error.
    with pytest.raises(MalformedQuestion):
        read_request(der.encode_sequence(der.encode_sequence(version, der.encode_sequence(entry.raw))))


def test_a_request_about_several_certificates_or_none_is_refused() -> None:
    (entry,) = _entries(_ask())
    assert read_request(_wrap(entry.raw)) == read_request(_ask())
    for entries in ([], [entry.raw] * 2):
        with pytest.raises(MalformedQuestion, match="about one certificate"):
            read_request(_wrap(*entries))


def test_serial_numbers_are_taken_as_they_come_unless_negative() -> None:
    assert read_request(_ask_by_serial(b"\0")).serial == 0
    assert read_request(_ask_by_serial(b"\x7f" * 60)).serial == int.from_bytes(b"\x7f" * 60, "big")
    with pytest.raises(MalformedQuestion, match="negative"):
        read_request(_ask_by_serial(b"\x80"))
    with pytest.raises(MalformedQuestion):
        read_request(_ask_by_serial(b"\0\x01"))


def test_a_request_that_is_too_long_is_not_read() -> None:
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(MAX_REQUEST_BYTES))
    with pytest.raises(MalformedQuestion, match="at most 4096 are read"):
        read_request(_ask(SCENE.leaf.certificate, SCENE.ca.certificate, (padding, False)))


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda data: b"\x30" + bytes([len(data)]) + data))
@example(b"")
@example(_ask() + b"\0")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(MalformedQuestion):
        read_request(data)


_WITH_NONCE = _ask(SCENE.leaf.certificate, SCENE.ca.certificate, (x509.OCSPNonce(b"n" * 32), False))


@given(st.integers(0, len(_WITH_NONCE) - 1), st.integers(0, 255))
def test_a_request_with_any_byte_changed_is_read_or_refused(place: int, byte: int) -> None:
    changed = _WITH_NONCE[:place] + bytes([byte]) + _WITH_NONCE[place + 1 :]
    try:
        question = read_request(changed)
    except MalformedQuestion:
        return
    assert question.certificate_id in changed
    assert question.serial >= 0


@given(st.integers(0, len(_WITH_NONCE) - 1))
def test_a_request_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(MalformedQuestion):
        read_request(_WITH_NONCE[:length])


@pytest.mark.parametrize("write", [str, quote, partial(quote, safe=""), partial(quote, safe="=+")])
def test_a_request_in_an_address_is_read_however_it_is_escaped(write: Callable[[str], str]) -> None:
    serials = [bytes([1]) * size + bytes([last]) for size in (1, 2, 3) for last in range(64)]
    texts = {serial: base64.b64encode(_ask_by_serial(serial)).decode() for serial in serials}
    assert {char for text in texts.values() for char in "+/=" if char in text} == set("+/=")
    for serial, text in texts.items():
        assert read_request_path(write(text)).serial == int.from_bytes(serial, "big")


@pytest.mark.parametrize("text", ["", "x", "====", "%", "%zz", "a b=", "äöü", "MAA=", "MAA", "A" * 20_000, "\ud800"])
def test_an_address_without_a_request_is_refused(text: str) -> None:
    with pytest.raises(MalformedQuestion):
        read_request_path(text)


@given(st.text(st.sampled_from("ABab01+/=%-_ \u00e4\n"), max_size=60))
def test_any_address_is_read_or_refused(text: str) -> None:
    with pytest.raises(MalformedQuestion):
        read_request_path(text)


def test_an_address_that_is_too_long_is_not_decoded() -> None:
    with pytest.raises(MalformedQuestion, match="at most 16384 are read"):
        read_request_path("%41" * 6000)


# Answers

_STATUSES: dict[str, tuple[Status, ocsp.OCSPCertStatus]] = {
    "good": ("good", ocsp.OCSPCertStatus.GOOD),
    "unknown": ("unknown", ocsp.OCSPCertStatus.UNKNOWN),
    "revoked": (Revoked(at=NOW - DAY), ocsp.OCSPCertStatus.REVOKED),
    "no reason": (Revoked(at=NOW - DAY, reason=x509.ReasonFlags.unspecified), ocsp.OCSPCertStatus.REVOKED),
    "key": (Revoked(at=NOW - DAY, reason=x509.ReasonFlags.key_compromise), ocsp.OCSPCertStatus.REVOKED),
}


@pytest.mark.parametrize("name", _STATUSES)
@pytest.mark.parametrize("algorithm", REQUEST_HASHES)
def test_an_answer_says_what_it_was_made_with(name: str, algorithm: str) -> None:
    status, expected = _STATUSES[name]
    question = read_request(_ask(algorithm=REQUEST_HASHES[algorithm]))
    encoded = build_answer(
        question,
        status,
        responder=SCENE.responder,
        produced_at=NOW,
        this_update=NOW - HOUR,
        next_update=NOW + DAY,
    )
    answer = ocsp.load_der_ocsp_response(encoded)
    assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert answer.certificate_status is expected
    assert (answer.produced_at_utc, answer.this_update_utc, answer.next_update_utc) == (NOW, NOW - HOUR, NOW + DAY)
    assert answer.serial_number == question.serial
    assert isinstance(answer.hash_algorithm, REQUEST_HASHES[algorithm])
    assert (answer.issuer_name_hash, answer.issuer_key_hash) == (question.issuer.name, question.issuer.key)
    assert answer.revocation_time_utc == (NOW - DAY if isinstance(status, Revoked) else None)
    assert answer.revocation_reason == (x509.ReasonFlags.key_compromise if name == "key" else None)
    assert list(answer.extensions) == []


@pytest.mark.parametrize("kind", SIGNER_KEYS)
def test_an_answer_is_signed_by_the_certificate_that_it_brings(kind: str) -> None:
    scene = _scene(signer_key=SIGNER_KEYS[kind]())
    answer = ocsp.load_der_ocsp_response(scene.answer(read_request(_ask())))
    assert answer.certificates == [scene.responder.certificate]
    public_key = scene.responder.key.public_key()
    assert answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(public_key).digest
    assert answer.responder_name is None
    _verify(public_key, answer)


def _verify(public_key: object, answer: ocsp.OCSPResponse) -> None:
    digest = answer.signature_hash_algorithm
    match public_key:
        case rsa.RSAPublicKey():
            assert digest is not None
            public_key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePublicKey():
            assert digest is not None
            public_key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(digest))
        case ed25519.Ed25519PublicKey():
            public_key.verify(answer.signature, answer.tbs_response_bytes)
        case _:
            pytest.fail("no such key")


def test_an_answer_is_what_the_library_builds_itself() -> None:
    question = read_request(_WITH_NONCE)
    answer = ocsp.load_der_ocsp_response(SCENE.answer(question, Revoked(at=NOW, reason=x509.ReasonFlags.superseded)))
    theirs = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            SCENE.leaf.certificate,
            SCENE.ca.certificate,
            hashes.SHA1(),  # noqa: S303  # as the request
            ocsp.OCSPCertStatus.REVOKED,
            NOW,
            NOW + DAY,
            NOW,
            x509.ReasonFlags.superseded,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, SCENE.responder.certificate)
        .certificates([SCENE.responder.certificate])
        .add_extension(x509.OCSPNonce(b"n" * 32), critical=False)
        .sign(SCENE.responder.key, hashes.SHA256())
    )
    stamp, ours = (one.produced_at_utc.strftime("%Y%m%d%H%M%SZ").encode() for one in (theirs, answer))
    assert answer.tbs_response_bytes == theirs.tbs_response_bytes.replace(stamp, ours)


def test_an_answer_repeats_the_identity_as_the_client_wrote_it() -> None:
    plain = _ask()
    # The parameters of SHA-1 may be NULL or left out, and some clients compare.
    (entry,) = _entries(plain)
    short = entry.raw.replace(bytes.fromhex("300906052b0e03021a0500"), bytes.fromhex("300706052b0e03021a"))
    shortened = bytes([0x30, short[1] - 2, 0x30, short[3] - 2]) + short[4:]
    for request in (plain, _wrap(shortened)):
        question = read_request(request)
        assert question.issuer in issuer_hashes(SCENE.ca.certificate)
        assert question.certificate_id in SCENE.answer(question)


def test_answers_that_cannot_be_are_refused() -> None:
    question = read_request(_ask())
    with pytest.raises(ValueError, match="not later"):
        build_answer(question, "good", responder=SCENE.responder, produced_at=NOW, this_update=NOW, next_update=NOW)
    with pytest.raises(ValueError, match="remove_from_crl"):
        SCENE.answer(question, Revoked(at=NOW, reason=x509.ReasonFlags.remove_from_crl))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (MALFORMED_REQUEST, ocsp.OCSPResponseStatus.MALFORMED_REQUEST),
        (TRY_LATER, ocsp.OCSPResponseStatus.TRY_LATER),
        (UNAUTHORIZED, ocsp.OCSPResponseStatus.UNAUTHORIZED),
    ],
)
def test_unsigned_answers_are_those_of_the_standard(answer: bytes, status: ocsp.OCSPResponseStatus) -> None:
    assert ocsp.load_der_ocsp_response(answer).response_status is status
    assert answer == ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


# The signer's certificate


def test_the_certificate_of_a_signer_is_for_answers_only() -> None:
    draft = draft_ocsp_signer(SCENE.ca.certificate, ec_key().public_key(), now=NOW, life=DAY)
    usage, purposes, no_check, key_id, authority = draft.extensions
    assert isinstance(usage.value, x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    assert purposes.value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    assert no_check.value == x509.OCSPNoCheck()
    assert key_id.value == x509.SubjectKeyIdentifier.from_public_key(draft.public_key)
    assert isinstance(authority.value, x509.AuthorityKeyIdentifier)
    own = SCENE.ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.value.key_identifier == own.digest
    assert (draft.not_before, draft.not_after) == (NOW - timedelta(minutes=5), NOW + DAY)
    assert draft.subject.rfc4514_string() == "CN=OCSP signer,O=Example Trust,C=US"


def test_the_life_of_a_signer_lies_within_that_of_its_authority() -> None:
    ca = make_ca(now=NOW, age=timedelta(minutes=1), days=2).certificate
    draft = draft_ocsp_signer(ca, ec_key().public_key(), now=NOW + timedelta(milliseconds=7), life=7 * DAY)
    assert (draft.not_before, draft.not_after) == (NOW - timedelta(minutes=1), NOW + 2 * DAY)


@pytest.mark.parametrize("offset", [-HOUR, 2 * DAY, 3 * DAY])
def test_an_authority_whose_time_is_over_or_yet_to_come_gets_no_signer(offset: timedelta) -> None:
    ca = make_ca(now=NOW, age=timedelta(minutes=1), days=2).certificate
    with pytest.raises(Conflict, match="valid from 2027-01-15T11:59:00Z to 2027-01-17T12:00:00Z") as caught:
        draft_ocsp_signer(ca, ec_key().public_key(), now=NOW + offset, life=DAY)
    assert caught.value.code is ErrorCode.STATE_FORBIDS


def test_an_authority_without_key_identifier_or_common_name_gets_a_signer_all_the_same() -> None:
    key = ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Trust")])
    bare = x509.CertificateBuilder(name, name, key.public_key(), 5, NOW, NOW + DAY).sign(key, hashes.SHA256())
    draft = draft_ocsp_signer(bare, ec_key().public_key(), now=NOW, life=HOUR)
    assert draft.subject.rfc4514_string() == "CN=OCSP signer,O=Example Trust"
    authority = draft.extensions[-1].value
    assert authority == x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


# A second opinion


class _OpenSsl:
    """Asks and reads answers as a client does, in a folder with the certificates of a scene."""

    def __init__(self, program: Path, folder: Path, scene: Scene) -> None:
        self._program, self._folder = program, folder
        (folder / "ca.pem").write_text(scene.ca.pem)
        (folder / "leaf.pem").write_text(scene.leaf.pem)

    def ask(self, *options: str) -> bytes:
        self._run("-issuer", "ca.pem", *options, "-cert", "leaf.pem", "-reqout", "request.der")
        return (self._folder / "request.der").read_bytes()

    def read(self, answer: bytes, *options: str) -> str:
        """Compare the answer with the request (its nonce), then with the certificate (its status)."""
        (self._folder / "answer.der").write_bytes(answer)
        # Without -no_nonce the program puts a new nonce into the request that it reads.
        shared = ("-CAfile", "ca.pem", "-respin", "answer.der", "-no_nonce")
        compared = self._run("-reqin", "request.der", *shared)
        status = self._run("-issuer", "ca.pem", *options, "-cert", "leaf.pem", *shared)
        return compared.stdout + compared.stderr + status.stdout + status.stderr

    def _run(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._program), "ocsp", *options]
        return subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", SIGNER_KEYS)
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.peers
def test_openssl_asks_and_believes_the_answers(
    kind: str, algorithm: str, tmp_path: Path, requires: Callable[[str], Path]
) -> None:
    now = SystemClock().now().replace(microsecond=0)
    scene = _scene(now, ca_key=rsa_key() if kind == "rsa" else None, signer_key=SIGNER_KEYS[kind]())
    client = _OpenSsl(requires("openssl"), tmp_path, scene)
    question = read_request(client.ask(f"-{algorithm}"))
    assert question.nonce is not None
    assert question.issuer in issuer_hashes(scene.ca.certificate)
    good = client.read(scene.answer(question, now=now), f"-{algorithm}")
    assert "leaf.pem: good" in good, good
    assert "Response verify OK" in good
    revoked = Revoked(at=now - HOUR, reason=x509.ReasonFlags.cessation_of_operation)
    bad = client.read(scene.answer(question, revoked, now=now), f"-{algorithm}")
    assert "leaf.pem: revoked" in bad
    assert "Reason: cessationOfOperation" in bad
    assert "leaf.pem: unknown" in client.read(scene.answer(question, "unknown", now=now), f"-{algorithm}")


@pytest.mark.peers
def test_openssl_notices_a_wrong_nonce_a_stranger_and_an_authority_that_is_not_served(
    tmp_path: Path, requires: Callable[[str], Path]
) -> None:
    now = SystemClock().now().replace(microsecond=0)
    scene = _scene(now)
    client = _OpenSsl(requires("openssl"), tmp_path, scene)
    first, second = read_request(client.ask()), read_request(client.ask())
    assert first.nonce != second.nonce
    assert "Nonce Verify error" in client.read(scene.answer(first, now=now))
    stranger = _scene(now)
    assert second.issuer not in issuer_hashes(stranger.ca.certificate)
    assert "Response Verify Failure" in client.read(stranger.answer(second, now=now))
    assert "unauthorized (6)" in client.read(UNAUTHORIZED)


@pytest.mark.peers
def test_openssl_asks_without_a_nonce_and_takes_an_answer_that_was_kept(
    tmp_path: Path, requires: Callable[[str], Path]
) -> None:
    now = SystemClock().now().replace(microsecond=0)
    scene = _scene(now)
    client = _OpenSsl(requires("openssl"), tmp_path, scene)
    first, second = read_request(client.ask("-no_nonce")), read_request(client.ask("-no_nonce"))
    assert first == second
    assert "leaf.pem: good" in client.read(scene.answer(first, now=now))


@pytest.mark.parametrize("kind", SIGNER_KEYS)
def test_the_linter_finds_nothing_in_answers_and_in_the_certificate_of_their_signer(kind: str) -> None:
    scene = _scene(signer_key=SIGNER_KEYS[kind]())
    assert certificate_findings(scene.responder.certificate.public_bytes(Encoding.DER)) == []
    for status, _expected in _STATUSES.values():
        for request in (_ask(), _WITH_NONCE):
            assert ocsp_findings(scene.answer(read_request(request), status)) == []
