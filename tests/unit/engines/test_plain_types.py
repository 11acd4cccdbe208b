"""Arbitrary text, keys and values, user credentials: what the engines prepare and refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from strongroom.domain.authorities.issuing import Issuance
from strongroom.domain.engine import Engine, NewValues, Work
from strongroom.domain.orders.ordering import Ordering
from strongroom.domain.secrets.model import SecretType, State
from strongroom.engines.registry import build_engines
from strongroom.kernel.errors import ErrorCode, Invalid
from tests.unit.engines.conftest import present

# No plain type issues anything.
ENGINES = build_engines(cast("Issuance", None), cast("Ordering", None))
ARBITRARY, KV, CREDENTIALS = (
    ENGINES[kind] for kind in (SecretType.ARBITRARY, SecretType.KV, SecretType.USERNAME_PASSWORD)
)
PLAIN = [ARBITRARY, KV, CREDENTIALS]


def new(**values: Any) -> NewValues:
    """Return values as a request brings them."""
    return NewValues(values=values)


def test_every_engine_is_registered_under_its_type() -> None:
    assert {kind: engine.secret_type for kind, engine in ENGINES.items()} == {kind: kind for kind in ENGINES}
    assert set(ENGINES) == {"arbitrary", "imported_cert", "kv", "private_cert", "public_cert", "username_password"}
    slow = {kind for kind, engine in ENGINES.items() if engine.slow}
    assert slow == {SecretType.IMPORTED_CERT, SecretType.PRIVATE_CERT, SecretType.PUBLIC_CERT}


@pytest.mark.parametrize("engine", PLAIN, ids=lambda engine: engine.secret_type)
def test_plain_types_do_not_restore(engine: Engine, work: Work) -> None:
    assert not engine.restorable
    with pytest.raises(Invalid) as refused:
        engine.prepare_restore(work, present(engine.secret_type), {})
    assert refused.value.code is ErrorCode.NOT_SUPPORTED


def test_keys_and_values_have_no_metadata_of_their_own(work: Work) -> None:
    assert not KV.patchable
    with pytest.raises(Invalid):
        KV.prepare_patch(work, present(SecretType.KV), {})


@pytest.mark.parametrize(
    ("engine", "values"),
    [
        (ARBITRARY, {"payload": "x"}),
        (KV, {"data": {"a": 1}}),
        (CREDENTIALS, {"username": "user", "password": "hunter22"}),
    ],
    ids=["arbitrary", "kv", "username_password"],
)
def test_values_become_the_payload_and_the_secret_active(engine: Engine, values: dict[str, Any], work: Work) -> None:
    prepared = engine.prepare_new(work, new(**values))
    assert prepared.payload == values
    assert prepared.state is State.ACTIVE
    assert prepared.expires_at is None
    assert "hunter22" not in repr(prepared)


def test_the_expiry_stays_with_the_next_text(work: Work) -> None:
    expires_at = datetime(2027, 1, 1, tzinfo=UTC)
    prepared = ARBITRARY.prepare_version(work, present(SecretType.ARBITRARY, expires_at=expires_at), new(payload="y"))
    assert prepared.expires_at == expires_at
    moved = ARBITRARY.prepare_patch(
        work, present(SecretType.ARBITRARY, expires_at=expires_at), {"expiration_date": None}
    )
    assert moved.expires_at is None


def test_objects_are_measured_in_bytes(work: Work) -> None:
    room = work.limits.kv_bytes - len('{"a":""}')
    KV.prepare_new(work, new(data={"a": "x" * room}))
    KV.prepare_new(work, new(data={"a": "é" * (room // 2)}))
    with pytest.raises(Invalid) as refused:
        KV.prepare_new(work, new(data={"a": "é" * (room // 2 + 1)}))
    assert refused.value.field == "data"
    assert "é" not in refused.value.detail


def test_all_faults_of_credentials_are_told_together(work: Work) -> None:
    values = {
        "username": "x y",
        "password": "short",
        "expiration_date": "2020-01-01T00:00:00Z",
        "rotation": {"auto_rotate": True, "interval": 0, "unit": "day"},
        "password_generation_policy": {"length": 3},
    }
    with pytest.raises(Invalid) as refused:
        CREDENTIALS.prepare_new(work, new(**values))
    assert {cause.field for cause in refused.value.causes} == {
        "username",
        "password",
        "expiration_date",
        "rotation.interval",
        "password_generation_policy.length",
    }
    assert "short" not in refused.value.diagnostics()


def test_a_password_is_made_by_the_policy_of_the_secret(work: Work) -> None:
    made = CREDENTIALS.prepare_new(work, new(username="user", password_generation_policy={"include_symbols": False}))
    assert made.payload == {"username": "user", "password": "32yny"}
    stored = present(SecretType.USERNAME_PASSWORD, made.payload, attributes=made.attributes, rotation=made.rotation)
    following = CREDENTIALS.prepare_version(work, stored, new())
    assert following.payload == made.payload
    assert following.relies_on_secret
    plain = present(SecretType.USERNAME_PASSWORD, made.payload)
    assert CREDENTIALS.prepare_version(work, plain, new()).payload == {"username": "user", "password": "32yyy"}


def test_credentials_without_data_cannot_go_on(work: Work) -> None:
    with pytest.raises(Invalid) as refused:
        CREDENTIALS.prepare_version(work, present(SecretType.USERNAME_PASSWORD), new())
    assert refused.value.code is ErrorCode.PAYLOAD_NOT_AVAILABLE


def test_a_policy_merges_member_by_member_and_null_brings_defaults_back(work: Work) -> None:
    policy = {"length": 20, "include_digits": False, "include_symbols": True, "include_uppercase": False}
    stored = present(SecretType.USERNAME_PASSWORD, attributes={"password_generation_policy": policy})

    def patched(change: Any) -> Any:
        return CREDENTIALS.prepare_patch(work, stored, {"password_generation_policy": change}).attributes[
            "password_generation_policy"
        ]

    assert patched({"length": 30}) == {**policy, "length": 30}
    assert patched({"include_digits": None}) == {**policy, "include_digits": True}
    assert patched({}) == policy
    assert patched(None) == {
        "length": 32,
        "include_digits": True,
        "include_symbols": True,
        "include_uppercase": True,
    }
    assert stored.secret.attributes["password_generation_policy"] == policy
