"""Work on private certificates that is killed between any two of its steps.

After each kill the server starts again, and what it holds has to fit together: everything that an answer carried is
recorded, each serial number once; revocation lists only ever count up; nothing is half done; and the same requests
get through, or are refused in words.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from strongroom.kernel.clock import FrozenClock
from tests.peers.in_process import START_OF_TESTS, InProcess, in_process
from tests.peers.mortal import Mortal, Sent
from tests.peers.server import Answer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CONFIGURATIONS = "/api/v2/configurations"
SECRETS = "/api/v2/secrets"
FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"
NOW = START_OF_TESTS + timedelta(hours=2)
WORK = (
    "create a root",
    "create a signed intermediate",
    "create a template",
    "sign an intermediate",
    "sign again",
    "sign a request",
    "take a certificate",
    "issue",
    "rotate a certificate",
    "revoke",
    "rebuild a list",
    "certify an OCSP signer",
    "change the lists",
    "rotate a CA",
    "revoke a CA",
    "delete",
)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass
class World:
    """A data directory with CAs and certificates, made once and copied for each kill.

    Attributes:
        data: of a server that is not running.
        serials: by a name of what has them.
        ids: of secrets, by name.
        heard: every answer that its making got.
    """

    data: Path
    serials: dict[str, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    chains: dict[str, list[x509.Certificate]] = field(default_factory=dict)
    outside: str = ""
    csr: str = ""
    heard: list[Answer] = field(default_factory=list)


def root(name: str) -> dict[str, Any]:
    return {
        "config_type": "private_cert_configuration_root_ca",
        "name": name,
        "common_name": f"Example {name}",
        "max_ttl": "43830h",
        "key_type": "ec",
    }


def intermediate(name: str, **more: Any) -> dict[str, Any]:
    return {
        "config_type": "private_cert_configuration_intermediate_ca",
        "name": name,
        "common_name": f"Example {name}",
        "max_ttl": "26300h",
        "signing_method": "internal",
        "issuer": "root",
        "key_type": "ec",
        **more,
    }


def template(name: str, authority: str) -> dict[str, Any]:
    return {
        "config_type": "private_cert_configuration_template",
        "name": name,
        "certificate_authority": authority,
        "max_ttl": "720h",
        "key_type": "ec",
    }


def leaf(name: str, of: str = "leaves") -> dict[str, Any]:
    return {"secret_type": "private_cert", "name": name, "certificate_template": of, "common_name": "localhost"}


def act(name: str, action: str, **more: Any) -> Sent:
    body = {"action_type": f"private_cert_configuration_action_{action}", **more}
    return Sent("POST", f"{CONFIGURATIONS}/{name}/actions", body)


def get_crl(name: str) -> Sent:
    return Sent("GET", f"{FILES}/{name}/crl", by_administrator=False)


def revoke(secret: str) -> Sent:
    return Sent("POST", f"{SECRETS}/{secret}/actions", {"action_type": "private_cert_action_revoke_certificate"})


def ask(name: str, issuer: x509.Certificate, serial: int) -> Sent:
    question = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        sha256(issuer.subject.public_bytes()).digest(), sha256(_key_bits(issuer)).digest(), serial, SHA256()
    )
    raw = question.build().public_bytes(Encoding.DER)
    headers = {"content-type": "application/ocsp-request", "accept": "*/*"}
    return Sent("POST", f"/ocsp/{name}", raw=raw, headers=headers, by_administrator=False)


def _key_bits(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def send(server: InProcess, sent: Sent) -> Answer:
    token = "administrator" if sent.by_administrator else None
    return server.request(sent.method, sent.path, sent.body, raw=sent.raw, headers=sent.headers, token=token)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give a tree of CAs with certificates of every kind."""
    made = World(tmp_path_factory.mktemp("world") / "data")
    with in_process(made.data, FrozenClock(NOW)) as server:

        def do(sent: Sent) -> Any:
            answer = send(server, sent)
            assert answer.status in {200, 201}, answer.raw
            made.heard.append(answer)
            return answer

        for body in (
            root("root"),
            root("spare-root"),
            intermediate("issuing", auto_sign=True),
            intermediate("spare", auto_sign=True),
            intermediate("waiting"),
            template("leaves", "issuing"),
            template("spare-leaves", "issuing"),
        ):
            do(Sent("POST", CONFIGURATIONS, body))
        outside = {name: item for name, item in intermediate("outside").items() if name != "issuer"}
        csr = do(Sent("POST", CONFIGURATIONS, {**outside, "signing_method": "external"})).json["data"]["csr"]
        made.csr = csr
        made.outside = do(act("root", "sign_csr", csr=csr)).json["data"]["certificate"]
        for name in ("first", "revoked"):
            secret = do(Sent("POST", SECRETS, leaf(name))).json
            made.ids[name] = secret["id"]
            made.serials[name] = int(secret["serial_number"].replace(":", ""), 16)
        do(revoke(made.ids["revoked"]))
        for name in ("root", "issuing"):
            do(get_crl(name))
            found = do(Sent("GET", f"{CONFIGURATIONS}/{name}")).json["data"]["certificate"]
            made.chains[name] = x509.load_pem_x509_certificates(found.encode())
    return made


