"""Pages of the reference that are written from the program itself: commands and roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from strongroom.cli import errors
from strongroom.cli.command import StrongroomCommand, load
from strongroom.cli.main import cli
from strongroom.cli.registry import REGISTRY, SECTIONS
from strongroom.domain.access.actions import GROUP_ACTIONS, PLATFORM_ROLES, ROLE_ACTIONS, Action, Role

_NOTE = "`make fix` renews this page."


def cli_reference() -> str:
    """Return ``docs/reference/cli.md``: every command with its options and an example."""
    lines = [
        "# Commands",
        "",
        _NOTE,
        "",
        "Values that are PEM or JSON may be `@FILE`, or `-` for standard input. A failed command prints FAILED, the",
        "reason and the trace id to standard error; with `--output json` the error as the server sent it.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *_exit_codes(),
        "",
        "## Global options",
        "",
        *_options(cli.params),
    ]
    for section in SECTIONS:
        lines += ["", f"## {section}"]
        for word, entry in REGISTRY.items():
            if entry.section == section and not entry.hidden:
                lines += _command(word, load(word, entry))
    return "\n".join(lines) + "\n"


def roles_reference() -> str:
    """Return ``docs/reference/roles.md``: which role gives which action."""
    lines = [
        "# Roles and actions",
        "",
        f"{_NOTE} The [guide](../guide/roles.md) shows how roles are given.",
        "",
        "An action marked * can also be given on one secret group; the others need the role on the instance. The audit",
        "trail shows actions with `secrets-manager.` before them. Viewer opens the console and gives no action of the",
        "API. API keys of one's own identity need no role.",
    ]
    for title, is_platform in (("Service roles", False), ("Platform roles", True)):
        roles = [role for role in Role if ROLE_ACTIONS[role] and (role in PLATFORM_ROLES) is is_platform]
        lines += ["", f"## {title}", "", f"| action | {' | '.join(roles)} |", "|---" * (len(roles) + 1) + "|"]
        for action in Action:
            marks = ["yes" if action in ROLE_ACTIONS[role] else "" for role in roles]
            if any(marks):
                star = " *" if action in GROUP_ACTIONS else ""
                lines.append(f"| `{action.value}`{star} | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def _exit_codes() -> Iterator[str]:
    """Yield the rows of the table that the module itself is documented with."""
    for row in (errors.__doc__ or "").splitlines():
        code, _, meaning = row.partition("  ")
        if code.isdigit():
            yield f"| {code} | {meaning.strip()} |"


def _command(word: str, found: click.Command) -> Iterator[str]:
    if isinstance(found, click.Group):
        for name, inner in found.commands.items():
            yield from _command(f"{word} {name}", inner)
        return
    if not isinstance(found, StrongroomCommand):
        message = f"{word} has no example"
        raise TypeError(message)
    context = click.Context(found)
    arguments = [one.make_metavar(context) for one in found.params if isinstance(one, click.Argument)]
    own = [param for param in found.params if param not in found.shared]
    yield from ("", f"### {word}", "", *(found.help or "").splitlines(), "")
    yield from ("```text", " ".join(["strongroom", word, *arguments, "[OPTIONS]"]), "```", "")
    if any(isinstance(param, click.Option) for param in own):
        yield from (*_options(own), "")
    yield from ("```text", *found.example.splitlines(), "```")


def _options(params: Sequence[click.Parameter]) -> Iterator[str]:
    yield "| option | meaning |"
    yield "|---|---|"
    context = click.Context(cli)
    for param in params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            names, text = (part.replace("|", "\\|").replace("\n", " ") for part in record)
            yield f"| `{names}` | {text} |"
