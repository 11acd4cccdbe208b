"""Options of public CAs and DNS providers.

Those of the contract have the words of the original plug-in; those of our own types have the field's name behind
``--public-cert-``.
"""

from __future__ import annotations

from strongroom.cli.calls import Kind, Opt

LETS_ENCRYPT = "public_cert_configuration_ca_lets_encrypt"
ACME = "public_cert_configuration_ca_acme"
CLOUD_INTERNET_SERVICES = "public_cert_configuration_dns_cloud_internet_services"
CLASSIC_INFRASTRUCTURE = "public_cert_configuration_dns_classic_infrastructure"
_DNS = "public_cert_configuration_dns_"
RFC2136 = f"{_DNS}rfc2136"
CLOUDFLARE = f"{_DNS}cloudflare"
ROUTE53 = f"{_DNS}route53"
POWERDNS = f"{_DNS}powerdns"
AKAMAI = f"{_DNS}akamai"
EXEC = f"{_DNS}exec"
LEXICON = f"{_DNS}lexicon"
PUBLIC_TYPES = (
    LETS_ENCRYPT,
    ACME,
    CLOUD_INTERNET_SERVICES,
    CLASSIC_INFRASTRUCTURE,
    RFC2136,
    CLOUDFLARE,
    ROUTE53,
    POWERDNS,
    AKAMAI,
    EXEC,
    LEXICON,
)
TEST = "public_cert_configuration_action_test"


def _option(field: str, text: str, *types: str, kind: Kind = Kind.TEXT, choices: tuple[str, ...] = ()) -> Opt:
    """Return an option; the field's own name is a further spelling of it."""
    word = field.replace("_", "-")
    return Opt(
        names=(f"--public-cert-{word}",),
        to=f"body.{field}",
        kind=kind,
        help=text,
        choices=choices,
        types=frozenset(types),
        aliases=(f"--{word}",),
    )


def _secret(field: str, text: str, *types: str) -> Opt:
    """Return an option whose value can come from a file, so that it does not stand in the list of processes."""
    return _option(field, f"{text}; TEXT, @FILE or -.", *types, kind=Kind.CREDENTIAL)


PUBLIC = (
    _option(
        "lets_encrypt_environment",
        "Which Let's Encrypt: production, or staging for tests. Updates must say it, too.",
        LETS_ENCRYPT,
        kind=Kind.CHOICE,
        choices=("production", "staging"),
    ),
    _option(
        "lets_encrypt_private_key",
        "Key of your ACME account, PEM text, @FILE or -; without it an account is registered.",
        LETS_ENCRYPT,
        kind=Kind.PEM,
    ),
    _option("lets_encrypt_preferred_chain", "Common name of the wanted top issuer.", LETS_ENCRYPT),
    _option("acme_directory_url", "Address of the CA's ACME directory.", ACME),
    _option(
        "acme_account_private_key",
        "Key of your ACME account, PEM text, @FILE or -; without it an account is registered.",
        ACME,
        kind=Kind.PEM,
    ),
    _option("acme_eab_key_id", "Key id of an external account binding, where the CA wants one.", ACME),
    _secret("acme_eab_hmac_key", "Its key, base64url", ACME),
    _option(
        "acme_root_bundle",
        "Certificates to trust for the CA's own HTTPS, PEM text, @FILE or -.",
        ACME,
        kind=Kind.PEM,
    ),
    _option("acme_profile", "Profile to order by, one of the CA's.", ACME),
    _option("acme_preferred_chain", "Common name of the wanted top issuer.", ACME),
    _option("acme_contact", "E-mail addresses for notices of the CA, joined by commas.", ACME),
    _option("ca_fallback", "Another configuration of a CA, for when this CA fails.", LETS_ENCRYPT, ACME),
    _secret("cloud_internet_services_apikey", "API key of Cloud Internet Services", CLOUD_INTERNET_SERVICES),
    _option("cloud_internet_services_crn", "CRN of the instance with the zones.", CLOUD_INTERNET_SERVICES),
    _option("classic_infrastructure_username", "User name of the classic infrastructure.", CLASSIC_INFRASTRUCTURE),
    _secret("classic_infrastructure_password", "API key of that user", CLASSIC_INFRASTRUCTURE),
    _option("rfc2136_server", "Name server that takes updates.", RFC2136),
    _option("rfc2136_port", "Its port (53).", RFC2136, kind=Kind.INT),
    _option("rfc2136_tsig_key_name", "Name of the TSIG key.", RFC2136),
    _option("rfc2136_tsig_algorithm", "Its algorithm (hmac-sha256).", RFC2136),
    _secret("rfc2136_tsig_secret", "Its secret, base64", RFC2136),
    _option("rfc2136_zone", "Zone to update; without it the server is asked.", RFC2136),
    _secret("cloudflare_api_token", "API token of Cloudflare", CLOUDFLARE),
    _option("cloudflare_zone_id", "Id of the only zone to use.", CLOUDFLARE),
    _option("route53_access_key_id", "Access key id of Amazon Route 53.", ROUTE53),
    _secret("route53_secret_access_key", "Secret access key", ROUTE53),
    _option("route53_hosted_zone_id", "Id of the only hosted zone to use.", ROUTE53),
    _option("route53_region", "Region to sign for.", ROUTE53),
    _option("powerdns_url", "Address of the PowerDNS API.", POWERDNS),
    _secret("powerdns_api_key", "Its API key", POWERDNS),
    _option("powerdns_server_id", "Id of the server (localhost).", POWERDNS),
    _option("akamai_host", "API host of Akamai Edge DNS.", AKAMAI),
    _secret("akamai_client_token", "Client token", AKAMAI),
    _secret("akamai_client_secret", "Client secret", AKAMAI),
    _secret("akamai_access_token", "Access token", AKAMAI),
    _option("exec_program", "Absolute path of a program on the server; its settings must allow that.", EXEC),
    _option("lexicon_provider", "Provider of the dns-lexicon library.", LEXICON),
    _option("lexicon_options", "Its options, as JSON.", LEXICON, kind=Kind.JSON),
)
"""Fields of new configurations, all of which can be changed."""
