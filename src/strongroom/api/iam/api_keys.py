"""Operations on API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from strongroom.api.iam.account import check_account
from strongroom.api.iam.flags import header_flag, refuse_filter
from strongroom.api.iam.mapping import api_key_to_wire, etag
from strongroom.api.iam.models import (
    ApiKeyAnswer,
    ApiKeyPage,
    CreateApiKey,
    FirstApiKey,
    ListApiKeysQuery,
    UpdateApiKey,
)
from strongroom.api.iam.paging import identity_frame, offset_of
from strongroom.api.iam.tagged import Kind
from strongroom.api.operations import Call, Operation, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.identity.api_keys import ApiKeyChange, CreatedApiKey, NewApiKey
from strongroom.domain.identity.fields import read_expiry
from strongroom.domain.identity.model import ApiKey
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import ApiKeyId, IamId

TAG = "API keys"
_TARGET = "api_key"
_KIND: Final[Kind[ApiKey]] = Kind(_TARGET, api_key_to_wire)


def read_new_key(
    body: CreateApiKey | FirstApiKey, *, prefix: str = "", disabled: bool = False, locked: bool = False
) -> NewApiKey:
    """Return what a body asks for.

    Raises:
        Invalid: an expiry that is no time, or a key text of the caller's own choice.
    """
    if body.apikey:
        raise Invalid(
            ErrorCode.NOT_SUPPORTED,
            f"{prefix}apikey: keys are made by the server only; leave it out.",
            field=f"{prefix}apikey",
        )
    return NewApiKey(
        name=body.name,
        description=body.description,
        expires_at=_expiry(body.expires_at, f"{prefix}expires_at"),
        allowed_networks=tuple(body.allowed_networks or ()),
        disabled=disabled,
        locked=locked,
    )


def list_api_keys(call: Call) -> Reply:
    """List API keys of one identity, or of all."""
    query = call.parse_query(ListApiKeysQuery)
    check_account(call, query.account_id)
    refuse_filter(query.filter)
    offset = offset_of(query.pagetoken, "pagetoken")
    api_keys = call.services.identities.api_keys
    page = call.services.storage.read(
        lambda unit: api_keys.page(
            unit,
            call.principal,
            iam_id=IamId(query.iam_id) if query.iam_id else None,
            everybody=query.scope == "account",
            services=None if query.type is None else query.type == "serviceid",
            limit=query.pagesize,
            offset=offset,
        )
    )
    body = {**identity_frame(call, page), "apikeys": [api_key_to_wire(call, item) for item in page.items]}
    return Reply(body=body)


def create_api_key(call: Call) -> Pending:
    """Create an API key; its text is in this answer and nowhere else."""
    body = call.parse(CreateApiKey)
    check_account(call, body.account_id)
    request = read_new_key(body, disabled=header_flag(call, "entity-disable"), locked=header_flag(call, "entity-lock"))
    change = call.services.identities.api_keys.create(call.principal, IamId(body.iam_id), request)

    def commit(unit: Unit) -> CreatedApiKey:
        created = change.commit(unit)
        _KIND.aim(call, created.api_key)
        return created

    def reply(created: CreatedApiKey) -> Reply:
        return Reply(body=api_key_to_wire(call, created.api_key, created.key), headers=etag(created.api_key.entity_tag))

    return Pending(commit=commit, reply=reply)


def get_api_key(call: Call) -> Reply:
    """Return one API key, without its text."""
    api_keys = call.services.identities.api_keys
    found = call.services.storage.read(lambda unit: api_keys.get(unit, call.principal, _id(call)))
    return _KIND.reply(call, found)


def get_api_key_details(call: Call) -> Reply:
    """Return the API key whose text is in the header IAM-ApiKey."""
    key = call.headers.get("iam-apikey", "")
    if not key:
        raise Invalid(ErrorCode.MISSING_FIELD, "The header IAM-ApiKey is required.", field="IAM-ApiKey")
    api_keys = call.services.identities.api_keys
    found = call.services.storage.read(lambda unit: api_keys.get_by_value(unit, call.principal, key))
    return _KIND.reply(call, found)


def update_api_key(call: Call) -> Pending:
    """Change an API key."""
    body = call.parse(UpdateApiKey)
    change = ApiKeyChange(
        name=body.name,
        description=body.description,
        expires_at=_expiry(body.expires_at, "expires_at"),
        never_expires=body.expires_at == "",
        allowed_networks=None if body.allowed_networks is None else tuple(body.allowed_networks),
    )
    api_keys = call.services.identities.api_keys
    return _KIND.pending(call, api_keys.update(call.principal, _id(call), change, call.headers.get("if-match")))


def delete_api_key(call: Call) -> Pending:
    """Delete an API key; its tokens end with it."""
    return _KIND.pending(call, call.services.identities.api_keys.delete(call.principal, _id(call)), empty=True)


def disable_api_key(call: Call) -> Pending:
    """Disable an API key; its tokens stop working at once."""
    return _set_disabled(call, disabled=True)


def enable_api_key(call: Call) -> Pending:
    """Enable an API key."""
    return _set_disabled(call, disabled=False)


def lock_api_key(call: Call) -> Pending:
    """Lock an API key."""
    return _set_locked(call, locked=True)


def unlock_api_key(call: Call) -> Pending:
    """Unlock an API key."""
    return _set_locked(call, locked=False)


def _set_disabled(call: Call, *, disabled: bool) -> Pending:
    change = call.services.identities.api_keys.set_disabled(call.principal, _id(call), disabled=disabled)
    return _KIND.pending(call, change, empty=True)


def _set_locked(call: Call, *, locked: bool) -> Pending:
    change = call.services.identities.api_keys.set_locked(call.principal, _id(call), locked=locked)
    return _KIND.pending(call, change, empty=True)


def _expiry(text: str | None, field: str) -> datetime | None:
    return read_expiry(text, field) if text else None


def _id(call: Call) -> ApiKeyId:
    return ApiKeyId(call.path["id"])


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_api_keys",
        method="GET",
        path="/v1/apikeys",
        action=Action.IDENTITY_OWN_KEYS,
        handler=list_api_keys,
        work=Work.SCAN,
        summary="List API keys",
        description=(
            "Those of the caller unless iam_id names another identity, or scope=account asks for all; both need "
            "Administrator. Newest first; sort and order are accepted and not used."
        ),
        tag=TAG,
        query=ListApiKeysQuery,
        response=ApiKeyPage,
        target_type=_TARGET,
        audit_as="api-keys.list",
    ),
    Operation(
        name="create_api_key",
        method="POST",
        path="/v1/apikeys",
        action=Action.IDENTITY_OWN_KEYS,
        handler=create_api_key,
        work=Work.WRITE,
        status=201,
        summary="Create an API key",
        description="For the caller's own identity; for another one with Administrator. The key is shown this once.",
        tag=TAG,
        request=CreateApiKey,
        response=ApiKeyAnswer,
        request_headers={
            "Entity-Lock": "true makes it locked from the start",
            "Entity-Disable": "true makes it disabled from the start",
        },
        target_type=_TARGET,
        audit_as="api-key.create",
    ),
    # Before the path with an id, which it would match too.
    Operation(
        name="get_api_keys_details",
        method="GET",
        path="/v1/apikeys/details",
        action=Action.IDENTITY_OWN_KEYS,
        handler=get_api_key_details,
        work=Work.POINT,
        summary="Get an API key by its text",
        tag=TAG,
        response=ApiKeyAnswer,
        request_headers={"IAM-ApiKey": "the text of the key"},
        more_answers={404: None},
        target_type=_TARGET,
        audit_as="api-key.read",
    ),
    Operation(
        name="get_api_key",
        method="GET",
        path="/v1/apikeys/{id}",
        action=Action.IDENTITY_OWN_KEYS,
        handler=get_api_key,
        work=Work.POINT,
        summary="Get an API key",
        tag=TAG,
        response=ApiKeyAnswer,
        target_type=_TARGET,
        audit_as="api-key.read",
    ),
    Operation(
        name="update_api_key",
        method="PUT",
        path="/v1/apikeys/{id}",
        action=Action.IDENTITY_MANAGE,
        handler=update_api_key,
        work=Work.WRITE,
        summary="Change an API key",
        tag=TAG,
        request=UpdateApiKey,
        response=ApiKeyAnswer,
        request_headers={"If-Match": "entity_tag of the version that was read, or *"},
        target_type=_TARGET,
        audit_as="api-key.update",
    ),
    Operation(
        name="delete_api_key",
        method="DELETE",
        path="/v1/apikeys/{id}",
        action=Action.IDENTITY_OWN_KEYS,
        handler=delete_api_key,
        work=Work.WRITE,
        status=204,
        summary="Delete an API key",
        tag=TAG,
        target_type=_TARGET,
        audit_as="api-key.delete",
    ),
    Operation(
        name="disable_api_key",
        method="POST",
        path="/v1/apikeys/{id}/disable",
        action=Action.IDENTITY_MANAGE,
        handler=disable_api_key,
        work=Work.WRITE,
        status=204,
        summary="Disable an API key and its tokens",
        tag=TAG,
        body_required=False,
        target_type=_TARGET,
        audit_as="api-key.disable",
    ),
    Operation(
        name="enable_api_key",
        method="DELETE",
        path="/v1/apikeys/{id}/disable",
        action=Action.IDENTITY_MANAGE,
        handler=enable_api_key,
        work=Work.WRITE,
        status=204,
        summary="Enable an API key",
        tag=TAG,
        target_type=_TARGET,
        audit_as="api-key.enable",
    ),
    Operation(
        name="lock_api_key",
        method="POST",
        path="/v1/apikeys/{id}/lock",
        action=Action.IDENTITY_MANAGE,
        handler=lock_api_key,
        work=Work.WRITE,
        status=204,
        summary="Lock an API key against changes and deletion",
        tag=TAG,
        body_required=False,
        target_type=_TARGET,
        audit_as="api-key.lock",
    ),
    Operation(
        name="unlock_api_key",
        method="DELETE",
        path="/v1/apikeys/{id}/lock",
        action=Action.IDENTITY_MANAGE,
        handler=unlock_api_key,
        work=Work.WRITE,
        status=204,
        summary="Unlock an API key",
        tag=TAG,
        target_type=_TARGET,
        audit_as="api-key.unlock",
    ),
)
