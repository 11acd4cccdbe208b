"""Run every rule over ``src/strongroom``; print what breaks one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.lints import (
    no_async_in_core,
    no_bare_except_exception,
    no_http_status_in_domain,
    only_clock_asks_time,
    only_net_opens_connections,
    only_sealing_and_pki_make_keys,
    only_settings_reads_environ,
    only_storage_runs_sql,
    third_party_in_its_layer,
)
from tools.lints.model import Finding, Module, Rule

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "strongroom"

RULES: Sequence[Rule] = (
    no_async_in_core.check,
    no_bare_except_exception.check,
    no_http_status_in_domain.check,
    only_clock_asks_time.check,
    only_net_opens_connections.check,
    only_sealing_and_pki_make_keys.check,
    only_settings_reads_environ.check,
    only_storage_runs_sql.check,
    third_party_in_its_layer.check,
)


def check_module(module: Module, rules: Sequence[Rule] = RULES) -> Iterator[Finding]:
    """Yield what breaks a rule and is not allowed by a comment with a reason."""
    for rule in rules:
        for finding in rule(module):
            if not module.is_allowed(finding):
                yield finding


def check_tree(source: Path, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Check every module below a folder."""
    findings: list[Finding] = []
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source).as_posix()
        findings += check_module(Module.parse(name, path.read_text(encoding="utf-8")), rules)
    return findings


def main() -> int:
    """Print every finding; fail if there is one."""
    findings = check_tree(SOURCE)
    for finding in findings:
        print(finding)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
