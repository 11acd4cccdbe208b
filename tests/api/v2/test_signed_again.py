"""A CA that gets another certificate for the same key: what it issued before must stay checkable."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from strongroom.kernel.errors import ErrorCode
from strongroom.pki.ocsp import issuer_hashes
from tests.api.authorities import (
    CONFIGURATIONS,
    FILES,
    act,
    create_certificate,
    create_intermediate,
    create_root,
    create_template,
    make_tree,
    sign,
)
from tests.peers.in_process import InProcess


def certificate_of(server: InProcess, name: str) -> x509.Certificate:
    pem = server.request("GET", f"{CONFIGURATIONS}/{name}").json["data"]["certificate"]
    return x509.load_pem_x509_certificate(pem.encode())


def published_list(server: InProcess) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(server.request("GET", f"{FILES}/issuing/crl", token=None).raw)


def signer_of_answers(server: InProcess, issuer: x509.Certificate) -> x509.Certificate:
    named = next(item for item in issuer_hashes(issuer) if len(item.name) == hashes.SHA256.digest_size)
    question = ocsp.OCSPRequestBuilder().add_certificate_by_hash(named.name, named.key, 7, hashes.SHA256())
    headers = {"content-type": "application/ocsp-request"}
    raw = question.build().public_bytes(Encoding.DER)
    answer = server.request("POST", "/ocsp/issuing", raw=raw, headers=headers, token=None)
    return ocsp.load_der_ocsp_response(answer.raw).certificates[0]


def test_the_same_name_may_be_signed_again_at_any_time(server: InProcess) -> None:
    make_tree(server)
    before = certificate_of(server, "issuing")
    create_certificate(server)

    assert sign(server).status == 201

    after = certificate_of(server, "issuing")
    assert after.subject == before.subject
    assert after.serial_number != before.serial_number
    assert published_list(server).issuer == after.subject


@pytest.mark.parametrize("is_revoked", [False, True])
def test_an_authority_that_has_issued_keeps_its_name(server: InProcess, is_revoked: bool) -> None:
    make_tree(server)
    before = certificate_of(server, "issuing")
    secret = create_certificate(server).json
    if is_revoked:
        path = f"/api/v2/secrets/{secret['id']}/actions"
        server.request("POST", path, {"action_type": "private_cert_action_revoke_certificate"})

    refused = sign(server, common_name="Another CA")

    assert refused.status == 400
    assert refused.json["errors"][0]["code"] == ErrorCode.STATE_FORBIDS
    assert certificate_of(server, "issuing") == before


def test_a_name_that_nobody_has_a_certificate_of_yet_may_be_put_right(server: InProcess) -> None:
    make_tree(server)
    before = certificate_of(server, "issuing")
    assert published_list(server).issuer == before.subject
    assert signer_of_answers(server, before).issuer == before.subject

    assert sign(server, common_name="Another CA").status == 201

    after = certificate_of(server, "issuing")
    assert after.subject != before.subject
    assert published_list(server).issuer == after.subject
    assert signer_of_answers(server, after).issuer == after.subject


def test_a_certificate_from_outside_keeps_the_name_as_well(server: InProcess) -> None:
    create_root(server)
    create_intermediate(server, signing_method="external", issuer=...)
    csr = server.request("GET", f"{CONFIGURATIONS}/issuing").json["data"]["csr"]
    first, same, other = (
        act(server, "root", "sign_csr", csr=csr, **named).json["data"]["certificate"]
        for named in ({}, {}, {"common_name": "Another CA"})
    )
    assert act(server, "issuing", "set_signed", certificate=first).status == 201
    assert create_template(server).status == 201
    assert create_certificate(server).status == 201

    assert act(server, "issuing", "set_signed", certificate=same).status == 201
    assert act(server, "issuing", "set_signed", certificate=other).status == 400
