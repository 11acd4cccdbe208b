"""Allow or refuse: deny by default, and 403 or 404 as ruled in one place."""

from __future__ import annotations

from typing import NoReturn

from strongroom.domain.access.actions import Action
from strongroom.domain.access.principals import Principal, Scope
from strongroom.kernel.errors import ErrorCode, Forbidden, NotFound
from strongroom.kernel.ids import GroupId


def require(principal: Principal, action: Action) -> Scope:
    """Refuse a caller that may do the action nowhere.

    Raises:
        Forbidden: the caller's roles do not include the action in any group.
    """
    scope = principal.scope(action)
    if not scope:
        refuse(action)
    return scope


def require_instance(principal: Principal, action: Action) -> None:
    """Refuse a caller without the action on the whole instance.

    Raises:
        Forbidden: no role on the instance includes the action.
    """
    if not principal.scope(action).everywhere:
        refuse(action)


def require_group(principal: Principal, action: Action, group_id: GroupId) -> None:
    """Refuse a caller without the action in the group.

    Raises:
        Forbidden: neither a role on the instance nor one on the group includes it.
    """
    if not principal.scope(action).covers(group_id):
        refuse(action)


def refuse(action: Action) -> NoReturn:
    """Raise the refusal, naming the action that is missing."""
    raise Forbidden(
        ErrorCode.FORBIDDEN,
        f"You are not allowed to do this: it needs the action {action.audit_name}.",
        hint="Ask an administrator for a role that includes it.",
    )


def unknown(principal: Principal, action: Action, what: str) -> NoReturn:
    """Raise for an id that does not exist: 404 only for callers that hold the action somewhere.

    Raises:
        NotFound: the caller holds the action somewhere.
        Forbidden: it does not, so it may not learn that the id is unknown.

    Source: design, section 8, "403 or 404".
    """
    require(principal, action)
    raise NotFound(ErrorCode.NOT_FOUND, f"{what} was not found.")
