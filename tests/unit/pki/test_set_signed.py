from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.armor import encode_pem
from strongroom.pki.draft import Draft, new_serial
from strongroom.pki.extensions import build_key_ids, build_key_usage, extension
from strongroom.pki.raw import read_certificate
from strongroom.pki.set_signed import check_signed
from tests.factories.authorities import NOW, make_intermediate, make_request, make_root, sign
from tests.factories.certificates import Made, ec_key, make_ca, make_leaf

ROOT = make_root()
POLICY = make_intermediate(ROOT, members={"common_name": "Example Policy CA"})
KEY = ec_key()
_, CSR = make_request(KEY)
OWN = make_intermediate(POLICY, key=KEY)
OWN_SERIAL = read_certificate(OWN.certificate).serial
OWN_SUBJECT = read_certificate(OWN.certificate).subject
STRANGER = make_root(common_name="Stranger")


def _check(
    *certificates: Made, known: tuple[x509.Certificate, ...] = ()
) -> tuple[x509.Certificate, list[x509.Certificate]]:
    return check_signed("".join(made.pem for made in certificates), CSR, NOW, known)


def _refused(*certificates: Made) -> tuple[ErrorCode, str | None, str]:
    with pytest.raises(Invalid) as caught:
        _check(*certificates)
    return caught.value.code, caught.value.field, caught.value.detail


def test_the_certificate_may_come_alone_or_with_its_chain_in_any_order() -> None:
    own, policy, root = OWN.certificate, POLICY.certificate, ROOT.certificate
    assert _check(OWN) == (own, [])
    assert _check(OWN, POLICY) == (own, [policy])
    assert _check(ROOT, OWN, POLICY) == (own, [policy, root])
    assert _check(OWN, OWN, POLICY) == (own, [policy])


def test_a_chain_is_completed_with_authorities_that_are_known() -> None:
    known = (STRANGER.certificate, ROOT.certificate, POLICY.certificate)
    assert _check(OWN, known=known) == (OWN.certificate, [POLICY.certificate, ROOT.certificate])


def test_a_certificate_for_another_key_is_refused() -> None:
    assert _refused(POLICY)[:2] == (ErrorCode.CSR_KEY_MISMATCH, "certificate")


def test_what_does_not_belong_to_the_chain_is_refused() -> None:
    code, field, detail = _refused(OWN, STRANGER)
    assert (code, field) == (ErrorCode.CHAIN_UNRELATED, "certificate")
    assert "CN=Stranger" in detail


def test_an_issuer_that_only_has_the_right_name_is_refused() -> None:
    impostor = make_ca("Example Policy CA", issuer=ROOT, now=NOW)
    assert _refused(OWN, impostor)[0] is ErrorCode.CHAIN_UNRELATED


def test_a_certificate_that_is_over_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        check_signed(OWN.pem, CSR, NOW + timedelta(days=1500))
    assert caught.value.code is ErrorCode.CERTIFICATE_EXPIRED
    old = make_ca("Old Root", days=1, now=NOW - timedelta(days=9))
    code, _, detail = _refused(_signed([_ca()], issuer=old), old)
    assert code is ErrorCode.CERTIFICATE_EXPIRED
    assert "CN=Old Root" in detail


BASIC_CONSTRAINTS = x509.BasicConstraints.oid


def _ca(*, path_length: int | None = None) -> x509.Extension[x509.ExtensionType]:
    return extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)


def _signed(
    extensions: list[x509.Extension[x509.ExtensionType]],
    *,
    issuer: Made = ROOT,
    usage: tuple[str, ...] = ("CertSign",),
    subject: x509.Name = CSR.subject,
) -> Made:
    draft = Draft(
        subject=subject,
        public_key=KEY.public_key(),
        not_before=NOW.replace(microsecond=0),
        not_after=NOW.replace(microsecond=0) + timedelta(days=30),
        extensions=(*extensions, *build_key_usage(usage), *build_key_ids(KEY.public_key(), issuer.certificate)),
    )
    return sign(draft, issuer, KEY)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_signed([]), "basic constraints say no CA"),
        (_signed([extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)]), "no CA"),
        (_signed([_ca()], usage=("DigitalSignature",)), "lacks keyCertSign"),
        (_signed([_ca()], usage=()), "has no key usage"),
        (_signed([_ca()], subject=x509.Name([])), "empty subject"),
        (
            _signed(
                [extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.19"), b"\x05"), critical=True)]
            ),
            "cannot be read",
        ),
    ],
)
def test_certificates_that_are_none_of_an_authority_are_refused(made: Made, reason: str) -> None:
    code, field, detail = _refused(made)
    assert (code, field) == (ErrorCode.INVALID_FIELD, "certificate")
    assert reason in detail


def _patched(old: bytes, new: bytes) -> str:
    return encode_pem(OWN.der.replace(old, new), "CERTIFICATE")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_patched(OWN_SERIAL, b"\x80" + OWN_SERIAL[1:]), "has the serial number -7f:"),
        (_patched(OWN_SUBJECT, OWN_SUBJECT[:-1] + b"\xff"), "has a subject that cannot be read"),
    ],
)
def test_a_certificate_that_could_not_be_an_issuer_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_signed(text, CSR, NOW)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_FIELD, "certificate")
    assert reason in caught.value.detail


def test_an_issuer_that_may_sign_no_authority_is_refused() -> None:
    narrow = make_root(common_name="Narrow Root", max_path_length=0)
    assert "allows 0 certificate authorities below it" in _refused(_signed([_ca()], issuer=narrow), narrow)[2]
    leaf = make_leaf(issuer=ROOT, now=NOW)
    assert "is not that of a certificate authority" in _refused(_signed([_ca()], issuer=leaf), leaf)[2]
    # Old roots have no key usage.
    old = make_ca("Old Root", now=NOW)
    assert _check(_signed([_ca()], issuer=old), old)[1] == [old.certificate]


def test_text_that_is_no_certificate_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        check_signed("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", CSR, NOW)
    assert (caught.value.code, caught.value.field) == (ErrorCode.CERTIFICATE_UNREADABLE, "certificate")


def test_a_certificate_that_openssl_signed_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(ROOT.pem)
    (tmp_path / "ca.key").write_text(ROOT.key_pem)
    (tmp_path / "csr.pem").write_bytes(CSR.public_bytes(Encoding.PEM))
    (tmp_path / "ext.cnf").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    command = ["openssl", "x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "36500"]
    command += ["-set_serial", str(new_serial()), "-extfile", "ext.cnf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    own, chain = check_signed(done.stdout + ROOT.pem, CSR, NOW)
    assert own.subject == CSR.subject
    assert chain == [ROOT.certificate]
