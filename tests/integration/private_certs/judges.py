"""Programs and libraries of others, asked about what the product signs: they know nothing of it but RFC 5280."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.verification import PolicyBuilder, Store

from strongroom.runtime.lint import Finding, lint_certificate, lint_crl, lint_ocsp
from tests.integration.private_certs.manager import Issued, authority_addresses, crl_pem, der_of
from tests.peers.needs import require
from tests.peers.server import free_port

_LIMIT = 20.0


@dataclass(frozen=True, kw_only=True)
class Files:
    """A certificate and everything to judge it by, as the files that programs read.

    Attributes:
        chain: the certificate and those between it and the root, in the order of TLS.
        above: those between it and the root.
        crls: revocation lists, one after the other.
    """

    leaf: Path
    key: Path
    chain: Path
    above: Path
    root: Path
    issuer: Path
    crls: Path


def write(folder: Path, issued: Issued, crls: Sequence[bytes] = ()) -> Files:
    """Write a certificate and its surroundings for programs."""
    folder.mkdir(parents=True, exist_ok=True)
    *above, root = issued.chain
    files = Files(
        **{name: folder / f"{name}.pem" for name in ("leaf", "key", "chain", "above", "root", "issuer", "crls")}
    )
    files.leaf.write_text(issued.certificate)
    files.key.write_text(issued.private_key)
    files.chain.write_text(issued.certificate + "".join(above))
    files.above.write_text("".join(above))
    files.root.write_text(root)
    files.issuer.write_text(issued.chain[0])
    files.crls.write_text("".join(crl_pem(der) for der in crls))
    return files


def run(*words: object, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return all that it said."""
    return subprocess.run(
        [str(word) for word in words], input=given, capture_output=True, text=True, check=False, timeout=_LIMIT
    )


def succeed(*words: object) -> str:
    """Run a program that must succeed, and return what it printed."""
    done = run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- chains


def openssl_verify(files: Files, *, host: str | None = "localhost", everything: bool = True) -> tuple[bool, str]:
    """Ask ``openssl verify`` strictly, with the lists that were fetched; return whether it trusts, and its words."""
    check = "-crl_check_all" if everything else "-crl_check"
    words: list[object] = ["-x509_strict", "-purpose", "sslserver", check, "-CRLfile", files.crls]
    words += [] if host is None else ["-verify_hostname", host]
    done = run(require("openssl"), "verify", *words, "-CAfile", files.root, "-untrusted", files.above, files.leaf)
    return done.returncode == 0, done.stdout + done.stderr


def gnutls_verify(files: Files, folder: Path) -> tuple[bool, str]:
    """Ask ``certtool --verify-chain``, and ``certtool --verify`` with the lists and the host name."""
    certtool = require("gnutls-bin")
    whole = folder / "whole.pem"
    whole.write_text(files.chain.read_text() + files.root.read_text())
    chain = run(certtool, "--verify-chain", "--infile", whole)
    against = ["--load-ca-certificate", files.root, "--load-crl", files.crls, "--infile", files.chain]
    host = run(certtool, "--verify", "--verify-hostname", "localhost", *against)
    told = chain.stdout + chain.stderr + host.stdout + host.stderr
    return chain.returncode == 0 and host.returncode == 0 and "The certificate is trusted" in told, told


def python_verify(issued: Issued, host: str = "localhost") -> None:
    """Ask the verifier of ``cryptography``, which keeps the rules for public servers; it raises what it dislikes."""
    *above, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in issued.chain)
    builder = PolicyBuilder().store(Store([root])).time(datetime.now(UTC))
    builder.build_server_verifier(x509.DNSName(host)).verify(issued.loaded, above)
    builder.build_client_verifier().verify(issued.loaded, above)


# --- handshakes


