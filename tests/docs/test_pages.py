"""The reader of pages is right about blocks and outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.pages import is_shown, read_blocks, read_steps, run_steps


def test_blocks_are_read_with_language_and_line() -> None:
    blocks = read_blocks("# Title\n\n```sh\necho a\n```\ntext\n```text\na\n```\n")
    assert [(block.language, block.line, block.code) for block in blocks] == [
        ("sh", 3, "echo a\n"),
        ("text", 7, "a\n"),
    ]


def test_block_that_is_neither_run_nor_an_output_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```text\nnothing printed this\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:1: a block of language 'text'"):
        read_steps(page, name="page.md")


@pytest.mark.parametrize(
    ("expected", "printed", "shown"),
    [
        ("one\ntwo\n", "one\ntwo\n", True),
        ("one\n", "one\ntwo\n", False),
        ("id   ...\n", "id 77-88\n", True),
        ("one\n...\nfour\n", "one\ntwo\nthree\nfour\n", True),
        ("one\n...\nfour\n", "one\nfour\n", True),
        ("one ... end\n", "one\nend\n", False),
        ("a.c\n", "abc\n", False),
        ("a   b\n", " a b\n", True),
    ],
)
def test_output_is_compared_with_gaps(expected: str, printed: str, shown: bool) -> None:
    assert is_shown(expected, printed) is shown


def test_steps_share_one_shell_and_stop_at_the_first_failure(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nA=1\n```\n```sh\necho $A\n```\n```sh\nfalse\n```\n```sh\necho never\n```\n")
    steps = read_steps(page, name="page.md")
    outcome = run_steps(steps, folder=tmp_path, environment={"PATH": os.defpath})
    assert outcome.exit_code == 1
    assert outcome.outputs == ("", "1\n", "")
