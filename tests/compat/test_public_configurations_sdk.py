"""The official Python client makes, reads, changes and deletes configurations of public certificates."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ibm_cloud_sdk_core import ApiException
from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2

from tests.peers.sdk import connect, result
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]

LETS_ENCRYPT = "public_cert_configuration_ca_lets_encrypt"
CIS = "public_cert_configuration_dns_cloud_internet_services"
CLASSIC = "public_cert_configuration_dns_classic_infrastructure"
CRN = "crn:v1:bluemix:public:internet-svcs:global:a/3f9d2c7b1e5a4086b7c1d8e2f4a60935:zones-of-example::"


@pytest.fixture
def client(ordering_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerV2:
    """Give the client as the documentation sets it up, of a server that orders at a real ACME server."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ordering_server.ca_file))
    return connect(ordering_server)


@pytest.fixture
def name() -> Callable[[str], str]:
    """Give names that no other test on the shared server uses."""
    mark = uuid.uuid4().hex[:8]
    return lambda stem: f"{stem}-{mark}"


def create(client: SecretsManagerV2, prototype: Any) -> dict[str, Any]:
    """Make a configuration."""
    answer = client.create_configuration(configuration_prototype=prototype)
    assert answer.get_status_code() == 201
    return result(answer)


def shown(client: SecretsManagerV2, name: str) -> dict[str, Any]:
    """Return what the list shows of a configuration."""
    found = result(client.list_configurations(secret_types=["public_cert"], search=name))["configurations"]
    return next(item for item in found if item["name"] == name)


def delete(client: SecretsManagerV2, name: str, config_type: str) -> None:
    """Delete a configuration, which is then not found."""
    answer = client.delete_configuration(name=name, x_sm_accept_configuration_type=config_type)
    assert answer.get_status_code() == 204
    with pytest.raises(ApiException) as refused:
        client.get_configuration(name=name)
    assert refused.value.status_code == 404


def test_a_ca_with_the_key_of_an_account(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    registered, known = name("registered"), name("known")
    made = create(client, {"config_type": LETS_ENCRYPT, "name": registered, "lets_encrypt_environment": "staging"})
    key = made["lets_encrypt_private_key"]

    answer = create(
        client,
        sdk.PublicCertificateConfigurationCALetsEncryptPrototype(
            config_type=LETS_ENCRYPT, name=known, lets_encrypt_environment="staging", lets_encrypt_private_key=key
        ),
    )
    assert sdk.PublicCertificateConfigurationCALetsEncrypt.from_dict(answer).lets_encrypt_private_key == key

    read = sdk.PublicCertificateConfigurationCALetsEncrypt.from_dict(
        result(client.get_configuration(name=known, x_sm_accept_configuration_type=LETS_ENCRYPT))
    )
    assert (read.name, read.secret_type, read.lets_encrypt_environment) == (known, "public_cert", "staging")
    metadata = shown(client, known)
    assert "lets_encrypt_private_key" not in metadata
    assert sdk.PublicCertificateConfigurationCALetsEncryptMetadata.from_dict(metadata).name == known
    changed = result(
        client.update_configuration(
            name=known,
            configuration_patch=sdk.PublicCertificateConfigurationCALetsEncryptPatch(
                lets_encrypt_environment="production", lets_encrypt_preferred_chain="Example Root"
            ).to_dict(),
        )
    )
    assert changed["lets_encrypt_environment"] == "production"
    assert changed["lets_encrypt_preferred_chain"] == "Example Root"
    for one in (registered, known):
        delete(client, one, LETS_ENCRYPT)


def test_the_key_of_an_unknown_account_is_refused_in_the_words_of_the_contract(
    client: SecretsManagerV2, name: Callable[[str], str]
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    prototype = sdk.PublicCertificateConfigurationCALetsEncryptPrototype(
        config_type=LETS_ENCRYPT, name=name("unknown"), lets_encrypt_environment="staging", lets_encrypt_private_key=pem
    )

    with pytest.raises(ApiException) as refused:
        client.create_configuration(configuration_prototype=prototype)

    assert refused.value.status_code == 400
    problem = refused.value.http_response.json()["errors"][0]
    assert problem["code"] == "acme_account_not_found"
    assert problem["reference_code"] == "07023"


def test_zones_in_cloud_internet_services(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    cis = name("cis")
    made = create(
        client,
        sdk.PublicCertificateConfigurationDNSCloudInternetServicesPrototype(
            config_type=CIS,
            name=cis,
            cloud_internet_services_crn=CRN,
            cloud_internet_services_apikey="an-api-key-of-another-account",
        ),
    )
    assert sdk.PublicCertificateConfigurationDNSCloudInternetServices.from_dict(made).to_dict() == made
    assert result(client.get_configuration(name=cis)) == made
    metadata = shown(client, cis)
    assert sdk.PublicCertificateConfigurationDNSCloudInternetServicesMetadata.from_dict(metadata).to_dict() == metadata

    patch = sdk.PublicCertificateConfigurationDNSCloudInternetServicesPatch(cloud_internet_services_apikey="")
    changed = result(client.update_configuration(name=cis, configuration_patch=patch.to_dict()))

    assert "cloud_internet_services_apikey" not in changed
    assert changed["cloud_internet_services_crn"] == CRN
    delete(client, cis, CIS)


def test_zones_in_the_classic_infrastructure(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    classic = name("classic")
    made = create(
        client,
        sdk.PublicCertificateConfigurationDNSClassicInfrastructurePrototype(
            config_type=CLASSIC,
            name=classic,
            classic_infrastructure_username="1204551_dns-bot",
            classic_infrastructure_password="an-api-key",
        ),
    )
    assert sdk.PublicCertificateConfigurationDNSClassicInfrastructure.from_dict(made).to_dict() == made
    assert result(client.get_configuration(name=classic)) == made
    assert "classic_infrastructure_username" not in shown(client, classic)

    patch = sdk.PublicCertificateConfigurationDNSClassicInfrastructurePatch(
        classic_infrastructure_password="another-key"
    )
    changed = result(client.update_configuration(name=classic, configuration_patch=patch.to_dict()))

    assert changed["classic_infrastructure_password"] == "another-key"
    delete(client, classic, CLASSIC)
