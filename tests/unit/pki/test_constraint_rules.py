"""Names held against the constraints of authorities above."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.pki.constraint_rules import check_constraints

NOW = datetime(2026, 1, 15, tzinfo=UTC)


def authority(
    permitted: Sequence[x509.GeneralName] | None = None, excluded: Sequence[x509.GeneralName] | None = None
) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example CA")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
    if permitted or excluded:
        constraints = x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded)
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(key, hashes.SHA256())


def outcome(name: x509.GeneralName, *authorities: x509.Certificate) -> str:
    (verdict,) = check_constraints([name], authorities)
    return verdict.verdict


DNS = x509.DNSName
EMAIL = x509.RFC822Name
URI = x509.UniformResourceIdentifier


@pytest.mark.parametrize(
    ("name", "base", "is_within"),
    [
        (DNS("example.com"), DNS("example.com"), True),
        (DNS("www.EXAMPLE.com"), DNS("example.com"), True),
        (DNS("*.example.com"), DNS("example.com"), True),
        (DNS("badexample.com"), DNS("example.com"), False),
        (DNS("example.org"), DNS("example.com"), False),
        (DNS("www.example.com"), DNS(".example.com"), True),
        (EMAIL("a@example.com"), EMAIL("example.com"), True),
        (EMAIL("a@mail.example.com"), EMAIL("example.com"), False),
        (EMAIL("a@mail.example.com"), EMAIL(".example.com"), True),
        (EMAIL("a@example.com"), EMAIL("a@example.com"), True),
        (EMAIL("b@example.com"), EMAIL("a@example.com"), False),
        (URI("https://www.example.com/x"), URI("www.example.com"), True),
        (URI("https://www.example.com/x"), URI(".example.com"), True),
        (URI("https://example.com/x"), URI(".example.com"), False),
        (
            x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
            x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
            True,
        ),
        (
            x509.IPAddress(ipaddress.ip_address("198.51.100.7")),
            x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
            False,
        ),
        (
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.IPAddress(ipaddress.ip_network("192.0.2.0/24")),
            False,
        ),
    ],
)
def test_permitted_and_excluded_names_are_opposites(
    name: x509.GeneralName, base: x509.GeneralName, is_within: bool
) -> None:
    assert outcome(name, authority(permitted=[base])) == ("pass" if is_within else "fail")
    assert outcome(name, authority(excluded=[base])) == ("fail" if is_within else "pass")


@pytest.mark.parametrize("uri", ["https://[zz/", "urn:example:a", "https:///x"])
def test_a_uri_without_a_host_is_outside_of_all_constraints_on_hosts(uri: str) -> None:
    base = URI(".example.com")

    assert outcome(URI(uri), authority(permitted=[base])) == "fail"
    assert outcome(URI(uri), authority(excluded=[base])) == "fail"
    assert outcome(URI(uri), authority(excluded=[DNS("example.com")])) == "pass"


def test_other_kinds_than_the_constrained_one_are_free() -> None:
    assert outcome(EMAIL("a@example.org"), authority(permitted=[DNS("example.com")])) == "pass"


def test_every_authority_above_counts() -> None:
    outer, inner = authority(permitted=[DNS("example.com")]), authority(permitted=[DNS("a.example.com")])

    assert outcome(DNS("x.a.example.com"), inner, outer) == "pass"
    assert outcome(DNS("x.b.example.com"), inner, outer) == "fail"


def test_nothing_is_judged_without_constraints() -> None:
    (verdict,) = check_constraints([DNS("example.com")], [authority()])

    assert verdict.verdict == "skipped"


def test_refusal_says_what_would_pass() -> None:
    (verdict,) = check_constraints([DNS("example.org")], [authority(permitted=[DNS("example.com")])])

    assert verdict.value == "example.org"
    assert verdict.would_pass == "a name within example.com"
