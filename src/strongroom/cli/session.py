"""What one run of the command line carries: global options, the client, the way out for text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli.errors import CommandError, Exit, error_body, error_lines

if TYPE_CHECKING:
    from strongroom.cli.client import Client
    from strongroom.cli.profile import Environment
    from strongroom.cli.target import Flags
    from strongroom.kernel.errors import StrongroomError


class Session:
    """One run.

    Heavy modules are imported by the methods that need them, so that help stays quick.
    """

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self._environment: Environment | None = None
        self._client: Client | None = None
        self._stdin_user: str | None = None
        self._held: list[str] = []

    # -- options ---------------------------------------------------------------------------------------------------

    def remember(self, name: str, value: object) -> None:
        """Note a global option; the last one wins, wherever it stood."""
        self.options[name] = value

    @property
    def output(self) -> str:
        """Return ``table``, ``json`` or ``yaml``."""
        return str(self.options.get("output") or "table")

    @property
    def quiet(self) -> bool:
        """Tell whether chatter is unwanted."""
        return bool(self.options.get("quiet"))

    @property
    def environment(self) -> Environment:
        """Return the environment's settings."""
        if self._environment is None:
            from strongroom.cli.profile import read_environment

            self._environment = read_environment()
        return self._environment

    @property
    def flags(self) -> Flags:
        """Return the options that choose a server."""
        from strongroom.cli.target import Flags

        ca_file = self.options.get("ca_file")
        return Flags(
            service_url=self.options.get("service_url"),
            instance_id=self.options.get("instance_id"),
            region=self.options.get("region"),
            profile=self.options.get("profile"),
            ca_file=Path(ca_file) if ca_file else None,
        )

    # -- the server ------------------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """Return the client for the server that the options, the environment or a profile name.

        Raises:
            CommandError: no server is known, or no credential for it.
        """
        if self._client is None:
            from strongroom.cli.client import Client
            from strongroom.cli.profile import readable_by_others
            from strongroom.cli.target import is_clear_text_abroad, resolve_target

            target = resolve_target(self.flags, self.environment)
            if is_clear_text_abroad(target.url):
                self.note(f"{target.url} is not encrypted: credentials and secrets can be read on the way.")
            if target.insecure:
                self.note("SECRETS_MANAGER_DISABLE_SSL is set: the server's certificate is not verified.")
            if readable_by_others(self.environment.profiles_file):
                self.note(f"Other users can read {self.environment.profiles_file}; run chmod 600 on it.")
            self._client = Client(target)
        return self._client

    # -- text in and out -------------------------------------------------------------------------------------------

    def take_stdin(self, option: str) -> str:
        """Return standard input; one option of a call may have it.

        Raises:
            CommandError: another option took it already, or it is no text.
        """
        from strongroom.cli.files import MAX_INPUT_BYTES, decode

        if self._stdin_user is not None:
            detail = f"Standard input was already read for {self._stdin_user}; only one - or @- is possible in a call."
            raise CommandError(detail, exit_code=Exit.USAGE, field=option)
        self._stdin_user = option
        return decode(sys.stdin.buffer.read(MAX_INPUT_BYTES + 1), option=option, name="standard input")

    def emit(self, data: Any, *, query: str | None = None) -> None:
        """Print a result on stdout.

        Args:
            data: the answer; ``None`` when the server sent no body.
            query: built-in query for tables, which a user's query replaces.
        """
        from strongroom.cli.output import Format, apply_query, render

        form = Format(self.output)
        if data is None:
            if form is Format.TABLE:
                self.note("OK")
            return
        wanted: str | None = self.options.get("jmes_query")
        expression = wanted or (query if form is Format.TABLE else None)
        if expression:
            data = apply_query(expression, data)
        # Every key of an item becomes a column then, and those need an order of their own.
        star = wanted is None and expression is not None and expression.endswith("[*]")
        text = render(data, form, star=star)
        click.echo(text, nl=False)

    def note(self, text: str) -> None:
        """Say something on stderr that is not the result; not with ``--quiet``.

        For programs it is held back until the end, and dropped if the command fails: they read one error object
        from stderr, and nothing else.
        """
        if self.quiet:
            return
        if self.output == "table":
            self._speak(text)
        else:
            self._held.append(text)

    def close(self) -> None:
        """Say what was held back and let go of connections."""
        for text in self._held:
            self._speak(text)
        self._held.clear()
        if self._client is not None:
            self._client.close()

    def _speak(self, text: str) -> None:
        from strongroom.cli.output import safe

        click.echo(safe(text), err=True)

    def complain(self, error: StrongroomError) -> None:
        """Print an error on stderr, as a person or a program wants it."""
        from strongroom.cli.output import Format, render, safe

        form = Format(self.output)
        if form is not Format.TABLE:
            self._held.clear()
            click.echo(render(error_body(error), form), err=True, nl=False)
            return
        heading = click.style("FAILED", fg="red", bold=True) if self.environment.colour else "FAILED"
        click.echo(heading, err=True)
        for line in error_lines(error):
            click.echo(safe(line), err=True)

    def confirm(self, question: str, *, given: bool) -> None:
        """Ask before something that cannot be undone, when somebody is there to answer.

        Raises:
            CommandError: the answer was no.
        """
        if given or not sys.stdin.isatty():
            return
        if not click.confirm(question, err=True):
            raise CommandError("Nothing was changed.", exit_code=Exit.REFUSED)
