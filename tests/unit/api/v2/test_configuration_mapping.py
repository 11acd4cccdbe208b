"""What lists, full reads and wizards show of a configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from pydantic import TypeAdapter

from strongroom.api.v2.mapping.configurations import certificate_template, configuration_full, configuration_metadata
from strongroom.api.v2.schemas.configurations import Configuration as ConfigurationModel
from strongroom.api.v2.schemas.configurations import ConfigurationMetadata as MetadataModel
from strongroom.api.v2.schemas.templates import CertificateTemplate
from strongroom.domain.authorities.facts import AuthorityFacts
from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.kernel.ids import ConfigurationId, IamId
from strongroom.pki.authority import parse_authority
from strongroom.pki.profile import parse_template
from tests.unit.api.v2 import test_configuration_models as bodies

Json = dict[str, Any]

FACTS: Final = json.loads((Path(__file__).parents[3] / "assets" / "api-v2-facts.json").read_text("utf-8"))["models"]
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
AT = datetime(2026, 2, 1, 8, tzinfo=UTC)
COMMON: Json = {
    "secret_type": "private_cert",
    "created_by": "iam-ServiceId-2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e",
    "created_at": "2026-02-01T08:00:00Z",
    "updated_at": "2026-02-01T08:00:00Z",
}
AUTHORITY: Json = {
    "common_name": "Example CA",
    "max_ttl_seconds": 3600,
    "crl_expiry_seconds": 259_200,
    "crl_disable": False,
    "crl_distribution_points_encoded": True,
    "issuing_certificates_urls_encoded": False,
    "ocsp_urls_encoded": False,
    "alt_names": ["ca.example.com"],
    "ip_sans": "192.0.2.1",
    "uri_sans": "https://example.com",
    "other_sans": [],
    "exclude_cn_from_sans": False,
    "format": "pem",
    "private_key_format": "der",
    "key_type": "rsa",
    "key_bits": 2048,
    "serial_number": "de:ad",
    **{name: [] for name in ("ou", "organization", "country", "locality", "province", "street_address", "postal_code")},
}
TOKEN: Json = {"label": "key", "provider": {"type": "pkcs11", "token_label": "token", "pin_secret_id": "id"}}
ISSUED = AuthorityFacts(
    status="configured",
    expiration=datetime(2036, 1, 30, 8, tzinfo=UTC),
    serial_number="43:5c:f4",
    data={"certificate": PEM, "issuing_ca": PEM, "ca_chain": [PEM], "expiration": 2_085_292_800},
)
WAITING = AuthorityFacts(status="signing_required", data={"csr": "CSR", "private_key_type": "rsa"})
RULES: Json = {
    "certificate_authority": "example-issuing",
    "allowed_secret_groups": "default, 2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e",
    "max_ttl_seconds": 7_776_000,
    "ttl_seconds": 0,
    "not_before_duration_seconds": 30,
    "allowed_domains": ["example.com"],
    "allow_wildcard_certificates": False,
    "key_usage": ["DigitalSignature"],
    "lint_level": "warn",
    "require_cn": True,
}


def configuration(config_type: ConfigType, document: Mapping[str, Any]) -> Configuration:
    return Configuration(
        id=ConfigurationId("75f79c56-4d95-4f52-8f4a-0e9a1d0f1a2b"),
        config_type=config_type,
        name="example",
        document=document,
        sealed=b"sealed",
        created_at=AT,
        created_by=IamId(COMMON["created_by"]),
        updated_at=AT,
    )


ROOT = configuration(
    ConfigType.ROOT_CA, {**AUTHORITY, "ttl_seconds": 3600, "max_path_length": -1, "permitted_dns_domains": []}
)
INTERMEDIATE = configuration(
    ConfigType.INTERMEDIATE_CA, {**AUTHORITY, "signing_method": "internal", "issuer": "example-root", "auto_sign": True}
)
TEMPLATE = configuration(ConfigType.TEMPLATE, RULES)


def check(model: Any, wire: Json) -> None:
    """Hold an answer to the schema in the OpenAPI document."""
    jsonschema.Draft202012Validator(TypeAdapter(model).json_schema(mode="serialization")).validate(wire)


@pytest.mark.parametrize(
    ("shown", "facts", "model"),
    [
        pytest.param(ROOT, ISSUED, "PrivateCertificateConfigurationRootCA", id="root"),
        pytest.param(INTERMEDIATE, ISSUED, "PrivateCertificateConfigurationIntermediateCA", id="intermediate"),
        pytest.param(INTERMEDIATE, WAITING, "PrivateCertificateConfigurationIntermediateCA", id="waiting"),
        pytest.param(TEMPLATE, None, "PrivateCertificateConfigurationTemplate", id="template"),
    ],
)
def test_both_views_are_those_of_the_contract(shown: Configuration, facts: AuthorityFacts | None, model: str) -> None:
    full = configuration_full(shown, facts)
    metadata = configuration_metadata(shown, facts)

    check(ConfigurationModel, full)
    check(MetadataModel, metadata)
    assert metadata.items() <= full.items()
    assert set(full) >= {name for name, one in FACTS[model]["fields"].items() if one["required"]}
    assert set(metadata) <= set(FACTS[f"{model}Metadata"]["fields"])
    assert COMMON.items() <= metadata.items()


def test_a_root_shows_everything_but_a_key_that_it_has_not() -> None:
    known = set(FACTS["PrivateCertificateConfigurationRootCA"]["fields"])

    assert set(configuration_full(ROOT, ISSUED)) == known - {"crypto_key"} | {"ocsp_urls_encoded"}


def test_the_state_of_the_certificate_stands_beside_the_settings() -> None:
    wire = configuration_full(ROOT, ISSUED)

    assert wire["status"] == "configured"
    assert wire["expiration_date"] == "2036-01-30T08:00:00Z"
    assert wire["serial_number"] == "43:5c:f4"
    assert wire["data"] == ISSUED.data


def test_a_waiting_intermediate_shows_its_csr_and_nothing_of_a_certificate() -> None:
    wire = configuration_full(INTERMEDIATE, WAITING)

    assert wire["data"] == {"csr": "CSR", "private_key_type": "rsa"}
    assert not {"expiration_date", "serial_number"} & set(wire)


def test_nothing_leaves_that_the_models_do_not_name() -> None:
    shown = configuration(ConfigType.ROOT_CA, {**AUTHORITY, "pin": "hidden", "internal": {"key": "hidden"}})
    facts = AuthorityFacts(status="configured", data={"certificate": PEM, "private_key": "hidden"})

    assert "hidden" not in json.dumps(configuration_full(shown, facts))
    assert "auto_sign" not in configuration_full(INTERMEDIATE, WAITING)


def test_an_issuer_elsewhere_is_shown_by_its_name() -> None:
    outside = configuration(ConfigType.INTERMEDIATE_CA, {**AUTHORITY, "signing_method": "external"})
    facts = AuthorityFacts(status="configured", issuer="CN=Example Outside CA")

    assert configuration_metadata(outside, facts)["issuer"] == "CN=Example Outside CA"
    assert configuration_metadata(INTERMEDIATE, facts)["issuer"] == "example-root"
    assert "issuer" not in configuration_metadata(ROOT, facts)


def test_a_key_in_a_token_is_shown_to_those_who_know_extensions() -> None:
    shown = configuration(ConfigType.ROOT_CA, {**AUTHORITY, "crypto_key": TOKEN})

    for view in (configuration_full, configuration_metadata):
        assert "crypto_key" not in view(shown, ISSUED)
        assert view(shown, ISSUED, extensions=True)["crypto_key"] == TOKEN


def test_a_template_in_a_list_shows_its_authority_alone() -> None:
    wire = configuration_metadata(TEMPLATE)

    assert set(wire) == {*COMMON, "config_type", "name", "certificate_authority"}


def test_those_who_may_issue_see_the_rules() -> None:
    wire = certificate_template(TEMPLATE)

    check(CertificateTemplate, wire)
    assert wire["allowed_secret_groups"] == ["default", "2f1d1f3e-6a0c-4e44-9d5c-3a1c7a4c6b1e"]
    assert wire["rules"] == {
        name: value for name, value in RULES.items() if name not in {"certificate_authority", "allowed_secret_groups"}
    }


def test_a_template_for_all_groups_lists_none() -> None:
    for groups in ({}, {"allowed_secret_groups": ""}):
        shown = configuration(ConfigType.TEMPLATE, {"certificate_authority": "example-issuing", **groups})

        assert certificate_template(shown)["allowed_secret_groups"] == []


@pytest.mark.parametrize(
    ("config_type", "body", "durations"),
    [
        pytest.param(
            ConfigType.ROOT_CA,
            {**bodies.ROOT, **bodies.AUTHORITY, "ttl": "87600h", "max_path_length": 2, "permitted_dns_domains": []},
            {"max_ttl": 315_360_000, "ttl": 315_360_000, "crl_expiry": 259_200},
            id="root",
        ),
        pytest.param(
            ConfigType.INTERMEDIATE_CA,
            {**bodies.INTERMEDIATE, **bodies.AUTHORITY, "issuer": "example-root"},
            {"max_ttl": 94_608_000, "crl_expiry": 259_200},
            id="intermediate",
        ),
        pytest.param(
            ConfigType.TEMPLATE,
            {**bodies.TEMPLATE, **bodies.RULES},
            {"max_ttl": 7_776_000, "ttl": 2_592_000, "not_before_duration": 30},
            id="template",
        ),
    ],
)
def test_what_was_sent_is_shown_again_with_durations_in_seconds(
    config_type: ConfigType, body: Json, durations: dict[str, int]
) -> None:
    values = {name: value for name, value in body.items() if name not in {"config_type", "name"}}
    if config_type is ConfigType.TEMPLATE:
        document = parse_template(values)
    else:
        document, _ = parse_authority(values, root=config_type is ConfigType.ROOT_CA)

    wire = configuration_full(
        configuration(config_type, document), None if config_type is ConfigType.TEMPLATE else ISSUED
    )

    check(ConfigurationModel, wire)
    sent = {name: value for name, value in values.items() if name not in durations}
    shown = {f"{name}_seconds": seconds for name, seconds in durations.items()}
    if config_type is not ConfigType.TEMPLATE:
        # The name stands for the subject's in a request, for the certificate's in an answer.
        sent["serial_number"] = ISSUED.serial_number
    assert wire.items() >= (sent | shown).items()
