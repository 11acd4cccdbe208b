"""Catching everything hides bugs and broken promises; only the outermost layer may, to answer or to go on.

A handler that ends by raising again without an argument cleans up and hides nothing; it is fine anywhere.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.lints.model import Finding, Module, report

NAME = "no_bare_except_exception"
_ALLOWED = ("runtime/", "api/problems.py")
_EVERYTHING = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})


def check(module: Module) -> Iterator[Finding]:
    """Yield handlers and suppressions of everything."""
    if module.lies_in(*_ALLOWED):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and _catches_all(module, node.type) and not _raises_again(node):
            yield report(NAME, module, node.lineno, "this handler catches everything; name what can happen")
        elif isinstance(node, ast.Call) and module.dotted(node.func) == "contextlib.suppress":
            for argument in node.args:
                if _catches_all(module, argument):
                    yield report(NAME, module, node.lineno, "this suppresses everything; name what can happen")


def _catches_all(module: Module, caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(module.dotted(kind) in _EVERYTHING for kind in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