def operations(world: World) -> dict[str, list[Sent]]:
    """Return the requests of each piece of work."""
    first, issuer = world.ids["first"], world.chains["issuing"][0]
    return {
        "create a root": [Sent("POST", CONFIGURATIONS, root("new"))],
        "create a signed intermediate": [Sent("POST", CONFIGURATIONS, intermediate("new", auto_sign=True))],
        "create a template": [Sent("POST", CONFIGURATIONS, template("new", "issuing"))],
        "sign an intermediate": [act("root", "sign_intermediate", intermediate_certificate_authority="waiting")],
        "sign again": [act("root", "sign_intermediate", intermediate_certificate_authority="issuing")],
        "sign a request": [act("root", "sign_csr", csr=world.csr)],
        "take a certificate": [act("outside", "set_signed", certificate=world.outside)],
        "issue": [Sent("POST", SECRETS, leaf("new"))],
        "rotate a certificate": [Sent("POST", f"{SECRETS}/{first}/versions", {})],
        "revoke": [revoke(first), get_crl("issuing"), ask("issuing", issuer, world.serials["first"])],
        "rebuild a list": [act("issuing", "rotate_crl"), get_crl("issuing"), act("issuing", "rotate_crl")],
        "certify an OCSP signer": [ask("issuing", issuer, world.serials["first"])],
        "change the lists": [
            Sent("PATCH", f"{CONFIGURATIONS}/issuing", {"crl_expiry": "96h"}),
            get_crl("issuing"),
        ],
        "rotate a CA": [act("issuing", "rotate_intermediate"), get_crl("issuing"), Sent("POST", SECRETS, leaf("new"))],
        "revoke a CA": [act("spare", "revoke_ca_certificate"), get_crl("root")],
        "delete": [
            Sent("DELETE", f"{SECRETS}/{first}"),
            Sent("DELETE", f"{CONFIGURATIONS}/spare-leaves"),
            Sent("DELETE", f"{CONFIGURATIONS}/spare"),
            Sent("DELETE", f"{CONFIGURATIONS}/spare-root"),
        ],
    }


@pytest.mark.parametrize("name", WORK)
def test_a_kill_at_any_step_leaves_everything_or_nothing(
    mortal: Mortal, world: World, tmp_path: Path, name: str
) -> None:
    requests = operations(world)[name]
    shutil.copytree(world.data, tmp_path / "whole")
    whole = mortal.send(tmp_path / "whole", NOW, requests)
    assert (whole.died, whole.error) == (False, None)
    assert all(answer.status < 300 for answer in whole.answers), whole.answers
    assert any("commit" in step for step in whole.steps)
    for index in range(len(whole.steps)):
        data = tmp_path / str(index)
        shutil.copytree(world.data, data)
        # Beside the requests others commit, too, so a run may be a step shorter; then it was not killed.
        killed = mortal.send(data, NOW, requests, die_at=index)
        assert killed.error is None
        _examine(world, data, [*world.heard, *killed.answers], requests, answered=len(killed.answers))
        shutil.rmtree(data)


def _examine(world: World, data: Path, heard: list[Answer], requests: list[Sent], *, answered: int) -> None:
    """Start again, look at everything, go on with the work, and look again."""
    with in_process(data, FrozenClock(NOW + timedelta(minutes=1))) as server:
        _check(server, data, heard)
        _check_status(server, world, is_told=revoke(world.ids["first"]) in requests[:answered])
        for sent in requests[answered:]:
            answer = send(server, sent)
            heard.append(answer)
            if answer.status >= 300:
                # Done before the kill, though nobody heard of it.
                assert answer.json["errors"][0]["code"] in {"already_exists", "not_found", "state_forbids"}, answer.raw
        new = send(server, Sent("POST", SECRETS, leaf("afterwards")))
        assert new.status == 201, new.raw
        heard.append(new)
        certificate = x509.load_pem_x509_certificate(new.json["certificate"].encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(new.json["issuing_ca"].encode()))
        _check(server, data, heard)


def _check_status(server: InProcess, world: World, *, is_told: bool) -> None:
    """Ask OCSP: a revocation that was answered is known, and nothing else than the store holds."""
    secret = server.request("GET", f"{SECRETS}/{world.ids['first']}")
    is_revoked = secret.status == 200 and secret.json["state_description"] == "deactivated"
    assert is_revoked or not is_told
    expected = {"first": is_revoked, "revoked": True}
    for name, revoked in expected.items():
        answer = send(server, ask("issuing", world.chains["issuing"][0], world.serials[name]))
        status = ocsp.load_der_ocsp_response(answer.raw).certificate_status
        assert status is (ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD), name


