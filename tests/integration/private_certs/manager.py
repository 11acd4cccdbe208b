"""A Manager of private certificates: makes trees, templates and certificates over HTTP, and tidies up behind itself."""

from __future__ import annotations

import base64
import http.client
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from tests.peers.server import Answer, LiveServer

CONFIGURATIONS = "/api/v2/configurations"
SECRETS = "/api/v2/secrets"
ACTION = "private_cert_configuration_action_"
REVOKE = {"action_type": "private_cert_action_revoke_certificate"}
ADDRESSES: dict[str, Any] = {
    "crl_distribution_points_encoded": True,
    "issuing_certificates_urls_encoded": True,
    "ocsp_urls_encoded": True,
}
"""Every address that a CA can write into what it signs."""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate as the API gave it, with its key and everything above it.

    Attributes:
        chain: the signing CA first, the root last.
    """

    certificate: str
    private_key: str
    chain: tuple[str, ...]
    secret_id: str = ""

    @classmethod
    def of(cls, secret: Mapping[str, Any]) -> Issued:
        """Read it out of a secret or a version."""
        return cls(
            certificate=secret["certificate"],
            private_key=secret["private_key"],
            chain=tuple(secret["ca_chain"]),
            secret_id=secret.get("secret_id", secret["id"]),
        )

    @property
    def loaded(self) -> x509.Certificate:
        """Return the certificate itself."""
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def issuer(self) -> x509.Certificate:
        """Return the certificate of the CA that signed it."""
        return x509.load_pem_x509_certificate(self.chain[0].encode())


@dataclass
class Manager:
    """Works through the API of one server."""

    server: LiveServer
    made: list[str] = field(default_factory=list)
    """Paths of what was made, in its order."""

    def ask(self, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        """Send a request that is to be answered with a status."""
        answer = self.server.request(method, path, body)
        assert answer.status == expect, answer.raw
        return answer.json if answer.raw else None

    def configure(self, kind: str, name: str, **members: Any) -> dict[str, Any]:
        """Make a configuration."""
        body = {"config_type": f"private_cert_configuration_{kind}", "name": name, **members}
        made = self.ask("POST", CONFIGURATIONS, body, 201)
        self.made.append(f"{CONFIGURATIONS}/{name}")
        return dict(made)

    def root(self, name: str, **members: Any) -> dict[str, Any]:
        """Make a root."""
        return self.configure("root_ca", name, **{"common_name": f"Example {name}", "max_ttl": "43830h", **members})

    def intermediate(self, name: str, parent: str, *, options: Mapping[str, Any] | None = None, **members: Any) -> None:
        """Make an intermediate and have a CA of this instance sign it."""
        given = {"common_name": f"Example {name}", "max_ttl": "26280h", "signing_method": "internal", "issuer": parent}
        self.configure("intermediate_ca", name, **given, **members)
        self.act(parent, "sign_intermediate", intermediate_certificate_authority=name, **(options or {}))

    def template(self, name: str, authority: str, **members: Any) -> None:
        """Make a template."""
        self.configure("template", name, certificate_authority=authority, **{"max_ttl": "8760h", **members})

    def tree(self, stem: str, *, template: Mapping[str, Any] | None = None, **authorities: Any) -> tuple[str, str, str]:
        """Make root, intermediate and template; return their names."""
        root, issuing, leaves = (f"{stem}-{part}" for part in ("root", "issuing", "leaves"))
        self.root(root, **authorities)
        self.intermediate(issuing, root, **authorities)
        self.template(leaves, issuing, **(template or {}))
        return root, issuing, leaves

    def act(self, name: str, action: str, expect: int = 201, **members: Any) -> Any:
        """Act on a CA."""
        return self.ask("POST", f"{CONFIGURATIONS}/{name}/actions", {"action_type": ACTION + action, **members}, expect)

    def data(self, name: str) -> dict[str, Any]:
        """Return certificate, chain and request of a CA."""
        return dict(self.ask("GET", f"{CONFIGURATIONS}/{name}")["data"])

    def issue(self, template: str, name: str, **members: Any) -> Issued:
        """Issue a certificate, for ``localhost`` unless told otherwise."""
        body = {
            "secret_type": "private_cert",
            "name": name,
            "certificate_template": template,
            "common_name": "localhost",
            **members,
        }
        secret = self.ask("POST", SECRETS, body, 201)
        self.made.append(f"{SECRETS}/{secret['id']}")
        return Issued.of(secret)

    def rotate(self, issued: Issued, **members: Any) -> Issued:
        """Issue the next certificate of a secret."""
        return Issued.of(self.ask("POST", f"{SECRETS}/{issued.secret_id}/versions", members, 201))

    def revoke(self, issued: Issued, version: str | None = None) -> None:
        """Revoke the current certificate of a secret, or a version."""
        of_version = "" if version is None else f"/versions/{version}"
        self.ask("POST", f"{SECRETS}/{issued.secret_id}{of_version}/actions", REVOKE, 201)

    def tidy_up(self) -> None:
        """Delete everything, the newest first."""
        while self.made:
            answer = self.server.request("DELETE", self.made.pop())
            assert answer.status in {204, 404}, answer.raw


def fetch(url: str, body: bytes | None = None, content_type: str = "application/ocsp-request") -> Answer:
    """Fetch an address that stands in a certificate, as a relying party: over plain HTTP and without a token."""
    parts = urlsplit(url)
    assert parts.scheme == "http", url
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": content_type} if body is not None else {}
        connection.request("GET" if body is None else "POST", target, body=body, headers=headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, (url, response.status, content)
        return Answer(response.status, dict(response.getheaders()), content)
    finally:
        connection.close()


def crl_address(certificate: x509.Certificate) -> str:
    """Return where a certificate says its revocation list is."""
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    return str((points[0].full_name or [])[0].value)


def authority_addresses(certificate: x509.Certificate) -> tuple[str, str]:
    """Return where a certificate says its issuer's certificate and the OCSP responder are."""
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    found = {item.access_method: str(item.access_location.value) for item in access}
    return found[AuthorityInformationAccessOID.CA_ISSUERS], found[AuthorityInformationAccessOID.OCSP]


def crls_above(issued: Issued) -> list[bytes]:
    """Fetch the lists that a certificate and the CAs above it lead to, but for the root, which leads nowhere."""
    below_root = [issued.loaded, *(x509.load_pem_x509_certificate(pem.encode()) for pem in issued.chain[:-1])]
    return [fetch(crl_address(certificate)).raw for certificate in below_root]


def is_list_of(der: bytes, issuer: x509.Certificate) -> bool:
    """Tell whether a list was signed by the key of a CA."""
    key = issuer.public_key()
    return x509.load_der_x509_crl(der).is_signature_valid(key)  # type: ignore[arg-type]  # our kinds are among them


def der_of(pem: str) -> bytes:
    """Return a certificate as DER."""
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def crl_pem(der: bytes) -> str:
    """Return a list as PEM, which openssl reads from a file of several."""
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN X509 CRL-----\n{lines}\n-----END X509 CRL-----\n"
