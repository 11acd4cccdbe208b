"""What one operation declares; routing, authorisation, audit and OpenAPI are derived from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError

from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require
from strongroom.domain.access.principals import Principal, Scope
from strongroom.domain.audit.record import Target
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Invalid, StrongroomError

if TYPE_CHECKING:
    from strongroom.api.services import Services

M = TypeVar("M")

JSON_BODY: Final = ("application/json",)
MERGE_PATCH: Final = ("application/merge-patch+json", "application/json")
FORM_BODY: Final = ("application/x-www-form-urlencoded",)
_MAX_DEPTH: Final = 100
_MAX_VALUES: Final = 262_144
"""Members and items in one body: what the largest allowed value of a ``kv`` secret can hold, and not the million
that fit into a request and cost a gigabyte to look at."""
_TOO_MANY: Final = f"it has more than {_MAX_VALUES} members and items"
_JSON_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_MAX_PROBLEMS: Final = 100
"""So many are shown; a body may break rules a hundred thousand times."""
_MAX_COLLECTED: Final = 10_000
"""Beyond so many the library's list of them would take more memory than it is worth."""
_MAX_LOCATION: Final = 200
"""Names of unknown members are the client's; they are shown, but not at any length."""


class Work(Enum):
    """What kind of work an operation is; decides where it runs (design, section 3)."""

    POINT = "point"
    """Reads by primary key: on the event loop where the store allows it."""
    SCAN = "scan"
    """May walk an index: in a reader thread."""
    WRITE = "write"
    """Prepares quickly, then waits for its commit."""
    SLOW_WRITE = "slow_write"
    """Prepares with keys, signatures or checks: in a worker thread, then waits for its commit."""
    OUTSIDE = "outside"
    """May wait for servers elsewhere: in threads that nobody waits for who needs keys or signatures."""
    PUBLISHED = "published"
    """Reads what anybody may fetch, and may wait for a signature: in threads that nobody else waits for."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer: plain values for the encoder, or text and bytes as they are."""

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    stream: Iterator[bytes] | None = None


@dataclass(slots=True, kw_only=True)
class Pending:
    """An answer that is given once its unit of work is on disk."""

    commit: Callable[[Unit], Any]
    reply: Callable[[Any], Reply]


