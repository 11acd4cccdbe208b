"""Operations on users; there is no outside API for local ones that fits, so these are our own."""

from __future__ import annotations

from strongroom.api.iam.group_models import CreateUser, ListUsersQuery, UpdateUser, UserAnswer, UserPage
from strongroom.api.iam.mapping import user_to_wire
from strongroom.api.iam.paging import offset_frame
from strongroom.api.operations import MERGE_PATCH, Call, Operation, Pending, Reply, Work
from strongroom.domain.access.actions import Action
from strongroom.domain.audit.record import Target
from strongroom.domain.change import Change
from strongroom.domain.identity.model import User, UserState
from strongroom.domain.identity.users import UNCHANGED, NewUser, UserChange
from strongroom.domain.ports import Unit
from strongroom.kernel.errors import ErrorCode, Invalid
from strongroom.kernel.ids import IamId

TAG = "Users"
_TARGET = "user"


def list_users(call: Call) -> Reply:
    """List users."""
    query = call.parse_query(ListUsersQuery)
    users = call.services.identities.users
    page = call.services.storage.read(lambda unit: users.page(unit, limit=query.limit, offset=query.offset))
    return Reply(body={**offset_frame(call, page), "users": [user_to_wire(item) for item in page.items]})


def create_user(call: Call) -> Pending:
    """Create a local user."""
    body = call.parse(CreateUser)
    request = NewUser(name=body.name, email=body.email, password=body.password)
    return _pending(call, call.services.identities.users.create(request))


def get_user(call: Call) -> Reply:
    """Return one user."""
    users = call.services.identities.users
    found = call.services.storage.read(lambda unit: users.get(unit, _id(call)))
    _aim(call, found)
    return Reply(body=user_to_wire(found))


def update_user(call: Call) -> Pending:
    """Change a user."""
    body = call.parse(UpdateUser)
    given = body.model_fields_set
    for name in ("name", "state"):
        if name in given and getattr(body, name) is None:
            raise Invalid(ErrorCode.INVALID_FIELD, f"{name} cannot be removed.", field=name)
    change = UserChange(
        name=body.name,
        email=body.email if "email" in given else UNCHANGED,
        password=body.password if "password" in given else UNCHANGED,
        state=None if body.state is None else UserState(body.state),
    )
    return _pending(call, call.services.identities.users.update(_id(call), change))


def delete_user(call: Call) -> Pending:
    """Delete a user with its API keys and policies."""
    return _pending(call, call.services.identities.users.delete(_id(call)), empty=True)


def _id(call: Call) -> IamId:
    return IamId(call.path["iam_id"])


def _aim(call: Call, user: User) -> None:
    call.target = Target(type=_TARGET, id=user.iam_id, name=user.name)


def _pending(call: Call, change: Change[User], *, empty: bool = False) -> Pending:
    call.target = Target(type=_TARGET, id=call.path.get("iam_id"))

    def commit(unit: Unit) -> User:
        user = change.commit(unit)
        _aim(call, user)
        return user

    return Pending(commit=commit, reply=lambda user: Reply() if empty else Reply(body=user_to_wire(user)))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_users",
        method="GET",
        path="/identity/users",
        action=Action.IDENTITY_MANAGE,
        handler=list_users,
        work=Work.SCAN,
        summary="List users",
        tag=TAG,
        query=ListUsersQuery,
        response=UserPage,
        target_type=_TARGET,
        audit_as="users.list",
        extension=True,
    ),
    Operation(
        name="create_user",
        method="POST",
        path="/identity/users",
        action=Action.IDENTITY_MANAGE,
        handler=create_user,
        work=Work.SLOW_WRITE,
        status=201,
        summary="Create a local user",
        tag=TAG,
        request=CreateUser,
        response=UserAnswer,
        target_type=_TARGET,
        audit_as="user.create",
        extension=True,
    ),
    Operation(
        name="get_user",
        method="GET",
        path="/identity/users/{iam_id}",
        action=Action.IDENTITY_MANAGE,
        handler=get_user,
        work=Work.POINT,
        summary="Get a user",
        tag=TAG,
        response=UserAnswer,
        target_type=_TARGET,
        audit_as="user.read",
        extension=True,
    ),
    Operation(
        name="update_user",
        method="PATCH",
        path="/identity/users/{iam_id}",
        action=Action.IDENTITY_MANAGE,
        handler=update_user,
        work=Work.SLOW_WRITE,
        summary="Change a user",
        tag=TAG,
        request=UpdateUser,
        response=UserAnswer,
        media_types=MERGE_PATCH,
        target_type=_TARGET,
        audit_as="user.update",
        extension=True,
    ),
    Operation(
        name="delete_user",
        method="DELETE",
        path="/identity/users/{iam_id}",
        action=Action.IDENTITY_MANAGE,
        handler=delete_user,
        work=Work.WRITE,
        status=204,
        summary="Delete a user with its API keys and policies",
        tag=TAG,
        target_type=_TARGET,
        audit_as="user.delete",
        extension=True,
    ),
)
