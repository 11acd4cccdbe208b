"""What a user told us outside the command line: environment variables and stored profiles.

The only module of the command line that reads the environment. A profile is a server with the API key for it,
kept in one TOML file of mode 0600 in a directory of mode 0700.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.files import ensure_private_directory, read_text, write_file
from strongroom.kernel.secret import Secret

DEFAULT_PROFILE = "default"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_COLOURLESS = frozenset({"dumb", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The environment variables that commands honour; empty ones count as absent.

    Attributes:
        url: address of the server.
        token: access token, used as it is.
        apikey: API key, exchanged for a token.
        auth_url: where API keys are exchanged, when not at the server itself.
        auth_type: ``iam``, ``bearerToken`` or ``noAuth``.
        insecure: do not verify the server's certificate.
        ca_file: PEM file to trust besides the system's anchors.
        profile: name of the profile to use.
        profiles_file: where the profiles are kept.
        backup_passphrase: passphrase of ``backup`` and ``restore``.
        colour: colours are wanted as far as the environment says.
    """

    url: str | None
    token: Secret[str] | None
    apikey: Secret[str] | None
    auth_url: str | None
    auth_type: str | None
    insecure: bool
    ca_file: Path | None
    profile: str | None
    profiles_file: Path
    backup_passphrase: Secret[str] | None
    colour: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A server and how to talk to it."""

    name: str
    url: str
    apikey: Secret[str] | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """All stored profiles, and the one used when none is named."""

    current: str
    profiles: Mapping[str, Profile]


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Return the settings that the environment carries."""
    given = os.environ if variables is None else variables

    def first(*names: str) -> str | None:
        return next((text for name in names if (text := given.get(name, "").strip())), None)

    def hidden(*names: str) -> Secret[str] | None:
        text = first(*names)
        return None if text is None else Secret(text)

    ca_file = first("STRONGROOM_CA_FILE")
    return Environment(
        url=first("SECRETS_MANAGER_URL", "STRONGROOM_URL", "IBM_CLOUD_SECRETS_MANAGER_API_URL"),
        token=hidden("SECRETS_MANAGER_BEARER_TOKEN", "STRONGROOM_TOKEN"),
        apikey=hidden("STRONGROOM_APIKEY", "STRONGROOM_API_KEY", "SECRETS_MANAGER_APIKEY", "IBMCLOUD_API_KEY"),
        auth_url=first("SECRETS_MANAGER_AUTH_URL"),
        auth_type=first("SECRETS_MANAGER_AUTH_TYPE"),
        insecure=(first("SECRETS_MANAGER_DISABLE_SSL") or "").lower() in _TRUE,
        ca_file=Path(ca_file) if ca_file else None,
        profile=first("STRONGROOM_PROFILE"),
        profiles_file=_profiles_file(given),
        # Not stripped: a passphrase is taken as it is.
        backup_passphrase=Secret(text) if (text := given.get("STRONGROOM_BACKUP_PASSPHRASE")) else None,
        colour=not given.get("NO_COLOR") and given.get("CLICOLOR") != "0" and given.get("TERM", "") not in _COLOURLESS,
    )


def _profiles_file(given: Mapping[str, str]) -> Path:
    if given.get("STRONGROOM_CONFIG"):
        return Path(given["STRONGROOM_CONFIG"])
    if given.get("STRONGROOM_CONFIG_DIR"):
        return Path(given["STRONGROOM_CONFIG_DIR"]) / "profiles.toml"
    base = given.get("XDG_CONFIG_HOME") or str(Path(given.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "strongroom" / "profiles.toml"


def load_profiles(path: Path) -> Profiles:
    """Read the stored profiles; a missing file is an empty one.

    Raises:
        CommandError: the file cannot be read or is no file of this form.
    """
    if not path.exists():
        return Profiles(current=DEFAULT_PROFILE, profiles={})
    try:
        stored = tomllib.loads(read_text(path, option="--profile"))
    except tomllib.TOMLDecodeError as error:
        detail = f"The profile file {path} is not valid TOML: {error}."
        raise CommandError(detail, exit_code=Exit.USAGE, hint="Correct it, or remove it and log in again.") from error
    tables = stored.get("profiles", {})
    found: dict[str, Profile] = {}
    for name, table in tables.items() if isinstance(tables, dict) else ():
        url = table.get("url") if isinstance(table, dict) else None
        if not isinstance(url, str):
            detail = f"Profile {name} in {path} has no url."
            raise CommandError(detail, exit_code=Exit.USAGE, hint="Run strongroom login again.")
        apikey, ca_file = table.get("apikey"), table.get("ca_file")
        found[name] = Profile(
            name=name,
            url=url,
            apikey=Secret(str(apikey)) if apikey else None,
            ca_file=Path(str(ca_file)) if ca_file else None,
        )
    return Profiles(current=str(stored.get("current", DEFAULT_PROFILE)), profiles=found)


def readable_by_others(path: Path) -> bool:
    """Tell whether another user of this machine may read the profile file."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def check_name(name: str) -> str:
    """Return a profile name that is fit for the file.

    Raises:
        CommandError: other characters than letters, digits, ``-`` and ``_``, or more than 64.
    """
    if not _NAME.fullmatch(name):
        detail = "A profile name has 1 to 64 letters, digits, hyphens or underscores."
        raise CommandError(detail, exit_code=Exit.USAGE, field="--profile")
    return name


def save_profile(path: Path, profile: Profile) -> None:
    """Store a profile under its name and make it the current one.

    Raises:
        CommandError: the file cannot be written.
    """
    profiles = dict(load_profiles(path).profiles) | {check_name(profile.name): profile}
    lines = [f"current = {_quote(profile.name)}"]
    for name, one in sorted(profiles.items()):
        lines += ["", f"[profiles.{_quote(name)}]", f"url = {_quote(one.url)}"]
        if one.apikey:
            lines.append(f"apikey = {_quote(one.apikey.reveal())}")
        if one.ca_file:
            lines.append(f"ca_file = {_quote(str(one.ca_file))}")
    ensure_private_directory(path.parent)
    write_file(path, "\n".join(lines) + "\n", overwrite=True)


def _quote(text: str) -> str:
    # A JSON string is a TOML basic string, apart from DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
