"""The reference pages say what the program does, no more and no less."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from strongroom.api.problems import status_of
from strongroom.domain.limits import Limits
from strongroom.domain.orders.faults import FaultCode
from strongroom.kernel import errors
from strongroom.kernel.errors import ErrorCode, StrongroomError
from strongroom.pki.verdicts import Rule
from strongroom.runtime.settings import Settings, SmtpSettings
from tests.docs.conftest import ROOT
from tools import generated

DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "strongroom"
_ROW = re.compile(r"^\| `([a-z0-9_.]+)` \|(.*)\|$", re.MULTILINE)
_CODES_OF_CERTIFICATES = (
    "certificate_unreadable", "certificate_expired", "intermediate_unreadable", "key_unreadable", "key_encrypted",
    "key_mismatch", "key_too_weak", "key_not_expected", "wrong_format", "chain_loop", "chain_unrelated",
    "csr_key_mismatch", "csr_names_changed",
)  # fmt: skip


def rows(page: Path, heading: str | None = None) -> dict[str, list[str]]:
    """Return the rows of a page's tables whose first cell is code, by that code."""
    text = page.read_text(encoding="utf-8")
    if heading is not None:
        text = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in _ROW.findall(text)}


def raised_codes() -> dict[ErrorCode, set[type[StrongroomError]]]:
    """Return with which categories each code is raised in the source."""
    found: dict[ErrorCode, set[type[StrongroomError]]] = {}
    pattern = re.compile(r"\b([A-Z][A-Za-z]+)\(\s*ErrorCode\.([A-Z_]+)")
    for path in SOURCE.rglob("*.py"):
        for category, name in pattern.findall(path.read_text(encoding="utf-8")):
            kind = getattr(errors, category, None)
            if isinstance(kind, type) and issubclass(kind, StrongroomError):
                found.setdefault(ErrorCode[name], set()).add(kind)
    return found


def test_every_error_code_is_explained() -> None:
    assert set(rows(DOCS / "reference" / "errors.md")) == {code.value for code in ErrorCode}


@pytest.mark.parametrize(("code", "categories"), sorted(raised_codes().items()))
def test_status_of_an_error_code_is_the_one_it_is_raised_with(
    code: ErrorCode, categories: set[type[StrongroomError]]
) -> None:
    shown = rows(DOCS / "reference" / "errors.md")[code.value][0]
    if shown:
        assert int(shown) in {status_of(category(code, "")) for category in categories}


def test_every_refusal_of_an_import_is_on_the_page_that_errors_link_to() -> None:
    text = (DOCS / "guide" / "import-problems.md").read_text(encoding="utf-8")
    assert [code for code in _CODES_OF_CERTIFICATES if f"`{code}`" not in text] == []


def test_every_rule_of_templates_is_on_the_page_that_errors_link_to() -> None:
    text = (DOCS / "guide" / "certificate-refused.md").read_text(encoding="utf-8").partition("\n## Every rule\n")[2]
    assert [rule.value for rule in Rule if f"`{rule.value}`" not in text] == []


def test_every_reason_why_orders_fail_comes_with_what_to_do() -> None:
    listed = rows(DOCS / "operations" / "renewal-fails.md", "## Every reason")
    assert set(listed) == {fault.value for fault in FaultCode}
    assert [code for code, cells in listed.items() if len(cells) != 2 or not all(cells)] == []


def test_every_page_that_an_error_links_to_exists() -> None:
    pattern = re.compile(r"""(?:help_page=|HELP_PAGE: Final = )"([^"]+)\"""")
    pages = {name for path in SOURCE.rglob("*.py") for name in pattern.findall(path.read_text(encoding="utf-8"))}
    assert pages
    assert [name for name in sorted(pages) if not (DOCS / "guide" / f"{name}.md").is_file()] == []


def test_every_page_of_the_guide_is_in_its_index_and_shows_both_ways() -> None:
    index = (DOCS / "guide" / "README.md").read_text(encoding="utf-8")
    for page in sorted((DOCS / "guide").glob("*.md")):
        if page.name == "README.md":
            continue
        assert f"]({page.name})" in index
        text = page.read_text(encoding="utf-8")
        assert "api " in text
        assert "strongroom " in text


def settings() -> dict[str, Any]:
    """Return every setting with its default; tables by their members, apart from the limits."""
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            found |= {f"{name}.{member}": getattr(default, member) for member in type(default).model_fields}
        else:
            found[name] = default
    # A table that may be missing is listed itself, too.
    members = {field.alias or name: field for name, field in SmtpSettings.model_fields.items()}
    return found | {f"smtp.{name}": None if field.is_required() else field.default for name, field in members.items()}


def shown_default(value: Any) -> str:
    """Return a default as the page writes it."""
    if value is None or value == ():
        return "none"
    if value == {}:
        return "see below"
    if isinstance(value, tuple):
        return f"`{', '.join(map(str, value))}`"
    if isinstance(value, timedelta):
        return f"`{value.total_seconds():g}s`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_setting_is_listed_with_its_default() -> None:
    text = (DOCS / "operations" / "settings.md").read_text(encoding="utf-8").partition("\n## Limits")[0]
    listed = {name: [cell.strip() for cell in rest.split("|")] for name, rest in _ROW.findall(text)}
    assert {name: cells[0] for name, cells in listed.items()} == {
        name: shown_default(value) for name, value in settings().items()
    }


def test_every_setting_has_a_unit_and_a_meaning() -> None:
    page = DOCS / "operations" / "settings.md"
    assert [name for name, cells in rows(page).items() if len(cells) != 3 or not all(cells)] == []


def test_every_limit_is_listed_with_its_default() -> None:
    limits = Limits()
    wanted = {}
    for field in fields(Limits):
        value = getattr(limits, field.name)
        wanted[field.name] = str(int(value.total_seconds()) if isinstance(value, timedelta) else value)
    listed = rows(DOCS / "operations" / "settings.md", "## Limits")
    assert {name: cells[0] for name, cells in listed.items()} == wanted


def test_every_deviation_in_the_source_is_on_the_page() -> None:
    in_source = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "DEVIATION:" in path.read_text(encoding="utf-8")
    }
    text = (DOCS / "compatibility" / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Deviations\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+\.py)` \|", section, re.MULTILINE)) == in_source


def test_every_metric_on_the_page_exists() -> None:
    text = (DOCS / "operations" / "metrics.md").read_text(encoding="utf-8")
    source = (SOURCE / "runtime" / "metrics.py").read_text(encoding="utf-8")
    names = {name.removesuffix("_total").removesuffix("_") for name in re.findall(r"`(strongroom_[a-z_]+)", text)}
    assert [name for name in sorted(names) if f'"{name}' not in source] == []


@pytest.mark.parametrize("produce", [generated.cli_page, generated.roles_page])
def test_generated_page_is_up_to_date(produce: Callable[[], str]) -> None:
    name = {"cli_page": "cli.md", "roles_page": "roles.md"}[produce.__name__]
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == produce(), "run 'make fix'"


def test_decisions_that_the_source_names_exist() -> None:
    numbers = {
        number
        for path in SOURCE.rglob("*.py")
        for number in re.findall(r"\bADR (\d{4})\b", path.read_text(encoding="utf-8"))
    }
    present = {path.name[:4] for path in (DOCS / "adr").glob("[0-9]*.md")}
    assert numbers <= present
