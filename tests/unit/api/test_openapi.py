"""The OpenAPI document: complete, valid, the same every time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict

from strongroom.api import parameters
from strongroom.api.openapi import OpenApiDocument, answer_statuses, build_openapi
from strongroom.api.operations import Operation, Reply
from strongroom.api.problems import status_of
from strongroom.api.tables import OPERATIONS
from strongroom.domain.access.actions import Action
from strongroom.domain.limits import Limits
from strongroom.domain.secrets.checks import LOCK_NAME, NAME
from strongroom.kernel.errors import Conflict, ErrorCode
from tests.unit.api.asgi import operation

DOCUMENT: Final = build_openapi(OPERATIONS, "1.2.3")
SCHEMAS: Final = DOCUMENT["components"]["schemas"]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from nodes(item)
    elif isinstance(value, dict):
        yield value
        for item in value.values():
            yield from nodes(item)


def wire() -> Iterator[tuple[Operation, dict[str, Any]]]:
    for one in OPERATIONS:
        yield one, DOCUMENT["paths"][one.path][one.method.lower()]


def test_every_operation_is_in_the_document_once() -> None:
    found = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]

    assert sorted(found) == sorted(one.name for one in OPERATIONS)
    assert len(found) == len(set(found))


def test_every_reference_leads_somewhere() -> None:
    for node in nodes(DOCUMENT):
        target = node.get("$ref")
        if isinstance(target, str):
            place: Any = DOCUMENT
            for step in target.removeprefix("#/").split("/"):
                place = place[step]


def test_no_component_is_left_over() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in nodes(DOCUMENT) if isinstance(node.get("$ref"), str)}

    # The contract's name for either of two policies; each of our models says which of them it means.
    assert set(SCHEMAS) - used == {"RotationPolicy"}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_component_is_a_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_the_document_is_the_same_every_time_and_in_any_order() -> None:
    assert json.dumps(build_openapi(OPERATIONS[::-1], "1.2.3")) == json.dumps(DOCUMENT)


def test_the_sent_and_the_kept_form_say_the_same() -> None:
    document = OpenApiDocument(OPERATIONS, "1.2.3")

    assert json.loads(document.encoded) == json.loads(document.snapshot()) == DOCUMENT
    assert document.encoded is document.encoded


def test_every_path_parameter_is_declared() -> None:
    for one, described in wire():
        declared = {item["name"] for item in described.get("parameters", ()) if item["in"] == "path"}
        assert declared == set(re.findall(r"\{([^}]+)\}", one.path)), one.name


def test_files_of_authorities_are_binary_unless_they_are_pem() -> None:
    files = DOCUMENT["paths"]["/v1/ibmcloud/private_cert/config/certificate_authorities/{name}/crl"]["get"]
    as_pem = DOCUMENT["paths"]["/v1/ibmcloud/private_cert/config/certificate_authorities/{name}/crl/pem"]["get"]
    asked = DOCUMENT["paths"]["/ocsp/{name}"]["post"]
    binary = {"schema": {"type": "string", "format": "binary"}}

    assert files["responses"]["200"]["content"] == {"application/pkix-crl": binary}
    assert as_pem["responses"]["200"]["content"] == {"application/x-pem-file": {"schema": {"type": "string"}}}
    assert asked["requestBody"]["content"] == {"application/ocsp-request": binary}
    assert asked["responses"]["200"]["content"] == {"application/ocsp-response": binary}
    assert [(item["name"], item["in"]) for item in files["parameters"]] == [("name", "path"), ("key", "query")]


def test_every_operation_says_who_may_call_it() -> None:
    for one, described in wire():
        expected: list[Any] = [] if one.action == "public" else [{"bearer": []}]
        assert described["security"] == expected, one.name


def test_answers_never_hold_null_and_requests_say_where_they_may() -> None:
    answered = {name: schema for name, schema in SCHEMAS.items() if name.endswith(("Secret", "Metadata", "Group"))}

    assert all(node.get("type") != "null" for node in nodes(answered))
    patch = SCHEMAS["ArbitrarySecretMetadataPatch"]["properties"]
    assert patch["expiration_date"] == {"type": ["string", "null"], "format": "date-time"}


def test_unions_are_told_apart_by_their_discriminator() -> None:
    union = SCHEMAS["SecretPrototype"]

    assert union["discriminator"]["propertyName"] == "secret_type"
    assert {one["$ref"] for one in union["oneOf"]} == set(union["discriminator"]["mapping"].values())


def test_unions_without_a_discriminator_may_match_more_than_once() -> None:
    assert {"anyOf"} == SCHEMAS["SecretMetadataPatch"].keys() == SCHEMAS["SecretVersionPrototype"].keys()


def test_lists_in_queries_are_joined_by_commas() -> None:
    found = {one["name"]: one for one in DOCUMENT["paths"]["/api/v2/secrets"]["get"]["parameters"]}

    for name in ("groups", "secret_types", "match_all_labels"):
        assert (found[name]["style"], found[name]["explode"]) == ("form", False)
    assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}


def test_patches_are_taken_in_both_of_their_types() -> None:
    patch = DOCUMENT["paths"]["/api/v2/secrets/{id}/metadata"]["patch"]

    assert set(patch["requestBody"]["content"]) == {"application/merge-patch+json", "application/json"}


@pytest.mark.parametrize(
    ("changes", "statuses"),
    [
        ({"action": "public"}, [200, 400, 500, 503]),
        ({"response": dict}, [200, 400, 401, 403, 406, 500, 503]),
        ({"path": "/things/{id}"}, [200, 400, 401, 403, 404, 500, 503]),
        ({"method": "DELETE", "status": 204}, [204, 400, 401, 403, 409, 500, 503]),
        ({"method": "POST", "status": 201}, [201, 400, 401, 403, 409, 413, 415, 500, 503]),
        ({"more_answers": {412: None}}, [200, 400, 401, 403, 412, 500, 503]),
    ],
)
def test_every_status_that_can_be_answered_is_declared(changes: dict[str, Any], statuses: list[int]) -> None:
    assert answer_statuses(operation(lambda _: Reply(), **changes)) == statuses


def test_a_locked_secret_is_declared_where_locks_block() -> None:
    locked = str(status_of(Conflict(ErrorCode.SECRET_VERSION_LOCKED, "")))
    found = {one.name for one, described in wire() if locked in described["responses"]}

    assert {"delete_secret", "create_secret_version"} <= found


def test_two_operations_of_one_name_are_refused() -> None:
    first = operation(lambda _: Reply())
    second = operation(lambda _: Reply(), path="/others")

    with pytest.raises(ValueError, match="two operations are called do_it"):
        build_openapi([first, second], "1")


def _model(**members: Any) -> type[BaseModel]:
    made: type[BaseModel] = type(
        "Twin", (BaseModel,), {"__annotations__": members, "__module__": f"twin_{len(members)}"}
    )
    return made


def test_two_different_models_of_one_name_are_refused() -> None:
    first = operation(lambda _: Reply(), response=_model(a=int))
    second = operation(lambda _: Reply(), name="other", path="/others", response=_model(a=int, b=int))

    with pytest.raises(ValueError, match="two different models are called"):
        build_openapi([first, second], "1")


def test_a_request_and_an_answer_of_one_name_must_be_one_model() -> None:
    first = operation(lambda _: Reply(), response=_model(a=int))
    second = operation(lambda _: Reply(), name="other", path="/others", method="POST", request=_model(a=int, b=int))

    with pytest.raises(ValueError, match="two different models are called Twin"):
        build_openapi([first, second], "1")


class Free(BaseModel):
    """Anything."""

    model_config = ConfigDict(extra="allow")


def test_extensions_and_actions_are_marked() -> None:
    one = operation(
        lambda _: Reply(), extension=True, action=Action.AUDIT_READ, response=Free, request_headers={"If-Match": "Tag."}
    )

    described = build_openapi([one], "1")["paths"]["/things"]["get"]

    assert described["x-strongroom-extension"] is True
    assert described["x-strongroom-action"] == "secrets-manager.audit.read"
    assert described["parameters"] == [
        {"name": "If-Match", "in": "header", "required": False, "description": "Tag.", "schema": {"type": "string"}}
    ]


# --- what the schemas tell is what the domain rules


@pytest.mark.parametrize("text", ["ab", "_a", "a.b-c_d9", "a", "a_", "-a", "a b", "", "a.", ".a", "9z"])
def test_the_pattern_of_names_is_the_rule_of_names(text: str) -> None:
    ruled = NAME.fullmatch(text) is not None and 2 <= len(text) <= 64

    assert jsonschema.Draft202012Validator(parameters.GROUP_NAME).is_valid(text) == ruled


def test_patterns_take_no_more_than_linear_time() -> None:
    patterns = {node["pattern"] for node in nodes(DOCUMENT) if isinstance(node.get("pattern"), str)}

    assert LOCK_NAME.pattern in {pattern[1:-1] for pattern in patterns}
    for pattern in patterns:
        assert re.search(r"[*+]\)[*+{]|[*+]\?*\)\*", pattern) is None, pattern
        re.compile(pattern).search("a-_." * 50_000 + "!")


def test_the_limits_that_are_told_are_the_defaults() -> None:
    limits = Limits()
    properties = SCHEMAS["ArbitrarySecretPrototype"]["properties"]

    assert properties["payload"]["maxLength"] == limits.payload_characters
    assert properties["labels"]["maxItems"] == limits.labels
    assert (
        SCHEMAS["ImportedCertificatePrototype"]["properties"]["certificate"]["maxLength"]
        == limits.certificate_characters
    )
    assert SCHEMAS["SecretLocksPrototype"]["properties"]["locks"]["maxItems"] == limits.locks_per_secret
