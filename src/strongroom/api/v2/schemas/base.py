"""What all v2 models share.

Requests refuse unknown members; answers describe what is sent. Members that may be absent in an
answer are optional here, and null is never sent.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SecretTypeName = Literal[
    "arbitrary",
    "iam_credentials",
    "imported_cert",
    "kv",
    "private_cert",
    "public_cert",
    "service_credentials",
    "username_password",
    "custom_credentials",
]
StateDescription = Literal["pre_activation", "active", "suspended", "deactivated", "destroyed"]
Alias = Literal["current", "previous"]
FreeObject = dict[str, Any]


class Request(BaseModel):
    """A request body or part of one."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Answer(BaseModel):
    """An answer body or part of one."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Notice(Answer):
    """Something worth telling that did not stop the request (extension)."""

    code: str
    message: str


class ErrorTarget(Answer):
    """Which member of the request is at fault."""

    type: Literal["field", "parameter", "header"]
    name: str


class ErrorItem(Answer):
    """One problem."""

    code: str
    message: str
    target: ErrorTarget | None = None
    more_info: str | None = None
    reference_code: str | None = None


class Errors(Answer):
    """Every answer that is no success."""

    errors: list[ErrorItem]
    trace: str
    status_code: int


class PaginatedCollectionFirst(Answer):
    """Link to the first page."""

    href: str


class PaginatedCollectionLast(Answer):
    """Link to the last page."""

    href: str


class PaginatedCollectionNext(Answer):
    """Link to the next page."""

    href: str


class PaginatedCollectionPrevious(Answer):
    """Link to the previous page."""

    href: str


class Paginated(Answer):
    """The frame of every paged list."""

    total_count: int
    limit: int
    offset: int
    first: PaginatedCollectionFirst
    next: PaginatedCollectionNext | None = None
    previous: PaginatedCollectionPrevious | None = None
    last: PaginatedCollectionLast
