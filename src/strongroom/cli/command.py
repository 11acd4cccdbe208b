"""The click classes of this program: a command that tidies its words, and a group that loads commands when needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.registry import REGISTRY, SECTIONS, Entry
from strongroom.cli.session import Session
from strongroom.cli.words import Shape, tidy

HELP_NAMES = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
FORMATS = ("table", "json", "yaml")


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    # Unset options must not wipe out what was given before the command word.
    if value not in (None, False) and param.name:
        session: Session = ctx.find_root().obj
        session.remember(param.name, value)


def output_options() -> list[click.Option]:
    """Return the global options that every command has."""
    shared: dict[str, Any] = {"expose_value": False, "is_eager": True, "callback": _remember}
    return [
        click.Option(["-o", "--output"], type=click.Choice(FORMATS), help="Form of the result (table).", **shared),
        click.Option(["-q", "--quiet"], is_flag=True, help="Print results and errors only.", **shared),
    ]


def client_options() -> list[click.Option]:
    """Return the global options of commands that talk to a server."""
    shared: dict[str, Any] = {"expose_value": False, "is_eager": True, "callback": _remember}
    return [
        click.Option(["-j", "--jmes-query"], help="JMESPath query over the result.", metavar="QUERY", **shared),
        click.Option(["--service-url"], help="Address of the server.", metavar="URL", **shared),
        click.Option(
            ["--instance-id"], help="Instance to build the address from, with --region.", metavar="ID", **shared
        ),
        click.Option(["--region"], help="Region part of that address (us-south).", **shared),
        click.Option(["--profile"], help="Stored profile to use.", metavar="NAME", **shared),
        click.Option(["--ca-file"], help="PEM file of CAs to trust besides the system's.", metavar="FILE", **shared),
    ]


class BooleanValue(click.types.BoolParamType):
    """True or false, standing alone or as a value; the word tidying attaches the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerated:
    """What a command takes besides what its help shows, because scripts have it.

    Attributes:
        renamed: other spellings of options, each with the one that is shown.
        lone: option that a single word without one belongs to.
        lone_body: option that such a word belongs to if it is a JSON object.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    lone: str = ""
    lone_body: str = ""


def shape_of(params: Sequence[click.Parameter], tolerated: Tolerated = Tolerated()) -> Shape:
    """Return how the options among these parameters take their values."""
    valued, flags, booleans, pem, durations = set[str](), {"-h", "--help"}, set[str](), set[str](), set[str]()
    for param in params:
        if not isinstance(param, click.Option):
            continue
        names = {*param.opts, *param.secondary_opts}
        if param.is_flag:
            flags |= names
        elif isinstance(param.type, BooleanValue):
            booleans |= names
        elif param.type.name == "PEM":
            pem |= names
        elif param.type.name == "DURATION":
            durations |= names
        else:
            valued |= names
    return Shape(
        valued=frozenset(valued),
        flags=frozenset(flags),
        booleans=frozenset(booleans),
        pem=frozenset(pem),
        durations=frozenset(durations),
        renamed=tolerated.renamed,
        lone=tolerated.lone,
        lone_body=tolerated.lone_body,
    )


class StrongroomCommand(click.Command):
    """A command with the global options and an example.

    Args:
        example: command lines that work, printed at the end of the help.
        online: it talks to a server and takes the options for that.
        tolerated: words that it takes without showing them.
    """

    def __init__(
        self, *args: Any, example: str, online: bool = True, tolerated: Tolerated | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("context_settings", HELP_NAMES)
        super().__init__(*args, **kwargs)
        self.example = example
        self.tolerated = tolerated or Tolerated()
        self.shared = [*output_options(), *(client_options() if online else [])]
        self.params = [*self.params, *self.shared]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words after tidying them.

        Raises:
            click.UsageError: words are left over; they are not repeated, they may be part of a secret.
        """
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, tidy(args, shape_of(self.get_params(ctx), self.tolerated)))
        if rest and not ctx.resilient_parsing:
            amount = "One word belongs" if len(rest) == 1 else f"{len(rest)} words belong"
            message = f"{amount} to no option. Quote values that contain blanks."
            raise click.UsageError(message, ctx)
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, the global ones under their own heading."""
        own = [r for p in self.get_params(ctx) if p not in self.shared and (r := p.get_help_record(ctx))]
        shared = [r for p in self.shared if (r := p.get_help_record(ctx))]
        for heading, records in (("Options", own), ("Global options", shared)):
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is, never wrapped."""
        formatter.write_paragraph()
        formatter.write("Example:\n" + "".join(f"  {line}\n" for line in self.example.splitlines()))


def command(*, name: str, summary: str, example: str, online: bool = True, details: str = "") -> Callable[..., Any]:
    """Return a decorator that makes a `StrongroomCommand` of a function.

    Args:
        name: the command word.
        summary: first line of its help.
        example: command lines for the end of the help.
        online: it talks to a server.
        details: further paragraphs of the help.
    """
    text = summary + (f"\n\n{details}" if details else "")
    return click.command(name, cls=StrongroomCommand, help=text, short_help=summary, example=example, online=online)


class TopicGroup(click.Group):
    """A command word with commands below it, such as ``audit verify``; takes the global options too."""

    def __init__(self, name: str, summary: str, *commands: click.Command) -> None:
        super().__init__(
            name,
            commands=list(commands),
            help=summary,
            short_help=summary,
            context_settings=HELP_NAMES,
            params=[*output_options(), *client_options()],
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the global options before the command word."""
        return super().parse_args(ctx, tidy(args, shape_of(self.get_params(ctx)), until_command=True))


class LazyGroup(click.Group):
    """The root: knows every command by name and imports the one that runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *output_options(), *client_options()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the global options before the command word."""
        return super().parse_args(ctx, tidy(args, shape_of(self.get_params(ctx)), until_command=True))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command word that is no alias."""
        return [word for word, entry in REGISTRY.items() if not entry.hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        word = cmd_name if cmd_name in REGISTRY else cmd_name.replace("_", "-")
        entry = REGISTRY.get(word)
        return None if entry is None else load(word, entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant.

        Raises:
            CommandError: there is no such command.
        """
        word = args[0]
        found = self.get_command(ctx, word)
        if found is None:
            import difflib

            close = difflib.get_close_matches(word, self.list_commands(ctx), n=3)
            hint = f"Did you mean {' or '.join(close)}?" if close else "strongroom --help lists the commands."
            raise CommandError(f"There is no command {word}.", exit_code=Exit.USAGE, hint=hint)
        return found.name, found, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by topic, from the registry alone."""
        for section in SECTIONS:
            rows = [(w, e.summary) for w, e in REGISTRY.items() if e.section == section and not e.hidden]
            with formatter.section(section):
                formatter.write_dl(rows)


def load(word: str, entry: Entry) -> click.Command:
    """Import a command's module and return the command."""
    module = importlib.import_module(entry.module_path)
    found = getattr(module, entry.attribute) if entry.attribute else module.COMMANDS[word]
    if not isinstance(found, click.Command):
        message = f"{entry.module_path} has no command {word}"
        raise TypeError(message)
    return found
