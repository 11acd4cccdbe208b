"""Operations on policies, in both versions, and the list of roles."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.api.iam.account import check_account
from strongroom.api.iam.mapping import etag, policy_to_wire, roles_to_wire, v2_policy_to_wire
from strongroom.api.iam.models import (
    GetPolicyQuery,
    ListPoliciesQuery,
    ListRolesQuery,
    PolicyAnswer,
    PolicyBody,
    PolicyPage,
    PolicyState,
    RoleCollection,
    V2PolicyAnswer,
    V2PolicyBody,
    V2PolicyPage,
)
from strongroom.api.iam.paging import offset_of, policy_frame
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.change import Change
from strongroom.domain.identity.model import Policy
from strongroom.domain.identity.policy_documents import SERVICE_NAME, read_v1, read_v2
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import PolicyId
from strongroom.kernel.result import Json, Page

TAG = "Policies"
_TARGET = "policy"
_IF_MATCH = {"If-Match": "ETag of the version that was read, or *"}
_DISPLAY = "display"

_ToWire = Callable[[Call, Policy], Json]


def list_policies(call: Call) -> Reply:
    """List policies, version 1."""
    return _list(call, call.parse_query(ListPoliciesQuery), policy_to_wire)


def list_v2_policies(call: Call) -> Reply:
    """List policies, version 2."""
    query = call.parse_query(ListPoliciesQuery)
    display = query.format == _DISPLAY
    return _list(call, query, lambda call, policy: v2_policy_to_wire(call, policy, display=display))


def create_policy(call: Call) -> Pending:
    """Create a policy from version 1."""
    draft = read_v1(call.json_object(), call.services.instance)
    return _pending(call, call.services.identities.policies.create(call.principal.iam_id, draft), policy_to_wire)


def create_v2_policy(call: Call) -> Pending:
    """Create a policy from version 2."""
    draft = read_v2(call.json_object(), call.services.instance)
    return _pending(call, call.services.identities.policies.create(call.principal.iam_id, draft), v2_policy_to_wire)


def get_policy(call: Call) -> Reply:
    """Return one policy, version 1."""
    return _reply(call, _get(call), policy_to_wire)


def get_v2_policy(call: Call) -> Reply:
    """Return one policy, version 2."""
    display = call.parse_query(GetPolicyQuery).format == _DISPLAY
    return _reply(call, _get(call), lambda call, policy: v2_policy_to_wire(call, policy, display=display))


def replace_policy(call: Call) -> Pending:
    """Replace a policy from version 1."""
    draft = read_v1(call.json_object(), call.services.instance)
    policies = call.services.identities.policies
    change = policies.replace(call.principal.iam_id, _id(call), draft, call.headers.get("if-match"))
    return _pending(call, change, policy_to_wire)


def replace_v2_policy(call: Call) -> Pending:
    """Replace a policy from version 2."""
    draft = read_v2(call.json_object(), call.services.instance)
    policies = call.services.identities.policies
    change = policies.replace(call.principal.iam_id, _id(call), draft, call.headers.get("if-match"))
    return _pending(call, change, v2_policy_to_wire)


def update_policy_state(call: Call) -> Pending:
    """Set the state of a policy, which is always active."""
    if call.parse(PolicyState).state != "active":
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            "state: a policy is deleted for good; there is no deleted state to set.",
            field="state",
            hint="Use DELETE.",
        )
    change = call.services.identities.policies.keep_active(_id(call), call.headers.get("if-match"))
    return _pending(call, change, policy_to_wire)


def delete_policy(call: Call) -> Pending:
    """Delete a policy."""
    return _pending(call, call.services.identities.policies.delete(_id(call)), None)


def list_roles(call: Call) -> Reply:
    """List the roles that policies can give."""
    query = call.parse_query(ListRolesQuery)
    check_account(call, query.account_id)
    return Reply(body=roles_to_wire(query.service_name))


def _list(call: Call, query: ListPoliciesQuery, to_wire: _ToWire) -> Reply:
    check_account(call, query.account_id)
    offset = offset_of(query.start, "start")
    if query.iam_id and query.access_group_id:
        raise Invalid(
            ErrorCode.INVALID_FIELD, "iam_id and access_group_id exclude each other.", field="access_group_id"
        )
    page: Page[Policy] = Page(items=[], total=0, limit=query.limit, offset=offset)
    if (
        query.type in (None, "access")
        and query.state in (None, "active")
        and query.service_name in (None, SERVICE_NAME)
    ):
        policies = call.services.identities.policies
        subject = query.iam_id or query.access_group_id or None
        page = call.services.storage.read(
            lambda unit: policies.page(unit, subject=subject, limit=query.limit, offset=offset)
        )
    return Reply(body={**policy_frame(call, page), "policies": [to_wire(call, item) for item in page.items]})


def _get(call: Call) -> Policy:
    policies = call.services.identities.policies
    found = call.services.storage.read(lambda unit: policies.get(unit, _id(call)))
    _aim(call, found)
    return found


def _id(call: Call) -> PolicyId:
    return PolicyId(call.path["id"])


def _aim(call: Call, policy: Policy) -> None:
    call.target = Target(type=_TARGET, id=policy.id, name=policy.subject, secret_group_id=policy.group_id)


def _reply(call: Call, policy: Policy, to_wire: _ToWire | None) -> Reply:
    if to_wire is None:
        return Reply()
    return Reply(body=to_wire(call, policy), headers=etag(policy.entity_tag))


def _pending(call: Call, change: Change[Policy], to_wire: _ToWire | None) -> Pending:
    call.target = Target(type=_TARGET, id=call.path.get("id"))

    def commit(unit: Unit) -> Policy:
        policy = change.commit(unit)
        _aim(call, policy)
        return policy

    return Pending(commit=commit, reply=lambda policy: _reply(call, policy, to_wire))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_policies",
        method="GET",
        path="/v1/policies",
        action=Action.IDENTITY_MANAGE,
        handler=list_policies,
        work=Work.SCAN,
        summary="List policies",
        tag=TAG,
        query=ListPoliciesQuery,
        response=PolicyPage,
        target_type=_TARGET,
        audit_as="policies.list",
    ),
    Operation(
        name="create_policy",
        method="POST",
        path="/v1/policies",
        action=Action.IDENTITY_MANAGE,
        handler=create_policy,
        work=Work.WRITE,
        status=201,
        summary="Create a policy",
        tag=TAG,
        request=PolicyBody,
        response=PolicyAnswer,
        target_type=_TARGET,
        audit_as="policy.create",
    ),
    Operation(
        name="get_policy",
        method="GET",
        path="/v1/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=get_policy,
        work=Work.POINT,
        summary="Get a policy",
        tag=TAG,
        response=PolicyAnswer,
        target_type=_TARGET,
        audit_as="policy.read",
    ),
    Operation(
        name="replace_policy",
        method="PUT",
        path="/v1/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=replace_policy,
        work=Work.WRITE,
        summary="Replace a policy",
        tag=TAG,
        request=PolicyBody,
        response=PolicyAnswer,
        request_headers=_IF_MATCH,
        target_type=_TARGET,
        audit_as="policy.update",
    ),
    Operation(
        name="update_policy_state",
        method="PATCH",
        path="/v1/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=update_policy_state,
        work=Work.WRITE,
        summary="Set the state of a policy",
        tag=TAG,
        request=PolicyState,
        response=PolicyAnswer,
        request_headers=_IF_MATCH,
        target_type=_TARGET,
        audit_as="policy.update",
    ),
    Operation(
        name="delete_policy",
        method="DELETE",
        path="/v1/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=delete_policy,
        work=Work.WRITE,
        status=204,
        summary="Delete a policy",
        tag=TAG,
        target_type=_TARGET,
        audit_as="policy.delete",
    ),
    Operation(
        name="list_v2_policies",
        method="GET",
        path="/v2/policies",
        action=Action.IDENTITY_MANAGE,
        handler=list_v2_policies,
        work=Work.SCAN,
        summary="List policies, version 2",
        tag=TAG,
        query=ListPoliciesQuery,
        response=V2PolicyPage,
        target_type=_TARGET,
        audit_as="policies.list",
    ),
    Operation(
        name="create_v2_policy",
        method="POST",
        path="/v2/policies",
        action=Action.IDENTITY_MANAGE,
        handler=create_v2_policy,
        work=Work.WRITE,
        status=201,
        summary="Create a policy, version 2",
        tag=TAG,
        request=V2PolicyBody,
        response=V2PolicyAnswer,
        target_type=_TARGET,
        audit_as="policy.create",
    ),
    Operation(
        name="get_v2_policy",
        method="GET",
        path="/v2/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=get_v2_policy,
        work=Work.POINT,
        summary="Get a policy, version 2",
        tag=TAG,
        query=GetPolicyQuery,
        response=V2PolicyAnswer,
        target_type=_TARGET,
        audit_as="policy.read",
    ),
    Operation(
        name="replace_v2_policy",
        method="PUT",
        path="/v2/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=replace_v2_policy,
        work=Work.WRITE,
        summary="Replace a policy, version 2",
        tag=TAG,
        request=V2PolicyBody,
        response=V2PolicyAnswer,
        request_headers=_IF_MATCH,
        target_type=_TARGET,
        audit_as="policy.update",
    ),
    Operation(
        name="delete_v2_policy",
        method="DELETE",
        path="/v2/policies/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=delete_policy,
        work=Work.WRITE,
        status=204,
        summary="Delete a policy, version 2",
        tag=TAG,
        target_type=_TARGET,
        audit_as="policy.delete",
    ),
    Operation(
        name="list_roles",
        method="GET",
        path="/v2/roles",
        action=Action.IDENTITY_MANAGE,
        handler=list_roles,
        work=Work.POINT,
        summary="List roles and what each allows",
        tag=TAG,
        query=ListRolesQuery,
        response=RoleCollection,
        target_type="role",
        audit_as="roles.list",
    ),
)
