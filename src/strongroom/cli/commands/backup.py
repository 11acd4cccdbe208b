"""Commands that copy a whole server to a file, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from strongroom.cli.command import command
from strongroom.cli.commands.server import data_dir_option, database_option, given
from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.files import refuse_target
from strongroom.cli.registry import summary_of
from strongroom.cli.session import Session
from strongroom.cli.values import read_secret_line
from strongroom.kernel.secret import Secret

_passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    help="File that holds the passphrase of the backup, or -; else STRONGROOM_BACKUP_PASSPHRASE, else a prompt.",
)


@command(
    name="backup",
    summary=summary_of("backup"),
    details="The file is encrypted under its own passphrase. The master key is in it only with --include-master-key; "
    "without it, a restored server needs the same master key file.",
    example="strongroom backup --data-dir ./data --out strongroom.backup --passphrase-file passphrase.txt",
    online=False,
)
@data_dir_option
@database_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="File to write."
)
@click.option("--include-master-key", is_flag=True, help="Put the master key into the backup too.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing file.")
@_passphrase_option
@click.pass_obj
def backup(
    session: Session,
    *,
    data_dir: Path | None,
    database_url: str | None,
    out: Path,
    include_master_key: bool,
    force: bool,
    passphrase_file: str | None,
) -> None:
    """Ask for the passphrase and write the copy."""
    from strongroom.runtime.backup import create_backup
    from strongroom.runtime.settings import load_settings

    refuse_target(out, overwrite=force)
    passphrase = _passphrase(session, passphrase_file, confirm=True)
    settings = load_settings(given(data_dir=data_dir, database_url=database_url))
    report = create_backup(settings, out, passphrase.reveal(), include_master_key)
    session.emit({"file": str(out), "records": report.records, "bytes": report.bytes})


@command(
    name="restore",
    summary=summary_of("restore"),
    details="A server that already holds data is left alone and the command fails.",
    example="strongroom restore strongroom.backup --data-dir ./data --passphrase-file passphrase.txt",
    online=False,
)
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
@data_dir_option
@database_option
@_passphrase_option
@click.pass_obj
def restore(
    session: Session, *, source: Path, data_dir: Path | None, database_url: str | None, passphrase_file: str | None
) -> None:
    """Ask for the passphrase and read the copy in."""
    from strongroom.runtime.backup import restore_backup
    from strongroom.runtime.settings import load_settings

    if not source.is_file():
        detail = f"There is no backup file {source}."
        raise CommandError(detail, exit_code=Exit.USAGE, field="FILE")
    passphrase = _passphrase(session, passphrase_file, confirm=False)
    settings = load_settings(given(data_dir=data_dir, database_url=database_url))
    report = restore_backup(settings, source, passphrase.reveal())
    session.emit({"file": str(source), "records": report.records})


def _passphrase(session: Session, file: str | None, *, confirm: bool) -> Secret[str]:
    if file == "-":
        text = session.take_stdin("--passphrase-file").strip("\r\n")
    elif file:
        text = read_secret_line(Path(file).expanduser(), option="--passphrase-file")
    elif session.environment.backup_passphrase is not None:
        text = session.environment.backup_passphrase.reveal()
    elif sys.stdin.isatty():
        text = click.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=confirm, err=True)
    else:
        text = ""
    if not text:
        detail = "A passphrase is needed."
        hint = "Give --passphrase-file FILE, or set STRONGROOM_BACKUP_PASSPHRASE."
        raise CommandError(detail, exit_code=Exit.USAGE, field="--passphrase-file", hint=hint)
    return Secret(text)


COMMANDS = {"backup": backup, "restore": restore}
