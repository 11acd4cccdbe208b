"""Words and options that several topics share."""

from __future__ import annotations

from strongroom.cli.calls import Kind, Opt

SECRET_TYPES = (
    "arbitrary",
    "iam_credentials",
    "imported_cert",
    "kv",
    "private_cert",
    "public_cert",
    "service_credentials",
    "username_password",
    "custom_credentials",
)

ARBITRARY = frozenset({"arbitrary"})
IMPORTED = frozenset({"imported_cert"})
KV = frozenset({"kv"})
PASSWORD = frozenset({"username_password"})
PRIVATE = frozenset({"private_cert"})
PUBLIC = frozenset({"public_cert"})
EXPIRING = ARBITRARY | PASSWORD
ROTATING = frozenset(
    {
        "iam_credentials",
        "private_cert",
        "public_cert",
        "service_credentials",
        "username_password",
        "custom_credentials",
    }
)

REVOKE = "private_cert_action_revoke_certificate"
VALIDATE = "public_cert_action_validate_dns_challenge"

EXAMPLE_ID = "1f6a0d4e-52c3-4a58-9b7e-8e3f1c2d4b5a"

PAYLOAD = (
    Opt(names=("--arbitrary-payload",), to="body.payload", types=ARBITRARY, help="Text to keep."),
    Opt(
        names=("--arbitrary-payload-file",),
        to="body.payload",
        kind=Kind.FILE,
        types=ARBITRARY,
        help="The same from a file, or - for standard input.",
    ),
    Opt(
        names=("--imported-cert-certificate",),
        to="body.certificate",
        kind=Kind.PEM,
        types=IMPORTED,
        help="Certificate as PEM, @FILE or -.",
    ),
    Opt(
        names=("--imported-cert-intermediate",),
        to="body.intermediate",
        kind=Kind.PEM,
        types=IMPORTED,
        help="Chain as PEM, one certificate or several, @FILE or -.",
    ),
    Opt(
        names=("--imported-cert-private-key",),
        to="body.private_key",
        kind=Kind.PEM,
        types=IMPORTED,
        help="Unencrypted key as PEM, @FILE or -; not together with a managed CSR.",
    ),
    Opt(
        names=("--kv-data",),
        to="body.data",
        kind=Kind.JSON,
        types=KV,
        help='Keys and values as JSON, such as \'{"user": "app"}\', @FILE or -.',
    ),
)

PASSWORD_VALUE = (
    Opt(
        names=("--username-password-password",),
        to="body.password",
        types=PASSWORD,
        help="Password; left out, one is generated.",
    ),
    Opt(
        names=("--username-password-password-file",),
        to="body.password",
        kind=Kind.FILE,
        types=PASSWORD,
        help="The same from a file, or - for standard input.",
    ),
)

MANAGED_CSR = Opt(
    names=("--imported-cert-managed-csr",),
    to="body.managed_csr",
    kind=Kind.JSON,
    types=IMPORTED,
    help='Fields of the signing request as JSON, such as \'{"common_name": "example.com"}\', @FILE or -.',
)

NAMES = (
    Opt(
        names=("--certificate-common-name",),
        to="body.common_name",
        aliases=("--private-cert-common-name",),
        help="Common name, such as shop.example.com.",
        types=PRIVATE | PUBLIC,
    ),
    Opt(
        names=("--certificate-alt-names",),
        to="body.alt_names",
        kind=Kind.LIST,
        aliases=("--private-cert-alt-names",),
        help="Further host names, and e-mail addresses for a private certificate.",
        types=PRIVATE | PUBLIC,
    ),
    Opt(
        names=("--private-cert-ip-sans",),
        to="body.ip_sans",
        help="IP addresses, separated by commas.",
        types=PRIVATE,
    ),
    Opt(names=("--private-cert-uri-sans",), to="body.uri_sans", help="URIs, separated by commas.", types=PRIVATE),
    Opt(
        names=("--private-cert-other-sans",),
        to="body.other_sans",
        kind=Kind.LIST,
        help="Other names, each as OID;UTF8:VALUE.",
        types=PRIVATE,
    ),
)
"""Names of a certificate, in the words of secrets."""

EXCLUDE_COMMON_NAME = Opt(
    names=("--private-cert-exclude-cn-from-sans",),
    to="body.exclude_cn_from_sans",
    kind=Kind.BOOL,
    help="Keep the common name out of the alternative names.",
    types=PRIVATE,
)

FORMATS = (
    Opt(
        names=("--private-cert-format",),
        to="body.format",
        kind=Kind.CHOICE,
        choices=("pem", "pem_bundle"),
        help="pem_bundle puts key, certificate and chain into one text (pem).",
        types=PRIVATE,
    ),
    Opt(
        names=("--private-cert-private-key-format",),
        to="body.private_key_format",
        kind=Kind.CHOICE,
        choices=("der", "pkcs8"),
        help="Form of the key inside the PEM text: der is the classic one of its type (der).",
        types=PRIVATE,
    ),
)

CSR = Opt(
    names=("--private-cert-csr",),
    to="body.csr",
    kind=Kind.PEM,
    help="Signing request for a key that you keep, as PEM, @FILE or -.",
    types=PRIVATE,
)

PRIVATE_CERTIFICATE = (
    Opt(
        names=("--private-cert-template-name",),
        to="body.certificate_template",
        aliases=("--private-cert-certificate-template",),
        help="Name of the certificate template.",
        types=PRIVATE,
    ),
    *NAMES,
    Opt(names=("--secret-ttl",), to="body.ttl", help="How long it is valid, such as 90d or 12h.", types=PRIVATE),
    CSR,
    *FORMATS,
    EXCLUDE_COMMON_NAME,
)
"""What a private certificate is asked for with."""

PUBLIC_CERTIFICATE = (
    Opt(names=("--public-cert-ca",), to="body.ca", help="Name of the public CA configuration.", types=PUBLIC),
    Opt(
        names=("--public-cert-dns",),
        to="body.dns",
        help="Name of the DNS configuration, or manual: you write the records.",
        types=PUBLIC,
    ),
    Opt(
        names=("--public-cert-key-algorithm",),
        to="body.key_algorithm",
        help="RSA2048, RSA4096, ECDSA256 or ECDSA384 (RSA2048).",
        types=PUBLIC,
    ),
    Opt(
        names=("--public-cert-bundle-ca",),
        to="body.bundle_certs",
        kind=Kind.BOOL,
        help="Put the chain behind the certificate, in the same text (true).",
        types=PUBLIC,
    ),
)
"""What a public certificate is ordered with, beside its names."""

SECRET_ID = Opt(names=("--id",), to="path.id", required=True, help="Id of the secret.")
OF_SECRET = Opt(names=("--secret-id",), to="path.secret_id", required=True, help="Id of the secret.")
VERSION_ID = Opt(
    names=("--id",), to="path.id", required=True, help="Id of the version, or the word current or previous."
)


def paging(limit: int, default: int, offset: int) -> tuple[Opt, ...]:
    """Return the paging options of a list.

    Args:
        limit: largest page.
        default: page size when none is given.
        offset: largest offset.
    """
    return (
        Opt(names=("--offset",), to="query.offset", kind=Kind.INT, low=0, high=offset, help="How many to pass over."),
        Opt(
            names=("--limit",),
            to="query.limit",
            kind=Kind.INT,
            low=1,
            high=limit,
            help=f"Page size, 1 to {limit} ({default}).",
        ),
    )
