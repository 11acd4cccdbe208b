"""From token to caller: every use is checked, and nothing stale is believed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from strongroom.domain.access.actions import Action, Role
from strongroom.domain.identity.authenticate import Authenticator
from strongroom.domain.identity.generations import Generations
from strongroom.domain.identity.model import ApiKey, UserState
from strongroom.domain.identity.users import NewUser, UserChange
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Unauthenticated
from strongroom.kernel.ids import IamId
from tests.factories.identities import INSTANCE, ISSUER, World, token_authority

ADDRESS = "192.0.2.7"


def only_key(world: World, iam_id: IamId) -> ApiKey:
    (api_key,) = world.read(lambda unit: unit.identities.api_keys(iam_id=iam_id, limit=10, offset=0)).items
    return api_key


def refused(world: World, token: str, address: str | None = ADDRESS) -> ErrorCode:
    with pytest.raises(Unauthenticated) as caught:
        world.services.authenticator.authenticate(token, address)
    return caught.value.code


def test_a_token_stands_for_its_identity_and_all_its_grants(world: World) -> None:
    principal = world.services.authenticator.authenticate(world.log_in(world.administrator_key), ADDRESS)
    assert principal.name == "administrator"
    assert principal.scope(Action.IDENTITY_MANAGE).everywhere
    assert principal.scope(Action.SECRET_DELETE).everywhere
    assert principal.credential_id == only_key(world, principal.iam_id).id


def test_a_known_token_is_answered_from_memory(world: World) -> None:
    authenticator = world.services.authenticator
    token = world.log_in(world.administrator_key)
    assert authenticator.cached(token, ADDRESS) is None
    principal = authenticator.authenticate(token, ADDRESS)
    assert authenticator.cached(token, ADDRESS) is principal


def test_tokens_of_one_key_share_what_was_read(world: World) -> None:
    authenticator = world.services.authenticator
    one = authenticator.authenticate(world.log_in(world.administrator_key), ADDRESS)
    other = authenticator.authenticate(world.log_in(world.administrator_key), ADDRESS)
    assert one is other


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "\ud800"])
def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    assert refused(world, token) is ErrorCode.TOKEN_INVALID


def test_no_token_is_missing(world: World) -> None:
    assert refused(world, "") is ErrorCode.TOKEN_MISSING


def test_a_token_without_our_claims_is_refused(world: World) -> None:
    now = int(world.clock.now().timestamp())
    token = token_authority(world.clock).sign({"iss": ISSUER, "iat": now, "exp": now + 60, "iam_id": INSTANCE.id})
    assert refused(world, token) is ErrorCode.TOKEN_INVALID


def test_a_token_of_a_key_of_somebody_else_is_refused(world: World) -> None:
    now = int(world.clock.now().timestamp())
    key = only_key(world, world.administrator.iam_id)
    claims = {"iss": ISSUER, "iat": now, "exp": now + 60, "iam_id": "IBMid-other", "apikey_id": key.id}
    assert refused(world, token_authority(world.clock).sign(claims)) is ErrorCode.TOKEN_INVALID


def test_a_token_expires_while_it_is_remembered(world: World) -> None:
    authenticator = world.services.authenticator
    token = world.log_in(world.administrator_key)
    for _ in range(2):
        authenticator.authenticate(token, ADDRESS)
    world.clock.advance(timedelta(hours=1))
    assert refused(world, token) is ErrorCode.TOKEN_EXPIRED
    fresh = Authenticator(
        storage=world.storage, clock=world.clock, signer=world.services.signer, generations=Generations(world.clock)
    )
    with pytest.raises(Unauthenticated) as caught:
        fresh.authenticate(token, ADDRESS)
    assert caught.value.code is ErrorCode.TOKEN_EXPIRED


def test_the_memory_checks_expiry_too(world: World) -> None:
    authenticator = world.services.authenticator
    made = world.service_id()
    key = world.key_of(made.iam_id, expires_at=world.clock.now() + timedelta(seconds=1, microseconds=500))
    token = world.log_in(key)
    authenticator.authenticate(token, ADDRESS)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated) as caught:
        authenticator.cached(token, ADDRESS)
    assert caught.value.code is ErrorCode.TOKEN_EXPIRED


def test_a_shortened_key_ends_its_tokens(world: World) -> None:
    authenticator = world.services.authenticator
    made = world.service_id()
    token = world.log_in(world.key_of(made.iam_id))
    authenticator.authenticate(token, ADDRESS)
    stored = only_key(world, made.iam_id)

    from strongroom.domain.identity.api_keys import ApiKeyChange

    change = ApiKeyChange(expires_at=world.clock.now() + timedelta(seconds=1))
    world.commit(world.services.api_keys.update(world.administrator, stored.id, change, "*"))
    authenticator.authenticate(token, ADDRESS)
    world.clock.advance(timedelta(seconds=1))
    assert refused(world, token) is ErrorCode.TOKEN_EXPIRED


def test_a_token_is_refused_from_outside_the_networks_of_its_key(world: World) -> None:
    token = world.log_in(world.key_of(world.service_id().iam_id, allowed_networks=("192.0.2.0/24",)))
    world.services.authenticator.authenticate(token, ADDRESS)
    assert refused(world, token, "198.51.100.1") is ErrorCode.ADDRESS_NOT_ALLOWED
    assert refused(world, token, None) is ErrorCode.ADDRESS_NOT_ALLOWED
    with pytest.raises(Unauthenticated):
        world.services.authenticator.cached(token, "198.51.100.1")


def delete_identity(world: World, iam_id: IamId) -> None:
    service_id = world.read(lambda unit: unit.identities.find_service_id_by_iam_id(iam_id))
    assert service_id is not None
    world.commit(world.services.service_ids.delete(service_id.id))


def delete_key(world: World, iam_id: IamId) -> None:
    world.commit(world.services.api_keys.delete(world.administrator, only_key(world, iam_id).id))


def disable_key(world: World, iam_id: IamId) -> None:
    change = world.services.api_keys.set_disabled(world.administrator, only_key(world, iam_id).id, disabled=True)
    world.commit(change)


@pytest.mark.parametrize("end", [delete_identity, delete_key, disable_key])
def test_a_token_ends_at_once_with_its_key_or_identity(world: World, end: Callable[[World, IamId], None]) -> None:
    made = world.service_id()
    token = world.log_in(world.key_of(made.iam_id))
    world.services.authenticator.authenticate(token, ADDRESS)
    end(world, made.iam_id)
    assert world.services.authenticator.cached(token, ADDRESS) is None
    assert refused(world, token) is ErrorCode.TOKEN_INVALID


def test_a_disabled_user_is_out_at_once_and_back_when_active_again(world: World) -> None:
    users = world.services.users
    user = world.commit(users.create(NewUser(name="operator")))
    token = world.log_in(world.key_of(user.iam_id))
    world.services.authenticator.authenticate(token, ADDRESS)
    world.commit(users.update(user.iam_id, UserChange(state=UserState.DISABLED)))
    assert refused(world, token) is ErrorCode.TOKEN_INVALID
    world.commit(users.update(user.iam_id, UserChange(state=UserState.ACTIVE)))
    world.services.authenticator.authenticate(token, ADDRESS)


def test_a_policy_counts_at_once_given_or_taken(world: World) -> None:
    made = world.service_id()
    token = world.log_in(world.key_of(made.iam_id))
    authenticator = world.services.authenticator
    assert not authenticator.authenticate(token, ADDRESS).scope(Action.SECRETS_LIST)
    policy = world.grant(made.iam_id, Role.READER)
    assert authenticator.authenticate(token, ADDRESS).scope(Action.SECRETS_LIST)
    world.commit(world.services.policies.delete(policy.id))
    assert not authenticator.authenticate(token, ADDRESS).scope(Action.SECRETS_LIST)


def test_what_is_read_while_a_change_waits_for_its_commit_is_not_kept(world: World) -> None:
    made = world.service_id()
    token = world.log_in(world.key_of(made.iam_id))
    authenticator = world.services.authenticator
    change = world.services.service_ids.delete(made.id)

    def slow(unit: Unit) -> None:
        change.commit(unit)
        # Another request, while this unit is not yet on disk.
        authenticator.authenticate(token, ADDRESS)

    world.storage.write(slow)
    assert authenticator.cached(token, ADDRESS) is None
    assert refused(world, token) is ErrorCode.TOKEN_INVALID


def test_a_change_that_was_rolled_back_costs_memory_for_a_moment_only(world: World) -> None:
    made = world.service_id()
    token = world.log_in(world.key_of(made.iam_id))
    authenticator = world.services.authenticator
    change = world.services.service_ids.delete(made.id)

    def failing(unit: Unit) -> None:
        change.commit(unit)
        message = "changed its mind"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError):
        world.storage.write(failing)
    authenticator.authenticate(token, ADDRESS)
    assert authenticator.cached(token, ADDRESS) is None
    world.clock.advance(timedelta(seconds=6))
    authenticator.authenticate(token, ADDRESS)
    assert authenticator.cached(token, ADDRESS) is not None


def test_a_change_of_another_process_is_seen_within_its_time(world: World) -> None:
    made = world.service_id()
    token = world.log_in(world.key_of(made.iam_id))
    other = Authenticator(
        storage=world.storage, clock=world.clock, signer=world.services.signer, generations=Generations(world.clock)
    )
    other.authenticate(token, ADDRESS)
    delete_identity(world, made.iam_id)
    assert other.cached(token, ADDRESS) is not None
    world.clock.advance(timedelta(seconds=2))
    assert other.cached(token, ADDRESS) is None
    with pytest.raises(Unauthenticated):
        other.authenticate(token, ADDRESS)


def test_a_clock_that_is_set_back_does_not_silence_the_polling(world: World) -> None:
    generations = Generations(world.clock)
    world.read(generations.read)
    now = world.clock.now()
    assert not generations.poll_due(now + timedelta(seconds=1))
    assert generations.poll_due(now - timedelta(seconds=1))


def test_memory_is_bounded(world: World) -> None:
    small = Authenticator(
        storage=world.storage,
        clock=world.clock,
        signer=world.services.signer,
        generations=Generations(world.clock),
        tokens_max=1,
        callers_max=1,
    )
    first = world.log_in(world.administrator_key)
    second = world.log_in(world.key_of(world.service_id().iam_id))
    for token in (first, second, first):
        small.authenticate(token, ADDRESS)
    assert small.cached(first, ADDRESS) is not None
    assert small.cached(second, ADDRESS) is None


def test_a_remembered_token_costs_next_to_nothing(world: World) -> None:
    authenticator = world.services.authenticator
    token = world.log_in(world.administrator_key)
    authenticator.authenticate(token, ADDRESS)
    best = min(_timed(lambda: authenticator.cached(token, ADDRESS), 200) for _ in range(10))
    assert best < 100e-6, "the target is 10 µs; this ceiling only notices a lost cache"


def _timed(fn: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        fn()
    return (time.perf_counter() - started) / times
