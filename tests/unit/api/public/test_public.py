"""What everybody may ask for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from strongroom.api.public import guide
from strongroom.api.public.documents import render
from strongroom.api.public.table import OPERATIONS
from strongroom.kernel.errors import ErrorCode, Integrity, Unavailable
from strongroom.kernel.secret import Secret
from tests.unit.api.asgi import MANAGER, Answer, FakeStorage, Server

TOKEN = "metrics-token-of-the-operator"
LOOPBACK = ("127.0.0.1", 50000)


def no_problem() -> None:
    """Find nothing wrong."""


def server(**extra: Any) -> Server:
    members = {"metrics": lambda: b"strongroom_up 1\n", "metrics_token": None, "check_master_key": no_problem}
    return Server(OPERATIONS, extra={**members, **extra})


def test_public_operations_ask_nobody_and_leave_no_record() -> None:
    one = server()

    for path in ("/healthz", "/readyz", "/openapi.json", "/api/v2/swagger-ui", "/docs/guide/x", "/metrics"):
        one.ask("GET", path, token=None)

    assert one.storage.trail == []


def test_a_process_that_is_up_says_so() -> None:
    answer = server().ask("GET", "/healthz", token=None)

    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_a_server_that_can_work_is_ready() -> None:
    answer = server().ask("GET", "/readyz", token=None)

    assert (answer.status, answer.json) == (200, {"status": "ok", "checks": {"storage": "ok", "master_key": "ok"}})


def test_readiness_names_the_check_that_fails_and_nothing_else() -> None:
    storage = FakeStorage()
    storage.not_ready = Unavailable(ErrorCode.UNAVAILABLE, "planted host name")
    one = Server(OPERATIONS, storage=storage, extra={"check_master_key": no_problem})

    answer = one.ask("GET", "/readyz", token=None)

    assert answer.status == 503
    assert answer.json == {"status": "unavailable", "checks": {"storage": "failed", "master_key": "ok"}}
    assert answer.headers["retry-after"] == "5"


def test_a_closed_master_key_makes_the_server_unready() -> None:
    def check() -> None:
        raise Integrity(ErrorCode.MASTER_KEY_WRONG, "The master key is another one.")

    answer = server(check_master_key=check).ask("GET", "/readyz", token=None)

    assert (answer.status, answer.json["checks"]) == (503, {"storage": "ok", "master_key": "failed"})


# --- documents


def test_the_document_shows_the_version_and_itself() -> None:
    answer = server().ask("GET", "/openapi.json", token=None)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json["openapi"].startswith("3.1.")
    assert answer.json["info"]["version"] == "1.2.3"
    assert "/openapi.json" in answer.json["paths"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "style":
            self.style += data


def page_of(answer: Answer) -> _Page:
    page = _Page()
    page.feed(answer.raw.decode())
    return page


def test_the_page_lists_every_operation_without_scripts_or_other_hosts() -> None:
    answer = server().ask("GET", "/api/v2/swagger-ui", token=None)
    page = page_of(answer)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert page.links == ["/openapi.json"]
    assert "script" not in page.tags
    for path in json.loads(server().ask("GET", "/openapi.json", token=None).raw)["paths"]:
        assert f"<code>{path}</code>" in answer.raw.decode()


def test_the_policy_of_the_page_allows_its_style_and_nothing_else() -> None:
    answer = server().ask("GET", "/api/v2/swagger-ui", token=None)
    policy = answer.headers["content-security-policy"]
    page = page_of(answer)

    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    style = page.style.split("\n", 1)[0]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy


def test_what_stands_on_the_page_is_text() -> None:
    operation = {"tags": ["<b>"], "summary": "<script>alert(1)</script>"}
    document = {"info": {"title": "<i>", "version": '"'}, "paths": {"/<u>": {"get": operation}}}

    text = render(document).decode()

    assert not re.search(r"<(b|i|u|script)>", text)


# --- the guide


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "guide"
    folder.mkdir()
    (folder / "import.md").write_text("# Import\n\u00fc\n", encoding="utf-8")
    (folder / "notes.txt").write_text("no page", encoding="utf-8")
    (tmp_path / "secret.md").write_text("outside", encoding="utf-8")
    found = guide.read_pages(tmp_path / "missing", folder)
    monkeypatch.setattr(guide, "_pages", lambda: found)


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("name", ["import", "import.md"])
def test_a_page_of_the_guide_is_plain_text(name: str) -> None:
    answer = server().ask("GET", f"/docs/guide/{name}", token=None)

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.raw.decode() == "# Import\n\u00fc\n"


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize(
    "name",
    [
        "none",
        "notes",
        "notes.txt",
        "..",
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "import.md/",
        "",
        ".",
        "/etc/passwd",
    ],
)
def test_only_pages_of_the_guide_are_served(name: str) -> None:
    answer = server().ask("GET", f"/docs/guide/{name}", token=None)

    assert answer.status == 404
    assert b"outside" not in answer.raw


def test_a_guide_that_is_not_there_has_no_pages(tmp_path: Path) -> None:
    assert guide.read_pages(tmp_path / "missing") == {}


# --- metrics


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_metrics_are_free_on_loopback(host: str) -> None:
    answer = server().ask("GET", "/metrics", token=None, client=(host, 1))

    assert (answer.status, answer.raw) == (200, b"strongroom_up 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP"])
def test_what_comes_through_a_proxy_on_this_machine_is_not_local(header: str) -> None:
    assert server().ask("GET", "/metrics", token=None, client=LOOPBACK, headers={header: "x"}).status == 401


def test_a_unix_socket_is_not_local() -> None:
    assert server().ask("GET", "/metrics", token=None, client=None).status == 401


def test_metrics_are_given_for_the_metrics_token() -> None:
    one = server(metrics_token=Secret(TOKEN))

    assert one.ask("GET", "/metrics", token=TOKEN).status == 200
    assert one.ask("GET", "/metrics", token=None, headers={"Authorization": f"bearer {TOKEN} "}).status == 200


@pytest.mark.parametrize("given", [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u00ff", ""])
def test_another_text_is_not_the_metrics_token(given: str) -> None:
    answer = server(metrics_token=Secret(TOKEN)).ask("GET", "/metrics", token=given)

    assert (answer.status, answer.error["code"]) == (401, "token_invalid")
    assert TOKEN.encode() not in answer.raw


def test_an_empty_metrics_token_lets_nobody_in() -> None:
    assert server(metrics_token=Secret("")).ask("GET", "/metrics", token="").status == 401


def test_an_operator_may_read_metrics() -> None:
    assert server().ask("GET", "/metrics", token="operator-token").status == 200


@pytest.mark.parametrize("token", [MANAGER, None, "nobody", "old-token"])
def test_nobody_else_may(token: str | None) -> None:
    assert server().ask("GET", "/metrics", token=token).status == 401