@dataclass(slots=True, kw_only=True)
class Call:
    """One request on its way through an operation.

    Attributes:
        raw_body: empty until the caller's authorisation is settled.
        target: what the audit trail names; handlers make it more precise.
        found: what the guard looked up for the handler.
        decoded: the body as plain values, once it was asked for.
        base_url: scheme and host the client used, for links.
    """

    operation: Operation
    services: Services
    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    address: str | None
    request_id: str
    base_url: str
    raw_body: bytes = b""
    target: Target
    found: Any = None
    decoded: Any = None

    def json(self) -> Any:
        """Return the body as plain values.

        Raises:
            Invalid: ``malformed_request`` if the body is no JSON document.

        Source: RFC 8259 and, for names given twice and lone surrogates, RFC 7493 (I-JSON).
        """
        if self.decoded is None:
            self.decoded = decode_json(self.raw_body)
        return self.decoded

    def json_object(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        value = self.json()
        if not isinstance(value, dict):
            raise Invalid(ErrorCode.MALFORMED_REQUEST, "The request body must be a JSON object.")
        return value

    def parse(self, model: type[M]) -> M:
        """Return the body as a request model; every broken rule is reported.

        Raises:
            Invalid: names each member at fault.
        """
        return validate(model, self.json_object())

    def parse_query(self, model: type[M]) -> M:
        """Return the query parameters as a model; text is converted to numbers and booleans."""
        given = {name: value for name, value in self.query.items() if value}
        return validate(model, given, strict=False)

    def scope(self) -> Scope:
        """Return where the caller may do this operation's action."""
        assert isinstance(self.operation.action, Action)  # noqa: S101  (public operations have no scope)
        return require(self.principal, self.operation.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of an API.

    Attributes:
        name: the contract's operation name; unique; OpenAPI's ``operationId``.
        path: with ``{names}`` in braces.
        action: what the caller must be allowed to do, or ``public`` for nobody in particular.
        or_action: another action, on the whole instance, that is as good; the handler tells them apart.
        work: where it runs, where every request belongs to the same place.
        work_by: tells from the request where it runs; ``work`` is where the slowest do.
        guard: looks up and authorises the addressed thing before the body is read.
        request: model (or union) of the body, for parsing and OpenAPI.
        query: model of the query parameters.
        response: model of the answer, for OpenAPI.
        most_bytes: longest body, where it is less than the server's limit: for callers that nobody knows.
        target_type: what the audit trail calls the thing acted on.
        audit: whether the trail records it.
        audit_as: its name in the trail (``service-id.create``) where the action is too broad to tell.
        problems: renders errors (each API has its envelope).
        error_model: model of what ``problems`` renders, for OpenAPI.
        more_answers: further statuses with their models (``None``: the error envelope), for OpenAPI.
        extension: whether the operation is Strongroom's own, for OpenAPI.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    action: Action | Literal["public"]
    handler: Callable[[Call], Reply | Pending]
    work: Work
    summary: str
    tag: str
    status: int = 200
    description: str = ""
    or_action: Action | None = None
    work_by: Callable[[Call], Work] | None = None
    guard: Callable[[Call], None] | None = None
    request: Any = None
    query: type[BaseModel] | None = None
    response: Any = None
    response_content_type: str = "application/json"
    request_headers: Mapping[str, str] = field(default_factory=dict)
    media_types: tuple[str, ...] = JSON_BODY
    body_required: bool = True
    most_bytes: int | None = None
    target_type: str = "instance"
    audit: bool = True
    audit_as: str | None = None
    problems: Callable[[StrongroomError, str], Reply] | None = None
    error_model: Any = None
    more_answers: Mapping[int, Any] = field(default_factory=dict)
    extension: bool = False

    @property
    def audit_name(self) -> str:
        """Return what the audit trail calls it."""
        if self.audit_as is not None or self.action == "public":
            return f"secrets-manager.{self.audit_as or self.name}"
        return self.action.audit_name

    def work_of(self, call: Call) -> Work:
        """Return where this very request belongs; its body has been read."""
        return self.work if self.work_by is None else self.work_by(call)

    def __post_init__(self) -> None:
        """Refuse an operation that does not say who may call it."""
        if not isinstance(self.action, Action) and self.action != "public":
            message = f"operation {self.name} declares no action"  # type: ignore[unreachable]  # types can be ignored
            raise TypeError(message)


_adapters: dict[Any, TypeAdapter[Any]] = {}


def validate(model: type[M], value: Any, *, strict: bool = True, prefix: str = "") -> M:
    """Check plain values against a model.

    Args:
        model: a pydantic model, or a union of models with a discriminator.
        value: what the JSON decoder gave.
        strict: refuse text for numbers and the like (bodies); off for query parameters.
        prefix: put before field names.

    Raises:
        Invalid: one problem, or all of them as ``causes``; never shows the refused value.
    """
    adapter = _adapters.get(model)
    if adapter is None:
        adapter = _adapters[model] = TypeAdapter(model)
    try:
        return adapter.validate_python(value, strict=strict)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise _to_invalid(error, value, prefix, tagged=_is_tagged(adapter)) from None


def decode_json(raw: bytes) -> Any:
    """Decode a JSON document.

    Raises:
        Invalid: ``malformed_request`` if it is none, or one that readers would understand differently.
    """
    if not raw:
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "The request needs a JSON body; it is empty.")
    if raw.count(b"[") + raw.count(b"{") > _MAX_VALUES:
        # Objects and lists are what is dear to make; those that stand in texts are none.
        bare = _JSON_TEXT.sub(b"", raw)
        if bare.count(b"[") + bare.count(b"{") > _MAX_VALUES:
            raise _malformed(_TOO_MANY)
    try:
        value = msgspec.json.decode(raw)
        # Before anything that is slow: its cost grows with what is found here.
        _check_shape(value)
        # The quick decoder keeps the last of two members with one name; a checker that kept the first would differ.
        _STRICT.decode(raw.decode())
    except msgspec.DecodeError as error:
        raise _malformed(str(error)) from None
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    except RecursionError:
        raise _malformed(f"it is nested deeper than {_MAX_DEPTH} levels") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _malformed("an object has the same member twice")


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_once)


