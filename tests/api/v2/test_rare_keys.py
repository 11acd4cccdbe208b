"""Keys at both ends of what is offered: RSA of 8192 bits, and P-224 where the operator allows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from strongroom.kernel.clock import FrozenClock
from strongroom.pki.keys import IssuedKey, KeySpec
from strongroom.runtime.key_pool import KeyPool
from tests.api.authorities import (
    CONFIGURATIONS,
    FILES,
    create_certificate,
    create_intermediate,
    create_root,
    create_template,
)
from tests.factories.certificates import ec_key, make_csr, rsa_key
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
RSA_8192: Any = {"key_type": "rsa", "key_bits": 8192}
P_224: Any = {"key_type": "ec", "key_bits": 224}


@pytest.fixture
def lenient(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InProcess]:
    """Give a server that allows P-224, and takes the kept key of 8192 bits in place of making one for a minute."""
    take = KeyPool.take

    def take_kept(self: KeyPool, spec: KeySpec) -> IssuedKey:
        return rsa_key(8192) if (spec.kind, spec.bits) == ("rsa", 8192) else take(self, spec)

    monkeypatch.setattr(KeyPool, "take", take_kept)
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock, allow_p224=True) as server:
        yield server


def certificate_of(answer: Answer) -> x509.Certificate:
    assert answer.status == 201, answer.raw
    return x509.load_pem_x509_certificate(answer.json["certificate"].encode())


def make_authorities(server: InProcess, **key: Any) -> None:
    for answer in (create_root(server, **key), create_intermediate(server, auto_sign=True, **key)):
        assert answer.status == 201, answer.raw


def hold_to_issuers(server: InProcess, leaf: x509.Certificate) -> list[PublicKey]:
    """Verify a certificate up to the root, and the list of each CA; return the keys of the CAs, nearest first."""
    above = [
        x509.load_der_x509_certificate(server.request("GET", f"{FILES}/{name}/ca", token=None).raw)
        for name in ("issuing", "root")
    ]
    for certificate, issuer in zip([leaf, *above], [*above, above[-1]], strict=True):
        certificate.verify_directly_issued_by(issuer)
    keys = [cast("PublicKey", issuer.public_key()) for issuer in above]
    for name, key in zip(("issuing", "root"), keys, strict=True):
        listed = x509.load_der_x509_crl(server.request("GET", f"{FILES}/{name}/crl", token=None).raw)
        assert listed.is_signature_valid(key)
    return keys


@pytest.mark.parametrize(
    ("authority", "leaf", "algorithm"),
    [(RSA_8192, P_224, "ECDSA224"), (P_224, RSA_8192, "RSA8192")],
    ids=["rsa-8192 above p-224", "p-224 above rsa-8192"],
)
def test_rare_keys_serve_authorities_and_certificates(
    lenient: InProcess, authority: dict[str, Any], leaf: dict[str, Any], algorithm: str
) -> None:
    make_authorities(lenient, **authority)
    assert create_template(lenient, **leaf).status == 201

    issued = create_certificate(lenient)

    above = hold_to_issuers(lenient, certificate_of(issued))
    shown = [lenient.request("GET", f"{CONFIGURATIONS}/{name}").json for name in ("issuing", "root")]
    assert issued.json["key_algorithm"] == algorithm
    assert [{name: item[name] for name in authority} for item in shown] == [authority] * 2
    assert [item.key_size for item in above] == [authority["key_bits"]] * 2


@pytest.mark.parametrize("leaf", [RSA_8192, P_224], ids=["rsa-8192", "p-224"])
def test_requests_for_rare_keys_are_signed(lenient: InProcess, leaf: dict[str, Any]) -> None:
    make_authorities(lenient)
    assert create_template(lenient, allow_any_name=True, **leaf).status == 201
    key = rsa_key(8192) if leaf is RSA_8192 else ec_key(ec.SECP224R1())

    issued = create_certificate(lenient, csr=make_csr(key))

    certificate = certificate_of(issued)
    hold_to_issuers(lenient, certificate)
    assert certificate.public_key() == key.public_key()
