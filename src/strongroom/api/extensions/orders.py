"""Operations on orders of public certificates, and the list of coming renewals."""

from __future__ import annotations

from typing import Final

from strongroom.api.extensions import order_schemas as schemas
from strongroom.api.extensions.mapping import order_body, renewal_body
from strongroom.api.operations import Call, Operation, Reply, Work
from strongroom.api.paging import page_body, parse_groups
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.jobs.model import JobState
from strongroom.kernel.ids import SecretId
from strongroom.kernel.time import parse_rfc3339

_TAG: Final = "Orders and renewals"
_TYPE: Final = "order"


def _list(call: Call) -> Reply:
    query = call.parse_query(schemas.OrdersQuery)
    groups = parse_groups(call, query.groups)
    page = call.services.storage.read(
        lambda unit: call.services.order_views.orders(
            unit,
            call.principal,
            limit=query.limit,
            offset=query.offset,
            state=JobState(query.state) if query.state else None,
            secret_id=SecretId(query.secret_id) if query.secret_id else None,
            groups=groups,
        )
    )
    return Reply(body=page_body(call, page, "orders", order_body))


def _get(call: Call) -> Reply:
    order_id = call.path["id"]
    call.target = Target(type=_TYPE, id=order_id)
    view = call.services.storage.read(lambda unit: call.services.order_views.order(unit, call.principal, order_id))
    name = None if view.secret is None else view.secret.name
    call.target = Target(type=_TYPE, id=order_id, name=name, secret_group_id=view.job.group_id)
    return Reply(body=order_body(view))


def _list_renewals(call: Call) -> Reply:
    query = call.parse_query(schemas.RenewalsQuery)
    before = parse_rfc3339(query.before, field="before") if query.before else None
    groups = parse_groups(call, query.groups)
    page = call.services.storage.read(
        lambda unit: call.services.order_views.renewals(
            unit, call.principal, limit=query.limit, offset=query.offset, before=before, groups=groups
        )
    )
    return Reply(body=page_body(call, page, "renewals", renewal_body))


OPERATIONS: Final = (
    Operation(
        name="list_orders",
        method="GET",
        path="/api/v2/orders",
        action=Action.JOBS_LIST,
        handler=_list,
        work=Work.SCAN,
        summary="List orders of public certificates",
        description="Newest first: orders for secrets of the caller's groups, with what they wait for and what the "
        "authoritative name servers say of their records.",
        tag=_TAG,
        query=schemas.OrdersQuery,
        response=schemas.OrderCollection,
        target_type=_TYPE,
        audit_as="orders.list",
        extension=True,
    ),
    Operation(
        name="get_order",
        method="GET",
        path="/api/v2/orders/{id}",
        action=Action.JOBS_LIST,
        handler=_get,
        work=Work.POINT,
        summary="Get an order of a public certificate",
        tag=_TAG,
        response=schemas.Order,
        target_type=_TYPE,
        audit_as="order.read",
        extension=True,
    ),
    Operation(
        name="list_renewals",
        method="GET",
        path="/api/v2/renewals",
        action=Action.JOBS_LIST,
        handler=_list_renewals,
        work=Work.SCAN,
        summary="List what will be renewed by itself",
        description="Soonest first: secrets of the caller's groups with automatic rotation, what says when, which "
        "locks stand against it, and why the last try failed.",
        tag=_TAG,
        query=schemas.RenewalsQuery,
        response=schemas.RenewalCollection,
        target_type="secret",
        audit_as="renewals.list",
        extension=True,
    ),
)
