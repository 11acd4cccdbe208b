"""Operations on secret groups. Source: api-v2 section 2.1."""

from __future__ import annotations

from typing import Final

from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.api.v2.mapping.groups import secret_group
from strongroom.api.v2.schemas import groups as schemas
from strongroom.domain.access.actions import Action
from strongroom.domain.access.decide import require_instance
from strongroom.domain.audit.record import Target
from strongroom.domain.groups.model import SecretGroup

_TYPE: Final = "secret-group"


def _on_instance(call: Call) -> None:
    assert isinstance(call.operation.action, Action)  # noqa: S101  (every operation here has one)
    require_instance(call.principal, call.operation.action)


def _aim(call: Call, group: SecretGroup) -> None:
    call.target = Target(type=_TYPE, id=group.id, name=group.name, secret_group_id=group.id)


def _create(call: Call) -> Pending:
    body = call.parse(schemas.SecretGroupPrototype)
    call.target = Target(type=_TYPE, name=body.name)
    change = call.services.groups.create(call.principal, name=body.name, description=body.description or "")

    def reply(group: SecretGroup) -> Reply:
        return Reply(body=secret_group(group))

    return Pending(commit=change.commit, reply=reply)


def _list(call: Call) -> Reply:
    groups = call.services.storage.read(lambda unit: call.services.groups.listing(unit, call.principal))
    return Reply(body={"secret_groups": [secret_group(group) for group in groups], "total_count": len(groups)})


def _get(call: Call) -> Reply:
    call.target = Target(type=_TYPE, id=call.path["id"], secret_group_id=call.path["id"])
    group = call.services.storage.read(lambda unit: call.services.groups.get(unit, call.principal, call.path["id"]))
    _aim(call, group)
    return Reply(body=secret_group(group))


def _update(call: Call) -> Pending:
    call.target = Target(type=_TYPE, id=call.path["id"], secret_group_id=call.path["id"])
    members = call.parse(schemas.SecretGroupPatch).model_dump(exclude_unset=True)
    change = call.services.groups.patch(call.principal, call.path["id"], members)
    return Pending(commit=change.commit, reply=lambda group: Reply(body=secret_group(group)))


def _delete(call: Call) -> Pending:
    call.target = Target(type=_TYPE, id=call.path["id"], secret_group_id=call.path["id"])
    change = call.services.groups.delete(call.principal, call.path["id"])
    return Pending(commit=change.commit, reply=lambda _: Reply())


OPERATIONS: Final = [
    Operation(
        name="create_secret_group",
        method="POST",
        path="/api/v2/secret_groups",
        action=Action.SECRET_GROUP_CREATE,
        guard=_on_instance,
        handler=_create,
        work=Work.WRITE,
        summary="Create a secret group",
        tag="Secret groups",
        status=201,
        request=schemas.SecretGroupPrototype,
        response=schemas.SecretGroup,
        target_type=_TYPE,
    ),
    Operation(
        name="list_secret_groups",
        method="GET",
        path="/api/v2/secret_groups",
        action=Action.SECRET_GROUPS_LIST,
        handler=_list,
        work=Work.POINT,
        summary="List secret groups",
        tag="Secret groups",
        response=schemas.SecretGroupCollection,
        target_type=_TYPE,
    ),
    Operation(
        name="get_secret_group",
        method="GET",
        path="/api/v2/secret_groups/{id}",
        action=Action.SECRET_GROUP_READ,
        handler=_get,
        work=Work.POINT,
        summary="Get a secret group",
        tag="Secret groups",
        response=schemas.SecretGroup,
        target_type=_TYPE,
    ),
    Operation(
        name="update_secret_group",
        method="PATCH",
        path="/api/v2/secret_groups/{id}",
        action=Action.SECRET_GROUP_UPDATE,
        guard=_on_instance,
        handler=_update,
        work=Work.WRITE,
        summary="Change a secret group",
        tag="Secret groups",
        media_types=MERGE_PATCH,
        request=schemas.SecretGroupPatch,
        response=schemas.SecretGroup,
        target_type=_TYPE,
    ),
    Operation(
        name="delete_secret_group",
        method="DELETE",
        path="/api/v2/secret_groups/{id}",
        action=Action.SECRET_GROUP_DELETE,
        guard=_on_instance,
        handler=_delete,
        work=Work.WRITE,
        summary="Delete an empty secret group",
        tag="Secret groups",
        status=204,
        target_type=_TYPE,
    ),
]
