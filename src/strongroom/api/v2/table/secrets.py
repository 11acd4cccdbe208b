"""Operations on secrets. Source: api-v2 section 2.2."""

from __future__ import annotations

from typing import Any, Final

from strongroom.api.extensions.mapping import job_body
from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.api.paging import page_body, parse_groups, parse_list, parse_search, parse_sort
from strongroom.api.v2.addressed import REVOKE, VALIDATE, addressed, aim, find_addressed, revoked, work_of_engine
from strongroom.api.v2.mapping.secrets import secret_full, secret_metadata
from strongroom.api.v2.schemas import secrets as schemas
from strongroom.api.v2.schemas.private_certs import PrivateCertificateMetadataPatch
from strongroom.api.v2.schemas.public_certs import PublicCertificateMetadataPatch
from strongroom.api.v2.schemas.secret_base import SecretMetadataPatchBase, SecretPrototypeBase
from strongroom.api.v2.table.csr_update import as_csr_update
from strongroom.api.v2.table.public_certs import refuse_ordered_with, validate, work_of_order
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.changing import MetadataPatch
from strongroom.domain.secrets.context import SecretView
from strongroom.domain.secrets.creating import NewSecret
from strongroom.domain.secrets.lookup import authorised_by_name, authorised_current, visible_groups
from strongroom.domain.secrets.model import Secret, SecretQuery, SecretType, State, StoredPayload
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId

_SORT_KEYS: Final = frozenset(
    {"id", "created_at", "updated_at", "retrieved_at", "expiration_date", "secret_type", "name"}
)
_COMMON: Final = frozenset(
    {"name", "description", "secret_group_id", "labels", "custom_metadata", "version_custom_metadata", "secret_type"}
)
_PATCH_MODELS: Final[dict[SecretType, type[SecretMetadataPatchBase]]] = {
    SecretType.ARBITRARY: schemas.ArbitrarySecretMetadataPatch,
    SecretType.KV: schemas.KVSecretMetadataPatch,
    SecretType.USERNAME_PASSWORD: schemas.UsernamePasswordSecretMetadataPatch,
    SecretType.IMPORTED_CERT: schemas.ImportedCertificateMetadataPatch,
    SecretType.PRIVATE_CERT: PrivateCertificateMetadataPatch,
    SecretType.PUBLIC_CERT: PublicCertificateMetadataPatch,
}
_ACTS_ON: Final = {REVOKE: SecretType.PRIVATE_CERT, VALIDATE: SecretType.PUBLIC_CERT}

_TYPES: Final = frozenset(SecretType)


def _create(call: Call) -> Pending:
    raw = call.json_object()
    _require_known_type(call, raw)
    body: SecretPrototypeBase = call.parse(schemas.SecretPrototype)  # type: ignore[arg-type]
    values = body.model_dump(exclude_unset=True)
    group_id = DEFAULT_GROUP if body.secret_group_id is None else GroupId(body.secret_group_id)
    call.target = Target(type="secret", name=body.name, secret_group_id=group_id)
    new = NewSecret(
        secret_type=SecretType(values["secret_type"]),
        name=body.name,
        description=body.description or "",
        group_id=group_id,
        labels=tuple(body.labels or ()),
        custom_metadata=body.custom_metadata,
        version_custom_metadata=body.version_custom_metadata,
        values={name: value for name, value in values.items() if name not in _COMMON},
    )
    update = as_csr_update(call, new)
    if update is not None:
        return update
    change = call.services.secrets.creation.create(call.principal, new)

    def reply(view: SecretView) -> Reply:
        aim(call, view.secret)
        return Reply(body=_full(call, view))

    def commit(unit: Any) -> SecretView:
        view = change.commit(unit)
        aim(call, view.secret)
        return view

    return Pending(commit=commit, reply=reply)


def _work_of_create(call: Call) -> Work:
    """Tell what the type of the new secret needs: keys, checks, other servers; what is no type is refused quickly."""
    body = call.json_object()
    given = body.get("secret_type")
    if given == SecretType.PUBLIC_CERT:
        return work_of_order(body)
    engine = call.services.secrets.context.engines.get(given) if isinstance(given, str) else None  # type: ignore[call-overload]
    return Work.SLOW_WRITE if engine is not None and engine.slow else Work.WRITE


