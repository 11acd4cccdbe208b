"""Commands that help to ask for the right private certificate."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.types import PRIVATE_CERTIFICATE, paging

CALLS = (
    Call(
        name="certificate-templates",
        method="GET",
        path="/api/v2/certificate_templates",
        options=paging(limit=1000, default=200, offset=1000),
        items="certificate_templates",
        table=(
            "certificate_templates[*].{Name:name,Certificate_Authority:certificate_authority,"
            "Allowed_Domains:rules.allowed_domains,Max_TTL_Seconds:rules.max_ttl_seconds,"
            "Allowed_Secret_Groups:allowed_secret_groups}"
        ),
        details="Needs no more than the right to create a secret in one group.",
        example="strongroom certificate-templates\n"
        "strongroom certificate-templates -o json -j \"certificate_templates[?name=='web'].rules | [0]\"",
    ),
    Call(
        name="secret-evaluate",
        method="POST",
        path="/api/v2/secrets/evaluate",
        options=(
            Opt(
                names=("--secret-prototype",),
                to="body",
                kind=Kind.JSON,
                help="The whole secret as JSON, @FILE or -, as for secret-create.",
            ),
            Opt(names=("--secret-name",), to="body.name", help="Name; not needed here."),
            Opt(names=("--secret-group-id",), to="body.secret_group_id", help="Id of the group (default)."),
            *PRIVATE_CERTIFICATE,
        ),
        fixed={"secret_type": "private_cert"},
        needs=("certificate_template",),
        table="rules[?verdict!='skipped'].{Verdict:verdict,Rule:rule,Message:message,Would_Pass:would_pass}",
        verdict="allowed",
        details="Nothing is issued or stored. Ends with 1 if the certificate would be refused. With -o json the whole "
        "certificate is shown as text, and what the linter says of it.",
        example="strongroom secret-evaluate --private-cert-template-name web \\\n"
        "  --certificate-common-name shop.internal.example.com\n"
        "strongroom secret-evaluate --private-cert-template-name web --private-cert-csr @request.pem \\\n"
        "  -j certificate_text",
    ),
)

COMMANDS = commands_of(*CALLS)
