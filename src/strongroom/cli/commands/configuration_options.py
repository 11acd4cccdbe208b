"""Options of configurations: one field each, in the words of the original plug-in.

The same field has a long spelling in ``configuration-create`` and, in older scripts, the field's own name in
``configuration-update``; both are taken in both.
"""

from __future__ import annotations

from dataclasses import replace

from strongroom.cli.calls import Kind, Opt
from strongroom.cli.commands.public_options import PUBLIC, PUBLIC_TYPES
from strongroom.cli.commands.types import CSR, EXCLUDE_COMMON_NAME, FORMATS, NAMES

ROOT_CA = "private_cert_configuration_root_ca"
INTERMEDIATE_CA = "private_cert_configuration_intermediate_ca"
TEMPLATE = "private_cert_configuration_template"
PRIVATE_TYPES = (ROOT_CA, INTERMEDIATE_CA, TEMPLATE)
CONFIG_TYPES = (*PRIVATE_TYPES, *PUBLIC_TYPES)

ACTION = "private_cert_configuration_action_"
SIGN_INTERMEDIATE = ACTION + "sign_intermediate"
SIGN_CSR = ACTION + "sign_csr"
SET_SIGNED = ACTION + "set_signed"
REVOKE_CA = ACTION + "revoke_ca_certificate"
ROTATE_CRL = ACTION + "rotate_crl"
ROTATE_INTERMEDIATE = ACTION + "rotate_intermediate"
ACTIONS = (SIGN_INTERMEDIATE, SIGN_CSR, SET_SIGNED, REVOKE_CA, ROTATE_CRL, ROTATE_INTERMEDIATE)

_ROOT = frozenset({ROOT_CA})
_INTERMEDIATE = frozenset({INTERMEDIATE_CA})
_TEMPLATE = frozenset({TEMPLATE})
_AUTHORITY = _ROOT | _INTERMEDIATE
_SIGNING = frozenset({SIGN_INTERMEDIATE, SIGN_CSR})


def _option(name: str, field: str, text: str, *, kind: Kind = Kind.TEXT, **more: object) -> Opt:
    """Return an option; the field's own name is a further spelling of it."""
    own = "--" + field.replace("_", "-")
    also: tuple[str, ...] = more.pop("also", ())  # type: ignore[assignment]  # the caller writes a tuple
    aliases = tuple(spelling for spelling in (own, *also) if spelling != name)
    return Opt(names=(name,), to=f"body.{field}", kind=kind, help=text, aliases=aliases, **more)  # type: ignore[arg-type]


def _list(name: str, field: str, text: str, types: frozenset[str], *also: str) -> Opt:
    return _option(name, field, text, kind=Kind.LIST, types=types, also=also)


def _switch(name: str, field: str, text: str, types: frozenset[str], *also: str) -> Opt:
    return _option(name, field, text, kind=Kind.BOOL, types=types, also=also)


def _subject(types: frozenset[str]) -> tuple[Opt, ...]:
    """Return the parts of a subject."""
    parts = (
        ("organizational-unit", "ou", "Organizational units of the subject."),
        ("organization", "organization", "Organizations of the subject."),
        ("country", "country", "Countries of the subject, two letters each."),
        ("locality", "locality", "Localities of the subject."),
        ("province", "province", "Provinces of the subject."),
        ("street-address", "street_address", "Street addresses of the subject."),
        ("postal-code", "postal_code", "Postal codes of the subject."),
    )
    lists = tuple(_list(f"--private-cert-subject-{word}", field, text, types) for word, field, text in parts)
    serial = _option(
        "--private-cert-serial-number",
        "serial_number",
        "Serial number in the subject, not that of the certificate.",
        types=types,
        also=("--private-cert-requested-serial-number",),
    )
    return (*lists, serial)


def _of(types: frozenset[str], *options: Opt) -> tuple[Opt, ...]:
    """Return options of secrets for other types."""
    return tuple(replace(option, types=types) for option in options)


def _below(types: frozenset[str]) -> tuple[Opt, ...]:
    """Return what restricts an authority and those below it."""
    return (
        Opt(
            names=("--private-cert-max-path-length",),
            to="body.max_path_length",
            kind=Kind.INT,
            low=-1,
            help="How many authorities may follow below it; -1 is any number.",
            types=types,
        ),
        _list(
            "--private-cert-permitted-dns-domains",
            "permitted_dns_domains",
            "Domains that certificates below it may name; others are forbidden by a name constraint.",
            types,
        ),
    )