def _check_shape(value: Any) -> None:
    """Refuse what is nested too deeply or has too many members; looks no further than the limits."""
    # Far below the interpreter's own limit, which would strike later, where nobody expects it.
    level = [value] if isinstance(value, dict | list) else []
    found = depth = 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise _malformed(f"it is nested deeper than {_MAX_DEPTH} levels")
        below: list[Any] = []
        for item in level:
            found += len(item)
            if found > _MAX_VALUES:
                raise _malformed(_TOO_MANY)
            children = item.values() if isinstance(item, dict) else item
            below += [child for child in children if isinstance(child, dict | list)]
        level = below


def _malformed(reason: str) -> Invalid:
    return Invalid(ErrorCode.MALFORMED_REQUEST, f"The request body is not valid JSON: {reason}.")


def _is_tagged(adapter: TypeAdapter[Any]) -> bool:
    schema: Any = adapter.core_schema
    while schema["type"] == "definitions":
        schema = schema["schema"]
    return bool(schema["type"] == "tagged-union")


def _to_invalid(error: ValidationError, value: Any, prefix: str, *, tagged: bool) -> Invalid:
    count = error.error_count()
    if count > _MAX_COLLECTED:
        return Invalid(
            ErrorCode.INVALID_FIELD,
            f"The request breaks the rules for its fields in {count} places.",
            hint="Check its shape against /openapi.json.",
        )
    causes = []
    for item in error.errors(include_url=False, include_context=True, include_input=False)[:_MAX_PROBLEMS]:
        # Locations inside a tagged union start with the tag, which is no member of the request.
        members = _without_tags(item["loc"][1:] if tagged else item["loc"], value)
        location = _field_name(members, prefix)
        kind = item["type"]
        if kind == "missing":
            causes.append(Invalid(ErrorCode.MISSING_FIELD, f"{location} is required.", field=location))
        elif kind == "extra_forbidden":
            causes.append(
                Invalid(
                    ErrorCode.UNKNOWN_FIELD,
                    f"{location} is not a field of this request.",
                    field=location,
                    hint="Remove it, or check its spelling against /openapi.json.",
                )
            )
        elif kind in {"union_tag_not_found", "union_tag_invalid"}:
            context = item.get("ctx", {})
            name = str(context.get("discriminator", "'type'")).strip("'")
            allowed = context.get("expected_tags", "")
            suffix = f" It must be one of {allowed}." if allowed else ""
            missing = kind == "union_tag_not_found"
            location = _field_name((*members, name), prefix)
            text = f"{location} is required." if missing else f"{location} has a value that is not known here."
            code = ErrorCode.MISSING_FIELD if missing else ErrorCode.INVALID_FIELD
            causes.append(Invalid(code, text + suffix, field=location))
        elif kind in {"dict_type", "model_type", "model_attributes_type"}:
            causes.append(Invalid(ErrorCode.INVALID_FIELD, f"{location} must be a JSON object.", field=location))
        else:
            causes.append(Invalid(ErrorCode.INVALID_FIELD, f"{location}: {item['msg']}.", field=location))
    if len(causes) == 1:
        return causes[0]
    return Invalid(causes[0].code, causes[0].detail, field=causes[0].field, causes=causes)


def _without_tags(location: tuple[int | str, ...], value: Any) -> tuple[int | str, ...]:
    """Drop the tags of unions inside the request: they stand in the location, but are no members of it."""
    members: list[int | str] = []
    for position, part in enumerate(location):
        if isinstance(part, str) and isinstance(value, dict) and part not in value and position < len(location) - 1:
            continue
        members.append(part)
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
    return tuple(members)


def _field_name(location: tuple[int | str, ...], prefix: str) -> str:
    text = prefix
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif text and not text.endswith("."):
            text += f".{part}"
        else:
            text += str(part)
    return text[:_MAX_LOCATION] or "body"
