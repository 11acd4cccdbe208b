"""Durable jobs as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from strongroom.kernel.ids import GroupId, JobId, SecretId


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """The last thing that went wrong."""

    code: str
    message: str
    reference_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of long work, done one small repeatable step at a time.

    Attributes:
        kind: which handler runs it (``secret.expire``, ``secret.rotate``, ...).
        dedupe_key: at most one job that has not ended carries it.
        step: name of the step that runs next.
        data: what earlier steps learned; ids and counters, never secret values.
        attempts: how often the present step was tried.
        waiting_for: what it waits for, in words.
        run_at: not before this instant.
        lease_owner: worker that runs it now; others leave it alone until ``lease_until``.
        fence: grows with every claim; a write with an old fence is refused.
    """

    id: JobId
    kind: str
    dedupe_key: str
    state: JobState
    step: str
    data: Mapping[str, Any] = field(default_factory=dict)
    secret_id: SecretId | None = None
    group_id: GroupId | None = None
    attempts: int = 0
    waiting_for: str | None = None
    last_error: JobError | None = None
    run_at: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    fence: int = 0
    result: Mapping[str, Any] | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Filters and window of a list of jobs; newest first.

    Attributes:
        groups: jobs about secrets of these groups; ``None`` means every group.
        include_instance: whether jobs without a secret are listed too.
    """

    limit: int
    offset: int = 0
    kind: str | None = None
    state: JobState | None = None
    secret_id: SecretId | None = None
    groups: frozenset[GroupId] | None = None
    include_instance: bool = True
