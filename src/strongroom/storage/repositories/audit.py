"""The stored audit trail, read side, and its checkpoints.

The order of an export is that of ``pk``: within a stream it is also the order of the chain, because one
connection writes a stream. Times may be a little out of order (the record of a read waits for company),
so a window of time is widened until what it holds of every stream is in one piece.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Final

from strongroom.domain.audit.chain import checkpoint_line, record_line
from strongroom.domain.audit.record import AuditQuery, AuditRecord, Outcome
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection, Row
from strongroom.storage.pending import Pending
from strongroom.storage.statements import Statement, insert_into, sa, tables

_FIRST: Final = -(1 << 63)
_LAST: Final = (1 << 63) - 1
_POSITION: Final = re.compile(r"(-?\d{1,19})\.(\d{1,19})")
_POSITION_LENGTH: Final = 64


def _record_columns() -> list[sa.ColumnElement[Any]]:
    records = tables.audit_records.c
    return [records.stream, records.sequence, records.body, records.previous_hash, records.hash]


@cache
def _page(filters: tuple[str, ...]) -> Statement:
    def build(_: str) -> sa.Executable:
        records = tables.audit_records.c
        conditions: list[sa.ColumnElement[bool]] = []
        for name in filters:
            if name == "from":
                conditions.append(records.time >= sa.bindparam("from"))
            elif name == "to":
                conditions.append(records.time < sa.bindparam("to"))
            elif name == "start":
                at, pk = sa.bindparam("start_time", type_=sa.BigInteger), sa.bindparam("start_pk", type_=sa.BigInteger)
                conditions.append(sa.tuple_(records.time, records.pk) < sa.tuple_(at, pk))
            elif name == "trouble":
                # Spelt out, because the partial index serves only a statement that repeats its condition.
                conditions += [tables.is_not_success, records.outcome == sa.bindparam("outcome")]
            else:
                conditions.append(records[name] == sa.bindparam(name))
        return (
            sa.select(records.time, records.pk, *_record_columns())
            .where(*conditions)
            .order_by(records.time.desc(), records.pk.desc())
            .limit(sa.bindparam("limit"))
        )

    # The best index depends on which of several values is rare.
    return Statement("audit.page." + "_".join(filters), build, prepare=False)


def _export(_: str) -> sa.Executable:
    records = tables.audit_records.c
    return (
        sa.select(records.pk, *_record_columns())
        .where(records.pk > sa.bindparam("after"), records.pk <= sa.bindparam("last"))
        .order_by(records.pk)
        .limit(sa.bindparam("limit"))
    )


def _plain(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the column so that its own index does not tempt the planner.

    For the lowest ``pk`` of a time it would walk the whole table from the start, where the index of
    times has the answer in a range.
    """
    return column + sa.literal_column("0")


def _first_since(_: str) -> sa.Executable:
    records = tables.audit_records.c
    return sa.select(sa.func.min(_plain(records.pk))).where(records.time >= sa.bindparam("from"))


def _ends(_: str) -> sa.Executable:
    return sa.select(
        sa.select(sa.func.max(tables.audit_records.c.pk)).scalar_subquery(),
        sa.select(sa.func.max(tables.audit_checkpoints.c.pk)).scalar_subquery(),
    )


def _last_before(_: str) -> sa.Executable:
    records, checkpoints = tables.audit_records.c, tables.audit_checkpoints.c
    return sa.select(
        sa.select(sa.func.max(_plain(records.pk))).where(records.time < sa.bindparam("to")).scalar_subquery(),
        sa.select(sa.func.max(checkpoints.after_pk)).where(checkpoints.time < sa.bindparam("to")).scalar_subquery(),
    )


def _streams(_: str) -> sa.Executable:
    # Jumps from stream to stream along the unique key; grouping would walk every record.
    records, further = tables.audit_records.c, tables.audit_records.alias("further")
    names = sa.select(sa.func.min(records.stream).label("stream")).cte("streams", recursive=True)
    names = names.union_all(
        sa.select(
            sa.select(sa.func.min(further.c.stream)).where(further.c.stream > names.c.stream).scalar_subquery()
        ).where(names.c.stream.is_not(None))
    )
    return sa.select(names.c.stream).where(names.c.stream.is_not(None))


def _end_of_stream(_: str) -> sa.Executable:
    records = tables.audit_records.c
    return (
        sa.select(records.pk, records.sequence, records.hash)
        .where(records.stream == sa.bindparam("stream"))
        .order_by(records.sequence.desc())
        .limit(sa.literal_column("1"))
    )


def _place_in_stream(_: str) -> sa.Executable:
    records = tables.audit_records.c
    return (
        sa.select(records.pk, records.sequence, records.hash)
        .where(records.stream == sa.bindparam("stream"), records.sequence >= sa.bindparam("sequence"))
        .order_by(records.sequence)
        .limit(sa.literal_column("1"))
    )


def _after(_: str) -> sa.Executable:
    records = tables.audit_records.c
    return (
        sa.select(*_record_columns())
        .where(records.stream == sa.bindparam("stream"), records.sequence > sa.bindparam("sequence"))
        .order_by(records.sequence)
        .limit(sa.bindparam("limit"))
    )


