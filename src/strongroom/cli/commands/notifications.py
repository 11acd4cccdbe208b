"""Commands of notifications: the registration of the reference, and Strongroom's own destinations."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.types import paging

_REGISTRATION = "/api/v2/notifications/registration"
_DESTINATIONS = "/api/v2/notifications/destinations"
_EXAMPLE = "2f6d1c7a-94b3-4c0e-8a51-6f0f2b9d7e34"
_ID = Opt(names=("--id",), to="path.id", required=True, help="Id of the destination.")
_URL = Opt(
    names=("--url",),
    to="body.url",
    kind=Kind.CREDENTIAL,
    help="Address of a webhook, of Slack, or an Apprise URL; TEXT, @FILE or -.",
)
_RECIPIENTS = Opt(names=("--recipients",), to="body.recipients", kind=Kind.LIST, help="E-mail addresses.")
_SIGNING_SECRET = Opt(
    names=("--signing-secret",),
    to="body.signing_secret",
    kind=Kind.CREDENTIAL,
    help="Secret that webhooks are signed with, 16 to 256 characters; TEXT, @FILE or -.",
)
_ENABLED = Opt(names=("--enabled",), to="body.enabled", kind=Kind.BOOL, help="Whether notices are sent.")
_ATTACH = Opt(
    names=("--attach-payload",), to="body.attach_payload", kind=Kind.BOOL, help="Attach the payload to e-mails."
)
_FILTERS = Opt(
    names=("--filters",),
    to="body.filters",
    kind=Kind.JSON,
    help="What to tell of, as JSON with event_types, secret_types and secret_group_ids; all when left out.",
)
_TABLE = (
    "destinations[*].{id:id,name:name,type:type,enabled:enabled,url:url,recipients:recipients,created_at:created_at}"
)
_DELIVERY_TABLE = (
    "deliveries[*].{sent_at:sent_at,event_type:event_type,attempt:attempt,state:state,status_code:status_code,"
    "message:message,next_try_at:next_try_at}"
)

CALLS = (
    Call(
        name="notifications-registration-create",
        method="POST",
        path=_REGISTRATION,
        options=(
            Opt(
                names=("--event-notifications-instance-crn",),
                to="body.event_notifications_instance_crn",
                required=True,
                help="CRN of the notification service.",
            ),
            Opt(
                names=("--event-notifications-source-name",),
                to="body.event_notifications_source_name",
                required=True,
                help="Name of this source there, 2 to 256 characters.",
            ),
            Opt(
                names=("--event-notifications-source-description",),
                to="body.event_notifications_source_description",
                help="Description, at most 1024 characters.",
            ),
        ),
        details="The registration is stored and shown; notices go to the notification destinations.",
        example="strongroom notifications-registration-create --event-notifications-source-name example \\\n"
        "  --event-notifications-instance-crn crn:v1:bluemix:public:event-notifications:local:a/1:2::",
    ),
    Call(
        name="notifications-registration",
        method="GET",
        path=_REGISTRATION,
        details="Ends with code 4 when nothing is registered.",
        example="strongroom notifications-registration",
    ),
    Call(
        name="notifications-registration-delete",
        method="DELETE",
        path=_REGISTRATION,
        confirm="Delete the registration?",
        details="Notification destinations stay, and go on to get notices.",
        example="strongroom notifications-registration-delete",
    ),
    Call(
        name="notifications-registration-test",
        method="GET",
        path=f"{_REGISTRATION}/test",
        details="Filters do not apply to it. notification-deliveries shows what came of it at each destination; "
        "notification-destination-test tries one and waits for its answer.",
        example="strongroom notifications-registration-test",
    ),
    Call(
        name="notification-destination-create",
        method="POST",
        path=_DESTINATIONS,
        options=(
            Opt(
                names=("--destination-prototype",),
                to="body",
                kind=Kind.JSON,
                help="The whole destination as JSON, @FILE or -.",
            ),
            Opt(names=("--name",), to="body.name", help="Name, 2 to 128 characters, unique."),
            Opt(
                names=("--type",),
                to="body.type",
                kind=Kind.CHOICE,
                choices=("webhook", "email", "slack", "apprise"),
                help="How it is reached.",
            ),
            _URL,
            _RECIPIENTS,
            _SIGNING_SECRET,
            _ENABLED,
            _ATTACH,
            _FILTERS,
        ),
        needs=("name", "type"),
        details="Addresses and signing secrets are never shown again; keep them in files and give them as @FILE.",
        example="strongroom notification-destination-create --name ops-hook --type webhook \\\n"
        "  --url https://hooks.example.com/strongroom --signing-secret @signing-secret.txt\n"
        "strongroom notification-destination-create --name web-team --type email --recipients web@example.com \\\n"
        """  --filters '{"event_types": ["secret_about_to_expire"], "secret_types": ["public_cert"]}'""",
    ),
    Call(
        name="notification-destinations",
        method="GET",
        path=_DESTINATIONS,
        table=_TABLE,
        details="What is secret in an address is shown as stars.",
        example="strongroom notification-destinations",
    ),
    Call(
        name="notification-destination",
        method="GET",
        path=_DESTINATIONS + "/{id}",
        options=(_ID,),
        details="What is secret in its address is shown as stars, its signing secret not at all.",
        example=f"strongroom notification-destination --id {_EXAMPLE}",
    ),
    Call(
        name="notification-destination-update",
        method="PATCH",
        path=_DESTINATIONS + "/{id}",
        options=(
            _ID,
            Opt(
                names=("--destination-patch",), to="body", kind=Kind.JSON, help="The whole change as JSON, @FILE or -."
            ),
            Opt(names=("--name",), to="body.name", help="Name, 2 to 128 characters, unique."),
            _URL,
            _RECIPIENTS,
            _SIGNING_SECRET,
            _ENABLED,
            _ATTACH,
            _FILTERS,
        ),
        details="What is not named stays. Filters are replaced as a whole. What waits for a destination that is "
        "switched off is not sent any more.",
        example=f"strongroom notification-destination-update --id {_EXAMPLE} --enabled false\n"
        f"strongroom notification-destination-update --id {_EXAMPLE} --signing-secret @new-signing-secret.txt",
    ),
    Call(
        name="notification-destination-delete",
        method="DELETE",
        path=_DESTINATIONS + "/{id}",
        options=(_ID,),
        confirm="Delete the notification destination {id}?",
        details="Its deliveries are deleted with it; --enabled false of notification-destination-update keeps them.",
        example=f"strongroom notification-destination-delete --id {_EXAMPLE}",
    ),
    Call(
        name="notification-destination-test",
        method="POST",
        path=_DESTINATIONS + "/{id}/test",
        options=(_ID,),
        empty_body=True,
        verdict="success",
        details="Ends with code 1 when the event did not arrive.",
        example=f"strongroom notification-destination-test --id {_EXAMPLE}",
    ),
    Call(
        name="notification-deliveries",
        method="GET",
        path=_DESTINATIONS + "/{id}/deliveries",
        options=(_ID, *paging(limit=1000, default=100, offset=10_000_000)),
        items="deliveries",
        table=_DELIVERY_TABLE,
        details="Newest first, for 30 days. A delivery that is retrying names its next try; one that failed five times "
        "over a day is given up.",
        example=f"strongroom notification-deliveries --id {_EXAMPLE} --limit 20\n"
        f"strongroom notification-deliveries --id {_EXAMPLE} --all-pages -j \"deliveries[?state=='failed']\"",
    ),
)

COMMANDS = commands_of(*CALLS)
registration_test = COMMANDS["notifications-registration-test"]
