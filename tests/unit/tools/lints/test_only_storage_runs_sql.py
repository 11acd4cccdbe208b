from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.only_storage_runs_sql import check


def test_a_database_library_outside_storage_is_refused(broken: Broken) -> None:
    assert broken(check, "domain/groups/service.py", "import sqlite3\n") == [1]
    assert broken(check, "api/app.py", "from sqlalchemy import select\n") == [1]
    assert broken(check, "runtime/container.py", "def f():\n    import psycopg_pool\n") == [2]


def test_a_statement_run_outside_storage_is_refused(broken: Broken) -> None:
    assert broken(check, "runtime/worker.py", 'connection.execute("SELECT 1")\n') == [1]
    assert broken(check, "runtime/worker.py", 'connection.execute(f"SELECT {x}")\n') == [1]


def test_storage_may_do_both(broken: Broken) -> None:
    assert broken(check, "storage/writer.py", 'import sqlite3\nconnection.execute("SELECT 1")\n') == []


def test_running_something_else_is_fine(broken: Broken) -> None:
    assert broken(check, "runtime/worker.py", "job.execute(step)\ncommand.execute()\n") == []
