"""Keys in a real token: found, made, used and refused."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.exceptions import UserAlreadyLoggedIn

from strongroom.hsm import library as library_module
from strongroom.hsm import objects as objects_module
from strongroom.hsm.key_token import Pkcs11KeyToken
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError, Unavailable
from strongroom.pki.draft import Draft, Issuer, SigningKey, sign_draft, signature_hash
from strongroom.pki.keys import KeySpec
from tests.factories.certificates import rsa_key
from tests.peers.softhsm import OTHER_TOKEN, TOKEN, USER_PIN, SoftHsm
from tests.unit.hsm.conftest import PIN_SECRET, Pins

pytestmark = pytest.mark.peers

P256 = KeySpec(kind="ec", bits=256)
SPECS = [P256, KeySpec(kind="ec", bits=384), KeySpec(kind="ec", bits=521), KeySpec(kind="rsa", bits=2048)]
WRONG_PIN = "planted-wrong-pin"

CryptoKey = Callable[..., dict[str, Any]]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.kind}-{spec.bits}")
def spec(request: pytest.FixtureRequest) -> KeySpec:
    kind: KeySpec = request.param
    return kind


@contextmanager
def inside(softhsm: SoftHsm, token_label: str = TOKEN) -> Iterator[pkcs11.Session]:
    """Give a session of our own, to look at objects and to change them; the login is the process's, if it has one."""
    driver = pkcs11.lib(str(softhsm.library))
    token = driver.get_token(token_label=token_label)
    try:
        session = token.open(rw=True, user_pin=USER_PIN)
    except UserAlreadyLoggedIn:
        session = token.open(rw=True)
    try:
        yield session
    finally:
        session.close()


def objects(session: pkcs11.Session, object_class: ObjectClass, key_id: str) -> list[pkcs11.Object]:
    return list(session.get_objects({Attribute.CLASS: object_class, Attribute.ID: bytes.fromhex(key_id)}))


def refused(attempt: Callable[[], object], kind: type[StrongroomError] = Invalid) -> StrongroomError:
    with pytest.raises(kind) as caught:
        attempt()
    for text in (caught.value.diagnostics(), repr(caught.value)):
        assert USER_PIN not in text
        assert WRONG_PIN not in text
    return caught.value


def check_signs(key: SigningKey) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(key.sign(b"x", PKCS1v15(), hashes.SHA256()), b"x", PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        key.public_key().verify(key.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))


# --- made and found


