"""What anybody may fetch of a CA: for how long, in which words, and at whose cost."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from strongroom.domain.authorities.crls import Crls
from strongroom.domain.authorities.keys import AuthorityKeys
from strongroom.kernel.errors import ErrorCode, Unavailable
from tests.api.authorities import (
    FILES,
    create_certificate,
    create_intermediate,
    create_root,
    create_template,
    make_tree,
)
from tests.peers.in_process import InProcess, exchange
from tests.peers.server import Answer

_OCSP = "application/ocsp-response"


def question_about(issued: dict[str, Any], nonce: bytes | None = None) -> bytes:
    leaf = x509.load_pem_x509_certificate(issued["certificate"].encode())
    issuer = x509.load_pem_x509_certificate(issued["issuing_ca"].encode())
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def ask(server: InProcess, question: bytes) -> Answer:
    headers = {"content-type": "application/ocsp-request"}
    return server.request("POST", "/ocsp/issuing", raw=question, headers=headers, token=None)


def status_of(answer: Answer) -> ocsp.OCSPResponseStatus:
    assert (answer.status, answer.headers["content-type"]) == (200, _OCSP), answer.raw
    return ocsp.load_der_ocsp_response(answer.raw).response_status


def pass_to(server: InProcess, at: datetime) -> None:
    server.clock.advance(at - server.clock.now())


def issue_below_a_short_life(server: InProcess) -> tuple[dict[str, Any], datetime]:
    """Return a certificate, and when its CA ends: in an hour."""
    create_root(server)
    create_intermediate(server, auto_sign=True, max_ttl="1h")
    create_template(server, max_ttl="1h", ttl="30m")
    issued = create_certificate(server).json
    return issued, x509.load_pem_x509_certificate(issued["issuing_ca"].encode()).not_valid_after_utc


@pytest.mark.parametrize("path", [f"{FILES}/issuing/crl", f"{FILES}/issuing/ca", f"{FILES}/issuing/ca_chain"])
def test_caches_are_told_one_thing_only(server: InProcess, path: str) -> None:
    make_tree(server)
    told: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def watch(message: Any) -> None:
            told.extend(value for name, value in message.get("headers", ()) if name == b"cache-control")
            await send(message)

        await server.container.app(scope, receive, watch)

    asyncio.run(exchange(app, "GET", path, {"host": "strongroom.example.com"}, b""))

    assert [value.partition(b"=")[0] for value in told] == [b"public, max-age"]


def test_questions_in_the_last_minutes_of_a_ca_make_no_new_signers(server: InProcess) -> None:
    issued, end = issue_below_a_short_life(server)
    pass_to(server, end - timedelta(seconds=50))

    answers = [ask(server, question_about(issued, bytes([number]) * 16)) for number in range(4)]

    signers = {ocsp.load_der_ocsp_response(answer.raw).certificates[0].serial_number for answer in answers}
    assert len(signers) == 1


def test_a_ca_that_has_ended_answers_no_question_in_the_words_of_the_protocol(server: InProcess) -> None:
    issued, end = issue_below_a_short_life(server)
    asked_before = [status_of(ask(server, question_about(issued)))]
    pass_to(server, end - timedelta(seconds=1))
    asked_before.append(status_of(ask(server, question_about(issued))))
    pass_to(server, end)

    after = ask(server, question_about(issued))

    assert asked_before == [ocsp.OCSPResponseStatus.SUCCESSFUL] * 2
    assert status_of(after) is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert server.request("GET", f"{FILES}/issuing/crl", token=None).status == 200


def test_clients_are_asked_to_come_back_when_the_key_of_a_ca_is_away(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(server)
    issued = create_certificate(server).json

    def away(*_: object) -> Any:
        raise Unavailable(ErrorCode.UNAVAILABLE, "The token does not answer.")

    monkeypatch.setattr(AuthorityKeys, "of", away)

    assert status_of(ask(server, question_about(issued))) is ocsp.OCSPResponseStatus.TRY_LATER


def test_a_question_of_many_kilobytes_is_refused_before_it_is_kept(server: InProcess) -> None:
    make_tree(server)

    assert status_of(ask(server, b"0" * 60_000)) is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert ask(server, b"0" * 70_000).status == 413


def test_everybody_who_fetches_a_list_is_sent_the_same_one(server: InProcess) -> None:
    make_tree(server)
    publishing = server.container.services.authorities.publishing

    first, second = publishing.crl("issuing", None), publishing.crl("issuing", None)
    server.request(
        "POST",
        f"/api/v2/secrets/{create_certificate(server).json['id']}/actions",
        {"action_type": "private_cert_action_revoke_certificate"},
    )
    third = publishing.crl("issuing", None)

    # The stored one is read once; the very first call returns what it has just built.
    assert second.der == first.der
    assert publishing.crl("issuing", None) is publishing.crl("issuing", None)
    assert third.number > second.number


def test_a_list_of_a_ca_whose_time_has_not_come_is_published(server: InProcess) -> None:
    make_tree(server)
    server.clock.advance(-timedelta(days=10))

    answer = server.request("GET", f"{FILES}/issuing/crl", token=None)

    assert answer.status == 200
    assert x509.load_der_x509_crl(answer.raw).last_update_utc <= server.clock.now()


def test_lists_that_everybody_waits_for_keep_nobody_from_reading_secrets(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(server)
    begun, over = threading.Semaphore(0), threading.Event()

    def stuck(*_: object) -> Any:
        begun.release()
        assert over.wait(30)
        raise Unavailable(ErrorCode.UNAVAILABLE, "The token does not answer.")

    monkeypatch.setattr(Crls, "current", stuck)
    token = server.administrator()
    plain = {"host": "strongroom.example.com"}

    async def run() -> tuple[int, list[int]]:
        app = server.container.app
        fetches = [asyncio.create_task(exchange(app, "GET", f"{FILES}/issuing/crl", plain, b"")) for _ in range(20)]
        await asyncio.to_thread(begun.acquire)
        try:
            login = {**plain, "authorization": f"Bearer {token}"}
            listed = await asyncio.wait_for(exchange(app, "GET", "/api/v2/secrets", login, b""), 10)
        finally:
            over.set()
        return listed.status, [(await fetch).status for fetch in fetches]

    listed, fetched = asyncio.run(run())

    assert listed == 200
    assert fetched == [503] * 20
