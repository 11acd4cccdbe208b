"""Operations on the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Final
from urllib.parse import urlencode

from strongroom.api.extensions import schemas
from strongroom.api.extensions.jobs import start_job
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.chain import record_document
from strongroom.domain.audit.record import AuditQuery, Outcome, Target
from strongroom.domain.audit.service import VERIFY_KIND
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.time import parse_rfc3339

_TAG: Final = "Audit"
_TYPE: Final = "audit-trail"
_PATH: Final = "/api/v2/audit_events"
_PART_BYTES: Final = 64 * 1024


def _list(call: Call) -> Reply:
    query = call.parse_query(schemas.AuditEventsQuery)
    from_time, to_time = _window(query)
    wanted = AuditQuery(
        limit=query.limit,
        start=query.start,
        from_time=from_time,
        to_time=to_time,
        initiator=query.initiator,
        action=query.action,
        target_id=query.target_id,
        outcome=Outcome(query.outcome) if query.outcome else None,
        request_id=query.request_id,
    )
    records, following = call.services.storage.read(lambda unit: unit.audit_trail.page(wanted))
    body = {
        "audit_events": [record_document(record) for record in records],
        "limit": query.limit,
        "first": _link(call, query.limit, None),
    }
    if following is not None:
        body["next"] = _link(call, query.limit, following)
    return Reply(body=body)


def _export(call: Call) -> Reply:
    from_time, to_time = _window(call.parse_query(schemas.AuditExportQuery))
    parts = _parts(call.services.audit.export(from_time, to_time))
    # The first part is read before the answer begins: what goes wrong until then is a proper error.
    first = next(parts, b"")
    return Reply(stream=chain([first], parts) if first else iter(()), content_type="application/x-ndjson")


def _parts(lines: Iterator[str]) -> Iterator[bytes]:
    """Join lines to parts that are worth sending."""
    part = bytearray()
    for line in lines:
        part += line.encode()
        part += b"\n"
        if len(part) >= _PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _verify(call: Call) -> Pending:
    call.target = Target(type=_TYPE)
    return start_job(call, VERIFY_KIND)


def _window(query: schemas.AuditExportQuery) -> tuple[datetime | None, datetime | None]:
    from_time = parse_rfc3339(query.from_, field="from") if query.from_ else None
    to_time = parse_rfc3339(query.to, field="to") if query.to else None
    if from_time is not None and to_time is not None and from_time > to_time:
        raise Invalid(ErrorCode.INVALID_FIELD, "from must not be later than to.", field="from")
    return from_time, to_time


def _link(call: Call, limit: int, start: str | None) -> dict[str, str]:
    others = {name: value for name, value in call.query.items() if value and name not in {"limit", "start"}}
    position = {} if start is None else {"start": start}
    return {"href": f"{call.base_url}{_PATH}?{urlencode({'limit': limit, **position, **others})}"}


OPERATIONS: Final = [
    Operation(
        name="list_audit_events",
        method="GET",
        path=_PATH,
        action=Action.AUDIT_READ,
        handler=_list,
        work=Work.SCAN,
        summary="Look into the audit trail",
        description="Newest first. `from` belongs to the window, `to` does not. There is no total.",
        tag=_TAG,
        query=schemas.AuditEventsQuery,
        response=schemas.AuditEventCollection,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="export_audit_events",
        method="GET",
        path=f"{_PATH}/export",
        action=Action.AUDIT_READ,
        handler=_export,
        work=Work.SCAN,
        summary="Export the audit trail",
        description="One JSON object per line, oldest first, signed checkpoints included; "
        "`strongroom audit verify FILE` checks it without a server.",
        tag=_TAG,
        query=schemas.AuditExportQuery,
        response=schemas.AuditEvent,
        response_content_type="application/x-ndjson",
        target_type=_TYPE,
        audit_as="audit.export",
        extension=True,
    ),
    Operation(
        name="create_audit_verification",
        method="POST",
        path="/api/v2/audit_verifications",
        action=Action.AUDIT_READ,
        handler=_verify,
        work=Work.WRITE,
        summary="Check the audit trail",
        description="Starts a job; its `result` has `verified`, `streams`, `records` and, if not verified, "
        "`first_broken`.",
        tag=_TAG,
        status=202,
        request=schemas.EmptyRequest,
        body_required=False,
        response=schemas.Job,
        target_type=_TYPE,
        audit_as="audit.verify",
        extension=True,
    ),
]
