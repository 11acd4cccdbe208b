"""What tests do about programs that are not there: leave out and say so, or fail when nothing may be left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from tools.system_packages import LISTING, find_program, read_listing

LEFT_OUT = "left out: "
"""How the reason of such a skip begins; the list at the end of a run is made by it."""


def require(package: str) -> Path:
    """Return the main program of a package named in ``tests/system-packages.txt``.

    Without it the running test is skipped, and named at the end of the run; with ``CI=true`` it fails.
    """
    known = {entry.name for entry in read_listing(LISTING.read_text(encoding="utf-8"))}
    if package not in known:
        message = f"{package} is not named in {LISTING.name}"
        raise LookupError(message)
    program = find_program(package)
    if program is None:
        leave_out(f"the system package '{package}' is not installed")
    return program


def leave_out(reason: str) -> NoReturn:
    """Skip the running test, or fail it where nothing may be left out."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"may not be left out with CI=true: {reason}", pytrace=False)
    pytest.skip(LEFT_OUT + reason)
