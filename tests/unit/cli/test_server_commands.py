from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.audit.chain import VerificationResult
from strongroom.kernel.errors import Conflict, ErrorCode, Integrity, StrongroomError
from tests.unit.cli.conftest import JOB_ID, Answer, FakeServer, Strongroom, refusal


@dataclass
class Runtime:
    """Stands in for the server's own modules and notes how they were called."""

    flags: dict[str, object] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    failure: StrongroomError | None = None
    created: bool = True
    exit_code: int = 0

    def load_settings(self, flags: dict[str, object]) -> str:
        self.flags = flags
        return "settings"

    def serve(self, settings: str) -> int:
        return int(self._call(self.exit_code, "serve", settings))

    def prepare_data_dir(self, settings: str) -> Any:
        prepared = types.SimpleNamespace(
            url="https://127.0.0.1:8443",
            instance_id="5d1c0f62-9a3e-4a4b-8f0d-2b7f6a51c9e4",
            region="local",
            admin_apikey_file=Path("data/admin-apikey"),
            ca_file=Path("data/tls/ca.pem"),
            created=self.created,
        )
        return self._call(prepared, "prepare", settings)

    def create_backup(self, settings: str, out: Path, passphrase: str, include_master_key: bool) -> Any:
        report = types.SimpleNamespace(records=12, bytes=3456)
        return self._call(report, "backup", settings, out, passphrase, include_master_key)

    def restore_backup(self, settings: str, source: Path, passphrase: str) -> Any:
        return self._call(types.SimpleNamespace(records=12), "restore", settings, source, passphrase)

    def _call(self, result: Any, *call: Any) -> Any:
        self.calls.append(call)
        if self.failure:
            raise self.failure
        return result


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    fake = Runtime()
    for name, functions in {
        "settings": ["load_settings"],
        "serve": ["serve"],
        "bootstrap": ["prepare_data_dir"],
        "backup": ["create_backup", "restore_backup"],
    }.items():
        module = types.ModuleType(f"strongroom.runtime.{name}")
        for function in functions:
            setattr(module, function, getattr(fake, function))
        monkeypatch.setitem(sys.modules, f"strongroom.runtime.{name}", module)
    return fake


def test_only_given_flags_reach_the_settings(alone: Strongroom, runtime: Runtime) -> None:
    assert alone("server").code == 0
    assert runtime.flags == {}
    ran = alone(
        "server", "--data-dir", "d", "--listen=127.0.0.1:0", "--http", "--workers", "2", "--database-url=postgresql://x"
    )
    assert ran.code == 0, ran.err
    assert runtime.flags == {
        "data_dir": Path("d"),
        "listen": "127.0.0.1:0",
        "http": True,
        "workers": 2,
        "database_url": "postgresql://x",
    }
    assert runtime.calls == [("serve", "settings")] * 2


def test_the_servers_exit_code_is_the_commands(alone: Strongroom, runtime: Runtime) -> None:
    runtime.exit_code = 7
    assert alone("server").code == 7


@pytest.mark.parametrize("words", [["--workers", "0"], ["--listen"], ["surplus"]])
def test_bad_server_flags_are_usage_errors(alone: Strongroom, runtime: Runtime, words: list[str]) -> None:
    assert alone("server", *words).code == 2
    assert runtime.calls == []


def test_init_says_where_key_and_ca_are(alone: Strongroom, runtime: Runtime) -> None:
    ran = alone("init", "--data-dir", "data")
    assert (ran.code, runtime.flags) == (0, {"data_dir": Path("data")})
    assert "data/admin-apikey" in ran.out
    runtime.created = False
    again = alone("init", "--output", "json")
    assert again.json["created"] is False
    assert "before" in again.err


@pytest.mark.parametrize("words", [["server"], ["init"]])
def test_refusals_of_the_server_are_sentences_without_a_traceback(
    alone: Strongroom, runtime: Runtime, words: list[str]
) -> None:
    runtime.failure = Integrity(ErrorCode.MASTER_KEY_WRONG, "The master key is another one.", hint="Put it back.")
    ran = alone(*words)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == ["FAILED", "The master key is another one.", "Put it back."]


