"""The OpenAPI document, derived from the operation tables and their models.

Everything that an operation can answer stands in it, so that clients may be generated from it and
tests may hold the server to it. The output is deterministic: it is kept as a file and compared.

Source: OpenAPI 3.1.0; JSON Schema 2020-12.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, get_args

import msgspec
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from strongroom.api.operations import JSON_BODY, Operation, Work
from strongroom.api.parameters import header_parameter, path_parameter
from strongroom.api.v2.schemas.base import Errors
from strongroom.api.v2.schemas.unions import NAMED_UNIONS

Json = dict[str, Any]

_REF: Final = "#/components/schemas/"
_TRACE_HEADER: Final = {
    "X-Global-Transaction-ID": {"$ref": "#/components/headers/X-Global-Transaction-ID"},
}
_RETRY_HEADER: Final = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    300: ("Ambiguous", "Several configurations have this name; a header says which one is meant."),
    400: ("BadRequest", "The request breaks a rule; every broken rule is listed."),
    401: ("Unauthorized", "The access token is missing, wrong or expired."),
    403: ("Forbidden", "The caller's roles do not include the action."),
    404: ("NotFound", "There is no such thing."),
    406: ("NotAcceptable", "The Accept header excludes what this operation answers."),
    409: ("Conflict", "The request clashes with something that exists or runs."),
    412: ("Locked", "The secret version is locked."),
    413: ("RequestTooLarge", "The body is larger than the server reads."),
    415: ("UnsupportedMediaType", "The body's type or encoding is not one that this operation reads."),
    429: ("TooManyAttempts", "Too many attempts; Retry-After says when to try again."),
    500: ("InternalError", "The server could not complete the request; its log has the trace."),
    502: ("Upstream", "Another server refused; its own message is passed on."),
    503: ("Unavailable", "The server or its database is not ready; try again."),
}
_RETRIED: Final = (429, 503)
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_NO_CONTENT: Final = 204
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


class _Schemas(GenerateJsonSchema):
    """Writes schemas the way the API means them.

    In an answer (mode ``serialization``) what may be absent is never null: it is absent; only a
    required member may hold null. Requests may give null where the model allows it; a default of
    null says nothing and is left out.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._optional: set[int] = set()

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if self.mode == "serialization" and id(schema) in self._optional:
            return inner
        if isinstance(inner.get("type"), str) and "enum" not in inner and "const" not in inner:
            return {**inner, "type": [inner["type"], "null"]}
        return {"anyOf": [inner, {"type": "null"}]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            self._optional.add(id(schema["schema"]))
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class OpenApiDocument:
    """The document of a set of operations, built once when it is first asked for."""

    def __init__(self, operations: Sequence[Operation], version: str) -> None:
        self._operations = operations
        self._version = version

    @cached_property
    def value(self) -> Json:
        """Return the document as plain values."""
        return build_openapi(self._operations, self._version)

    @cached_property
    def encoded(self) -> bytes:
        """Return the document as it is sent."""
        return msgspec.json.encode(self.value)

    def snapshot(self) -> str:
        """Return the document as it is kept in the repository."""
        return json.dumps(self.value, indent=1, ensure_ascii=False) + "\n"


def build_openapi(operations: Sequence[Operation], version: str) -> Json:
    """Return the OpenAPI 3.1 document of the operations.

    Raises:
        ValueError: two operations or two different models share a name.
    """
    components = _Components(operations)
    paths: dict[str, Json] = {}
    names: set[str] = set()
    for operation in sorted(operations, key=lambda one: (one.path, one.method)):
        if operation.name in names:
            message = f"two operations are called {operation.name}"
            raise ValueError(message)
        names.add(operation.name)
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Strongroom",
            "version": version,
            "summary": "Manager for TLS certificates and the secrets beside them",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({operation.tag for operation in operations})],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": {name: _problem(status, _ref("Errors")) for status, (name, _) in sorted(_PROBLEMS.items())},
            "headers": {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
                "X-Global-Transaction-ID": {
                    "description": "Names this request in the server's log and audit trail.",
                    "schema": {"type": "string", "format": "uuid"},
                },
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token from `POST /identity/token`.",
                }
            },
        },
    }