def _checkpoints(_: str) -> sa.Executable:
    checkpoints = tables.audit_checkpoints.c
    return (
        sa.select(checkpoints.pk, checkpoints.after_pk, checkpoints.body, checkpoints.signature, checkpoints.public_key)
        .where(
            checkpoints.pk > sa.bindparam("after"),
            checkpoints.pk <= sa.bindparam("last"),
            checkpoints.time >= sa.bindparam("from"),
            checkpoints.time < sa.bindparam("to"),
        )
        .order_by(checkpoints.pk)
        .limit(sa.bindparam("limit"))
    )


_EXPORT = Statement("audit.export", _export)
_FIRST_SINCE = Statement("audit.first_since", _first_since)
_LAST_BEFORE = Statement("audit.last_before", _last_before)
_STREAMS = Statement("audit.streams", _streams)
_END_OF_STREAM = Statement("audit.end_of_stream", _end_of_stream)
_PLACE_IN_STREAM = Statement("audit.place_in_stream", _place_in_stream)
_AFTER = Statement("audit.after", _after)
_ENDS = Statement("audit.ends", _ends)
_CHECKPOINTS = Statement("audit.checkpoints", _checkpoints)
_ADD_CHECKPOINT = Statement("audit.add_checkpoint", lambda _: insert_into(tables.audit_checkpoints))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Export:
    """How far an export has come, and where it ends.

    The end is that of the first page, stream by stream: what other processes commit between two pages
    may have older numbers than what was passed already, and would leave holes.

    Attributes:
        record: ``pk`` of the last record passed.
        checkpoint: ``pk`` of the last checkpoint passed.
        last_record: ``pk`` of the last record there will be.
        last_checkpoint: ``pk`` of the last checkpoint there will be.
        heads: number of the last record of each stream.
    """

    record: int
    checkpoint: int
    last_record: int
    last_checkpoint: int
    heads: Mapping[str, int]


