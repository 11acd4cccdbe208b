"""Operations on access groups and their members."""

from __future__ import annotations

from typing import Any, Final

from strongroom.api.iam.account import check_account
from strongroom.api.iam.group_models import (
    AccountQuery,
    AddMembers,
    CreateGroup,
    DeleteGroupQuery,
    GroupAnswer,
    GroupPage,
    ListGroupsQuery,
    ListMembersQuery,
    MemberOutcomes,
    MemberPage,
    RemoveMembers,
    UpdateGroup,
)
from strongroom.api.iam.mapping import access_group_to_wire, member_to_wire, outcome_to_wire
from strongroom.api.iam.paging import offset_frame
from strongroom.api.iam.tagged import Kind
from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.api.problems import status_of
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.change import Change
from strongroom.domain.identity.access_groups import AccessGroupChange, MemberOutcome, NewAccessGroup, NewMember
from strongroom.domain.identity.model import AccessGroup
from strongroom.kernel.ids import AccessGroupId, IamId

TAG = "Access groups"
_TARGET = "access_group"
_KIND: Final[Kind[AccessGroup]] = Kind(_TARGET, access_group_to_wire)


def list_access_groups(call: Call) -> Reply:
    """List access groups."""
    query = call.parse_query(ListGroupsQuery)
    check_account(call, query.account_id)
    access_groups = call.services.identities.access_groups
    page = call.services.storage.read(
        lambda unit: access_groups.page(
            unit,
            limit=query.limit,
            offset=query.offset,
            iam_id=IamId(query.iam_id) if query.iam_id else None,
            search=query.search,
        )
    )
    return Reply(body={**offset_frame(call, page), "groups": [access_group_to_wire(call, item) for item in page.items]})


def create_access_group(call: Call) -> Pending:
    """Create an empty access group."""
    check_account(call, call.parse_query(AccountQuery).account_id)
    body = call.parse(CreateGroup)
    request = NewAccessGroup(name=body.name, description=body.description, oidc_groups=tuple(body.oidc_groups or ()))
    return _KIND.pending(call, call.services.identities.access_groups.create(call.principal.iam_id, request))


def get_access_group(call: Call) -> Reply:
    """Return one access group."""
    access_groups = call.services.identities.access_groups
    found = call.services.storage.read(lambda unit: access_groups.get(unit, _id(call)))
    return _KIND.reply(call, found)


def update_access_group(call: Call) -> Pending:
    """Change an access group."""
    body = call.parse(UpdateGroup)
    change = AccessGroupChange(
        name=body.name,
        description=body.description,
        oidc_groups=None if body.oidc_groups is None else tuple(body.oidc_groups),
    )
    access_groups = call.services.identities.access_groups
    return _KIND.pending(
        call, access_groups.update(call.principal.iam_id, _id(call), change, call.headers.get("if-match"))
    )


def delete_access_group(call: Call) -> Pending:
    """Delete an access group with its policies."""
    force = call.parse_query(DeleteGroupQuery).force
    return _KIND.pending(call, call.services.identities.access_groups.delete(_id(call), force=force), empty=True)


def list_members(call: Call) -> Reply:
    """List the members of an access group."""
    query = call.parse_query(ListMembersQuery)
    access_groups = call.services.identities.access_groups
    page = call.services.storage.read(
        lambda unit: access_groups.members(unit, _id(call), limit=query.limit, offset=query.offset)
    )
    call.target = Target(type=_TARGET, id=_id(call))
    members = [member_to_wire(call, membership, name) for membership, name in page.items]
    return Reply(body={**offset_frame(call, page), "members": members})


def add_members(call: Call) -> Pending:
    """Add identities to an access group."""
    members = [NewMember(iam_id=IamId(item.iam_id), type=item.type) for item in call.parse(AddMembers).members]
    access_groups = call.services.identities.access_groups
    change = access_groups.add_members(call.principal.iam_id, _id(call), members)
    return _pending_members(call, change)


def remove_members(call: Call) -> Pending:
    """Remove identities from an access group."""
    iam_ids = [IamId(item) for item in call.parse(RemoveMembers).members]
    change = call.services.identities.access_groups.remove_members(_id(call), iam_ids)
    return _pending_members(call, change, access_group_id=_id(call))


