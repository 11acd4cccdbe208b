"""Commands that show orders of public certificates and coming renewals."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.types import EXAMPLE_ID, paging

_STATES = ("queued", "running", "waiting", "done", "failed", "cancelled")
_GROUPS = Opt(names=("--groups",), to="query.groups", kind=Kind.LIST, help="Ids of groups, and the word default.")

CALLS = (
    Call(
        name="orders",
        method="GET",
        path="/api/v2/orders",
        options=(
            *paging(limit=1000, default=200, offset=10_000_000),
            Opt(
                names=("--state",),
                to="query.state",
                kind=Kind.CHOICE,
                choices=_STATES,
                help="Only those that are so.",
            ),
            Opt(names=("--secret-id",), to="query.secret_id", help="Only those for this secret."),
            _GROUPS,
        ),
        items="orders",
        table=(
            "orders[*].{ID:id,Secret:secret_name,State:state,Step:step,Waiting_For:waiting_for,"
            "Last_Error:last_error.message,CA:ca,DNS:dns,Domains:domains,Updated:updated_at}"
        ),
        details="Newest first.",
        example="strongroom orders --state waiting\nstrongroom orders --state failed -o json",
    ),
    Call(
        name="order",
        method="GET",
        path="/api/v2/orders/{id}",
        options=(Opt(names=("--id",), to="path.id", required=True, help="Id of the order."),),
        details="The step says how far it is; waiting_for, next_try_at and last_error say why it is not further.",
        example=f"strongroom order --id {EXAMPLE_ID}\nstrongroom order --id {EXAMPLE_ID} -j propagation",
    ),
    Call(
        name="renewals",
        method="GET",
        path="/api/v2/renewals",
        options=(
            *paging(limit=1000, default=200, offset=10_000_000),
            _GROUPS,
            Opt(
                names=("--before",),
                to="query.before",
                kind=Kind.DATE,
                help="Only what is due before then, such as 2027-01-31T12:00:00Z.",
            ),
        ),
        items="renewals",
        table=(
            "renewals[*].{Secret:secret_name,ID:secret_id,Type:secret_type,Renew_At:renew_at,Expires_At:expires_at,"
            "Trigger:trigger,Blocked_By:blocked_by,Last_Error:last_error.message}"
        ),
        details="Tells what locks are in the way, and why the last try failed. The trigger is ari where the CA says "
        "when, life for a fraction of the certificate's life, policy for an interval.",
        example="strongroom renewals --limit 20\nstrongroom renewals --before 2027-01-31T12:00:00Z --all-pages",
    ),
)

COMMANDS = commands_of(*CALLS)
