"""The official Python client makes authorities, templates and private certificates, and takes them down again."""

from __future__ import annotations

import calendar
import ssl
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from ibm_cloud_sdk_core import ApiException
from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2

from tests.peers.sdk import connect, result
from tests.peers.server import LiveServer

pytestmark = pytest.mark.integration

ROOT = "private_cert_configuration_root_ca"
INTERMEDIATE = "private_cert_configuration_intermediate_ca"
TEMPLATE = "private_cert_configuration_template"
FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"


@pytest.fixture
def client(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> SecretsManagerV2:
    """Give the client as the documentation sets it up."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(live_server.ca_file))
    return connect(live_server)


@pytest.fixture
def name() -> Callable[[str], str]:
    """Give names that no other test on the shared server uses."""
    mark = uuid.uuid4().hex[:8]
    return lambda stem: f"{stem}-{mark}"


def configure(client: SecretsManagerV2, prototype: Any) -> dict[str, Any]:
    """Make a configuration."""
    answer = client.create_configuration(configuration_prototype=prototype)
    assert answer.get_status_code() == 201
    return result(answer)


def act(client: SecretsManagerV2, config_name: str, prototype: Any, config_type: str | None = None) -> dict[str, Any]:
    """Act on a CA."""
    answer = client.create_configuration_action(
        name=config_name, config_action_prototype=prototype, x_sm_accept_configuration_type=config_type
    )
    assert answer.get_status_code() == 201
    return result(answer)


def make_tree(
    client: SecretsManagerV2, name: Callable[[str], str], template: dict[str, Any] | None = None
) -> tuple[str, str, str]:
    """Make root, intermediate and template with the smallest bodies that the contract's clients send."""
    root, issuing, leaves = name("root"), name("issuing"), name("leaves")
    made = configure(
        client,
        sdk.PrivateCertificateConfigurationRootCAPrototype(
            config_type=ROOT, name=root, max_ttl="43830h", common_name="example.com"
        ),
    )
    assert sdk.PrivateCertificateConfigurationRootCA.from_dict(made).status == "configured"
    # The child asks for more life than its parent has.
    waiting = configure(
        client,
        sdk.PrivateCertificateConfigurationIntermediateCAPrototype(
            config_type=INTERMEDIATE,
            name=issuing,
            max_ttl="87600h",
            signing_method="internal",
            issuer=root,
            common_name="example.com",
        ),
    )
    read = sdk.PrivateCertificateConfigurationIntermediateCA.from_dict(waiting)
    assert (read.status, read.issuer, read.max_ttl_seconds) == ("signing_required", root, 87600 * 3600)
    assert waiting["data"]["csr"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    signed = act(
        client,
        root,
        sdk.PrivateCertificateConfigurationActionSignIntermediatePrototype(
            action_type="private_cert_configuration_action_sign_intermediate",
            intermediate_certificate_authority=issuing,
        ),
    )
    echoed = sdk.PrivateCertificateConfigurationActionSignIntermediate.from_dict(signed)
    assert echoed.intermediate_certificate_authority == issuing
    assert result(client.get_configuration(name=issuing))["status"] == "certificate_template_required"
    minimal = {"config_type": TEMPLATE, "name": leaves, "certificate_authority": issuing}
    configure(client, sdk.PrivateCertificateConfigurationTemplatePrototype.from_dict({**minimal, **(template or {})}))
    assert result(client.get_configuration(name=issuing))["status"] == "configured"
    return root, issuing, leaves


def take_down(client: SecretsManagerV2, secrets: list[str], *configurations: str) -> None:
    """Delete secrets, then configurations, in the order given."""
    for secret_id in secrets:
        assert client.delete_secret(id=secret_id).get_status_code() == 204
    for config_name in configurations:
        assert client.delete_configuration(name=config_name).get_status_code() == 204
        with pytest.raises(ApiException) as gone:
            client.get_configuration(name=config_name)
        assert gone.value.status_code == 404


def issue(client: SecretsManagerV2, prototype: Any) -> dict[str, Any]:
    """Make a private certificate."""
    answer = client.create_secret(secret_prototype=prototype)
    assert answer.get_status_code() == 201
    return result(answer)


def is_pair(certificate: str, private_key: str) -> bool:
    """Tell whether a certificate and a key belong together."""
    key = load_pem_private_key(private_key.encode(), None)
    return x509.load_pem_x509_certificate(certificate.encode()).public_key() == key.public_key()


def revoked_on_list(server: LiveServer, path: str) -> set[int]:
    """Fetch a revocation list without a token and return its serial numbers."""
    answer = server.request("GET", path, token=None)
    assert answer.status == 200, answer.raw
    return {item.serial_number for item in x509.load_der_x509_crl(answer.raw)}


def serial(shown: str) -> int:
    """Return a serial number as it is shown."""
    return int(shown.replace(":", ""), 16)


def test_root_intermediate_template_and_certificate_from_first_to_last(
    client: SecretsManagerV2, name: Callable[[str], str], live_server: LiveServer
) -> None:
    root, issuing, leaves = make_tree(client, name)
    created = issue(
        client,
        sdk.PrivateCertificatePrototype(
            secret_type="private_cert", name=name("leaf"), certificate_template=leaves, common_name="localhost"
        ),
    )
    secret = sdk.PrivateCertificate.from_dict(created)
    assert (secret.state_description, secret.downloaded, secret.versions_total) == ("active", True, 1)
    assert (secret.certificate_authority, secret.certificate_template) == (issuing, leaves)
    assert is_pair(secret.certificate, secret.private_key)
    assert secret.private_key.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert (secret.key_algorithm, secret.signing_algorithm) == ("RSA2048", "SHA256-RSA")
    assert [secret.issuing_ca, len(secret.ca_chain)] == [secret.ca_chain[0], 2]
    # Without any ttl: the CA's own, but never more than three years.
    three_years = (parse(secret.validity.not_after) - parse(secret.created_at)).days
    assert three_years in {1095, 1096}
    for way in (
        client.get_secret(id=secret.id),
        client.get_secret_by_name_type(secret_type="private_cert", name=name("leaf"), secret_group_name="default"),
    ):
        assert sdk.PrivateCertificate.from_dict(result(way)).certificate == secret.certificate
    metadata = result(client.get_secret_metadata(id=secret.id))
    sdk.PrivateCertificateMetadata.from_dict(metadata)
    assert not {"certificate", "private_key", "issuing_ca", "ca_chain"} & set(metadata)

    rotated = client.create_secret_version(
        secret_id=secret.id, secret_version_prototype=sdk.PrivateCertificateVersionPrototype()
    )
    assert rotated.get_status_code() == 201
    version = sdk.PrivateCertificateVersion.from_dict(result(rotated))
    assert (version.alias, version.auto_rotated, version.payload_available) == ("current", False, True)
    assert version.serial_number != secret.serial_number
    assert is_pair(version.certificate, version.private_key)
    assert not is_pair(version.certificate, secret.private_key)

    revoke = sdk.PrivateCertificateVersionActionRevokePrototype(action_type="private_cert_action_revoke_certificate")
    answer = client.create_secret_version_action(
        secret_id=secret.id, id="previous", secret_version_action_prototype=revoke
    )
    assert answer.get_status_code() == 201
    assert sdk.PrivateCertificateVersionActionRevoke.from_dict(result(answer)).revocation_time_seconds
    crl = f"{FILES}/{issuing}/crl"
    assert revoked_on_list(live_server, crl) == {serial(secret.serial_number)}
    assert result(client.get_secret_metadata(id=secret.id))["state_description"] == "active"
    answer = client.create_secret_action(
        id=secret.id,
        secret_action_prototype=sdk.PrivateCertificateActionRevokePrototype(
            action_type="private_cert_action_revoke_certificate"
        ),
    )
    assert answer.get_status_code() == 201
    moment = result(answer)["revocation_time_seconds"]
    assert revoked_on_list(live_server, crl) == {serial(secret.serial_number), serial(version.serial_number)}
    after = sdk.PrivateCertificateMetadata.from_dict(result(client.get_secret_metadata(id=secret.id)))
    assert (after.state, after.state_description, after.revocation_time_seconds) == (3, "deactivated", moment)
    assert after.revocation_time_rfc3339.timestamp() == moment
    with pytest.raises(ApiException) as twice:
        client.create_secret_version_action(secret_id=secret.id, id="current", secret_version_action_prototype=revoke)
    assert twice.value.status_code == 400
    client.create_secret_version(secret_id=secret.id, secret_version_prototype={})
    assert result(client.get_secret_metadata(id=secret.id))["state_description"] == "active"

    for config_name in (root, issuing, leaves):
        with pytest.raises(ApiException) as in_use:
            client.delete_configuration(name=config_name)
        assert in_use.value.status_code == 409
    take_down(client, [secret.id], leaves, issuing, root)


def test_configurations_are_listed_read_and_patched_with_and_without_their_type(
    client: SecretsManagerV2, name: Callable[[str], str]
) -> None:
    root, issuing, leaves = make_tree(client, name)
    kinds = {root: ROOT, issuing: INTERMEDIATE, leaves: TEMPLATE}
    full = {
        ROOT: sdk.PrivateCertificateConfigurationRootCA,
        INTERMEDIATE: sdk.PrivateCertificateConfigurationIntermediateCA,
        TEMPLATE: sdk.PrivateCertificateConfigurationTemplate,
    }
    short = {
        ROOT: sdk.PrivateCertificateConfigurationRootCAMetadata,
        INTERMEDIATE: sdk.PrivateCertificateConfigurationIntermediateCAMetadata,
        TEMPLATE: sdk.PrivateCertificateConfigurationTemplateMetadata,
    }
    listed = result(client.list_configurations(search=name(""), secret_types=["private_cert"], limit=10))
    assert listed["total_count"] == 3
    for item in listed["configurations"]:
        assert kinds[item["name"]] == item["config_type"]
        assert "data" not in item
        short[item["config_type"]].from_dict(item)
    paged = sdk.ConfigurationsPager(client=client, limit=2, search=name("")).get_all()
    assert {item["name"] for item in paged} == set(kinds)

    for config_name, config_type in kinds.items():
        bare = result(client.get_configuration(name=config_name))
        typed = result(client.get_configuration(name=config_name, x_sm_accept_configuration_type=config_type))
        assert bare == typed
        full[config_type].from_dict(bare)
        wrong = TEMPLATE if config_type != TEMPLATE else ROOT
        with pytest.raises(ApiException) as other:
            client.get_configuration(name=config_name, x_sm_accept_configuration_type=wrong)
        assert other.value.status_code == 404

    patch_root = sdk.PrivateCertificateConfigurationRootCAPatch(
        max_ttl="43000h", crl_expiry="24h", crl_distribution_points_encoded=True
    )
    patched = result(
        client.update_configuration(
            name=root, configuration_patch=patch_root.to_dict(), x_sm_accept_configuration_type=ROOT
        )
    )
    assert (patched["max_ttl_seconds"], patched["crl_expiry_seconds"]) == (43000 * 3600, 86400)
    assert patched["crl_distribution_points_encoded"] is True
    patched = result(
        client.update_configuration(name=issuing, configuration_patch={"issuing_certificates_urls_encoded": True})
    )
    assert patched["issuing_certificates_urls_encoded"] is True
    patch_template = sdk.PrivateCertificateConfigurationTemplatePatch(
        max_ttl="720h", allowed_domains=["example.com"], allow_subdomains=True, not_before_duration="60s"
    )
    patched = result(client.update_configuration(name=leaves, configuration_patch=patch_template.to_dict()))
    assert (patched["max_ttl_seconds"], patched["not_before_duration_seconds"]) == (720 * 3600, 60)
    assert (patched["allowed_domains"], patched["allow_subdomains"]) == (["example.com"], True)
    with pytest.raises(ApiException) as fixed:
        client.update_configuration(name=leaves, configuration_patch={"certificate_authority": root})
    assert fixed.value.status_code == 400
    take_down(client, [], leaves, issuing, root)


def test_a_name_that_two_kinds_have_needs_the_type(client: SecretsManagerV2, name: Callable[[str], str]) -> None:
    root, issuing, leaves = make_tree(client, name)
    same = {"config_type": TEMPLATE, "name": issuing, "certificate_authority": issuing}
    configure(client, same)
    with pytest.raises(ApiException) as ambiguous:
        client.get_configuration(name=issuing)
    assert ambiguous.value.status_code == 300
    for config_type in (TEMPLATE, INTERMEDIATE):
        found = result(client.get_configuration(name=issuing, x_sm_accept_configuration_type=config_type))
        assert found["config_type"] == config_type
    client.delete_configuration(name=issuing, x_sm_accept_configuration_type=TEMPLATE)
    take_down(client, [], leaves, issuing, root)


def test_actions_on_authorities_answer_as_the_client_expects(
    client: SecretsManagerV2, name: Callable[[str], str], live_server: LiveServer
) -> None:
    root, issuing, leaves = make_tree(client, name, {"key_type": "ec"})
    body = {"secret_type": "private_cert", "name": name("leaf"), "certificate_template": leaves}
    old = issue(client, {**body, "common_name": "localhost"})
    rotate_crl = sdk.PrivateCertificateConfigurationActionRotateCRLPrototype(
        action_type="private_cert_configuration_action_rotate_crl"
    )
    for config_name, config_type in ((root, ROOT), (issuing, None)):
        answered = act(client, config_name, rotate_crl, config_type)
        assert sdk.PrivateCertificateConfigurationActionRotateCRL.from_dict(answered).success

    rotate = sdk.PrivateCertificateConfigurationActionRotatePrototype(
        action_type="private_cert_configuration_action_rotate_intermediate"
    )
    turned = sdk.PrivateCertificateConfigurationActionRotate.from_dict(act(client, issuing, rotate, INTERMEDIATE))
    assert turned.name == issuing
    assert turned.config.data.certificate != old["issuing_ca"]
    assert isinstance(turned.config.ttl, int)
    assert turned.config.csr.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    new = result(client.create_secret_version(secret_id=old["id"], secret_version_prototype={}))
    assert new["issuing_ca"] == turned.config.data.certificate
    for leaf, issuer in ((old["certificate"], old["issuing_ca"]), (new["certificate"], new["issuing_ca"])):
        x509.load_pem_x509_certificate(leaf.encode()).verify_directly_issued_by(
            x509.load_pem_x509_certificate(issuer.encode())
        )

    revoke = sdk.PrivateCertificateConfigurationActionRevokePrototype(
        action_type="private_cert_configuration_action_revoke_ca_certificate"
    )
    answered = act(client, issuing, revoke)
    moment = sdk.PrivateCertificateConfigurationActionRevoke.from_dict(answered).revocation_time_seconds
    assert abs(moment - datetime.now().astimezone().timestamp()) < 60
    authorities = {x509.load_pem_x509_certificate(item["issuing_ca"].encode()).serial_number for item in (old, new)}
    assert revoked_on_list(live_server, f"{FILES}/{root}/crl") == authorities
    assert result(client.get_configuration(name=issuing))["status"] == "revoked"
    with pytest.raises(ApiException) as refused:
        client.create_secret_version(secret_id=old["id"], secret_version_prototype={})
    assert refused.value.status_code == 400
    with pytest.raises(ApiException) as never:
        act(client, root, revoke)
    assert never.value.status_code == 400
    take_down(client, [old["id"]], leaves, issuing, root)


def test_an_external_intermediate_is_signed_through_the_client(
    client: SecretsManagerV2, name: Callable[[str], str]
) -> None:
    root, issuing, leaves = make_tree(client, name)
    outside = name("outside")
    waiting = configure(
        client,
        sdk.PrivateCertificateConfigurationIntermediateCAPrototype(
            config_type=INTERMEDIATE,
            name=outside,
            max_ttl="26280h",
            signing_method="external",
            common_name="Example Outside",
            key_type="ec",
        ),
    )
    assert waiting["status"] == "signed_certificate_required"
    assert waiting["data"]["private_key_type"] == "ec"
    signed = act(
        client,
        root,
        sdk.PrivateCertificateConfigurationActionSignCSRPrototype(
            action_type="private_cert_configuration_action_sign_csr",
            csr=waiting["data"]["csr"],
            ttl="8760h",
            use_csr_values=True,
        ),
    )
    data = sdk.PrivateCertificateConfigurationActionSignCSR.from_dict(signed).data
    answered = act(
        client,
        outside,
        sdk.PrivateCertificateConfigurationActionSetSignedPrototype(
            action_type="private_cert_configuration_action_set_signed", certificate=data.certificate
        ),
    )
    assert sdk.PrivateCertificateConfigurationActionSetSigned.from_dict(answered).certificate == data.certificate
    read = sdk.PrivateCertificateConfigurationIntermediateCA.from_dict(result(client.get_configuration(name=outside)))
    assert (read.status, read.data["certificate"]) == ("certificate_template_required", data.certificate)
    # The signer is an authority of this very instance, so the chain is completed.
    assert len(result(client.get_configuration(name=outside))["data"]["ca_chain"]) == 2
    take_down(client, [], outside, leaves, issuing, root)


# --- the certificate of the documentation of 2022


def parse(moment: Any) -> datetime:
    """Return a time of an answer."""
    return moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))


