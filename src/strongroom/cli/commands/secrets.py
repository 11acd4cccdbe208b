"""Commands of secrets and their metadata."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.types import (
    EXAMPLE_ID,
    EXPIRING,
    MANAGED_CSR,
    PASSWORD,
    PASSWORD_VALUE,
    PAYLOAD,
    PRIVATE_CERTIFICATE,
    PUBLIC_CERTIFICATE,
    REVOKE,
    ROTATING,
    SECRET_ID,
    SECRET_TYPES,
    VALIDATE,
    paging,
)

_POLICY_HELP = (
    'Rotation policy as JSON: \'{"auto_rotate": true, "interval": 30, "unit": "day"}\'; for a public certificate '
    '\'{"auto_rotate": true, "rotate_keys": false}\'.'
)

CALLS = (
    Call(
        name="secret-create",
        method="POST",
        path="/api/v2/secrets",
        options=(
            Opt(names=("--secret-prototype",), to="body", kind=Kind.JSON, help="The whole secret as JSON, @FILE or -."),
            Opt(names=("--secret-name",), to="body.name", help="Name, 2 to 256 characters."),
            Opt(
                names=("--secret-type",),
                to="body.secret_type",
                kind=Kind.CHOICE,
                choices=SECRET_TYPES,
                help="Type of the secret.",
            ),
            Opt(names=("--secret-group-id",), to="body.secret_group_id", help="Id of its group (default)."),
            Opt(names=("--secret-description",), to="body.description", help="Description, at most 1024 characters."),
            Opt(names=("--secret-labels",), to="body.labels", kind=Kind.LIST, help="Labels, at most 30."),
            Opt(
                names=("--secret-custom-metadata",),
                to="body.custom_metadata",
                kind=Kind.JSON,
                help="Metadata of the secret as JSON.",
            ),
            Opt(
                names=("--secret-version-custom-metadata",),
                to="body.version_custom_metadata",
                kind=Kind.JSON,
                help="Metadata of its first version as JSON.",
            ),
            Opt(
                names=("--secret-expiration-date",),
                to="body.expiration_date",
                kind=Kind.DATE,
                types=EXPIRING,
                help="When it expires, such as 2027-01-31T12:00:00Z.",
            ),
            Opt(names=("--secret-rotation",), to="body.rotation", kind=Kind.JSON, types=ROTATING, help=_POLICY_HELP),
            *PAYLOAD,
            MANAGED_CSR,
            *PRIVATE_CERTIFICATE,
            *PUBLIC_CERTIFICATE,
            Opt(names=("--username-password-username",), to="body.username", types=PASSWORD, help="User name."),
            *PASSWORD_VALUE,
            Opt(
                names=("--username-password-policy",),
                to="body.password_generation_policy",
                kind=Kind.JSON,
                types=PASSWORD,
                help='How to generate passwords, as JSON: \'{"length": 32, "include_symbols": false}\'.',
            ),
        ),
        needs=("secret_type", "name"),
        waits="answer.id",
        details="Give the whole secret with --secret-prototype, or its fields one by one, not both. A public "
        "certificate is ordered: the answer comes at once, the certificate within minutes; --wait shows how it gets "
        "on, and with manual DNS the records to publish.",
        example=(
            "strongroom secret-create --secret-type imported_cert --secret-name shop-web \\\n"
            "  --imported-cert-certificate @cert.pem --imported-cert-intermediate @chain.pem \\\n"
            "  --imported-cert-private-key @key.pem --secret-labels dev,us-south\n"
            "strongroom secret-create --secret-type imported_cert --secret-name shop-csr \\\n"
            '  --imported-cert-managed-csr \'{"common_name": "example.com"}\'\n'
            "strongroom secret-create --secret-type private_cert --secret-name shop-internal \\\n"
            "  --private-cert-template-name web --certificate-common-name shop.internal.example.com \\\n"
            '  --secret-rotation \'{"auto_rotate": true, "interval": 1, "unit": "month"}\'\n'
            "strongroom secret-create --secret-type public_cert --secret-name shop-public \\\n"
            "  --public-cert-ca letsencrypt --public-cert-dns example-com \\\n"
            "  --certificate-common-name shop.example.com --wait"
        ),
    ),
    Call(
        name="secrets",
        method="GET",
        path="/api/v2/secrets",
        options=(
            *paging(limit=1000, default=200, offset=10_000_000),
            Opt(
                names=("--sort",),
                to="query.sort",
                help="id, created_at, updated_at, retrieved_at, expiration_date, secret_type or name; -name descends.",
            ),
            Opt(names=("--search",), to="query.search", help="Text in id, name, description, labels or type."),
            Opt(names=("--groups",), to="query.groups", kind=Kind.LIST, help="Ids of groups, and the word default."),
            Opt(names=("--secret-types",), to="query.secret_types", kind=Kind.LIST, help="Types of secrets."),
            Opt(
                names=("--match-all-labels",), to="query.match_all_labels", kind=Kind.LIST, help="Labels, all of them."
            ),
        ),
        items="secrets",
        table=(
            "secrets[*].{Name:name,ID:id,Secret_Type:secret_type,secret_group_id:secret_group_id,"
            "State:state_description,Locks:locks_total,Expiration:expiration_date}"
        ),
        example="strongroom secrets --secret-types imported_cert --sort expiration_date\n"
        "strongroom secrets --search shop --all-pages --output json",
    ),
    Call(
        name="secret",
        method="GET",
        path="/api/v2/secrets/{id}",
        options=(SECRET_ID,),
        details="This counts as a download; secret-metadata reads everything else.",
        example=f"strongroom secret --id {EXAMPLE_ID}\nstrongroom secret --id {EXAMPLE_ID} -j certificate > cert.pem",
    ),
    Call(
        name="secret-by-name",
        method="GET",
        path="/api/v2/secret_groups/{secret_group_name}/secret_types/{secret_type}/secrets/{name}",
        options=(
            Opt(
                names=("--secret-type",),
                to="path.secret_type",
                kind=Kind.CHOICE,
                choices=SECRET_TYPES,
                required=True,
                help="Type of the secret.",
            ),
            Opt(names=("--name",), to="path.name", required=True, help="Name of the secret."),
            Opt(
                names=("--secret-group-name",),
                to="path.secret_group_name",
                required=True,
                help="Name of its group; default for the default group.",
            ),
        ),
        example="strongroom secret-by-name --secret-type imported_cert --name shop-web --secret-group-name default",
    ),
    Call(
        name="secret-metadata",
        method="GET",
        path="/api/v2/secrets/{id}/metadata",
        options=(SECRET_ID,),
        details="The managed CSR of an imported certificate is read this way.",
        example=f"strongroom secret-metadata --id {EXAMPLE_ID}\n"
        f"strongroom secret-metadata --id {EXAMPLE_ID} -j managed_csr.csr > request.csr",
    ),
    Call(
        name="secret-metadata-update",
        method="PATCH",
        path="/api/v2/secrets/{id}/metadata",
        options=(
            SECRET_ID,
            Opt(names=("--secret-metadata-patch",), to="body", kind=Kind.JSON, help="The whole change as JSON."),
            Opt(names=("--name",), to="body.name", help="New name."),
            Opt(names=("--description",), to="body.description", help="New description."),
            Opt(
                names=("--labels",),
                to="body.labels",
                kind=Kind.LIST,
                help='New labels in place of the old; "[]" clears.',
            ),
            Opt(names=("--custom-metadata",), to="body.custom_metadata", kind=Kind.JSON, help="New metadata as JSON."),
            Opt(
                names=("--expiration-date",),
                to="body.expiration_date",
                kind=Kind.DATE,
                help="When it expires; the word null clears.",
            ),
            Opt(names=("--rotation",), to="body.rotation", kind=Kind.JSON, help=_POLICY_HELP),
            MANAGED_CSR,
            Opt(
                names=("--password-generation-policy",),
                to="body.password_generation_policy",
                kind=Kind.JSON,
                help="Changes to how passwords are generated, as JSON.",
            ),
        ),
        details="What is not given stays as it is. Managed CSR fields are merged one by one and make a new CSR.",
        example=f"strongroom secret-metadata-update --id {EXAMPLE_ID} --labels dev,eu --description 'new text'\n"
        f'strongroom secret-metadata-update --id {EXAMPLE_ID} --imported-cert-managed-csr \'{{"alt_names": "alt1"}}\'',
    ),
    Call(
        name="secret-delete",
        method="DELETE",
        path="/api/v2/secrets/{id}",
        options=(
            SECRET_ID,
            Opt(
                names=("--force-delete",),
                to="query.force_delete",
                kind=Kind.BOOL,
                help="For custom credentials: delete although the provider cannot be told.",
            ),
        ),
        confirm="Delete the secret {id} with all its versions?",
        details="A secret with a lock is not deleted.",
        example=f"strongroom secret-delete --id {EXAMPLE_ID}",
    ),
    Call(
        name="secret-action-create",
        method="POST",
        path="/api/v2/secrets/{id}/actions",
        options=(
            SECRET_ID,
            Opt(names=("--secret-action-prototype",), to="body", kind=Kind.JSON, help="The whole action as JSON."),
            Opt(
                names=("--secret-action-type",),
                to="body.action_type",
                kind=Kind.CHOICE,
                choices=(VALIDATE, REVOKE),
                help="What to do.",
            ),
        ),
        waits="path.id",
        details="Says that the TXT records of an order with manual DNS are published. Or revokes the private "
        "certificate of the current version, for good; a rotation makes the next one.",
        example=f"strongroom secret-action-create --id {EXAMPLE_ID} \\\n  --secret-action-type {REVOKE}\n"
        f"strongroom secret-action-create --id {EXAMPLE_ID} \\\n  --secret-action-type {VALIDATE} --wait",
    ),
)

COMMANDS = commands_of(*CALLS)
