from __future__ import annotations

import subprocess
import sys

import click
import pytest

from strongroom.cli.command import StrongroomCommand, TopicGroup, load
from strongroom.cli.registry import REGISTRY, SECTIONS
from tests.unit.cli.conftest import Strongroom

HEAVY = ("sqlalchemy", "pydantic", "cryptography", "starlette", "http.client", "ssl", "jmespath", "yaml", "msgspec")


def _all_commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for word, entry in REGISTRY.items():
        command = load(word, entry)
        found.append((word, command))
        if isinstance(command, TopicGroup):
            found += [(f"{word} {name}", inner) for name, inner in command.commands.items()]
    return found


ALL = _all_commands()


@pytest.mark.parametrize("words", [["--help"], ["help"], [], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom strongroom.cli.main import run\n"
        f"code = run({words!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


@pytest.mark.parametrize("words", [["--help"], ["help"], [], ["-h"]])
def test_help_lists_every_command_and_succeeds(alone: Strongroom, words: list[str]) -> None:
    ran = alone(*words)
    assert ran.code == 0
    for word, entry in REGISTRY.items():
        assert (f"  {word}" in ran.out) is not entry.hidden
        assert entry.section in SECTIONS


@pytest.mark.parametrize(("word", "command"), ALL, ids=[word for word, _ in ALL])
def test_every_command_has_help_with_an_example(alone: Strongroom, word: str, command: click.Command) -> None:
    ran = alone(*word.split(), "--help")
    assert ran.code == 0
    assert ran.err == ""
    if isinstance(command, StrongroomCommand):
        alias = word in REGISTRY and REGISTRY[word].hidden
        assert f"Example:\n  strongroom {command.name if alias else word}" in ran.out
        assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert alone("help", *word.split()).out == ran.out


@pytest.mark.parametrize(("word", "command"), ALL, ids=[word for word, _ in ALL])
def test_every_example_uses_options_that_exist(word: str, command: click.Command) -> None:
    if not isinstance(command, StrongroomCommand):
        return
    known = {name for option in command.params for name in option.opts} | {"--help"}
    for text in command.example.replace("\\\n", " ").splitlines():
        used = {part for part in text.split() if part.startswith("-") and part != "-"}
        assert used <= known, f"{word}: {used - known}"


def test_the_version_names_the_plug_in_it_mimics(alone: Strongroom) -> None:
    ran = alone("-v")
    assert (ran.code, ran.out.count("\n")) == (0, 1)
    assert "2.0.16" in ran.out


def test_an_unknown_command_gets_a_suggestion(alone: Strongroom) -> None:
    ran = alone("secert-create")
    assert (ran.code, ran.out) == (2, "")
    assert "Did you mean secret-create" in ran.err


def test_help_names_the_limits_of_a_number_only_where_there_are_any(alone: Strongroom) -> None:
    assert "None" not in alone("configuration-create", "--help").out
    assert "1<=x<=1000" in alone("orders", "--help").out


def test_help_of_an_unknown_command_is_a_usage_error(alone: Strongroom) -> None:
    assert alone("help", "nothing").code == 2


def test_a_topic_alone_shows_its_help(alone: Strongroom) -> None:
    ran = alone("audit")
    assert ran.code == 2
    assert "verify" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["secret", "--output", "json"],
        ["--output=json", "secret"],
        ["secret", "-o", "json"],
        ["secret", "--output=json"],
    ],
)
def test_usage_errors_are_objects_when_json_is_wanted(alone: Strongroom, words: list[str]) -> None:
    ran = alone(*words)
    assert (ran.code, ran.out) == (2, "")
    assert '"exit_code": 2' in ran.err
    assert '"option": "--id"' in ran.err
    assert '"code": "missing_field"' in ran.err


def test_left_over_words_are_not_repeated(alone: Strongroom) -> None:
    ran = alone("secret-create", "--arbitrary-payload", "planted", "words of a secret")
    assert ran.code == 2
    assert "words of" not in ran.err
    assert "Quote values" in ran.err


def test_bytes_that_are_no_text_are_refused(alone: Strongroom) -> None:
    ran = alone("secret", "--id", "\udcff")
    assert ran.code == 2
    assert "UTF-8" in ran.err


def test_the_command_word_may_have_underscores(alone: Strongroom) -> None:
    assert alone("secret_create", "--help").out == alone("secret-create", "--help").out


def test_an_unknown_option_is_a_usage_error(alone: Strongroom) -> None:
    ran = alone("secrets", "--unknown", "1")
    assert ran.code == 2
    assert "--unknown" in ran.err
