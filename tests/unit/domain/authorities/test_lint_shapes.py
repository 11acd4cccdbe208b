"""Which certificates count as one for the linter, and for how long."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from cryptography import x509

from strongroom.domain.authorities.context import NamedAuthority
from strongroom.domain.authorities.lint_shapes import KnownFindings, shape_of
from strongroom.domain.authorities.model import Authority, AuthorityId
from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.kernel.ids import ConfigurationId, IamId
from strongroom.pki.draft import CertifiedKey, Draft
from strongroom.pki.profile import Profile
from tests.factories.certificates import ec_key, rsa_key
from tests.factories.drafts import make_draft

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAY = date(2026, 1, 15)
FOUND = [{"severity": "notice", "code": "example", "message": "an example"}]
PROFILE = Profile()


def configuration(config_type: ConfigType, name: str) -> Configuration:
    """Return a configuration."""
    return Configuration(
        id=ConfigurationId(name),
        config_type=config_type,
        name=name,
        document={},
        created_at=AT,
        created_by=IamId("x"),
        updated_at=AT,
    )


TEMPLATE = configuration(ConfigType.TEMPLATE, "leaves")
ISSUER = NamedAuthority(
    configuration=configuration(ConfigType.INTERMEDIATE_CA, "issuing"),
    authority=Authority(
        id=AuthorityId("one"), configuration_id=ConfigurationId("issuing"), generation=1, key_id="", created_at=AT
    ),
)


def draft(
    *names: x509.GeneralName | str, common_name: str = "www.example.com", key: CertifiedKey | None = None
) -> Draft:
    """Draft a certificate; texts are host names."""
    alt_names = [x509.DNSName(name) if isinstance(name, str) else name for name in names]
    return make_draft(PROFILE, common_name=common_name, alt_names=alt_names, key=key)


def shape(made: Draft) -> str:
    """Return the shape of a draft by the template and authority of all tests."""
    return shape_of(made, TEMPLATE, ISSUER)


def test_other_names_of_the_same_kinds_have_the_same_shape() -> None:
    one = draft("a.example.com", x509.IPAddress(ipaddress.ip_address("192.0.2.1")))
    many = draft(
        x509.IPAddress(ipaddress.ip_address("192.0.2.2")), "b.example.com", "c.example.com", common_name="Another"
    )
    assert shape(one) == shape(many)


@pytest.mark.parametrize(
    "other",
    [
        draft("*.example.com"),
        draft("not a host"),
        draft("a.example.com", x509.RFC822Name("a@example.com")),
        draft("a.example.com", x509.IPAddress(ipaddress.ip_address("2001:db8::1"))),
        draft(x509.IPAddress(ipaddress.ip_address("192.0.2.1"))),
        draft("a.example.com", x509.UniformResourceIdentifier("spiffe://example.com")),
        draft("a.example.com", common_name=""),
        draft("a.example.com", common_name="a" * 65),
        draft("a.example.com", key=rsa_key().public_key()),
    ],
)
def test_other_kinds_of_names_or_keys_have_another_shape(other: Draft) -> None:
    assert shape(other) != shape(draft("a.example.com"))


def test_another_key_of_the_same_kind_has_the_same_shape() -> None:
    assert shape(draft("a.example.com", key=ec_key().public_key())) == shape(draft("a.example.com"))


def test_a_changed_template_and_another_authority_have_another_shape() -> None:
    made = draft("a.example.com")
    changed = replace(TEMPLATE, row_version=TEMPLATE.row_version + 1)
    moved = replace(ISSUER, configuration=replace(ISSUER.configuration, row_version=7))
    rotated = replace(ISSUER, authority=replace(ISSUER.authority, id=AuthorityId("two"), generation=2))
    shapes = {shape(made), shape_of(made, changed, ISSUER), shape_of(made, TEMPLATE, moved)}
    assert len(shapes | {shape_of(made, TEMPLATE, rotated)}) == 4


def test_findings_are_known_for_their_day() -> None:
    known = KnownFindings()
    assert known.find("shape", DAY) is None
    known.keep("shape", DAY, FOUND)
    assert known.find("shape", DAY) == FOUND
    assert known.find("another", DAY) is None
    assert known.find("shape", date(2026, 1, 16)) is None
    known.keep("another", date(2026, 1, 16), [])
    assert known.find("shape", DAY) is None
    assert known.find("another", date(2026, 1, 16)) == []


def test_no_number_of_shapes_fills_the_memory() -> None:
    known = KnownFindings()
    for number in range(2500):
        known.keep(f"shape {number}", DAY, FOUND)
    kept = sum(known.find(f"shape {number}", DAY) is not None for number in range(2500))
    assert 0 < kept <= 1000
