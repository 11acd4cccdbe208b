"""Nothing below ``api/`` knows HTTP status codes: errors are categories, ``api/problems.py`` has the only table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.lints.model import Finding, Module, is_within, report

NAME = "no_http_status_in_domain"
_LAYERS = ("kernel/", "pki/", "domain/", "engines/", "sealing/", "storage/")
_LIBRARIES = ("http", "starlette", "fastapi", "uvicorn")
_WORD = re.compile(r"(?:^|_)(?:http_?status|status_?code)(?:_|$)", re.IGNORECASE)


def check(module: Module) -> Iterator[Finding]:
    """Yield HTTP libraries and names of status codes in the core."""
    if not module.lies_in(*_LAYERS):
        return
    for line, name in module.imports():
        if is_within(name, _LIBRARIES):
            yield report(NAME, module, line, f"{name} is imported in the core")
    for node in ast.walk(module.tree):
        for line, name in _names(node):
            if _WORD.search(name):
                yield report(NAME, module, line, f"{name} names an HTTP status in the core")


def _names(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Name):
        yield node.lineno, node.id
    elif isinstance(node, ast.Attribute):
        yield node.lineno, node.attr
    elif isinstance(node, ast.arg):
        yield node.lineno, node.arg
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.value.lineno, node.arg
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.lineno, node.name