def answer_statuses(operation: Operation) -> list[int]:
    """Return every status that the operation can answer, its success first."""
    found = {400, 500, 503, *operation.more_answers}
    if operation.action != "public":
        found |= {401, 403}
        if operation.method != "GET":
            found.add(409)
    if "{" in operation.path:
        found.add(404)
    if operation.work is Work.OUTSIDE:
        found.add(502)
    if operation.response is not None:
        found.add(406)
    if operation.method in _WITH_BODY:
        found |= {413, 415}
    return [operation.status, *sorted(found - {operation.status})]


class _Components:
    """The named schemas of all models that the operations use."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        requests: dict[str, Any] = {}
        answers: dict[str, Any] = {_key(Errors): Errors}
        for operation in operations:
            if operation.request is not None:
                requests[_key(operation.request)] = operation.request
            for model in (operation.response, operation.error_model, *operation.more_answers.values()):
                if model is not None:
                    answers[_key(model)] = model
        self._requests, asked = _generate(requests, "validation")
        self._answers, answered = _generate(answers, "serialization")
        merged = dict(answered)
        for name, schema in asked.items():
            if name in merged and _without_null(schema) != merged[name]:
                message = f"two different models are called {name}"
                raise ValueError(message)
            # A model used both ways: what it accepts includes what it answers.
            merged[name] = schema
        self._unions = _find_unions(merged)
        self.schemas: Json = {name: self._named(merged[name]) for name in merged}
        for refs, name in self._unions.items():
            self.schemas[name] = _union_schema(name, refs)
        self.schemas = dict(sorted(self.schemas.items()))

    def request(self, model: Any) -> Json:
        """Return the schema of a request body."""
        return self._top(self._requests[_key(model)])

    def answer(self, model: Any) -> Json:
        """Return the schema of an answer."""
        return self._top(self._answers[_key(model)])

    def _top(self, schema: Json) -> Json:
        named = self._named(schema)
        assert isinstance(named, dict)  # noqa: S101  (a schema stays one)
        return named

    def _named(self, value: Any) -> Any:
        """Replace unions that have a name by a reference to it."""
        if isinstance(value, list):
            return [self._named(item) for item in value]
        if not isinstance(value, dict):
            return value
        refs = _variants(value)
        if refs is not None and refs in self._unions:
            return _ref(self._unions[refs])
        return {key: self._named(item) for key, item in value.items()}


def _generate(models: Mapping[str, Any], mode: JsonSchemaMode) -> tuple[dict[str, Json], dict[str, Json]]:
    inputs = [(key, mode, TypeAdapter(model)) for key, model in sorted(models.items())]
    found, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF + "{model}", schema_generator=_Schemas)
    components = definitions.get("$defs", {})
    for name, schema in components.items():
        if "__" in name:
            message = f"two different models are called {name.rpartition('__')[2]}"
            raise ValueError(message)
        schema.pop("title", None)
    return {key: dict(schema) for (key, _), schema in found.items()}, components


def _key(model: Any) -> str:
    return f"{model.__module__}.{model.__qualname__}" if isinstance(model, type) else repr(model)


def _without_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    if isinstance(kind, list) and "null" in kind:
        value = {**value, "type": next(item for item in kind if item != "null")}
    choices = value.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices and len(choices) == len(("value", "null")):
        rest = next(item for item in choices if item != {"type": "null"})
        value = {**{key: item for key, item in value.items() if key != "anyOf"}, **rest}
    return {key: _without_null(item) for key, item in value.items()}


def _find_unions(known: Mapping[str, Json]) -> dict[frozenset[str], str]:
    unions = {}
    for name, union in NAMED_UNIONS.items():
        members = [item.__name__ for item in _members(union)]
        if all(member in known for member in members):
            unions[frozenset(members)] = name
    return unions


def _members(union: Any) -> Iterator[type]:
    for item in get_args(union):
        if isinstance(item, type):
            yield item
        elif get_args(item):
            yield from _members(item)


def _union_schema(name: str, refs: frozenset[str]) -> Json:
    schema: Json = TypeAdapter(NAMED_UNIONS[name]).json_schema(ref_template=_REF + "{model}", schema_generator=_Schemas)
    schema.pop("$defs", None)
    if _variants(schema) != refs:
        message = f"{name} is no plain union of models"
        raise ValueError(message)
    return schema


def _variants(schema: Json) -> frozenset[str] | None:
    for keyword in ("oneOf", "anyOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and all(isinstance(item, dict) and "$ref" in item for item in choices):
            return frozenset(item["$ref"].removeprefix(_REF) for item in choices)
    return None


def _ref(name: str) -> Json:
    return {"$ref": _REF + name}


def _operation(operation: Operation, components: _Components) -> Json:
    wire: Json = {"operationId": operation.name, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        wire["description"] = operation.description
    parameters = [*_path_parameters(operation), *_query_parameters(operation), *_header_parameters(operation)]
    if parameters:
        wire["parameters"] = parameters
    if operation.request is not None:
        schema = components.request(operation.request)
        wire["requestBody"] = {
            "required": operation.body_required,
            "content": {media_type: {"schema": schema} for media_type in operation.media_types},
        }
    wire["responses"] = {str(status): _answer(operation, status, components) for status in answer_statuses(operation)}
    if operation.action == "public":
        wire["security"] = []
    else:
        wire["security"] = [{"bearer": []}]
        wire["x-strongroom-action"] = operation.action.audit_name
    if operation.extension:
        wire["x-strongroom-extension"] = True
    return wire


def _path_parameters(operation: Operation) -> Iterator[Json]:
    for match in _PLACEHOLDER.finditer(operation.path):
        before = operation.path[: match.start()].rstrip("/").rpartition("/")[2]
        schema = path_parameter(before, match[1])
        yield {"name": match[1], "in": "path", "required": True, "schema": schema}


def _query_parameters(operation: Operation) -> Iterator[Json]:
    if operation.query is None:
        return
    # As in an answer, a parameter without a value is absent.
    model = TypeAdapter(operation.query).json_schema(mode="serialization", schema_generator=_Schemas)
    required = model.get("required", [])
    for name, schema in model.get("properties", {}).items():
        wire: Json = {"name": name, "in": "query", "required": name in required}
        description = schema.pop("description", None)
        if description:
            wire["description"] = description
        if schema.get("type") == "array":
            wire |= {"style": "form", "explode": False}
        yield {**wire, "schema": schema}


def _header_parameters(operation: Operation) -> Iterator[Json]:
    for name, description in sorted(operation.request_headers.items()):
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": header_parameter(name),
        }


def _answer(operation: Operation, status: int, components: _Components) -> Json:
    model = operation.response if status == operation.status else operation.more_answers.get(status)
    if model is None and status != operation.status:
        if operation.error_model is not None:
            return _problem(status, components.answer(operation.error_model))
        return {"$ref": f"#/components/responses/{_PROBLEMS[status][0]}"}
    wire: Json = {"description": _success_text(status), "headers": _TRACE_HEADER}
    if status == operation.status and operation.response_content_type not in JSON_BODY:
        schema = components.answer(model) if model is bytes else {"type": "string"}
        wire["content"] = {operation.response_content_type: {"schema": schema}}
    elif model is not None:
        wire["content"] = {JSON_BODY[0]: {"schema": components.answer(model)}}
    return wire


def _success_text(status: int) -> str:
    if status == _NO_CONTENT:
        return "Done; there is nothing to show."
    return {200: "The answer.", 201: "It was created.", 202: "It was taken on.", 207: "One outcome each."}.get(
        status, _PROBLEMS[status][1] if status in _PROBLEMS else "The answer."
    )


def _problem(status: int, schema: Json) -> Json:
    headers = {**_TRACE_HEADER, **(_RETRY_HEADER if status in _RETRIED else {})}
    return {
        "description": _PROBLEMS[status][1],
        "headers": headers,
        "content": {JSON_BODY[0]: {"schema": schema}},
    }