_MAX_TTL = _option(
    "--private-cert-max-ttl",
    "max_ttl",
    "Longest life of what it issues, such as 8760h or 365d.",
    types=_AUTHORITY | _TEMPLATE,
)
_ADDRESSES = (
    _option("--private-cert-crl-expiry", "crl_expiry", "How long a revocation list is valid (72h).", types=_AUTHORITY),
    _switch("--private-cert-crl-disabled", "crl_disable", "Make no revocation list.", _AUTHORITY),
    _switch(
        "--private-cert-crl-distribution-points-encoded",
        "crl_distribution_points_encoded",
        "Put the address of the revocation list into certificates.",
        _AUTHORITY,
        "--private-cert-distribution-points-encoded",
    ),
    _switch(
        "--private-cert-issuing-certificate-urls-encoded",
        "issuing_certificates_urls_encoded",
        "Put the address of the CA certificate into certificates.",
        _AUTHORITY,
        "--private-cert-issuing-certificates-urls-encoded",
    ),
    _switch(
        "--private-cert-ocsp-urls-encoded",
        "ocsp_urls_encoded",
        "Put the address of the OCSP responder into certificates (addition).",
        _AUTHORITY,
    ),
)
_KEY = (
    _option(
        "--private-cert-private-key-type",
        "key_type",
        "Type of the key (rsa); ed25519 is an addition.",
        kind=Kind.CHOICE,
        choices=("rsa", "ec", "ed25519"),
        types=_AUTHORITY | _TEMPLATE,
        also=("--private-cert-key-type",),
    ),
    _option(
        "--private-cert-private-key-bits",
        "key_bits",
        "Its size: rsa 2048, 3072, 4096, 8192 (2048), ec 256, 384, 521 (256).",
        kind=Kind.INT,
        types=_AUTHORITY | _TEMPLATE,
        also=("--private-cert-key-bits",),
    ),
)
_TTL = _option("--private-cert-ttl", "ttl", "Life when none is asked for.", types=_ROOT | _TEMPLATE)

_AUTHORITY_ONLY = (
    Opt(
        names=("--private-cert-crypto-key",),
        to="body.crypto_key",
        kind=Kind.JSON,
        help="Key in a hardware security module, as JSON; see the page on PKCS#11.",
        types=_AUTHORITY,
    ),
    *_of(_AUTHORITY, *NAMES, *FORMATS, EXCLUDE_COMMON_NAME),
    *_below(_ROOT),
    Opt(
        names=("--private-cert-signing-method",),
        to="body.signing_method",
        kind=Kind.CHOICE,
        choices=("internal", "external"),
        help="Who signs the intermediate: a CA of this server, or somebody else.",
        types=_INTERMEDIATE,
    ),
    Opt(
        names=("--private-cert-issuer",),
        to="body.issuer",
        help="Name of the CA that signs it.",
        types=_INTERMEDIATE,
    ),
    Opt(
        names=("--private-cert-auto-sign",),
        to="body.auto_sign",
        kind=Kind.BOOL,
        help="Have the issuer sign it at once (addition).",
        types=_INTERMEDIATE,
    ),
)

