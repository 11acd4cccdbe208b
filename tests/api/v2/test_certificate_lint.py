"""When certificates are linted, and where the findings are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.runtime import lint
from tests.api.authorities import CONFIGURATIONS, EVALUATE, create_certificate, make_tree
from tests.api.v2.conftest import watch
from tests.api.v2.sending import code, error, made
from tests.conftest import START_OF_TESTS
from tests.peers.in_process import InProcess, in_process

WARNING = {"severity": "warning", "code": "example.odd", "message": "it looks odd"}
MISTAKE = {"severity": "error", "code": "example.wrong", "message": "it is wrong"}


class Told:
    """Stands for the linter: says what it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.findings: list[dict[str, str]] = [WARNING]
        self.asked = 0

    def lint(self, _: bytes) -> list[dict[str, str]]:
        """Answer."""
        self.asked += 1
        return self.findings


@pytest.fixture
def linter(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Give the linter that all servers of the test ask."""
    told = Told()
    monkeypatch.setattr(lint.Linter, "lint_certificate", lambda _, der: told.lint(der))
    return told


@pytest.fixture
def restarted(data_dir: Path, clock: FrozenClock) -> Iterator[Callable[[], InProcess]]:
    """Give a function that starts the server, and at every further call stops it and starts it anew."""
    running: list[Any] = []

    def start() -> InProcess:
        while running:
            running.pop().__exit__(None, None, None)
        context = in_process(data_dir, clock)
        server = context.__enter__()
        running.append(context)
        return watch(server)

    yield start
    for context in running:
        context.__exit__(None, None, None)


def issue(server: InProcess, name: str, **members: Any) -> str:
    """Make a certificate and return its address."""
    return made(create_certificate(server, name, **members))


def findings(server: InProcess, address: str, version: str = "current") -> Any:
    """Return what a version shows of the linter; ``None`` if it shows nothing."""
    return server.request("GET", f"{address}/versions/{version}/metadata").json.get("lint")


def lint_jobs(server: InProcess) -> list[dict[str, Any]]:
    """Return the jobs that lint, newest first."""
    return list(server.request("GET", "/api/v2/jobs?kind=certificate.lint").json["jobs"])


def patch_template(server: InProcess, **members: Any) -> None:
    """Change the template."""
    assert server.request("PATCH", f"{CONFIGURATIONS}/leaves", members).status == 200


def test_a_certificate_is_linted_after_the_answer(server: InProcess, linter: Told) -> None:
    make_tree(server)
    address = issue(server, "first")
    assert (findings(server, address), linter.asked) == (None, 0)
    assert [(job["kind"], job["state"], job["secret_id"]) for job in lint_jobs(server)] == [
        ("certificate.lint", "queued", address.rpartition("/")[2])
    ]

    server.work()

    assert (findings(server, address), linter.asked) == ([WARNING], 1)
    assert server.request("GET", f"{address}/versions/current").json["lint"] == [WARNING]
    assert "lint" not in server.request("GET", address).json
    assert [(job["state"], job["result"]) for job in lint_jobs(server)] == [("done", {"findings": 1})]


def test_a_running_server_lints_by_itself_with_the_real_linter(server: InProcess) -> None:
    make_tree(server, key_usage=["DigitalSignature"])
    server.container.worker.start()
    address = issue(server, "first")
    deadline = time.monotonic() + 60
    while findings(server, address) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert findings(server, address) == []


def test_a_certificate_that_a_policy_made_is_linted_too(server: InProcess, linter: Told) -> None:
    make_tree(server)
    address = issue(server, "first", rotation={"auto_rotate": True, "interval": 1, "unit": "day"})
    server.clock.advance(timedelta(days=1))
    server.forget_tokens()
    server.work()
    assert [findings(server, address, version) for version in ("current", "previous")] == [[WARNING], [WARNING]]
    assert linter.asked == 1


def test_others_of_the_shape_show_the_findings_at_once_on_that_day(server: InProcess, linter: Told) -> None:
    make_tree(server, allowed_domains=["example.com"], allow_subdomains=True)
    issue(server, "first", common_name="a.example.com")
    server.work()

    second = issue(server, "second", common_name="b.example.com")
    assert (findings(server, second), linter.asked, len(lint_jobs(server))) == ([WARNING], 1, 1)
    assert server.request("POST", f"{second}/versions", {}).status == 201
    assert findings(server, second) == [WARNING]

    linter.findings = []
    server.clock.advance(timedelta(days=1))
    server.forget_tokens()
    third = issue(server, "third", common_name="c.example.com")
    server.work()
    assert (findings(server, third), linter.asked) == ([], 2)
    assert findings(server, second) == [WARNING]


def test_of_a_burst_one_certificate_is_linted_for_all(server: InProcess, linter: Told) -> None:
    make_tree(server)
    addresses = [issue(server, f"burst-{number}") for number in range(4)]
    server.work()
    assert [findings(server, address) for address in addresses] == [[WARNING]] * 4
    assert linter.asked == 1


def test_another_template_state_key_or_kind_of_name_is_another_shape(server: InProcess, linter: Told) -> None:
    make_tree(server, allowed_domains=["example.com"], allow_subdomains=True, allowed_uri_sans=["spiffe://*"])
    shapes: list[dict[str, Any]] = [
        {"common_name": "a.example.com"},
        {"common_name": "*.example.com"},
        {"common_name": "a.example.com", "ip_sans": "192.0.2.1"},
        {"common_name": "a.example.com", "ip_sans": "2001:db8::1"},
        {"common_name": "a.example.com", "uri_sans": "spiffe://example.com/web"},
        {"common_name": f"{'a' * 60}.example.com"},
    ]
    for number, members in enumerate(shapes):
        issue(server, f"shape-{number}", **members)
    server.work()
    assert linter.asked == len(shapes)

    patch_template(server, key_bits=384)
    issue(server, "another-key", common_name="a.example.com")
    server.work()
    assert linter.asked == len(shapes) + 1
    patch_template(server, organization=["Example"])
    issue(server, "another-subject", common_name="a.example.com")
    server.work()
    assert linter.asked == len(shapes) + 2


def test_at_the_level_off_nothing_is_linted(server: InProcess, linter: Told) -> None:
    make_tree(server, lint_level="off")
    address = issue(server, "first")
    server.work()
    assert (findings(server, address), linter.asked, lint_jobs(server)) == (None, 0, [])


def test_at_the_level_error_a_mistake_is_refused_before_signing(server: InProcess, linter: Told) -> None:
    make_tree(server, lint_level="error")
    linter.findings = [MISTAKE, WARNING]

    refused = create_certificate(server)

    assert code(refused) == "lint_failed"
    assert "example.wrong" in error(refused)["message"]
    assert server.request("GET", "/api/v2/secrets").json["total_count"] == 0
    linter.findings = [WARNING]
    address = issue(server, "first")
    assert findings(server, address) == [WARNING]
    assert lint_jobs(server) == []


def test_at_the_level_warn_a_mistake_is_shown_and_not_refused(server: InProcess, linter: Told) -> None:
    make_tree(server)
    linter.findings = [MISTAKE]
    address = issue(server, "first")
    server.work()
    assert findings(server, address) == [MISTAKE]


def test_without_the_linter_nothing_is_queued_and_trying_shows_no_findings(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(server)
    monkeypatch.setattr(lint.Linter, "is_installed", lambda _: False)
    address = issue(server, "first")
    body = {"secret_type": "private_cert", "certificate_template": "leaves", "common_name": "localhost"}

    tried = server.request("POST", EVALUATE, body)

    assert (findings(server, address), lint_jobs(server)) == (None, [])
    assert (tried.status, tried.json["allowed"], tried.json["lint"]) == (200, True, [])


def test_a_job_that_finds_no_linter_any_more_ends(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(server)
    address = issue(server, "first")
    monkeypatch.setattr(lint.Linter, "is_installed", lambda _: False)
    server.work()
    assert findings(server, address) is None
    assert [job["state"] for job in lint_jobs(server)] == ["done"]


def test_a_server_that_dies_after_the_answer_lints_when_it_is_back(
    restarted: Callable[[], InProcess], linter: Told
) -> None:
    server = restarted()
    make_tree(server)
    address = issue(server, "first")

    server = restarted()
    server.work()

    assert (findings(server, address), linter.asked) == ([WARNING], 1)


def test_what_was_deleted_or_revoked_meanwhile_stays_so(server: InProcess, linter: Told) -> None:
    make_tree(server)
    gone, revoked = issue(server, "gone"), issue(server, "revoked")
    server.request("DELETE", gone)
    action = {"action_type": "private_cert_action_revoke_certificate"}
    assert server.request("POST", f"{revoked}/actions", action).status == 201

    server.work()

    assert server.request("GET", gone).status == 404
    shown = server.request("GET", f"{revoked}/versions/current/metadata").json
    assert (shown["state"], shown["revocation_time_seconds"]) == (3, int(START_OF_TESTS.timestamp()))
    assert shown["lint"] == [WARNING]
    assert {job["state"] for job in lint_jobs(server)} == {"done"}


def test_a_linter_that_breaks_is_asked_again_later(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()

    def breaks(*_: object) -> list[dict[str, str]]:
        raise RuntimeError("planted")

    make_tree(server)
    monkeypatch.setattr(lint.Linter, "lint_certificate", breaks)
    address = issue(server, "first")
    server.work()
    assert [job["state"] for job in lint_jobs(server)] == ["waiting"]
    monkeypatch.setattr(lint.Linter, "lint_certificate", lambda _, der: told.lint(der))
    server.clock.advance(timedelta(seconds=10))
    server.work()
    assert findings(server, address) == [WARNING]
