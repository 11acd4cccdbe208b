"""Models of the extension operations. Source: design, section 12."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from strongroom.api.parameters import UUID, DateTime, text
from strongroom.api.v2.schemas.base import (
    Answer,
    PaginatedCollectionFirst,
    PaginatedCollectionNext,
    Request,
)

JobStateName = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
OutcomeName = Literal["success", "failure", "denied"]
_Word = Annotated[str, WithJsonSchema(text(1, 256))]
_Uuid = Annotated[str, WithJsonSchema(UUID)]


class EmptyRequest(Request):
    """Nothing to say; send ``{}`` or no body."""


class AuditInitiator(Answer):
    """Who did it, and from where."""

    id: str
    name: str
    type: str
    address: str | None = None
    credential_id: str | None = None


class AuditTarget(Answer):
    """What it was done to."""

    type: str
    id: str | None = None
    name: str | None = None
    secret_group_id: str | None = None


class AuditReason(Answer):
    """Why it failed or was denied."""

    code: str
    type: str
    message: str


class AuditEvent(Answer):
    """One record of the audit trail, with its place in the hash chain."""

    id: str
    stream: str
    sequence: int
    time: DateTime
    initiator: AuditInitiator
    action: str
    target: AuditTarget
    outcome: OutcomeName
    reason: AuditReason | None = None
    request_id: str | None = None
    previous_hash: str
    hash: str


class AuditEventCollection(Answer):
    """A page of the audit trail, newest first."""

    audit_events: list[AuditEvent]
    limit: int
    first: PaginatedCollectionFirst
    next: PaginatedCollectionNext | None = None


class AuditExportQuery(BaseModel, defer_build=True):
    """Parameters of an export."""

    from_: Annotated[DateTime | None, Field(alias="from")] = None
    to: DateTime | None = None


class AuditEventsQuery(AuditExportQuery):
    """Parameters of a look into the audit trail."""

    initiator: _Word | None = None
    action: _Word | None = None
    target_id: _Word | None = None
    outcome: OutcomeName | None = None
    request_id: _Word | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    start: _Word | None = None


class JobProblem(Answer):
    """The last thing that went wrong."""

    code: str
    message: str
    reference_code: str | None = None


class Job(Answer):
    """A piece of background work."""

    id: str
    kind: str
    state: JobStateName
    step: str
    secret_id: str | None = None
    attempts: int
    waiting_for: str | None = None
    last_error: JobProblem | None = None
    next_try_at: DateTime | None = None
    result: dict[str, Any] | None = None
    created_at: DateTime
    updated_at: DateTime


class JobCollection(Answer):
    """A page of jobs, newest first."""

    total_count: int
    limit: int
    offset: int
    first: PaginatedCollectionFirst
    next: PaginatedCollectionNext | None = None
    previous: PaginatedCollectionFirst | None = None
    last: PaginatedCollectionFirst
    jobs: list[Job]


class JobsQuery(BaseModel, defer_build=True):
    """Parameters of the list of jobs."""

    kind: _Word | None = None
    state: JobStateName | None = None
    secret_id: _Uuid | None = None
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=200, ge=1, le=1000)


class JobActionRequest(Request):
    """What to do with a job."""

    action_type: Literal["retry", "cancel"]


class PublicEndpoints(Answer):
    """Addresses that clients use."""

    service: str


class EncryptionInfo(Answer):
    """What protects the store."""

    provider: str
    key_id: str


class Endpoints(Answer):
    """This instance, as clients may know it."""

    instance_id: str
    crn: str
    region: str
    public: PublicEndpoints
    encryption: EncryptionInfo
    version: str
    features: list[str]


class Setting(Answer):
    """One setting of the server; a value that is secret is never shown."""

    name: str
    value: Any = None
    source: str
    default: Any = None


class Settings(Answer):
    """Every setting of the server."""

    settings: list[Setting]


class AccessHolder(Answer):
    """An identity that may do something with a secret."""

    iam_id: str
    name: str
    roles: list[str]
    scope: str
    via: str


class SecretAccess(Answer):
    """Who may do something with a secret."""

    access: list[AccessHolder]
