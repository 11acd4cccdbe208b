"""Commands of locks on secrets and versions."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.types import EXAMPLE_ID, OF_SECRET, SECRET_ID, VERSION_ID, paging

_OF_ONE = "/api/v2/secrets/{id}"
_OF_VERSION = "/api/v2/secrets/{secret_id}/versions/{id}"
_TABLE = (
    "locks[*].{name:name,secret_version_alias:secret_version_alias,secret_version_id:secret_version_id,"
    "created_at:created_at,created_by:created_by}"
)
_LIST = (
    *paging(limit=100, default=25, offset=1000),
    Opt(names=("--sort",), to="query.sort", help="created_at, updated_at or name; -name descends."),
    Opt(names=("--search",), to="query.search", help="Text in the lock's name."),
)
_CREATE = (
    Opt(
        names=("--locks",),
        to="body.locks",
        kind=Kind.JSON_LIST,
        required=True,
        help='Locks as JSON: \'[{"name": "edge", "description": "...", "attributes": {}}]\', @FILE or -.',
    ),
    Opt(
        names=("--mode",),
        to="query.mode",
        kind=Kind.CHOICE,
        choices=("remove_previous", "remove_previous_and_delete"),
        help="Also unlock the previous version, or unlock it and delete its payload.",
    ),
)
_NAMES = Opt(names=("--name",), to="query.name", kind=Kind.LIST, help="Names of locks; all of them when left out.")
_EXAMPLE_LOCKS = '--locks \'[{"name": "edge", "description": "edge proxy"}]\''

CALLS = (
    Call(
        name="secrets-locks",
        method="GET",
        path="/api/v2/secrets_locks",
        options=(
            *paging(limit=1000, default=200, offset=10_000_000),
            Opt(names=("--search",), to="query.search", help="Text in the lock's name."),
            Opt(names=("--groups",), to="query.groups", kind=Kind.LIST, help="Ids of groups, and the word default."),
        ),
        items="secrets_locks",
        table="secrets_locks[*]",
        example="strongroom secrets-locks --groups default --all-pages",
    ),
    Call(
        name="secret-locks",
        method="GET",
        path=_OF_ONE + "/locks",
        options=(SECRET_ID, *_LIST),
        items="locks",
        table=_TABLE,
        example=f"strongroom secret-locks --id {EXAMPLE_ID} --sort name",
    ),
    Call(
        name="secret-locks-bulk-create",
        method="POST",
        path=_OF_ONE + "/locks_bulk",
        options=(SECRET_ID, *_CREATE),
        example=f"strongroom secret-locks-bulk-create --id {EXAMPLE_ID} \\\n  {_EXAMPLE_LOCKS}",
    ),
    Call(
        name="secret-locks-bulk-delete",
        method="DELETE",
        path=_OF_ONE + "/locks_bulk",
        options=(SECRET_ID, _NAMES),
        example=f"strongroom secret-locks-bulk-delete --id {EXAMPLE_ID} --name edge",
    ),
    Call(
        name="secret-version-locks",
        method="GET",
        path=_OF_VERSION + "/locks",
        options=(OF_SECRET, VERSION_ID, *_LIST),
        items="locks",
        table=_TABLE,
        example=f"strongroom secret-version-locks --secret-id {EXAMPLE_ID} --id current",
    ),
    Call(
        name="secret-version-locks-bulk-create",
        method="POST",
        path=_OF_VERSION + "/locks_bulk",
        options=(OF_SECRET, VERSION_ID, *_CREATE),
        example=f"strongroom secret-version-locks-bulk-create --secret-id {EXAMPLE_ID} --id previous \\\n"
        f"  {_EXAMPLE_LOCKS}",
    ),
    Call(
        name="secret-version-locks-bulk-delete",
        method="DELETE",
        path=_OF_VERSION + "/locks_bulk",
        options=(OF_SECRET, VERSION_ID, _NAMES),
        example=f"strongroom secret-version-locks-bulk-delete --secret-id {EXAMPLE_ID} --id previous --name edge",
    ),
)

COMMANDS = commands_of(*CALLS)
