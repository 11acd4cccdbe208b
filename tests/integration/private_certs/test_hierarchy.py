"""Trees of authorities: three levels, limits on what is below, and an intermediate that changes its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.factories.authorities import to_csr, to_csr_pem
from tests.factories.certificates import ec_key
from tests.integration.private_certs.judges import (
    gnutls_verify,
    handshake_with_openssl,
    lint,
    lint_issued,
    openssl_ocsp,
    openssl_verify,
    python_verify,
    write,
)
from tests.integration.private_certs.manager import (
    ADDRESSES,
    CONFIGURATIONS,
    SECRETS,
    Issued,
    Manager,
    authority_addresses,
    crl_address,
    crls_above,
    fetch,
    is_list_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.peers]

EC: dict[str, Any] = {"key_type": "ec"}


def entries(der: bytes) -> set[int]:
    """Return the serial numbers on a list."""
    return {item.serial_number for item in x509.load_der_x509_crl(der)}


def path_length(pem: str) -> int | None:
    """Return how many authorities a certificate allows below it."""
    found = x509.load_pem_x509_certificate(pem.encode()).extensions
    return found.get_extension_for_class(x509.BasicConstraints).value.path_length


# --- rotating an intermediate


def test_certificates_of_before_and_after_a_rotation_both_lead_to_their_own_issuer_and_list(
    manager: Manager, tmp_path: Path
) -> None:
    _, issuing, leaves = manager.tree("rotation", template=EC, **EC, **ADDRESSES)
    old = manager.issue(leaves, "rotation-leaf")

    manager.act(issuing, "rotate_intermediate")

    new = manager.rotate(old)
    both = {"old": old, "new": new}
    assert old.issuer.subject == new.issuer.subject
    assert old.issuer.public_key() != new.issuer.public_key()
    assert crl_address(old.loaded) != crl_address(new.loaded)
    for name, issued in both.items():
        crls = crls_above(issued)
        lint_issued(issued, crls)
        assert is_list_of(crls[0], issued.issuer)
        issuer = fetch(authority_addresses(issued.loaded)[0]).raw
        assert issuer == issued.issuer.public_bytes(Encoding.DER)
        files = write(tmp_path / name, issued, crls)
        for trusted, told in (openssl_verify(files), gnutls_verify(files, tmp_path)):
            assert trusted, told
        python_verify(issued)
        assert openssl_ocsp(files, issued, tmp_path) == "good"

    manager.revoke(old, "previous")
    lists = {name: crls_above(issued) for name, issued in both.items()}
    assert [old.loaded.serial_number in entries(lists[name][0]) for name in both] == [True, False]
    for name, issued in both.items():
        files = write(tmp_path / name, issued, lists[name])
        trusted = name == "new"
        assert openssl_verify(files)[0] is trusted
        assert gnutls_verify(files, tmp_path)[0] is trusted
        assert openssl_ocsp(files, issued, tmp_path) == ("good" if trusted else "revoked")


def test_the_lists_of_all_keys_in_one_file_serve_every_certificate(manager: Manager, tmp_path: Path) -> None:
    _, issuing, leaves = manager.tree("lists", template=EC, **EC, **ADDRESSES)
    issued = [manager.issue(leaves, "lists-leaf")]
    for _ in range(2):
        manager.act(issuing, "rotate_intermediate")
        issued.append(manager.rotate(issued[0]))
    plain = crl_address(issued[0].loaded)

    together = fetch(f"{plain}/pem").raw + fetch(f"{crl_address(issued[0].issuer)}/pem").raw

    assert together.count(b"BEGIN X509 CRL") == 4
    for number, one in enumerate(issued):
        files = write(tmp_path / str(number), one)
        files.crls.write_bytes(together)
        trusted, told = openssl_verify(files)
        assert trusted, told
    shown = manager.data(issuing)
    assert shown["certificate"] == issued[-1].chain[0]
    assert fetch(authority_addresses(issued[-1].loaded)[0]).raw == issued[-1].issuer.public_bytes(Encoding.DER)


def test_a_rotation_keeps_what_the_signer_decided(manager: Manager) -> None:
    manager.root("decided-root", **EC)
    options = {"common_name": "Example Renamed", "ou": ["PKI"], "max_path_length": 0, "alt_names": ["ca.example.com"]}
    manager.intermediate("decided-issuing", "decided-root", options=options, **EC)
    before = x509.load_pem_x509_certificate(manager.data("decided-issuing")["certificate"].encode())

    config = manager.act("decided-issuing", "rotate_intermediate")["config"]

    after = x509.load_pem_x509_certificate(config["data"]["certificate"].encode())
    assert after.subject == before.subject
    assert after.public_key() != before.public_key()
    for kind in (x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName):
        found, kept = (item.extensions.get_extension_for_class(kind) for item in (after, before))
        assert (found.value, found.critical) == (kept.value, kept.critical)
    assert x509.load_pem_x509_csr(config["csr"].encode()).public_key() == after.public_key()
    assert manager.data("decided-issuing")["csr"] == config["csr"]
    lint([config["data"]["certificate"]])


# --- three levels


def three_levels(manager: Manager, stem: str) -> tuple[str, str, str]:
    """Make root, policy CA, issuing CA and a template; return the names of the CAs."""
    root, policy, issuing = f"{stem}-root", f"{stem}-policy", f"{stem}-issuing"
    manager.root(root, max_path_length=2, **EC, **ADDRESSES)
    manager.intermediate(policy, root, **EC, **ADDRESSES)
    manager.intermediate(issuing, policy, **EC, **ADDRESSES)
    manager.template(f"{stem}-leaves", issuing, **EC)
    return root, policy, issuing


def test_three_levels_are_trusted_and_each_gets_what_its_signer_leaves(manager: Manager, tmp_path: Path) -> None:
    root, policy, issuing = three_levels(manager, "levels")
    issued = manager.issue("levels-leaves", "levels-leaf")
    crls = crls_above(issued)
    files = write(tmp_path, issued, crls)

    assert issued.chain == tuple(manager.data(name)["certificate"] for name in (issuing, policy, root))
    assert [path_length(pem) for pem in issued.chain] == [0, 1, 2]
    lint_issued(issued, crls)
    for trusted, told in (openssl_verify(files), gnutls_verify(files, tmp_path)):
        assert trusted, told
    python_verify(issued)
    handshake_with_openssl(files)
    while issued.chain:
        # Each authority answers for those right below it.
        assert openssl_ocsp(write(tmp_path, issued), issued, tmp_path) == "good"
        issued = Issued(certificate=issued.chain[0], private_key="", chain=issued.chain[1:])


def test_a_revoked_authority_takes_everything_below_it_along(manager: Manager, tmp_path: Path) -> None:
    _, policy, issuing = three_levels(manager, "taken")
    issued = manager.issue("taken-leaves", "taken-leaf")

    manager.act(issuing, "revoke_ca_certificate")

    crls = crls_above(issued)
    lint(crls=crls)
    files = write(tmp_path, issued, crls)
    assert entries(crls[1]) == {issued.issuer.serial_number}
    assert openssl_verify(files, everything=False)[0]
    for trusted, told in (openssl_verify(files), gnutls_verify(files, tmp_path)):
        assert not trusted
        assert "revoked" in told
    above = Issued(certificate=issued.chain[0], private_key="", chain=issued.chain[1:])
    assert openssl_ocsp(write(tmp_path / "above", above), above, tmp_path) == "revoked"
    assert manager.ask("GET", f"{CONFIGURATIONS}/{issuing}")["status"] == "revoked"
    body = {"secret_type": "private_cert", "name": "more", "certificate_template": "taken-leaves"}
    manager.ask("POST", SECRETS, {**body, "common_name": "localhost"}, 400)
    manager.act(policy, "sign_intermediate", 400, intermediate_certificate_authority=issuing)


def test_revoking_an_authority_takes_back_what_its_key_was_certified_with_before(
    manager: Manager, tmp_path: Path
) -> None:
    root, issuing, leaves = manager.tree("twice", template=EC, **EC, **ADDRESSES)
    first = manager.issue(leaves, "twice-first")
    manager.act(root, "sign_intermediate", intermediate_certificate_authority=issuing)
    second = manager.issue(leaves, "twice-second")
    assert first.issuer.public_key() == second.issuer.public_key()
    assert first.issuer.serial_number != second.issuer.serial_number
    for name, issued in {"first": first, "second": second}.items():
        trusted, told = openssl_verify(write(tmp_path / name, issued, crls_above(issued)))
        assert trusted, told

    manager.act(issuing, "revoke_ca_certificate")

    for name, issued in {"first": first, "second": second}.items():
        assert "certificate revoked" in openssl_verify(write(tmp_path / name, issued, crls_above(issued)))[1]


# --- limits


def test_nobody_signs_authorities_that_must_have_none_below(manager: Manager) -> None:
    manager.root("narrow-root", max_path_length=1, **EC)
    manager.intermediate("narrow-policy", "narrow-root", **EC)
    given = {"common_name": "Example Too Deep", "max_ttl": "8760h", "signing_method": "internal", **EC}
    manager.configure("intermediate_ca", "narrow-deep", issuer="narrow-policy", **given)

    refused = manager.act("narrow-policy", "sign_intermediate", 400, intermediate_certificate_authority="narrow-deep")
    assert "path" in refused["errors"][0]["message"]
    manager.act("narrow-policy", "sign_csr", 400, csr=to_csr_pem(to_csr(ec_key())), common_name="Example Too Deep")
    assert path_length(manager.data("narrow-policy")["certificate"]) == 0
    assert manager.ask("GET", f"{CONFIGURATIONS}/narrow-deep")["status"] == "signing_required"


def test_name_constraints_of_a_root_hold_for_everything_below(manager: Manager, tmp_path: Path) -> None:
    manager.root("names-root", permitted_dns_domains=["example.com"], **EC, **ADDRESSES)
    manager.intermediate("names-issuing", "names-root", **EC, **ADDRESSES)
    manager.template("names-leaves", "names-issuing", allow_any_name=True, **EC)

    issued = manager.issue("names-leaves", "names-leaf", common_name="www.example.com")

    files = write(tmp_path, issued, crls_above(issued))
    trusted, told = openssl_verify(files, host="www.example.com")
    assert trusted, told
    python_verify(issued, "www.example.com")
    lint_issued(issued)
    body = {"secret_type": "private_cert", "name": "names-other", "certificate_template": "names-leaves"}
    for host in ("www.example.org", "localhost", "badexample.com"):
        refused = manager.ask("POST", SECRETS, {**body, "common_name": host}, 400)
        assert host in refused["errors"][0]["message"]


def test_name_constraints_given_when_signing_hold_too(manager: Manager, tmp_path: Path) -> None:
    manager.root("given-root", **EC, **ADDRESSES)
    options = {"permitted_dns_domains": ["example.com"], "max_path_length": 0}
    manager.intermediate("given-issuing", "given-root", options=options, **EC, **ADDRESSES)
    manager.template("given-leaves", "given-issuing", allow_any_name=True, **EC)
    body = {"secret_type": "private_cert", "name": "given-other", "certificate_template": "given-leaves"}

    for name in ("given-before", "given-after"):
        issued = manager.issue("given-leaves", name, common_name="www.example.com")
        trusted, told = openssl_verify(write(tmp_path, issued, crls_above(issued)), host="www.example.com")
        assert trusted, told
        python_verify(issued, "www.example.com")
        manager.ask("POST", SECRETS, {**body, "common_name": "www.example.org"}, 400)
        # What the action asked for survives a rotation.
        manager.act("given-issuing", "rotate_intermediate")