_RULES = (
    _option(
        "--private-cert-allowed-secret-groups",
        "allowed_secret_groups",
        "Ids of the groups that may use it, separated by commas.",
        types=_TEMPLATE,
    ),
    _switch("--private-cert-allow-localhost", "allow_localhost", "Allow localhost (true).", _TEMPLATE),
    _list("--private-cert-allowed-domains", "allowed_domains", "Domains that names may belong to.", _TEMPLATE),
    _switch(
        "--private-cert-allowed-domains-template",
        "allowed_domains_template",
        "Fill in {{iam_id}}, {{name}}, {{email}} and {{secret_group_id}} in the domains.",
        _TEMPLATE,
    ),
    _switch("--private-cert-allow-bare-domains", "allow_bare_domains", "Allow the domains themselves.", _TEMPLATE),
    _switch("--private-cert-allow-subdomains", "allow_subdomains", "Allow names below the domains.", _TEMPLATE),
    _switch("--private-cert-allow-glob-domains", "allow_glob_domains", "Take * in the domains as a glob.", _TEMPLATE),
    _switch("--private-cert-allow-wildcard", "allow_wildcard_certificates", "Allow wildcard names (true).", _TEMPLATE),
    _switch("--private-cert-allow-any-name", "allow_any_name", "Allow every name.", _TEMPLATE),
    _switch("--private-cert-enforce-hostname", "enforce_hostnames", "Allow host names only (true).", _TEMPLATE),
    _switch("--private-cert-allow-ip-sans", "allow_ip_sans", "Allow IP addresses (true).", _TEMPLATE),
    _list("--private-cert-allowed-uri-sans", "allowed_uri_sans", "URIs that are allowed; * is a glob.", _TEMPLATE),
    _list(
        "--private-cert-allowed-other-sans",
        "allowed_other_sans",
        "Other names that are allowed, each as OID;UTF8:VALUE; * allows all.",
        _TEMPLATE,
    ),
    _switch("--private-cert-server-flag", "server_flag", "For servers (true).", _TEMPLATE),
    _switch("--private-cert-client-flag", "client_flag", "For clients (true).", _TEMPLATE),
    _switch("--private-cert-code-signing-flag", "code_signing_flag", "For signing programs.", _TEMPLATE),
    _switch("--private-cert-email-protection-flag", "email_protection_flag", "For e-mail.", _TEMPLATE),
    _list("--private-cert-key-usage", "key_usage", "Key usages, such as DigitalSignature.", _TEMPLATE),
    _list("--private-cert-ext-key-usage", "ext_key_usage", "Further extended key usages.", _TEMPLATE),
    _list("--private-cert-ext-key-usage-oids", "ext_key_usage_oids", "The same by object identifier.", _TEMPLATE),
    _switch(
        "--private-cert-use-csr-common-name",
        "use_csr_common_name",
        "With a CSR, take the common name from it (true).",
        _TEMPLATE,
    ),
    _switch(
        "--private-cert-use-cse-sans",
        "use_csr_sans",
        "With a CSR, take the alternative names from it (true).",
        _TEMPLATE,
        "--private-cert-use-csr-sans",
    ),
    _switch("--private-cert-require-cn", "require_cn", "A common name must be given (true).", _TEMPLATE),
    _list("--private-cert-policy-identifiers", "policy_identifiers", "Policies, by object identifier.", _TEMPLATE),
    _switch(
        "--private-cert-basic-constraints-valid-for-non-ca",
        "basic_constraints_valid_for_non_ca",
        "Write basic constraints into certificates.",
        _TEMPLATE,
    ),
    _option(
        "--private-cert-not-before-duration",
        "not_before_duration",
        "How far the start of validity is set back (30s).",
        types=_TEMPLATE,
    ),
    _option(
        "--private-cert-lint-level",
        "lint_level",
        "What the linter's findings do (addition): off, warn, error (warn).",
        kind=Kind.CHOICE,
        choices=("off", "warn", "error"),
        types=_TEMPLATE,
    ),
)

CREATE = (
    *_AUTHORITY_ONLY,
    Opt(
        names=("--private-cert-ca-name",),
        to="body.certificate_authority",
        help="Name of the CA that issues with this template.",
        types=_TEMPLATE,
    ),
    _MAX_TTL,
    _TTL,
    *_KEY,
    *_ADDRESSES,
    *_RULES,
    *_subject(frozenset(PRIVATE_TYPES)),
    *PUBLIC,
)
"""Fields of new configurations."""

UPDATE = (_MAX_TTL, *_ADDRESSES, replace(_TTL, types=_TEMPLATE), *_KEY, *_RULES, *_subject(_TEMPLATE), *PUBLIC)
"""Fields that can be changed."""

SIGN = (
    Opt(
        names=("--config-action-intermediate-certificate-authority",),
        to="body.intermediate_certificate_authority",
        help="Name of the intermediate to sign; --name is then the CA that signs.",
        types=frozenset({SIGN_INTERMEDIATE}),
    ),
    *_of(frozenset({SIGN_CSR}), CSR),
    *_of(_SIGNING, *NAMES, FORMATS[0], EXCLUDE_COMMON_NAME),
    Opt(names=("--private-cert-ttl",), to="body.ttl", help="Life of the certificate.", types=_SIGNING),
    *_below(_SIGNING),
    Opt(
        names=("--config-action-use-csr-values",),
        to="body.use_csr_values",
        kind=Kind.BOOL,
        help="Take subject and alternative names from the CSR.",
        types=_SIGNING,
    ),
    *_subject(_SIGNING),
    Opt(
        names=("--imported-cert-certificate",),
        to="body.certificate",
        kind=Kind.PEM,
        help="Certificate that was signed outside, perhaps with its chain, as PEM, @FILE or -.",
        types=frozenset({SET_SIGNED}),
    ),
)
"""Fields of actions."""

CONFIG_TYPE_HEADER = Opt(
    names=("--config-type",),
    to="header.X-Sm-Accept-Configuration-Type",
    aliases=("--x-sm-accept-configuration-type",),
    help="Type of the configuration, where several have the name.",
)
