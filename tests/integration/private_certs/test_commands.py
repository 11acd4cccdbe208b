"""The command line takes the whole way of a private certificate: with the spellings of the original's pages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.peers.needs import require
from tests.peers.server import PROGRAM, LiveServer, process_environment, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ROOT = "private_cert_configuration_root_ca"
INTERMEDIATE = "private_cert_configuration_intermediate_ca"
TEMPLATE = "private_cert_configuration_template"
ACTION = "private_cert_configuration_action_"
REVOKE = "private_cert_action_revoke_certificate"
CRL = "/v1/ibmcloud/private_cert/config/certificate_authorities/cli-int/crl"

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a server of its own: what commands list must be known."""
    with running(tmp_path_factory.mktemp("cli") / "data") as found:
        _make_tree(_at(found, tmp_path_factory.mktemp("home")))
        yield found


@pytest.fixture
def cli(server: LiveServer, tmp_path: Path) -> Cli:
    """Run a command line and return its answer; there are a root, an intermediate and a template."""
    return _at(server, tmp_path)


def _at(server: LiveServer, folder: Path) -> Cli:
    environment = {
        **process_environment(),
        "HOME": str(folder),
        "STRONGROOM_URL": server.url,
        "STRONGROOM_CA_FILE": str(server.ca_file),
        "STRONGROOM_APIKEY": server.api_key,
    }

    def run(*words: str, code: int = 0, said: str = "") -> Any:
        done = subprocess.run(
            [str(PROGRAM), *words, "--output", "json"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        return json.loads(done.stdout or done.stderr)

    return run


def _make_tree(cli: Cli) -> None:
    cli(
        "configuration-create",
        "--configuration-prototype",
        f"""{{"config_type": "{ROOT}", "name": "cli-root", "max_ttl": "43830h", "crl_expiry": "72h",
        "crl_disable": false, "crl_distribution_points_encoded": true, "issuing_certificates_urls_encoded": true,
        "common_name": "corp.example", "key_type": "ec", "key_bits": 384, "max_path_length": -1, "ttl": "43830h"}}""",
    )
    cli(
        *("configuration-create", "--config-type", INTERMEDIATE, "--name", "cli-int"),
        *("--private-cert-signing-method", "internal", "--private-cert-issuer", "cli-root"),
        *("--certificate-common-name", "int.corp.example", "--private-cert-max-ttl", "26300h"),
        *("--private-cert-private-key-type", "ec", "--private-cert-private-key-bits", "256"),
    )
    cli(
        *("configuration-action-create", "--name", "cli-root"),
        *("--config-action-action-type", ACTION + "sign_intermediate"),
        *("--config-action-intermediate-certificate-authority", "cli-int"),
    )
    cli(
        *("configuration-create", "--config-type", TEMPLATE, "--name", "cli-web", "--private-cert-ca-name", "cli-int"),
        *("--private-cert-allowed-domains", "corp.example,acme.example"),
        *("--private-cert-allowed-domains-template", "false", "--private-cert-allow_subdomains", "true"),
        *("--private-cert-allow-ip-sans", "true", "--private-cert-server-flag", "true"),
        *("--private-cert-client-flag", "true", "--private-cert-key-type", "ec", "--private-cert-key-bits", "256"),
        *("--private-cert-key-usage", "DigitalSignature,KeyAgreement,KeyEncipherment"),
        *("--private-cert-max-ttl", "365d", "--private-cert-ttl", "8h"),
    )


def test_certificates_are_issued_rotated_and_revoked_from_the_command_line(cli: Cli, server: LiveServer) -> None:
    assert cli("configuration", "cli-int")["status"] == "configured"
    assert [item["name"] for item in cli("certificate-templates", "-j", "certificate_templates")] == ["cli-web"]

    secret = cli(
        *("secret-create", "--secret-type", "private_cert", "--secret-name", "cli-api"),
        *("--private-cert-certificate-template", "cli-web", "--certificate-common-name", "api.corp.example"),
        *("--certificate-alt-names", "a.corp.example,b.corp.example", "--private-cert-ip-sans", "10.0.0.5,10.0.0.6"),
        *("--secret-ttl", "24d", "--secret-rotation", '{"enabled": true, "interval": 7, "unit": "day"}'),
        *("--secret-expiration-date", "2030-01-01T00:00:00Z"),
        said="--secret-expiration-date was left out",
    )
    assert secret["alt_names"] == ["api.corp.example", "a.corp.example", "b.corp.example"]
    assert secret["rotation"] == {"auto_rotate": True, "interval": 7, "unit": "day"}
    assert secret["private_key"]
    assert len(secret["ca_chain"]) == 2

    version = cli("secret-version-create", "--secret-id", secret["id"])
    assert version["serial_number"] != secret["serial_number"]
    changed = cli(
        *("secret-metadata-update", "--id", secret["id"]),
        *("--rotation", '{"auto_rotate": true, "interval": 20, "unit": "day"}'),
    )
    assert changed["rotation"]["interval"] == 20

    cli(
        *("secret-version-action-create", "--secret-id", secret["id"], "--id=previous"),
        *("--secret-version-action-prototype", f'{{"action_type": "{REVOKE}"}}'),
    )
    revoked = cli("secret-action-create", "--id", secret["id"], "--secret-action-type", REVOKE)
    assert set(revoked) == {"action_type", "revocation_time_seconds"}
    listed = x509.load_der_x509_crl(server.request("GET", CRL, token=None).raw)
    assert {item.serial_number for item in listed} == {
        int(found["serial_number"].replace(":", ""), 16) for found in (secret, version)
    }

    rotated = cli(
        *("configuration-action-create", "--name", "cli-int", "--config-type", INTERMEDIATE),
        *("--config-action-prototype", f'{{"action_type": "{ACTION}rotate_intermediate"}}'),
    )
    assert rotated["name"] == "cli-int"
    renewed = cli(
        *("configuration-action-create", "--name", "cli-int"),
        *("--config-action-action-type", ACTION + "rotate_crl"),
    )
    assert renewed == {"action_type": ACTION + "rotate_crl", "success": True}


@pytest.mark.peers
def test_key_of_a_request_stays_where_it_is(cli: Cli, tmp_path: Path) -> None:
    require("openssl")
    subprocess.run(
        [
            *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=own.corp.example"),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    request = x509.load_pem_x509_csr((tmp_path / "own.csr").read_bytes())
    words = ("--private-cert-template-name", "cli-web", "--certificate-common-name", "own.corp.example")

    allowed = cli("secret-evaluate", *words, "--private-cert-csr", "@own.csr")
    secret = cli(
        *("secret-create", "--secret-type", "private_cert", "--secret-name", "cli-own", *words),
        *("--private-cert-csr", (tmp_path / "own.csr").read_text()),
    )
    version = cli("secret-version-create", "--secret-id", secret["id"], "--private-cert-csr", "@own.csr")
    refused = cli("secret-evaluate", *words[:3], "own.example.net", code=1)

    assert allowed["allowed"] is True
    for issued in (secret, version):
        assert issued["private_key"] == ""
        certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
        assert certificate.public_key() == request.public_key()
    assert [rule["rule"] for rule in refused["rules"] if rule["verdict"] == "fail"] == ["allowed_domains"]


def test_refusals_of_the_server_set_the_exit_code(cli: Cli) -> None:
    words = ("--secret-type", "private_cert", "--secret-name", "cli-no", "--private-cert-template-name", "cli-web")
    refused = cli("secret-create", *words, "--certificate-common-name", "shop.example.net", code=1)
    in_use = cli("configuration-delete", "--name", "cli-int", code=5)
    unknown = cli("configuration", "--name", "cli-none", code=4)
    assert refused["errors"][0]["code"] == "template_violation"
    assert refused["errors"][0]["more_info"].endswith("/docs/guide/certificate-refused")
    assert in_use["status_code"] == 409
    assert unknown["status_code"] == 404
