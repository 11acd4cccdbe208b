"""Settings: where they come from, what is refused and how it is said, and that each changes something."""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from strongroom.domain.configurations.model import ConfigType, Configuration
from strongroom.domain.limits import Limits
from strongroom.hsm.key_token import Pkcs11KeyToken
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.ids import ConfigurationId, IamId
from strongroom.pki.keys import KeySpec
from strongroom.runtime import bootstrap
from strongroom.runtime.container import build
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.settings import Settings, describe, load_settings, unknown_variables
from strongroom.storage.store import SqlStorage, open_storage
from tests.api.authorities import (
    create_certificate,
    create_configuration,
    create_intermediate,
    create_root,
    create_template,
    make_tree,
)
from tests.factories.certificates import make_leaf
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer, running

PLANTED = "planted-value-77c1"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: the settings file is looked for in the working directory."""
    monkeypatch.chdir(tmp_path)


def write(text: str) -> None:
    Path("strongroom.toml").write_text(text, encoding="utf-8")


def refused(**flags: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load_settings(flags)
    assert caught.value.code is ErrorCode.SETTINGS_INVALID
    return caught.value


# --- where they come from


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings({})
    assert (settings.data_dir, settings.listen, settings.region) == (Path("data"), "127.0.0.1:8443", "local")
    assert settings.effective_limits == Limits()


def test_environment_wins_over_file_and_flag_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    write('region = "file"\nlog_level = "error"\nlisten = "127.0.0.1:1"\n')
    monkeypatch.setenv("STRONGROOM_LISTEN", "127.0.0.1:2")
    monkeypatch.setenv("STRONGROOM_LOG_LEVEL", "debug")
    settings = load_settings({"listen": "127.0.0.1:3"})
    assert (settings.region, settings.log_level, settings.port) == ("file", "debug", 3)
    sources = {view.name: view.source for view in describe(settings)}
    assert sources["region"] == "file"
    assert sources["log_level"] == "environment"
    assert sources["listen"] == "flag"
    assert sources["workers"] == "default"


def test_a_variable_set_to_nothing_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_REGION", "")
    assert load_settings({}).region == "local"


def test_the_file_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text('region = "other"\n')
    monkeypatch.setenv("STRONGROOM_SETTINGS_FILE", str(tmp_path / "other.toml"))
    assert load_settings({}).region == "other"


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_SETTINGS_FILE", "missing.toml")
    assert refused().detail == "STRONGROOM_SETTINGS_FILE names missing.toml, which is not there."


def test_a_file_that_is_no_toml_is_refused_with_the_place() -> None:
    write('region = "a"\nlisten = \n')
    assert refused().detail.startswith("strongroom.toml is not TOML: ")
    assert "line 2" in refused().detail


def test_a_file_that_is_no_text_is_refused_without_its_bytes() -> None:
    Path("strongroom.toml").write_bytes(b'database_url = "\xff' + PLANTED.encode() + b'"')
    assert refused().detail == "strongroom.toml is not text in UTF-8."


def test_a_folder_in_place_of_the_file_is_refused() -> None:
    Path("strongroom.toml").mkdir()
    assert refused().detail == "strongroom.toml cannot be read: Is a directory."


def test_tables_stand_in_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_AUDIT", '{"durable_reads": true}')
    monkeypatch.setenv("STRONGROOM_LIMITS", '{"labels": 7}')
    settings = load_settings({})
    assert settings.audit.durable_reads
    assert settings.effective_limits.labels == 7


def test_a_table_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_LIMITS", "labels=7")
    assert refused().detail == 'STRONGROOM_LIMITS must be a JSON object such as {"labels": 50}.'


def test_mail_server_is_a_table_with_its_own_names() -> None:
    write('[smtp]\nhost = "mail.example.com"\nfrom = "strongroom@example.com"\n')
    smtp = load_settings({}).smtp
    assert smtp is not None
    assert (smtp.host, smtp.sender, smtp.port, smtp.starttls) == (
        "mail.example.com",
        "strongroom@example.com",
        587,
        True,
    )
    view = next(view for view in describe(load_settings({})) if view.name == "smtp")
    assert view.value["from"] == "strongroom@example.com"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('host = "a"', "smtp.from (strongroom.toml) must be an e-mail address such as strongroom@example.com; "),
        ('from = "a@example.com"', "smtp.host (strongroom.toml) must be the name or address of a mail server; it is "),
        ('host = "a b"\nfrom = "a@example.com"', "smtp.host (strongroom.toml) must be the name or address of a mail "),
        ('hots = "a"\nfrom = "a@example.com"\nhost = "a"', "smtp.hots (strongroom.toml) is no setting; is host meant?"),
        ('host = "a"\nfrom = "a@example.com"\nusername = "u"', "smtp.username and smtp.password_file must be set toge"),
        (
            'host = "a"\nfrom = "a@example.com"\nusername = "u"\npassword_file = "p"\nstarttls = false',
            "smtp.password_file is refused without TLS",
        ),
    ],
)
def test_mail_server_that_cannot_be_used_is_refused(lines: str, message: str) -> None:
    write(f"[smtp]\n{lines}\n")
    assert message in refused().detail


def test_unknown_variables_are_told_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A platform sets this one for every service called strongroom.
    monkeypatch.setenv("STRONGROOM_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("STRONGROOM_DATABSE_URL", PLANTED)
    monkeypatch.setenv("STRONGROOM_URL", "https://strongroom.example.com")
    load_settings({})
    assert unknown_variables() == [
        "STRONGROOM_DATABSE_URL; is STRONGROOM_DATABASE_URL meant?",
        "STRONGROOM_SERVICE_HOST",
    ]


# --- what is refused


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("listen", "8443", "listen (FROM) must be HOST:PORT such as 127.0.0.1:8443 or [::1]:8443, with a port up to "),
        ("listen", "127.0.0.1:65536", "with a port up to 65535, not '127.0.0.1:65536'."),
        ("listen", "[1:2]:8443", "must be HOST:PORT"),
        ("listen", "::1:8443", "must be HOST:PORT"),
        ("http", "perhaps", "http (FROM) must be true or false, not 'perhaps'."),
        ("behind_proxy", "proxy.example.com", "behind_proxy (FROM) must be addresses or CIDRs with commas between"),
        ("behind_proxy", "192.0.2.1,", "must be addresses"),
        ("workers", "0", "workers (FROM) must be a whole number from 1 to 256, not '0'."),
        ("workers", "many", "must be a whole number from 1 to 256, not 'many'."),
        ("region", "Europe 1", "region (FROM) must be 1 to 32 lower-case letters, digits and hyphens, not 'Europe 1'."),
        ("region", "local\n", "must be 1 to 32 lower-case letters"),
        ("public_url", "strongroom.example.com", "public_url (FROM) must be a URL such as https://"),
        ("public_url", "https://user@strongroom.example.com", "must be a URL such as https://"),
        ("scheduler_interval", "often", "scheduler_interval (FROM) must be a duration from 100ms to 1d, such as 60s"),
        ("scheduler_interval", "0s", "must be a duration from 100ms to 1d"),
        ("scheduler_interval", "2d", "must be a duration from 100ms to 1d"),
        ("test_clock_offset", "999999999d", "must be a duration up to 36500d"),
        ("rsa_pool_size", "-1", "rsa_pool_size (FROM) must be a whole number from 0 to 1024, not '-1'."),
        ("rsa_pool_bits", "2048,1024", "rsa_pool_bits (FROM) must be sizes out of 2048, 3072 and 4096 with commas"),
        ("log_level", "loud", "log_level (FROM) must be debug, info, warning or error, not 'loud'."),
        ("data_dir", " ", "data_dir (FROM) must be a path, not ' '."),
        ("tls_cert_file", " ", "tls_cert_file (FROM) must be the path of a PEM file"),
        ("region", "x" * 500, "...."),
    ],
)
def test_a_wrong_value_is_told_in_one_line_with_place_and_rule(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    variable = f"STRONGROOM_{name.upper()}"
    monkeypatch.setenv(variable, value)
    error = refused()
    assert line.replace("FROM", variable) in error.detail
    assert error.field == name
    assert "\n" not in error.diagnostics()
    assert len(error.detail) < 250


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("database_url", f"mysql://u:{PLANTED}@db.example.com/x", "must be a URL that begins with postgresql://."),
        ("metrics_token", "short", "metrics_token (STRONGROOM_METRICS_TOKEN) must be 16 to 1024 visible"),
        ("metrics_token", f"with a space {PLANTED}", "must be 16 to 1024 visible ASCII characters."),
    ],
)
def test_a_wrong_secret_value_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str) -> None:
    monkeypatch.setenv(f"STRONGROOM_{name.upper()}", value)
    error = refused()
    assert line in error.detail
    assert value not in repr(error) + error.diagnostics()
    assert PLANTED not in repr(error) + error.diagnostics()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("regoin = 'a'", "regoin (strongroom.toml) is no setting; is region meant?"),
        (
            "[audit]\ndurable_read = true",
            "audit.durable_read (strongroom.toml) is no setting; is durable_reads meant?",
        ),
        (
            "[audit]\ndurable_reads = 'often'",
            "audit.durable_reads (strongroom.toml) must be true or false, not 'often'.",
        ),
        ("audit = 1", "audit (strongroom.toml) must be a table with durable_reads, not 1."),
        ("[limits]\nlabel = 3", "limits.label (strongroom.toml) is no limit; the limits are secret_groups, labels,"),
        ("[limits]\nlabels = 0", "limits.labels (strongroom.toml) must be whole numbers from 1 to 2147483647, not 0."),
        ("[limits]\nlabels = true", "limits.labels (strongroom.toml) must be whole numbers from 1 to 2147483647"),
        ("[limits]\nlabels = 2147483648", "must be whole numbers from 1 to 2147483647, not 2147483648."),
        ("limits = [1]", "limits (strongroom.toml) must be whole numbers"),
        ("[limits]\ncertificate_characters = 100001", "must be a whole number from 1 to 100000, not 100001."),
        ("pkcs11_library = ''", "pkcs11_library (strongroom.toml) must be the path of a PKCS#11 library, not ''."),
        ("behind_proxy = [1]", "behind_proxy (strongroom.toml) must be addresses or CIDRs"),
        ("behind_proxy = 7", "behind_proxy (strongroom.toml) must be addresses or CIDRs"),
        ("rsa_pool_bits = [[2048]]", "rsa_pool_bits (strongroom.toml) must be sizes out of 2048, 3072 and 4096"),
        ("rsa_pool_bits = 1.5", "rsa_pool_bits (strongroom.toml) must be sizes"),
        ("scheduler_interval = true", "scheduler_interval (strongroom.toml) must be a duration"),
        ("data_dir = 7", "data_dir (strongroom.toml) must be a path, not 7."),
        ("data_dir = 2026-01-01", "data_dir (strongroom.toml) must be a path"),
    ],
)
def test_what_the_file_must_not_say_is_refused(text: str, line: str) -> None:
    write(text)
    assert line in refused().detail


def test_several_problems_are_told_together() -> None:
    write('regoin = "a"\nworkers = 0\n')
    error = refused(listen="nowhere")
    assert error.detail == "The settings are not valid."
    assert {cause.field for cause in error.causes} == {"regoin", "workers", "listen"}
    assert "listen (--listen) must be" in error.diagnostics()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"http": True, "listen": "0.0.0.0:8443"}, "Plain HTTP on 0.0.0.0 is refused"),
        ({"http": True, "listen": "[::]:8443"}, "Plain HTTP on :: is refused"),
        ({"workers": 2}, "More than one worker process needs PostgreSQL"),
        ({"tls_cert_file": "a.pem"}, "tls_cert_file and tls_key_file must be set together."),
        ({"tls_key_file": "a.pem"}, "tls_cert_file and tls_key_file must be set together."),
        ({"master_key_file": "a", "master_passphrase_file": "b"}, "exclude each other"),
        ({"test_clock_offset": "90d"}, "counts in test_mode only"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object], line: str) -> None:
    assert line in refused(**given).detail


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1"])
def test_plain_http_is_allowed_on_loopback(listen: str) -> None:
    assert load_settings({"http": True, "listen": listen}).http


def test_plain_http_is_allowed_behind_a_proxy() -> None:
    settings = load_settings({"http": True, "listen": "0.0.0.0:8080", "behind_proxy": "192.0.2.7, 10.0.0.0/8"})
    assert settings.behind_proxy == ("192.0.2.7", "10.0.0.0/8")


def test_brackets_of_an_address_are_not_part_of_it() -> None:
    settings = load_settings({"listen": "[::1]:9443"})
    assert (settings.host, settings.port) == ("::1", 9443)
    assert bootstrap.public_url(settings) == "https://[::1]:9443"
    assert bootstrap.public_url(load_settings({"listen": "[::]:9443"})) == "https://localhost:9443"


def test_secret_settings_show_nowhere() -> None:
    settings = load_settings({"database_url": f"postgresql://u:{PLANTED}@db/x", "metrics_token": PLANTED})
    shown = repr(settings) + str(settings) + repr(list(describe(settings))) + str(settings.model_dump())
    assert PLANTED not in shown
    assert {view.value for view in describe(settings) if view.name in {"database_url", "metrics_token"}} == {"set"}


# --- that each changes something


def _metrics_from_elsewhere(server: InProcess, token: str | None) -> int:
    headers = {"x-forwarded-for": "192.0.2.50", "accept": "text/plain"}
    return server.request("GET", "/metrics", headers=headers, token=token).status


def test_the_data_directory_is_where_it_is_told(tmp_path: Path, clock: FrozenClock) -> None:
    with in_process(tmp_path / "there", clock):
        assert (tmp_path / "there" / "strongroom.db").exists()
    assert not Path("data").exists()


def test_proxies_are_believed_when_named(data_dir: Path, clock: FrozenClock) -> None:
    headers = {"x-forwarded-host": "front.example.com", "x-forwarded-proto": "https"}
    with in_process(data_dir, clock) as server:
        page = server.request("GET", "/api/v2/secrets", headers=headers).json
        assert "front.example.com" not in page["first"]["href"]
    with in_process(data_dir, clock, behind_proxy="127.0.0.0/8") as server:
        page = server.request("GET", "/api/v2/secrets", headers=headers).json
        assert page["first"]["href"].startswith("https://front.example.com/")


def test_the_master_key_file_may_be_elsewhere(data_dir: Path, tmp_path: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, master_key_file=tmp_path / "the.key"):
        assert (tmp_path / "the.key").exists()
        assert not (data_dir / "master.key").exists()


def test_a_passphrase_file_makes_another_provider(data_dir: Path, tmp_path: Path, clock: FrozenClock) -> None:
    (tmp_path / "phrase").write_text("correct horse battery staple\n")
    (tmp_path / "phrase").chmod(0o600)
    with in_process(data_dir, clock, master_passphrase_file=tmp_path / "phrase") as server:
        assert server.request("GET", "/api/v2/endpoints").json["encryption"]["provider"] == "passphrase"


def test_the_region_stands_in_crns(data_dir: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, region="eu-1") as server:
        assert ":eu-1:" in server.request("GET", "/api/v2/endpoints").json["crn"]


def test_the_metrics_token_opens_the_metrics_from_elsewhere(data_dir: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, behind_proxy="127.0.0.1") as server:
        assert _metrics_from_elsewhere(server, PLANTED) == 401
    with in_process(data_dir, clock, behind_proxy="127.0.0.1", metrics_token=PLANTED) as server:
        assert _metrics_from_elsewhere(server, None) == 401
        assert _metrics_from_elsewhere(server, PLANTED + "x") == 401
        assert _metrics_from_elsewhere(server, PLANTED) == 200


def test_the_public_url_is_issuer_and_certified_name(data_dir: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, public_url="https://strongroom.example.com/") as server:
        claims = server.token().split(".")[1]
        assert b'"https://strongroom.example.com/identity"' in base64.urlsafe_b64decode(claims + "==")


def test_the_scheduler_interval_is_how_often_work_is_looked_for(data_dir: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, scheduler_interval="100ms") as server:
        soon = (clock.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
        body = {"secret_type": "arbitrary", "name": "short", "payload": "x", "expiration_date": soon}
        address = f"/api/v2/secrets/{server.request('POST', '/api/v2/secrets', body).json['id']}/metadata"
        server.container.worker.start()
        clock.advance(timedelta(days=2))
        server.forget_tokens()
        deadline = time.monotonic() + 20
        while server.request("GET", address).json["state"] != 5:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_pkcs11_library_is_the_one_that_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"label": "a", "provider": {"type": "pkcs11", "token_label": "t", "pin_secret_id": "p"}}
    for named, answer in ((None, "this server has no PKCS#11 library"), (tmp_path / "missing.so", "cannot be loaded")):
        if named is not None:
            monkeypatch.setenv("STRONGROOM_PKCS11_LIBRARY", str(named))
        token = Pkcs11KeyToken(load_settings({}).pkcs11_library, lambda _: PLANTED)
        with pytest.raises(Unavailable, match=answer):
            token.open(key)


def test_keys_on_p224_need_their_setting(data_dir: Path, clock: FrozenClock) -> None:
    for allowed, status in ((False, 400), (True, 201)):
        with in_process(data_dir / str(allowed), clock, allow_p224=allowed) as server:
            make_tree(server)
            answers = [
                create_root(server, "old-curve", key_bits=224),
                create_intermediate(server, "old-curve-2", key_bits=224),
                create_template(server, "old-curve", key_bits=224),
            ]
            assert [answer.status for answer in answers] == [status] * 3
            if allowed:
                issued = create_certificate(server, certificate_template="old-curve")
                assert issued.json["key_algorithm"] == "ECDSA224"
            else:
                assert all(_said(answer, 400, "key_bits") for answer in answers)


def test_certificates_name_the_address_of_the_files_or_else_the_server_s(data_dir: Path, clock: FrozenClock) -> None:
    public = "https://secrets.example.com"
    for name, settings, address in (
        ("own", {"ca_files_url": "http://pki.example.com:8080/"}, "http://pki.example.com:8080"),
        ("public", {}, public),
    ):
        with in_process(data_dir / name, clock, public_url=public, **settings) as server:
            make_tree(server)
            changes = {"crl_distribution_points_encoded": True, "issuing_certificates_urls_encoded": True}
            patched = server.request("PATCH", "/api/v2/configurations/issuing", {**changes, "ocsp_urls_encoded": True})
            assert patched.status == 200, patched.raw
            leaf = x509.load_pem_x509_certificate(create_certificate(server).json["certificate"].encode())
            points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
            access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
            found = [point.full_name[0].value for point in points if point.full_name]
            found += [description.access_location.value for description in access]
            assert len(found) == 3
            assert all(url.startswith(f"{address}/") and "//" not in url[8:] for url in found), found


def test_the_pool_of_rsa_keys_has_the_size_and_sizes_it_is_told(data_dir: Path, clock: FrozenClock) -> None:
    with in_process(data_dir, clock, rsa_pool_size=1, rsa_pool_bits="4096, 2048") as server:
        keys = server.container.keys
        keys.warm(KeySpec(kind="rsa", bits=3072))
        assert keys.figures() == []
        keys.warm(KeySpec(kind="rsa", bits=2048))
        deadline = time.monotonic() + 30
        while [found.depth for found in keys.figures()] != [1]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert keys.figures()[0].made == 1


def test_sizes_of_rsa_keys_may_be_a_number_a_list_or_text() -> None:
    write("rsa_pool_bits = [4096, 2048, 4096]")
    assert load_settings({}).rsa_pool_bits == (2048, 4096)
    write("rsa_pool_bits = 3072")
    assert load_settings({}).rsa_pool_bits == (3072,)


@pytest.mark.integration
def test_the_log_level_decides_what_is_written(data_dir: Path) -> None:
    with running(data_dir, environment={"STRONGROOM_LOG_LEVEL": "debug", "STRONGROOM_REGOIN": "x"}) as server:
        server.request("GET", "/api/v2/secrets")
        # The line follows the answer.
        deadline = time.monotonic() + 20
        while '"operation": "list_secrets"' not in server.log:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "STRONGROOM_REGOIN; is STRONGROOM_REGION meant?" in server.log
        server.stop()
    with running(data_dir, environment={"STRONGROOM_LOG_LEVEL": "error"}) as server:
        server.log_file.write_text("")
        server.request("GET", "/api/v2/secrets")
        assert '"level"' not in server.log


def test_the_clock_moves_in_test_mode_only(data_dir: Path) -> None:
    settings = load_settings({"data_dir": data_dir, "test_mode": True, "test_clock_offset": "90d"})
    with DataDir(data_dir) as directory:
        container = build(settings, directory)
        try:
            ahead = container.clock.now() - bootstrap.clock_of(load_settings({})).now()
        finally:
            container.close()
    assert abs(ahead - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize("wanted", [True, False])
def test_durable_reads_reach_the_store(
    data_dir: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    seen: list[Any] = []

    def noting(*given: Any, **more: Any) -> SqlStorage:
        seen.append(more["durable_reads"])
        return open_storage(*given, **more)

    monkeypatch.setattr(bootstrap, "open_storage", noting)
    with in_process(data_dir, clock, audit={"durable_reads": wanted}) as server:
        assert server.request("GET", "/api/v2/secrets").status == 200
    assert seen == [wanted]


# --- limits


def _create(server: InProcess, **more: Any) -> Answer:
    body = {"secret_type": "arbitrary", "name": "one", "payload": "x", **more}
    return server.request("POST", "/api/v2/secrets", body)


def _said(answer: Answer, status: int, *words: str) -> bool:
    text = answer.raw.decode()
    return answer.status == status and all(word in text for word in words)


def _secret_groups(server: InProcess) -> bool:
    assert server.request("POST", "/api/v2/secret_groups", {"name": "first"}).status == 201
    return server.request("POST", "/api/v2/secret_groups", {"name": "second"}).status != 201


def _lock(server: InProcess, secret: str, *locks: dict[str, Any]) -> Answer:
    return server.request("POST", f"/api/v2/secrets/{secret}/locks_bulk", {"locks": list(locks)})


def _versions_kept(server: InProcess) -> bool:
    address = f"/api/v2/secrets/{_create(server).json['id']}/versions"
    for number in range(3):
        assert server.request("POST", address, {"payload": str(number)}).status == 201
    return len(server.request("GET", address).json["versions"]) == 2


def _locks_per_secret(server: InProcess) -> bool:
    secret = _create(server).json["id"]
    assert _lock(server, secret, {"name": "lock-a"}).status == 201
    return _lock(server, secret, {"name": "lock-b"}).status in (400, 409)


def _failed_logins(server: InProcess) -> bool:
    def login() -> int:
        form = "grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey=wrong"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return server.request("POST", "/identity/token", raw=form.encode(), headers=headers, token=None).status

    return [login() for _ in range(3)][-1] == 429


def _login(server: InProcess, form: str) -> Answer:
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": "Basic Yng6Yng="}
    return server.request("POST", "/identity/token", raw=form.encode(), headers=headers, token=None)


def _by_key(server: InProcess) -> Answer:
    key = server.directory.admin_apikey.read_text().strip()
    return _login(server, f"grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey={key}")


def _refresh_token_life(server: InProcess) -> bool:
    refresh = _by_key(server).json["refresh_token"]
    server.clock.advance(timedelta(seconds=61))
    return _login(server, f"grant_type=refresh_token&refresh_token={refresh}").status in (400, 401)


def _api_keys(server: InProcess) -> bool:
    service_id = server.request("POST", "/v1/serviceids/", {"name": "a", "apikey": {"name": "one"}}).json
    answer = server.request("POST", "/v1/apikeys", {"name": "two", "iam_id": service_id["iam_id"]})
    return answer.status in (400, 409)


def _events_kept(server: InProcess) -> bool:
    def kept() -> int:
        with sqlite3.connect(server.directory.database) as store:
            return int(store.execute("SELECT count(*) FROM events").fetchone()[0])

    _create(server)
    assert kept() == 1
    # Events wait until notices were made of them.
    server.container.worker.look_for_work()
    server.container.worker.run_pending()
    server.clock.advance(timedelta(seconds=61))
    purge = server.container.worker._timers[-1].task
    purge.run()
    return kept() == 0


def _destinations(server: InProcess) -> bool:
    def create(name: str) -> Answer:
        body = {"name": name, "type": "webhook", "url": "https://hooks.example.com/a"}
        return server.request("POST", "/api/v2/notifications/destinations", body)

    create("first")
    return _said(create("second"), 400, "reached the maximum of 1")


def _second_is_refused(server: InProcess, create: Callable[[InProcess, str], Answer]) -> bool:
    make_tree(server)
    return _said(create(server, "another"), 400, "reached the maximum of 1")


def _second_ca_is_refused(server: InProcess) -> bool:
    """The first is stored as if a CA had been asked; the second names one that may not be asked."""
    now = server.clock.now()
    first = Configuration(
        id=ConfigurationId("first"),
        config_type=ConfigType.LETS_ENCRYPT,
        name="first",
        document={"lets_encrypt_environment": "staging"},
        created_at=now,
        created_by=IamId("IBMid-somebody"),
        updated_at=now,
    )
    server.container.store.storage.write(lambda unit: unit.configurations.add(first))
    second = create_configuration(
        server, "public_cert_configuration_ca_acme", "second", acme_directory_url="https://127.0.0.1/directory"
    )
    return _said(second, 400, "reached the maximum of 1")


def _second_provider_is_refused(server: InProcess) -> bool:
    kind = "public_cert_configuration_dns_cloudflare"
    _, second = (
        create_configuration(server, kind, name, cloudflare_api_token="an-api-token-of-cloudflare")
        for name in ("first", "second")
    )
    return _said(second, 400, "reached the maximum of 1")


def _one_order_runs(server: InProcess) -> bool:
    return {crew.name: crew.size for crew in server.container.worker._crews}["orders"] == 1


LIMITS: dict[str, tuple[int, Callable[[InProcess], bool]]] = {
    "secret_groups": (1, _secret_groups),
    "labels": (1, lambda server: _said(_create(server, labels=["aa", "bb"]), 400, "label")),
    "metadata_bytes": (10, lambda server: _said(_create(server, custom_metadata={"a": "long text"}), 400, "10")),
    "payload_characters": (5, lambda server: _said(_create(server, payload="123456"), 400, "at most 5")),
    "kv_bytes": (
        10,
        lambda server: _said(
            server.request("POST", "/api/v2/secrets", {"secret_type": "kv", "name": "k", "data": {"a": "long text"}}),
            400,
            "at most 10",
        ),
    ),
    "certificate_characters": (
        100,
        lambda server: _said(
            server.request(
                "POST",
                "/api/v2/secrets",
                {
                    "secret_type": "imported_cert",
                    "name": "c",
                    "certificate": make_leaf(9, now=server.clock.now()).pem,
                },
            ),
            400,
            "certificate must have at most 100 characters",
        ),
    ),
    "root_authorities": (1, lambda server: _second_is_refused(server, create_root)),
    "intermediate_authorities": (1, lambda server: _second_is_refused(server, create_intermediate)),
    "certificate_templates": (1, lambda server: _second_is_refused(server, create_template)),
    "public_authorities": (1, _second_ca_is_refused),
    "dns_configurations": (1, _second_provider_is_refused),
    "orders_running": (1, _one_order_runs),
    "versions_kept": (2, _versions_kept),
    "locks_per_secret": (1, _locks_per_secret),
    "lock_attributes_bytes": (
        10,
        lambda server: (
            _lock(server, _create(server).json["id"], {"name": "lock-a", "attributes": {"key": "long text"}}).status
            == 400
        ),
    ),
    "request_bytes": (300, lambda server: _create(server, payload="x" * 400).status == 413),
    "failed_logins_per_minute": (1, _failed_logins),
    "token_life": (60, lambda server: _by_key(server).json["expires_in"] == 60),
    "refresh_token_life": (60, _refresh_token_life),
    "api_keys_per_identity": (1, _api_keys),
    "notification_destinations": (1, _destinations),
    "events_kept": (60, _events_kept),
}


# tests/api/v2/test_public_certs.py, tests/unit/domain/orders/test_ledger.py
LIMITS_OF_ORDERS = {
    "order_names",
    "orders_waiting",
    "ca_orders_per_account",
    "ca_certificates_per_domain",
    "ca_duplicates",
    "ca_failed_validations",
}


def test_every_limit_has_a_case() -> None:
    assert set(LIMITS) | LIMITS_OF_ORDERS == {field.name for field in fields(Limits)}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_can_be_set(data_dir: Path, clock: FrozenClock, name: str) -> None:
    value, reached = LIMITS[name]
    with in_process(data_dir, clock, limits={name: value}) as server:
        view = next(view for view in describe(server.container.settings) if view.name == "limits")
        assert view.value[name] == value != view.default[name]
        assert reached(server)


@pytest.mark.parametrize("name", LIMITS)
def test_the_same_goes_through_with_the_default(data_dir: Path, clock: FrozenClock, name: str) -> None:
    with in_process(data_dir, clock) as server:
        assert not LIMITS[name][1](server)


def test_every_setting_is_one_of_this_file_or_of_the_life_of_a_server() -> None:
    elsewhere = {"listen", "ca_files_listen", "http", "workers", "database_url", "tls_cert_file", "tls_key_file"}
    here = {
        "data_dir",
        "behind_proxy",
        "master_key_file",
        "master_passphrase_file",
        "region",
        "metrics_token",
        "public_url",
        "allow_p224",
        "ca_files_url",
        "pkcs11_library",
        "rsa_pool_size",
        "rsa_pool_bits",
        "scheduler_interval",
        "log_level",
        "test_mode",
        "test_clock_offset",
        "audit",
        "limits",
        "smtp",
    }
    # tests/unit/runtime/test_outside.py, tests/api/v2/test_public_configurations.py
    outside = {"acme_ca_bundle", "acme_directory_production", "acme_directory_staging", "allow_private_addresses"}
    # tests/unit/runtime/test_dns_settings.py, tests/unit/runtime/test_dns_resolvers.py
    outside |= {"cis_url", "classic_url", "dns", "dns_resolvers"}
    assert set(Settings.model_fields) == here | elsewhere | outside
