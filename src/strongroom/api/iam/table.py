"""Every operation on identities."""

from __future__ import annotations

from strongroom.api.iam import access_groups, api_keys, policies, service_ids, tokens, users
from strongroom.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *tokens.OPERATIONS,
    *service_ids.OPERATIONS,
    *api_keys.OPERATIONS,
    *policies.OPERATIONS,
    *access_groups.OPERATIONS,
    *users.OPERATIONS,
)
