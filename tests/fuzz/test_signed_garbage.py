"""Requests and certificates with broken insides and right signatures, and broken OCSP requests: no answer is a bug.

A broken signature is told first, so nothing behind that check would ever be reached otherwise.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from strongroom.pki.armor import encode_pem
from strongroom.pki.ocsp import REQUEST_MEDIA_TYPE
from strongroom.pki.raw import read_certificate
from tests.api.authorities import ACTION, CONFIGURATIONS, EVALUATE, FILES, INTERMEDIATE, SECRETS, TEMPLATE
from tests.conftest import START_OF_TESTS
from tests.factories.certificates import Made, ec_key, make_ca, sign_csr
from tests.fuzz.authorities import plant_authorities
from tests.fuzz.der import break_question, question, request_with_everything, sign_again
from tests.fuzz.effort import MANY
from tests.fuzz.known import Known
from tests.fuzz.wire import Wire, wired
from tests.peers.server import Answer

_KEY: Final = ec_key()
_REQUEST: Final = request_with_everything(_KEY, "www.example.com")
_OUTSIDE_KEY: Final[ec.EllipticCurvePrivateKey] = ec_key()
_OUTSIDE: Final[Made] = make_ca("Example Outside CA", key=_OUTSIDE_KEY, now=START_OF_TESTS)
_SEEDS: Final = st.integers(0, 2**64)
_KNOWN: Final = Known()
_WAITING: Final = {
    "config_type": INTERMEDIATE,
    "common_name": "Example Waiting",
    "max_ttl": "8760h",
    "key_type": "ec",
    "signing_method": "external",
}
_TEMPLATE: Final = {"config_type": TEMPLATE, "max_ttl": "1h", "key_type": "ec", "allow_any_name": True}
_EXPECTED: Final = {200, 201, 400, 409}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with wired(tmp_path_factory.mktemp("garbage") / "data") as running:
        plant_authorities(running.server, _KNOWN, "here", random.Random(1))
        yield running


def _post(wire: Wire, path: str, body: dict[str, Any]) -> Answer:
    wire.bugs.clear()
    answer = wire.ask("POST", path, json.dumps(body).encode())
    assert answer.status in _EXPECTED, (answer.raw, body, wire.bugs)
    return answer


def _broken_request(seed: int) -> str:
    return encode_pem(sign_again(_REQUEST, _KEY, random.Random(seed)), "CERTIFICATE REQUEST")


@MANY
@given(seed=_SEEDS, template=st.sampled_from(["open-here", "strict-here"]))
def test_a_dry_run_for_any_signed_request_is_an_answer(wire: Wire, seed: int, template: str) -> None:
    body = {"secret_type": "private_cert", "certificate_template": template, "csr": _broken_request(seed)}

    _post(wire, EVALUATE, body)


@MANY
@given(seed=_SEEDS)
def test_what_a_dry_run_allows_is_issued(wire: Wire, seed: int) -> None:
    body = {"secret_type": "private_cert", "certificate_template": "open-here", "csr": _broken_request(seed)}
    tried = _post(wire, EVALUATE, body)

    issued = _post(wire, SECRETS, {**body, "name": f"private-{wire.count()}"})

    assert (issued.status == 201) == (tried.status == 200 and tried.json["allowed"]), (tried.raw, issued.raw, body)
    if issued.status == 201:
        assert wire.ask("GET", f"{SECRETS}/{issued.json['id']}").status == 200


@MANY
@given(seed=_SEEDS, use_csr_values=st.booleans())
def test_an_authority_signs_or_refuses_any_signed_request(wire: Wire, seed: int, use_csr_values: bool) -> None:
    body = {
        "action_type": f"{ACTION}sign_csr",
        "csr": _broken_request(seed),
        "use_csr_values": use_csr_values,
        **({} if use_csr_values else {"common_name": "Example Below"}),
    }

    _post(wire, f"{CONFIGURATIONS}/root-here/actions", body)


@MANY
@given(seed=_SEEDS)
def test_an_intermediate_takes_or_refuses_any_certificate_for_its_key(wire: Wire, seed: int) -> None:
    name = f"waiting-{wire.count()}"
    place = f"{CONFIGURATIONS}/{name}"
    csr = _post(wire, CONFIGURATIONS, {**_WAITING, "name": name}).json["data"]["csr"]
    signed = sign_csr(csr, issuer=_OUTSIDE, days=900, now=START_OF_TESTS).certificate.public_bytes(Encoding.DER)
    broken = encode_pem(sign_again(signed, _OUTSIDE_KEY, random.Random(seed)), "CERTIFICATE")
    body = {"action_type": f"{ACTION}set_signed", "certificate": broken + _OUTSIDE.pem}

    taken = _post(wire, f"{place}/actions", body)

    # What was taken must be fit to be shown, fetched, and to sign with.
    assert wire.ask("GET", place).status == 200, (wire.bugs, body)
    if taken.status == 201:
        for file in ("ca", "ca/pem", "ca_chain", "crl", "crl/pem"):
            assert wire.ask("GET", f"{FILES}/{name}/{file}").status == 200, (file, wire.bugs, body)
        _issue_below(wire, name)
    assert wire.ask("DELETE", place).status == 204, wire.bugs


def _issue_below(wire: Wire, authority: str) -> None:
    template = {**_TEMPLATE, "name": authority, "certificate_authority": authority}
    if _post(wire, CONFIGURATIONS, template).status != 201:
        return
    wanted = {"secret_type": "private_cert", "certificate_template": authority, "common_name": "www.example.com"}
    _post(wire, EVALUATE, wanted)
    made = _post(wire, SECRETS, {**wanted, "name": authority})
    if made.status == 201:
        leaf = x509.load_pem_x509_certificate(made.json["certificate"].encode())
        issuer = x509.load_pem_x509_certificate(made.json["issuing_ca"].encode())
        asked = base64.b64decode(question(leaf, issuer))
        # Clients compare names byte by byte.
        assert read_certificate(leaf).issuer == read_certificate(issuer).subject
        answer = wire.exchange("POST", f"/ocsp/{authority}", {"content-type": REQUEST_MEDIA_TYPE}, asked)
        told = ocsp.load_der_ocsp_response(answer.raw)
        assert told.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL, (wire.bugs, made.json["issuing_ca"])
        assert wire.ask("DELETE", f"{SECRETS}/{made.json['id']}").status == 204
    of_template = {"X-Sm-Accept-Configuration-Type": TEMPLATE}
    assert wire.server.request("DELETE", f"{CONFIGURATIONS}/{authority}", headers=of_template).status == 204


@MANY
@given(seed=_SEEDS, by_path=st.booleans(), name=st.sampled_from(["issuing-here", "root-here", "waiting-here"]))
def test_every_question_has_an_ocsp_answer(wire: Wire, seed: int, by_path: bool, name: str) -> None:
    chance = random.Random(seed)
    raw = break_question(chance.choice(_KNOWN.at("request")), chance)
    if by_path:
        text = quote(base64.b64encode(raw).decode() or "=", safe="")
        answer = wire.exchange("GET", f"/ocsp/{name}/{text}", {})
    else:
        answer = wire.exchange("POST", f"/ocsp/{name}", {"content-type": REQUEST_MEDIA_TYPE}, raw)

    assert answer.status == 200, (answer.raw, raw.hex(), wire.bugs)
    told = ocsp.load_der_ocsp_response(answer.raw)
    assert told.response_status is not ocsp.OCSPResponseStatus.INTERNAL_ERROR, raw.hex()
