"""Entry point of ``strongroom``.

Imports click and the registry of commands only: ``--help`` has to be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from strongroom import __version__
from strongroom.cli.command import FORMATS, HELP_NAMES, LazyGroup
from strongroom.cli.errors import CommandError, Exit, exit_code_of
from strongroom.cli.session import Session
from strongroom.cli.words import drop_prefix
from strongroom.kernel.errors import ErrorCode, StrongroomError

COMPATIBLE_WITH = "2.0.16"
"""Version of the reference plug-in whose commands are understood."""


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001 -- click's signature
    if value:
        click.echo(f"strongroom {__version__} (secrets-manager plug-in {COMPATIBLE_WITH})")
        ctx.exit()


@click.group(
    "strongroom",
    cls=LazyGroup,
    context_settings=HELP_NAMES,
    help="Manage TLS certificates and the secrets beside them.\n\n"
    "Scripts for the original plug-in work too: the words ibmcloud secrets-manager before a command are ignored.",
    epilog="strongroom COMMAND --help shows a command's options and an example.",
)
@click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """Hold the global options; the commands do the work."""


@cli.command("help", hidden=True)
@click.argument("words", nargs=-1)
@click.pass_context
def show_help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Print the help of a command."""
    root = ctx.find_root()
    found: click.Command = root.command
    names: list[str] = []
    for word in words:
        inner = found.get_command(root, word) if isinstance(found, click.Group) else None
        if inner is None:
            detail = f"There is no command {' '.join(words)}."
            raise CommandError(detail, exit_code=Exit.USAGE, hint="strongroom --help lists the commands.")
        found = inner
        names.append(found.name or word)
    with click.Context(found, info_name=" ".join(names) or None, parent=root if words else None) as inner_ctx:
        click.echo(found.get_help(inner_ctx if words else root))


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised."""
    args = drop_prefix(words) or ["--help"]
    session = Session()
    # An error in the options comes before --output was read, and must still have the form that was asked for.
    session.remember("output", _wanted_output(args))
    try:
        _refuse_broken_text(args)
        result = cli.main(args=args, prog_name="strongroom", standalone_mode=False, obj=session)
        return int(result) if isinstance(result, int) else int(Exit.DONE)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return Exit.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.UsageError as error:
        session.complain(_usage(error))
        return Exit.USAGE
    except click.ClickException as error:
        session.complain(CommandError(error.format_message(), exit_code=Exit.REFUSED))
        return Exit.REFUSED
    except StrongroomError as error:
        session.complain(error)
        return exit_code_of(error)
    except SystemExit as stop:
        # click ends this way when the reader of our output went away (`| head`).
        return stop.code if isinstance(stop.code, int) else Exit.REFUSED
    finally:
        session.close()


def _refuse_broken_text(args: Sequence[str]) -> None:
    """Refuse words that are no UTF-8; Python hands their bytes over as lone surrogates."""
    for index, word in enumerate(args, start=1):
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            detail = f"Word {index} of the command line is not text in UTF-8."
            raise CommandError(detail, exit_code=Exit.USAGE)


def _usage(error: click.UsageError) -> CommandError:
    path = error.ctx.command_path if error.ctx else "strongroom"
    option = None
    if isinstance(error, click.BadParameter) and error.param is not None and error.param.opts:
        option = error.param.opts[0]
    missing = isinstance(error, click.MissingParameter)
    return CommandError(
        error.format_message(),
        code=ErrorCode.MISSING_FIELD if missing else ErrorCode.INVALID_FIELD,
        exit_code=Exit.USAGE,
        field=option,
        hint=f"{path} --help shows the options.",
    )


def _wanted_output(args: Sequence[str]) -> str:
    """Return the last valid ``--output`` without reading the line properly."""
    wanted = FORMATS[0]
    for index, word in enumerate(args):
        name, given, value = word.partition("=")
        if name in {"--output", "-o"}:
            text = value if given else (args[index + 1] if index + 1 < len(args) else "")
            wanted = text if text in FORMATS else wanted
    return wanted


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
