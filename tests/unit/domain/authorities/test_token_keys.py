from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.authorities.token_keys import next_in_token, require_usable
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.model import Secret, SecretType, State
from strongroom.kernel.errors import ErrorCode, Forbidden, Invalid
from strongroom.kernel.ids import GroupId, IamId, SecretId

PIN = SecretId("3c1f6c6a-1a55-4d6e-9c39-0d6ad0f2b4f1")
OURS, OTHERS = GroupId("group-of-the-secret"), GroupId("another-group")


@dataclass
class Unit:
    """A unit that knows one secret."""

    secret_type: SecretType = SecretType.ARBITRARY

    @property
    def secrets(self) -> Unit:
        return self

    def find(self, secret_id: SecretId) -> Secret | None:
        if secret_id != PIN:
            return None
        at = datetime(2026, 1, 15, tzinfo=UTC)
        return Secret(
            id=PIN,
            secret_type=self.secret_type,
            name="pin",
            group_id=OURS,
            state=State.ACTIVE,
            created_at=at,
            created_by=IamId("iam-x"),
            updated_at=at,
        )


def key(secret_id: str = PIN, **changes: Any) -> dict[str, Any]:
    provider = {"type": "pkcs11", "token_label": "authorities", "pin_secret_id": secret_id}
    return {"label": "issuing", "allow_generate_key": True, "provider": provider, **changes}


def check(*grants: Grant, secret_type: SecretType = SecretType.ARBITRARY, secret_id: str = PIN) -> None:
    caller = Principal(iam_id=IamId("iam-x"), name="x", kind=PrincipalKind.SERVICE_ID, grants=grants)
    require_usable(cast("ReadUnit", Unit(secret_type)), caller, key(secret_id))


@pytest.mark.parametrize("grant", [Grant(Role.MANAGER), Grant(Role.SECRETS_READER, OURS), Grant(Role.WRITER, OURS)])
def test_who_may_read_the_pin_may_name_it(grant: Grant) -> None:
    check(grant)


@pytest.mark.parametrize("secret_id", [PIN, "unknown"])
@pytest.mark.parametrize("grants", [(), (Grant(Role.READER),), (Grant(Role.ADMINISTRATOR),)])
def test_who_may_read_no_payload_learns_nothing_of_a_pin(grants: tuple[Grant, ...], secret_id: str) -> None:
    with pytest.raises(Forbidden):
        check(*grants, secret_id=secret_id)


def test_who_may_read_in_another_group_only_is_refused_before_the_type_is_told() -> None:
    with pytest.raises(Forbidden):
        check(Grant(Role.MANAGER, OTHERS), secret_type=SecretType.KV)


@pytest.mark.parametrize(("secret_type", "secret_id"), [(SecretType.KV, PIN), (SecretType.ARBITRARY, "unknown")])
def test_what_is_no_arbitrary_secret_holds_no_pin(secret_type: SecretType, secret_id: str) -> None:
    with pytest.raises(Invalid, match="names no arbitrary secret") as caught:
        check(Grant(Role.MANAGER), secret_type=secret_type, secret_id=secret_id)
    assert caught.value.code is ErrorCode.INVALID_FIELD


def test_the_next_key_has_a_label_of_its_own_and_an_id_of_the_tokens_choosing() -> None:
    assert next_in_token(None, 2) is None
    assert next_in_token(key(id="01a7"), 2) == key(label="issuing-2")


@pytest.mark.parametrize("changes", [{"allow_generate_key": False}, {"label": None}])
def test_no_next_key_where_none_may_be_made_or_named(changes: dict[str, Any]) -> None:
    crypto_key = {name: value for name, value in key(**changes).items() if value is not None}
    with pytest.raises(Invalid) as caught:
        next_in_token(crypto_key, 2)
    assert caught.value.code is ErrorCode.STATE_FORBIDS
