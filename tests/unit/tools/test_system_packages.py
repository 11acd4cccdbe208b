from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.peers import needs
from tools import system_packages


@pytest.fixture
def listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "system-packages.txt"
    path.write_text("# programs\n\nno-such-program  # a test of this file\n", encoding="utf-8")
    monkeypatch.setattr(system_packages, "LISTING", path)
    monkeypatch.setattr(needs, "LISTING", path)
    return path


def test_the_listing_names_packages_and_what_for() -> None:
    text = Path(system_packages.ROOT / "tests" / "system-packages.txt").read_text(encoding="utf-8")
    packages = system_packages.read_listing(text)
    assert {"postgresql", "openssl"} <= {package.name for package in packages}


def test_a_package_without_a_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="what tests need nginx for"):
        system_packages.read_listing("nginx\n")


def test_the_newest_of_several_installed_versions_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("9", "15", "16"):
        program = tmp_path / version / "bin" / "postgres"
        program.parent.mkdir(parents=True)
        program.touch()
    monkeypatch.setattr(system_packages, "PLACES", {"postgresql": (tmp_path, "*/bin/postgres")})
    assert system_packages.find_program("postgresql") == tmp_path / "16" / "bin" / "postgres"


def test_a_missing_package_is_named_without_the_right_to_install(
    listing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system_packages, "privilege", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    assert system_packages.main() == 0
    assert "left out without the system package 'no-such-program'" in capsys.readouterr().out


def test_a_missing_package_is_a_failure_in_continuous_integration(
    listing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_packages, "privilege", lambda: None)
    monkeypatch.setenv("CI", "true")
    assert system_packages.main() == 1


def test_missing_packages_are_installed_without_a_question(listing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    system_packages.install(["wrk", "curl"], ["sudo", "-n"])
    start = ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    assert commands == [[*start, "update"], [*start, "install", "--yes", "--no-install-recommends", "wrk", "curl"]]


def test_what_a_failed_installation_said_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = subprocess.CompletedProcess([], 100, "", "no such package")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_options: failed)
    system_packages.install(["wrk"], [])
    assert capsys.readouterr().err == "no such package\n"


def test_a_test_without_its_program_is_left_out(listing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="^left out: .*no-such-program"):
        needs.require("no-such-program")


def test_a_test_without_its_program_fails_in_continuous_integration(
    listing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="may not be left out"):
        needs.require("no-such-program")


def test_a_program_must_be_named_in_the_listing(listing: Path) -> None:
    with pytest.raises(LookupError, match="not named"):
        needs.require("openssl")
