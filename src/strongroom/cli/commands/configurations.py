"""Commands of configurations: certificate authorities and templates, and what can be done with them."""

from __future__ import annotations

from strongroom.cli.calls import Call, Kind, Opt, commands_of
from strongroom.cli.commands.configuration_options import (
    ACTIONS,
    CONFIG_TYPE_HEADER,
    CONFIG_TYPES,
    CREATE,
    INTERMEDIATE_CA,
    ROOT_CA,
    ROTATE_INTERMEDIATE,
    SIGN,
    SIGN_INTERMEDIATE,
    TEMPLATE,
    UPDATE,
)
from strongroom.cli.commands.public_options import ACME, LETS_ENCRYPT, RFC2136, TEST
from strongroom.cli.commands.types import paging

_PATH = "/api/v2/configurations"
_NAMED = _PATH + "/{name}"
_NAME = Opt(names=("--name",), to="path.name", required=True, help="Name of the configuration.")

CALLS = (
    Call(
        name="configuration-create",
        method="POST",
        path=_PATH,
        options=(
            Opt(
                names=("--configuration-prototype",),
                to="body",
                kind=Kind.JSON,
                help="The whole configuration as JSON, @FILE or -.",
            ),
            Opt(
                names=("--config-type",),
                to="body.config_type",
                kind=Kind.CHOICE,
                choices=CONFIG_TYPES,
                help="Type of the configuration.",
            ),
            Opt(names=("--name",), to="body.name", help="Name, 2 to 128 characters."),
            *CREATE,
        ),
        needs=("config_type", "name"),
        lone_body="--configuration-prototype",
        details="Give the whole configuration with --configuration-prototype, or its fields one by one, not both.\n\n"
        "A private CA takes three steps: a root, an intermediate that the root signs, a template that says which "
        "certificates the intermediate issues. A public certificate needs a configuration of a public CA, and one of "
        "the DNS provider of its names unless you write the records yourself.",
        example=(
            f"strongroom configuration-create --config-type {ROOT_CA} \\\n"
            '  --name example-root --certificate-common-name "Example Root CA" --private-cert-max-ttl 87600h\n'
            f"strongroom configuration-create --config-type {INTERMEDIATE_CA} \\\n"
            '  --name example-issuing --certificate-common-name "Example Issuing CA" --private-cert-max-ttl 43800h \\\n'
            "  --private-cert-signing-method internal --private-cert-issuer example-root --private-cert-auto-sign\n"
            f"strongroom configuration-create --config-type {TEMPLATE} \\\n"
            "  --name web --private-cert-ca-name example-issuing --private-cert-max-ttl 90d \\\n"
            "  --private-cert-allowed-domains internal.example.com --private-cert-allow-subdomains\n"
            f"strongroom configuration-create --config-type {LETS_ENCRYPT} \\\n"
            "  --name letsencrypt --public-cert-lets-encrypt-environment production\n"
            f"strongroom configuration-create --config-type {ACME} --name other-ca \\\n"
            "  --public-cert-acme-directory-url https://acme.example.com/directory \\\n"
            "  --public-cert-acme-eab-key-id kid-1 --public-cert-acme-eab-hmac-key @hmac.txt\n"
            f"strongroom configuration-create --config-type {RFC2136} --name dns \\\n"
            "  --public-cert-rfc2136-server ns1.example.com --public-cert-rfc2136-tsig-key-name strongroom \\\n"
            "  --public-cert-rfc2136-tsig-secret @tsig.txt"
        ),
    ),
    Call(
        name="configurations",
        method="GET",
        path=_PATH,
        options=(
            *paging(limit=1000, default=200, offset=1000),
            Opt(names=("--sort",), to="query.sort", help="config_type, secret_type or name; -name descends."),
            Opt(names=("--search",), to="query.search", help="Text in the name or type."),
            Opt(
                names=("--secret-types",),
                to="query.secret_types",
                kind=Kind.LIST,
                help="Engines: private_cert, public_cert.",
            ),
        ),
        items="configurations",
        table=(
            "configurations[*].{Created_At:created_at,Name:name,Config_Type:config_type,Secret_Type:secret_type,"
            "Created_By:created_by,Updated_At:updated_at}"
        ),
        example="strongroom configurations --secret-types private_cert --sort name\n"
        'strongroom configurations -j "configurations[?status].{name: name, status: status, until: expiration_date}"',
    ),
    Call(
        name="configuration",
        method="GET",
        path=_NAMED,
        options=(_NAME, CONFIG_TYPE_HEADER),
        lone="--name",
        details="The certificate of a private CA, its chain, and the CSR of an intermediate stand under data. The "
        "credentials of public configurations are shown.",
        example="strongroom configuration --name example-issuing\n"
        "strongroom configuration --name example-root -j data.certificate > root.pem\n"
        "strongroom configuration --name example-issuing -j data.csr > issuing.csr",
    ),
    Call(
        name="configuration-update",
        method="PATCH",
        path=_NAMED,
        options=(
            _NAME,
            CONFIG_TYPE_HEADER,
            Opt(names=("--configuration-patch",), to="body", kind=Kind.JSON, help="The whole change as JSON."),
            *UPDATE,
        ),
        lone="--name",
        lone_body="--configuration-patch",
        details="What is not given stays as it is. Certificates that exist already do not change. An empty text "
        "removes a value that may be missing.",
        example="strongroom configuration-update --name web --private-cert-max-ttl 30d\n"
        "strongroom configuration-update --name example-issuing --private-cert-crl-expiry 24h",
    ),
    Call(
        name="configuration-delete",
        method="DELETE",
        path=_NAMED,
        options=(_NAME, CONFIG_TYPE_HEADER),
        lone="--name",
        confirm="Delete the configuration {name}?",
        details="A CA that other configurations use, or a template that secrets use, is not deleted. What a deleted CA "
        "has issued stays valid and cannot be revoked any more. Public CAs and DNS providers are deleted even when "
        "certificates use them: these cannot be renewed any more.",
        example="strongroom configuration-delete --name web",
    ),
    Call(
        name="configuration-action-create",
        method="POST",
        path=f"{_NAMED}/actions",
        options=(
            _NAME,
            CONFIG_TYPE_HEADER,
            Opt(names=("--config-action-prototype",), to="body", kind=Kind.JSON, help="The whole action as JSON."),
            Opt(
                names=("--config-action-action-type",),
                to="body.action_type",
                kind=Kind.CHOICE,
                choices=ACTIONS,
                help="What to do.",
            ),
            *SIGN,
        ),
        needs=("action_type",),
        details="--name is the CA that acts: the one that signs for sign_intermediate and sign_csr, the intermediate "
        "itself for the others.",
        example=(
            "strongroom configuration-action-create --name example-root \\\n"
            f"  --config-action-action-type {SIGN_INTERMEDIATE} \\\n"
            "  --config-action-intermediate-certificate-authority example-issuing\n"
            "strongroom configuration-action-create --name example-issuing \\\n"
            f"  --config-action-action-type {ROTATE_INTERMEDIATE}"
        ),
    ),
    Call(
        name="configuration-test",
        method="POST",
        path=f"{_NAMED}/actions",
        options=(
            _NAME,
            CONFIG_TYPE_HEADER,
            Opt(names=("--domain",), to="body.domain", help="Where a DNS configuration writes its probe (first zone)."),
        ),
        lone="--name",
        fixed={"action_type": TEST},
        empty_body=True,
        table="steps[*].{Step:name,Success:success,Message:message,Duration_ms:duration_ms}",
        verdict="success",
        details="A CA has its directory read and the account looked up. A DNS provider has its zones listed, and a TXT "
        "record written, seen on the authoritative servers, and removed. Ends with 1 if a step fails.",
        example="strongroom configuration-test letsencrypt\n"
        "strongroom configuration-test --name dns --domain example.com",
    ),
    Call(
        name="configuration-zones",
        method="GET",
        path=f"{_NAMED}/zones",
        options=(_NAME, CONFIG_TYPE_HEADER),
        lone="--name",
        table="zones[*].{Zone:@}",
        details="Needs no more than the right to create a secret in one group.",
        example="strongroom configuration-zones dns",
    ),
)


COMMANDS = commands_of(*CALLS)