def test_a_generated_key_cannot_leave_the_token(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, spec: KeySpec
) -> None:
    _, stored = token.find_or_generate(crypto_key(), spec)
    with inside(softhsm) as session:
        [private] = objects(session, ObjectClass.PRIVATE_KEY, stored["id"])
        for attribute in ("SENSITIVE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "PRIVATE", "SIGN", "TOKEN"):
            assert private[Attribute[attribute]] is True
        for attribute in ("EXTRACTABLE", "DECRYPT", "UNWRAP", "DERIVE"):
            assert private[Attribute[attribute]] is False
        secret = Attribute.PRIVATE_EXPONENT if spec.kind == "rsa" else Attribute.VALUE
        with pytest.raises(pkcs11.PKCS11Error):
            private[secret]


def test_a_generated_key_is_found_again_by_label_and_by_id(
    token: Pkcs11KeyToken, crypto_key: CryptoKey, spec: KeySpec
) -> None:
    reference = crypto_key()
    made, stored = token.find_or_generate(reference, spec)
    assert stored == {"label": reference["label"], "id": stored["id"], "provider": reference["provider"]}
    by_id = crypto_key(id=stored["id"], allow_generate_key=False)
    for found, again in (token.find_or_generate(reference, spec), token.find_or_generate(by_id, spec)):
        assert found.public_key() == made.public_key()
        assert again["id"] == stored["id"]
    assert token.open(stored).public_key() == made.public_key()


def test_a_key_is_generated_under_the_id_that_was_asked_for(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    key_id = uuid.uuid4().hex
    made, stored = token.find_or_generate(crypto_key(id=key_id), P256)
    assert stored == {"id": key_id, "provider": crypto_key()["provider"]}
    assert token.open(stored).public_key() == made.public_key()


def test_a_key_made_before_a_crash_is_found_and_not_made_twice(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey
) -> None:
    reference = crypto_key()
    first, _ = token.find_or_generate(reference, P256)
    second, stored = token.find_or_generate(reference, P256)
    assert second.public_key() == first.public_key()
    with inside(softhsm) as session:
        found = list(session.get_objects({Attribute.LABEL: reference["label"]}))
    assert len(found) == 2
    assert stored["label"] == reference["label"]


def test_threads_that_want_the_same_new_key_share_one(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    reference = crypto_key()
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda _: token.find_or_generate(reference, P256)[0].public_key(), range(4)))
    assert all(key == keys[0] for key in keys)


def test_a_key_is_found_by_another_process(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, tmp_path: Path
) -> None:
    key, stored = token.find_or_generate(crypto_key(), P256)
    program = f"""
        import sys
        from pathlib import Path
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from strongroom.hsm.key_token import Pkcs11KeyToken
        assert "pkcs11" not in sys.modules, "the driver is loaded when a key is asked for, not before"
        token = Pkcs11KeyToken(Path({str(softhsm.library)!r}), {{{PIN_SECRET!r}: {USER_PIN!r}}}.__getitem__)
        signature = token.open({stored!r}).sign(b"elsewhere", ec.ECDSA(hashes.SHA256()))
        sys.stdout.write(signature.hex())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | softhsm.environment,
        timeout=60,
    )
    public = key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(bytes.fromhex(done.stdout), b"elsewhere", ec.ECDSA(hashes.SHA256()))


def test_keys_of_two_tokens_are_kept_apart(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    reference = crypto_key()
    elsewhere = {**reference, "provider": {**reference["provider"], "token_label": OTHER_TOKEN}}
    here, _ = token.find_or_generate(reference, P256)
    there, _ = token.find_or_generate(elsewhere, P256)
    assert here.public_key() != there.public_key()
    check_signs(here)
    check_signs(there)


# --- signing


def test_openssl_verifies_what_a_token_signed(
    requires: Callable[[str], Path],
    token: Pkcs11KeyToken,
    crypto_key: CryptoKey,
    spec: KeySpec,
    clock: FrozenClock,
    tmp_path: Path,
) -> None:
    openssl = str(requires("openssl"))
    key, _ = token.find_or_generate(crypto_key(), spec)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root")])
    now = clock.now().replace(microsecond=0)
    public = key.public_key()
    key_id = x509.SubjectKeyIdentifier.from_public_key(public)
    draft = Draft(
        subject=subject,
        public_key=public,
        not_before=now,
        not_after=now + timedelta(days=30),
        extensions=(
            x509.Extension(key_id.oid, critical=False, value=key_id),
            *_authority_extensions(),
        ),
    )
    root = sign_draft(draft, Issuer(subject=subject, key=key), 0x1234)
    csr = x509.CertificateSigningRequestBuilder(subject).sign(key, signature_hash(key))
    crl = (
        x509.CertificateRevocationListBuilder(subject)
        .last_update(now)
        .next_update(now + timedelta(days=1))
        .add_revoked_certificate(x509.RevokedCertificateBuilder(0x99, now).build())
        .sign(key, signature_hash(key))
    )
    for name, made in (("root.pem", root), ("request.pem", csr), ("crl.pem", crl)):
        (tmp_path / name).write_bytes(made.public_bytes(Encoding.PEM))
    at = str(int(now.timestamp()) + 60)
    for command in (
        ["verify", "-x509_strict", "-check_ss_sig", "-attime", at, "-CAfile", "root.pem", "root.pem"],
        ["req", "-verify", "-noout", "-in", "request.pem"],
        ["crl", "-verify", "-noout", "-in", "crl.pem", "-CAfile", "root.pem"],
    ):
        done = subprocess.run([openssl, *command], check=False, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "OK" in done.stdout + done.stderr


def _authority_extensions() -> Iterator[x509.Extension[x509.ExtensionType]]:
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    for extension in (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage),
    ):
        yield x509.Extension(extension.oid, critical=True, value=extension)


def test_threads_sign_with_one_key(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    key, _ = token.find_or_generate(crypto_key(), P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    def sign(number: int) -> None:
        data = str(number).encode()
        key.public_key().verify(key.sign(data, ec.ECDSA(hashes.SHA256())), data, ec.ECDSA(hashes.SHA256()))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(sign, range(100)))


def test_one_login_serves_many_signatures(token: Pkcs11KeyToken, crypto_key: CryptoKey, pins: Pins) -> None:
    key, _ = token.find_or_generate(crypto_key(), P256)
    asked = pins.asked
    for _ in range(3):
        check_signs(key)
    assert pins.asked == asked


def test_signing_goes_on_after_the_session_was_lost(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, spec: KeySpec
) -> None:
    key, stored = token.find_or_generate(crypto_key(), spec)
    pkcs11.lib(str(softhsm.library)).reinitialize()
    check_signs(key)
    pkcs11.lib(str(softhsm.library)).reinitialize()
    check_signs(token.open(stored))


def test_private_bytes_are_refused(token: Pkcs11KeyToken, crypto_key: CryptoKey, spec: KeySpec) -> None:
    key, _ = token.find_or_generate(crypto_key(), spec)
    problem = refused(lambda: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert problem.code is ErrorCode.NOT_SUPPORTED
    assert "never leaves" in problem.detail


def test_no_repr_shows_the_pin(token: Pkcs11KeyToken, crypto_key: CryptoKey, softhsm: SoftHsm) -> None:
    key, _ = token.find_or_generate(crypto_key(), P256)
    library = library_module.load_library(softhsm.library)
    for thing in (key, vars(key), token, library, vars(library)):
        assert USER_PIN not in repr(thing)


# --- PINs


def test_a_wrong_pin_is_refused_and_tried_only_once(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, pins: Pins
) -> None:
    key, stored = token.find_or_generate(crypto_key(), P256)
    pins.values["other"] = WRONG_PIN
    reference = crypto_key(pin_secret_id="other")
    first = refused(lambda: token.find_or_generate(reference, P256))
    again = refused(lambda: token.find_or_generate(reference, P256))
    assert (first.code, first.field) == (ErrorCode.INVALID_FIELD, "crypto_key.provider.pin_secret_id")
    assert "is wrong" in first.detail
    assert "was refused before and is not tried again" in again.detail
    # Others go on, and a stored key with that PIN is a matter of the server.
    check_signs(key)
    later = {**stored, "provider": {**stored["provider"], "pin_secret_id": "other"}}
    assert refused(lambda: token.open(later), Unavailable).code is ErrorCode.UNAVAILABLE


def test_a_right_login_does_not_let_another_pin_pass(token: Pkcs11KeyToken, crypto_key: CryptoKey, pins: Pins) -> None:
    _, stored = token.find_or_generate(crypto_key(), P256)
    pins.values["other"] = "planted-wrong-pin-2"
    reference = {**stored, "provider": {**stored["provider"], "pin_secret_id": "other"}}
    assert "is wrong" in refused(lambda: token.find_or_generate(reference, P256)).detail


def test_a_changed_pin_takes_over(softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, pins: Pins) -> None:
    key, stored = token.find_or_generate(crypto_key(token_label=OTHER_TOKEN), P256)
    changed = "planted-changed-pin"
    _change_pin(softhsm, USER_PIN, changed)
    try:
        pins.values[PIN_SECRET] = changed
        check_signs(token.open(stored))
        check_signs(key)
    finally:
        _change_pin(softhsm, changed, USER_PIN)
        pins.values[PIN_SECRET] = USER_PIN
        token.open(stored)


def _change_pin(softhsm: SoftHsm, old: str, new: str) -> None:
    with inside(softhsm, OTHER_TOKEN) as session:
        session.set_pin(old, new)


def test_a_secret_that_is_gone_is_the_servers_trouble_when_signing(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, pins: Pins
) -> None:
    def gone(secret_id: str) -> str:
        raise Invalid(ErrorCode.INVALID_FIELD, f"There is no secret {secret_id}.")

    key, _ = Pkcs11KeyToken(softhsm.library, pins).find_or_generate(crypto_key(), P256)
    check_signs(key)
    without = Pkcs11KeyToken(softhsm.library, gone)
    assert "no secret" in refused(lambda: without.open(crypto_key()), Unavailable).detail


# --- refused


def test_an_absent_key_is_refused_unless_it_may_be_generated(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    for reference, field in (
        (crypto_key(allow_generate_key=False), "crypto_key.label"),
        (crypto_key(id=uuid.uuid4().hex, allow_generate_key=False), "crypto_key.id"),
    ):
        problem = refused(lambda reference=reference: token.find_or_generate(reference, P256))  # type: ignore[misc]
        assert (problem.code, problem.field) == (ErrorCode.INVALID_FIELD, field)
        assert "allow_generate_key" in str(problem.hint)
        assert "any more" in refused(lambda reference=reference: token.open(reference), Unavailable).detail  # type: ignore[misc]


def test_an_absent_token_is_refused(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    reference = crypto_key(token_label="nowhere")
    problem = refused(lambda: token.find_or_generate(reference, P256))
    assert problem.field == "crypto_key.provider.token_label"
    assert "no token with the label 'nowhere'" in problem.detail
    refused(lambda: token.open(reference), Unavailable)


def test_a_key_of_another_kind_is_refused(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    reference = crypto_key()
    token.find_or_generate(reference, P256)
    bits = refused(lambda: token.find_or_generate(reference, replace(P256, bits=384)))
    kind = refused(lambda: token.find_or_generate(reference, KeySpec(kind="rsa", bits=2048)))
    assert (bits.field, kind.field) == ("key_bits", "key_type")
    assert "is ec with 256 bits, not rsa with 2048 bits" in kind.detail


def test_a_token_is_not_asked_for_other_kinds_of_keys(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    problem = refused(lambda: token.find_or_generate(crypto_key(), KeySpec(kind="ed25519", bits=0)))
    assert problem.field == "key_type"


def test_a_kind_that_the_token_does_not_make_is_refused(
    token: Pkcs11KeyToken, crypto_key: CryptoKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_here(*_: object) -> None:
        raise pkcs11.MechanismInvalid

    monkeypatch.setattr(objects_module, "generate_key", not_here)
    problem = refused(lambda: token.find_or_generate(crypto_key(), KeySpec(kind="rsa", bits=8192)))
    assert problem.field == "crypto_key"
    assert "does not make rsa keys of 8192 bits (MechanismInvalid)" in problem.detail


def test_a_token_that_fails_is_unavailable_and_used_again_later(
    token: Pkcs11KeyToken, crypto_key: CryptoKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise pkcs11.DeviceError

    key, stored = token.find_or_generate(crypto_key(), P256)
    with monkeypatch.context() as broken:
        broken.setattr(objects_module, "generate_key", fail)
        broken.setattr(objects_module, "find_key", fail)
        broken.setattr(objects_module, "sign_with", fail)
        for attempt in (
            lambda: token.open(crypto_key()),
            lambda: token.find_or_generate(crypto_key(), P256),
            lambda: check_signs(key),
        ):
            problem = refused(attempt, Unavailable)
            assert problem.code is ErrorCode.UNAVAILABLE
            assert "failed (DeviceError)" in problem.detail
    check_signs(key)
    check_signs(token.open(stored))


def test_a_private_key_without_public_key_object_is_refused(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, spec: KeySpec
) -> None:
    reference = crypto_key()
    _, stored = token.find_or_generate(reference, spec)
    with inside(softhsm) as session:
        for public in objects(session, ObjectClass.PUBLIC_KEY, stored["id"]):
            public.destroy()
    problem = refused(lambda: token.find_or_generate(reference, spec))
    assert problem.field == "crypto_key.label"
    assert f"no public key object with the id {stored['id']}" in problem.detail


def test_a_public_key_object_of_another_key_is_refused(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey
) -> None:
    reference = crypto_key()
    _, stored = token.find_or_generate(reference, P256)
    _, other = token.find_or_generate(crypto_key(), P256)
    with inside(softhsm) as session:
        objects(session, ObjectClass.PUBLIC_KEY, stored["id"])[0].destroy()
        foreign = objects(session, ObjectClass.PUBLIC_KEY, other["id"])[0]
        foreign.copy({Attribute.ID: bytes.fromhex(stored["id"]), Attribute.TOKEN: True})
    assert "belongs to another key" in refused(lambda: token.find_or_generate(reference, P256)).detail


def test_keys_that_cannot_be_told_apart_are_refused(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey
) -> None:
    reference = crypto_key()
    _, first = token.find_or_generate(reference, P256)
    _, second = token.find_or_generate(crypto_key(), P256)
    with inside(softhsm) as session:
        objects(session, ObjectClass.PRIVATE_KEY, second["id"])[0][Attribute.LABEL] = reference["label"]
    assert "2 private keys" in refused(lambda: token.find_or_generate(reference, P256)).detail
    assert token.find_or_generate(crypto_key(id=first["id"]), P256)[1]["id"] == first["id"]


def test_a_label_and_an_id_of_different_keys_are_refused(token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    _, first = token.find_or_generate(crypto_key(), P256)
    new_id = uuid.uuid4().hex
    by_label = refused(lambda: token.find_or_generate(crypto_key(label=first["label"], id=new_id), P256))
    by_id = refused(lambda: token.find_or_generate(crypto_key(label="another", id=first["id"]), P256))
    assert "but another id" in by_label.detail
    assert "but another label" in by_id.detail


def test_a_private_key_without_id_or_that_may_not_sign_is_refused(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey
) -> None:
    nameless, silent = crypto_key(), crypto_key()
    for reference, changes in ((nameless, {Attribute.ID: b""}), (silent, {Attribute.SIGN: False})):
        _import_key(softhsm, reference["label"], changes)
    assert "no ID" in refused(lambda: token.find_or_generate(nameless, KeySpec(kind="rsa", bits=2048))).detail
    assert "CKA_SIGN" in refused(lambda: token.find_or_generate(silent, KeySpec(kind="rsa", bits=2048))).detail


def test_a_key_that_is_neither_rsa_nor_ec_is_refused(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey
) -> None:
    reference = crypto_key()
    with inside(softhsm) as session:
        oid = bytes.fromhex("130c656477617264733235353139")
        domain = session.create_domain_parameters(KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: oid}, local=True)
        domain.generate_keypair(
            id=b"ed", label=reference["label"], store=True, mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        )
    assert "neither RSA nor EC" in refused(lambda: token.find_or_generate(reference, P256)).detail


def test_an_imported_key_signs(softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    reference = crypto_key(allow_generate_key=False)
    _import_key(softhsm, reference["label"], {Attribute.ID: uuid.uuid4().bytes})
    key, _ = token.find_or_generate(reference, KeySpec(kind="rsa", bits=2048))
    assert key.public_key() == rsa_key().public_key()
    check_signs(key)


def test_a_key_that_asks_for_the_pin_each_time_signs(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey
) -> None:
    reference = crypto_key(allow_generate_key=False)
    _import_key(softhsm, reference["label"], {Attribute.ID: uuid.uuid4().bytes, Attribute.ALWAYS_AUTHENTICATE: True})
    key, _ = token.find_or_generate(reference, KeySpec(kind="rsa", bits=2048))
    check_signs(key)
    check_signs(key)


def _import_key(softhsm: SoftHsm, label: str, changes: dict[Attribute, Any]) -> None:
    numbers = rsa_key().private_numbers()
    public = {
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: True,
        Attribute.LABEL: label,
        Attribute.ID: changes.get(Attribute.ID, b"imported"),
        Attribute.MODULUS: _octets(numbers.public_numbers.n),
        Attribute.PUBLIC_EXPONENT: _octets(numbers.public_numbers.e),
    }
    private = {
        **public,
        Attribute.SIGN: True,
        Attribute.SENSITIVE: True,
        Attribute.PRIVATE: True,
        Attribute.PRIVATE_EXPONENT: _octets(numbers.d),
        Attribute.PRIME_1: _octets(numbers.p),
        Attribute.PRIME_2: _octets(numbers.q),
        Attribute.EXPONENT_1: _octets(numbers.dmp1),
        Attribute.EXPONENT_2: _octets(numbers.dmq1),
        Attribute.COEFFICIENT: _octets(numbers.iqmp),
    }
    with inside(softhsm) as session:
        session.create_object({Attribute.CLASS: ObjectClass.PUBLIC_KEY, **public})
        session.create_object({Attribute.CLASS: ObjectClass.PRIVATE_KEY, **private, **changes})


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


# --- what may happen to a key in use


def test_a_key_that_was_deleted_is_told(softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    key, stored = token.find_or_generate(crypto_key(), P256)
    with inside(softhsm) as session:
        objects(session, ObjectClass.PRIVATE_KEY, stored["id"])[0].destroy()
    problem = refused(lambda: check_signs(key), Unavailable)
    assert problem.code is ErrorCode.UNAVAILABLE
    assert "is not there any more" in problem.detail


def test_a_key_that_was_replaced_does_not_sign(softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey) -> None:
    reference = crypto_key()
    key, stored = token.find_or_generate(reference, P256)
    with inside(softhsm) as session:
        for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
            objects(session, kind, stored["id"])[0].destroy()
    token.find_or_generate({**stored, "allow_generate_key": True}, P256)
    assert "is another key than before" in refused(lambda: check_signs(key), Unavailable).detail


# --- the library


def test_without_a_library_keys_in_tokens_are_not_supported(crypto_key: CryptoKey, pins: Pins) -> None:
    token = Pkcs11KeyToken(None, pins)
    problem = refused(lambda: token.find_or_generate(crypto_key(), P256))
    assert (problem.code, problem.field) == (ErrorCode.NOT_SUPPORTED, "crypto_key")
    assert "pkcs11_library" in str(problem.hint)
    refused(lambda: token.open(crypto_key()), Unavailable)


def test_without_the_driver_keys_in_tokens_are_not_supported(
    softhsm: SoftHsm, token: Pkcs11KeyToken, crypto_key: CryptoKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "strongroom.hsm.library")
    monkeypatch.delitem(sys.modules, "strongroom.hsm.objects")
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    problem = refused(lambda: token.find_or_generate(crypto_key(), P256))
    assert problem.code is ErrorCode.NOT_SUPPORTED
    assert "extra hsm" in str(problem.hint)


def test_a_library_that_does_not_load_is_told_without_its_path(
    crypto_key: CryptoKey, pins: Pins, tmp_path: Path
) -> None:
    problem = refused(
        lambda: Pkcs11KeyToken(tmp_path / "missing.so", pins).find_or_generate(crypto_key(), P256), Unavailable
    )
    assert "cannot be loaded" in problem.detail
    assert str(tmp_path) not in problem.diagnostics()
