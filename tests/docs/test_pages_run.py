"""Every code block of the README and the guide works, and prints what the page shows; so do those marked ``sh``
on pages about operations.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.conftest import ROOT, Reader
from tests.docs.pages import is_shown, read_steps, run_steps

GUIDE = ROOT / "docs" / "guide"
START = GUIDE / "README.md"
"""What the other pages of the guide ask their readers to run first."""

OPERATIONS = ROOT / "docs" / "operations"
RUNNABLE = ("audit", "backup-restore", "first-start", "master-key", "metrics")
"""Pages on operations that talk to the server of the tests; the others need another one."""

PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [ROOT / "README.md", *GUIDE.glob("*.md"), *(OPERATIONS / f"{word}.md" for word in RUNNABLE)]
)


@pytest.mark.peers
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", PAGES)
def test_page_does_what_it_says(name: str, reader: Reader, tmp_path: Path) -> None:
    page = ROOT / name
    steps = read_steps(page, name=name, strict=page.parent != OPERATIONS)
    if page.parent != ROOT and page != START:
        steps = [*read_steps(START, name="docs/guide/README.md"), *steps]
    (tmp_path / "data").symlink_to(reader.data)
    environment = {**reader.environment, "HOME": str(tmp_path)}

    outcome = run_steps(steps, folder=tmp_path, environment=environment)

    for step, printed in zip(steps, outcome.outputs, strict=False):
        if step.expected is not None and not is_shown(step.expected, printed):
            pytest.fail(f"{step.place} printed something else than the page shows:\n{printed}", pytrace=False)
    if outcome.exit_code != 0 or len(outcome.outputs) != len(steps):
        place = steps[len(outcome.outputs) - 1].place
        pytest.fail(f"{place} ended with code {outcome.exit_code}:\n{outcome.outputs[-1]}", pytrace=False)
