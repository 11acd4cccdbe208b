"""Commands of secret groups."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of

_GROUP = "8b0b6c1e-6f0a-4b77-9a55-0d3f5b6f7a10"
_NAME = Opt(names=("--name",), to="body.name", help="Name, 2 to 64 characters.")
_DESCRIPTION = Opt(names=("--description",), to="body.description", help="Description, at most 1024 characters.")
_ID = Opt(names=("--id", "--secret-group-id"), to="path.id", required=True, help="Id of the group.")

CALLS = (
    Call(
        name="secret-group-create",
        method="POST",
        path="/api/v2/secret_groups",
        options=(
            Opt(names=("--name",), to="body.name", required=True, help="Name, 2 to 64 characters, unique."),
            _DESCRIPTION,
        ),
        example='strongroom secret-group-create --name payments --description "Team of the payment service"',
    ),
    Call(
        name="secret-groups",
        method="GET",
        path="/api/v2/secret_groups",
        table="secret_groups[*]",
        example="strongroom secret-groups\nstrongroom secret-groups -j \"secret_groups[?name=='payments'].id\"",
    ),
    Call(
        name="secret-group",
        method="GET",
        path="/api/v2/secret_groups/{id}",
        options=(
            Opt(names=("--secret-group-id", "--id"), to="path.id", required=True, help="Id of the group, or default."),
        ),
        example=f"strongroom secret-group --secret-group-id {_GROUP}",
    ),
    Call(
        name="secret-group-update",
        method="PATCH",
        path="/api/v2/secret_groups/{id}",
        options=(
            _ID,
            Opt(names=("--secret-group-patch",), to="body", kind=Kind.JSON, help="The whole change as JSON."),
            _NAME,
            _DESCRIPTION,
        ),
        example=f"strongroom secret-group-update --id {_GROUP} --name billing",
    ),
    Call(
        name="secret-group-delete",
        method="DELETE",
        path="/api/v2/secret_groups/{id}",
        options=(_ID,),
        confirm="Delete the secret group {id}?",
        details="A group that still holds secrets is not deleted.",
        example=f"strongroom secret-group-delete --id {_GROUP}",
    ),
)

COMMANDS = commands_of(*CALLS)
