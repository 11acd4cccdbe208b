"""What a unit leaves for the end of its batch.

Counters and the generation are single rows that many units touch; the trigram table writes a segment
at every savepoint. So units only note such changes, and the writer applies them once per batch, in one
fixed order, just before the commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from strongroom.domain.audit.record import AuditEntry
from strongroom.storage.engine import WriteConnection
from strongroom.storage.statements import SQLITE, Statement, conflict_insert, sa, tables

ADD_COUNT: Final = Statement(
    "pending.add_count",
    lambda _: (
        (insert := conflict_insert(tables.secret_counts))
        .values(group_no=sa.bindparam("group_no"), type_no=sa.bindparam("type_no"), total=sa.bindparam("delta"))
        .inline()
        .on_conflict_do_update(
            index_elements=["group_no", "type_no"],
            set_={"total": tables.secret_counts.c.total + insert.excluded.total},
        )
    ),
)

MOVE_GENERATION: Final = Statement(
    "pending.move_generation",
    lambda _: sa.update(tables.identity_generation).values(
        generation=tables.identity_generation.c.generation + sa.bindparam("steps", type_=sa.BigInteger)
    ),
)

EVENT_COLUMNS: Final = ("event_type", "sub_type", "secret_id", "group_id", "at", "payload")

JOBS_CHANNEL: Final = "strongroom_jobs"
"""Where PostgreSQL tells everybody who listens that there are new jobs."""
TELL_OF_JOBS: Final = Statement("pending.tell_of_jobs", lambda _: f"NOTIFY {JOBS_CHANNEL}")

# FTS5 takes commands through a column that has the table's name.
FORGET_TEXT: Final = Statement(
    "pending.forget_text",
    lambda _: sa.text("INSERT INTO secret_trigrams (secret_trigrams, rowid, text) VALUES ('delete', :pk, :text)"),
)


class Pending:
    """Changes that wait for the end of the batch: of one unit, or of all units that succeeded.

    Args:
        within: the batch's own notes, which a unit has to see as if they were stored.
    """

    __slots__ = ("_within", "counts", "entries", "events", "generation", "has_jobs", "texts")

    def __init__(self, within: Pending | None = None) -> None:
        self._within = within
        self.entries: list[AuditEntry] = []
        self.events: list[tuple[Any, ...]] = []
        self.counts: Counter[tuple[int, int]] = Counter()
        self.generation = 0
        self.has_jobs = False
        self.texts: list[tuple[bool, int, str]] = []

    def count(self, group_no: int, type_no: int, delta: int) -> None:
        """Note that a group has more or fewer secrets of a type."""
        self.counts[group_no, type_no] += delta

    def move_generation(self) -> None:
        """Note that identities or grants changed."""
        self.generation += 1

    def tell_of_job(self) -> None:
        """Note that a job was queued."""
        self.has_jobs = True

    def index_text(self, pk: int, text: str) -> None:
        """Note the search text of a secret."""
        self.texts.append((True, pk, text))

    def forget_text(self, pk: int, text: str) -> None:
        """Note that a search text, which must be the indexed one, is no longer."""
        self.texts.append((False, pk, text))

    def waiting_counts(self) -> Counter[tuple[int, int]]:
        """Return what to add to the stored counters, to see them as this unit left them."""
        return Counter(self.counts) if self._within is None else _sum(self.counts, self._within.counts)

    def waiting_generation(self) -> int:
        """Return what to add to the stored generation."""
        return self.generation + (self._within.generation if self._within else 0)

    @property
    def has_texts(self) -> bool:
        """Tell whether search texts changed whose trigrams are not stored yet."""
        return bool(self.texts or (self._within and self._within.texts))

    def absorb(self, unit: Pending) -> None:
        """Take over what a unit noted that succeeded."""
        self.entries += unit.entries
        self.events += unit.events
        self.counts.update(unit.counts)
        self.generation += unit.generation
        self.has_jobs = self.has_jobs or unit.has_jobs
        self.texts += unit.texts

    def apply(self, connection: WriteConnection) -> None:
        """Write everything but the audit entries."""
        # Sorted, so that two processes never hold each other's counters.
        for (group_no, type_no), delta in sorted(self.counts.items()):
            if delta:
                connection.run(ADD_COUNT, group_no=group_no, type_no=type_no, delta=delta)
        if self.generation:
            connection.run(MOVE_GENERATION, steps=self.generation)
        if self.events:
            connection.insert("events", EVENT_COLUMNS, self.events)
        if connection.dialect == SQLITE:
            _apply_texts(connection, self.texts)
        elif self.has_jobs:
            # Sent with the commit; nobody hears of what is rolled back.
            connection.run(TELL_OF_JOBS)


def _apply_texts(connection: WriteConnection, texts: Iterable[tuple[bool, int, str]]) -> None:
    for is_new, changes in groupby(texts, key=itemgetter(0)):
        if is_new:
            connection.insert("secret_trigrams", ("rowid", "text"), [change[1:] for change in changes])
            continue
        for _, pk, text in changes:
            connection.run(FORGET_TEXT, pk=pk, text=text)


def _sum(one: Counter[tuple[int, int]], other: Counter[tuple[int, int]]) -> Counter[tuple[int, int]]:
    """Add two counters, keeping what is below zero."""
    total = Counter(one)
    total.update(other)
    return total
