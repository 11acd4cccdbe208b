"""Users, service IDs, API keys, policies, access groups and refresh tokens.

Every change but those of `touch_api_key` and of refresh tokens moves the generation, with the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from strongroom.domain.identity.model import (
    AccessGroup,
    ApiKey,
    Membership,
    Policy,
    RefreshToken,
    ServiceId,
    SubjectKind,
    User,
)
from strongroom.kernel.errors import Conflict, ErrorCode, NotFound
from strongroom.kernel.ids import AccessGroupId, ApiKeyId, GroupId, IamId, PolicyId, ServiceIdId
from strongroom.kernel.result import Page
from strongroom.kernel.time import to_microseconds
from strongroom.storage.engine import Connection
from strongroom.storage.pending import Pending
from strongroom.storage.repositories.identity_rows import (
    access_group_row,
    api_key_row,
    optional_microseconds,
    policy_row,
    read_access_group,
    read_api_key,
    read_membership,
    read_policy,
    read_refresh_token,
    read_service_id,
    read_user,
    service_id_row,
    user_row,
)
from strongroom.storage.repositories.identity_statements import (
    ACCESS_GROUPS,
    ADD_MEMBER,
    ADD_TOKEN,
    API_KEYS,
    COUNT_GROUPS_OF,
    COUNT_MEMBERS,
    FIND_GROUP_PK,
    GENERATION,
    HOLD_POSTGRESQL,
    MEMBERS,
    POLICIES,
    PURGE_TOKENS,
    REFRESH_TOKENS,
    REMOVE_MEMBER,
    REMOVE_MEMBERSHIPS,
    REMOVE_TOKENS_OF_KEYS,
    SERVICE_IDS,
    TOUCH,
    USERS,
    add_to,
    find_by,
    groups_of_member,
    page_by,
    policies_of_subjects,
    remove_by,
    save_in,
)
from strongroom.storage.statements import POSTGRESQL, Statement, bucket, spread

T = TypeVar("T")


class SqlIdentities:
    """Implements `IdentityRepository`."""

    __slots__ = ("_connection", "_pending")

    def __init__(self, connection: Connection, pending: Pending) -> None:
        self._connection = connection
        self._pending = pending

    def generation(self) -> int:
        """Return a number that grows with every change of identities or grants."""
        row = self._connection.row(GENERATION)
        return (0 if row is None else int(row[0])) + self._pending.waiting_generation()

    def hold(self) -> None:
        """Wait until no other process is between its own `hold` and its commit."""
        if self._connection.dialect == POSTGRESQL:
            self._connection.row(HOLD_POSTGRESQL)

    # users

    def find_user(self, iam_id: IamId) -> User | None:
        """Return the user of this id."""
        return self._find(USERS, read_user, iam_id=iam_id)

    def find_user_by_name(self, name: str) -> User | None:
        """Return the user of exactly this name."""
        return self._find(USERS, read_user, name=name)

    def users(self, *, limit: int, offset: int) -> Page[User]:
        """Return users, newest first."""
        return self._page(USERS, read_user, {}, limit, offset)

    def add_user(self, user: User) -> None:
        """Store a new user.

        Raises:
            Conflict: ``already_exists`` if id or name is taken.
        """
        row = user_row(user)
        self._add(USERS, row | {"iam_id": user.iam_id, "created_at": to_microseconds(user.created_at)}, user.name)

    def save_user(self, user: User) -> None:
        """Store a changed user.

        Raises:
            Conflict: ``already_exists`` if another one has its name.
            NotFound: there is no such user.
        """
        self._refuse_taken_name(self.find_user_by_name(user.name), user.iam_id, lambda other: other.iam_id)
        self._save(USERS, "iam_id", user.iam_id, user_row(user), None)

    def remove_user(self, iam_id: IamId) -> None:
        """Delete the user alone; keys, policies and memberships have methods of their own."""
        self._remove(USERS, iam_id=iam_id)

    # service IDs

    def find_service_id(self, service_id: ServiceIdId) -> ServiceId | None:
        """Return the service ID of this id."""
        return self._find(SERVICE_IDS, read_service_id, id=service_id)

    def find_service_id_by_iam_id(self, iam_id: IamId) -> ServiceId | None:
        """Return the service ID of this identity."""
        return self._find(SERVICE_IDS, read_service_id, iam_id=iam_id)

    def service_ids(self, *, limit: int, offset: int, name: str | None = None) -> Page[ServiceId]:
        """Return service IDs, newest first; with a name those of exactly that name."""
        return self._page(SERVICE_IDS, read_service_id, {"name": name}, limit, offset)

    def add_service_id(self, service_id: ServiceId) -> None:
        """Store a new service ID.

        Raises:
            Conflict: ``already_exists`` if the id is taken.
        """
        fixed = {
            "id": service_id.id,
            "iam_id": service_id.iam_id,
            "created_at": to_microseconds(service_id.created_at),
        }
        self._add(SERVICE_IDS, service_id_row(service_id) | fixed, service_id.id)

    def save_service_id(self, service_id: ServiceId, *, expected_tag: str | None = None) -> None:
        """Store a changed service ID.

        Raises:
            Conflict: ``stale_version`` if the stored tag is not the expected one.
            NotFound: there is no such service ID.
        """
        self._save(SERVICE_IDS, "id", service_id.id, service_id_row(service_id), expected_tag)

    def remove_service_id(self, service_id: ServiceIdId) -> None:
        """Delete the service ID alone; keys, policies and memberships have methods of their own."""
        self._remove(SERVICE_IDS, id=service_id)

    # API keys

    def find_api_key(self, api_key_id: ApiKeyId) -> ApiKey | None:
        """Return the API key of this id."""
        return self._find(API_KEYS, read_api_key, id=api_key_id)

    def find_api_key_by_digest(self, digest: str) -> ApiKey | None:
        """Return the API key whose keyed digest this is."""
        return self._find(API_KEYS, read_api_key, digest=digest)

    def api_keys(self, *, iam_id: IamId | None, limit: int, offset: int) -> Page[ApiKey]:
        """Return API keys of all identities or of one, newest first."""
        return self._page(API_KEYS, read_api_key, {"iam_id": iam_id}, limit, offset)

    def add_api_key(self, api_key: ApiKey) -> None:
        """Store a new API key.

        Raises:
            Conflict: ``already_exists`` if id or digest is taken.
        """
        fixed = {
            "id": api_key.id,
            "iam_id": api_key.iam_id,
            "digest": api_key.digest,
            "created_at": to_microseconds(api_key.created_at),
            "created_by": api_key.created_by,
            "last_used_at": optional_microseconds(api_key.last_used_at),
        }
        self._add(API_KEYS, api_key_row(api_key) | fixed, api_key.id)

    def save_api_key(self, api_key: ApiKey, *, expected_tag: str | None = None) -> None:
        """Store a changed API key, but for ``last_used_at``.

        Raises:
            Conflict: ``stale_version`` if the stored tag is not the expected one.
            NotFound: there is no such API key.
        """
        self._save(API_KEYS, "id", api_key.id, api_key_row(api_key), expected_tag)

    def touch_api_key(self, api_key_id: ApiKeyId, at: datetime) -> None:
        """Move ``last_used_at`` forward; does not move the generation."""
        self._connection.run(TOUCH, key=api_key_id, at=to_microseconds(at))

    def remove_api_key(self, api_key_id: ApiKeyId) -> None:
        """Delete the API key with its refresh tokens."""
        self._connection.run(remove_by(REFRESH_TOKENS, ("api_key_id",)), api_key_id=api_key_id)
        self._remove(API_KEYS, id=api_key_id)

    def remove_api_keys_of(self, iam_id: IamId) -> None:
        """Delete every API key of the identity with its refresh tokens."""
        self._connection.run(REMOVE_TOKENS_OF_KEYS, iam_id=iam_id)
        self._remove(API_KEYS, iam_id=iam_id)

    # policies

    def find_policy(self, policy_id: PolicyId) -> Policy | None:
        """Return the policy of this id."""
        return self._find(POLICIES, read_policy, id=policy_id)

    def policies(
        self, *, subject: str | None = None, group_id: GroupId | None = None, limit: int = 1000, offset: int = 0
    ) -> Page[Policy]:
        """Return policies, newest first, all or those of a subject or on a secret group."""
        return self._page(POLICIES, read_policy, {"subject": subject, "group_id": group_id}, limit, offset)

    def policies_of(self, subjects: Sequence[tuple[SubjectKind, str]]) -> Sequence[Policy]:
        """Return the policies of all the subjects, oldest first."""
        iam_ids = [subject for kind, subject in subjects if kind is SubjectKind.IAM_ID]
        groups = [subject for kind, subject in subjects if kind is SubjectKind.ACCESS_GROUP]
        if not (iam_ids or groups):
            return []
        values = (spread("iam_", iam_ids) if iam_ids else {}) | (spread("group_", groups) if groups else {})
        statement = policies_of_subjects(bucket(len(iam_ids)) if iam_ids else 0, bucket(len(groups)) if groups else 0)
        return [read_policy(row) for row in self._connection.rows(statement, **values)]

    def add_policy(self, policy: Policy) -> None:
        """Store a new policy.

        Raises:
            Conflict: ``already_exists`` if the id is taken.
        """
        fixed = {
            "id": policy.id,
            "created_at": to_microseconds(policy.created_at),
            "created_by": policy.created_by,
        }
        self._add(POLICIES, policy_row(policy) | fixed, policy.id)

    def save_policy(self, policy: Policy, *, expected_tag: str | None = None) -> None:
        """Store a changed policy.

        Raises:
            Conflict: ``stale_version`` if the stored tag is not the expected one.
            NotFound: there is no such policy.
        """
        self._save(POLICIES, "id", policy.id, policy_row(policy), expected_tag)

    def remove_policy(self, policy_id: PolicyId) -> None:
        """Delete the policy."""
        self._remove(POLICIES, id=policy_id)

    def remove_policies_of(self, kind: SubjectKind, subject: str) -> None:
        """Delete every policy of the subject."""
        self._remove(POLICIES, subject_kind=kind.value, subject=subject)

    # access groups

    def find_access_group(self, group_id: AccessGroupId) -> AccessGroup | None:
        """Return the access group of this id."""
        return self._find(ACCESS_GROUPS, read_access_group, id=group_id)

    def find_access_group_by_name(self, name: str) -> AccessGroup | None:
        """Return the access group of exactly this name."""
        return self._find(ACCESS_GROUPS, read_access_group, name=name)

    def access_groups(self, *, limit: int, offset: int, iam_id: IamId | None = None) -> Page[AccessGroup]:
        """Return access groups, newest first, all or those that the identity belongs to."""
        if iam_id is None:
            return self._page(ACCESS_GROUPS, read_access_group, {}, limit, offset)
        total = self._count(COUNT_GROUPS_OF, iam_id=iam_id)
        rows = self._connection.rows(groups_of_member(windowed=True), iam_id=iam_id, limit=limit, offset=offset)
        return Page(items=[read_access_group(row) for row in rows], total=total, limit=limit, offset=offset)

    def access_groups_of(self, iam_id: IamId) -> Sequence[AccessGroup]:
        """Return every access group that the identity belongs to, newest first."""
        return [
            read_access_group(row) for row in self._connection.rows(groups_of_member(windowed=False), iam_id=iam_id)
        ]

    def add_access_group(self, group: AccessGroup) -> None:
        """Store a new access group.

        Raises:
            Conflict: ``already_exists`` if id or name is taken.
        """
        fixed = {"id": group.id, "created_at": to_microseconds(group.created_at), "created_by": group.created_by}
        self._add(ACCESS_GROUPS, access_group_row(group) | fixed, group.name)

    def save_access_group(self, group: AccessGroup, *, expected_tag: str | None = None) -> None:
        """Store a changed access group.

        Raises:
            Conflict: ``stale_version`` if the stored tag is not the expected one, ``already_exists`` if
                another one has its name.
            NotFound: there is no such access group.
        """
        self._refuse_taken_name(self.find_access_group_by_name(group.name), group.id, lambda other: other.id)
        self._save(ACCESS_GROUPS, "id", group.id, access_group_row(group), expected_tag)

    def remove_access_group(self, group_id: AccessGroupId) -> None:
        """Delete the access group with its memberships; policies have a method of their own."""
        self._remove(ACCESS_GROUPS, id=group_id)

    def members(self, group_id: AccessGroupId, *, limit: int, offset: int) -> Page[Membership]:
        """Return the members of the group, in order of joining; none of a group that is not there."""
        pk = self._connection.row(FIND_GROUP_PK, id=group_id)
        if pk is None:
            return Page(items=[], total=0, limit=limit, offset=offset)
        total = self._count(COUNT_MEMBERS, group_pk=pk[0])
        rows = self._connection.rows(MEMBERS, group_pk=pk[0], limit=limit, offset=offset)
        return Page(items=[read_membership(group_id, row) for row in rows], total=total, limit=limit, offset=offset)

    def add_member(self, membership: Membership) -> bool:
        """Add an identity to a group, or return ``False`` when it belongs to it already.

        Raises:
            NotFound: there is no such access group.
        """
        pk = self._connection.row(FIND_GROUP_PK, id=membership.group_id)
        if pk is None:
            _refuse_unknown(membership.group_id)
        added = self._connection.run(
            ADD_MEMBER,
            group_pk=pk[0],
            iam_id=membership.iam_id,
            type=membership.type,
            created_at=to_microseconds(membership.created_at),
            created_by=membership.created_by,
        )
        if added:
            self._pending.move_generation()
        return added == 1

    def remove_member(self, group_id: AccessGroupId, iam_id: IamId) -> bool:
        """Take an identity out of a group, or return ``False`` when it is not in it."""
        removed = self._connection.run(REMOVE_MEMBER, id=group_id, iam_id=iam_id)
        if removed:
            self._pending.move_generation()
        return removed == 1

    def remove_memberships_of(self, iam_id: IamId) -> None:
        """Take an identity out of every group."""
        self._connection.run(REMOVE_MEMBERSHIPS, iam_id=iam_id)
        self._pending.move_generation()

    # refresh tokens

    def find_refresh_token(self, digest: str) -> RefreshToken | None:
        """Return the refresh token whose keyed digest this is, expired or not."""
        return self._find(REFRESH_TOKENS, read_refresh_token, digest=digest)

    def add_refresh_token(self, token: RefreshToken) -> None:
        """Store a new refresh token."""
        self._connection.run(
            ADD_TOKEN,
            digest=token.digest,
            iam_id=token.iam_id,
            api_key_id=token.api_key_id,
            expires_at=to_microseconds(token.expires_at),
        )

    def purge_refresh_tokens(self, now: datetime) -> int:
        """Delete refresh tokens that have expired and return how many."""
        return self._connection.run(PURGE_TOKENS, now=to_microseconds(now))

    # what all of them share

    def _find(self, table: str, read: Callable[[Sequence[Any]], T], **by: str) -> T | None:
        (column,) = by
        row = self._connection.row(find_by(table, column), **by)
        return None if row is None else read(row)

    def _page(
        self, table: str, read: Callable[[Sequence[Any]], T], by: dict[str, str | None], limit: int, offset: int
    ) -> Page[T]:
        given = {column: value for column, value in by.items() if value is not None}
        count, window = page_by(table, tuple(given))
        total = self._count(count, **given)
        rows = self._connection.rows(window, **given, limit=limit, offset=offset)
        return Page(items=[read(row) for row in rows], total=total, limit=limit, offset=offset)

    def _count(self, statement: Statement, **parameters: Any) -> int:
        row = self._connection.row(statement, **parameters)
        return 0 if row is None else int(row[0])

    def _add(self, table: str, row: dict[str, Any], what: str) -> None:
        if not self._connection.run(add_to(table), **row):
            raise Conflict(ErrorCode.ALREADY_EXISTS, f"{what} already exists.")
        self._pending.move_generation()

    def _save(self, table: str, key: str, id_: str, row: dict[str, Any], expected_tag: str | None) -> None:
        tag = {} if expected_tag is None else {"expected_tag": expected_tag}
        if not self._connection.run(save_in(table, key, checked=bool(tag)), key=id_, **row, **tag):
            if self._connection.row(find_by(table, key), **{key: id_}) is None:
                _refuse_unknown(id_)
            raise Conflict(
                ErrorCode.STALE_VERSION,
                f"{id_} was changed by someone else: its entity tag is no longer {expected_tag}.",
                hint="Read it again and repeat the change with the new entity tag.",
            )
        self._pending.move_generation()

    def _remove(self, table: str, **by: str) -> None:
        self._connection.run(remove_by(table, tuple(by)), **by)
        self._pending.move_generation()

    def _refuse_taken_name(self, holder: T | None, id_: str, id_of: Callable[[T], str]) -> None:
        if holder is not None and id_of(holder) != id_:
            raise Conflict(ErrorCode.ALREADY_EXISTS, "Another one of this name already exists.", field="name")


def _refuse_unknown(id_: str) -> NoReturn:
    raise NotFound(ErrorCode.NOT_FOUND, f"There is no {id_}.")