def test_backup_takes_its_passphrase_from_a_file(alone: Strongroom, runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text(" planted phrase\n")
    ran = alone("backup", "--out", "b", "--passphrase-file", "phrase", "--include-master-key", "-o", "json")
    assert ran.json == {"file": "b", "records": 12, "bytes": 3456}
    assert runtime.calls == [("backup", "settings", Path("b"), " planted phrase", True)]
    assert "planted" not in ran.out + ran.err


def test_backup_and_restore_take_their_passphrase_from_the_environment(
    alone: Strongroom, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGROOM_BACKUP_PASSPHRASE", "planted")
    assert alone("backup", "--out", "b").code == 0
    (tmp_path / "b").write_text("")
    assert alone("restore", "b", "--data-dir", "new").code == 0
    assert runtime.calls == [
        ("backup", "settings", Path("b"), "planted", False),
        ("restore", "settings", Path("b"), "planted"),
    ]
    assert runtime.flags == {"data_dir": Path("new")}


def test_a_passphrase_is_asked_for_on_a_terminal_and_twice_for_a_backup(
    alone: Strongroom, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["planted", "planted", "planted"]
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: typed.pop())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert alone("backup", "--out", "b").code == 0
    assert len(typed) == 1
    (tmp_path / "b").write_text("")
    assert alone("restore", "b").code == 0
    assert [call[3] for call in runtime.calls if call[0] == "backup"] == ["planted"]
    assert typed == []


def test_without_a_passphrase_nothing_is_copied(alone: Strongroom, runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert alone("backup", "--out", "b").code == 2
    assert alone("backup", "--out", "b", "--passphrase-file", "empty").code == 2
    assert alone("restore", "missing").code == 2
    assert runtime.calls == []


def test_backup_replaces_no_file_unasked(
    alone: Strongroom, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGROOM_BACKUP_PASSPHRASE", "planted")
    (tmp_path / "b").write_text("old")
    assert alone("backup", "--out", "b").code == 1
    assert runtime.calls == []
    assert alone("backup", "--out", "b", "--force").code == 0


def test_restore_into_a_full_server_is_a_conflict(
    alone: Strongroom, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGROOM_BACKUP_PASSPHRASE", "planted")
    (tmp_path / "b").write_text("")
    runtime.failure = Conflict(ErrorCode.STORE_NOT_EMPTY, "The store is not empty.")
    assert alone("restore", "b").code == 5


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    naps: list[float] = []
    monkeypatch.setattr("strongroom.cli.commands.waiting.time.sleep", naps.append)
    return naps


def job(state: str, **members: Any) -> Answer:
    return Answer(200, {"id": JOB_ID, "kind": "x", "state": state, **members})


@pytest.mark.usefixtures("quick")
def test_key_rotation_waits_for_its_job(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/master_key/rotate", Answer(202, job("queued").body))
    server.on("GET", f"/api/v2/jobs/{JOB_ID}", job("running"), job("running"), job("done", result={"wrapped": 3}))
    ran = strongroom("key", "rotate", "--output", "json")
    assert ran.code == 0, ran.err
    assert ran.json["result"] == {"wrapped": 3}
    assert server.api_requests[0].body == {}
    assert ran.err.splitlines() == [f"Job {JOB_ID}: queued", f"Job {JOB_ID}: running"]
    assert strongroom("key", "--output=json", "rotate", "-q").err == ""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (job("failed", last_error={"code": "x", "message": "The key is gone."}), "failed: The key is gone."),
        (job("cancelled"), "was cancelled."),
    ],
)
def test_a_job_that_ends_badly_has_its_own_exit_code(
    strongroom: Strongroom, server: FakeServer, ended: Answer, message: str
) -> None:
    server.on("POST", ".*", Answer(202, job("queued").body))
    server.on("GET", ".*", ended)
    ran = strongroom("key", "rotate")
    assert ran.code == 8
    assert message in ran.err


def test_waiting_ends_in_time(strongroom: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("POST", ".*", Answer(202, job("queued").body))
    server.on("GET", ".*", job("waiting"))
    now = [0.0]
    monkeypatch.setattr(
        "strongroom.cli.commands.waiting.time",
        types.SimpleNamespace(monotonic=lambda: now[0], sleep=lambda nap: now.__setitem__(0, now[0] + nap)),
    )
    ran = strongroom("key", "rotate", "--timeout", "30")
    assert ran.code == 7
    assert f"Job {JOB_ID} is not done after 30 s" in ran.err
    assert now[0] <= 30


def test_only_an_administrator_rotates(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", ".*", refusal(403, "forbidden", "You may not."))
    assert strongroom("key", "rotate").code == 3


@pytest.mark.usefixtures("quick")
def test_audit_verify_prints_the_result_of_the_server(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/audit_verifications", Answer(202, job("queued").body))
    result = {"verified": True, "streams": 1, "records": 99}
    server.on("GET", ".*", job("done", result=result))
    ran = strongroom("audit", "verify", "--output", "json")
    assert (ran.code, ran.json) == (0, result)


@pytest.mark.usefixtures("quick")
def test_a_broken_trail_ends_with_a_failure_and_still_prints_the_result(
    strongroom: Strongroom, server: FakeServer
) -> None:
    server.on("POST", ".*", Answer(202, job("queued").body))
    server.on("GET", ".*", job("done", result={"verified": False, "records": 9, "first_broken": "1/17"}))
    ran = strongroom("audit", "verify", "--output", "json")
    assert ran.code == 1
    assert ran.json["first_broken"] == "1/17"
    assert json.loads(ran.err)["errors"][0]["code"] == "integrity_failed"


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []

    def verify_export(lines: Iterable[str], public_key: str | None) -> VerificationResult:
        found = [line.strip() for line in lines]
        seen.append((found, public_key))
        broken = next((line for line in found if line == "broken"), None)
        return VerificationResult(
            verified=broken is None, streams=1, records=len(found), first_broken=broken, signers=("a2V5",)
        )

    monkeypatch.setattr("strongroom.domain.audit.chain.verify_export", verify_export)
    return seen


def test_an_export_is_checked_without_a_server(alone: Strongroom, chain: list[Any], tmp_path: Path) -> None:
    (tmp_path / "audit.ndjson").write_text("{}\n{}\n")
    (tmp_path / "audit.pub").write_text("a2V5\n")
    ran = alone("audit", "verify", "audit.ndjson", "--public-key", "audit.pub", "-o", "json")
    assert (ran.code, ran.json) == (
        0,
        {
            "verified": True,
            "streams": 1,
            "records": 2,
            "checkpoints": 0,
            "uncovered": 0,
            "partial": False,
            "signers": ["a2V5"],
        },
    )
    assert chain == [(["{}", "{}"], "a2V5")]
    (tmp_path / "audit.ndjson").write_text("broken\n")
    ran = alone("audit", "verify", "audit.ndjson")
    assert ran.code == 1
    assert "first_broken" in ran.out


@pytest.mark.usefixtures("chain")
def test_exports_that_cannot_be_read_are_usage_errors(alone: Strongroom, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert alone("audit", "verify", "missing").code == 2
    assert alone("audit", "verify", "binary").code == 2
    assert alone("audit", "verify", "--public-key", "x").code == 2


def test_an_empty_export_is_checked_by_the_real_rules(alone: Strongroom, tmp_path: Path) -> None:
    (tmp_path / "audit.ndjson").write_text("{not json}\n")
    ran = alone("audit", "verify", "audit.ndjson", "-o", "json")
    assert (ran.code, ran.json["verified"]) == (1, False)
