"""The login command."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from strongroom.cli.client import Client
from strongroom.cli.command import command
from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.profile import DEFAULT_PROFILE, Profile, check_name, save_profile
from strongroom.cli.registry import summary_of
from strongroom.cli.session import Session
from strongroom.cli.target import TOKEN_PATH, Target, base_url, is_clear_text_abroad
from strongroom.cli.values import read_secret_line
from strongroom.kernel.secret import Secret


@command(
    name="login",
    summary=summary_of("login"),
    details="The key comes from --apikey-file, from STRONGROOM_APIKEY, or from a prompt. The profile is kept in a "
    "file that only you can read; the other commands use it from then on.",
    example="strongroom login --url https://127.0.0.1:8443 --apikey-file data/admin-apikey --ca-file data/tls/ca.pem",
)
@click.option("--url", metavar="URL", help="Address of the server.")
@click.option("--apikey", "--api-key", metavar="KEY", help="API key; --apikey-file does not show it to other users.")
@click.option("--apikey-file", "--api-key-file", metavar="FILE", help="File that holds the API key, or -.")
@click.pass_obj
def login(session: Session, *, url: str | None, apikey: str | None, apikey_file: str | None) -> None:
    """Exchange the key for a token, then store server and key."""
    flags, environment = session.flags, session.environment
    address = url or flags.service_url or environment.url
    if not address:
        raise click.UsageError("Missing --url.")
    name = check_name(flags.profile or environment.profile or DEFAULT_PROFILE)
    base = base_url(address, option="--url")
    ca_file = flags.ca_file or environment.ca_file
    target = Target(
        url=base,
        token_url=base + TOKEN_PATH,
        apikey=_key(session, apikey, apikey_file),
        ca_file=ca_file,
        insecure=environment.insecure,
    )
    if is_clear_text_abroad(base):
        session.note(f"{base} is not encrypted: the API key can be read on the way.")
    client = Client(target)
    try:
        client.login()
    finally:
        client.close()
    profile = Profile(name=name, url=base, apikey=target.apikey)
    if ca_file is not None:
        # Later commands run in other directories.
        profile = replace(profile, ca_file=ca_file.expanduser().absolute())
    save_profile(environment.profiles_file, profile)
    session.note(f"Logged in to {base}; profile {name} is in {environment.profiles_file}.")


def _key(session: Session, apikey: str | None, apikey_file: str | None) -> Secret[str]:
    if apikey and apikey_file:
        raise click.UsageError("Give --apikey or --apikey-file, not both.")
    if apikey:
        session.note("A key on the command line is visible to other users of this machine; --apikey-file is not.")
        return Secret(apikey.strip())
    if apikey_file:
        if apikey_file == "-":
            return _checked(session.take_stdin("--apikey-file"))
        return _checked(read_secret_line(Path(apikey_file).expanduser(), option="--apikey-file"))
    if session.environment.apikey is not None:
        return session.environment.apikey
    if sys.stdin.isatty():
        return _checked(click.prompt("API key", hide_input=True, err=True))
    raise click.UsageError("Missing --apikey-file.")


def _checked(text: str) -> Secret[str]:
    key = text.strip()
    if not key or not key.isprintable() or " " in key:
        detail = "That is no API key: one line without blanks is needed."
        raise CommandError(detail, exit_code=Exit.USAGE, field="--apikey-file")
    return Secret(key)


COMMANDS = {"login": login}
