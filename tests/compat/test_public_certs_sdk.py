"""The official Python client configures a public CA, orders certificates, follows them and rotates them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from ibm_cloud_sdk_core import ApiException
from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2

from tests.peers.public_peers import CA_NAME, DNS_NAME, PublicPeers
from tests.peers.sdk import connect, result
from tests.peers.server import LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]

LETS_ENCRYPT = "public_cert_configuration_ca_lets_encrypt"
CLASSIC = "public_cert_configuration_dns_classic_infrastructure"
VALIDATE = "public_cert_action_validate_dns_challenge"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def client(ordering_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerV2:
    """Give the client as the documentation sets it up, with a server that orders at a real CA."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ordering_server.ca_file))
    return connect(ordering_server)


@pytest.fixture
def name() -> Callable[[str], str]:
    """Give names that no other test on the shared server uses."""
    mark = uuid.uuid4().hex[:8]
    return lambda stem: f"{stem}-{mark}"


def prototype(name: str, **changes: Any) -> sdk.PublicCertificatePrototype:
    """Return an order of a certificate for a name of its own."""
    members = {
        "secret_type": "public_cert",
        "name": name,
        "common_name": f"{name}.example.com",
        "ca": CA_NAME,
        "dns": DNS_NAME,
        "key_algorithm": "ECDSA256",
        "rotation": sdk.PublicCertificateRotationPolicy(auto_rotate=False, rotate_keys=False),
        **changes,
    }
    return sdk.PublicCertificatePrototype(**{key: item for key, item in members.items() if item is not None})


def follow(client: SecretsManagerV2, secret_id: str, *, seconds: float = 120) -> sdk.PublicCertificateMetadata:
    """Poll the metadata, as clients do, until the order has ended."""
    deadline = time.monotonic() + seconds
    while True:
        answer = result(client.get_secret_metadata(id=secret_id))
        metadata = sdk.PublicCertificateMetadata.from_dict(answer)
        if metadata.issuance_info.state != 0:
            return metadata
        if time.monotonic() > deadline:
            pytest.fail(f"the order did not end in time: {answer}")
        time.sleep(0.3)


def refused(call: Callable[[], Any]) -> tuple[int, dict[str, Any]]:
    """Return status and problem of a refusal."""
    with pytest.raises(ApiException) as caught:
        call()
    return caught.value.status_code, caught.value.http_response.json()["errors"][0]


def key_of(certificate: dict[str, Any]) -> Any:
    """Return the key of a certificate, which must be that of its file."""
    leaf = x509.load_pem_x509_certificate(certificate["certificate"].encode())
    assert leaf.public_key() == load_pem_private_key(certificate["private_key"].encode(), None).public_key()
    return leaf.public_key()


def test_certificate_is_ordered_followed_rotated_and_read(
    client: SecretsManagerV2, public_peers: PublicPeers, name: Callable[[str], str]
) -> None:
    ca, web = name("sdk-ca"), name("sdk-web")
    made = client.create_configuration(
        configuration_prototype=sdk.PublicCertificateConfigurationCALetsEncryptPrototype.from_dict(
            # The client's constructor asks for a key; without one the server would make an account.
            {**public_peers.ca(ca), "lets_encrypt_private_key": account_key(client)}
        )
    )
    assert made.get_status_code() == 201
    assert sdk.PublicCertificateConfigurationCALetsEncrypt.from_dict(result(made)).name == ca

    created = client.create_secret(secret_prototype=prototype(web, ca=ca, alt_names=[f"www.{web}.example.com"]))
    assert created.get_status_code() == 201
    pending = sdk.PublicCertificate.from_dict(result(created))
    assert (pending.state_description, pending.issuance_info.state_description) == ("pre_activation", "pre_activation")
    assert "certificate" not in result(created)
    assert result(client.list_secret_versions(secret_id=pending.id)) == {"versions": [], "total_count": 0}

    active = follow(client, pending.id)
    assert (active.state_description, active.issuance_info.state_description) == ("active", "active")
    assert active.validity.not_after == active.expiration_date
    first = result(client.get_secret(id=pending.id))
    assert sdk.PublicCertificate.from_dict(first).serial_number == active.serial_number
    keys = [key_of(first)]

    for rotate_keys in (False, True):
        rotated = client.create_secret_version(
            secret_id=pending.id,
            secret_version_prototype=sdk.PublicCertificateVersionPrototype(
                rotation=sdk.PublicCertificateRotationObject(rotate_keys=rotate_keys),
                version_custom_metadata={"rotate_keys": rotate_keys},
            ),
        )
        assert rotated.get_status_code() == 201
        assert sdk.PublicCertificateVersion.from_dict(result(rotated)).payload_available is False
        assert follow(client, pending.id).issuance_info.state == 1
        keys.append(key_of(result(client.get_secret(id=pending.id))))
    assert keys[0] == keys[1]
    assert keys[1] != keys[2]

    versions = result(client.list_secret_versions(secret_id=pending.id))["versions"]
    read = [sdk.PublicCertificateVersionMetadata.from_dict(version) for version in versions]
    assert [version.alias for version in read[:2]] == ["current", "previous"]
    assert [version.version_custom_metadata for version in read[:2]] == [{"rotate_keys": True}, {"rotate_keys": False}]
    current = result(client.get_secret_version(secret_id=pending.id, id="current"))
    assert key_of(sdk.PublicCertificateVersion.from_dict(current).to_dict()) == keys[2]
    by_name = client.get_secret_by_name_type(secret_type="public_cert", name=web, secret_group_name="default")
    assert result(by_name)["id"] == pending.id

    patch = sdk.PublicCertificateMetadataPatch(
        rotation=sdk.PublicCertificateRotationPolicy(auto_rotate=True, rotate_keys=True), labels=["prod"]
    )
    patched = result(client.update_secret_metadata(id=pending.id, secret_metadata_patch=patch))
    assert sdk.PublicCertificateMetadata.from_dict(patched).rotation == {"auto_rotate": True, "rotate_keys": True}
    assert client.delete_secret(id=pending.id).get_status_code() == 204
    assert client.delete_configuration(name=ca).get_status_code() == 204


