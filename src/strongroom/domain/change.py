"""The second phase of an operation: what is left to do inside one short unit of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from strongroom.domain.ports import Unit
from strongroom.kernel.errors import Conflict, StrongroomError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A prepared change.

    Everything slow has happened already, with no unit of work open. ``commit`` runs inside one
    unit, re-checks what the preparation relied on, writes, and returns the result.
    """

    commit: Callable[[Unit], T]


class Overtaken(Conflict):
    """What a change was prepared with is not as it was; prepared again, the change may well go through."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A commit's result when the refusal itself must be recorded (a "blocked" event).

    Raising inside a unit rolls everything back, the event included; so the unit returns this,
    and ``error`` is raised once the event is on disk.
    """

    error: StrongroomError
