from __future__ import annotations

import hashlib
import io
import os
import platform
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import bootstrap
from tools.bootstrap import BootstrapError, Wheel

ROOT = Path(__file__).resolve().parents[3]
FILE = "uv-1.2.3-py3-none-any.whl"


def _wheel(body: bytes, url: str) -> Wheel:
    return Wheel(version="1.2.3", url=url, sha256=hashlib.sha256(body).hexdigest())


def _archive() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as content:
        content.writestr("uv-1.2.3.data/scripts/uv", "#!/bin/sh\necho 'uv 1.2.3 (test)'\n")
    return target.getvalue()


@pytest.fixture
def index() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Give an address on loopback and the pages served there."""
    pages: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            if self.path.startswith("/private/") and self.headers.get("Authorization") != "Basic b3BlcmF0b3I6cEBzcw==":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                body = b""
            else:
                self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_lock_file_has_a_uv_for_this_machine() -> None:
    wheel = bootstrap.locked_wheel(ROOT / "uv.lock", "uv")
    assert wheel.filename.startswith(f"uv-{wheel.version}-")
    assert len(wheel.sha256) == 64


def test_the_lock_file_names_the_public_index_only() -> None:
    for line in (ROOT / "uv.lock").read_text(encoding="utf-8").splitlines():
        if 'registry = "' in line:
            assert 'registry = "https://pypi.org/simple"' in line


@pytest.mark.parametrize(
    ("system", "machine", "libc", "filename", "fits"),
    [
        ("linux", "x86_64", "glibc", "uv-1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("linux", "x86_64", "glibc", "uv-1-py3-none-musllinux_1_1_x86_64.whl", False),
        ("linux", "x86_64", "", "uv-1-py3-none-musllinux_1_1_x86_64.whl", True),
        ("linux", "x86_64", "glibc", "uv-1-py3-none-macosx_10_12_x86_64.whl", False),
        ("linux", "aarch64", "", "uv-1-py3-none-manylinux_2_17_aarch64.musllinux_1_1_aarch64.whl", True),
        ("linux", "aarch64", "glibc", "uv-1-py3-none-manylinux_2_17_x86_64.whl", False),
        ("darwin", "arm64", "", "uv-1-py3-none-macosx_11_0_arm64.whl", True),
        ("darwin", "arm64", "", "uv-1-py3-none-win_arm64.whl", False),
        ("linux", "riscv64", "glibc", "structlog-26-py3-none-any.whl", True),
    ],
)
def test_a_wheel_fits_system_processor_and_c_library(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str, filename: str, fits: bool
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    assert bootstrap.runs_here(filename) is fits


def test_a_platform_without_a_locked_build_is_told_what_to_do(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text('[[package]]\nname = "uv"\nversion = "1.2.3"\n', encoding="utf-8")
    with pytest.raises(BootstrapError, match="put it on PATH"):
        bootstrap.locked_wheel(lock, "uv")


def test_a_wheel_is_found_on_an_html_and_on_a_json_page() -> None:
    base = "https://mirror.example.com/simple/uv/"
    page = f'<a href="../../files/{FILE}#sha256=00">{FILE}</a><a href="x/other.whl">other.whl</a>'
    assert bootstrap.find_link(page, base, FILE) == f"https://mirror.example.com/files/{FILE}"
    page = f'{{"files": [{{"url": "https://files.example.com/{FILE}"}}]}}'
    assert bootstrap.find_link(page, base, FILE) == f"https://files.example.com/{FILE}"


def test_a_page_without_the_wheel_is_refused() -> None:
    with pytest.raises(ValueError, match="does not have"):
        bootstrap.find_link("<a href='other.whl'>other.whl</a>", "https://mirror.example.com/", FILE)


def test_the_wheel_comes_from_the_locked_address(index: tuple[str, dict[str, bytes]]) -> None:
    address, pages = index
    pages[f"/{FILE}"] = b"content"
    assert bootstrap.fetch_wheel(_wheel(b"content", f"{address}/{FILE}"), {}) == b"content"


def test_the_wheel_comes_from_a_configured_index_with_credentials(index: tuple[str, dict[str, bytes]]) -> None:
    address, pages = index
    pages["/private/simple/uv/"] = f'<a href="/{FILE}">{FILE}</a>'.encode()
    pages[f"/{FILE}"] = b"content"
    environment = {"UV_DEFAULT_INDEX": f"{address.replace('http://', 'http://operator:p%40ss@')}/private/simple"}
    assert (
        bootstrap.fetch_wheel(_wheel(b"content", f"https://unreachable.example.com/{FILE}"), environment) == b"content"
    )


def test_a_wheel_with_another_digest_is_refused(
    index: tuple[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, pages = index
    pages[f"/{FILE}"] = b"something else"
    monkeypatch.setattr(bootstrap, "_download_with_pip", lambda _wheel, _environment: b"also something else")
    with pytest.raises(BootstrapError, match="another SHA-256"):
        bootstrap.fetch_wheel(_wheel(b"content", f"{address}/{FILE}"), {})


def test_an_address_that_is_no_web_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(_wheel: Wheel, _environment: object) -> bytes:
        raise OSError

    monkeypatch.setattr(bootstrap, "_download_with_pip", no_pip)
    with pytest.raises(BootstrapError, match="https://"):
        bootstrap.fetch_wheel(_wheel(b"", f"file:///etc/{FILE}"), {})


def test_the_program_in_a_wheel_becomes_executable(tmp_path: Path) -> None:
    target = tmp_path / "uv"
    bootstrap.unpack_program(_archive(), _wheel(b"", FILE), target)
    assert bootstrap.uv_version(str(target)) == (1, 2, 3)
    assert list(tmp_path.iterdir()) == [target]


def test_a_program_that_is_no_uv_has_no_version(tmp_path: Path) -> None:
    assert bootstrap.uv_version(str(tmp_path / "missing")) is None
    assert bootstrap.uv_version("/bin/true") is None


def test_pip_settings_come_from_files_and_then_variables(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text(
        "[global]\nindex-url = https://a.example.com/p%40ss/\n[install]\nfind-links = /wheels\n", encoding="utf-8"
    )
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    settings = bootstrap.pip_settings(environment)
    assert (settings["index-url"], settings["find-links"]) == ("https://a.example.com/p%40ss/", "/wheels")
    settings = bootstrap.pip_settings(environment | {"PIP_INDEX_URL": "https://b.example.com/"})
    assert settings["index-url"] == "https://b.example.com/"
    assert "find-links" not in bootstrap.pip_settings(environment | {"PIP_CONFIG_FILE": os.devnull})


def test_a_broken_pip_file_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("index-url without a section", encoding="utf-8")
    assert "index-url" not in bootstrap.pip_settings({"PIP_CONFIG_FILE": str(file)})
    assert f"ignoring {file}" in capsys.readouterr().err


def test_uv_gets_what_was_configured_for_pip(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    inherited = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://mirror.example.com/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.example.com/ https://c.example.com/",
        "PIP_FIND_LINKS": f"{tmp_path} /does/not/exist",
        "PIP_CERT": str(certificate),
        "VIRTUAL_ENV": "/elsewhere",
        "HOME": str(tmp_path),
    }
    environment = bootstrap.tool_environment(tmp_path, inherited)
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example.com/simple"
    assert environment["UV_INDEX"] == "https://b.example.com/ https://c.example.com/"
    assert environment["UV_FIND_LINKS"] == str(tmp_path)
    assert environment["SSL_CERT_FILE"] == str(certificate)
    assert environment["UV_PROJECT_ENVIRONMENT"] == str(tmp_path / ".venv")
    assert "VIRTUAL_ENV" not in environment
    assert "UV_CACHE_DIR" not in environment


def test_what_was_configured_for_uv_counts_more(tmp_path: Path) -> None:
    inherited = {"PIP_INDEX_URL": "https://a.example.com/", "UV_INDEX_URL": "https://b.example.com/"}
    environment = bootstrap.tool_environment(tmp_path, inherited | {"PIP_CONFIG_FILE": os.devnull})
    assert environment["UV_DEFAULT_INDEX"] == "https://b.example.com/"
    assert "UV_INDEX_URL" not in environment


def test_the_public_index_is_no_special_index(tmp_path: Path) -> None:
    inherited = {"PIP_INDEX_URL": "https://pypi.org/simple/", "PIP_CONFIG_FILE": os.devnull}
    assert "UV_DEFAULT_INDEX" not in bootstrap.tool_environment(tmp_path, inherited)


def test_a_user_without_a_home_gets_a_cache_in_the_project(tmp_path: Path) -> None:
    environment = bootstrap.tool_environment(tmp_path, {"HOME": "/nonexistent", "PIP_CONFIG_FILE": os.devnull})
    assert environment["UV_CACHE_DIR"] == str(tmp_path / ".uv" / "cache")


def test_an_environment_is_current_until_a_file_that_decides_changes(tmp_path: Path) -> None:
    for name in ("uv.lock", "pyproject.toml", "tools/bootstrap.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    digest = bootstrap.fingerprint(tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert not bootstrap.is_current(tmp_path, "run", digest)
    bootstrap.stamp_path(tmp_path, "run").write_text(digest, encoding="ascii")
    assert bootstrap.is_current(tmp_path, "run", digest)
    assert not bootstrap.is_current(tmp_path, "dev", digest)
    (tmp_path / "uv.lock").write_text("changed", encoding="utf-8")
    assert not bootstrap.is_current(tmp_path, "run", bootstrap.fingerprint(tmp_path))


def test_an_environment_for_development_serves_for_running(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    bootstrap.stamp_path(tmp_path, "dev").write_text("digest", encoding="ascii")
    assert bootstrap.is_current(tmp_path, "run", "digest")


def test_a_wrong_call_shows_how_to_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["everything"]) == 2
    assert "run|dev" in capsys.readouterr().err
