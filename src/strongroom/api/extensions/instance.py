"""Operations on the instance itself: addresses, settings, master key; and who has access to a secret."""

from __future__ import annotations

from typing import Any, Final

from strongroom.api.extensions import schemas
from strongroom.api.extensions.jobs import start_job
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.api.v2.addressed import addressed, find_addressed
from strongroom.domain.access.actions import Action
from strongroom.domain.access.holders import holders
from strongroom.domain.audit.record import Target

ROTATE_MASTER_KEY: Final = "master-key.rotate"
_TAG: Final = "Instance"
_TYPE: Final = "instance"


def _aim(call: Call) -> None:
    instance = call.services.instance
    call.target = Target(type=_TYPE, id=instance.id, name=instance.region)


def _endpoints(call: Call) -> Reply:
    _aim(call)
    services = call.services
    return Reply(
        body={
            "instance_id": services.instance.id,
            "crn": services.instance.crn,
            "region": services.instance.region,
            "public": {"service": services.public_url},
            "encryption": dict(services.encryption()),
            "version": services.version,
            "features": sorted(services.secrets.context.engines),
        }
    )


def _settings(call: Call) -> Reply:
    _aim(call)
    return Reply(body={"settings": [_setting(view) for view in call.services.settings()]})


def _setting(view: Any) -> dict[str, Any]:
    body = {"name": view.name, "value": view.value, "source": view.source, "default": view.default}
    return {name: value for name, value in body.items() if value is not None}


def _rotate(call: Call) -> Pending:
    _aim(call)
    return start_job(call, ROTATE_MASTER_KEY)


def _access(call: Call) -> Reply:
    group_id = addressed(call).group_id
    found = call.services.storage.read(lambda unit: holders(unit, group_id))
    return Reply(
        body={
            "access": [
                {
                    "iam_id": holder.iam_id,
                    "name": holder.name,
                    "roles": [role.value for role in holder.roles],
                    "scope": holder.scope,
                    "via": holder.via,
                }
                for holder in found
            ]
        }
    )


OPERATIONS: Final = [
    Operation(
        name="get_endpoints",
        method="GET",
        path="/api/v2/endpoints",
        action=Action.ENDPOINTS_VIEW,
        handler=_endpoints,
        work=Work.POINT,
        summary="Get the addresses of this instance",
        tag=_TAG,
        response=schemas.Endpoints,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="get_instance_endpoints",
        method="GET",
        path="/api/v1/instances/{crn}/endpoints",
        action=Action.ENDPOINTS_VIEW,
        handler=_endpoints,
        work=Work.POINT,
        summary="Get the addresses of an instance by its CRN",
        description="One deployment is one instance: whatever the CRN, the answer is about this one.",
        tag=_TAG,
        response=schemas.Endpoints,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="list_settings",
        method="GET",
        path="/api/v2/settings",
        action=Action.SETTINGS_READ,
        handler=_settings,
        work=Work.POINT,
        summary="List the server's settings",
        description="Secret values are never shown.",
        tag=_TAG,
        response=schemas.Settings,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="rotate_master_key",
        method="POST",
        path="/api/v2/master_key/rotate",
        action=Action.MASTER_KEY_ROTATE,
        handler=_rotate,
        work=Work.WRITE,
        summary="Rotate the master key",
        description="Starts a job that wraps the data keys anew; the server goes on serving meanwhile.",
        tag=_TAG,
        status=202,
        request=schemas.EmptyRequest,
        body_required=False,
        response=schemas.Job,
        target_type=_TYPE,
        extension=True,
    ),
    Operation(
        name="list_secret_access",
        method="GET",
        path="/api/v2/secrets/{id}/access",
        action=Action.ACCESS_READ,
        guard=find_addressed,
        handler=_access,
        work=Work.SCAN,
        summary="List who has access to a secret",
        tag=_TAG,
        response=schemas.SecretAccess,
        target_type="secret",
        extension=True,
    ),
]
