"""Runs operations: authenticate, authorise, read the body, handle, commit, audit, answer.

The only asynchronous code. Handlers are synchronous and run on the event loop when their work is
short, else in a thread; changes go to the store's writer and are awaited.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec

from strongroom.api.asgi import Receive, Scope, Send
from strongroom.api.bodies import read_body
from strongroom.api.client_address import ClientAddress
from strongroom.api.lanes import Lane
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.api.problems import bugs_hidden, errors_reply, status_of, visible_detail
from strongroom.api.refusals import AnonymousRefusals
from strongroom.api.services import Services
from strongroom.domain.access.decide import require
from strongroom.domain.access.principals import ANONYMOUS
from strongroom.domain.audit.record import AuditEntry, Initiator, Outcome, Reason, Target
from strongroom.domain.change import Overtaken, Refused
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Invalid,
    NotFound,
    StrongroomError,
    Unauthenticated,
)
from strongroom.kernel.ids import AuditId, new_uuid
from strongroom.kernel.secret import scrub

T = TypeVar("T")
Encoder = Callable[[Any], bytes]

_encode: Final[Encoder] = msgspec.json.Encoder().encode
_BASE_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000"),
)
_MAX_TOKEN: Final = 16_384
_MAX_PARAMETERS: Final = 100
_MAX_TARGET: Final = 512
_MAX_REASON: Final = 2048
_ID: Final = re.compile(r"default|(?:[A-Za-z]{1,16}-){0,2}[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,256}")
_CONTROLS: Final = dict.fromkeys([*range(0x20), 0x7F], "\N{REPLACEMENT CHARACTER}")
_LOOP_WORK: Final = (Work.POINT, Work.WRITE)
_LARGE_BODY: Final = 64 * 1024
"""Taking a larger body apart would hold up every other request; it is done in a thread."""
_PATIENCE_S: Final = 0.5
"""After so long a caller's rights are looked at again."""
_COUNTED_FOR_S: Final = 5.0
"""So long refusals of unknown callers may be counted before they are in the trail."""
_REPEATS: Final = 2
"""So often a change is prepared again that was overtaken by another."""
_SLOW_THREADS: Final = 4
_SLOW_WAITING: Final = 200
"""Each holds its request body in memory."""
_OUTSIDE_THREADS: Final = 8
_OUTSIDE_WAITING: Final = 100
_PUBLISHED_THREADS: Final = 4
_PUBLISHED_WAITING: Final = 1000


class Observer(Protocol):
    """Hears about requests: metrics and the access log."""

    def finished(self, call: Call, status: int, seconds: float) -> None:
        """Note an answered request."""
        ...

    def crashed(self, call: Call, error: BaseException) -> None:
        """Note a bug; the only place where its text goes."""
        ...


