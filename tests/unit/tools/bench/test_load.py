from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tools.bench.load import COUNTER, LoadGeneratorError, Mark, Plan, lua_plan, read_turn, wrk_version

PLAN = Plan(
    port=8200,
    method="PUT",
    paths=[f"/v1/kv/data/{COUNTER}"],
    headers={"X-Vault-Token": "planted-token"},
    body=f'{{"name": "{COUNTER}"}}',
)


def line(**changed: int) -> str:
    seen = {"requests": 100, "duration_us": 2_000_000, "p50_us": 1500, "p99_us": 9000, "max_us": 20_000}
    return json.dumps(seen | {"failed": 0, "refused": 0, "marked_us": 0} | changed)


def test_a_turn_is_read_in_milliseconds_and_per_second() -> None:
    turn = read_turn(line(), cpu_s=0.05)

    assert (turn.per_second, turn.p50_ms, turn.p99_ms, turn.max_ms) == (50.0, 1.5, 9.0, 20.0)
    assert turn.cpu_ms == pytest.approx(0.5)
    assert turn.errors == 0


def test_broken_connections_and_refusals_both_are_errors() -> None:
    assert read_turn(line(failed=2, refused=3), cpu_s=0.0).errors == 5


def test_a_turn_without_an_answer_says_so() -> None:
    with pytest.raises(LoadGeneratorError, match="not one request"):
        read_turn(line(requests=0), cpu_s=0.0)


def test_a_plan_is_shown_without_its_token() -> None:
    assert "planted-token" not in repr(PLAN)


def test_one_request_of_a_plan_has_its_counter_written_out() -> None:
    single = PLAN.with_counter("probe-7")

    assert single.paths == ["/v1/kv/data/probe-7"]
    assert json.loads(single.body) == {"name": "probe-7"}


def test_a_plan_is_quoted_for_lua_byte_by_byte_where_it_is_not_plain(tmp_path: Path) -> None:
    plan = Plan(port=1, method="GET", paths=["/a"], headers={"X-A": 'q"\\\n'}, body="é")

    text = lua_plan(plan, tag="t", result=tmp_path)

    assert r'["X-A"] = "q\034\092\010"' in text
    assert r'body = "\195\169"' in text
    assert '["Host"] = "127.0.0.1:1"' in text


def test_a_missing_generator_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(LoadGeneratorError, match="apt-get install wrk"):
        wrk_version()


def test_a_marked_answer_is_timed(tmp_path: Path) -> None:
    assert "mark = 56, stops = true" in lua_plan(PLAN, tag="t", result=tmp_path, mark=Mark(answer=56, ends_turn=True))
    assert "mark = 0, stops = false" in lua_plan(PLAN, tag="t", result=tmp_path)
    assert read_turn(line(marked_us=250_000), cpu_s=0.0).marked_s == 0.25
    assert read_turn(line(), cpu_s=0.0).marked_s is None
