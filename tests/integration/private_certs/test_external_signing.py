"""Intermediates that somebody else signs: ``openssl ca`` as companies use it, and a second server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.private_certs.judges import (
    gnutls_verify,
    handshake_with_openssl,
    lint_issued,
    openssl_ocsp,
    openssl_verify,
    python_verify,
    succeed,
    write,
)
from tests.integration.private_certs.manager import (
    ADDRESSES,
    CONFIGURATIONS,
    SECRETS,
    Issued,
    Manager,
    crl_address,
    crls_above,
    fetch,
)
from tests.peers.needs import require
from tests.peers.server import free_port, running

pytestmark = [pytest.mark.integration, pytest.mark.peers]

EC: dict[str, Any] = {"key_type": "ec"}
SETTINGS = """
[ca]
default_ca = outside
[outside]
new_certs_dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
crlnumber = {folder}/crlnumber
certificate = {folder}/root.pem
private_key = {folder}/root-key.pem
default_md = sha256
default_days = 365
default_crl_days = 7
unique_subject = no
policy = whatever
crl_extensions = of_crl
[whatever]
commonName = supplied
organizationName = optional
[of_crl]
authorityKeyIdentifier = keyid
[of_authority]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[of_server]
basicConstraints = CA:false
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = named
[named]
"""


@dataclass(frozen=True)
class OpensslCa:
    """A company's root that lives in a folder and is worked with ``openssl ca``."""

    folder: Path

    @classmethod
    def start(cls, folder: Path) -> OpensslCa:
        """Make the root."""
        folder.mkdir()
        (folder / "openssl.cnf").write_text(SETTINGS.format(folder=folder))
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("4D2A77C1059E3B60\n")
        (folder / "crlnumber").write_text("01\n")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", folder / "root-key.pem"]
        extensions = ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign,cRLSign"]
        extensions += ["subjectKeyIdentifier=hash"]
        added = [word for extension in extensions for word in ("-addext", extension)]
        words = [
            "-x509",
            "-config",
            folder / "openssl.cnf",
            "-subj",
            "/O=Example/CN=Example Company Root",
            "-days",
            "400",
        ]
        succeed(require("openssl"), "req", *words, *new, *added, "-out", folder / "root.pem")
        return cls(folder)

    @property
    def root(self) -> str:
        """Return the root's certificate."""
        return (self.folder / "root.pem").read_text()

    def sign(self, csr: str, extensions: str = "of_authority") -> str:
        """Sign a request."""
        given, made = self.folder / "given.csr", self.folder / "made.pem"
        given.write_text(csr)
        words = ["-batch", "-notext", "-config", self.folder / "openssl.cnf", "-extensions", extensions]
        succeed(require("openssl"), "ca", *words, "-in", given, "-out", made)
        return made.read_text()

    def crl(self) -> bytes:
        """Return the root's list."""
        made = self.folder / "crl.pem"
        succeed(require("openssl"), "ca", "-gencrl", "-config", self.folder / "openssl.cnf", "-out", made)
        return x509.load_pem_x509_crl(made.read_bytes()).public_bytes(Encoding.DER)


@pytest.fixture
def company(tmp_path: Path) -> OpensslCa:
    """Give a company's own root."""
    return OpensslCa.start(tmp_path / "company")


@pytest.fixture(scope="module")
def _second_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    address = f"127.0.0.1:{free_port()}"
    environment = {"STRONGROOM_CA_FILES_LISTEN": address, "STRONGROOM_CA_FILES_URL": f"http://{address}"}
    with running(tmp_path_factory.mktemp("second") / "data", environment=environment) as server:
        yield Manager(server)


@pytest.fixture
def signer(_second_server: Manager) -> Iterator[Manager]:
    """Give a Manager of another server."""
    yield _second_server
    _second_server.tidy_up()


def wait_for_signature(manager: Manager, name: str, **members: Any) -> str:
    """Make an intermediate that is signed outside, and return its request."""
    given = {"common_name": f"Example {name}", "max_ttl": "8760h", "signing_method": "external", **EC}
    made = manager.configure("intermediate_ca", name, **given, **ADDRESSES, **members)
    assert made["status"] == "signed_certificate_required"
    csr = str(made["data"]["csr"])
    assert manager.data(name)["csr"] == csr
    return csr


def status(manager: Manager, name: str) -> str:
    return str(manager.ask("GET", f"{CONFIGURATIONS}/{name}")["status"])


def trusted_by_all(issued: Issued, crls: list[bytes], folder: Path) -> None:
    """Have everybody judge a certificate and the chain above it."""
    files = write(folder, issued, crls)
    lint_issued(issued, crls)
    for trusted, told in (openssl_verify(files), gnutls_verify(files, folder)):
        assert trusted, told
    python_verify(issued)
    handshake_with_openssl(files)
    assert openssl_ocsp(files, issued, folder) == "good"


