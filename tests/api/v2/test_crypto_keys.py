"""Authorities whose keys live in a token: made, found, used, rotated, deleted and refused over the API."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pkcs11 import Attribute, ObjectClass

from strongroom.domain.authorities.addresses import OCSP
from strongroom.domain.authorities.model import Authority
from strongroom.domain.configurations.model import ConfigKind
from strongroom.kernel.clock import FrozenClock
from tests.api.v2.conftest import watch
from tests.factories.authorities import make_request, to_csr_pem
from tests.factories.certificates import ec_key
from tests.peers.in_process import InProcess, in_process
from tests.peers.softhsm import OTHER_TOKEN, TOKEN, USER_PIN, SoftHsm
from tests.peers.token_cas import CONFIGURATIONS, EXTENSIONS, TokenCas

EC = {"key_type": "ec"}
RSA = {"key_type": "rsa", "key_bits": 2048}


@pytest.fixture
def server(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, softhsm: SoftHsm) -> Iterator[InProcess]:
    """Give a fresh server that may use the tokens."""
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock, pkcs11_library=softhsm.library) as running:
        yield watch(running)


@pytest.fixture
def cas(server: InProcess) -> TokenCas:
    return TokenCas(server)


def labelled(softhsm: SoftHsm, label: str) -> int:
    """Return how many private keys of the token have a label; the login is the process's."""
    session = pkcs11.lib(str(softhsm.library)).get_token(token_label=TOKEN).open()
    try:
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}
        return len(list(session.get_objects(wanted)))
    finally:
        session.close()


def authorities_of(server: InProcess, name: str) -> list[Authority]:
    """Return what is stored of a CA's keys, newest first."""

    def look_up(unit: Any) -> list[Authority]:
        configuration = unit.configurations.find(ConfigKind.PRIVATE_CA, name)
        return list(unit.authorities.generations(configuration.id))

    return server.container.store.storage.read(look_up)


def certificate_of(made: dict[str, Any]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made["data"]["certificate"].encode())


# --- used