def _require_known_type(call: Call, raw: dict[str, Any]) -> None:
    given = raw.get("secret_type")
    if isinstance(given, str) and given in _TYPES:
        # Known to the contract, perhaps not to this server: a clearer refusal than a bad discriminator.
        call.services.secrets.context.engine(SecretType(given))


def _full(call: Call, view: SecretView) -> dict[str, Any]:
    services = call.services
    wire = secret_full(view, services.instance, services.secrets.context.engine(view.secret.secret_type))
    wire.update(_job(call, view.secret))
    return wire


def _job(call: Call, secret: Secret) -> dict[str, Any]:
    """Return the job that is at work on the secret or failed last, as a member; mostly there is none."""
    expires_at = secret.expires_at if secret.state is State.ACTIVE else None
    # Locks hold an expiry back.
    is_overdue = expires_at is not None and expires_at <= call.services.clock.now()
    if secret.rotation_status == "none" and secret.state is not State.PRE_ACTIVATION and not is_overdue:
        return {}
    job = call.services.storage.read(lambda unit: unit.jobs.last_of_secret(secret.id))
    return {} if job is None else {"job": job_body(job)}


def _list(call: Call) -> Reply:
    query = call.parse_query(schemas.SecretsQuery)
    types = parse_list(query.secret_types, field="secret_types", most=len(SecretType))
    for item in types:
        if item not in _TYPES:
            raise Invalid(
                ErrorCode.INVALID_FIELD,
                f"secret_types may hold {', '.join(SecretType)}.",
                field="secret_types",
            )
    labels = parse_list(query.match_all_labels, field="match_all_labels", most=call.services.limits.labels)
    secret_query = SecretQuery(
        limit=query.limit,
        offset=query.offset,
        groups=visible_groups(call.principal, Action.SECRETS_LIST, parse_groups(call, query.groups)),
        secret_types=frozenset(SecretType(item) for item in types) if types else None,
        labels=labels,
        search=parse_search(query.search),
        sort=parse_sort(query.sort, _SORT_KEYS),
    )
    page = call.services.storage.read(lambda unit: unit.secrets.page(secret_query))
    instance = call.services.instance
    return Reply(body=page_body(call, page, "secrets", lambda secret: secret_metadata(secret, instance)))


def _get(call: Call) -> Reply | Pending:
    secret_id = call.path["id"]
    call.target = Target(type="secret", id=secret_id)
    found = call.services.storage.look(
        lambda unit: authorised_current(unit, call.principal, Action.SECRET_READ, secret_id)
    )
    return _opened(call, found)


def _get_by_name(call: Call) -> Reply | Pending:
    name = call.path["name"]
    call.target = Target(type="secret", name=name)
    given = call.path["secret_type"]
    if given not in _TYPES:
        raise Invalid(
            ErrorCode.INVALID_FIELD, f"secret_type must be one of {', '.join(SecretType)}.", field="secret_type"
        )

    def look_up(unit: ReadUnit) -> StoredPayload | Secret:
        secret = authorised_by_name(
            unit,
            call.principal,
            Action.SECRET_READ,
            group_name=call.path["secret_group_name"],
            secret_type=SecretType(given),
            name=name,
        )
        return unit.secrets.find_current(secret.id) or secret

    return _opened(call, call.services.storage.read(look_up))


def _opened(call: Call, found: StoredPayload | Secret) -> Reply | Pending:
    aim(call, found if isinstance(found, Secret) else found.secret)
    read = call.services.secrets.reading.secret(found)
    assert isinstance(read.view, SecretView)  # noqa: S101  (reading.secret gives no other)
    reply = Reply(body=_full(call, read.view))
    if read.first is None:
        return reply
    return Pending(commit=read.first.commit, reply=lambda _: reply)


def _delete(call: Call) -> Pending:
    secret = addressed(call)
    call.parse_query(schemas.DeleteSecretQuery)
    change = call.services.secrets.changes.delete(call.principal, secret)
    return Pending(commit=change.commit, reply=lambda _: Reply())


def _get_metadata(call: Call) -> Reply:
    secret = addressed(call)
    return Reply(body=secret_metadata(secret, call.services.instance) | _job(call, secret))


