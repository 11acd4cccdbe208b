from __future__ import annotations

from pathlib import Path

import pytest

from tools import docs_check


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# One thing\n\n## It's `here`\n\n## One thing\n", encoding="utf-8")
    return tmp_path / "docs" / "page.md"


@pytest.mark.parametrize(
    "text",
    [
        "[a](other.md) [b](other.md#one-thing) [c](other.md#one-thing-1) [d](other.md#its-here)",
        "# Top\n[up](#top) [out](https://example.com/x) [mail](mailto:security@example.com)",
        "`[code](nowhere.md)`",
        "```text\n[code](nowhere.md)\n```\n",
        "````markdown\n```\n````\n",
    ],
)
def test_a_sound_page_has_no_problem(page: Path, tmp_path: Path, text: str) -> None:
    page.write_text(text, encoding="utf-8")
    assert list(docs_check.check_page(page, tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](missing.md)", "docs/page.md:1: the link to missing.md leads nowhere"),
        ("[a](../../../etc/passwd)", "docs/page.md:1: the link to ../../../etc/passwd leads nowhere"),
        ("\n[a](other.md#two)", "docs/page.md:2: other.md has no heading for #two"),
        ("```\nx\n```\n", "docs/page.md:1: a code block must name its language (text if it has none)"),
        ("```sh\nx\n", "docs/page.md: a code block is never closed"),
    ],
)
def test_a_problem_is_named_with_its_place(page: Path, tmp_path: Path, text: str, problem: str) -> None:
    page.write_text(text, encoding="utf-8")
    assert list(docs_check.check_page(page, tmp_path)) == [problem]


def test_every_page_of_the_project_is_found(page: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    page.touch()
    names = [path.relative_to(tmp_path).as_posix() for path in docs_check.documents(tmp_path)]
    assert names == ["README.md", "docs/other.md", "docs/page.md"]
