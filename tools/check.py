"""Run every static check, all of them even if one fails, and say at the end which ones did."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.bootstrap import tool_environment

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS: Sequence[tuple[str, Sequence[str]]] = (
    ("format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."]),
    ("rules", [str(BIN / "ruff"), "check", "--quiet", "."]),
    ("own rules", [sys.executable, "-m", "tools.lints"]),
    ("layers", [str(BIN / "lint-imports"), "--no-cache"]),
    ("types", [str(BIN / "mypy")]),
    ("lock file", [str(BIN / "uv"), "lock", "--check", "--quiet"]),
    ("generated files", [sys.executable, "-m", "tools.generated"]),
    ("documentation", [sys.executable, "-m", "tools.docs_check"]),
)


def run_checks(checks: Sequence[tuple[str, Sequence[str]]], root: Path) -> list[str]:
    """Run the checks one after the other, show what failed ones say, and return their names."""
    failed = []
    environment = tool_environment(root, os.environ)
    # The lock file names the public index; checked against another one it would look stale.
    environment.pop("UV_DEFAULT_INDEX", None)
    for name, command in checks:
        started = time.monotonic()
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"{name:<16} {verdict:<7} {time.monotonic() - started:5.1f} s", flush=True)
        if done.returncode != 0:
            failed.append(name)
            print(done.stdout + done.stderr, flush=True)
    return failed


def main() -> int:
    """Fail when any check fails."""
    failed = run_checks(CHECKS, ROOT)
    if failed:
        print("failed:", ", ".join(failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
