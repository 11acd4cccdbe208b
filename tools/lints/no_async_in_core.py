"""The core is synchronous; only the HTTP edge waits, and runs the core in threads where it must."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.lints.model import Finding, Module, is_within, report

NAME = "no_async_in_core"
_LAYERS = ("kernel/", "pki/", "domain/", "engines/", "sealing/", "storage/", "cli/")
_LIBRARIES = ("anyio", "asyncio", "trio", "uvloop")
_SYNTAX = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)


def check(module: Module) -> Iterator[Finding]:
    """Yield asynchronous syntax and libraries in the core."""
    if not module.lies_in(*_LAYERS):
        return
    for line, name in module.imports():
        if is_within(name, _LIBRARIES):
            yield report(NAME, module, line, f"{name} is imported in the core")
    for node in ast.walk(module.tree):
        if isinstance(node, _SYNTAX):
            yield report(NAME, module, node.lineno, "the core is synchronous; only api/ waits")
        elif isinstance(node, ast.comprehension) and node.is_async:
            yield report(NAME, module, node.target.lineno, "the core is synchronous")
