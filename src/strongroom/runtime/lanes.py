"""Lanes of the worker: kinds of jobs that share threads, so that what one lane waits for holds up no other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from strongroom.domain.jobs.model import Job
from strongroom.domain.jobs.steps import JobHandler

SLOW: Final = timedelta(seconds=5)
"""A step that takes longer gets a stand-in for its thread, so that others need not wait for it."""
STAND_INS: Final = 6
"""In each lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Kinds of jobs that have threads to themselves, started when there is work.

    Attributes:
        name: part of the names of its threads.
        handlers: one for each kind.
        threads: so many steps run at once; those that take long do not count.
    """

    name: str
    handlers: Sequence[JobHandler]
    threads: int


@dataclass(slots=True, eq=False)
class Run:
    """A step that a thread of this process is doing.

    Attributes:
        lost: whether the job belongs to somebody else by now.
        stored_by: the unit of work that wrote what came of the step. Set inside of it, so that a
            renewal or a hand-back queued behind it does not undo it (the fence is still the same);
            which unit it was, because the store may run a unit twice.
    """

    job: Job
    since: float
    lost: bool = False
    stored_by: object = None


@dataclass(slots=True, eq=False)
class Crew:
    """The threads of a lane, guarded by the worker's condition.

    Attributes:
        threads: how many there are.
        runs: the steps in hand.
    """

    name: str
    kinds: tuple[str, ...]
    size: int
    threads: int = 0
    runs: set[Run] = field(default_factory=set)

    def wanted(self) -> int:
        """Return how many threads it may have now."""
        began = time.monotonic() - SLOW.total_seconds()
        return self.size + min(sum(run.since < began for run in self.runs), STAND_INS)