def a_month_later(moment: datetime) -> datetime:
    """Return the same day of the next month, or its last day."""
    year, month = (moment.year + moment.month // 12, moment.month % 12 + 1)
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def test_the_documented_certificate_comes_with_everything_that_was_printed(
    client: SecretsManagerV2, name: Callable[[str], str]
) -> None:
    printed = {
        "root": "example-root-certificate-authority",
        "issuing": "example-intermediate-certificate-authority",
        "leaves": "example-certificate-template",
    }
    root, issuing, leaves = make_tree(
        client,
        printed.__getitem__,
        {"max_ttl": "8760h", "allowed_domains": ["example.com"], "allow_bare_domains": True},
    )
    group = result(client.create_secret_group(name=name("group")))["id"]
    secret = issue(
        client,
        {
            "secret_type": "private_cert",
            "name": "example-certificate",
            "description": "Extended description for my secret.",
            "secret_group_id": group,
            "certificate_template": leaves,
            "common_name": "example.com",
            "labels": ["dev", "us-south"],
            "rotation": {"auto_rotate": True, "interval": 1, "unit": "month"},
        },
    )

    expected = {
        "alt_names": ["example.com"],
        "certificate_authority": issuing,
        "certificate_template": leaves,
        "common_name": "example.com",
        "description": "Extended description for my secret.",
        "downloaded": True,
        "key_algorithm": "RSA2048",
        "labels": ["dev", "us-south"],
        "locks_total": 0,
        "name": "example-certificate",
        "rotation": {"auto_rotate": True, "interval": 1, "unit": "month"},
        "secret_group_id": group,
        "secret_type": "private_cert",
        "signing_algorithm": "SHA256-RSA",
        "state": 1,
        "state_description": "active",
        "versions_total": 1,
    }
    assert {member: secret.get(member) for member in expected} == expected
    for member in ("created_by", "created_at", "crn", "expiration_date", "id", "issuer", "updated_at", "serial_number"):
        assert secret[member]
    created = parse(secret["created_at"])
    assert parse(secret["next_rotation_date"]) == a_month_later(created)
    assert secret["validity"]["not_after"] == secret["expiration_date"]
    assert (parse(secret["expiration_date"]) - created).days in {364, 365}
    assert len(secret["ca_chain"]) == 2
    assert secret["issuing_ca"] == secret["ca_chain"][0]
    assert is_pair(secret["certificate"], secret["private_key"])
    key = load_pem_private_key(secret["private_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert ssl.PEM_cert_to_DER_cert(secret["certificate"])

    (version,) = result(client.list_secret_versions(secret_id=secret["id"]))["versions"]
    expected = {
        "alias": "current",
        "auto_rotated": False,
        "created_by": secret["created_by"],
        "created_at": secret["created_at"],
        "downloaded": True,
        "expiration_date": secret["expiration_date"],
        "payload_available": True,
        "serial_number": secret["serial_number"],
        "validity": secret["validity"],
    }
    assert {member: version.get(member) for member in expected} == expected
    take_down(client, [secret["id"]], leaves, issuing, root)
    client.delete_secret_group(id=group)