def _update_metadata(call: Call) -> Pending:
    secret = addressed(call)
    refuse_ordered_with(secret, call.json_object())
    model = _PATCH_MODELS[secret.secret_type]
    members = call.parse(model).model_dump(exclude_unset=True)
    change = call.services.secrets.changes.patch(secret, MetadataPatch(members=members))
    return Pending(
        commit=change.commit, reply=lambda view: Reply(body=secret_metadata(view.secret, call.services.instance))
    )


def _act(call: Call) -> Pending:
    secret = addressed(call)
    body: Any = call.parse(schemas.SecretActionPrototype)  # type: ignore[arg-type]  # a union is not a class
    if _ACTS_ON[body.action_type] is not secret.secret_type:
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            f"The action {body.action_type} does not apply to secrets of type {secret.secret_type}.",
            field="action_type",
        )
    if body.action_type == VALIDATE:
        return validate(call, secret)
    change = call.services.authorities.revocation.revoke(call.principal, secret)
    return Pending(commit=change.commit, reply=revoked)


OPERATIONS: Final = [
    Operation(
        name="get_secret",
        method="GET",
        path="/api/v2/secrets/{id}",
        action=Action.SECRET_READ,
        handler=_get,
        work=Work.POINT,
        summary="Get a secret with its payload",
        tag="Secrets",
        response=schemas.Secret,
        target_type="secret",
    ),
    Operation(
        name="create_secret",
        method="POST",
        path="/api/v2/secrets",
        action=Action.SECRET_CREATE,
        handler=_create,
        work=Work.SLOW_WRITE,
        work_by=_work_of_create,
        summary="Create a secret",
        tag="Secrets",
        status=201,
        request=schemas.SecretPrototype,
        response=schemas.Secret,
        more_answers={200: schemas.SecretMetadata},
        target_type="secret",
    ),
    Operation(
        name="list_secrets",
        method="GET",
        path="/api/v2/secrets",
        action=Action.SECRETS_LIST,
        handler=_list,
        work=Work.SCAN,
        summary="List secrets without their payloads",
        tag="Secrets",
        query=schemas.SecretsQuery,
        response=schemas.SecretMetadataPaginatedCollection,
        target_type="secret",
    ),
    Operation(
        name="delete_secret",
        method="DELETE",
        path="/api/v2/secrets/{id}",
        action=Action.SECRET_DELETE,
        guard=find_addressed,
        handler=_delete,
        work=Work.WRITE,
        summary="Delete a secret with all versions",
        tag="Secrets",
        status=204,
        query=schemas.DeleteSecretQuery,
        more_answers={412: None},
        target_type="secret",
    ),
    Operation(
        name="get_secret_metadata",
        method="GET",
        path="/api/v2/secrets/{id}/metadata",
        action=Action.SECRET_METADATA_READ,
        guard=find_addressed,
        handler=_get_metadata,
        work=Work.POINT,
        summary="Get a secret without its payload",
        tag="Secrets",
        response=schemas.SecretMetadata,
        target_type="secret",
    ),
    Operation(
        name="update_secret_metadata",
        method="PATCH",
        path="/api/v2/secrets/{id}/metadata",
        action=Action.SECRET_METADATA_UPDATE,
        guard=find_addressed,
        handler=_update_metadata,
        work=Work.SLOW_WRITE,
        work_by=work_of_engine,
        summary="Change a secret's metadata",
        tag="Secrets",
        media_types=MERGE_PATCH,
        request=schemas.SecretMetadataPatch,
        response=schemas.SecretMetadata,
        target_type="secret",
    ),
    Operation(
        name="create_secret_action",
        method="POST",
        path="/api/v2/secrets/{id}/actions",
        action=Action.SECRET_ACTION_CREATE,
        guard=find_addressed,
        handler=_act,
        work=Work.SLOW_WRITE,
        summary="Act on a secret",
        tag="Secrets",
        status=201,
        request=schemas.SecretActionPrototype,
        response=schemas.SecretAction,
        target_type="secret",
    ),
    Operation(
        name="get_secret_by_name_type",
        method="GET",
        path="/api/v2/secret_groups/{secret_group_name}/secret_types/{secret_type}/secrets/{name}",
        action=Action.SECRET_READ,
        handler=_get_by_name,
        work=Work.POINT,
        summary="Get a secret by group name, type and name",
        tag="Secrets",
        response=schemas.Secret,
        target_type="secret",
    ),
]
