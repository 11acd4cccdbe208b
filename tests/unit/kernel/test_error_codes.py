"""Every error code is raised somewhere, and some test produces it."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.kernel.errors import ErrorCode

_ROOT = Path(__file__).parents[3]


def _text(folder: str) -> str:
    own = {Path(__file__), _ROOT / "src/strongroom/kernel/errors.py"}
    return "\n".join(path.read_text(encoding="utf-8") for path in (_ROOT / folder).rglob("*.py") if path not in own)


@pytest.fixture(scope="module")
def source() -> str:
    return _text("src")


@pytest.fixture(scope="module")
def tests() -> str:
    return _text("tests")


@pytest.mark.parametrize("code", ErrorCode)
def test_code_is_raised_and_tested(code: ErrorCode, source: str, tests: str) -> None:
    assert f"ErrorCode.{code.name}" in source, "nothing raises it; delete it"
    assert f"ErrorCode.{code.name}" in tests or f'"{code.value}"' in tests, "no test produces it"
