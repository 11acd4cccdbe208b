"""The server process as an operator meets it: first start, second start, stop, kill, keys and certificates."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.factories.certificates import make_ca, make_leaf, to_pem
from tests.peers.postgres import PostgresServer
from tests.peers.server import PROGRAM, LiveServer, process_environment, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def own(data_dir: Path) -> Iterator[LiveServer]:
    """Give a server of this test's own, over HTTPS, started."""
    with running(data_dir) as server:
        yield server


def _served_certificate(server: LiveServer, trust: Path) -> x509.Certificate:
    context = ssl.create_default_context(cafile=str(trust))
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def _create(server: LiveServer, name: str, payload: str = "value") -> str:
    body = {"secret_type": "arbitrary", "name": name, "payload": payload}
    answer = server.request("POST", "/api/v2/secrets", body)
    assert answer.status == 201, answer.raw
    return str(answer.json["id"])


def _command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=process_environment(environment),
    )


def test_first_start_prints_where_things_are_and_never_the_key(own: LiveServer) -> None:
    endpoints = own.request("GET", "/api/v2/endpoints").json
    assert own.url in own.log
    assert endpoints["instance_id"] in own.log
    assert str(own.data_dir / "admin-apikey") in own.log
    assert own.api_key not in own.log
    for name in ("admin-apikey", "master.key", "strongroom.db", "tls/server-key.pem"):
        assert stat.S_IMODE((own.data_dir / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(own.data_dir.stat().st_mode) == 0o700
    assert b"ENCRYPTED" in (own.data_dir / "tls" / "server-key.pem").read_bytes()


def test_instance_id_and_region_stand_in_every_crn_and_any_host_is_answered(own: LiveServer) -> None:
    endpoints = own.request("GET", "/api/v2/endpoints").json
    instance, region = endpoints["instance_id"], endpoints["region"]
    own.request("POST", "/api/v2/secrets", {"secret_type": "arbitrary", "name": "one", "payload": "x"})
    for host in (f"{instance}.{region}.secrets-manager.appdomain.cloud", "whatever.example.com:8443"):
        page = own.request("GET", "/api/v2/secrets", headers={"Host": host}).json
        assert page["first"]["href"].startswith(f"https://{host}/api/v2/secrets?")
        assert f":{region}:a/" in page["secrets"][0]["crn"]
        assert f":{instance}:secret:" in page["secrets"][0]["crn"]


def test_a_second_start_finds_everything(own: LiveServer) -> None:
    key, secret = own.api_key, _create(own, "kept")
    assert own.stop() == 0
    own.start()
    assert own.api_key == key
    assert own.request("GET", f"/api/v2/secrets/{secret}").json["payload"] == "value"


def test_a_second_server_on_the_same_directory_is_told_so(own: LiveServer) -> None:
    second = _command("server", "--data-dir", str(own.data_dir), "--listen", "127.0.0.1:0")
    assert second.returncode != 0
    assert "Another strongroom process uses this data directory" in second.stderr


def test_two_first_starts_at_once_leave_one_instance(data_dir: Path) -> None:
    servers = [LiveServer(data_dir) for _ in range(2)]
    servers[1].log_file = data_dir.with_name("second.log")
    try:
        processes = [server.spawn() for server in servers]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and all(process.poll() is None for process in processes):
            time.sleep(0.05)
        winner, loser = sorted(servers, key=lambda server: server.process.poll() is not None)  # type: ignore[union-attr]
        assert "Another strongroom process" in loser.log
        while time.monotonic() < deadline and not (data_dir / "instance-id").exists():
            time.sleep(0.05)
        while time.monotonic() < deadline and "serves at" not in winner.log:
            time.sleep(0.05)
        assert winner.request("GET", "/api/v2/secret_groups").status == 200
    finally:
        for server in servers:
            server.close()


@pytest.mark.parametrize("after_s", [0.3, 0.5, 0.7, 0.9, 1.1, 1.4])
def test_a_kill_during_the_first_start_is_healed_by_the_next(data_dir: Path, after_s: float) -> None:
    server = LiveServer(data_dir)
    try:
        server.spawn()
        time.sleep(after_s)
        server.kill()
        server.start()
        assert server.request("GET", "/api/v2/secret_groups").status == 200
    finally:
        server.close()


def test_a_missing_master_key_is_refused_and_nothing_is_made_anew(own: LiveServer) -> None:
    _create(own, "kept")
    own.stop()
    key = (own.data_dir / "master.key").read_bytes()
    (own.data_dir / "master.key").unlink()
    refused = _command("server", "--data-dir", str(own.data_dir), "--listen", "127.0.0.1:0")
    assert refused.returncode != 0
    assert "master key" in refused.stderr.lower()
    assert not (own.data_dir / "master.key").exists()
    (own.data_dir / "master.key").write_bytes(key)
    (own.data_dir / "master.key").chmod(0o600)
    own.start()
    assert own.request("GET", "/api/v2/secrets").json["total_count"] == 1


def test_a_wrong_master_key_is_refused(own: LiveServer, tmp_path: Path) -> None:
    own.stop()
    other = tmp_path / "other"
    assert _command("init", "--data-dir", str(other)).returncode == 0
    shutil.copy(other / "master.key", own.data_dir / "master.key")
    refused = _command("server", "--data-dir", str(own.data_dir), "--listen", "127.0.0.1:0")
    assert refused.returncode != 0
    assert "master key" in refused.stderr.lower()


def test_a_lost_database_is_refused_and_no_empty_store_takes_its_place(own: LiveServer) -> None:
    own.stop()
    for path in own.data_dir.glob("strongroom.db*"):
        path.unlink()
    refused = _command("server", "--data-dir", str(own.data_dir), "--listen", "127.0.0.1:0")
    assert refused.returncode != 0
    assert "belongs to an instance that had data" in refused.stderr


def test_the_master_key_rotates_online(own: LiveServer) -> None:
    secret = _create(own, "sealed-before")
    before = own.request("GET", "/api/v2/endpoints").json["encryption"]["key_id"]
    environment = {
        "STRONGROOM_URL": own.url,
        "STRONGROOM_APIKEY": own.api_key,
        "STRONGROOM_CA_FILE": str(own.ca_file),
    }
    rotated = _command("key", "rotate", **environment)
    assert rotated.returncode == 0, rotated.stderr
    after = own.request("GET", "/api/v2/endpoints").json["encryption"]["key_id"]
    assert after != before
    later = _create(own, "sealed-after")
    own.kill()
    own.start()
    for id_ in (secret, later):
        assert own.request("GET", f"/api/v2/secrets/{id_}").json["payload"] == "value"
    assert own.request("GET", "/api/v2/endpoints").json["encryption"]["key_id"] == after


def test_the_master_key_may_come_from_a_passphrase(data_dir: Path, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    with running(data_dir, environment={"STRONGROOM_MASTER_PASSPHRASE_FILE": str(passphrase)}) as server:
        secret = _create(server, "one")
        server.kill()
        server.start()
        assert server.request("GET", f"/api/v2/secrets/{secret}").json["payload"] == "value"
        server.stop()
        passphrase.write_text("another phrase altogether\n")
        refused = server.spawn()
        assert refused.wait(30) != 0
        assert "master key" in server.log.lower() or "passphrase" in server.log.lower()


def test_requests_in_flight_finish_before_a_stop(own: LiveServer) -> None:
    answers: list[int] = []

    def create() -> None:
        body = {
            "secret_type": "imported_cert",
            "name": "slow",
            "managed_csr": {"common_name": "example.com", "key_bits": 3072},
        }
        answers.append(own.request("POST", "/api/v2/secrets", body).status)

    own.token()
    thread = threading.Thread(target=create)
    thread.start()
    time.sleep(0.05)
    assert own.process is not None
    own.process.send_signal(signal.SIGTERM)
    thread.join()
    assert own.process.wait(30) == 0
    assert answers == [201]


def test_the_operators_certificate_is_used_and_reloaded_without_a_restart(data_dir: Path, tmp_path: Path) -> None:
    ca = make_ca()
    files = {"cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem", "ca": tmp_path / "ca.pem"}
    files["ca"].write_text(ca.pem)

    def install(days: int) -> x509.Certificate:
        leaf = make_leaf(days, names=("localhost", "127.0.0.1"), issuer=ca)
        files["key"].write_text(leaf.key_pem)
        files["cert"].write_text(leaf.pem)
        return leaf.certificate

    first = install(10)
    server = LiveServer(
        data_dir,
        environment={"STRONGROOM_TLS_CERT_FILE": str(files["cert"]), "STRONGROOM_TLS_KEY_FILE": str(files["key"])},
    )
    server.spawn()
    try:
        deadline = time.monotonic() + 30
        while "serves at" not in server.log and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _served_certificate(server, files["ca"]) == first
        second = install(20)
        while _served_certificate(server, files["ca"]) != second:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.2)
        assert to_pem(second) == files["cert"].read_text()
    finally:
        server.close()


def test_plain_http_off_loopback_is_refused(data_dir: Path) -> None:
    refused = _command("server", "--data-dir", str(data_dir), "--http", "--listen", "0.0.0.0:0")
    assert refused.returncode != 0
    assert "Plain HTTP" in refused.stderr


def test_more_workers_need_postgresql(data_dir: Path) -> None:
    refused = _command("server", "--data-dir", str(data_dir), "--workers", "2")
    assert refused.returncode != 0
    assert "PostgreSQL" in refused.stderr


@pytest.mark.parametrize("include_key", [False, True])
def test_a_backup_of_a_running_server_restores_into_an_empty_node_only(
    own: LiveServer, tmp_path: Path, *, include_key: bool
) -> None:
    secret = _create(own, "kept", "the payload")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    file, empty = tmp_path / "copy.backup", tmp_path / "empty"
    more = ["--include-master-key"] if include_key else []
    common = ["--passphrase-file", str(passphrase)]
    made = _command("backup", "--data-dir", str(own.data_dir), "--out", str(file), *common, *more)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"the payload" not in file.read_bytes()
    refused = _command("restore", str(file), "--data-dir", str(own.data_dir), *common)
    assert refused.returncode != 0
    restored = _command("restore", str(file), "--data-dir", str(empty), *common)
    assert restored.returncode == 0, restored.stderr
    again = _command("restore", str(file), "--data-dir", str(empty), *common)
    assert again.returncode != 0
    assert "not empty" in again.stderr
    if not include_key:
        missing = _command("server", "--data-dir", str(empty), "--listen", "127.0.0.1:0")
        assert missing.returncode != 0
        assert "master key" in missing.stderr.lower()
        shutil.copy(own.data_dir / "master.key", empty / "master.key")
    shutil.copy(own.data_dir / "admin-apikey", empty / "admin-apikey")
    own.stop()
    with running(empty) as copy:
        assert copy.request("GET", f"/api/v2/secrets/{secret}").json["payload"] == "the payload"


@pytest.mark.peers
def test_two_workers_share_one_postgresql(data_dir: Path, postgres_url: str) -> None:
    server = LiveServer(data_dir, environment={"STRONGROOM_DATABASE_URL": postgres_url})
    try:
        server.start("--workers", "2")
        names = [f"s{number}" for number in range(20)]
        ids = [_create(server, name, name) for name in names]
        for name, id_ in zip(names, ids, strict=True):
            assert server.request("GET", f"/api/v2/secrets/{id_}").json["payload"] == name
        service_id = server.request("POST", "/v1/serviceids/", {"name": "reader", "apikey": {"name": "key"}}).json
        token = server.token(service_id["apikey"]["apikey"])
        assert server.request("GET", "/api/v2/secrets", token=token).status == 403
        assert server.stop() == 0
    finally:
        server.close()


@pytest.mark.peers
def test_another_node_of_one_postgresql_needs_the_same_master_key(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    del postgres_server
    environment = {"STRONGROOM_DATABASE_URL": postgres_url}
    with running(tmp_path / "one", environment=environment) as first:
        secret = _create(first, "shared")
        refused = _command("server", "--data-dir", str(tmp_path / "two"), "--listen", "127.0.0.1:0", **environment)
        assert refused.returncode != 0
        assert "master key" in refused.stderr.lower()
        shutil.copy(first.data_dir / "master.key", tmp_path / "two" / "master.key")
        second = LiveServer(tmp_path / "two", environment=environment)
        try:
            shutil.copy(first.data_dir / "admin-apikey", second.data_dir / "admin-apikey")
            second.start()
            assert second.request("GET", f"/api/v2/secrets/{secret}").json["payload"] == "value"
            before = second.request("GET", "/api/v2/endpoints").json["instance_id"]
            assert before == first.request("GET", "/api/v2/endpoints").json["instance_id"]
        finally:
            second.close()


def test_the_audit_trail_verifies_on_the_server_and_as_an_export(own: LiveServer, tmp_path: Path) -> None:
    _create(own, "one")
    environment = {
        "STRONGROOM_URL": own.url,
        "STRONGROOM_APIKEY": own.api_key,
        "STRONGROOM_CA_FILE": str(own.ca_file),
    }
    on_server = _command("audit", "verify", "--output", "json", **environment)
    assert on_server.returncode == 0, on_server.stderr
    answer = own.request("GET", "/api/v2/audit_events/export", headers={"Accept": "application/x-ndjson"})
    export = tmp_path / "export.ndjson"
    export.write_bytes(answer.raw)
    assert _command("audit", "verify", str(export)).returncode == 0
    lines = answer.raw.splitlines(keepends=True)
    changed: list[Any] = [json.loads(line) for line in lines]
    victim = next(index for index, line in enumerate(changed) if line.get("action", "").endswith("secret.create"))
    changed[victim]["target"]["name"] = "another"
    export.write_text("\n".join(json.dumps(line) for line in changed) + "\n")
    assert _command("audit", "verify", str(export)).returncode != 0
    export.write_bytes(b"".join(lines[:victim] + lines[victim + 1 :]))
    assert _command("audit", "verify", str(export)).returncode != 0


def test_health_metrics_and_keys_answer(own: LiveServer) -> None:
    assert own.request("GET", "/healthz", token=None).status == 200
    assert own.request("GET", "/readyz", token=None).status == 200
    metrics = own.request("GET", "/metrics", token=None, headers={"Accept": "text/plain"})
    assert metrics.status == 200
    assert b"strongroom_" in metrics.raw
    keys = own.request("GET", "/identity/keys", token=None).json["keys"]
    header = json.loads(base64.urlsafe_b64decode(own.token().split(".")[0] + "=="))
    assert header["kid"] in {key["kid"] for key in keys}
