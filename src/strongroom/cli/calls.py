"""Commands that are one API call, declared as data.

A `Call` says which options there are and where each value goes (path, query, body); one function makes the click
command out of it, another carries it out. Nearly every command of the contract is such a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import click

from strongroom.cli.command import BooleanValue, StrongroomCommand, Tolerated
from strongroom.cli.errors import Exit
from strongroom.cli.registry import summary_of
from strongroom.cli.values import CredentialValue, DateValue, DurationValue, FileText, JsonValue, ListValue, PemValue

if TYPE_CHECKING:
    from strongroom.cli.session import Session


class Kind(Enum):
    """What an option's value is."""

    TEXT = "text"
    INT = "int"
    BOOL = "bool"
    LIST = "list"
    DATE = "date"
    JSON = "json"
    JSON_LIST = "json list"
    PEM = "pem"
    FILE = "file"
    CREDENTIAL = "credential"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opt:
    """One option of a call.

    Attributes:
        names: spellings, the one to print first.
        to: ``path.id``, ``query.limit``, ``header.Name``, ``body.name``, or ``body`` for the whole body.
        help: one line.
        kind: form of the value.
        required: there is no call without it.
        choices: the allowed words.
        low: smallest number.
        high: largest number.
        types: types of the secret, configuration or action whose body has this field; all when empty.
        aliases: further spellings that scripts use; help does not show them.
    """

    names: tuple[str, ...]
    to: str
    help: str = ""
    kind: Kind = Kind.TEXT
    required: bool = False
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    types: frozenset[str] = frozenset()
    aliases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return the name under which click hands the value over."""
        return self.names[0].lstrip("-").replace("-", "_")

    @property
    def place(self) -> str:
        """Return ``path``, ``query``, ``header`` or ``body``."""
        return self.to.partition(".")[0]

    @property
    def member(self) -> str:
        """Return the name inside that place; empty for the whole body."""
        return self.to.partition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API operation as a command.

    Attributes:
        name: command word; its summary stands in the registry.
        method: HTTP method.
        path: path with ``{placeholders}`` for the options that go to ``path``.
        options: what can be given.
        example: command lines for the help.
        details: more paragraphs of help.
        items: key of the list in the answer of a paged operation.
        table: built-in query for tables.
        needs: body members that must be given when the whole body is not.
        empty_body: ``{}`` is sent when no body option was given; otherwise that is an error.
        confirm: question before it is done.
        fixed: body members that are always sent with single options.
        lone: option that a single word without one belongs to, as scripts write it.
        lone_body: option that such a word belongs to if it is a JSON object.
        verdict: member of the answer; the command ends with 1 when it is false.
        waits: it can wait for a public certificate: where the secret's id stands, ``answer.id`` or ``path.id``.
    """

    name: str
    method: str
    path: str
    options: tuple[Opt, ...] = ()
    example: str
    details: str = ""
    items: str | None = None
    table: str | None = None
    needs: tuple[str, ...] = ()
    empty_body: bool = False
    confirm: str | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    lone: str = ""
    lone_body: str = ""
    verdict: str | None = None
    waits: str = ""

    @property
    def has_body(self) -> bool:
        """Tell whether the operation takes a body."""
        return self.method in {"POST", "PUT", "PATCH"}


_KINDS = frozenset({"secret_type", "config_type", "action_type"})
"""Members of a body that decide which others it has."""


def build_command(call: Call) -> click.Command:
    """Return the click command for a call."""
    params: list[click.Parameter] = [_build_option(opt) for opt in call.options]
    if call.items:
        params.append(
            click.Option(
                ["--all-pages"], type=BooleanValue(), metavar="[BOOL]", help="Fetch every page, print one list."
            )
        )
    if call.confirm:
        params.append(click.Option(["-f", "--force", "--yes"], is_flag=True, help="Do not ask."))

    if call.waits:
        params += _waiting_options()

    def run(**values: Any) -> Exit:
        return _carry_out(click.get_current_context(), call, values)

    summary = summary_of(call.name)
    text = summary + (f"\n\n{call.details}" if call.details else "")
    renamed = {alias: opt.names[0] for opt in call.options for alias in opt.aliases}
    return StrongroomCommand(
        name=call.name,
        params=params,
        callback=run,
        help=text,
        short_help=summary,
        example=call.example,
        tolerated=Tolerated(renamed=renamed, lone=call.lone, lone_body=call.lone_body),
    )


def commands_of(*calls: Call) -> dict[str, click.Command]:
    """Return the commands of these calls by their words."""
    return {call.name: build_command(call) for call in calls}


def _waiting_options() -> list[click.Option]:
    return [
        click.Option(
            ["--wait"],
            type=DurationValue(),
            metavar="[DURATION]",
            help="Wait until an ordered certificate is there, and print it (10m).",
        ),
        click.Option(
            ["--yes"], is_flag=True, help="While waiting with manual DNS: say at once that the records are there."
        ),
    ]


def _build_option(opt: Opt) -> click.Option:
    kinds: Mapping[Kind, click.ParamType[Any]] = {
        Kind.TEXT: click.STRING,
        Kind.INT: click.INT if opt.low is opt.high is None else click.IntRange(min=opt.low, max=opt.high),
        Kind.BOOL: BooleanValue(),
        Kind.LIST: ListValue(),
        Kind.DATE: DateValue(),
        Kind.JSON: JsonValue(dict),
        Kind.JSON_LIST: JsonValue(list),
        Kind.PEM: PemValue(),
        Kind.FILE: FileText(),
        Kind.CREDENTIAL: CredentialValue(),
        Kind.CHOICE: click.Choice(opt.choices),
    }
    return click.Option(
        [*opt.names, opt.key],
        type=kinds[opt.kind],
        required=opt.required,
        multiple=opt.kind is Kind.LIST,
        metavar="[BOOL]" if opt.kind is Kind.BOOL else None,
        help=opt.help,
    )


