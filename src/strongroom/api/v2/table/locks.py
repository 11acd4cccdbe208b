"""Operations on locks. Source: api-v2 section 2.4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.api.paging import page_body, parse_groups, parse_list, parse_search, parse_sort
from strongroom.api.v2.addressed import addressed, find_addressed
from strongroom.api.v2.mapping.locks import secret_lock, secret_locks
from strongroom.api.v2.schemas import locks as schemas
from strongroom.domain.access.actions import Action
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.locking import LockMode, NewLock
from strongroom.domain.secrets.lookup import find_version, visible_groups
from strongroom.domain.secrets.model import Lock, LockQuery, VersionAlias
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.result import Page

_SORT_KEYS: Final = frozenset({"created_at", "updated_at", "name"})
_NAMES_MOST: Final = 1000


def _create(call: Call, reference: str) -> Pending:
    secret = addressed(call)
    mode_text = call.parse_query(schemas.CreateLocksQuery).mode
    if mode_text is not None and mode_text not in set(LockMode):
        raise Invalid(ErrorCode.INVALID_FIELD, f"mode must be {' or '.join(LockMode)}.", field="mode")
    body = call.parse(schemas.SecretLocksPrototype)
    locks = [NewLock(name=lock.name, description=lock.description, attributes=lock.attributes) for lock in body.locks]
    mode = LockMode(mode_text) if mode_text is not None else None
    change = call.services.secrets.locking.create(call.principal, secret, reference, locks, mode)
    return Pending(commit=change.commit, reply=lambda found: Reply(body=secret_locks(found)))


def _delete(call: Call, reference: str | None) -> Pending:
    if call.query.get("name") == "":
        # Without names every lock goes; an empty list of names is not meant to do that.
        raise Invalid(ErrorCode.INVALID_FIELD, "name must hold at least one name, or be absent.", field="name")
    names = parse_list(call.parse_query(schemas.DeleteLocksQuery).name, field="name", most=_NAMES_MOST)
    change = call.services.secrets.locking.delete(addressed(call), reference, names or None)
    return Pending(commit=change.commit, reply=lambda found: Reply(body=secret_locks(found)))


def _query(call: Call) -> LockQuery:
    query = call.parse_query(schemas.LocksQuery)
    return LockQuery(
        limit=query.limit,
        offset=query.offset,
        search=parse_search(query.search),
        sort=parse_sort(query.sort, _SORT_KEYS),
    )


def _list(call: Call) -> Reply:
    secret, query = addressed(call), _query(call)
    page = call.services.storage.read(lambda unit: unit.locks.page_of_secret(secret.id, query))
    return Reply(body=page_body(call, page, "locks", secret_lock))


def _list_of_version(call: Call) -> Reply:
    secret, query = addressed(call), _query(call)

    def look_up(unit: ReadUnit) -> Page[Lock]:
        version = find_version(unit, secret, call.path["id"])
        return unit.locks.page_of_version(secret.id, version.id, query)

    return Reply(body=page_body(call, call.services.storage.read(look_up), "locks", secret_lock))


def _list_all(call: Call) -> Reply:
    query = call.parse_query(schemas.SecretsLocksQuery)
    lock_query = LockQuery(
        limit=query.limit,
        offset=query.offset,
        search=parse_search(query.search),
        groups=visible_groups(call.principal, Action.SECRETS_LOCKS_LIST, parse_groups(call, query.groups)),
    )
    page = call.services.storage.read(lambda unit: unit.locks.page_of_secrets(lock_query))
    return Reply(body=page_body(call, page, "secrets_locks", secret_locks))


def _operation(  # one shape for the six operations on one secret's or version's locks
    name: str,
    method: Literal["GET", "POST", "DELETE"],
    path: str,
    action: Action,
    handler: Callable[[Call], Reply | Pending],
    summary: str,
    **more: Any,
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        action=action,
        guard=find_addressed,
        handler=handler,
        work=Work.SCAN if method == "GET" else Work.WRITE,
        summary=summary,
        tag="Locks",
        target_type="secret",
        **more,
    )


_OF_SECRET: Final = "/api/v2/secrets/{id}"  # noqa: S105  (a path)
_OF_VERSION: Final = "/api/v2/secrets/{secret_id}/versions/{id}"
_CREATES: Final[dict[str, Any]] = {
    "status": 201,
    "request": schemas.SecretLocksPrototype,
    "query": schemas.CreateLocksQuery,
    "response": schemas.SecretLocks,
}
_DELETES: Final[dict[str, Any]] = {"query": schemas.DeleteLocksQuery, "response": schemas.SecretLocks}

OPERATIONS: Final = [
    Operation(
        name="list_secrets_locks",
        method="GET",
        path="/api/v2/secrets_locks",
        action=Action.SECRETS_LOCKS_LIST,
        handler=_list_all,
        work=Work.SCAN,
        summary="List secrets that carry locks",
        tag="Locks",
        query=schemas.SecretsLocksQuery,
        response=schemas.SecretsLocksPaginatedCollection,
        target_type="secret",
    ),
    _operation(
        "list_secret_locks",
        "GET",
        _OF_SECRET + "/locks",
        Action.SECRET_LOCKS_LIST,
        _list,
        "List a secret's locks",
        query=schemas.LocksQuery,
        response=schemas.SecretLocksPaginatedCollection,
    ),
    _operation(
        "create_secret_locks_bulk",
        "POST",
        _OF_SECRET + "/locks_bulk",
        Action.SECRET_LOCKS_CREATE,
        lambda call: _create(call, VersionAlias.CURRENT),
        "Lock the current version",
        **_CREATES,
    ),
    _operation(
        "delete_secret_locks_bulk",
        "DELETE",
        _OF_SECRET + "/locks_bulk",
        Action.SECRET_LOCKS_DELETE,
        lambda call: _delete(call, None),
        "Delete locks of a secret",
        **_DELETES,
    ),
    _operation(
        "list_secret_version_locks",
        "GET",
        _OF_VERSION + "/locks",
        Action.SECRET_VERSION_LOCKS_LIST,
        _list_of_version,
        "List a version's locks",
        query=schemas.LocksQuery,
        response=schemas.SecretVersionLocksPaginatedCollection,
    ),
    _operation(
        "create_secret_version_locks_bulk",
        "POST",
        _OF_VERSION + "/locks_bulk",
        Action.SECRET_VERSION_LOCKS_CREATE,
        lambda call: _create(call, call.path["id"]),
        "Lock a version",
        **_CREATES,
    ),
    _operation(
        "delete_secret_version_locks_bulk",
        "DELETE",
        _OF_VERSION + "/locks_bulk",
        Action.SECRET_VERSION_LOCKS_DELETE,
        lambda call: _delete(call, call.path["id"]),
        "Delete locks of a version",
        **_DELETES,
    ),
]
