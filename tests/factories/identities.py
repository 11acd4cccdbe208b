"""A store with the first administrator in it, and the identity services over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.access.principals import Principal
from strongroom.domain.change import Change
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.identity.api_keys import NewApiKey
from strongroom.domain.identity.bootstrap import bootstrap_administrator
from strongroom.domain.identity.grants import find_identity, principal_of
from strongroom.domain.identity.model import Policy, ServiceId
from strongroom.domain.identity.policy_documents import read_v1, role_id
from strongroom.domain.identity.service_ids import NewServiceId
from strongroom.domain.identity.services import IdentityServices
from strongroom.domain.identity.tokens import GRANT_API_KEY
from strongroom.domain.limits import Limits
from strongroom.domain.ports import ReadUnit, Unit
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, IamId, Instance
from strongroom.sealing.digests import api_key_digest, new_api_key
from strongroom.sealing.tokens import SigningKey, TokenAuthority, generate_signing_key
from strongroom.storage.store import SqlStorage, open_storage

T = TypeVar("T")

ISSUER = "https://strongroom.example.com/identity"
INSTANCE = Instance(
    id="3c1f1b0a-5d0e-4d0c-9f61-6f1f3f6a9b10", account_id="0123456789abcdef0123456789abcdef", region="local"
)
PEPPER = bytes(32)


class QuickDigests:
    """Real keys and keyed digests; passwords hashed quickly, which is fit for tests only."""

    def new_api_key(self) -> str:
        return new_api_key()

    def api_key_digest(self, key: str) -> str:
        return api_key_digest(PEPPER, key)

    def hash_password(self, password: str) -> str:
        return hashlib.sha256(password.encode()).hexdigest()

    def verify_password(self, stored: str | None, password: str) -> bool:
        return stored == self.hash_password(password)


@dataclass(slots=True)
class World:
    """Everything that a test of identities needs."""

    storage: SqlStorage
    clock: FrozenClock
    services: IdentityServices
    limits: Limits
    administrator_key: str

    def commit(self, change: Change[T]) -> T:
        return self.storage.write(change.commit)

    def read(self, fn: Callable[[ReadUnit], T]) -> T:
        return self.storage.read(fn)

    def log_in(self, key: str, address: str | None = "192.0.2.7") -> str:
        login = self.services.tokens.exchange({"grant_type": GRANT_API_KEY, "apikey": key}, None, address)
        if login.change is not None:
            self.commit(login.change)
        return login.answer.access_token

    def principal(self, iam_id: IamId) -> Principal:
        def load(unit: ReadUnit) -> Principal:
            identity = find_identity(unit, iam_id)
            assert identity is not None
            return principal_of(unit, identity, None)

        return self.read(load)

    @property
    def administrator(self) -> Principal:
        return self.services.authenticator.authenticate(self.log_in(self.administrator_key), "192.0.2.7")

    def service_id(self, name: str = "example-consumer") -> ServiceId:
        created = self.commit(self.services.service_ids.create(IamId("iam-test"), NewServiceId(name=name)))
        return created.service_id

    def key_of(self, iam_id: IamId, **fields: object) -> str:
        request = NewApiKey(name="example-key", **fields)  # type: ignore[arg-type]
        return self.commit(self.services.api_keys.create(self.administrator, iam_id, request)).key

    def grant(self, subject: str, *roles: Role, group: str | None = None) -> Policy:
        draft = read_v1(policy_body(subject, *roles, group=group), INSTANCE)
        return self.commit(self.services.policies.create(IamId("iam-test"), draft))

    def secret_group(self, name: str) -> GroupId:
        group = _group(GroupId(f"group-{name}"), name, self.clock)
        self.storage.write(lambda unit: unit.groups.add(group))
        return group.id


def policy_body(subject: str, *roles: Role, group: str | None = None) -> dict[str, object]:
    """Return a policy, version 1, for an identity or an access group."""
    attributes = [{"name": "serviceName", "value": "secrets-manager"}]
    if group is not None:
        attributes += [{"name": "resourceType", "value": "secret-group"}, {"name": "resource", "value": group}]
    kind = "access_group_id" if subject.startswith("AccessGroupId-") else "iam_id"
    return {
        "type": "access",
        "subjects": [{"attributes": [{"name": kind, "value": subject}]}],
        "roles": [{"role_id": role_id(role)} for role in roles],
        "resources": [{"attributes": attributes}],
    }


def _group(group_id: GroupId, name: str, clock: FrozenClock) -> SecretGroup:
    now = clock.now()
    return SecretGroup(id=group_id, name=name, created_at=now, created_by=IamId("iam-test"), updated_at=now)


def token_authority(clock: FrozenClock) -> TokenAuthority:
    """Return an issuer; all of them share one key, which is made once."""
    return TokenAuthority([_signing_key()], issuer=ISSUER, clock=clock)


@lru_cache(maxsize=1)
def _signing_key() -> SigningKey:
    return SigningKey.from_pem(generate_signing_key(), created_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store to copy: making its schema takes longer than most tests."""
    path = tmp_path_factory.mktemp("identities") / "empty.db"
    open_storage(path, stream="test").close()
    return path


def make_world(database: str | Path, clock: FrozenClock, *, limits: Limits | None = None) -> World:
    """Return a world over the database, bootstrapping it if it is empty."""
    storage = open_storage(database, stream="test")
    chosen = limits or Limits()
    services = IdentityServices.build(
        storage=storage,
        clock=clock,
        limits=chosen,
        instance=INSTANCE,
        digests=QuickDigests(),
        signer=token_authority(clock),
        issuer=ISSUER,
    )

    def bootstrap(unit: Unit) -> str:
        if unit.groups.find(DEFAULT_GROUP) is None:
            unit.groups.add(_group(DEFAULT_GROUP, "default", clock))
        return bootstrap_administrator(unit, instance=INSTANCE, clock=clock, digests=QuickDigests())

    key = storage.write(bootstrap)
    return World(storage=storage, clock=clock, services=services, limits=chosen, administrator_key=key)
