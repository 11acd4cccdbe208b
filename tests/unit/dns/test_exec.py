"""Programs that write the records: how they are called, and how little they can do to the server."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from strongroom.dns.exec import Exec, ExecKind
from strongroom.domain.orders.dns import DnsProblem, DnsRefusal, TxtRecord
from strongroom.kernel.errors import Unavailable
from tests.factories.dns import make_context

_RECORD = TxtRecord(name="_acme-challenge.example.com", value="-value; $(touch hacked) `id` *")


def _provider(place: Path, script: str, *, limit: float = 20, is_allowed: bool = True, mode: int = 0o755) -> Exec:
    program = place / "update"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(mode)
    kind = ExecKind(timedelta(seconds=limit))
    return kind.build({"exec_program": str(program)}, make_context(exec_allowed=is_allowed))


def test_program_gets_word_name_and_value_as_they_are(tmp_path: Path) -> None:
    provider = _provider(tmp_path, f'printf \'%s\\n\' "$#" "$@" > {tmp_path}/seen')

    provider.present(_RECORD)
    assert (tmp_path / "seen").read_text().splitlines() == ["3", "present", _RECORD.name, _RECORD.value]

    provider.cleanup(_RECORD, "handle")
    assert (tmp_path / "seen").read_text().splitlines() == ["3", "cleanup", _RECORD.name, _RECORD.value]


def test_program_gets_nothing_of_the_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_MASTER_KEY_FILE", "somewhere")

    _provider(tmp_path, f"env > {tmp_path}/seen; pwd >> {tmp_path}/seen; cat >> {tmp_path}/seen").present(_RECORD)

    lines = (tmp_path / "seen").read_text().splitlines()
    assert {line.partition("=")[0] for line in lines} <= {"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "/"}
    assert "/" in lines


def test_program_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    provider = _provider(tmp_path, f"(sleep 2; touch {tmp_path}/late) & sleep 60", limit=0.3)
    started = time.monotonic()

    with pytest.raises(Unavailable, match=r"present took longer than 0\.3 s"):
        provider.present(_RECORD)

    assert time.monotonic() - started < 10
    time.sleep(2.2)
    assert not (tmp_path / "late").exists()


def test_program_that_leaves_a_child_behind_does_not_hold_the_server_up(tmp_path: Path) -> None:
    started = time.monotonic()

    _provider(tmp_path, "sleep 30 & exit 0").present(_RECORD)

    assert time.monotonic() - started < 10


def test_program_that_talks_without_end_is_cut_short(tmp_path: Path) -> None:
    provider = _provider(tmp_path, "yes words | head -c 3000000; exit 1")

    with pytest.raises(DnsProblem) as problem:
        provider.present(_RECORD)

    assert len(problem.value.detail) < 600


def test_words_of_a_program_that_fails_are_shown_clean(tmp_path: Path) -> None:
    provider = _provider(tmp_path, "printf 'zone is\\033[31m locked\\n\\377' >&2; exit 3")

    with pytest.raises(DnsProblem, match=r'said "zone is \[31m locked .*" and ended with status 3') as problem:
        provider.present(_RECORD)

    assert problem.value.refusal is DnsRefusal.ERROR
    assert problem.value.detail.isprintable()


@pytest.mark.parametrize(
    ("status", "refusal"), [(77, DnsRefusal.AUTHORIZATION), (68, DnsRefusal.NO_ZONE), (1, DnsRefusal.ERROR)]
)
def test_statuses_stand_for_refusals(tmp_path: Path, status: int, refusal: DnsRefusal) -> None:
    with pytest.raises(DnsProblem) as problem:
        _provider(tmp_path, f"exit {status}").cleanup(_RECORD, None)

    assert problem.value.refusal is refusal
    assert problem.value.step == "cleanup"


def test_status_75_asks_for_another_try(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="later") as problem:
        _provider(tmp_path, "exit 75").present(_RECORD)

    assert problem.value.retry_after == timedelta(minutes=1)


def test_program_that_is_killed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DnsProblem, match="status -9"):
        _provider(tmp_path, "kill -9 $$").present(_RECORD)


def test_setting_that_was_taken_back_counts_at_once(tmp_path: Path) -> None:
    provider = _provider(tmp_path, f"touch {tmp_path}/ran", is_allowed=False)

    with pytest.raises(DnsProblem, match="exec_allowed") as problem:
        provider.present(_RECORD)

    assert problem.value.refusal is DnsRefusal.AUTHORIZATION
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("mode", "words"), [(0o757, "everybody may write"), (0o644, "may run")])
def test_file_that_is_no_safe_program_is_not_run(tmp_path: Path, mode: int, words: str) -> None:
    with pytest.raises(DnsProblem, match=words):
        _provider(tmp_path, f"touch {tmp_path}/ran", mode=mode).present(_RECORD)

    assert not (tmp_path / "ran").exists()


def test_program_that_is_missing_or_no_program_is_an_error(tmp_path: Path) -> None:
    context = make_context(exec_allowed=True)
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)

    for path, words in ((tmp_path / "missing", "cannot be found"), (tmp_path, "not a file"), (broken, "cannot be run")):
        with pytest.raises(DnsProblem, match=words):
            ExecKind().build({"exec_program": str(path)}, context).present(_RECORD)
