"""From identities to their wire forms."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from strongroom.api.operations import Call
from strongroom.domain.access.actions import PLATFORM_ROLES, ROLE_ACTIONS, Role
from strongroom.domain.identity.access_groups import MemberOutcome
from strongroom.domain.identity.model import AccessGroup, ApiKey, Membership, Policy, ServiceId, User
from strongroom.domain.identity.policy_documents import role_id, write_v1, write_v2
from strongroom.kernel.result import Json
from strongroom.kernel.time import format_rfc3339

ROLE_DESCRIPTIONS: Final[dict[Role, str]] = {
    Role.READER: "Sees groups, metadata, locks and the list of configurations; never a payload.",
    Role.SECRETS_READER: "Reads payloads and metadata; changes nothing.",
    Role.WRITER: "Reads payloads, creates and rotates secrets, edits metadata, creates locks.",
    Role.MANAGER: "Does everything with secrets, groups and configurations, deleting included.",
    Role.SECRET_TASK_UPDATER: "Updates tasks; for jobs of credential providers.",
    Role.VIEWER: "Opens the console.",
    Role.OPERATOR: "Sees metrics and settings, and operates jobs.",
    Role.EDITOR: "Operates the instance and changes what it notifies.",
    Role.ADMINISTRATOR: "Manages identities, policies, the master key and the audit trail.",
}


def optional_time(at: datetime | None) -> str | None:
    """Return the wire form of a time that may be missing."""
    return None if at is None else format_rfc3339(at)


def etag(entity_tag: str) -> dict[str, str]:
    """Return the header that a later If-Match repeats."""
    return {"ETag": f'"{entity_tag}"'}


def service_id_to_wire(call: Call, service_id: ServiceId, api_key: ApiKey | None = None, key: str = "") -> Json:
    """Return a service ID; with its first key in the answer to its creation."""
    wire: Json = {
        "id": service_id.id,
        "iam_id": service_id.iam_id,
        "entity_tag": service_id.entity_tag,
        "crn": _crn(call, "serviceid", service_id.id),
        "locked": service_id.locked,
        "created_at": format_rfc3339(service_id.created_at),
        "modified_at": format_rfc3339(service_id.modified_at),
        "account_id": call.services.instance.account_id,
        "name": service_id.name,
    }
    if service_id.description is not None:
        wire["description"] = service_id.description
    if api_key is not None:
        wire["apikey"] = api_key_to_wire(call, api_key, key)
    return wire


def api_key_to_wire(call: Call, api_key: ApiKey, key: str = "") -> Json:
    """Return an API key; with its text in the answer to its creation only."""
    wire: Json = {
        "id": api_key.id,
        "entity_tag": api_key.entity_tag,
        "crn": _crn(call, "apikey", api_key.id),
        "locked": api_key.locked,
        "disabled": api_key.disabled,
        "created_at": format_rfc3339(api_key.created_at),
        "created_by": api_key.created_by,
        "modified_at": format_rfc3339(api_key.modified_at),
        "name": api_key.name,
        "iam_id": api_key.iam_id,
        "account_id": call.services.instance.account_id,
        "apikey": key,
        "expires_at": optional_time(api_key.expires_at),
        "last_used_at": optional_time(api_key.last_used_at),
        "allowed_networks": list(api_key.allowed_networks),
    }
    if api_key.description is not None:
        wire["description"] = api_key.description
    return wire


def policy_to_wire(call: Call, policy: Policy) -> Json:
    """Return a policy, version 1."""
    return {**write_v1(policy), **_policy_facts(call, policy, "/v1/policies")}


def v2_policy_to_wire(call: Call, policy: Policy, *, display: bool = False) -> Json:
    """Return a policy, version 2; ``display`` tells what each role allows."""
    wire = {**write_v2(policy), **_policy_facts(call, policy, "/v2/policies")}
    if display:
        roles = zip(wire["control"]["grant"]["roles"], policy.roles, strict=True)
        wire["control"] = {"grant": {"roles": [{**item, **_enriched(role)} for item, role in roles]}}
    return wire


def role_to_wire(role: Role) -> Json:
    """Return a role and what it allows."""
    return {
        "crn": role_id(role),
        "display_name": role.value,
        "description": ROLE_DESCRIPTIONS[role],
        "actions": sorted(action.audit_name for action in ROLE_ACTIONS[role]),
    }


def roles_to_wire(service_name: str | None) -> Json:
    """Return every role in its collection."""
    service = () if service_name not in (None, "secrets-manager") else tuple(r for r in Role if r not in PLATFORM_ROLES)
    return {
        "custom_roles": [],
        "service_roles": [role_to_wire(role) for role in service],
        "system_roles": [role_to_wire(role) for role in Role if role in PLATFORM_ROLES],
    }


def access_group_to_wire(call: Call, group: AccessGroup) -> Json:
    """Return an access group."""
    wire: Json = {
        "id": group.id,
        "name": group.name,
        "account_id": call.services.instance.account_id,
        "created_at": format_rfc3339(group.created_at),
        "created_by_id": group.created_by,
        "last_modified_at": format_rfc3339(group.modified_at),
        "last_modified_by_id": group.modified_by,
        "href": f"{call.base_url}/v2/groups/{group.id}",
        "is_federated": bool(group.oidc_groups),
        "oidc_groups": list(group.oidc_groups),
    }
    if group.description is not None:
        wire["description"] = group.description
    return wire


def member_to_wire(call: Call, membership: Membership, name: str) -> Json:
    """Return a member of an access group."""
    return {
        "iam_id": membership.iam_id,
        "type": membership.type,
        "membership_type": "static",
        "name": name,
        "href": f"{call.base_url}/v2/groups/{membership.group_id}/members/{membership.iam_id}",
        "created_at": format_rfc3339(membership.created_at),
        "created_by_id": membership.created_by,
    }


def outcome_to_wire(call: Call, outcome: MemberOutcome, status: int) -> Json:
    """Return what became of one identity of a change of members."""
    wire: Json = {"iam_id": outcome.iam_id, "status_code": status, "trace": call.request_id}
    if outcome.membership is not None:
        wire["type"] = outcome.membership.type
        wire["created_at"] = format_rfc3339(outcome.membership.created_at)
        wire["created_by_id"] = outcome.membership.created_by
    if outcome.error is not None:
        wire["errors"] = [{"code": outcome.error.code.value, "message": outcome.error.detail}]
    return wire


def user_to_wire(user: User) -> Json:
    """Return a user."""
    return {
        "iam_id": user.iam_id,
        "name": user.name,
        "email": user.email,
        "origin": user.origin.value,
        "state": user.state.value,
        "created_at": format_rfc3339(user.created_at),
        "last_login_at": optional_time(user.last_login_at),
    }


def _policy_facts(call: Call, policy: Policy, path: str) -> Json:
    wire: Json = {
        "id": policy.id,
        "href": f"{call.base_url}{path}/{policy.id}",
        "state": "active",
        "created_at": format_rfc3339(policy.created_at),
        "created_by_id": policy.created_by,
        "last_modified_at": format_rfc3339(policy.modified_at),
        "last_modified_by_id": policy.modified_by,
    }
    if policy.description is not None:
        wire["description"] = policy.description
    return wire


def _enriched(role: Role) -> Json:
    actions = sorted(action.audit_name for action in ROLE_ACTIONS[role])
    return {
        "display_name": role.value,
        "description": ROLE_DESCRIPTIONS[role],
        "actions": [{"id": name, "display_name": name, "description": name} for name in actions],
    }


def _crn(call: Call, kind: str, identifier: str) -> str:
    return f"crn:v1:bluemix:public:iam-identity::a/{call.services.instance.account_id}::{kind}:{identifier}"
