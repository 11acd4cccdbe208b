"""Decide which server is talked to, and as whom."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.profile import DEFAULT_PROFILE, Environment, Profile, Profiles, load_profiles
from strongroom.kernel.errors import ErrorCode
from strongroom.kernel.secret import Secret

DEFAULT_REGION = "us-south"
TOKEN_PATH = "/identity/token"  # noqa: S105 -- a path, not a password
_REMNANTS = re.compile(r"(?:/+(?:api(?:/v[12])?|ui))?/*$")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

NO_TARGET_HINT = (
    "Run strongroom login --url URL, or give --service-url URL, or --instance-id ID with --region REGION, "
    "or set STRONGROOM_URL or SECRETS_MANAGER_URL."
)
NO_CREDENTIAL_HINT = "Run strongroom login --url URL --apikey-file FILE, or set STRONGROOM_APIKEY or STRONGROOM_TOKEN."


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of the command line that choose a server; absent ones are ``None``."""

    service_url: str | None = None
    instance_id: str | None = None
    region: str | None = None
    profile: str | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server and a way to prove who is asking.

    Attributes:
        url: base address without ``/api`` or a last slash.
        token_url: where an API key is exchanged.
        token: access token; wins over ``apikey``.
        apikey: API key.
        anonymous: send no credential at all.
        ca_file: PEM file to trust besides the system's anchors.
        insecure: do not verify the server's certificate.
    """

    url: str
    token_url: str
    token: Secret[str] | None = None
    apikey: Secret[str] | None = None
    anonymous: bool = False
    ca_file: Path | None = None
    insecure: bool = False


def base_url(text: str, *, option: str) -> str:
    """Return a server address in the one form that paths can be appended to.

    Older pages had people paste addresses that end in ``/api``, ``/api/v1`` or ``/ui``; these endings are dropped.

    Raises:
        CommandError: it is no http or https address, or it carries a user name, query or fragment.
    """
    text = text.strip()
    if not re.fullmatch(r"[!-~]+", text):
        raise CommandError("The address contains blanks or unusual characters.", exit_code=Exit.USAGE, field=option)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise CommandError(f"{text} is no valid address.", exit_code=Exit.USAGE, field=option) from error
    if parts.scheme not in {"http", "https"} or not host:
        detail = f"{text} is no server address: it must look like https://127.0.0.1:8443."
        raise CommandError(detail, exit_code=Exit.USAGE, field=option)
    if parts.username is not None or parts.query or parts.fragment:
        detail = "The server address must not contain a user name, query or fragment."
        raise CommandError(detail, exit_code=Exit.USAGE, field=option)
    return f"{parts.scheme}://{parts.netloc}{_REMNANTS.sub('', parts.path)}"


def is_clear_text_abroad(url: str) -> bool:
    """Tell whether this address sends credentials unencrypted to another machine."""
    parts: SplitResult = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def resolve_target(flags: Flags, environment: Environment) -> Target:
    """Return the target; flags win over the environment, and that over the profile.

    The API key of a profile goes only to the server of that profile: naming another address on the command line
    must not carry the key there.

    Raises:
        CommandError: no server is known, or no credential for it.
    """
    profiles = load_profiles(environment.profiles_file)
    profile = _profile(flags, environment, profiles)
    url = _url(flags, environment, profile)
    auth_url = base_url(environment.auth_url, option="SECRETS_MANAGER_AUTH_URL") if environment.auth_url else url
    token_url = auth_url if auth_url.endswith(TOKEN_PATH) else auth_url + TOKEN_PATH
    own = profile if profile is not None and base_url(profile.url, option="url") == url else None
    ca_file = flags.ca_file or environment.ca_file or (own.ca_file if own else None)
    token, apikey = environment.token, environment.apikey
    if flags.profile and own and own.apikey:
        token, apikey = None, own.apikey
    elif token is None and apikey is None and own:
        apikey = own.apikey
        token_url = url + TOKEN_PATH if apikey else token_url
    kind = (environment.auth_type or "").lower()
    if kind == "noauth":
        token = apikey = None
    elif kind == "bearertoken":
        apikey = None
    elif kind == "iam":
        token = None
    if kind != "noauth" and token is None and apikey is None:
        detail = f"You are not logged in to {url}."
        raise CommandError(detail, exit_code=Exit.NOT_ALLOWED, code=ErrorCode.TOKEN_MISSING, hint=NO_CREDENTIAL_HINT)
    return Target(
        url=url,
        token_url=token_url,
        token=token,
        apikey=apikey,
        anonymous=kind == "noauth",
        ca_file=ca_file,
        insecure=environment.insecure,
    )


def _profile(flags: Flags, environment: Environment, profiles: Profiles) -> Profile | None:
    named = flags.profile or environment.profile
    found = profiles.profiles.get(named or profiles.current)
    if named and found is None:
        known = ", ".join(sorted(profiles.profiles)) or "none"
        detail = f"There is no profile {named}; known profiles: {known}."
        hint = f"Create it with strongroom login --profile {named or DEFAULT_PROFILE} --url URL."
        raise CommandError(detail, exit_code=Exit.USAGE, field="--profile", hint=hint)
    return found


def _url(flags: Flags, environment: Environment, profile: Profile | None) -> str:
    if flags.service_url:
        return base_url(flags.service_url, option="--service-url")
    if flags.instance_id:
        region = flags.region or DEFAULT_REGION
        for option, label in (("--instance-id", flags.instance_id), ("--region", region)):
            if not _LABEL.fullmatch(label):
                detail = f"{option} must be one DNS label: letters, digits and hyphens."
                raise CommandError(detail, exit_code=Exit.USAGE, field=option)
        return f"https://{flags.instance_id}.{region}.secrets-manager.appdomain.cloud"
    if flags.profile and profile:
        return base_url(profile.url, option="--profile")
    if environment.url:
        return base_url(environment.url, option="STRONGROOM_URL")
    if profile:
        return base_url(profile.url, option="--profile")
    detail = "No server is known."
    raise CommandError(detail, exit_code=Exit.USAGE, field="--service-url", hint=NO_TARGET_HINT)
