"""The second address: CA files and OCSP without TLS, and nothing else."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

from tests.peers.server import LiveServer, free_port, running

FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"


def ask(port: int, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_ca_files_are_served_without_tls_and_nothing_else(tmp_path: Path) -> None:
    plain = free_port()
    server = LiveServer(
        tmp_path / "data",
        environment={
            "STRONGROOM_CA_FILES_LISTEN": f"127.0.0.1:{plain}",
            "STRONGROOM_CA_FILES_URL": "http://pki.example.com",
        },
    ).start()
    try:
        made = server.request(
            "POST",
            "/api/v2/configurations",
            {
                "config_type": "private_cert_configuration_root_ca",
                "name": "root",
                "common_name": "Example Root",
                "max_ttl": "87600h",
                "key_type": "ec",
            },
        )
        assert made.status == 201, made.raw

        status, headers, certificate = ask(plain, f"{FILES}/root/ca")
        short_status, _, by_short_path = ask(plain, "/pki/root/ca")
        crl_status, crl_headers, _ = ask(plain, f"{FILES}/root/crl")
        others = [ask(plain, path)[0] for path in ("/api/v2/secrets", "/healthz", "/metrics", "/openapi.json")]
    finally:
        stopped = server.stop()
    assert "HTTPS addresses" not in server.log

    assert (status, headers["content-type"]) == (200, "application/pkix-cert")
    assert certificate[:1] == b"0"
    assert (short_status, by_short_path) == (200, certificate)
    assert (crl_status, crl_headers["content-type"]) == (200, "application/pkix-crl")
    assert "max-age" in crl_headers["cache-control"]
    # Caches count from it.
    assert "date" in crl_headers
    assert others == [404] * 4
    assert stopped == 0


def test_a_listener_that_no_certificate_will_lead_to_is_told_in_the_log(tmp_path: Path) -> None:
    listen = {"STRONGROOM_CA_FILES_LISTEN": f"127.0.0.1:{free_port()}"}
    with running(tmp_path / "data", environment=listen) as server:
        (warning,) = [json.loads(line) for line in server.log.splitlines() if "HTTPS addresses" in line]
    assert warning["level"] == "warning"
    assert warning["address"] == server.url
    assert "STRONGROOM_CA_FILES_URL" in warning["hint"]


def test_a_server_without_tls_has_nothing_to_tell(tmp_path: Path) -> None:
    listen = {"STRONGROOM_CA_FILES_LISTEN": f"127.0.0.1:{free_port()}"}
    with running(tmp_path / "data", tls=False, environment=listen) as server:
        assert "HTTPS addresses" not in server.log
