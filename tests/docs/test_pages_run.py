"""Every code block of the README and the guide works, and prints what the page shows; so do those marked ``sh``
on pages about operations.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.conftest import ROOT, Reader
from tests.docs.pages import Step, is_shown, read_steps, run_steps

GUIDE = ROOT / "docs" / "guide"
START = GUIDE / "README.md"
"""What the other pages of the guide ask their readers to run first."""

AUTHORITY = GUIDE / "private-ca.md"
"""What the pages about private certificates ask their readers to run after it."""

ON_AUTHORITY = ("certificate-refused", "external-ca", "private-certificates", "revoke", "rotate-ca")
AUTHORITY_PAGES = sorted([AUTHORITY, *(GUIDE / f"{word}.md" for word in ON_AUTHORITY)])

ORDERING_PAGES = sorted(GUIDE / f"{word}.md" for word in ("manual-dns", "order-public-certificate", "public-ca"))
"""Those about public certificates: their server knows certificate authorities and a DNS server of the tests."""

RECEIVING = GUIDE / "notifications.md"
"""Its server may send to a receiver on loopback."""

OPERATIONS = ROOT / "docs" / "operations"
RUNNABLE = ("audit", "backup-restore", "first-start", "master-key", "metrics", "renewal-fails")
"""Pages on operations that talk to the server of the tests; the others need another one."""

PAGES = sorted(
    {ROOT / "README.md", *GUIDE.glob("*.md"), *(OPERATIONS / f"{word}.md" for word in RUNNABLE)}
    - {*AUTHORITY_PAGES, *ORDERING_PAGES, RECEIVING}
)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.peers
@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_page_does_what_it_says(page: Path, reader: Reader, tmp_path: Path) -> None:
    steps = read_steps(page, name=_name(page), strict=page.parent != OPERATIONS)
    if page.parent != ROOT and page != START:
        steps = [*read_steps(START, name=_name(START)), *steps]
    _follow(steps, reader, tmp_path)


@pytest.mark.peers
@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", AUTHORITY_PAGES, ids=_name)
def test_page_about_private_certificates_does_what_it_says(page: Path, first_reader: Reader, tmp_path: Path) -> None:
    before = [START] if page == AUTHORITY else [START, AUTHORITY]
    steps = [step for one in (*before, page) for step in read_steps(one, name=_name(one))]
    _follow(steps, first_reader, tmp_path)


@pytest.mark.peers
@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", ORDERING_PAGES, ids=_name)
def test_page_about_public_certificates_does_what_it_says(page: Path, ordering_reader: Reader, tmp_path: Path) -> None:
    steps = [step for one in (START, page) for step in read_steps(one, name=_name(one))]
    _follow(steps, ordering_reader, tmp_path)


@pytest.mark.peers
@pytest.mark.timeout(180)
def test_page_about_notices_does_what_it_says(receiving_reader: Reader, tmp_path: Path) -> None:
    steps = [step for one in (START, RECEIVING) for step in read_steps(one, name=_name(one))]
    _follow(steps, receiving_reader, tmp_path)


def _follow(steps: list[Step], reader: Reader, folder: Path) -> None:
    (folder / "data").symlink_to(reader.data)
    environment = {**reader.environment, "HOME": str(folder)}

    outcome = run_steps(steps, folder=folder, environment=environment)

    for step, printed in zip(steps, outcome.outputs, strict=False):
        if step.expected is not None and not is_shown(step.expected, printed):
            pytest.fail(f"{step.place} printed something else than the page shows:\n{printed}", pytrace=False)
    if outcome.exit_code != 0 or len(outcome.outputs) != len(steps):
        place = steps[len(outcome.outputs) - 1].place
        pytest.fail(f"{place} ended with code {outcome.exit_code}:\n{outcome.outputs[-1]}", pytrace=False)
