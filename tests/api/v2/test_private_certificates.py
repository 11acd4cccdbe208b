"""Root, intermediate, template, certificate: the whole way over the API, with what the contract's clients send."""

from __future__ import annotations

from typing import Any

from cryptography import x509

from tests.peers.in_process import InProcess

CONFIGURATIONS = "/api/v2/configurations"
SECRETS = "/api/v2/secrets"


def create(server: InProcess, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.request("POST", CONFIGURATIONS, body)
    assert answer.status == 201, answer.raw
    return dict(answer.json)


def make_tree(server: InProcess, **template: Any) -> None:
    create(
        server,
        {
            "config_type": "private_cert_configuration_root_ca",
            "name": "root",
            "common_name": "Example Root",
            "max_ttl": "43830h",
            "key_type": "ec",
        },
    )
    create(
        server,
        {
            "config_type": "private_cert_configuration_intermediate_ca",
            "name": "issuing",
            "common_name": "Example Issuing",
            "max_ttl": "87600h",
            "signing_method": "internal",
            "issuer": "root",
            "key_type": "ec",
        },
    )
    signed = server.request(
        "POST",
        f"{CONFIGURATIONS}/root/actions",
        {
            "action_type": "private_cert_configuration_action_sign_intermediate",
            "intermediate_certificate_authority": "issuing",
        },
    )
    assert signed.status == 201, signed.raw
    create(
        server,
        {
            "config_type": "private_cert_configuration_template",
            "name": "leaves",
            "certificate_authority": "issuing",
            "max_ttl": "8760h",
            "key_type": "ec",
            **template,
        },
    )


def test_certificate_comes_with_its_key_and_chain(server: InProcess) -> None:
    make_tree(server)

    answer = server.request(
        "POST",
        SECRETS,
        {
            "secret_type": "private_cert",
            "name": "first",
            "certificate_template": "leaves",
            "common_name": "localhost",
        },
    )

    assert answer.status == 201, answer.raw
    secret = answer.json
    leaf = x509.load_pem_x509_certificate(secret["certificate"].encode())
    issuer = x509.load_pem_x509_certificate(secret["issuing_ca"].encode())
    leaf.verify_directly_issued_by(issuer)
    assert len(secret["ca_chain"]) == 2
    assert secret["private_key"].startswith("-----BEGIN EC PRIVATE KEY-----")
    assert (secret["state_description"], secret["downloaded"], secret["versions_total"]) == ("active", True, 1)
    assert secret["certificate_authority"] == "issuing"


def test_revoked_certificate_is_on_the_list_and_its_secret_deactivated(server: InProcess) -> None:
    make_tree(server)
    secret = server.request(
        "POST",
        SECRETS,
        {"secret_type": "private_cert", "name": "first", "certificate_template": "leaves", "common_name": "localhost"},
    ).json

    revoked = server.request(
        "POST", f"{SECRETS}/{secret['id']}/actions", {"action_type": "private_cert_action_revoke_certificate"}
    )

    assert revoked.status == 201, revoked.raw
    crl = server.request("GET", "/v1/ibmcloud/private_cert/config/certificate_authorities/issuing/crl", token=None)
    listed = x509.load_der_x509_crl(crl.raw)
    serial = int(secret["serial_number"].replace(":", ""), 16)
    assert [item.serial_number for item in listed] == [serial]
    assert server.request("GET", f"{SECRETS}/{secret['id']}").json["state_description"] == "deactivated"


def test_everything_is_deleted_from_the_leaves_up(server: InProcess) -> None:
    make_tree(server)
    secret = server.request(
        "POST",
        SECRETS,
        {"secret_type": "private_cert", "name": "first", "certificate_template": "leaves", "common_name": "localhost"},
    ).json

    in_use = [server.request("DELETE", f"{CONFIGURATIONS}/{name}").status for name in ("root", "issuing", "leaves")]
    gone = [server.request("DELETE", f"{SECRETS}/{secret['id']}").status]
    gone += [server.request("DELETE", f"{CONFIGURATIONS}/{name}").status for name in ("leaves", "issuing", "root")]

    assert in_use == [409, 409, 409]
    assert gone == [204, 204, 204, 204]


def test_name_that_an_authority_above_is_constrained_from_is_refused(server: InProcess) -> None:
    make_tree(server, allow_any_name=True)
    constrained = {
        "action_type": "private_cert_configuration_action_sign_intermediate",
        "intermediate_certificate_authority": "issuing",
        "permitted_dns_domains": ["example.com"],
    }
    assert server.request("POST", f"{CONFIGURATIONS}/root/actions", constrained).status == 201
    body = {"secret_type": "private_cert", "name": "first", "certificate_template": "leaves"}

    refused = server.request("POST", SECRETS, {**body, "common_name": "www.example.org"})
    issued = server.request("POST", SECRETS, {**body, "common_name": "www.example.com"})

    assert refused.status == 400
    (error,) = refused.json["errors"]
    assert error["code"] == "template_violation"
    assert "www.example.org" in error["message"]
    assert "example.com" in error["message"]
    assert issued.status == 201, issued.raw