class Edge:
    """Runs every operation the same way."""

    def __init__(self, services: Services, observer: Observer, addresses: ClientAddress, *, threads: int = 8) -> None:
        self._services = services
        self._observer = observer
        self._addresses = addresses
        self._inline = services.storage.reads_inline
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="strongroom-request")
        # Of their own: a few requests for big RSA keys must not keep logins, lists and reads waiting, and neither must
        # a flood of questions by anybody, or servers elsewhere that do not answer.
        self._lanes = {
            Work.SLOW_WRITE: Lane(
                "strongroom-slow",
                threads=_SLOW_THREADS,
                waiting=_SLOW_WAITING,
                full="Too many requests that need keys or checks wait already.",
            ),
            Work.OUTSIDE: Lane(
                "strongroom-outside",
                threads=_OUTSIDE_THREADS,
                waiting=_OUTSIDE_WAITING,
                full="Too many requests that ask other servers wait already.",
            ),
            Work.PUBLISHED: Lane(
                "strongroom-published",
                threads=_PUBLISHED_THREADS,
                waiting=_PUBLISHED_WAITING,
                full="Too many requests for revocation lists and the like wait already.",
            ),
        }
        self._refusals = AnonymousRefusals()
        self._flushing: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """End the worker threads after their present work."""
        self._flush_refusals()
        self._threads.shutdown(wait=True)
        for lane in self._lanes.values():
            lane.close()

    async def run(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one request through its operation and answer it."""
        started = time.perf_counter()
        headers = _headers(scope)
        call = self._call(operation, scope, headers)
        try:
            reply = await bugs_hidden(self._answer(call, scope, receive), partial(self._observer.crashed, call))
        except StrongroomError as error:
            reply = await self._refuse(call, error)
        status = reply.status or operation.status
        if "strongroom.allow" in scope:
            reply.headers = {**reply.headers, "Allow": scope["strongroom.allow"]}
        await self._send(call, reply, status, send, head=scope["method"] == "HEAD")
        self._observer.finished(call, status, time.perf_counter() - started)

    def _call(self, operation: Operation, scope: Scope, headers: Mapping[str, str]) -> Call:
        address, base_url = self._addresses.of(scope, headers)
        return Call(
            operation=operation,
            services=self._services,
            principal=ANONYMOUS,
            path=scope.get("path_params") or {},
            query={},
            headers=headers,
            address=address,
            request_id=new_uuid(),
            base_url=base_url,
            target=Target(type=operation.target_type),
        )

    async def _answer(self, call: Call, scope: Scope, receive: Receive) -> Reply:
        reply = await self._outcome(call, scope, receive)
        if reply.body is not None and not isinstance(reply.body, bytes):
            # Here, where a value that cannot be encoded is still answered as the bug it is.
            reply.body = _encode(reply.body)
        return reply

    async def _outcome(self, call: Call, scope: Scope, receive: Receive) -> Reply:
        operation = call.operation
        await self._authorise(call)
        _check_path(call)
        if scope["query_string"]:
            call.query = _query(scope["query_string"])
        if operation.guard is not None:
            await self._do(operation.guard, call, Work.POINT)
        _check_accept(call)
        if operation.method in ("POST", "PUT", "PATCH"):
            await self._read_body(call, receive)
        outcome = await self._do(operation.handler, call, _work_of(call))
        repeats = _REPEATS
        while isinstance(outcome, Pending):
            try:
                return await self._commit(call, outcome)
            except Overtaken:
                if not repeats:
                    raise
            repeats -= 1
            outcome = await self._prepared_again(call)
        if operation.audit:
            await self._record(self._entry(call, Outcome.SUCCESS))
        return outcome

    async def _authorise(self, call: Call) -> None:
        operation = call.operation
        if operation.action == "public":
            return
        token = _bearer(call.headers)
        authenticator = self._services.authenticator
        known = authenticator.cached(token, call.address)
        if known is None:
            known = await self._do(lambda _: authenticator.authenticate(token, call.address), call, Work.POINT)
        call.principal = known
        other = operation.or_action
        if other is None or not call.principal.scope(other).everywhere:
            require(call.principal, operation.action)

    async def _read_body(self, call: Call, receive: Receive) -> None:
        began = time.perf_counter()
        limit = self._services.limits.request_bytes
        call.raw_body = await read_body(call, receive, min(limit, call.operation.most_bytes or limit))
        if time.perf_counter() - began > _PATIENCE_S:
            # A body may drip in for a minute. What was allowed at its begin may have been taken away meanwhile.
            await self._authorise(call)
            if call.operation.guard is not None:
                await self._do(call.operation.guard, call, Work.POINT)

    async def _commit(self, call: Call, pending: Pending) -> Reply:
        def unit_of_work(unit: Unit) -> Any:
            result = pending.commit(unit)
            if call.operation.audit and not isinstance(result, Refused):
                unit.audit(self._entry(call, Outcome.SUCCESS))
            return result

        result = await asyncio.wrap_future(self._services.storage.submit(unit_of_work))
        if isinstance(result, Refused):
            raise result.error
        return pending.reply(result)

    async def _prepared_again(self, call: Call) -> Reply | Pending:
        """Prepare anew what was overtaken, from what there is now."""
        if call.operation.guard is not None:
            await self._do(call.operation.guard, call, Work.POINT)
        return await self._do(call.operation.handler, call, _work_of(call))

    async def _do(self, fn: Callable[[Call], T], call: Call, work: Work) -> T:
        lane = self._lanes.get(work)
        if lane is not None:
            return await lane.run(partial(fn, call))
        if self._inline and work in _LOOP_WORK:
            return fn(call)
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn, call)

    async def _refuse(self, call: Call, error: StrongroomError) -> Reply:
        if call.operation.audit:
            denied = isinstance(error, Unauthenticated | Forbidden)
            reason = Reason(
                code=str(status_of(error)),
                type="Unauthorized" if denied else error.code.value,
                message=_one_line(visible_detail(error), _MAX_REASON),
            )
            outcome = Outcome.DENIED if denied else Outcome.FAILURE
            entry = self._entry(call, outcome, reason)
            records = [entry] if call.principal is not ANONYMOUS else self._refusals.admit(entry)
            if not records and self._flushing is None:
                self._flushing = asyncio.get_running_loop().call_later(_COUNTED_FOR_S, self._flush_refusals)
            try:
                for record in records:
                    await self._record(record)
            except StrongroomError as unrecorded:
                # Nothing is told that the trail cannot hold; the client may try again.
                error = unrecorded
        if call.operation.problems is not None:
            return call.operation.problems(error, call.request_id)
        return errors_reply(error, call.request_id, call.base_url)

    async def _record(self, entry: AuditEntry) -> None:
        waiting = self._services.storage.record(entry)
        if waiting is not None:
            await asyncio.wrap_future(waiting)

    def _flush_refusals(self) -> None:
        self._flushing = None
        # Refused by a store that is closed or full: then there is nobody left to tell.
        with suppress(StrongroomError):
            for record in self._refusals.flush():
                self._services.storage.record(record)

    def _entry(self, call: Call, outcome: Outcome, reason: Reason | None = None) -> AuditEntry:
        principal = call.principal
        return AuditEntry(
            id=AuditId(call.request_id),
            time=self._services.clock.now(),
            initiator=Initiator(
                id=principal.iam_id,
                name=principal.name,
                type=principal.kind.value,
                address=call.address,
                credential_id=principal.credential_id,
            ),
            action=call.operation.audit_name,
            target=_storable(call.target if reason is None else _named_safely(call.target)),
            outcome=outcome,
            reason=reason,
            request_id=call.request_id,
        )

    async def _send(self, call: Call, reply: Reply, status: int, send: Send, *, head: bool) -> None:
        headers = [*_BASE_HEADERS, (b"x-global-transaction-id", call.request_id.encode())]
        if reply.headers:
            own = {name.lower().encode(): _header_value(value) for name, value in reply.headers.items()}
            # Beside `no-store` nothing that an answer says of caches would count.
            headers = [*(item for item in headers if item[0] not in own), *own.items()]
        if reply.stream is not None:
            headers.append((b"content-type", reply.content_type.encode()))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await self._stream(reply.stream, send, head=head)
            return
        body = b""
        if reply.body is not None:
            body = reply.body if isinstance(reply.body, bytes) else _encode(reply.body)
            headers.append((b"content-type", reply.content_type.encode()))
        if status != 204:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})

    async def _stream(self, parts: Iterator[bytes], send: Send, *, head: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not head and (part := await loop.run_in_executor(self._threads, next, parts, None)) is not None:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        finally:
            # What a generator holds, such as a place in the store, is let go of now, whoever stopped first.
            close = getattr(parts, "close", None)
            if close is not None:
                await loop.run_in_executor(self._threads, close)
        await send({"type": "http.response.body", "body": b""})


class PathEndpoint:
    """All methods of one path, as an ASGI application."""

    def __init__(self, edge: Edge, operations: Sequence[Operation], fallback: Operation) -> None:
        self._edge = edge
        self._by_method: dict[str, Operation] = {operation.method: operation for operation in operations}
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]
        self._allow = ", ".join(sorted(self._by_method))
        self._fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the operation of the request's method, or answer 405."""
        operation = self._by_method.get(scope["method"])
        if operation is None:
            scope["strongroom.allow"] = self._allow
            operation = self._fallback
        await self._edge.run(operation, scope, receive, send)


def not_found(_: Call) -> Reply:
    """Answer a path that no operation has."""
    raise NotFound(ErrorCode.NOT_FOUND, "There is no such path here.", hint="The paths are listed in /openapi.json.")


def method_not_allowed(_: Call) -> Reply:
    """Answer a method that the path does not have."""
    raise Conflict(
        ErrorCode.METHOD_NOT_ALLOWED,
        "This path does not have that method.",
        hint="The methods are listed in /openapi.json.",
    )


def _work_of(call: Call) -> Work:
    """Tell where a request belongs whose body has been read."""
    if len(call.raw_body) <= _LARGE_BODY:
        return call.operation.work_of(call)
    # Not asked about its contents: that, too, would take it apart here.
    work = call.operation.work
    return Work.SCAN if work in _LOOP_WORK else work


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _query(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except (UnicodeError, ValueError):
        # Reading around the broken part would widen a filter or a delete.
        raise Invalid(
            ErrorCode.MALFORMED_REQUEST,
            f"The query must be at most {_MAX_PARAMETERS} parameters, percent-encoded in UTF-8.",
        ) from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "A query parameter is given twice; join lists with commas.")
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise Invalid(ErrorCode.MALFORMED_REQUEST, "The query must not hold NUL characters.")
    return query


def _check_path(call: Call) -> None:
    # No name or id holds one, and PostgreSQL cannot even look for it.
    if any("\0" in value for value in call.path.values()):
        not_found(call)


def _named_safely(target: Target) -> Target:
    """Drop what a refused request wrote where a name or an id belongs, and what is neither.

    People paste keys and passwords into the wrong fields; the trail keeps its records for ever.
    """
    chosen = {
        "id": (target.id, _ID),
        "name": (target.name, _PLAIN_NAME),
        "secret_group_id": (target.secret_group_id, _ID),
    }
    dropped: dict[str, Any] = {
        name: None
        for name, (text, form) in chosen.items()
        if text is not None and (form.fullmatch(text) is None or scrub(text) != text)
    }
    return replace(target, **dropped) if dropped else target


def _storable(target: Target) -> Target:
    """Keep what a client chose readable in the trail; PostgreSQL takes no NUL at all."""
    if _is_plain(target.id) and _is_plain(target.name) and _is_plain(target.secret_group_id):
        return target
    chosen = {"id": target.id, "name": target.name, "secret_group_id": target.secret_group_id}
    cleaned = {name: _one_line(text, _MAX_TARGET) for name, text in chosen.items() if text is not None}
    return replace(target, **cleaned)


def _is_plain(text: str | None) -> bool:
    return text is None or (len(text) <= _MAX_TARGET and text.isprintable())


def _one_line(text: str, most: int) -> str:
    return text[:most].translate(_CONTROLS)


def _header_value(value: str) -> bytes:
    # A line break would begin a header of its own.
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")


def _bearer(headers: Mapping[str, str]) -> str:
    value = headers.get("authorization", "")
    scheme, _, token = value.partition(" ")
    token = token.strip()
    if not value:
        raise Unauthenticated(
            ErrorCode.TOKEN_MISSING,
            "The request has no Authorization header.",
            hint="Send 'Authorization: Bearer <token>' with a token from POST /identity/token.",
        )
    if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN:
        raise Unauthenticated(ErrorCode.TOKEN_INVALID, "The Authorization header must be 'Bearer' and an access token.")
    return token


def _check_accept(call: Call) -> None:
    accept = call.headers.get("accept")
    if not accept or call.operation.response is None:
        return
    wanted = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    offered = call.operation.response_content_type.partition(";")[0]
    if not wanted & {"*/*", offered, f"{offered.partition('/')[0]}/*", "application/json"}:
        raise Invalid(
            ErrorCode.NOT_ACCEPTABLE,
            f"This operation answers {offered}; the Accept header excludes it.",
            field="Accept",
        )
