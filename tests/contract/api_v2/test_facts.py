"""The built OpenAPI document against the facts of the contract: names, types, required flags, enums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.api.openapi import build_openapi
from strongroom.api.tables import OPERATIONS
from tests.contract.api_v2.beyond import (
    EXTRA_HEADERS,
    EXTRA_MEMBERS,
    EXTRA_SECRET_MEMBERS,
    EXTRA_VALUES,
    EXTRA_VARIANTS,
    OPTIONAL_MEMBERS,
)
from tests.contract.api_v2.later import LATER_MODELS, LATER_OPERATIONS, LATER_UNIONS

Json = dict[str, Any]

FACTS: Final[Json] = json.loads((Path(__file__).parents[2] / "assets" / "api-v2-facts.json").read_text("utf-8"))
DOCUMENT: Final = build_openapi(OPERATIONS, "0")
SCHEMAS: Final[Json] = DOCUMENT["components"]["schemas"]
REF: Final = "#/components/schemas/"
LATER_TYPES: Final = frozenset({"iam_credentials", "service_credentials", "custom_credentials"})
_SIMPLE: Final = {"string": "string", "boolean": "boolean", "integer": "integer", "object": "object"}
BY_NAME: Final = {
    operation["operationId"]: (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def reachable(roots: Iterator[Any]) -> set[str]:
    """Return the names of all components that the schemas lead to."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            name = value.get("$ref", "").removeprefix(REF) if isinstance(value.get("$ref"), str) else ""
            if name in SCHEMAS and name not in found:
                found.add(name)
                waiting.append(SCHEMAS[name])
            waiting += value.values()
    return found


ASKED: Final = reachable(operation.get("requestBody") for _, _, operation in BY_NAME.values())


def matches(fact: str, schema: Json) -> bool:
    """Tell whether a schema, null aside, is of the type that the facts name."""
    variants = schema.get("anyOf")
    if variants is not None:
        return any(matches(fact, one) for one in variants if one != {"type": "null"})
    if fact.startswith("array<"):
        kinds = schema.get("type")
        return "array" in (kinds if isinstance(kinds, list) else [kinds]) and matches(fact[6:-1], schema["items"])
    if fact == "string(date-time)":
        return matches("string", schema) and schema.get("format") == "date-time"
    if fact in _SIMPLE:
        kinds = schema.get("type")
        return _SIMPLE[fact] in (kinds if isinstance(kinds, list) else [kinds])
    named = {fact, *FACTS["unions"].get(fact, {}).get("variants", ())}
    return schema.get("$ref", "").removeprefix(REF) in named


def values_of(schema: Json) -> set[Any]:
    """Return what a schema with a closed set of values allows."""
    for one in schema.get("anyOf", ()):
        if "enum" in one or "const" in one:
            return values_of(one)
    if schema.get("type") == "array":
        return values_of(schema["items"])
    return {schema["const"]} if "const" in schema else set(schema.get("enum", ()))


def model_gaps(name: str, fact: Json) -> Iterator[str]:
    """Yield what a model lacks."""
    schema = SCHEMAS.get(name)
    if schema is None:
        yield f"model {name} is missing"
        return
    members = schema.get("properties", {})
    discriminator = FACTS["unions"].get(fact.get("extends_union"), {}).get("discriminator")
    required = {field for field, one in fact["fields"].items() if one["required"]}
    for field, one in fact["fields"].items():
        if field not in members:
            yield f"{name}.{field} is missing"
            continue
        if not matches(one["type"], members[field]):
            yield f"{name}.{field} is not {one['type']} but {members[field]}"
        known, ours = set(fact["enums"].get(field, ())), values_of(members[field])
        ours -= EXTRA_VALUES.get(field, frozenset())
        known -= EXTRA_VALUES.get(field, frozenset())
        # Each model is of one type, and a configuration of one engine.
        narrow = field in {discriminator, "secret_type"}
        if known and (not ours or not ours <= known if narrow else ours != known):
            yield f"{name}.{field} allows {sorted(ours)}, not {sorted(known)}"
    ours_required = set(schema.get("required", ()))
    required -= OPTIONAL_MEMBERS.get(name, frozenset())
    if name in ASKED and ours_required != required:
        yield f"{name} requires {sorted(ours_required)}, not {sorted(required)}"
    if not required <= ours_required:
        yield f"{name} may lack {sorted(required - ours_required)}"
    extra = set(members) - set(fact["fields"]) - EXTRA_MEMBERS.get(name, frozenset())
    if name not in ASKED:
        extra -= EXTRA_SECRET_MEMBERS
    if extra:
        yield f"{name} has members that the contract does not know: {sorted(extra)}"


