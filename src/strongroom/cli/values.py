"""Read option values: JSON, PEM, lists, booleans, dates.

Only the form is checked here. Lengths and patterns are left to the server, which owns the messages.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.files import read_text
from strongroom.kernel.errors import Invalid
from strongroom.kernel.time import parse_rfc3339

if TYPE_CHECKING:
    from strongroom.cli.session import Session


_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 30 * 86_400


def _session(ctx: click.Context | None) -> Session:
    if ctx is None:
        message = "option values are read within a command"
        raise RuntimeError(message)
    found: Session = ctx.find_root().obj
    return found


def _option(param: click.Parameter | None) -> str:
    return param.opts[0] if param and param.opts else "the value"


def _indirect(text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, bool]:
    """Follow ``@file``, ``@-`` and ``-``; tell whether it was one of them."""
    if text in {"-", "@-"}:
        return _session(ctx).take_stdin(_option(param)), True
    if text.startswith("@"):
        return read_text(Path(text[1:]).expanduser(), option=_option(param)), True
    return text, False


class JsonValue(click.ParamType[Any]):
    """JSON given inline, as ``@file``, or as ``-`` for standard input.

    Raw line breaks and tabs inside strings are accepted, because people splice ``$(cat cert.pem)`` into JSON.

    Args:
        kind: the type the value must have, ``dict`` or ``list``.
    """

    name = "JSON"

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the decoded value."""
        if not isinstance(value, str):
            return value
        text, _ = _indirect(value, param, ctx)
        decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, strict=False)
        try:
            decoded = decoder.decode(text.removeprefix("\ufeff"))
        except json.JSONDecodeError as error:
            self.fail(f"not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}.", param, ctx)
        except RecursionError:
            self.fail("the JSON is nested too deeply.", param, ctx)
        except ValueError as error:
            self.fail(f"not acceptable JSON: {error}.", param, ctx)
        if not isinstance(decoded, self._kind):
            wanted = 'an object such as \'{"key": "value"}\'' if self._kind is dict else "an array such as '[...]'"
            self.fail(f"it must be {wanted}.", param, ctx)
        return decoded


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            message = f"the member {json.dumps(key)} stands there twice"
            raise ValueError(message)
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    message = f"{name} is no JSON number"
    raise ValueError(message)


class PemValue(click.ParamType[str]):
    """PEM text given inline, as ``@file``, or as ``-`` for standard input."""

    name = "PEM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; a file's text is not changed in any way."""
        text, from_file = _indirect(str(value), param, ctx)
        if not from_file:
            if "\\n" in text and "\n" not in text:
                text = text.replace("\\r\\n", "\n").replace("\\n", "\n")
            if "PRIVATE KEY-----" in text and ctx is not None:
                _session(ctx).note(
                    "A key on the command line is visible to other users of this machine; "
                    f"{_option(param)} @FILE is not."
                )
        if "-----BEGIN" not in text:
            option = _option(param)
            self.fail(
                f'no PEM block is in it. Quote the variable ({option} "$VARIABLE") or name the file ({option} @FILE); '
                "a DER file is converted with openssl x509 -inform DER -in FILE.",
                param,
                ctx,
            )
        return text


class CredentialValue(click.ParamType[str]):
    """A credential given inline, as ``@file``, or as ``-``; one last line break of a file is dropped."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the credential."""
        text, from_file = _indirect(str(value), param, ctx)
        return text.removesuffix("\n").removesuffix("\r") if from_file else text


class ListValue(click.ParamType[list[str]]):
    """A comma list with CSV quoting, or a JSON array."""

    name = "LIST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the items without the blanks around them."""
        text = str(value).strip()
        if text.startswith("["):
            try:
                items = json.loads(text)
            except ValueError:
                self.fail("it begins like a JSON array but is none.", param, ctx)
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                self.fail("a JSON array given here holds texts only.", param, ctx)
            return items
        try:
            rows = list(csv.reader([text], skipinitialspace=True, strict=True))
        except csv.Error as error:
            self.fail(f"not a comma list: {error}.", param, ctx)
        return [item.strip() for item in (rows[0] if rows else []) if item.strip()]


class DateValue(click.ParamType[str]):
    """An RFC 3339 time, or the word ``null`` which clears the field."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it was given."""
        text = str(value).strip()
        if text != "null":
            try:
                parse_rfc3339(text, field="it")
            except Invalid as error:
                self.fail(error.detail, param, ctx)
        return text


class DurationValue(click.ParamType[int]):
    """A duration such as 90s, 10m or 2h, in seconds; the word tidying attaches a default where none is given."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return whole seconds."""
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        if match is None or not 0 < (seconds := int(match[1]) * _SECONDS[match[2]]) <= _LONGEST_S:
            self.fail("it must be a duration such as 90s, 10m or 2h, at most 30d.", param, ctx)
        return seconds


class FileText(click.ParamType[str]):
    """The text of a file, or of standard input when it is ``-``; one last line break is dropped."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the file's text."""
        option = _option(param)
        if value == "-":
            text = _session(ctx).take_stdin(option)
        else:
            text = read_text(Path(str(value)).expanduser(), option=option)
        return text.removesuffix("\n").removesuffix("\r")


def read_secret_line(path: Path, *, option: str) -> str:
    """Return the one line that a key or passphrase file holds.

    Raises:
        CommandError: the file is empty, or cannot be read.
    """
    text = read_text(path, option=option).strip("\r\n")
    if not text.strip():
        raise CommandError(f"The file {path} is empty.", exit_code=Exit.USAGE, field=option)
    return text
