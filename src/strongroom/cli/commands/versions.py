"""Commands of secret versions."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.types import (
    CSR,
    EXAMPLE_ID,
    OF_SECRET,
    PASSWORD_VALUE,
    PAYLOAD,
    PUBLIC,
    REVOKE,
    VERSION_ID,
)

_VERSIONS = "/api/v2/secrets/{secret_id}/versions"

CALLS = (
    Call(
        name="secret-version-create",
        method="POST",
        path=_VERSIONS,
        options=(
            OF_SECRET,
            Opt(names=("--secret-version-prototype",), to="body", kind=Kind.JSON, help="The whole version as JSON."),
            *PAYLOAD,
            *PASSWORD_VALUE,
            CSR,
            Opt(
                names=("--public-cert-rotation",),
                to="body.rotation",
                kind=Kind.JSON,
                help="For a public certificate: '{\"rotate_keys\": true}' orders it with a new key.",
                types=PUBLIC,
            ),
            Opt(
                names=("--secret-version-custom-metadata",),
                to="body.custom_metadata",
                kind=Kind.JSON,
                help="New metadata of the secret (not of the version) as JSON.",
            ),
            Opt(
                names=("--secret-version-version-custom-metadata",),
                to="body.version_custom_metadata",
                kind=Kind.JSON,
                help="Metadata of the version as JSON.",
            ),
            Opt(
                names=("--secret-version-restore-from-version",),
                to="body.restore_from_version",
                help="Id of an earlier version to bring back, or previous.",
            ),
        ),
        empty_body=True,
        waits="answer.secret_id",
        details="Without a value, types that generate theirs get a new one. A certificate signed from a managed CSR is "
        "given without a key.",
        example=f"strongroom secret-version-create --secret-id {EXAMPLE_ID} \\\n"
        "  --imported-cert-certificate @cert.pem --imported-cert-intermediate @chain.pem\n"
        f"strongroom secret-version-create --secret-id {EXAMPLE_ID} --private-cert-csr @request.pem\n"
        f"strongroom secret-version-create --secret-id {EXAMPLE_ID} \\\n"
        "  --public-cert-rotation '{\"rotate_keys\": true}' --wait",
    ),
    Call(
        name="secret-versions",
        method="GET",
        path=_VERSIONS,
        options=(OF_SECRET,),
        table="versions[*]",
        example=f"strongroom secret-versions --secret-id {EXAMPLE_ID}",
    ),
    Call(
        name="secret-version",
        method="GET",
        path=_VERSIONS + "/{id}",
        options=(OF_SECRET, VERSION_ID),
        details="The payload is there for the current and the previous version.",
        example=f"strongroom secret-version --secret-id {EXAMPLE_ID} --id previous",
    ),
    Call(
        name="secret-version-metadata",
        method="GET",
        path=_VERSIONS + "/{id}/metadata",
        options=(OF_SECRET, VERSION_ID),
        example=f"strongroom secret-version-metadata --secret-id {EXAMPLE_ID} --id current",
    ),
    Call(
        name="secret-version-metadata-update",
        method="PATCH",
        path=_VERSIONS + "/{id}/metadata",
        options=(
            OF_SECRET,
            VERSION_ID,
            Opt(
                names=("--secret-version-metadata-patch",), to="body", kind=Kind.JSON, help="The whole change as JSON."
            ),
            Opt(
                names=("--version-custom-metadata",),
                to="body.version_custom_metadata",
                kind=Kind.JSON,
                help="New metadata of the version as JSON.",
            ),
        ),
        example=f"strongroom secret-version-metadata-update --secret-id {EXAMPLE_ID} --id current \\\n"
        '  --version-custom-metadata \'{"ticket": "CHG-1201"}\'',
    ),
    Call(
        name="secret-version-data-delete",
        method="DELETE",
        path=_VERSIONS + "/{id}/secret_data",
        options=(OF_SECRET, VERSION_ID),
        confirm="Destroy the payload of version {id} of secret {secret_id}?",
        example=f"strongroom secret-version-data-delete --secret-id {EXAMPLE_ID} --id current",
    ),
    Call(
        name="secret-version-action-create",
        method="POST",
        path=_VERSIONS + "/{id}/actions",
        options=(
            OF_SECRET,
            VERSION_ID,
            Opt(
                names=("--secret-version-action-prototype",),
                to="body",
                kind=Kind.JSON,
                help="The whole action as JSON.",
            ),
            Opt(
                names=("--secret-version-action-type",),
                to="body.action_type",
                kind=Kind.CHOICE,
                choices=(REVOKE,),
                help="What to do.",
            ),
        ),
        details="Revokes the certificate of one version; the others stay as they are.",
        example=f"strongroom secret-version-action-create --secret-id {EXAMPLE_ID} --id previous \\\n"
        f"  --secret-version-action-type {REVOKE}",
    ),
)

COMMANDS = commands_of(*CALLS)

version_action = COMMANDS["secret-version-action-create"]
"""Printed with two hyphens in the original's pages."""
