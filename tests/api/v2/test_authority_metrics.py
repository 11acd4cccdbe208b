"""What monitors read about authorities of a running server."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from prometheus_client.parser import text_string_to_metric_families

from tests.api.authorities import REVOKE, SECRETS, act, create_certificate, make_tree
from tests.peers.in_process import InProcess


def samples(server: InProcess, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by those of its labels."""
    answer = server.request("GET", "/metrics", token=server.administrator())
    assert answer.status == 200, answer.raw
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.raw.decode())
        for sample in family.samples
        if sample.name == name
    }


def question_about(leaf: x509.Certificate, issuer: x509.Certificate) -> ocsp.OCSPRequest:
    return ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()


def question_about_another(like: ocsp.OCSPRequest) -> ocsp.OCSPRequest:
    """Return a question about a certificate that the same CA never issued."""
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        like.issuer_name_hash, like.issuer_key_hash, like.serial_number + 1, hashes.SHA256()
    )
    return builder.build()


def ask(server: InProcess, question: ocsp.OCSPRequest) -> None:
    path = base64.b64encode(question.public_bytes(Encoding.DER)).decode().replace("/", "%2F").replace("+", "%2B")
    assert server.request("GET", f"/ocsp/issuing/{path}", token=None).status == 200


def test_ends_lists_and_ocsp_answers_of_a_tree_are_told(server: InProcess) -> None:
    make_tree(server)
    secret = create_certificate(server).json
    leaf, issuer = (x509.load_pem_x509_certificate(secret[name].encode()) for name in ("certificate", "issuing_ca"))
    question = question_about(leaf, issuer)
    ask(server, question)
    ask(server, question)
    assert server.request("POST", f"{SECRETS}/{secret['id']}/actions", {"action_type": REVOKE}).status == 201
    ask(server, question)
    ask(server, question_about_another(question))
    ask(server, question_about(issuer, issuer))
    assert server.request("GET", "/ocsp/issuing/AAAA", token=None).status == 200
    assert server.request("GET", "/ocsp/nobody/AAAA", token=None).status == 200
    assert act(server, "issuing", "rotate_crl").status == 201

    ends = samples(server, "strongroom_ca_certificate_expires_timestamp_seconds")
    lapses = samples(server, "strongroom_crl_next_update_timestamp_seconds")
    answers = samples(server, "strongroom_ocsp_answers_total")

    assert set(ends) == {("root",), ("issuing",)}
    assert ends["issuing",] == issuer.not_valid_after_utc.timestamp()
    (left,) = {value for (name, _), value in lapses.items() if name == "issuing"}
    assert left == server.clock.now().timestamp() + 72 * 3600
    assert {name: count for (name,), count in answers.items()} == {
        "good": 2,
        "revoked": 1,
        "unknown": 1,
        "unauthorized": 1,
        "malformed": 2,
        "try_later": 0,
    }