def handshake_with_openssl(files: Files) -> str:
    """Connect ``openssl s_client`` to ``openssl s_server``, each with the certificate and each checking the other."""
    openssl = str(require("openssl"))
    shown = ["-cert", str(files.leaf), "-key", str(files.key), "-cert_chain", str(files.above)]
    trusting = ["-CAfile", str(files.root), "-verify_return_error", "-no-CApath", "-no-CAstore"]
    port = free_port()
    words = ["-accept", f"127.0.0.1:{port}", "-naccept", "1", "-Verify", "4", *trusting, *shown, "-quiet"]
    server = subprocess.Popen(
        [openssl, "s_server", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _await_listener(port, server)
        asking = ["-connect", f"127.0.0.1:{port}", "-verify_hostname", "localhost", *trusting, *shown]
        client = run(openssl, "s_client", *asking, given="hello\nQ\n")
        said = server.communicate(timeout=_LIMIT)[0].decode()
        assert client.returncode == 0, client.stdout + client.stderr + said
        assert "Verify return code: 0 (ok)" in client.stdout
        assert "hello" in said, said
        return client.stdout
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def nginx(folder: Path, files: Files, *more: str) -> Iterator[int]:
    """Run nginx with a certificate, and yield its port; clients have to show one of the same root."""
    program = require("nginx-light")
    port = free_port()
    (folder / "nginx.conf").write_text(
        "\n".join(
            (
                "daemon off; master_process off; pid nginx.pid; error_log stderr;",
                "events { worker_connections 16; }",
                "http {",
                "access_log off; client_body_temp_path body; proxy_temp_path proxy;",
                "fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;",
                f"server {{ listen 127.0.0.1:{port} ssl; server_name localhost;",
                f"ssl_certificate {files.chain}; ssl_certificate_key {files.key};",
                f"ssl_client_certificate {files.root}; ssl_verify_client on; ssl_verify_depth 4;",
                *more,
                'location / { return 200 "$ssl_client_verify $ssl_client_s_dn"; } } }',
            )
        )
    )
    log = folder / "nginx.log"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [str(program), "-p", f"{folder}{os.sep}", "-c", "nginx.conf"],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
        )
    try:
        _await_listener(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(_LIMIT)


def ask_over_tls(port: int, files: Files) -> str:
    """Fetch a page as Python does that trusts only the root, shows the certificate, and checks revocation lists."""
    context = ssl.create_default_context(cafile=str(files.root))
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT | ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    context.load_verify_locations(cafile=str(files.crls))
    context.load_cert_chain(files.chain, files.key)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_LIMIT) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        parts = []
        while part := secured.recv(4096):
            parts.append(part)
    return b"".join(parts).decode()


def _await_listener(port: int, process: subprocess.Popen[bytes], log: Path | None = None) -> None:
    """Wait for a listener without connecting, which ``s_server`` would take for its one visitor."""
    wanted = f"0100007F:{port:04X}"
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text() if log else f"ended with {process.returncode}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if any(row[1] == wanted and row[3] == "0A" for row in rows):
            return
        time.sleep(0.01)
    raise AssertionError("nobody listens")


# --- OCSP


def openssl_ocsp(files: Files, issued: Issued, folder: Path, *more: str) -> str:
    """Ask the responder that a certificate names with ``openssl ocsp``; return its verdict. The answer is linted."""
    trust, saved = folder / "trust.pem", folder / "answer.der"
    trust.write_text("".join(issued.chain))
    url = authority_addresses(issued.loaded)[1]
    words = ["-issuer", files.issuer, "-cert", files.leaf, "-url", url, "-CAfile", trust, "-respout", saved, *more]
    told = succeed(require("openssl"), "ocsp", *words)
    assert "Response verify OK" in told
    _hold(lint_ocsp(saved.read_bytes()))
    answer = ocsp.load_der_ocsp_response(saved.read_bytes())
    for certificate in answer.certificates:
        lint([certificate])
    (line,) = [line for line in told.splitlines() if line.startswith(f"{files.leaf}: ")]
    return line.removeprefix(f"{files.leaf}: ")


def gnutls_ocsp(files: Files, issued: Issued, folder: Path) -> str:
    """Ask the responder that a certificate names with GnuTLS's ``ocsptool``; return its verdict."""
    ocsptool = require("gnutls-bin").with_name("ocsptool")
    trust = folder / "trust.pem"
    trust.write_text("".join(issued.chain))
    words = ["--load-cert", files.leaf, "--load-issuer", files.issuer, "--load-trust", trust]
    done = run(ocsptool, f"--ask={authority_addresses(issued.loaded)[1]}", *words, "--outfile", folder / "answer.der")
    told = done.stdout + done.stderr
    assert "Verifying OCSP Response: Success" in told, told
    (line,) = [line.strip() for line in told.splitlines() if line.strip().startswith("Certificate Status: ")]
    return line.removeprefix("Certificate Status: ")


# --- the linter


def _hold(findings: Sequence[Finding]) -> None:
    """Refuse every finding that is an error. No error is on an allow-list: there is none."""
    errors = [item for item in findings if item["severity"] in {"error", "fatal"}]
    assert not errors, errors


def lint(certificates: Sequence[x509.Certificate | str] = (), crls: Sequence[bytes] = ()) -> None:
    """Hold certificates and revocation lists to pkilint."""
    for certificate in certificates:
        pem = certificate if isinstance(certificate, str) else _pem(certificate)
        _hold(lint_certificate(der_of(pem)))
    for der in crls:
        _hold(lint_crl(der))


def lint_issued(issued: Issued, crls: Sequence[bytes] = ()) -> None:
    """Hold a certificate, everything above it, and revocation lists to pkilint."""
    lint([issued.certificate, *issued.chain], crls)


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()
