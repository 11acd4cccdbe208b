"""Commands of configurations and private certificates: what they send, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import LEAF, REQUEST, SECRET_ID, Answer, FakeServer, Strongroom, refusal

CONFIGURATIONS = "/api/v2/configurations"
ROOT = "private_cert_configuration_root_ca"
TEMPLATE = "private_cert_configuration_template"
ACTION = "private_cert_configuration_action_"


def test_root_is_made_of_single_options(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {"name": "vpn-root"}))
    ran = strongroom(
        *("configuration-create", "--config-type", ROOT, "--name", "vpn-root", "--certificate-common-name", "VPN Root"),
        *("--private-cert-max-ttl", "3652d", "--private-cert-format", "pem", "--private-cert-private-key-type", "rsa"),
        *("--private-cert-private-key-bits", "2048", "--private-cert-max-path-length", "-1"),
        *("--private-cert-distribution-points-encoded", "true"),
        *("--private-cert-issuing-certificate-urls-encoded", "true", "--private-cert-ocsp-urls-encoded"),
    )
    assert ran.code == 0, ran.err
    assert server.last.body == {
        "config_type": ROOT,
        "name": "vpn-root",
        "common_name": "VPN Root",
        "max_ttl": "3652d",
        "format": "pem",
        "key_type": "rsa",
        "key_bits": 2048,
        "max_path_length": -1,
        "crl_distribution_points_encoded": True,
        "issuing_certificates_urls_encoded": True,
        "ocsp_urls_encoded": True,
    }


def test_tolerated_spellings_of_a_template_reach_its_fields(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {"name": "corp-web"}))
    ran = strongroom(
        *("configuration-create", "--config-type", TEMPLATE, "--name", "corp-web", "--private-cert-ca-name", "int"),
        *("--private-cert-allowed-domains", "a.example,b.example", "--private-cert-allow_subdomains", "true"),
        *("--private-cert-key-type", "rsa", "--private-cert-key-bits", "2048", "--private-cert-server-flag", "false"),
        *("--private-cert-key-usage", "DigitalSignature,KeyAgreement", "--private-cert-use-csr-sans", "false"),
    )
    assert ran.code == 0, ran.err
    assert server.last.body == {
        "config_type": TEMPLATE,
        "name": "corp-web",
        "certificate_authority": "int",
        "allowed_domains": ["a.example", "b.example"],
        "allow_subdomains": True,
        "key_type": "rsa",
        "key_bits": 2048,
        "server_flag": False,
        "key_usage": ["DigitalSignature", "KeyAgreement"],
        "use_csr_sans": False,
    }


def test_option_of_another_type_of_configuration_is_left_out_with_a_note(
    strongroom: Strongroom, server: FakeServer
) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {}))
    ran = strongroom(
        *("configuration-create", "--config-type", TEMPLATE, "--name", "web", "--private-cert-ca-name", "int"),
        *("--private-cert-issuer", "root"),
    )
    assert "--private-cert-issuer was left out" in ran.err
    assert "issuer" not in server.last.body


def test_lone_object_is_the_whole_configuration(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {}))
    ran = strongroom("configuration-create", '{"config_type": "x", "name": "y"}')
    assert ran.code == 0, ran.err
    assert server.last.body == {"config_type": "x", "name": "y"}


@pytest.mark.parametrize(
    ("words", "method"),
    [(("configuration",), "GET"), (("configuration-delete", "-o", "json"), "DELETE")],
)
def test_lone_word_is_the_name(strongroom: Strongroom, server: FakeServer, words: tuple[str, ...], method: str) -> None:
    server.on(method, f"{CONFIGURATIONS}/web", Answer(200, {"name": "web"}))
    assert strongroom(*words, "web").code == 0
    assert server.last.path == f"{CONFIGURATIONS}/web"


def test_two_lone_words_are_refused(strongroom: Strongroom) -> None:
    ran = strongroom("configuration", "web", "site")
    assert ran.code == 2


def test_lone_word_beside_the_name_is_refused(strongroom: Strongroom) -> None:
    ran = strongroom("configuration", "--name", "web", "site")
    assert ran.code == 2
    assert "One word belongs to no option" in ran.err


def test_type_of_a_named_configuration_goes_into_the_header(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("PATCH", f"{CONFIGURATIONS}/web", Answer(200, {"name": "web"}))
    ran = strongroom(
        "configuration-update", "--name", "web", "--x-sm-accept-configuration-type", TEMPLATE, "--max-ttl", "30d"
    )
    assert ran.code == 0, ran.err
    assert server.last.headers["X-Sm-Accept-Configuration-Type"] == TEMPLATE
    assert server.last.body == {"max_ttl": "30d"}


def test_ambiguous_name_says_which_option_decides(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", f"{CONFIGURATIONS}/twice", refusal(300, "ambiguous_name", "Several have it: a, b."))
    ran = strongroom("configuration", "--name", "twice")
    assert ran.code == 1
    assert "Several have it" in ran.err
    assert "--config-type" in ran.err


def test_actions_are_sent_with_their_own_fields(strongroom: Strongroom, server: FakeServer, tmp_path: Path) -> None:
    server.on("POST", f"{CONFIGURATIONS}/root/actions", Answer(201, {}))
    (tmp_path / "request.pem").write_text(REQUEST)
    signed = strongroom(
        *("configuration-action-create", "--name", "root", "--config-action-action-type", ACTION + "sign_csr"),
        *("--private-cert-csr", "@request.pem", "--private-cert-ttl", "90d", "--config-action-use-csr-values"),
    )
    assert signed.code == 0, signed.err
    assert server.last.body == {
        "action_type": ACTION + "sign_csr",
        "csr": REQUEST,
        "ttl": "90d",
        "use_csr_values": True,
    }
    taken = strongroom(
        *("configuration-action-create", "--name", "root", "--config-action-action-type", ACTION + "set_signed"),
        *("--imported-cert-certificate", *LEAF.split()),
    )
    assert taken.code == 0, taken.err
    assert server.last.body == {"action_type": ACTION + "set_signed", "certificate": LEAF}


def test_private_certificate_of_the_how_to_page_is_asked_for(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, {"id": SECRET_ID}))
    ran = strongroom(
        *("secret-create", "--secret-type", "private_cert", "--secret-name", "odd"),
        *("--private-cert-certificate-template", "web", "--private-cert-common-name", "odd.example.com"),
        *("--private-cert-ip-sans", "192.0.2.1,192.0.2.2", "--secret-ttl", "24h"),
        *("--secret-expiration-date", "2030-01-01T00:00:00Z"),
        *("--secret-rotation", '{"enabled": true, "rotate_keys": true, "interval": 1, "unit": "month"}'),
    )
    assert ran.code == 0, ran.err
    assert server.last.body == {
        "secret_type": "private_cert",
        "name": "odd",
        "certificate_template": "web",
        "common_name": "odd.example.com",
        "ip_sans": "192.0.2.1,192.0.2.2",
        "ttl": "24h",
        "rotation": {"auto_rotate": True, "interval": 1, "unit": "month"},
    }
    assert "--secret-expiration-date was left out" in ran.err
    assert "rotate_keys was left out" in ran.err


def test_revoking_names_the_secret_or_the_version(strongroom: Strongroom, server: FakeServer) -> None:
    revoke = "private_cert_action_revoke_certificate"
    server.on("POST", f"/api/v2/secrets/{SECRET_ID}/.*actions", Answer(201, {"action_type": revoke}))
    assert strongroom("secret-action-create", "--id", SECRET_ID, "--secret-action-type", revoke).code == 0
    assert server.last.path == f"/api/v2/secrets/{SECRET_ID}/actions"
    ran = strongroom(
        *("secret--version-action-create", "--secret-id", SECRET_ID, "--id", "previous"),
        *("--secret-version-action-prototype", f'{{"action_type": "{revoke}"}}'),
    )
    assert ran.code == 0, ran.err
    assert server.last.path == f"/api/v2/secrets/{SECRET_ID}/versions/previous/actions"
    assert server.last.body == {"action_type": revoke}


@pytest.mark.parametrize(("allowed", "code"), [(True, 0), (False, 1)])
def test_evaluation_ends_as_the_certificate_would(
    strongroom: Strongroom, server: FakeServer, *, allowed: bool, code: int
) -> None:
    rules = [
        {"rule": "allowed_domains", "verdict": "fail", "message": "No.", "would_pass": "localhost"},
        {"rule": "require_cn", "verdict": "skipped"},
    ]
    server.on("POST", "/api/v2/secrets/evaluate", Answer(200, {"allowed": allowed, "rules": rules, "lint": []}))
    ran = strongroom("secret-evaluate", "--private-cert-template-name", "web", "--certificate-common-name", "a.example")
    assert ran.code == code
    assert server.last.body == {
        "secret_type": "private_cert",
        "certificate_template": "web",
        "common_name": "a.example",
    }
    assert "allowed_domains" in ran.out
    assert "require_cn" not in ran.out


def test_evaluation_without_a_template_is_refused_before_any_request(
    strongroom: Strongroom, server: FakeServer
) -> None:
    ran = strongroom("secret-evaluate", "--certificate-common-name", "a.example")
    assert ran.code == 2
    assert "--private-cert-template-name" in ran.err
    assert server.api_requests == []


# --- public CAs and DNS providers

PUBLIC = "public_cert_configuration_"
CRN = "crn:v1:bluemix:public:internet-svcs:global:a/3f9d2c7b1e5a4086b7c1d8e2f4a60935:example::"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"


def test_public_ca_takes_the_key_of_the_account_from_a_file(
    strongroom: Strongroom, server: FakeServer, tmp_path: Path
) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {"name": "le-staging"}))
    (tmp_path / "account.key").write_text(KEY)

    ran = strongroom(
        *("configuration-create", "--name", "le-staging", "--config-type", f"{PUBLIC}ca_lets_encrypt"),
        *("--public-cert-lets-encrypt-environment", "staging"),
        *("--public-cert-lets-encrypt-private-key", f"@{tmp_path / 'account.key'}"),
        *("--public-cert-ca-fallback", "other"),
    )

    assert ran.code == 0, ran.err
    assert server.last.body == {
        "config_type": f"{PUBLIC}ca_lets_encrypt",
        "name": "le-staging",
        "lets_encrypt_environment": "staging",
        "lets_encrypt_private_key": KEY,
        "ca_fallback": "other",
    }


def test_another_acme_ca_takes_its_binding_from_a_file_without_the_line_break(
    strongroom: Strongroom, server: FakeServer, tmp_path: Path
) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {"name": "other"}))
    (tmp_path / "hmac").write_text("c2VjcmV0\n")

    ran = strongroom(
        *("configuration-create", "--name", "other", "--config-type", f"{PUBLIC}ca_acme"),
        *("--public-cert-acme-directory-url", "https://acme.example.com/directory"),
        *("--public-cert-acme-eab-key-id", "kid-1", "--public-cert-acme-eab-hmac-key", f"@{tmp_path / 'hmac'}"),
    )

    assert ran.code == 0, ran.err
    assert server.last.body["acme_eab_hmac_key"] == "c2VjcmV0"


def test_dns_provider_is_updated_with_both_spellings_of_the_crn(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("PATCH", f"{CONFIGURATIONS}/cis-dns", Answer(200, {"name": "cis-dns"}))
    for spelling in ("--cloud-internet-services-crn", "--public-cert-cloud-internet-services-crn"):
        ran = strongroom(
            *("configuration-update", "--name", "cis-dns", "--config-type", f"{PUBLIC}dns_cloud_internet_services"),
            *("--public-cert-cloud-internet-services-apikey", "", spelling, CRN),
        )
        assert ran.code == 0, ran.err
        assert server.last.body == {"cloud_internet_services_apikey": "", "cloud_internet_services_crn": CRN}


def test_port_of_a_name_server_is_a_number(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", CONFIGURATIONS, Answer(201, {"name": "dns"}))

    ran = strongroom(
        *("configuration-create", "--name", "dns", "--config-type", f"{PUBLIC}dns_rfc2136"),
        *("--public-cert-rfc2136-server", "ns1.example.com", "--public-cert-rfc2136-port", "5353"),
        *("--public-cert-rfc2136-tsig-key-name", "strongroom", "--public-cert-rfc2136-tsig-secret", "c2VjcmV0"),
    )

    assert ran.code == 0, ran.err
    assert server.last.body["rfc2136_port"] == 5353


@pytest.mark.parametrize(("success", "code"), [(True, 0), (False, 1)])
def test_test_of_a_configuration_ends_as_it_went(
    strongroom: Strongroom,
    server: FakeServer,
    success: bool,
    code: int,
) -> None:
    step = {"name": "zones", "success": success, "message": "Zones that can be written.", "duration_ms": 3}
    server.on("POST", f"{CONFIGURATIONS}/dns/actions", Answer(201, {"success": success, "steps": [step]}))

    ran = strongroom("configuration-test", "dns", "--domain", "example.com")

    assert ran.code == code, ran.err
    assert "Zones that can be written." in ran.out
    assert server.last.body == {"action_type": f"{PUBLIC}action_test", "domain": "example.com"}
    assert strongroom("configuration-test", "dns").code == code
    assert server.last.body == {"action_type": f"{PUBLIC}action_test"}


def test_zones_are_listed(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", f"{CONFIGURATIONS}/dns/zones", Answer(200, {"zones": ["example.com", "example.org"]}))

    ran = strongroom("configuration-zones", "dns")

    assert ran.code == 0, ran.err
    assert "example.org" in ran.out
