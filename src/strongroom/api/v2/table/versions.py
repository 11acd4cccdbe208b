"""Operations on versions. Source: api-v2 section 2.3."""

from __future__ import annotations

from typing import Any, Final

from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.api.v2.addressed import addressed, find_addressed, revoked, work_of_engine
from strongroom.api.v2.mapping.secrets import version_full, version_metadata
from strongroom.api.v2.schemas import secrets as schemas
from strongroom.api.v2.schemas.private_certs import (
    PrivateCertificateVersionPrototype,
    SecretVersionActionPrototype,
    VersionAction,
)
from strongroom.api.v2.schemas.public_certs import PublicCertificateVersionPrototype
from strongroom.api.v2.schemas.secret_base import VersionPrototypeBase
from strongroom.api.v2.table.public_certs import work_of_order
from strongroom.domain.access.actions import Action
from strongroom.domain.secrets.context import VersionView
from strongroom.domain.secrets.lookup import find_version
from strongroom.domain.secrets.model import Secret, SecretType, Version
from strongroom.domain.secrets.rotating import NewVersion

_MODELS: Final[dict[SecretType, type[VersionPrototypeBase]]] = {
    SecretType.ARBITRARY: schemas.ArbitrarySecretVersionPrototype,
    SecretType.KV: schemas.KVSecretVersionPrototype,
    SecretType.USERNAME_PASSWORD: schemas.UsernamePasswordSecretVersionPrototype,
    SecretType.IMPORTED_CERT: schemas.ImportedCertificateVersionPrototype,
    SecretType.PRIVATE_CERT: PrivateCertificateVersionPrototype,
    SecretType.PUBLIC_CERT: PublicCertificateVersionPrototype,
}
_COMMON: Final = frozenset({"custom_metadata", "version_custom_metadata", "restore_from_version"})


def _full(call: Call, view: VersionView) -> dict[str, Any]:
    engine = call.services.secrets.context.engine(view.secret.secret_type)
    return version_full(view, engine, call.services.clock.now())


def _metadata(call: Call, secret: Secret, version: Version) -> dict[str, Any]:
    return version_metadata(secret, version, call.services.clock.now())


def _create(call: Call) -> Pending:
    secret = addressed(call)
    restores = "restore_from_version" in call.json_object()
    body = call.parse(schemas.SecretRestoreFromVersionPrototype if restores else _MODELS[secret.secret_type])
    values = body.model_dump(exclude_unset=True)
    new = NewVersion(
        values={name: value for name, value in values.items() if name not in _COMMON},
        restore_from=values.get("restore_from_version"),
        custom_metadata=body.custom_metadata,
        version_custom_metadata=body.version_custom_metadata,
    )
    change = call.services.secrets.rotation.rotate(call.principal, secret, new)
    return Pending(commit=change.commit, reply=lambda view: Reply(body=_full(call, view)))


def _work_of_create(call: Call) -> Work:
    secret = addressed(call)
    return work_of_order(secret.attributes) if secret.secret_type is SecretType.PUBLIC_CERT else work_of_engine(call)


def _list(call: Call) -> Reply:
    secret = addressed(call)
    versions = call.services.storage.read(lambda unit: unit.versions.listing(secret.id))
    return Reply(
        body={
            "versions": [_metadata(call, secret, version) for version in versions],
            "total_count": len(versions),
        }
    )


def _get(call: Call) -> Reply | Pending:
    secret = addressed(call)
    read = call.services.storage.read(lambda unit: call.services.secrets.reading.version(unit, secret, call.path["id"]))
    assert isinstance(read.view, VersionView)  # noqa: S101  (reading.version gives no other)
    reply = Reply(body=_full(call, read.view))
    if read.first is None:
        return reply
    return Pending(commit=read.first.commit, reply=lambda _: reply)


def _get_metadata(call: Call) -> Reply:
    secret = addressed(call)
    version = call.services.storage.read(lambda unit: find_version(unit, secret, call.path["id"]))
    return Reply(body=_metadata(call, secret, version))


