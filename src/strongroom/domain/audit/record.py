"""What the audit trail says about one action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from strongroom.kernel.ids import AuditId
from strongroom.kernel.value import value


class Outcome(StrEnum):
    """How the action ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


@value
class Initiator:
    """Who did it, and from where."""

    id: str
    name: str
    type: str
    address: str | None = None
    credential_id: str | None = None


@value
class Target:
    """What it was done to; identifiers and names, never values."""

    type: str
    id: str | None = None
    name: str | None = None
    secret_group_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why it failed or was denied."""

    code: str
    type: str
    message: str


@value
class AuditEntry:
    """One action, before it gets its place in a stream's hash chain."""

    id: AuditId
    time: datetime
    initiator: Initiator
    action: str
    target: Target
    outcome: Outcome
    reason: Reason | None = None
    request_id: str | None = None


@value
class AuditRecord:
    """One stored entry: its place in the chain and its exact hashed text.

    Attributes:
        body: canonical JSON of the entry with stream and sequence (what was hashed).
        previous_hash: hash of the record before it in the same stream; 64 zeros for the first.
        hash: SHA-256 over previous hash and body, lower-case hex.
    """

    stream: str
    sequence: int
    body: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Filters of a look into the trail; newest first.

    Attributes:
        start: opaque position from an earlier page's ``next``.
    """

    limit: int
    start: str | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    initiator: str | None = None
    action: str | None = None
    target_id: str | None = None
    outcome: Outcome | None = None
    request_id: str | None = None