def account_key(client: SecretsManagerV2) -> str:
    """Return the key of an account that the CA knows: the one of the configuration that is there."""
    found = result(client.get_configuration(name=CA_NAME))
    return str(sdk.PublicCertificateConfigurationCALetsEncrypt.from_dict(found).lets_encrypt_private_key)


def test_records_by_hand_are_shown_validated_and_seen(
    client: SecretsManagerV2, public_peers: PublicPeers, name: Callable[[str], str]
) -> None:
    created = sdk.PublicCertificate.from_dict(
        result(client.create_secret(secret_prototype=prototype(name("sdk-manual"), dns="manual")))
    )
    (challenge,) = created.issuance_info.challenges
    assert challenge.status == "pending"
    record = challenge.txt_record_name.rstrip(".")
    public_peers.bind.add_txt(record, challenge.txt_record_value)
    try:
        action = sdk.PublicCertificateActionValidateManualDNSPrototype(action_type=VALIDATE)
        told = client.create_secret_action(id=created.id, secret_action_prototype=action)
        assert (told.get_status_code(), result(told)) == (201, {"action_type": VALIDATE})
        ended = follow(client, created.id)
        assert ended.state_description == "active"
        assert ended.issuance_info.dns_challenge_validation_time is not None
    finally:
        public_peers.bind.remove(record)


def test_refusals_have_the_codes_of_the_contract(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    def order(**changes: Any) -> Callable[[], Any]:
        return lambda: client.create_secret(secret_prototype=prototype(name("sdk-refused"), **changes))

    for changes, field, number in (
        ({"ca": "nobody"}, "ca", "07006"),
        ({"dns": "nobody"}, "dns", "07009"),
        ({"key_algorithm": "RSA1024"}, "key_algorithm", "07040"),
    ):
        status, problem = refused(order(**changes))
        assert (status, problem["target"]["name"]) == (400, field)
        assert problem["reference_code"].endswith(number)
    assert refused(order(common_name="x" * 54 + ".example.com"))[0] == 400
    assert refused(order(alt_names=[f"w{number}.example.com" for number in range(100)]))[0] == 400
    assert refused(order(secret_group_id=UNKNOWN))[0] == 400

    secret = result(client.create_secret(secret_prototype=prototype(name("sdk-busy"), dns="manual")))
    again = prototype(name("sdk-again"), dns="manual", common_name=secret["common_name"])
    status, problem = refused(lambda: client.create_secret(secret_prototype=again))
    assert (status, "already" in problem["message"]) == (409, True)
    version = sdk.PublicCertificateVersionPrototype(rotation=sdk.PublicCertificateRotationObject(rotate_keys=True))
    rotate = refused(lambda: client.create_secret_version(secret_id=secret["id"], secret_version_prototype=version))
    assert (rotate[0], rotate[1]["code"]) == (400, "state_forbids")
    missing = refused(lambda: client.get_secret_version(secret_id=secret["id"], id="current"))
    assert missing[0] == 404
    fixed = refused(lambda: client.update_secret_metadata(id=secret["id"], secret_metadata_patch={"ca": CA_NAME}))
    assert (fixed[0], fixed[1]["target"]["name"]) == (400, "ca")
    assert client.delete_secret(id=secret["id"]).get_status_code() == 204


def test_account_that_the_ca_does_not_know_is_refused(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    body = sdk.PublicCertificateConfigurationCALetsEncryptPrototype(
        config_type=LETS_ENCRYPT,
        name=name("sdk-stranger"),
        lets_encrypt_environment="production",
        lets_encrypt_private_key=pem,
    )
    status, problem = refused(lambda: client.create_configuration(configuration_prototype=body))
    assert (status, problem["reference_code"][-5:]) == (400, "07023")


def test_contract_dns_configuration_is_made_listed_and_deleted(
    client: SecretsManagerV2, name: Callable[[str], str]
) -> None:
    classic = name("sdk-classic")
    body = sdk.PublicCertificateConfigurationDNSClassicInfrastructurePrototype(
        config_type=CLASSIC,
        name=classic,
        classic_infrastructure_username="1204551_dns-bot",
        classic_infrastructure_password="planted-password",
    )
    made = result(client.create_configuration(configuration_prototype=body))
    assert sdk.PublicCertificateConfigurationDNSClassicInfrastructure.from_dict(made).name == classic
    listed = result(client.list_configurations(secret_types=["public_cert"], search=classic))
    assert [one["name"] for one in listed["configurations"]] == [classic]
    assert "planted-password" not in str(listed)
    assert client.delete_configuration(name=classic).get_status_code() == 204