@pytest.mark.parametrize(("root_key", "issuing_key"), [(EC, RSA), (RSA, {"key_type": "ec", "key_bits": 384})])
@pytest.mark.peers
def test_openssl_accepts_what_keys_in_a_token_signed(
    server: InProcess,
    cas: TokenCas,
    softhsm: SoftHsm,
    requires: Callable[[str], Path],
    tmp_path: Path,
    root_key: dict[str, Any],
    issuing_key: dict[str, Any],
) -> None:
    openssl = str(requires("openssl"))
    root = cas.root("root", cas.key(softhsm.new_label()), **root_key)
    issuing = cas.intermediate("issuing", cas.key(softhsm.new_label()), **issuing_key)
    cas.template("leaves", "issuing")
    good, bad = cas.issue("good"), cas.issue("bad")
    revoke = {"action_type": "private_cert_action_revoke_certificate"}
    assert server.request("POST", f"/api/v2/secrets/{bad['id']}/actions", revoke).status == 201
    files = {"root": root["data"]["certificate"], "issuing": issuing["data"]["certificate"]}
    files |= {"good": good["certificate"], "bad": bad["certificate"]}
    for name, text in files.items():
        (tmp_path / f"{name}.pem").write_text(text)
    (tmp_path / "crls.pem").write_bytes(cas.file("root", "crl/pem") + cas.file("issuing", "crl/pem"))

    def run(*words: str) -> str:
        done = subprocess.run([openssl, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    at = ("-attime", str(int(server.clock.now().timestamp())))
    chain = ("verify", "-x509_strict", *at, "-CAfile", "root.pem", "-untrusted", "issuing.pem")
    listed = (*chain, "-crl_check_all", "-CRLfile", "crls.pem")
    assert run(*listed, "good.pem") == "good.pem: OK\n"
    assert "certificate revoked" in run(*listed, "bad.pem")
    for name, state in (("good", "good"), ("bad", "revoked")):
        asked = ("-no_nonce", "-issuer", "issuing.pem", "-cert", f"{name}.pem")
        run("ocsp", *asked, "-reqout", "request.der")
        answer = server.request(
            "POST",
            f"{OCSP}/issuing",
            raw=(tmp_path / "request.der").read_bytes(),
            headers={"content-type": "application/ocsp-request"},
            token=None,
        )
        (tmp_path / "answer.der").write_bytes(answer.raw)
        shown = run("ocsp", *asked, *at, "-CAfile", "root.pem", "-verify_other", "issuing.pem", "-respin", "answer.der")
        assert "Response verify OK" in shown
        assert state in shown.splitlines()  # after a warning: the clock of the machine is ahead


def test_nothing_of_a_key_in_a_token_is_stored(server: InProcess, cas: TokenCas, softhsm: SoftHsm) -> None:
    label = softhsm.new_label()
    cas.root("root", cas.key(label))

    [authority] = authorities_of(server, "root")
    assert authority.sealed_key is None
    assert authority.external_key is not None
    assert authority.external_key["label"] == label
    assert labelled(softhsm, label) == 1


def test_a_root_in_a_token_signs_requests_of_others(cas: TokenCas, softhsm: SoftHsm) -> None:
    root = cas.root("root", cas.key(softhsm.new_label()))
    _, request = make_request(ec_key())

    answer = cas.act("root", "sign_csr", csr=to_csr_pem(request), common_name="Example Outside", ttl="720h")

    assert answer.status == 201, answer.raw
    signed = x509.load_pem_x509_certificate(answer.json["data"]["certificate"].encode())
    signed.verify_directly_issued_by(certificate_of(root))


# --- found


def test_a_key_that_is_there_is_used_by_label_or_id_once_its_authority_is_gone(
    server: InProcess, cas: TokenCas, softhsm: SoftHsm
) -> None:
    label = softhsm.new_label()
    first = certificate_of(cas.root("first", cas.key(label)))
    [authority] = authorities_of(server, "first")
    assert authority.external_key is not None
    by_id = cas.key(label, label=None, id=authority.external_key["id"], allow_generate_key=False)

    assert cas.delete("first").status == 204
    assert labelled(softhsm, label) == 1
    second = certificate_of(cas.root("second", cas.key(label, allow_generate_key=False)))
    assert cas.delete("second").status == 204
    third = certificate_of(cas.root("third", by_id))

    assert first.public_key() == second.public_key() == third.public_key()
    assert len({item.serial_number for item in (first, second, third)}) == 3


def test_a_key_serves_one_authority_at_a_time(cas: TokenCas, softhsm: SoftHsm) -> None:
    label = softhsm.new_label()
    cas.root("root", cas.key(label))

    for answer in (cas.try_root("other", cas.key(label)), cas.try_intermediate("below", cas.key(label), "root")):
        assert answer.status == 409
        assert answer.json["errors"][0]["code"] == "in_use"
        assert "the certificate authority root already" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    ("changes", "members", "field", "words"),
    [
        ({"allow_generate_key": False}, {}, "crypto_key.label", "has no private key with label"),
        ({"token_label": "nowhere"}, {}, "crypto_key.provider.token_label", "has no token with the label 'nowhere'"),
        ({"label": None}, {}, "crypto_key.label", "needs a label or an id"),
        ({"id": "not hex"}, {}, "crypto_key.id", "in hexadecimal"),
        ({}, {"key_type": "ed25519"}, "key_type", "must be rsa or ec"),
    ],
)
def test_keys_that_cannot_be_had_are_refused_by_field(
    cas: TokenCas, softhsm: SoftHsm, changes: dict[str, Any], members: dict[str, Any], field: str, words: str
) -> None:
    answer = cas.try_root("root", cas.key(softhsm.new_label(), **changes), **members)

    assert answer.status == 400, answer.raw
    [error] = answer.json["errors"]
    assert error["target"]["name"] == field
    assert words in error["message"]


def test_a_key_of_another_kind_is_refused(cas: TokenCas, softhsm: SoftHsm) -> None:
    label = softhsm.new_label()
    cas.root("first", cas.key(label))
    assert cas.delete("first").status == 204

    answer = cas.try_root("second", cas.key(label), key_bits=384)

    assert answer.status == 400
    assert "is ec with 256 bits, not ec with 384 bits" in answer.json["errors"][0]["message"]


# --- rotated


def test_each_rotation_makes_the_next_key_beside_the_one_before(cas: TokenCas, softhsm: SoftHsm) -> None:
    label = softhsm.new_label()
    root = certificate_of(cas.root("root", cas.key(softhsm.new_label())))
    first = certificate_of(cas.intermediate("issuing", cas.key(label)))
    cas.template("leaves", "issuing")
    before = x509.load_pem_x509_certificate(cas.issue("before")["certificate"].encode())

    rotated = [cas.act("issuing", "rotate_intermediate") for _ in range(2)]

    assert [answer.status for answer in rotated] == [201, 201], rotated[0].raw
    assert [labelled(softhsm, name) for name in (label, f"{label}-2", f"{label}-3")] == [1, 1, 1]
    newest = x509.load_der_x509_certificate(cas.file("issuing", "ca"))
    newest.verify_directly_issued_by(root)
    after = x509.load_pem_x509_certificate(cas.issue("after")["certificate"].encode())
    after.verify_directly_issued_by(newest)
    before.verify_directly_issued_by(first)
    # The list of the first key is signed by the first key for as long as its certificates live.
    assert x509.load_der_x509_crl(cas.file("issuing", "crl")).is_signature_valid(first.public_key())  # type: ignore[arg-type]


def test_a_key_that_may_not_be_generated_cannot_be_rotated(cas: TokenCas, softhsm: SoftHsm) -> None:
    cas.root("root", cas.key(softhsm.new_label()))
    label = softhsm.new_label()
    cas.intermediate("issuing", cas.key(label))
    assert cas.delete("issuing").status == 204
    cas.intermediate("issuing", cas.key(label, allow_generate_key=False))

    answer = cas.act("issuing", "rotate_intermediate")

    assert answer.status == 400
    assert "only with a label and allow_generate_key" in answer.json["errors"][0]["message"]


def test_a_rotation_does_not_take_the_key_of_another_authority(
    server: InProcess, cas: TokenCas, softhsm: SoftHsm
) -> None:
    cas.root("root", cas.key(softhsm.new_label()))
    label = softhsm.new_label()
    cas.intermediate("issuing", cas.key(label))
    cas.intermediate("second", cas.key(f"{label}-2"))

    answer = cas.act("issuing", "rotate_intermediate")

    assert answer.status == 409
    assert "second" in answer.json["errors"][0]["message"]
    assert len(authorities_of(server, "issuing")) == 1


# --- refused and hidden


def test_a_pin_that_the_token_refuses_is_never_shown(server: InProcess, cas: TokenCas, softhsm: SoftHsm) -> None:
    wrong = f"planted-wrong-{softhsm.new_label()}"
    pin = cas.store("arbitrary", "wrong", payload=wrong)

    answers = [cas.try_root("root", cas.key(softhsm.new_label(), pin_secret_id=pin)) for _ in range(2)]
    trail = server.request("GET", "/api/v2/audit_events?limit=100")

    assert [answer.status for answer in answers] == [400, 400]
    assert "is wrong" in answers[0].json["errors"][0]["message"]
    assert "not tried again" in answers[1].json["errors"][0]["message"]
    for answer in (*answers, trail):
        assert wrong.encode() not in answer.raw
    assert cas.try_root("root", cas.key(softhsm.new_label())).status == 201


def test_a_new_version_of_the_pin_counts_at_once(server: InProcess, cas: TokenCas, softhsm: SoftHsm) -> None:
    pin = cas.store("arbitrary", "wrong", payload=f"planted-wrong-{softhsm.new_label()}")
    key = cas.key(softhsm.new_label(), pin_secret_id=pin, token_label=OTHER_TOKEN)
    assert cas.try_root("root", key).status == 400

    rotated = server.request("POST", f"/api/v2/secrets/{pin}/versions", {"payload": USER_PIN})

    assert rotated.status == 201
    assert cas.try_root("root", key).status == 201


def test_a_server_without_a_library_says_so(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, softhsm: SoftHsm
) -> None:
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock, pkcs11_library=softhsm.library) as running:
        cas = TokenCas(running)
        cas.root("root", cas.key(softhsm.new_label()))
    with in_process(data_dir, clock) as running:
        cas = TokenCas(running, cas.pin)

        new = cas.try_root("other", cas.key(softhsm.new_label()))
        old = cas.act("root", "rotate_crl")

    assert new.status == 400
    assert new.json["errors"][0]["code"] == "not_supported"
    assert "this server has no PKCS#11 library" in new.json["errors"][0]["message"]
    # What was made with a library is not the caller's mistake.
    assert old.status == 503
    assert "this server has no PKCS#11 library" in old.json["errors"][0]["message"]


