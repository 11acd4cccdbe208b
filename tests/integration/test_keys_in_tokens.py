"""Servers whose authorities live in a token: stopped, killed, cut off from the token, and searched for its PIN."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.peers.server import LiveServer, process_environment
from tests.peers.softhsm import TOKEN, USER_PIN, SoftHsm, make_tokens
from tests.peers.token_cas import SECRETS, TokenCas

pytestmark = pytest.mark.peers

_ROOT = Path(__file__).resolve().parents[2]
_DIE_WITH_NEW_KEYS = """
import os, signal, sys
from pathlib import Path
from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.authorities.signing import Action
from strongroom.domain.configurations.model import ConfigType
from strongroom.runtime.container import build
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.settings import load_settings

path, library, pin, token_label = sys.argv[1:]
manager = Principal(iam_id="iam-x", name="x", kind=PrincipalKind.SERVICE_ID, grants=(Grant(Role.MANAGER),))
provider = {"type": "pkcs11", "token_label": token_label, "pin_secret_id": pin}
key = {"label": "second", "allow_generate_key": True, "provider": provider}
values = {"common_name": "Example second", "max_ttl": "43830h", "key_type": "ec", "crypto_key": key}
with DataDir(Path(path)) as directory:
    services = build(load_settings({"data_dir": path, "pkcs11_library": library}), directory).services
    service = services.configurations
    service.create(manager, ConfigType.ROOT_CA, "second", values)
    service.act(manager, services.storage.read(lambda unit: service.find(unit, "issuing")), Action.ROTATE, {})
    os.kill(os.getpid(), signal.SIGKILL)
"""
_COUNT_KEYS = """
import sys, pkcs11
library, token_label, pin = sys.argv[1:]
session = pkcs11.lib(library).get_token(token_label=token_label).open(user_pin=pin)
keys = session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})
print(sorted(key.label for key in keys))
"""


@pytest.fixture
def tokens(tmp_path: Path) -> SoftHsm:
    """Give tokens that no other test sees, and that can be taken away."""
    return make_tokens(tmp_path)


@pytest.fixture
def server(tmp_path: Path, tokens: SoftHsm) -> Iterator[LiveServer]:
    environment = {**tokens.environment, "STRONGROOM_PKCS11_LIBRARY": str(tokens.library)}
    server = LiveServer(tmp_path / "data", tls=False, environment=environment)
    try:
        yield server.start()
    finally:
        server.close()


def make_tree(server: LiveServer) -> TokenCas:
    cas = TokenCas(server)
    cas.root("root", cas.key("root"))
    cas.intermediate("issuing", cas.key("issuing"))
    cas.template("leaves", "issuing")
    return cas


@pytest.fixture
def run(tokens: SoftHsm) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give the function that runs a program that sees the tokens."""

    def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=_ROOT,
            env=process_environment(tokens.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_a_server_uses_its_token_after_restarts_and_absences_and_never_shows_the_pin(
    server: LiveServer, tmp_path: Path
) -> None:
    cas = make_tree(server)
    first = x509.load_pem_x509_certificate(cas.issue("first")["certificate"].encode())

    server.stop()
    server.start()
    second = x509.load_pem_x509_certificate(cas.issue("second")["certificate"].encode())
    assert cas.act("issuing", "rotate_crl").status == 201
    issuing = x509.load_der_x509_certificate(cas.file("issuing", "ca"))
    for leaf in (first, second):
        leaf.verify_directly_issued_by(issuing)

    server.stop()
    (tmp_path / "tokens").rename(tmp_path / "taken")
    (tmp_path / "tokens").mkdir()
    server.start()
    refused = cas.try_issue("third")
    assert refused.status == 503
    assert f"no token with the label '{TOKEN}'" in refused.json["errors"][0]["message"]
    # What was signed before is there for everybody.
    assert x509.load_der_x509_crl(cas.file("issuing", "crl")).is_signature_valid(issuing.public_key())  # type: ignore[arg-type]
    assert server.request("GET", f"{SECRETS}?limit=10").json["total_count"] == 3

    (tmp_path / "tokens").rmdir()
    (tmp_path / "taken").rename(tmp_path / "tokens")
    assert cas.try_issue("third").status == 201

    shown = [refused.raw, server.log.encode()]
    shown += [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    views = ("/api/v2/audit_events/export", "/api/v2/jobs", "/api/v2/settings", "/metrics")
    shown += [server.request("GET", path, headers={"Accept": "*/*"}).raw for path in views]
    assert not [text for text in shown if USER_PIN.encode() in text]


def test_keys_made_before_a_kill_are_found_by_the_next_attempt(
    server: LiveServer, tokens: SoftHsm, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    cas = make_tree(server)
    server.stop()
    library = str(tokens.library)

    died = run(_DIE_WITH_NEW_KEYS, str(server.data_dir), library, cas.pin, TOKEN)

    assert died.returncode == -signal.SIGKILL, died.stderr
    left = run(_COUNT_KEYS, library, TOKEN, USER_PIN).stdout
    assert left == "['issuing', 'issuing-2', 'root', 'second']\n"
    server.start()
    assert cas.server.request("GET", "/api/v2/configurations/second").status == 404
    assert server.request("GET", f"{SECRETS}/{cas.pin}/metadata").json["referenced_by"] == ["issuing", "root"]
    cas.root("second", cas.key("second"))
    assert cas.act("issuing", "rotate_intermediate").status == 201
    assert run(_COUNT_KEYS, library, TOKEN, USER_PIN).stdout == left
    assert server.request("GET", f"{SECRETS}/{cas.pin}/metadata").json["referenced_by"] == ["issuing", "root", "second"]
