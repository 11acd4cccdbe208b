"""The token endpoint and the keys that verify its tokens."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl

from strongroom.api.iam.models import JwkSet, TokenProblem, TokenRequest, TokenResponse
from strongroom.api.iam.problems import iam_problem
from strongroom.api.operations import FORM_BODY, Call, Operation, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.identity.tokens import TokenAnswer
from strongroom.kernel.errors import ErrorCode, Invalid

_FIELDS_MAX = 50
TAG = "Tokens"


def create_token(call: Call) -> Reply | Pending:
    """Trade an API key or a refresh token for an access token."""
    login = call.services.identities.tokens.exchange(_form(call.raw_body), _basic(call), call.address)
    call.principal = login.principal
    call.target = Target(type="api_key", id=login.principal.credential_id)

    def reply(_: Any) -> Reply:
        return Reply(body=_to_wire(login.answer), headers={"Pragma": "no-cache"})

    return reply(None) if login.change is None else Pending(commit=login.change.commit, reply=reply)


def list_token_keys(call: Call) -> Reply:
    """List the public keys of access tokens."""
    return Reply(body=call.services.identities.signer.jwks())


def _to_wire(answer: TokenAnswer) -> dict[str, Any]:
    return {
        "access_token": answer.access_token,
        "refresh_token": answer.refresh_token,
        "token_type": answer.token_type,
        "expires_in": answer.expires_in,
        "expiration": answer.expiration,
        "scope": answer.scope,
    }


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except (UnicodeError, ValueError):
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "The request body is not a form in UTF-8.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        # Source: RFC 6749 section 3.2.
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "A field of the form is there twice.")
    return form


def _basic(call: Call) -> tuple[str, str] | None:
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, separator, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None
    return (name, secret) if separator else None


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="create_token",
        method="POST",
        path="/identity/token",
        action="public",
        handler=create_token,
        # A signature is quick beside what slow writes do, and a login must not wait for one of those.
        work=Work.SCAN,
        summary="Get an access token for an API key",
        description=(
            "Grants: urn:ibm:params:oauth:grant-type:apikey and refresh_token. A refresh token is given only to "
            "clients that authenticate as bx:bx. A refused key answers 400; ten failures within a minute, by one "
            "address or on one key, answer 429."
        ),
        tag=TAG,
        request=TokenRequest,
        response=TokenResponse,
        media_types=FORM_BODY,
        target_type="api_key",
        audit_as=Action.INSTANCE_LOGIN.value,
        more_answers={429: None},
        problems=iam_problem,
        error_model=TokenProblem,
    ),
    Operation(
        name="list_token_keys",
        method="GET",
        path="/identity/keys",
        action="public",
        handler=list_token_keys,
        work=Work.POINT,
        summary="List the keys that verify access tokens",
        tag=TAG,
        response=JwkSet,
        audit=False,
        problems=iam_problem,
        error_model=TokenProblem,
    ),
)
