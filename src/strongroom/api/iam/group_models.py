"""What the operations on access groups and users read and answer, for checks and for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from strongroom.api.iam.models import Answer, Offset, PageSize, Request, Text


class ListGroupsQuery(Request):
    """Filters of access groups."""

    account_id: Text | None = None
    iam_id: Text | None = None
    search: Text | None = None
    limit: PageSize = 50
    offset: Offset = 0


class AccountQuery(Request):
    """The account."""

    account_id: Text | None = None


class CreateGroup(Request):
    """A new access group."""

    name: Text = Field(examples=["example-operators"])
    description: Text | None = None
    oidc_groups: list[Text] | None = None


class UpdateGroup(Request):
    """New values of an access group."""

    name: Text | None = None
    description: Text | None = None
    oidc_groups: list[Text] | None = None


class DeleteGroupQuery(Request):
    """How to delete an access group."""

    force: bool = False


class GroupAnswer(Answer):
    """An access group."""

    id: str
    name: str
    description: str | None = None
    account_id: str
    created_at: str
    created_by_id: str
    last_modified_at: str
    last_modified_by_id: str
    href: str
    is_federated: bool
    oidc_groups: list[str]


class Link(Answer):
    """A link."""

    href: str


class OffsetPage(Answer):
    """The frame of a page."""

    total_count: int
    limit: int
    offset: int
    first: Link
    last: Link
    previous: Link | None = None
    next: Link | None = None


class GroupPage(OffsetPage):
    """A page of access groups."""

    groups: list[GroupAnswer]


class ListMembersQuery(Request):
    """Which members to list."""

    limit: PageSize = 50
    offset: Offset = 0


class MemberRequest(Request):
    """An identity that is to join."""

    iam_id: Text
    type: Literal["user", "service"]


class AddMembers(Request):
    """Identities that are to join."""

    members: list[MemberRequest]


class RemoveMembers(Request):
    """IAM ids that are to leave."""

    members: list[Text]


class MemberAnswer(Answer):
    """A member of an access group."""

    iam_id: str
    type: str
    membership_type: str
    name: str
    href: str
    created_at: str
    created_by_id: str


class MemberPage(OffsetPage):
    """A page of members."""

    members: list[MemberAnswer]


class MemberOutcomes(Answer):
    """What became of each identity."""

    members: list[dict[str, Any]]


class ListUsersQuery(Request):
    """Which users to list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    offset: Offset = 0


class CreateUser(Request):
    """A new local user."""

    name: Text = Field(examples=["operator"])
    email: Text | None = Field(default=None, examples=["operator@example.com"])
    password: Text | None = None


class UpdateUser(Request):
    """New values of a user; ``null`` removes the e-mail address or the password."""

    name: Text | None = None
    email: Text | None = None
    password: Text | None = None
    state: Literal["active", "disabled"] | None = None


class UserAnswer(Answer):
    """A user."""

    iam_id: str
    name: str
    email: str | None
    origin: Literal["local", "oidc"]
    state: Literal["active", "disabled"]
    created_at: str
    last_login_at: str | None


class UserPage(OffsetPage):
    """A page of users."""

    users: list[UserAnswer]