def test_the_provider_of_the_contract_is_known_and_not_supported(cas: TokenCas) -> None:
    provider = {
        "type": "hyper_protect_crypto_services",
        "instance_crn": "crn:v1:bluemix:public:hs-crypto:us-south:a/0:1::",
        "pin_iam_credentials_secret_id": cas.pin,
        "private_keystore_id": cas.pin,
    }

    answer = cas.try_root("root", {"label": "key", "provider": provider})

    assert answer.status == 400
    [error] = answer.json["errors"]
    assert (error["code"], error["target"]["name"]) == ("not_supported", "crypto_key.provider.type")


def test_only_callers_that_know_extensions_see_the_key(server: InProcess, cas: TokenCas, softhsm: SoftHsm) -> None:
    key = cas.key(softhsm.new_label())
    made = cas.root("root", key)

    assert made["crypto_key"] == key
    for headers, seen in ((EXTENSIONS, key), ({}, None)):
        for path in (f"{CONFIGURATIONS}/root", CONFIGURATIONS):
            answer = server.request("GET", path, headers=headers).json
            shown = answer["configurations"][0] if "configurations" in answer else answer
            assert shown.get("crypto_key") == seen
    patched = server.request("PATCH", f"{CONFIGURATIONS}/root", {"max_ttl": "8760h"})
    assert "crypto_key" not in patched.json


