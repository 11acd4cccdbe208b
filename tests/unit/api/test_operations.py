"""Models against bodies: every broken rule is named in the API's words, and no value is shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from strongroom.api.operations import Operation, Reply, Work, validate
from strongroom.domain.access.actions import Action
from strongroom.kernel.errors import Invalid
from tests.unit.api.asgi import Server, operation

PLANTED = "planted-secret-value"


class Part(BaseModel):
    """A part of a thing."""

    model_config = ConfigDict(extra="forbid")
    size: int


class Red(BaseModel):
    """A red thing."""

    model_config = ConfigDict(extra="forbid")
    color: Literal["red"]
    name: str
    parts: list[Part] = []
    free: dict[str, Any] = {}


class Blue(BaseModel):
    """A blue thing."""

    model_config = ConfigDict(extra="forbid")
    color: Literal["blue"]
    name: str


Thing: Any = Annotated[Red | Blue, Field(discriminator="color")]


def problems_of(model: Any, value: Any) -> dict[str | None, str]:
    with pytest.raises(Invalid) as caught:
        validate(model, value)
    causes = caught.value.causes or (caught.value,)
    return {cause.field: f"{cause.code}: {cause.detail}" for cause in causes}


@pytest.mark.parametrize("model", [Red, Thing])
def test_every_broken_rule_is_named_by_its_member(model: Any) -> None:
    found = problems_of(model, {"color": "red", "parts": [{"size": 1}, {"size": "2"}, 3], "free": [], "other": 1})

    assert set(found) == {"name", "parts[1].size", "parts[2]", "free", "other"}
    assert found["name"] == "missing_field: name is required."
    assert found["other"] == "unknown_field: other is not a field of this request."
    assert found["free"] == "invalid_field: free must be a JSON object."


def test_an_unknown_kind_lists_the_known_ones() -> None:
    assert "'red', 'blue'" in problems_of(Thing, {"color": "green"})["color"]


def test_a_missing_kind_is_a_missing_member() -> None:
    assert problems_of(Thing, {}) == {"color": "missing_field: color is required."}


@pytest.mark.parametrize(
    "value",
    [
        {"color": "red", "name": [PLANTED]},
        {"color": PLANTED},
        {"color": "red", "name": {"x": PLANTED}},
        {"color": "red", "name": "a", "parts": PLANTED},
        {"color": "red", "name": "a", "parts": [{"size": PLANTED}]},
    ],
)
def test_a_refused_value_is_never_shown(value: Any) -> None:
    assert PLANTED not in str(problems_of(Thing, value))


def test_a_body_that_breaks_rules_a_million_times_is_answered_shortly() -> None:
    found = problems_of(Red, {"color": "red", "name": "a", **{f"x{i}": 1 for i in range(5000)}})

    assert len(found) == 100


def test_the_name_of_an_unknown_member_is_shown_only_so_far() -> None:
    (field,) = problems_of(Blue, {"color": "blue", "name": "a", "x" * 10_000: 1})

    assert field is not None
    assert len(field) == 200


@pytest.mark.parametrize("value", ["1", 1.5, True, None])
def test_a_body_is_not_converted(value: Any) -> None:
    assert list(problems_of(Part, {"size": value})) == ["size"]


def test_query_parameters_are_converted_and_empty_ones_are_absent() -> None:
    class Query(BaseModel):
        """Parameters."""

        size: int = 7
        force: bool = False

    server = Server([operation(lambda call: Reply(body=call.parse_query(Query).model_dump()), query=Query)])

    assert server.ask("GET", "/things?size=3&force=true&other=x").json == {"size": 3, "force": True}
    assert server.ask("GET", "/things?size=&force=").json == {"size": 7, "force": False}
    answer = server.ask("GET", "/things?size=x")
    assert (answer.status, answer.error["target"]["name"]) == (400, "size")


def test_an_operation_without_an_action_does_not_load() -> None:
    with pytest.raises(TypeError, match="declares no action"):
        operation(lambda _: Reply(), action="everybody")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"action": Action.SECRET_READ}, "secrets-manager.secret.read"),
        ({"action": Action.IDENTITY_MANAGE, "audit_as": "service-id.create"}, "secrets-manager.service-id.create"),
        ({"action": "public"}, "secrets-manager.do_it"),
    ],
)
def test_the_trail_names_the_action(changes: dict[str, Any], name: str) -> None:
    made: Operation = operation(lambda _: Reply(), **changes)

    assert made.audit_name == name


def test_a_request_may_say_where_it_runs() -> None:
    call: Any = None

    assert operation(lambda _: Reply(), work=Work.SLOW_WRITE, work_by=lambda _: Work.WRITE).work_of(call) is Work.WRITE
    assert operation(lambda _: Reply(), work=Work.POINT).work_of(call) is Work.POINT