def union_gaps(name: str, fact: Json) -> Iterator[str]:
    """Yield what a union lacks, leaving out variants of later issues."""
    schema = SCHEMAS.get(name)
    if schema is None:
        yield f"union {name} is missing"
        return
    expected = set(fact["variants"]) - LATER_MODELS
    if not expected:
        return
    ours = {one["$ref"].removeprefix(REF) for one in (schema.get("oneOf") or schema.get("anyOf") or ())}
    if ours - EXTRA_VARIANTS != expected:
        yield f"{name} is {sorted(ours)}, not {sorted(expected)}"
    if fact["discriminator"] is None:
        return
    given = schema.get("discriminator", {})
    mapping = {value: model for value, model in fact["mapping"].items() if model not in LATER_MODELS}
    if given.get("propertyName") != fact["discriminator"]:
        yield f"{name} is not told apart by {fact['discriminator']}"
    ours_mapped = {value: ref.removeprefix(REF) for value, ref in given.get("mapping", {}).items()}
    if {value: model for value, model in ours_mapped.items() if model not in EXTRA_VARIANTS} != mapping:
        yield f"{name} maps {given.get('mapping')}, not {mapping}"


def operation_gaps(fact: Json) -> Iterator[str]:
    """Yield what an operation lacks."""
    name = fact["name"]
    if name not in BY_NAME:
        yield f"operation {name} is missing"
        return
    path, method, operation = BY_NAME[name]
    if (method.upper(), path) != (fact["method"], fact["path"]):
        yield f"{name} is {method.upper()} {path}, not {fact['method']} {fact['path']}"
    parameters = {(one["in"], one["name"]): one for one in operation.get("parameters", ())}
    for place, names in (("path", fact["path_params"]), ("query", fact["query"]), ("header", fact["headers"])):
        ours = {one for where, one in parameters if where == place} - EXTRA_HEADERS
        if ours != set(names):
            yield f"{name} takes {sorted(ours)} in its {place}, not {sorted(names)}"
    by_name = {one: parameter for (_, one), parameter in parameters.items()}
    for parameter, values in fact.get("param_enums", {}).items():
        if values_of(by_name[parameter]["schema"]) != set(values):
            yield f"{name}: {parameter} allows {by_name[parameter]['schema']}, not {values}"
    yield from body_gaps(fact, operation)
    yield from answer_gaps(fact, operation)


def body_gaps(fact: Json, operation: Json) -> Iterator[str]:
    """Yield what an operation's request body lacks."""
    name = fact["name"]
    content = operation.get("requestBody", {}).get("content", {})
    if fact["request_content_type"] is not None and fact["request_content_type"] not in content:
        yield f"{name} does not take {fact['request_content_type']}"
    if fact["request_content_type"] is None and content:
        yield f"{name} takes a body"
    body = content.get(fact["request_content_type"], {}).get("schema", {})
    model = body.get("$ref", "").removeprefix(REF)
    if fact["request_model"] is not None and model != fact["request_model"]:
        yield f"{name} takes {model}, not {fact['request_model']}"
    if "request_fields" in fact:
        yield from model_gaps(model, {"fields": fact["request_fields"], "enums": {}})


def answer_gaps(fact: Json, operation: Json) -> Iterator[str]:
    """Yield what an operation's success lacks."""
    name = fact["name"]
    answer = operation["responses"].get(str(fact["success_status"]))
    if answer is None:
        yield f"{name} does not answer {fact['success_status']}"
        return
    given = answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "").removeprefix(REF)
    if given != (fact["response_model"] or ""):
        yield f"{name} answers {given}, not {fact['response_model']}"