def _carry_out(ctx: click.Context, call: Call, values: Mapping[str, Any]) -> Exit:
    session: Session = ctx.find_root().obj
    given = [opt for opt in call.options if _is_given(ctx, opt)]
    path = call.path.format(**{o.member: _segment(o, values) for o in call.options if o.place == "path"})
    query = {o.member: _query_text(_value(o, values)) for o in given if o.place == "query"}
    headers = {o.member: str(_value(o, values)) for o in given if o.place == "header"}
    body = _body(session, call, [o for o in given if o.place == "body"], values) if call.has_body else None
    if call.confirm:
        session.confirm(call.confirm.format(**values), given=bool(values.get("force")))
    answer: Any
    if call.items and values.get("all_pages"):
        answer = _all_pages(session, path, query, call.items)
    else:
        answer = session.client.call(call.method, path, query=query, body=body, headers=headers)
        _tell_of_more(session, call, answer)
    if call.waits and values.get("wait"):
        answer = _awaited(session, call, answer, values)
    session.emit(answer, query=call.table)
    if call.verdict and isinstance(answer, dict) and answer.get(call.verdict) is False:
        return Exit.REFUSED
    return Exit.DONE


def _awaited(session: Session, call: Call, answer: Any, values: Mapping[str, Any]) -> Any:
    """Return the secret once its certificate is there."""
    from strongroom.cli.commands.certificate_waiting import wait_for_certificate

    place, _, member = call.waits.partition(".")
    secret_id = str((answer if place == "answer" else values)[member])
    return wait_for_certificate(session, secret_id, answer, timeout_s=values["wait"], validates=bool(values.get("yes")))


def _segment(opt: Opt, values: Mapping[str, Any]) -> str:
    """Return one path segment; an empty one, or dots, would address something else."""
    text = str(values[opt.key])
    if not text.strip(". "):
        message = f"{opt.names[0]} must not be empty or made of dots."
        raise click.UsageError(message)
    return quote(text, safe="")


def _is_given(ctx: click.Context, opt: Opt) -> bool:
    return ctx.get_parameter_source(opt.key) is click.core.ParameterSource.COMMANDLINE


def _value(opt: Opt, values: Mapping[str, Any]) -> Any:
    value = values[opt.key]
    if opt.kind is Kind.LIST:
        return [item for part in value for item in part]
    if opt.kind is Kind.DATE and value == "null":
        return None
    return value


def _query_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _body(session: Session, call: Call, given: list[Opt], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request body from the whole-body option or from single options, never both."""
    whole = [opt for opt in given if not opt.member]
    single = [opt for opt in given if opt.member]
    if whole and single:
        names = ", ".join(opt.names[0] for opt in single)
        message = f"{whole[0].names[0]} is the whole body; it cannot be combined with {names}."
        raise click.UsageError(message)
    if whole:
        body: dict[str, Any] = values[whole[0].key]
        return body
    kind = next((str(values[o.key]) for o in single if o.member in _KINDS), None)
    body = dict(call.fixed)
    for opt in single:
        if kind and opt.types and kind not in opt.types:
            session.note(f"{opt.names[0]} was left out: {kind} has no such field.")
            continue
        if opt.member in body:
            message = f"{opt.names[0]} gives {opt.member} a second time."
            raise click.UsageError(message)
        body[opt.member] = _value(opt, values)
    _modernise(session, body)
    missing = [o.names[0] for o in call.options if o.member in call.needs and o.member not in body]
    if missing:
        message = f"Missing {' and '.join(dict.fromkeys(missing))}."
        raise click.UsageError(message)
    if not single and not call.empty_body:
        choice = ", ".join(o.names[0] for o in call.options if o.place == "body")
        message = f"Nothing to send: give at least one of {choice}."
        raise click.UsageError(message)
    return body


def _modernise(session: Session, body: dict[str, Any]) -> None:
    """Write the rotation policy of old scripts as it is written today."""
    rotation = body.get("rotation")
    if not isinstance(rotation, dict):
        return
    if "enabled" in rotation and "auto_rotate" not in rotation:
        rotation = {("auto_rotate" if key == "enabled" else key): value for key, value in rotation.items()}
        session.note("The rotation member enabled is called auto_rotate now; it was renamed.")
    if body.get("secret_type") == "private_cert" and "rotate_keys" in rotation:
        rotation = {key: value for key, value in rotation.items() if key != "rotate_keys"}
        session.note("The rotation member rotate_keys was left out: a private certificate always gets a new key.")
    body["rotation"] = rotation


def _all_pages(session: Session, path: str, query: dict[str, str], items: str) -> dict[str, Any]:
    """Follow ``next`` to the end and return one collection without page links."""
    found: list[Any] = []
    asked = dict(query)
    while True:
        page = session.client.call_object("GET", path, query=asked)
        found += page.get(items, [])
        offset = _next_offset(page)
        # An offset that does not grow would be read for ever.
        if offset is None or int(offset) <= int(asked.get("offset", 0)):
            return {items: found, "total_count": page.get("total_count", len(found))}
        asked["offset"] = offset


def _next_offset(page: Mapping[str, Any]) -> str | None:
    link = page.get("next")
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str):
        return None
    offset = parse_qs(urlsplit(href).query).get("offset", [""])[0]
    return offset if offset.isdigit() else None


def _tell_of_more(session: Session, call: Call, answer: object) -> None:
    if not call.items or session.output != "table" or not isinstance(answer, dict) or not answer.get("next"):
        return
    shown = len(answer.get(call.items, []))
    session.note(f"{shown} of {answer.get('total_count')} shown; --all-pages shows all, --offset the next ones.")
