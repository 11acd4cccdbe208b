from __future__ import annotations

import io
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from strongroom.cli.errors import CommandError
from strongroom.cli.files import ensure_private_directory, write_file
from tests.unit.cli.conftest import CERTIFICATE, ISSUER, KEY, LEAF, REQUEST, SECRET_ID, Answer, FakeServer, Strongroom


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def secret(server: FakeServer) -> Any:
    def give(**members: Any) -> None:
        body = {key: value for key, value in {**CERTIFICATE, **members}.items() if value is not None}
        server.on("GET", f"/api/v2/secrets/{SECRET_ID}", Answer(200, body))

    give()
    return give


@pytest.mark.usefixtures("secret")
def test_all_parts_are_written_and_the_key_is_private(strongroom: Strongroom, tmp_path: Path) -> None:
    ran = strongroom("download", "--id", SECRET_ID, "--out-dir", "tls", "-o", "json")
    assert ran.code == 0, ran.err
    folder = tmp_path / "tls"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert texts == {"cert.pem": LEAF, "chain.pem": ISSUER, "fullchain.pem": LEAF + ISSUER, "key.pem": KEY}
    assert mode(folder / "key.pem") == 0o600
    assert mode(folder / "cert.pem") == 0o644
    assert [entry["part"] for entry in ran.json] == ["cert", "chain", "fullchain", "key"]
    assert KEY not in ran.out


@pytest.mark.usefixtures("secret")
def test_the_key_is_private_whatever_stood_there(strongroom: Strongroom, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("old")
    (tmp_path / "key.pem").chmod(0o666)
    assert strongroom("download", "--id", SECRET_ID, "--dir", ".", "--force").code == 0
    assert ((tmp_path / "key.pem").read_text(), mode(tmp_path / "key.pem")) == (KEY, 0o600)


@pytest.mark.usefixtures("secret")
def test_an_existing_file_stops_the_whole_download(strongroom: Strongroom, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("old")
    ran = strongroom("download", "--id", SECRET_ID)
    assert ran.code == 1
    assert "--force" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "key.pem"]


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_symbolic_link_is_never_followed(strongroom: Strongroom, tmp_path: Path, force: list[str]) -> None:
    (tmp_path / "victim").write_text("old")
    (tmp_path / "key.pem").symlink_to(tmp_path / "victim")
    ran = strongroom("download", "--id", SECRET_ID, *force)
    assert ran.code == 1
    assert "symbolic link" in ran.err
    assert (tmp_path / "victim").read_text() == "old"


@pytest.mark.usefixtures("secret")
def test_one_part_goes_to_a_file_or_to_standard_output(
    strongroom: Strongroom, server: FakeServer, tmp_path: Path
) -> None:
    assert strongroom("download", "--id", SECRET_ID, "--part", "cert", "--out", "-").out == LEAF
    assert strongroom("secret-download", "--id", SECRET_ID, "--part=key", "--out=site.key").code == 0
    assert mode(tmp_path / "site.key") == 0o600
    asked = len(server.requests)
    assert strongroom("download", "--id", SECRET_ID, "--part=key", "--out=site.key").code == 1
    assert len(server.requests) == asked


def test_a_version_can_be_named(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", f"/api/v2/secrets/{SECRET_ID}/versions/previous", Answer(200, CERTIFICATE))
    assert strongroom("download", "--id", SECRET_ID, "--version", "previous", "--part=chain", "--out=-").out == ISSUER


def test_blocks_do_not_run_into_one_another(strongroom: Strongroom, secret: Any, tmp_path: Path) -> None:
    secret(certificate=LEAF.rstrip(), intermediate=None, ca_chain=[ISSUER.rstrip(), LEAF], private_key=None)
    assert strongroom("download", "--id", SECRET_ID).code == 0
    assert (tmp_path / "fullchain.pem").read_text() == LEAF + ISSUER + LEAF
    assert not (tmp_path / "key.pem").exists()


def test_a_waiting_request_is_written_instead(strongroom: Strongroom, secret: Any, tmp_path: Path) -> None:
    csr = {"common_name": "example.com", "csr": REQUEST, "private_key": KEY}
    secret(certificate=None, intermediate=None, private_key=None, managed_csr=csr)
    assert strongroom("download", "--id", SECRET_ID).code == 0
    assert (tmp_path / "request.csr").read_text() == REQUEST
    assert mode(tmp_path / "key.pem") == 0o600


def test_other_types_and_lost_payloads_are_refused(strongroom: Strongroom, secret: Any) -> None:
    secret(secret_type="arbitrary")
    ran = strongroom("download", "--id", SECRET_ID)
    assert ran.code == 2
    assert "arbitrary" in ran.err
    secret(certificate=None, intermediate=None, private_key=None)
    ran = strongroom("download", "--id", SECRET_ID)
    assert ran.code == 1
    assert "no payload" in ran.err


@pytest.mark.parametrize("words", [["--part", "key"], ["--out", "x"], ["--part=key", "--out=x", "--out-dir=."]])
def test_part_and_file_belong_together(strongroom: Strongroom, server: FakeServer, words: list[str]) -> None:
    assert strongroom("download", "--id", SECRET_ID, *words).code == 2
    assert server.requests == []


@pytest.mark.usefixtures("secret")
def test_a_missing_part_is_named(strongroom: Strongroom) -> None:
    ran = strongroom("download", "--id", SECRET_ID, "--part=csr", "--out=-")
    assert ran.code == 2
    assert "cert, chain, fullchain, key" in ran.err


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    def attach(*, answer: str | None) -> io.BytesIO:
        shown = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", Terminal(shown, write_through=True))
        kind = io.TextIOWrapper if answer is None else Terminal
        monkeypatch.setattr(sys, "stdin", kind(io.BytesIO((answer or "").encode())))
        return shown

    return attach


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize(
    ("answer", "yes", "code"), [(None, [], 2), ("n\n", [], 1), ("y\n", [], 0), (None, ["--yes"], 0)]
)
def test_a_key_is_shown_on_a_terminal_only_when_asked_for(
    strongroom: Strongroom, terminal: Any, answer: str | None, yes: list[str], code: int
) -> None:
    shown = terminal(answer=answer)
    ran = strongroom("download", "--id", SECRET_ID, "--part=key", "--out=-", *yes)
    assert ran.code == code, ran.err
    assert (KEY.encode() in shown.getvalue()) is (code == 0)


def test_a_directory_that_cannot_be_made_is_named(strongroom: Strongroom, secret: Any, tmp_path: Path) -> None:
    secret()
    (tmp_path / "file").write_text("")
    ran = strongroom("download", "--id", SECRET_ID, "--out-dir", "file/tls")
    assert ran.code == 1
    assert "not a directory" in ran.err


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        write_file(tmp_path / "missing" / "file", "planted")
    with pytest.raises(CommandError):
        write_file(tmp_path, "planted", overwrite=True)
    with pytest.raises(UnicodeEncodeError):
        write_file(tmp_path / "file", "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_private_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be created"):
        ensure_private_directory(tmp_path / "file" / "x")
