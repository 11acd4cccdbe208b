"""Operations on service IDs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from strongroom.api.iam.account import check_account
from strongroom.api.iam.api_keys import read_new_key
from strongroom.api.iam.flags import header_flag, refuse_filter
from strongroom.api.iam.mapping import etag, service_id_to_wire
from strongroom.api.iam.models import (
    CreateServiceId,
    ListServiceIdsQuery,
    ServiceIdAnswer,
    ServiceIdPage,
    UpdateServiceId,
)
from strongroom.api.iam.paging import identity_frame, offset_of
from strongroom.api.iam.tagged import Kind
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.identity.model import ServiceId
from strongroom.domain.identity.service_ids import CreatedServiceId, NewServiceId, ServiceIdChange
from strongroom.domain.ports import Unit
from strongroom.kernel.ids import ServiceIdId

TAG = "Service IDs"
_TARGET = "service_id"
_KIND: Final[Kind[ServiceId]] = Kind(_TARGET, service_id_to_wire)


def list_service_ids(call: Call) -> Reply:
    """List service IDs, a page at a time."""
    query = call.parse_query(ListServiceIdsQuery)
    check_account(call, query.account_id)
    refuse_filter(query.filter)
    offset = offset_of(query.pagetoken, "pagetoken")
    service_ids = call.services.identities.service_ids
    page = call.services.storage.read(
        lambda unit: service_ids.page(unit, limit=query.pagesize, offset=offset, name=query.name or None)
    )
    body = {**identity_frame(call, page), "serviceids": [service_id_to_wire(call, item) for item in page.items]}
    return Reply(body=body)


def create_service_id(call: Call) -> Pending:
    """Create a service ID, with its first API key if one is asked for."""
    body = call.parse(CreateServiceId)
    check_account(call, body.account_id)
    request = NewServiceId(
        name=body.name,
        description=body.description,
        locked=header_flag(call, "entity-lock"),
        api_key=None if body.apikey is None else read_new_key(body.apikey, prefix="apikey."),
    )
    change = call.services.identities.service_ids.create(call.principal.iam_id, request)

    def commit(unit: Unit) -> CreatedServiceId:
        created = change.commit(unit)
        _KIND.aim(call, created.service_id)
        return created

    def reply(created: CreatedServiceId) -> Reply:
        wire = service_id_to_wire(call, created.service_id, created.api_key, created.key or "")
        return Reply(body=wire, headers=etag(created.service_id.entity_tag))

    return Pending(commit=commit, reply=reply)


def get_service_id(call: Call) -> Reply:
    """Return one service ID."""
    service_ids = call.services.identities.service_ids
    found = call.services.storage.read(lambda unit: service_ids.get(unit, _id(call)))
    return _KIND.reply(call, found)


def update_service_id(call: Call) -> Pending:
    """Change a service ID."""
    body = call.parse(UpdateServiceId)
    change = ServiceIdChange(name=body.name, description=body.description)
    service_ids = call.services.identities.service_ids
    return _KIND.pending(call, service_ids.update(_id(call), change, call.headers.get("if-match")))


def delete_service_id(call: Call) -> Pending:
    """Delete a service ID with its API keys and policies."""
    return _KIND.pending(call, call.services.identities.service_ids.delete(_id(call)), empty=True)


def lock_service_id(call: Call) -> Pending:
    """Lock a service ID."""
    return _KIND.pending(call, call.services.identities.service_ids.set_locked(_id(call), locked=True), empty=True)


def unlock_service_id(call: Call) -> Pending:
    """Unlock a service ID."""
    return _KIND.pending(call, call.services.identities.service_ids.set_locked(_id(call), locked=False), empty=True)


def _id(call: Call) -> ServiceIdId:
    return ServiceIdId(call.path["id"])


_COLLECTION: tuple[Operation, ...] = (
    Operation(
        name="list_service_ids",
        method="GET",
        path="/v1/serviceids/",
        action=Action.IDENTITY_MANAGE,
        handler=list_service_ids,
        work=Work.SCAN,
        summary="List service IDs",
        description="Newest first; sort and order are accepted and not used.",
        tag=TAG,
        query=ListServiceIdsQuery,
        response=ServiceIdPage,
        target_type=_TARGET,
        audit_as="service-ids.list",
    ),
    Operation(
        name="create_service_id",
        method="POST",
        path="/v1/serviceids/",
        action=Action.IDENTITY_MANAGE,
        handler=create_service_id,
        work=Work.WRITE,
        status=201,
        summary="Create a service ID",
        tag=TAG,
        request=CreateServiceId,
        response=ServiceIdAnswer,
        request_headers={"Entity-Lock": "true makes it locked from the start"},
        target_type=_TARGET,
        audit_as="service-id.create",
    ),
)
_SINGLE: tuple[Operation, ...] = (
    Operation(
        name="get_service_id",
        method="GET",
        path="/v1/serviceids/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=get_service_id,
        work=Work.POINT,
        summary="Get a service ID",
        tag=TAG,
        response=ServiceIdAnswer,
        target_type=_TARGET,
        audit_as="service-id.read",
    ),
    Operation(
        name="update_service_id",
        method="PUT",
        path="/v1/serviceids/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=update_service_id,
        work=Work.WRITE,
        summary="Change a service ID",
        tag=TAG,
        request=UpdateServiceId,
        response=ServiceIdAnswer,
        request_headers={"If-Match": "entity_tag of the version that was read, or *"},
        target_type=_TARGET,
        audit_as="service-id.update",
    ),
    Operation(
        name="delete_service_id",
        method="DELETE",
        path="/v1/serviceids/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=delete_service_id,
        work=Work.WRITE,
        status=204,
        summary="Delete a service ID with its API keys and policies",
        tag=TAG,
        target_type=_TARGET,
        audit_as="service-id.delete",
    ),
    Operation(
        name="lock_service_id",
        method="POST",
        path="/v1/serviceids/{id}/lock",
        action=Action.IDENTITY_MANAGE,
        handler=lock_service_id,
        work=Work.WRITE,
        status=204,
        summary="Lock a service ID against changes and deletion",
        tag=TAG,
        body_required=False,
        target_type=_TARGET,
        audit_as="service-id.lock",
    ),
    Operation(
        name="unlock_service_id",
        method="DELETE",
        path="/v1/serviceids/{id}/lock",
        action=Action.IDENTITY_MANAGE,
        handler=unlock_service_id,
        work=Work.WRITE,
        status=204,
        summary="Unlock a service ID",
        tag=TAG,
        target_type=_TARGET,
        audit_as="service-id.unlock",
    ),
)
# Clients write the collection with and without its last slash.
_WITHOUT_SLASH = tuple(replace(item, name=f"{item.name}_without_slash", path="/v1/serviceids") for item in _COLLECTION)

OPERATIONS: tuple[Operation, ...] = (*_COLLECTION, *_WITHOUT_SLASH, *_SINGLE)
