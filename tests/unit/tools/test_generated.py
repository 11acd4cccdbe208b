from __future__ import annotations

from pathlib import Path

import pytest

from tools import generated


def test_a_missing_and_a_changed_file_have_drifted_and_are_renewed(tmp_path: Path) -> None:
    producers = {"docs/a.md": lambda: "a\n", "b.json": lambda: "{}\n", "c.txt": lambda: "c\n"}
    (tmp_path / "b.json").write_text("[]\n", encoding="utf-8")
    (tmp_path / "c.txt").write_text("c\n", encoding="utf-8")
    assert generated.drifted(tmp_path, producers) == ["docs/a.md", "b.json"]
    generated.write(tmp_path, producers)
    assert generated.drifted(tmp_path, producers) == []
    assert (tmp_path / "docs" / "a.md").read_text(encoding="utf-8") == "a\n"


def test_drift_fails_the_check_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    monkeypatch.setattr(generated, "GENERATED", {"a.md": lambda: "a\n"})
    assert generated.main([]) == 1
    assert "run 'make fix'" in capsys.readouterr().out
    assert generated.main(["--write"]) == 0
    assert generated.main([]) == 0


def test_a_wrong_call_shows_how_to_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert generated.main(["--force"]) == 2
    assert "--write" in capsys.readouterr().err


def test_every_decision_is_in_the_index() -> None:
    text = generated.adr_index()
    assert "0001-environment-without-pip.md" in text
    assert "- [0000" not in text