class SqlAudit:
    """Implements `AuditRepository`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection

    def page(self, query: AuditQuery) -> tuple[Sequence[AuditRecord], str | None]:
        """Return records newest first, and the position of the next page.

        ``from_time`` belongs to the window, ``to_time`` does not.

        Raises:
            Invalid: ``invalid_field`` if ``start`` is no position that a page gave.
        """
        filters, values = _filters(query)
        # One more than asked tells whether there is a next page.
        rows = self._connection.rows(_page(filters), **values, limit=query.limit + 1)
        following = _position(rows[query.limit - 1]) if len(rows) > query.limit else None
        return [_record(row[2:]) for row in rows[: query.limit]], following

    def export(
        self, from_time: datetime | None, to_time: datetime | None, *, after: str | None = None, limit: int = 1000
    ) -> tuple[Sequence[str], str | None]:
        """Return up to ``limit`` lines of an export in the order of storing, and where the next ones begin.

        ``from_time`` belongs to the window, ``to_time`` does not. A checkpoint comes right after the
        records that were there when it was made; one whose records are gone comes last. What was stored
        after the first page was read is in no page.
        """
        place = self._begin(from_time, to_time) if after is None else _Export(**json.loads(after))
        rows = self._connection.rows(_EXPORT, after=place.record, last=place.last_record, limit=limit)
        checkpoints = self._checkpoints(place, from_time, to_time, limit)
        is_last_chunk = len(rows) < limit
        unseen = _LAST if is_last_chunk else rows[-1][0] + 1
        lines: list[str] = []
        records, signed = iter(rows), iter(checkpoints)
        row, checkpoint = next(records, None), next(signed, None)
        while len(lines) < limit:
            if checkpoint is not None and checkpoint[1] < (unseen if row is None else row[0]):
                lines.append(checkpoint_line(*checkpoint[2:]))
                place = replace(place, checkpoint=checkpoint[0])
                checkpoint = next(signed, None)
            elif row is not None:
                if row[2] <= place.heads.get(row[1], 0):
                    lines.append(record_line(_record(row[1:])))
                place = replace(place, record=row[0])
                row = next(records, None)
            else:
                break
        is_over = is_last_chunk and len(checkpoints) < limit and row is None and checkpoint is None
        return lines, None if is_over else json.dumps(asdict(place), separators=(",", ":"))

    def heads(self, before: datetime | None = None) -> dict[str, tuple[int, str]]:
        """Return the last sequence and hash of every stream.

        With ``before``: of the records stored ahead of the first one whose time is ``before`` or
        later, which is where an export from that instant begins.
        """
        first = _LAST if before is None else self._window(before, None)[0]
        heads = {}
        for (stream,) in self._connection.rows(_STREAMS):
            head = self._head(stream, first)
            if head is not None:
                heads[stream] = head
        return heads

    def records_after(self, stream: str, sequence: int, limit: int) -> Sequence[AuditRecord]:
        """Return records of a stream behind a place in it, oldest first."""
        rows = self._connection.rows(_AFTER, stream=stream, sequence=sequence, limit=limit)
        return [_record(row) for row in rows]

    def add_checkpoint(self, at: datetime, body: str, signature: str, public_key: str) -> None:
        """Store a signed checkpoint."""
        newest, _ = self._ends()
        self._connection.run(
            _ADD_CHECKPOINT,
            time=to_microseconds(at),
            after_pk=newest,
            body=body,
            signature=signature,
            public_key=public_key,
        )

    def checkpoints(self, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, str, str, str]]:
        """Return ``(position, body, signature, public_key)`` of checkpoints, oldest first."""
        window = {"after": after, "last": _LAST, "from": _FIRST, "to": _LAST, "limit": limit}
        return [(row[0], row[2], row[3], row[4]) for row in self._connection.rows(_CHECKPOINTS, **window)]

    def _window(self, from_time: datetime | None, to_time: datetime | None) -> tuple[int, int]:
        """Return the first and the last ``pk`` between which an export leaves nothing out."""
        first, last = 0, _LAST
        if from_time is not None:
            row = self._connection.row(_FIRST_SINCE, **{"from": to_microseconds(from_time)})
            first = row[0] if row is not None and row[0] is not None else _LAST
        if to_time is not None:
            # A checkpoint that belongs to the window may name a record whose time lies behind its end.
            row = self._connection.row(_LAST_BEFORE, to=to_microseconds(to_time))
            last = max((pk for pk in row or () if pk is not None), default=0)
        return first, last

    def _begin(self, from_time: datetime | None, to_time: datetime | None) -> _Export:
        first, last = self._window(from_time, to_time)
        last_record, last_checkpoint = self._ends()
        return _Export(
            record=first - 1,
            checkpoint=0,
            last_record=min(last, last_record),
            last_checkpoint=last_checkpoint,
            heads={stream: sequence for stream, (sequence, _) in self.heads().items()},
        )

    def _ends(self) -> tuple[int, int]:
        """Return the newest ``pk`` of records and of checkpoints."""
        row = self._connection.row(_ENDS)
        records, checkpoints = row or (None, None)
        return records or 0, checkpoints or 0

    def _checkpoints(
        self, place: _Export, from_time: datetime | None, to_time: datetime | None, limit: int
    ) -> list[Row]:
        window = {
            "after": place.checkpoint,
            "last": place.last_checkpoint,
            "from": _FIRST if from_time is None else to_microseconds(from_time),
            "to": _LAST if to_time is None else to_microseconds(to_time),
            "limit": limit,
        }
        return self._connection.rows(_CHECKPOINTS, **window)

    def _head(self, stream: str, first: int) -> tuple[int, str] | None:
        """Return number and hash of the stream's last record ahead of the ``pk`` ``first``.

        Searched by halving: both numbers grow together.
        """
        end = self._connection.row(_END_OF_STREAM, stream=stream)
        if end is None or end[0] < first:
            return None if end is None else (end[1], end[2])
        head = None
        low, high = 0, end[1]
        while low < high:
            middle = (low + high) // 2
            # What the first record at or behind the middle is; numbers may lack in a trail that was cut.
            row = self._connection.row(_PLACE_IN_STREAM, stream=stream, sequence=middle)
            if row is not None and row[0] < first:
                head = (row[1], row[2])
                low = row[1] + 1
            else:
                high = middle
        return head


def _filters(query: AuditQuery) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return which conditions the query has, and their values."""
    filters: list[str] = []
    values: dict[str, Any] = {}
    if query.start is not None:
        filters.append("start")
        values["start_time"], values["start_pk"] = _read_position(query.start)
    for name, instant in (("from", query.from_time), ("to", query.to_time)):
        if instant is not None:
            filters.append(name)
            values[name] = to_microseconds(instant)
    wanted: Mapping[str, str | None] = {
        "initiator": query.initiator,
        "action": query.action,
        "target_id": query.target_id,
        "request_id": query.request_id,
    }
    for name, value in wanted.items():
        if value is not None:
            filters.append(name)
            values[name] = value
    if query.outcome is not None:
        filters.append("outcome" if query.outcome is Outcome.SUCCESS else "trouble")
        values["outcome"] = query.outcome.value
    return tuple(filters), values


def _position(row: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(f"{row[0]}.{row[1]}".encode()).decode().rstrip("=")


def _read_position(text: str) -> tuple[int, int]:
    try:
        if len(text) > _POSITION_LENGTH:
            raise ValueError
        padded = text + "=" * (-len(text) % 4)
        match = _POSITION.fullmatch(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
        if match is None:
            raise ValueError
        time, pk = int(match[1]), int(match[2])
        if not (_FIRST <= time <= _LAST and pk <= _LAST):
            raise ValueError
    except (ValueError, binascii.Error):
        raise Invalid(
            ErrorCode.INVALID_FIELD,
            "start must be a position that an earlier page gave in its next link.",
            field="start",
        ) from None
    return time, pk


def _record(row: Sequence[Any]) -> AuditRecord:
    stream, sequence, body, previous_hash, digest = row
    return AuditRecord(stream=stream, sequence=sequence, body=body, previous_hash=previous_hash, hash=digest)
