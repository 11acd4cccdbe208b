"""Only ``storage/`` builds or runs SQL, so that one folder answers for every query plan and every injection."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.lints.model import Finding, Module, is_within, report

NAME = "only_storage_runs_sql"
_LIBRARIES = ("sqlalchemy", "sqlite3", "psycopg", "psycopg_pool", "alembic", "aiosqlite", "asyncpg")
_RUNNERS = frozenset({"execute", "executemany", "executescript", "exec_driver_sql", "execute_batch"})


def check(module: Module) -> Iterator[Finding]:
    """Yield imports of database libraries and statements run elsewhere."""
    if module.lies_in("storage/"):
        return
    for line, name in module.imports():
        if is_within(name, _LIBRARIES):
            yield report(NAME, module, line, f"{name} is imported outside storage/")
    for call in module.calls():
        first = call.args[0] if call.args else None
        is_text = isinstance(first, ast.JoinedStr) or (isinstance(first, ast.Constant) and isinstance(first.value, str))
        if isinstance(call.func, ast.Attribute) and call.func.attr in _RUNNERS and is_text:
            yield report(NAME, module, call.lineno, f".{call.func.attr}() is given a statement outside storage/")
