"""Mutated certificates, keys and chains: each import is taken or refused with a reason, and nothing in between."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.kernel.errors import Invalid
from strongroom.pki.intake import examine_import
from strongroom.pki.load import load_certificates, load_csr, load_private_key
from strongroom.pki.recognise import recognise_der, recognise_text
from tests.conftest import START_OF_TESTS
from tests.factories.certificates import ec_key, key_to_der, key_to_pem, make_ca, make_csr, make_leaf, rsa_key
from tests.fuzz.effort import MANY
from tests.fuzz.wire import Wire, wired

_CA = make_ca(now=START_OF_TESTS)
_EC = make_leaf(300, issuer=_CA, now=START_OF_TESTS, names=("www.example.com", "192.0.2.1", "person@example.com"))
_RSA = make_leaf(300, key=rsa_key(), issuer=_CA, now=START_OF_TESTS)
_DER = [_EC.der, _RSA.der, _CA.der, key_to_der(_EC.key), key_to_der(ec_key()), key_to_der(rsa_key())]
_TEXTS = [_EC.pem, _RSA.pem, _EC.pem + _CA.pem, _CA.pem, _EC.key_pem, key_to_pem(rsa_key()), make_csr()]
_LABELS = [
    "CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "X509 CERTIFICATE",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "EC PARAMETERS",
    "PKCS7",
    "CERTIFICATE REQUEST",
    "PUBLIC KEY",
    "X509 CRL",
    "",
]
_NOISE = st.sampled_from(
    [
        "\r\n",
        "\n\n",
        "\ufeff",
        " ",
        "\t",
        "\0",
        "é",
        "\ud800",
        "-----",
        "=",
        "====",
        "Proc-Type: 4,ENCRYPTED\n\n",
        "\x0c",
    ]
)


def _armor(der: bytes, label: str) -> str:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


@st.composite
def _mutated_der(draw: st.DrawFn) -> bytes:
    der = bytearray(draw(st.sampled_from(_DER)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(der) - 1)))
        match draw(st.sampled_from(["flip", "set", "cut", "insert", "double", "end"])):
            case "flip" if der:
                der[at] ^= 1 << draw(st.integers(0, 7))
            case "set" if der:
                # Tags and lengths are where parsers go wrong.
                der[at] = draw(st.sampled_from([0x00, 0x02, 0x30, 0x31, 0x7F, 0x80, 0x84, 0x88, 0xA0, 0xFF]))
            case "cut":
                del der[at : at + draw(st.integers(1, 30))]
            case "insert":
                der[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "double":
                der[at:at] = der[at : at + draw(st.integers(1, 60))]
            case _:
                del der[at:]
    return bytes(der)


@st.composite
def _mutated_text(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(_TEXTS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["noise", "cut", "double", "swap", "join", "bare"])):
            case "noise":
                text = text[:at] + draw(_NOISE) + text[at:]
            case "cut":
                text = text[:at] + text[at + draw(st.integers(1, 80)) :]
            case "double":
                text = text[:at] + text[at : at + draw(st.integers(1, 400))] * 2 + text[at:]
            case "swap":
                text = text.replace("CERTIFICATE", draw(st.sampled_from(_LABELS)))
            case "join":
                text += draw(st.sampled_from(_TEXTS))
            case _:
                text = text.replace("\n", draw(st.sampled_from(["\r\n", "\\n", "", " ", "\n\n"])))
    return text


_ANY_PEM = _mutated_text() | st.builds(_armor, _mutated_der(), st.sampled_from(_LABELS)) | st.text(max_size=200)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with wired(tmp_path_factory.mktemp("intake") / "data") as running:
        yield running


@MANY
@given(certificate=_ANY_PEM, key=st.none() | _ANY_PEM, intermediate=st.none() | _ANY_PEM)
def test_an_import_is_examined_or_refused(certificate: str, key: str | None, intermediate: str | None) -> None:
    try:
        facts = examine_import(certificate, key, intermediate, START_OF_TESTS)
    except Invalid as refusal:
        problems = refusal.causes or (refusal,)
        assert all(problem.field in {"certificate", "private_key", "intermediate"} for problem in problems)
        assert all(problem.detail.isprintable() for problem in problems)
    else:
        assert facts.spki
        assert facts.key_included == (key is not None)


def _fields_at_fault(load: Callable[[], object]) -> Iterator[str | None]:
    try:
        load()
    except Invalid as refusal:
        yield from (problem.field for problem in (refusal, *refusal.causes))


@MANY
@given(pem=_ANY_PEM)
def test_what_a_text_is_can_always_be_said(pem: str) -> None:
    loads: list[Callable[[], object]] = [
        lambda: load_certificates(pem, field="certificate"),
        lambda: load_private_key(pem, field="certificate", validate=True),
        lambda: load_csr(pem, field="certificate"),
    ]
    assert {field for load in loads for field in _fields_at_fault(load)} <= {"certificate"}
    recognise_text(pem)
    recognise_der(pem.encode("utf-8", "surrogatepass"))


@MANY
@given(der=_mutated_der(), right_key=st.booleans())
def test_a_mutated_certificate_beside_its_key(der: bytes, right_key: bool) -> None:
    key = _EC.key_pem if right_key else None
    try:
        examine_import(_armor(der, "CERTIFICATE"), key, None, START_OF_TESTS)
    except Invalid:
        return


@MANY
@given(certificate=_ANY_PEM, key=st.none() | _ANY_PEM, intermediate=st.none() | _ANY_PEM, right=st.booleans())
def test_an_import_over_the_api_is_201_or_400(
    wire: Wire, certificate: str, key: str | None, intermediate: str | None, right: bool
) -> None:
    body = {"secret_type": "imported_cert", "name": f"cert-{wire.count()}", "certificate": certificate}
    if right:
        body["certificate"] = _EC.pem
    body |= {"private_key": key} if key is not None else {}
    body |= {"intermediate": intermediate} if intermediate is not None else {}
    answer = wire.ask("POST", "/api/v2/secrets", json.dumps(body).encode())
    assert answer.status in {201, 400}, answer.raw
    assert not wire.bugs, wire.bugs
    if answer.status == 201:
        shown = wire.ask("GET", f"/api/v2/secrets/{answer.json['id']}").json
        for member in ("certificate", "private_key", "intermediate"):
            assert shown.get(member) == body.get(member)
    else:
        found = wire.ask("GET", f"/api/v2/secret_groups/default/secret_types/imported_cert/secrets/{body['name']}")
        assert found.status == 404