def _update_metadata(call: Call) -> Pending:
    members = call.parse(schemas.SecretVersionMetadataPatch).model_dump(exclude_unset=True)
    change = call.services.secrets.changes.patch_version(addressed(call), call.path["id"], members)
    return Pending(commit=change.commit, reply=lambda view: Reply(body=_metadata(call, view.secret, view.version)))


def _delete_data(call: Call) -> Reply:
    call.services.secrets.changes.delete_version_data(addressed(call), call.path["id"])


def _act(call: Call) -> Pending:
    call.parse(SecretVersionActionPrototype)
    change = call.services.authorities.revocation.revoke(call.principal, addressed(call), call.path["id"])
    return Pending(commit=change.commit, reply=revoked)


_VERSIONS: Final = "/api/v2/secrets/{secret_id}/versions"

OPERATIONS: Final = [
    Operation(
        name="create_secret_version",
        method="POST",
        path=_VERSIONS,
        action=Action.SECRET_VERSION_CREATE,
        guard=find_addressed,
        handler=_create,
        work=Work.SLOW_WRITE,
        work_by=_work_of_create,
        summary="Rotate a secret: create its next version",
        tag="Versions",
        status=201,
        request=schemas.SecretVersionPrototype,
        response=schemas.SecretVersion,
        more_answers={412: None},
        target_type="secret",
    ),
    Operation(
        name="list_secret_versions",
        method="GET",
        path=_VERSIONS,
        action=Action.SECRET_VERSIONS_LIST,
        guard=find_addressed,
        handler=_list,
        work=Work.POINT,
        summary="List a secret's versions without their payloads",
        tag="Versions",
        response=schemas.SecretVersionMetadataCollection,
        target_type="secret",
    ),
    Operation(
        name="get_secret_version",
        method="GET",
        path=_VERSIONS + "/{id}",
        action=Action.SECRET_VERSION_READ,
        guard=find_addressed,
        handler=_get,
        work=Work.POINT,
        summary="Get a version with its payload",
        tag="Versions",
        response=schemas.SecretVersion,
        target_type="secret",
    ),
    Operation(
        name="delete_secret_version_data",
        method="DELETE",
        path=_VERSIONS + "/{id}/secret_data",
        action=Action.SECRET_VERSION_DATA_DELETE,
        guard=find_addressed,
        handler=_delete_data,
        work=Work.WRITE,
        summary="Delete the data of a version",
        tag="Versions",
        status=204,
        target_type="secret",
    ),
    Operation(
        name="get_secret_version_metadata",
        method="GET",
        path=_VERSIONS + "/{id}/metadata",
        action=Action.SECRET_VERSION_METADATA_READ,
        guard=find_addressed,
        handler=_get_metadata,
        work=Work.POINT,
        summary="Get a version without its payload",
        tag="Versions",
        response=schemas.SecretVersionMetadata,
        target_type="secret",
    ),
    Operation(
        name="update_secret_version_metadata",
        method="PATCH",
        path=_VERSIONS + "/{id}/metadata",
        action=Action.SECRET_VERSION_METADATA_UPDATE,
        guard=find_addressed,
        handler=_update_metadata,
        work=Work.WRITE,
        summary="Change a version's metadata",
        tag="Versions",
        media_types=MERGE_PATCH,
        request=schemas.SecretVersionMetadataPatch,
        response=schemas.SecretVersionMetadata,
        target_type="secret",
    ),
    Operation(
        name="create_secret_version_action",
        method="POST",
        path=_VERSIONS + "/{id}/actions",
        action=Action.SECRET_VERSION_ACTION_CREATE,
        guard=find_addressed,
        handler=_act,
        work=Work.SLOW_WRITE,
        summary="Act on a version",
        tag="Versions",
        status=201,
        request=SecretVersionActionPrototype,
        response=VersionAction,
        target_type="secret",
    ),
]
