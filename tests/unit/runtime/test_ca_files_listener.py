"""The second address: CA files and OCSP without TLS, and nothing else."""

from __future__ import annotations

import http.client
from pathlib import Path

from tests.peers.server import LiveServer, free_port

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

    assert (status, headers["content-type"]) == (200, "application/pkix-cert")
    assert certificate[:1] == b"0"
    assert (short_status, by_short_path) == (200, certificate)
    assert (crl_status, crl_headers["content-type"]) == (200, "application/pkix-crl")
    assert "max-age" in crl_headers["cache-control"]
    assert others == [404] * 4
    assert stopped == 0