def test_an_intermediate_that_openssl_signed_issues_what_everybody_trusts(
    manager: Manager, company: OpensslCa, tmp_path: Path
) -> None:
    csr = wait_for_signature(manager, "company-issuing", organization=["Example"])
    shown = succeed(require("openssl"), "req", "-verify", "-noout", "-text", "-in", _written(tmp_path, csr))
    assert "CN = Example company-issuing" in shown
    signed = company.sign(csr)

    echoed = manager.act("company-issuing", "set_signed", certificate=signed + company.root)

    assert echoed["certificate"] == signed + company.root
    assert status(manager, "company-issuing") == "certificate_template_required"
    manager.template("company-leaves", "company-issuing", **EC)
    assert status(manager, "company-issuing") == "configured"
    assert manager.data("company-issuing")["csr"] == csr
    issued = manager.issue("company-leaves", "company-leaf")
    assert [pem.strip() for pem in issued.chain] == [signed.strip(), company.root.strip()]
    trusted_by_all(issued, [fetch(crl_address(issued.loaded)).raw, company.crl()], tmp_path / "leaf")

    for action in ("rotate_intermediate", "revoke_ca_certificate"):
        manager.act("company-issuing", action, 400)
    manager.revoke(issued)
    files = write(tmp_path / "revoked", issued, [fetch(crl_address(issued.loaded)).raw, company.crl()])
    assert "certificate revoked" in openssl_verify(files)[1]
    assert openssl_ocsp(files, issued, tmp_path) == "revoked"


def test_without_the_root_the_chain_holds_what_was_given(manager: Manager, company: OpensslCa, tmp_path: Path) -> None:
    signed = company.sign(wait_for_signature(manager, "alone-issuing"))
    manager.act("alone-issuing", "set_signed", certificate=signed)
    manager.template("alone-leaves", "alone-issuing", **EC)

    issued = manager.issue("alone-leaves", "alone-leaf")

    assert [pem.strip() for pem in issued.chain] == [signed.strip()]
    whole = Issued(certificate=issued.certificate, private_key=issued.private_key, chain=(*issued.chain, company.root))
    trusted_by_all(whole, [fetch(crl_address(issued.loaded)).raw, company.crl()], tmp_path / "leaf")


def test_certificates_that_are_not_for_this_authority_are_refused(manager: Manager, company: OpensslCa) -> None:
    csr = wait_for_signature(manager, "refused-issuing")
    other = wait_for_signature(manager, "refused-other")

    for certificate, code in (
        (company.sign(other), "csr_key_mismatch"),
        (company.sign(csr, "of_server"), "invalid_field"),
        (company.root, "csr_key_mismatch"),
    ):
        refused = manager.act("refused-issuing", "set_signed", 400, certificate=certificate)
        assert refused["errors"][0]["code"] == code
    assert status(manager, "refused-issuing") == "signed_certificate_required"
    manager.template("refused-leaves", "refused-issuing", **EC)
    body = {"secret_type": "private_cert", "name": "refused-leaf", "certificate_template": "refused-leaves"}
    manager.ask("POST", SECRETS, {**body, "common_name": "localhost"}, 400)


@pytest.mark.parametrize("key", [{"key_type": "rsa"}, EC, {"key_type": "ed25519"}], ids=["rsa", "ec", "ed25519"])
def test_a_second_server_signs_with_sign_csr(
    key: dict[str, Any], manager: Manager, signer: Manager, tmp_path: Path
) -> None:
    signer.root("far-root", max_path_length=1, **EC, **ADDRESSES)
    given = {"common_name": "Example Near Issuing", "max_ttl": "8760h", "signing_method": "external", **key}
    csr = manager.configure("intermediate_ca", "near-issuing", **given, **ADDRESSES)["data"]["csr"]

    answer = signer.act("far-root", "sign_csr", csr=csr, ttl="4380h", use_csr_values=True)

    data = answer["data"]
    assert answer["csr"] == csr
    assert data["issuing_ca"] == data["ca_chain"][0] == signer.data("far-root")["certificate"]
    manager.act("near-issuing", "set_signed", certificate=data["certificate"] + "".join(data["ca_chain"]))
    manager.template("near-leaves", "near-issuing", **EC)
    issued = manager.issue("near-leaves", "near-leaf")
    assert issued.chain == (data["certificate"], *data["ca_chain"])
    assert issued.issuer.subject == x509.load_pem_x509_csr(csr.encode()).subject
    constraints = issued.issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    if key["key_type"] == "ed25519":
        files = write(tmp_path, issued, crls_above(issued))
        assert openssl_verify(files)[0]
        lint_issued(issued, crls_above(issued))
    else:
        # The list of the intermediate's signer comes from the other server.
        trusted_by_all(issued, crls_above(issued), tmp_path / "leaf")


def _written(folder: Path, text: str) -> Path:
    path = folder / "written.pem"
    path.write_text(text)
    return path
