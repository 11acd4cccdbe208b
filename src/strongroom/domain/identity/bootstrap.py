"""The first identity of a new server."""

from __future__ import annotations

from typing import Final

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import SYSTEM
from strongroom.domain.identity.model import ApiKey, Policy, ServiceId, SubjectKind
from strongroom.domain.identity.policy_documents import SERVICE_NAME, build_document
from strongroom.domain.identity.ports import Digests
from strongroom.domain.ports import Unit
from strongroom.kernel.clock import Clock
from strongroom.kernel.ids import ApiKeyId, IamId, Instance, PolicyId, ServiceIdId, new_uuid

NAME: Final = "administrator"


def bootstrap_administrator(unit: Unit, *, instance: Instance, clock: Clock, digests: Digests) -> str:
    """Store a service ID with Manager and Administrator on the instance, and return its API key.

    The text of the key is nowhere else: the caller keeps it or loses it.
    """
    now = clock.now()
    service_id_id = ServiceIdId(f"ServiceId-{new_uuid()}")
    iam_id = IamId(f"iam-{service_id_id}")
    key = digests.new_api_key()
    roles = (Role.MANAGER, Role.ADMINISTRATOR)
    unit.identities.add_service_id(
        ServiceId(
            id=service_id_id,
            iam_id=iam_id,
            name=NAME,
            description="Made at the first start of the server.",
            entity_tag=new_uuid(),
            created_at=now,
            modified_at=now,
        )
    )
    unit.identities.add_api_key(
        ApiKey(
            id=ApiKeyId(f"ApiKey-{new_uuid()}"),
            iam_id=iam_id,
            name=NAME,
            description="Made at the first start of the server.",
            digest=digests.api_key_digest(key),
            entity_tag=new_uuid(),
            created_at=now,
            created_by=SYSTEM.iam_id,
            modified_at=now,
        )
    )
    attributes = {"accountId": instance.account_id, "serviceName": SERVICE_NAME, "serviceInstance": instance.id}
    unit.identities.add_policy(
        Policy(
            id=PolicyId(new_uuid()),
            subject_kind=SubjectKind.IAM_ID,
            subject=iam_id,
            roles=roles,
            document=build_document(roles, attributes),
            entity_tag=new_uuid(),
            created_at=now,
            created_by=SYSTEM.iam_id,
            modified_at=now,
            modified_by=SYSTEM.iam_id,
        )
    )
    return key
