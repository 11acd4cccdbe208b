"""The secret with the PIN of a token: who may name it, what shows that it is used, and that it stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.configurations.model import ConfigType
from strongroom.domain.secrets.rotating import NewVersion
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Conflict, ErrorCode, Invalid
from strongroom.kernel.ids import IamId, SecretId
from tests.api.v2.conftest import watch
from tests.peers.in_process import InProcess, in_process
from tests.peers.softhsm import USER_PIN, SoftHsm
from tests.peers.token_cas import SECRETS, TokenCas

MANAGER = Principal(
    iam_id=IamId("iam-ServiceId-manager"), name="manager", kind=PrincipalKind.SERVICE_ID, grants=(Grant(Role.MANAGER),)
)


@pytest.fixture
def server(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock, softhsm: SoftHsm) -> Iterator[InProcess]:
    """Give a fresh server that may use the tokens."""
    shutil.copytree(prepared_data_dir, data_dir)
    with in_process(data_dir, clock, pkcs11_library=softhsm.library) as running:
        yield watch(running)


@pytest.fixture
def cas(server: InProcess) -> TokenCas:
    return TokenCas(server)


def referenced_by(cas: TokenCas) -> list[str]:
    """Return the references of the PIN, which every answer about the secret must show alike."""
    place = f"{SECRETS}/{cas.pin}"
    listed = cas.server.request("GET", f"{SECRETS}?search={cas.pin}").json["secrets"]
    answers = [*listed, cas.server.request("GET", f"{place}/metadata").json, cas.server.request("GET", place).json]
    shown: list[list[str]] = [answer["referenced_by"] for answer in answers]
    assert len(shown) == 3
    assert shown[0] == shown[1] == shown[2]
    return shown[0]


def test_a_secret_names_the_authorities_that_use_it(cas: TokenCas, softhsm: SoftHsm) -> None:
    assert referenced_by(cas) == []
    cas.root("root", cas.key(softhsm.new_label()))
    cas.intermediate("issuing", cas.key(softhsm.new_label()))
    assert referenced_by(cas) == ["issuing", "root"]
    assert cas.delete("issuing").status == 204
    assert referenced_by(cas) == ["root"]
    assert cas.delete("root").status == 204
    assert referenced_by(cas) == []


def test_a_secret_in_use_is_not_deleted(cas: TokenCas, softhsm: SoftHsm) -> None:
    for name in ("first", "second"):
        cas.root(name, cas.key(softhsm.new_label()))

    refused = cas.server.request("DELETE", f"{SECRETS}/{cas.pin}")

    assert refused.status == 409
    assert refused.json["errors"][0]["code"] == "in_use"
    assert "configurations first, second" in refused.json["errors"][0]["message"]
    assert cas.server.request("GET", f"{SECRETS}/{cas.pin}").json["payload"] == USER_PIN
    assert [cas.delete(name).status for name in ("first", "second")] == [204, 204]
    assert cas.server.request("DELETE", f"{SECRETS}/{cas.pin}").status == 204


def test_changes_of_the_secret_keep_its_references(cas: TokenCas, softhsm: SoftHsm) -> None:
    cas.root("root", cas.key(softhsm.new_label()))
    place = f"{SECRETS}/{cas.pin}"

    answers = [
        cas.server.request("POST", f"{place}/versions", {"payload": USER_PIN}),
        cas.server.request("PATCH", f"{place}/metadata", {"description": "of the token"}),
        cas.server.request("PATCH", f"{place}/metadata", {"expiration_date": "2030-01-01T00:00:00Z"}),
    ]

    assert [answer.status for answer in answers] == [201, 200, 200]
    assert referenced_by(cas) == ["root"]


def test_an_authority_made_during_a_rotation_of_the_secret_is_not_forgotten(
    server: InProcess, cas: TokenCas, softhsm: SoftHsm
) -> None:
    storage, secrets = server.container.services.storage, server.container.services.secrets
    secret = storage.read(lambda unit: unit.secrets.find(SecretId(cas.pin)))
    assert secret is not None
    prepared = secrets.rotation.rotate(MANAGER, secret, NewVersion(values={"payload": USER_PIN}))
    cas.root("root", cas.key(softhsm.new_label()))

    storage.write(prepared.commit)

    assert referenced_by(cas) == ["root"]


def test_a_secret_deleted_while_an_authority_is_made_refuses_the_authority(
    server: InProcess, cas: TokenCas, softhsm: SoftHsm
) -> None:
    values: dict[str, Any] = {"common_name": "Example Root", "max_ttl": "43830h", "key_type": "ec"}
    prepared = server.container.services.configurations.create(
        MANAGER, ConfigType.ROOT_CA, "root", {**values, "crypto_key": cas.key(softhsm.new_label())}
    )
    assert server.request("DELETE", f"{SECRETS}/{cas.pin}").status == 204

    with pytest.raises(Invalid, match=r"pin_secret_id names no arbitrary secret") as caught:
        server.container.services.storage.write(prepared.commit)

    assert caught.value.code is ErrorCode.INVALID_FIELD
    assert server.request("GET", "/api/v2/configurations").json["total_count"] == 0


def test_of_two_authorities_made_at_once_with_one_key_the_second_is_refused(
    server: InProcess, cas: TokenCas, softhsm: SoftHsm
) -> None:
    services, key = server.container.services, cas.key(softhsm.new_label())
    values = {"common_name": "Example Root", "max_ttl": "43830h", "key_type": "ec", "crypto_key": key}
    first, second = (
        services.configurations.create(MANAGER, ConfigType.ROOT_CA, name, values) for name in ("first", "second")
    )
    services.storage.write(first.commit)

    with pytest.raises(Conflict, match="certificate authority first already") as caught:
        services.storage.write(second.commit)

    assert caught.value.code is ErrorCode.IN_USE
    assert referenced_by(cas) == ["first"]


@pytest.mark.parametrize("kind", ["unknown", "kv"])
def test_only_an_arbitrary_secret_holds_a_pin(cas: TokenCas, softhsm: SoftHsm, kind: str) -> None:
    unknown = "3c1f6c6a-1a55-4d6e-9c39-0d6ad0f2b4f1"
    other = cas.store("kv", "pairs", data={"payload": USER_PIN}) if kind == "kv" else unknown

    answer = cas.try_root("root", cas.key(softhsm.new_label(), pin_secret_id=other))

    assert answer.status == 400
    [error] = answer.json["errors"]
    assert error["target"]["name"] == "crypto_key.provider.pin_secret_id"
    assert other in error["message"]


def test_a_pin_that_has_expired_stops_its_authority_and_says_why(
    server: InProcess, cas: TokenCas, softhsm: SoftHsm, clock: FrozenClock
) -> None:
    cas.root("root", cas.key(softhsm.new_label()))
    place = f"{SECRETS}/{cas.pin}"
    patched = server.request("PATCH", f"{place}/metadata", {"expiration_date": "2026-01-15T13:00:00Z"})
    assert patched.status == 200, patched.raw
    clock.advance(timedelta(hours=1, seconds=1))
    server.forget_tokens()
    server.work()
    assert server.request("GET", place).json["state_description"] == "destroyed"

    answer = cas.act("root", "rotate_crl")

    assert answer.status == 503
    assert "pin_secret_id names has no payload any more" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("role", [Role.WRITER, Role.READER])
def test_who_is_no_manager_names_no_pin(cas: TokenCas, server: InProcess, softhsm: SoftHsm, role: Role) -> None:
    token = server.login_with(role)

    answer = cas.try_root("root", cas.key(softhsm.new_label()), by=token)

    assert answer.status == 403