def test_the_key_and_its_pin_cannot_be_replaced(server: InProcess, cas: TokenCas, softhsm: SoftHsm) -> None:
    cas.root("root", cas.key(softhsm.new_label()))
    other = cas.store("arbitrary", "other", payload=USER_PIN)

    answer = server.request(
        "PATCH", f"{CONFIGURATIONS}/root", {"crypto_key": cas.key(softhsm.new_label(), pin_secret_id=other)}
    )

    assert answer.status == 400
    assert "crypto_key" in answer.json["errors"][0]["message"]


# --- away


def test_what_is_published_stays_true_while_the_token_is_away(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, softhsm: SoftHsm
) -> None:
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock, pkcs11_library=softhsm.library) as running:
        cas = TokenCas(running)
        root = certificate_of(cas.root("root", cas.key(softhsm.new_label())))
        cas.intermediate("issuing", cas.key(softhsm.new_label()))
        listed = cas.file("root", "crl")
        question = ocsp.OCSPRequestBuilder().add_certificate(root, root, hashes.SHA256()).build()
        path = f"{OCSP}/root/{quote(base64.b64encode(question.public_bytes(Encoding.DER)), safe='')}"
        assert running.request("GET", path, token=None).status == 200
    # Without its library the server cannot reach the token.
    with in_process(data_dir, clock) as running:
        away = TokenCas(running, cas.pin)
        clock.advance(timedelta(hours=71))
        running.work()
        assert away.file("root", "crl") == listed
        clock.advance(timedelta(hours=1))
        crl = "/v1/ibmcloud/private_cert/config/certificate_authorities/root/crl"
        assert running.request("GET", crl, token=None).status == 503

        clock.advance(timedelta(days=3, hours=23))
        answer = running.request("GET", path, token=None)
        assert answer.status == 200
        certified = ocsp.load_der_ocsp_response(answer.raw).certificates[0]
        assert ocsp.load_der_ocsp_response(answer.raw).next_update_utc == certified.not_valid_after_utc
        clock.advance(timedelta(hours=2))
        late = ocsp.load_der_ocsp_response(running.request("GET", path, token=None).raw)
        assert late.response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_a_list_that_lacks_a_revocation_is_not_published_while_the_token_is_away(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, softhsm: SoftHsm
) -> None:
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock, pkcs11_library=softhsm.library) as running:
        cas = TokenCas(running)
        cas.root("root", cas.key(softhsm.new_label()))
        cas.intermediate("issuing", cas.key(softhsm.new_label()))
        cas.file("root", "crl")
    with in_process(data_dir, clock) as running:
        away = TokenCas(running, cas.pin)

        assert away.act("issuing", "revoke_ca_certificate").status == 201

        crl = "/v1/ibmcloud/private_cert/config/certificate_authorities/root/crl"
        assert running.request("GET", crl, token=None).status == 503
    with in_process(data_dir, clock, pkcs11_library=softhsm.library) as running:
        assert len(list(x509.load_der_x509_crl(TokenCas(running, cas.pin).file("root", "crl")))) == 1
