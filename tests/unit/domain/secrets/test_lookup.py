"""Finding things and deciding who may touch them, in one step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from strongroom.domain.access.actions import Action, Role
from strongroom.domain.access.principals import Grant, Principal, PrincipalKind
from strongroom.domain.groups.model import SecretGroup
from strongroom.domain.ports import ReadUnit
from strongroom.domain.secrets.lookup import (
    alias_of,
    authorised_by_name,
    authorised_current,
    authorised_secret,
    find_version,
    version_id_of,
    visible_groups,
)
from strongroom.domain.secrets.model import Secret, SecretType, State, StoredPayload, Version, VersionAlias
from strongroom.kernel.errors import Forbidden, NotFound, StrongroomError
from strongroom.kernel.ids import DEFAULT_GROUP, GroupId, IamId, SecretId, VersionId

AT = datetime(2026, 1, 15, tzinfo=UTC)
HOME = GroupId("11111111-1111-4111-8111-111111111111")
KNOWN = SecretId("33333333-3333-4333-8333-333333333333")
UNKNOWN = "44444444-4444-4444-8444-444444444444"
CURRENT = VersionId("55555555-5555-4555-8555-555555555555")

SECRET = Secret(
    id=KNOWN,
    secret_type=SecretType.ARBITRARY,
    name="known",
    group_id=HOME,
    state=State.ACTIVE,
    created_at=AT,
    created_by=IamId("x"),
    updated_at=AT,
    current_version_id=CURRENT,
)
VERSION = Version(id=CURRENT, secret_id=KNOWN, number=1, created_at=AT, created_by=IamId("x"))
GROUP = SecretGroup(id=HOME, name="home", created_at=AT, created_by=IamId("x"), updated_at=AT)


class OneSecret:
    """A store with one group, one secret and one version."""

    def __init__(self, *, versions: bool = True) -> None:
        self.secrets = self.versions = self.groups = self
        self._versions = versions

    def find(self, first: Any, version_id: Any = None) -> Any:
        """Find a secret, or a version where two ids are given."""
        if version_id is not None:
            return VERSION if (first, version_id) == (KNOWN, CURRENT) else None
        return SECRET if first == KNOWN else None

    def find_current(self, secret_id: Any) -> StoredPayload | None:
        """Find a secret with its version."""
        found = secret_id == KNOWN and self._versions
        return StoredPayload(secret=SECRET, version=VERSION, sealed=b"") if found else None

    def find_by_name(self, *names: Any) -> Any:
        """Find a group by one word, a secret by two."""
        if len(names) == 1:
            return GROUP if names[0] == "home" else None
        return SECRET if names == (SecretType.ARBITRARY, "known") else None


def unit(**wishes: bool) -> ReadUnit:
    """Give the store as a unit of reading."""
    return cast("ReadUnit", OneSecret(**wishes))


def caller(*grants: Grant) -> Principal:
    """Make a caller with these grants."""
    return Principal(iam_id=IamId("iam-ServiceId-x"), name="x", kind=PrincipalKind.SERVICE_ID, grants=grants)


EVERYWHERE, AT_HOME = caller(Grant(Role.MANAGER)), caller(Grant(Role.MANAGER, HOME))
ELSEWHERE, NOBODY = caller(Grant(Role.MANAGER, DEFAULT_GROUP)), caller()
READ = Action.SECRET_READ


@pytest.mark.parametrize("look_up", [authorised_secret, authorised_current])
@pytest.mark.parametrize(
    ("principal", "secret_id", "refusal"),
    [
        (EVERYWHERE, KNOWN, None),
        (AT_HOME, KNOWN, None),
        (ELSEWHERE, KNOWN, Forbidden),
        (NOBODY, KNOWN, Forbidden),
        (EVERYWHERE, UNKNOWN, NotFound),
        (ELSEWHERE, UNKNOWN, NotFound),
        (NOBODY, UNKNOWN, Forbidden),
        (EVERYWHERE, "nonsense", NotFound),
        (EVERYWHERE, KNOWN.upper().replace("3", "A"), NotFound),
    ],
)
def test_a_secret_is_found_by_those_who_may(
    look_up: Any, principal: Principal, secret_id: str, refusal: type[StrongroomError] | None
) -> None:
    if refusal is None:
        assert look_up(unit(), principal, READ, secret_id)
        return
    with pytest.raises(refusal):
        look_up(unit(), principal, READ, secret_id)


def test_a_secret_without_a_version_is_found_alone() -> None:
    assert authorised_current(unit(versions=False), EVERYWHERE, READ, KNOWN) is SECRET
    with pytest.raises(Forbidden):
        authorised_current(unit(versions=False), ELSEWHERE, READ, KNOWN)


@pytest.mark.parametrize(
    ("principal", "group", "kind", "name", "refusal"),
    [
        (EVERYWHERE, "home", SecretType.ARBITRARY, "known", None),
        (AT_HOME, "home", SecretType.ARBITRARY, "known", None),
        (AT_HOME, "home", SecretType.KV, "known", NotFound),
        (AT_HOME, "home", SecretType.ARBITRARY, "other", NotFound),
        (EVERYWHERE, "nowhere", SecretType.ARBITRARY, "known", NotFound),
        (AT_HOME, "nowhere", SecretType.ARBITRARY, "known", Forbidden),
        (ELSEWHERE, "home", SecretType.ARBITRARY, "known", Forbidden),
        (ELSEWHERE, "home", SecretType.ARBITRARY, "other", Forbidden),
        (NOBODY, "home", SecretType.ARBITRARY, "known", Forbidden),
    ],
)
def test_a_look_up_by_name_tells_strangers_nothing(
    principal: Principal, group: str, kind: SecretType, name: str, refusal: type[StrongroomError] | None
) -> None:
    def look_up() -> Secret:
        return authorised_by_name(unit(), principal, READ, group_name=group, secret_type=kind, name=name)

    if refusal is None:
        assert look_up() is SECRET
        return
    with pytest.raises(refusal):
        look_up()


def test_versions_are_found_by_alias_and_id() -> None:
    assert version_id_of(SECRET, "current") == CURRENT == version_id_of(SECRET, CURRENT)
    assert find_version(unit(), SECRET, "current") is VERSION
    assert alias_of(SECRET, CURRENT) is VersionAlias.CURRENT
    assert alias_of(SECRET, VersionId(UNKNOWN)) is None
    for reference in ("previous", "latest", "", CURRENT.upper().replace("5", "B")):
        with pytest.raises(NotFound):
            version_id_of(SECRET, reference)
    with pytest.raises(NotFound):
        find_version(unit(), SECRET, UNKNOWN)


def test_lists_are_limited_to_what_was_asked_for_within_the_scope() -> None:
    listing = Action.SECRETS_LIST
    both = frozenset({HOME, DEFAULT_GROUP})
    assert visible_groups(EVERYWHERE, listing, None) is None
    assert visible_groups(EVERYWHERE, listing, both) == both
    assert visible_groups(AT_HOME, listing, None) == frozenset({HOME})
    assert visible_groups(AT_HOME, listing, both) == frozenset({HOME})
    assert visible_groups(AT_HOME, listing, frozenset({DEFAULT_GROUP})) == frozenset()
    with pytest.raises(Forbidden):
        visible_groups(NOBODY, listing, None)
