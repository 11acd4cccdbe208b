from __future__ import annotations

from pathlib import Path

from tools.lints.__main__ import RULES, check_tree
from tools.lints.only_clock_asks_time import check

LINTS = Path(__file__).resolve().parents[4] / "tools" / "lints"
BREACH = "import time\n\n\ndef now() -> float:\n    return time.time()"


def test_every_rule_in_the_folder_is_run() -> None:
    written = {path.stem for path in LINTS.glob("*.py")} - {"__init__", "__main__", "model"}
    assert {rule.__module__.rsplit(".", 1)[1] for rule in RULES} == written


def test_every_rule_has_a_test() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {rule.__module__.rsplit(".", 1)[1] for rule in RULES} <= tested


def test_every_module_is_read_and_findings_name_file_line_and_rule(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain" / "late.py").write_text(BREACH, encoding="utf-8")
    (finding,) = check_tree(tmp_path, [check])
    assert str(finding).startswith("src/strongroom/domain/late.py:5: only_clock_asks_time: ")


def test_a_comment_with_a_reason_allows_a_line(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(f"{BREACH}  # lint: allow only_clock_asks_time: measured here\n", encoding="utf-8")
    assert check_tree(tmp_path, [check]) == []


def test_a_comment_without_a_reason_or_for_another_rule_allows_nothing(tmp_path: Path) -> None:
    for comment in ("# lint: allow only_clock_asks_time", "# lint: allow only_storage_runs_sql: because"):
        (tmp_path / "x.py").write_text(f"{BREACH}  {comment}\n", encoding="utf-8")
        assert [finding.line for finding in check_tree(tmp_path, [check])] == [5]
