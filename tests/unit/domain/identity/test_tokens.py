"""The token endpoint's rules: grants, claims, refusals, refresh tokens, failed logins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from strongroom.domain.identity.model import UserState
from strongroom.domain.identity.tokens import GRANT_API_KEY, GRANT_ASSUME, NO_REFRESH_TOKEN, REFRESH_CLIENT, Login
from strongroom.domain.identity.users import NewUser, UserChange
from strongroom.kernel.errors import ErrorCode, Invalid, LimitReached, Unauthenticated
from tests.factories.identities import INSTANCE, ISSUER, World, token_authority

ADDRESS = "192.0.2.7"


def exchange(world: World, key: str, *, basic: tuple[str, str] | None = None, address: str | None = ADDRESS) -> Login:
    login = world.services.tokens.exchange({"grant_type": GRANT_API_KEY, "apikey": key}, basic, address)
    if login.change is not None:
        world.commit(login.change)
    return login


def refresh(world: World, token: str) -> Login:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    login = world.services.tokens.exchange(form, REFRESH_CLIENT, ADDRESS)
    if login.change is not None:
        world.commit(login.change)
    return login


def test_a_key_gets_a_token_of_one_hour_with_the_agreed_claims(world: World) -> None:
    login = exchange(world, world.administrator_key)
    answer = login.answer
    now = int(world.clock.now().timestamp())
    assert (answer.token_type, answer.expires_in, answer.expiration) == ("Bearer", 3600, now + 3600)
    assert answer.refresh_token == NO_REFRESH_TOKEN
    claims = dict(token_authority(world.clock).verify(answer.access_token))
    assert claims.pop("jti")
    iam_id = login.principal.iam_id
    assert claims == {
        "iam_id": iam_id,
        "id": iam_id,
        "sub": iam_id.removeprefix("iam-"),
        "iss": ISSUER,
        "account": {"bss": INSTANCE.account_id, "valid": True},
        "iat": now,
        "exp": now + 3600,
        "grant_type": GRANT_API_KEY,
        "scope": "ibm openid",
        "apikey_id": login.principal.credential_id,
    }


def test_the_token_of_a_user_has_its_address_as_text(world: World) -> None:
    user = world.commit(world.services.users.create(NewUser(name="operator", email="operator@example.com")))
    answer = exchange(world, world.key_of(user.iam_id)).answer
    claims = token_authority(world.clock).verify(answer.access_token)
    assert (claims["email"], claims["sub"]) == ("operator@example.com", "operator@example.com")


def test_neither_tokens_nor_keys_show_in_a_repr(world: World) -> None:
    login = exchange(world, world.administrator_key, basic=REFRESH_CLIENT)
    assert login.answer.access_token not in repr(login)
    assert login.answer.refresh_token not in repr(login)


def test_a_token_does_not_outlive_its_key(world: World) -> None:
    end = world.clock.now() + timedelta(minutes=5)
    key = world.key_of(world.service_id().iam_id, expires_at=end)
    assert exchange(world, key).answer.expires_in == 300


def disabled_key(world: World) -> str:
    return world.key_of(world.service_id().iam_id, disabled=True)


def deleted_key(world: World) -> str:
    made = world.service_id()
    key = world.key_of(made.iam_id)
    world.commit(world.services.service_ids.delete(made.id))
    return key


def expired_key(world: World) -> str:
    key = world.key_of(world.service_id().iam_id, expires_at=world.clock.now() + timedelta(seconds=1))
    world.clock.advance(timedelta(seconds=1))
    return key


def key_of_disabled_user(world: World) -> str:
    user = world.commit(world.services.users.create(NewUser(name="operator")))
    key = world.key_of(user.iam_id)
    world.commit(world.services.users.update(user.iam_id, UserChange(state=UserState.DISABLED)))
    return key


def unknown_key(world: World) -> str:
    return "sr_unknown"


@pytest.mark.parametrize("make", [disabled_key, deleted_key, expired_key, key_of_disabled_user, unknown_key])
def test_every_key_that_does_not_count_is_refused_alike(world: World, make: Callable[[World], str]) -> None:
    key = make(world)
    with pytest.raises(Invalid) as refused:
        exchange(world, key)
    assert refused.value.code is ErrorCode.CREDENTIAL_REFUSED
    assert refused.value.detail == "Provided API key could not be found, or is no longer valid."
    assert key not in refused.value.diagnostics()


@pytest.mark.parametrize(
    ("form", "field", "code"),
    [
        ({}, "grant_type", ErrorCode.MISSING_FIELD),
        ({"grant_type": GRANT_ASSUME}, "grant_type", ErrorCode.NOT_SUPPORTED),
        ({"grant_type": "password"}, "grant_type", ErrorCode.NOT_SUPPORTED),
        ({"grant_type": "urn:ibm:params:oauth:grant-type:cr-token"}, "grant_type", ErrorCode.NOT_SUPPORTED),
        ({"grant_type": GRANT_API_KEY}, "apikey", ErrorCode.MISSING_FIELD),
        ({"grant_type": GRANT_API_KEY, "apikey": "x" * 4097}, "apikey", ErrorCode.INVALID_FIELD),
        ({"grant_type": "refresh_token"}, "refresh_token", ErrorCode.MISSING_FIELD),
    ],
)
def test_other_forms_are_refused_by_the_field_at_fault(
    world: World, form: dict[str, str], field: str, code: ErrorCode
) -> None:
    with pytest.raises(Invalid) as refused:
        world.services.tokens.exchange(form, None, ADDRESS)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_a_key_is_refused_from_outside_its_networks(world: World) -> None:
    key = world.key_of(world.service_id().iam_id, allowed_networks=("198.51.100.0/24", "2001:db8::/64"))
    for address in ("198.51.100.9", "::ffff:198.51.100.9", "2001:db8::1%eth0"):
        exchange(world, key, address=address)
    outside: tuple[str | None, ...] = ("192.0.2.7", "2001:db8:1::1", None, "somewhere")
    for other in outside:
        with pytest.raises(Unauthenticated) as refused:
            exchange(world, key, address=other)
        assert refused.value.code is ErrorCode.ADDRESS_NOT_ALLOWED


def test_a_refresh_token_is_given_to_the_one_client_that_uses_it(world: World) -> None:
    assert exchange(world, world.administrator_key, basic=("other", "client")).answer.refresh_token == NO_REFRESH_TOKEN
    token = exchange(world, world.administrator_key, basic=REFRESH_CLIENT).answer.refresh_token
    again = refresh(world, token)
    assert again.answer.refresh_token not in (token, NO_REFRESH_TOKEN)
    assert token_authority(world.clock).verify(again.answer.access_token)["grant_type"] == "refresh_token"


def test_a_refresh_token_lives_for_72_hours(world: World) -> None:
    token = exchange(world, world.administrator_key, basic=REFRESH_CLIENT).answer.refresh_token
    world.clock.advance(timedelta(hours=72) - timedelta(seconds=1))
    refresh(world, token)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(Invalid) as refused:
        refresh(world, token)
    assert refused.value.code is ErrorCode.CREDENTIAL_REFUSED


def test_a_refresh_token_ends_with_its_key(world: World) -> None:
    made = world.service_id()
    key = world.key_of(made.iam_id)
    login = exchange(world, key, basic=REFRESH_CLIENT)
    page = world.read(lambda unit: unit.identities.api_keys(iam_id=made.iam_id, limit=1, offset=0))
    world.commit(world.services.api_keys.set_disabled(world.administrator, page.items[0].id, disabled=True))
    with pytest.raises(Invalid):
        refresh(world, login.answer.refresh_token)


def test_an_api_key_is_no_refresh_token_and_the_other_way_round(world: World) -> None:
    login = exchange(world, world.administrator_key, basic=REFRESH_CLIENT)
    with pytest.raises(Invalid):
        refresh(world, world.administrator_key)
    with pytest.raises(Invalid):
        exchange(world, login.answer.refresh_token)


def test_last_use_is_noted_at_most_once_a_minute(world: World) -> None:
    made = world.service_id()
    key = world.key_of(made.iam_id)
    assert exchange(world, key).change is not None
    assert exchange(world, key).change is None
    world.clock.advance(timedelta(minutes=1))
    assert exchange(world, key).change is not None
    page = world.read(lambda unit: unit.identities.api_keys(iam_id=made.iam_id, limit=1, offset=0))
    assert page.items[0].last_used_at == world.clock.now()


def test_a_login_is_refused_when_its_key_goes_before_the_commit(world: World) -> None:
    made = world.service_id()
    key = world.key_of(made.iam_id)
    login = world.services.tokens.exchange({"grant_type": GRANT_API_KEY, "apikey": key}, None, ADDRESS)
    world.commit(world.services.service_ids.delete(made.id))
    assert login.change is not None
    with pytest.raises(Invalid) as refused:
        world.commit(login.change)
    assert refused.value.code is ErrorCode.CREDENTIAL_REFUSED


def test_ten_failures_within_a_minute_stop_an_address(world: World) -> None:
    for n in range(10):
        with pytest.raises(Invalid):
            exchange(world, f"sr_{n}")
    with pytest.raises(LimitReached) as refused:
        exchange(world, world.administrator_key)
    assert refused.value.code is ErrorCode.TOO_MANY_ATTEMPTS
    assert refused.value.retry_after == timedelta(minutes=1)
    exchange(world, world.administrator_key, address="192.0.2.8")
    world.clock.advance(timedelta(minutes=1))
    exchange(world, world.administrator_key)


def test_ten_failures_on_one_key_stop_it_from_every_address(world: World) -> None:
    key = disabled_key(world)
    for n in range(10):
        with pytest.raises(Invalid):
            exchange(world, key, address=f"198.51.100.{n}")
    with pytest.raises(LimitReached):
        exchange(world, key, address="198.51.100.200")


def test_a_key_is_not_stopped_by_attempts_from_networks_it_does_not_allow(world: World) -> None:
    key = world.key_of(world.service_id().iam_id, allowed_networks=("192.0.2.0/24",))
    for n in range(20):
        with pytest.raises(Unauthenticated):
            exchange(world, key, address=f"198.51.100.{n}")
    exchange(world, key)
