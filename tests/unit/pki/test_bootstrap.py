from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.pki.bootstrap import issue_server_certificate, make_bootstrap_ca
from strongroom.pki.inspect import inspect_certificate
from strongroom.pki.keys import public_key_spki
from tests.factories.certificates import ec_key, rsa_key, to_pem

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
CA_KEY, CA = make_bootstrap_ca("Strongroom bootstrap CA", NOW)
NAMES = ["strongroom.example.com", "localhost", "127.0.0.1", "::1"]


def test_the_authority_lives_ten_years_and_signs_leaves_only() -> None:
    facts = inspect_certificate(CA)
    assert facts.is_ca
    assert facts.common_name == "Strongroom bootstrap CA"
    assert facts.key_algorithm == "ECDSA256"
    assert facts.not_before == NOW - timedelta(minutes=5)
    assert facts.not_after == NOW + timedelta(days=3650)
    assert CA.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    usage = CA.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert public_key_spki(CA) == public_key_spki(CA_KEY)


def test_a_strict_client_accepts_the_server_certificate_for_its_names() -> None:
    leaf = issue_server_certificate(CA, CA_KEY, ec_key(), NAMES, NOW, timedelta(days=90))
    builder = PolicyBuilder().store(Store([CA])).time(NOW)
    assert builder.build_server_verifier(x509.DNSName("strongroom.example.com")).verify(leaf, []) == [leaf, CA]
    facts = inspect_certificate(leaf)
    assert facts.alt_names == ("strongroom.example.com", "localhost")
    assert facts.ip_sans == ("127.0.0.1", "::1")
    assert facts.not_before == NOW - timedelta(minutes=5)
    assert facts.not_after == NOW + timedelta(days=90)


def test_openssl_accepts_the_server_certificate(tmp_path: Path) -> None:
    leaf = issue_server_certificate(CA, CA_KEY, rsa_key(), NAMES, NOW, timedelta(days=90))
    (tmp_path / "ca.pem").write_text(to_pem(CA))
    (tmp_path / "leaf.pem").write_text(to_pem(leaf))
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "127.0.0.1"]
    command += ["-attime", str(int(NOW.timestamp())), "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "leaf.pem")]
    assert "OK" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_server_certificate_ends_with_its_authority() -> None:
    leaf = issue_server_certificate(CA, CA_KEY, ec_key(), ["a"], NOW, timedelta(days=9999))
    assert leaf.not_valid_after_utc == CA.not_valid_after_utc


def test_a_first_name_too_long_for_a_common_name_is_in_the_sans_only() -> None:
    name = "a" * 63 + ".example.com"
    leaf = issue_server_certificate(CA, CA_KEY, ec_key(), [name], NOW, timedelta(days=1))
    assert inspect_certificate(leaf).common_name is None
    assert inspect_certificate(leaf).alt_names == (name,)
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


@pytest.mark.parametrize(("names", "words"), [([], "at least one name"), (["bad name"], "`bad name` cannot be used")])
def test_names_that_are_none_are_refused(names: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        issue_server_certificate(CA, CA_KEY, ec_key(), names, NOW, timedelta(days=1))
    assert caught.value.code is ErrorCode.INVALID_FIELD
