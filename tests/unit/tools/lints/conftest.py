from __future__ import annotations

from collections.abc import Callable

import pytest

from tools.lints.__main__ import check_module
from tools.lints.model import Module, Rule

Broken = Callable[[Rule, str, str], list[int]]


@pytest.fixture
def broken() -> Broken:
    """Give a function that returns the lines where a source text breaks a rule."""

    def lines(rule: Rule, path: str, source: str) -> list[int]:
        return [finding.line for finding in check_module(Module.parse(path, source), [rule])]

    return lines