def all_gaps() -> Iterator[str]:
    for fact in FACTS["operations"]:
        if fact["name"] not in LATER_OPERATIONS:
            yield from operation_gaps(fact)
    for name, fact in FACTS["models"].items():
        if name not in LATER_MODELS:
            yield from model_gaps(name, fact)
    for name, fact in FACTS["unions"].items():
        if name not in LATER_UNIONS:
            yield from union_gaps(name, fact)


def test_everything_of_the_contract_that_is_due_is_in_the_document() -> None:
    gaps = list(all_gaps())

    assert not gaps, "missing or different in /openapi.json:\n" + "\n".join(gaps)


@pytest.mark.parametrize(
    ("later", "present"),
    [
        pytest.param(LATER_OPERATIONS, BY_NAME.keys(), id="operations"),
        pytest.param(LATER_MODELS, SCHEMAS.keys(), id="models"),
        pytest.param(LATER_UNIONS, SCHEMAS.keys(), id="unions"),
    ],
)
def test_nothing_is_put_off_that_is_already_there(later: frozenset[str], present: Any) -> None:
    assert sorted(later & set(present)) == [], "take these out of tests/contract/api_v2/later.py"


def test_everything_beyond_the_contract_is_there_and_not_in_the_contract() -> None:
    for name, members in EXTRA_MEMBERS.items():
        assert members <= set(SCHEMAS[name]["properties"]), name
        assert not members & set(FACTS["models"][name]["fields"]), name
    for name, members in OPTIONAL_MEMBERS.items():
        assert members <= {field for field, one in FACTS["models"][name]["fields"].items() if one["required"]}, name
        assert not members & set(SCHEMAS[name]["required"]), name
    assert set(SCHEMAS) >= EXTRA_VARIANTS


def test_only_what_the_contract_knows_is_put_off() -> None:
    assert {one["name"] for one in FACTS["operations"]} >= LATER_OPERATIONS
    assert FACTS["models"].keys() >= LATER_MODELS
    assert FACTS["unions"].keys() >= LATER_UNIONS


def test_what_is_put_off_belongs_to_later_secret_types_their_configurations_tasks_or_notifications() -> None:
    due = (
        "Imported",
        "PrivateCertificate",
        "Arbitrary",
        "KV",
        "UsernamePassword",
        "SecretGroup",
        "SecretLock",
        "SecretMetadata",
        "Paginated",
    )

    assert [name for name in sorted(LATER_MODELS) if name.startswith(due)] == []
    assert [name for name in sorted(LATER_OPERATIONS) if "lock" in name or "group" in name or "version" in name] == []


def test_the_types_of_this_server_are_those_that_are_not_put_off() -> None:
    every = set(FACTS["unions"]["Secret"]["mapping"])

    assert set(SCHEMAS["Secret"]["discriminator"]["mapping"]) == every - LATER_TYPES


@pytest.mark.parametrize(
    ("fact", "schema"),
    [
        ("string", {"type": "integer"}),
        ("array<string>", {"type": "array", "items": {"type": "integer"}}),
        ("string(date-time)", {"type": "string"}),
        ("SecretGroup", {"$ref": REF + "SecretLock"}),
        ("integer", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ],
)
def test_a_member_of_another_type_is_noticed(fact: str, schema: Json) -> None:
    assert not matches(fact, schema)


def test_a_lost_member_is_noticed() -> None:
    fact = {"fields": {"nobody": {"type": "string", "required": True}}, "enums": {}}

    assert "SecretGroup.nobody is missing" in list(model_gaps("SecretGroup", fact))


def test_what_is_documented_is_what_is_served() -> None:
    from strongroom.runtime import container

    served = build_openapi(OPERATIONS, "0")["paths"].values()
    documented = {operation["operationId"] for methods in served for operation in methods.values()}

    assert {one.name for one in vars(container)["OPERATIONS"]} == documented