def remove_member(call: Call) -> Pending:
    """Remove one identity from an access group."""
    iam_id = IamId(call.path["iam_id"])
    change = call.services.identities.access_groups.remove_member(_id(call), iam_id)
    call.target = Target(type=_TARGET, id=_id(call), name=iam_id)
    return Pending(commit=change.commit, reply=lambda _: Reply())


def _id(call: Call) -> AccessGroupId:
    return AccessGroupId(call.path["id"])


def _pending_members(call: Call, change: Change[list[MemberOutcome]], **facts: Any) -> Pending:
    call.target = Target(type=_TARGET, id=_id(call))

    def reply(outcomes: list[MemberOutcome]) -> Reply:
        members = [
            outcome_to_wire(call, outcome, 200 if outcome.error is None else status_of(outcome.error))
            for outcome in outcomes
        ]
        return Reply(body={**facts, "members": members})

    return Pending(commit=change.commit, reply=reply)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_access_groups",
        method="GET",
        path="/v2/groups",
        action=Action.IDENTITY_MANAGE,
        handler=list_access_groups,
        work=Work.SCAN,
        summary="List access groups",
        tag=TAG,
        query=ListGroupsQuery,
        response=GroupPage,
        target_type=_TARGET,
        audit_as="access-groups.list",
    ),
    Operation(
        name="create_access_group",
        method="POST",
        path="/v2/groups",
        action=Action.IDENTITY_MANAGE,
        handler=create_access_group,
        work=Work.WRITE,
        status=201,
        summary="Create an access group",
        tag=TAG,
        query=AccountQuery,
        request=CreateGroup,
        response=GroupAnswer,
        target_type=_TARGET,
        audit_as="access-group.create",
    ),
    Operation(
        name="get_access_group",
        method="GET",
        path="/v2/groups/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=get_access_group,
        work=Work.POINT,
        summary="Get an access group",
        tag=TAG,
        response=GroupAnswer,
        target_type=_TARGET,
        audit_as="access-group.read",
    ),
    Operation(
        name="update_access_group",
        method="PATCH",
        path="/v2/groups/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=update_access_group,
        work=Work.WRITE,
        summary="Change an access group",
        tag=TAG,
        request=UpdateGroup,
        response=GroupAnswer,
        request_headers={"If-Match": "ETag of the version that was read, or *"},
        media_types=MERGE_PATCH,
        target_type=_TARGET,
        audit_as="access-group.update",
    ),
    Operation(
        name="delete_access_group",
        method="DELETE",
        path="/v2/groups/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=delete_access_group,
        work=Work.WRITE,
        status=204,
        summary="Delete an access group with its policies",
        tag=TAG,
        query=DeleteGroupQuery,
        target_type=_TARGET,
        audit_as="access-group.delete",
    ),
    Operation(
        name="list_access_group_members",
        method="GET",
        path="/v2/groups/{id}/members",
        action=Action.IDENTITY_MANAGE,
        handler=list_members,
        work=Work.SCAN,
        summary="List the members of an access group",
        tag=TAG,
        query=ListMembersQuery,
        response=MemberPage,
        target_type=_TARGET,
        audit_as="access-group-members.list",
    ),
    Operation(
        name="add_members_to_access_group",
        method="PUT",
        path="/v2/groups/{id}/members",
        action=Action.IDENTITY_MANAGE,
        handler=add_members,
        work=Work.WRITE,
        status=207,
        summary="Add members to an access group",
        tag=TAG,
        request=AddMembers,
        response=MemberOutcomes,
        target_type=_TARGET,
        audit_as="access-group-members.add",
    ),
    # Before the path with an IAM id, which it would match too.
    Operation(
        name="remove_members_from_access_group",
        method="POST",
        path="/v2/groups/{id}/members/delete",
        action=Action.IDENTITY_MANAGE,
        handler=remove_members,
        work=Work.WRITE,
        status=207,
        summary="Remove members from an access group",
        tag=TAG,
        request=RemoveMembers,
        response=MemberOutcomes,
        target_type=_TARGET,
        audit_as="access-group-members.remove",
    ),
    Operation(
        name="remove_member_from_access_group",
        method="DELETE",
        path="/v2/groups/{id}/members/{iam_id}",
        action=Action.IDENTITY_MANAGE,
        handler=remove_member,
        work=Work.WRITE,
        status=204,
        summary="Remove one member from an access group",
        tag=TAG,
        target_type=_TARGET,
        audit_as="access-group-members.remove",
    ),
)
