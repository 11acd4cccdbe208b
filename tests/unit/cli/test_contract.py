"""The commands against the facts of the original plug-in, as far as this version has their secret types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.cli.calls import Call
from strongroom.cli.commands import configurations, groups, locks, notifications, private_certs, secrets, versions

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "assets" / "cli" / "commands.json").read_text(encoding="utf-8")
)
MODULES = (groups, secrets, versions, locks, configurations, private_certs, notifications)
CALLS: dict[str, Call] = {call.name: call for module in MODULES for call in module.CALLS}


def test_every_command_of_the_facts_is_there() -> None:
    assert set(FACTS) <= set(CALLS)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_operation_options_and_table_are_those_of_the_plug_in(name: str) -> None:
    facts, call = FACTS[name], CALLS[name]
    assert (call.method, call.path) == (facts["method"], facts["path"])
    ours = {spelling: option.to for option in call.options for spelling in (*option.names, *option.aliases)}
    if call.items:
        ours["--all-pages"] = "client.paging"
    missing = {option: place for option, place in facts["options"].items() if ours.get(option) != place}
    assert missing == {}
    if facts["table"]:
        assert call.table == facts["table"]