def _check(server: InProcess, data: Path, heard: list[Answer]) -> None:
    with closing(sqlite3.connect(data / "strongroom.db")) as store:
        recorded = [int(row[0], 16) for row in store.execute("SELECT serial FROM issued_certificates")]
        assert len(recorded) == len(set(recorded)), "a serial number was used twice"
        kept = {int(row[0], 16) for row in store.execute("SELECT serial FROM authorities WHERE serial IS NOT NULL")}
        gone = _deleted(store)
        revoked = _revoked(store)
        halves = list(
            store.execute(
                "SELECT c.name, a.generation FROM configurations c LEFT JOIN authorities a"
                " ON a.configuration_pk = c.pk WHERE c.kind = 'private_ca' ORDER BY 1, 2"
            )
        )
        numbers = dict(store.execute("SELECT a.id, a.crl_number FROM authorities a"))
        stored = dict(store.execute("SELECT a.id, l.number FROM crls l JOIN authorities a ON a.pk = l.authority_pk"))
    _check_generations(halves)
    assert kept <= set(recorded)
    assert all(numbers[authority] == number for authority, number in stored.items())
    carried = {item.serial_number for answer in heard for item in _certificates(answer)}
    if not gone:
        assert carried <= set(recorded), "a certificate was handed out that is not recorded"
    _check_lists(server, revoked, heard)
    _check_shown(server, set(recorded))


def _deleted(store: sqlite3.Connection) -> bool:
    names = {row[0] for row in store.execute("SELECT name FROM configurations")}
    return not {"spare", "spare-root"} <= names


def _revoked(store: sqlite3.Connection) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {row[0]: set() for row in store.execute("SELECT key_id FROM authorities")}
    rows = store.execute(
        "SELECT a.key_id, i.serial FROM issued_certificates i JOIN authorities a ON a.pk = i.authority_pk"
        " WHERE i.revoked_at IS NOT NULL"
    )
    for key_id, serial in rows:
        found[key_id].add(int(serial, 16))
    return found


def _check_generations(rows: list[tuple[str, int | None]]) -> None:
    generations: dict[str, list[int | None]] = {}
    for name, generation in rows:
        generations.setdefault(name, []).append(generation)
    for name, found in generations.items():
        assert found == list(range(1, len(found) + 1)), name


def _check_lists(server: InProcess, revoked: dict[str, set[int]], heard: list[Answer]) -> None:
    """Fetch the list of every key: it shows exactly what is revoked, under no lower a number than any before."""
    highest: dict[bytes, int] = {}
    for answer in heard:
        for crl in _lists(answer):
            key, number = _key_of(crl), _number_of(crl)
            highest[key] = max(number, highest.get(key, 0))
    for name in _names(server, "private_cert_configuration_root_ca", "private_cert_configuration_intermediate_ca"):
        answer = server.request("GET", f"{FILES}/{name}/crl/pem", token=None)
        if answer.status == 404:
            continue
        assert answer.status == 200, answer.raw
        for part in re.findall(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", answer.raw, re.DOTALL):
            crl = x509.load_pem_x509_crl(part)
            key = _key_of(crl)
            assert _number_of(crl) >= highest.get(key, 0), "the number of a list went back"
            assert {item.serial_number for item in crl} == revoked[key.hex()]
        heard.append(answer)


def _check_shown(server: InProcess, recorded: set[int]) -> None:
    for listed in server.request("GET", f"{SECRETS}?secret_types=private_cert").json["secrets"]:
        secret = server.request("GET", f"{SECRETS}/{listed['id']}").json
        serial = int(secret["serial_number"].replace(":", ""), 16)
        assert serial in recorded
        assert x509.load_pem_x509_certificate(secret["certificate"].encode()).serial_number == serial
        state = "deactivated" if "revocation_time_seconds" in secret else "active"
        assert secret["state_description"] == state
    for name in _names(server):
        assert server.request("GET", f"{CONFIGURATIONS}/{name}").status == 200


def _names(server: InProcess, *types: str) -> Iterator[str]:
    for item in server.request("GET", CONFIGURATIONS).json["configurations"]:
        if not types or item["config_type"] in types:
            yield item["name"]


def _certificates(answer: Answer) -> Iterator[x509.Certificate]:
    """Yield every certificate in an answer, the signers of OCSP answers, too."""
    kind = answer.headers.get("content-type", "")
    if answer.status >= 300 or not answer.raw:
        return
    if kind.startswith("application/ocsp-response"):
        yield from ocsp.load_der_ocsp_response(answer.raw).certificates
    elif kind.startswith("application/json"):
        for text in _texts(json.loads(answer.raw)):
            yield from (x509.load_pem_x509_certificate(pem.encode()) for pem in _PEM.findall(text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _lists(answer: Answer) -> Iterator[x509.CertificateRevocationList]:
    if answer.headers.get("content-type", "").startswith("application/pkix-crl") and answer.status == 200:
        yield x509.load_der_x509_crl(answer.raw)


def _key_of(crl: x509.CertificateRevocationList) -> bytes:
    found = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert found is not None
    return found


def _number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
