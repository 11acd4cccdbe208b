"""About ninety more vendors through the library dns-lexicon, which is an extra.

The library has no time limits, reads files and asks for lists of public suffixes. So it runs in a process of its own:
with a time limit for everything, without the environment and the files of the server, and with every address that it
wants to connect to checked by the guard of this process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from strongroom.dns.kinds import Fields, ProviderContext
from strongroom.dns.names import HOST, is_within, plain
from strongroom.dns.program import start, stop
from strongroom.dns.vendor import CLEANUP, PRESENT, as_object
from strongroom.domain.orders.dns import TTL, DnsProblem, DnsRefusal, PropagationTiming, TxtRecord
from strongroom.kernel.errors import ErrorCode, Invalid, Unavailable
from strongroom.kernel.secret import STARS, Secret, scrub
from strongroom.net.deadline import Deadline
from strongroom.net.guard import Guard

_TIMING: Final = PropagationTiming(limit=timedelta(minutes=10), poll=timedelta(seconds=5))
_LIMIT: Final = timedelta(seconds=120)
_RETRY: Final = timedelta(seconds=60)
_RESOLVER_S: Final = 3.0
_LOOKUP: Final = timedelta(seconds=20)
"""For one answer."""
_INSTALL: Final = "pip install 'strongroom[dns-lexicon]'"
_PROGRAM: Final = "strongroom.dns.lexicon_process"
_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_PROVIDER: Final = re.compile(r"[a-z][a-z0-9]{1,39}")
_OPTION: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OURS: Final = frozenset(
    {"action", "config_dir", "content", "domain", "identifier", "name", "provider", "provider_name", "type"}
    | {"resolve_zone_name", "log_level", "output", "priority"}
)
"""Options that we give the library ourselves."""
_UNFIT: Final = {
    "auto": "it guesses",
    "ddns": "public_cert_configuration_dns_rfc2136 does the same and understands refusals",
    "localzone": "it writes files of this machine",
}
_MOST_OPTIONS: Final = 40
_MOST_CHARACTERS: Final = 8192
_MOST_LINE: Final = 65_536
_SHOWN: Final = 300


class LexiconKind:
    """Settings ``lexicon_``.

    Args:
        program: module that runs the library.
        limit: for one call of it.
    """

    secret_members = frozenset({"lexicon_options"})

    def __init__(self, program: str = _PROGRAM, limit: timedelta = _LIMIT) -> None:
        self._program = program
        self._limit = limit

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once."""
        del context
        provider = fields.text("lexicon_provider", form=_PROVIDER, says="the library's name of a provider: gandi")
        place = _place()
        if place is None:
            hint = f"Install it on every server: {_INSTALL}"
            fields.refuse(
                "lexicon_provider", "lexicon_provider needs the extra dns-lexicon, which is not installed.", hint=hint
            )
        elif provider in _UNFIT:
            fields.refuse("lexicon_provider", f'lexicon_provider "{provider}" is not allowed: {_UNFIT[provider]}.')
        elif provider is not None and not _has_provider(place, provider):
            fields.refuse(
                "lexicon_provider",
                f'lexicon_provider must be one that the installed dns-lexicon has, not "{provider}".',
            )
        options = fields.table("lexicon_options")
        for detail in _wrong_options(options):
            fields.refuse("lexicon_options", detail)

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> Lexicon:
        """Return the provider; no request is made."""
        return Lexicon(
            values["lexicon_provider"],
            values.get("lexicon_options") or {},
            context,
            program=self._program,
            limit=self._limit,
        )


class Lexicon:
    """Runs the library, once for each record.

    Args:
        provider: the library's name of the vendor.
        options: of that provider.
        context: guard and resolvers.
        program: module that runs the library.
        limit: for one run.
    """

    def __init__(
        self, provider: str, options: Mapping[str, Any], context: ProviderContext, *, program: str, limit: timedelta
    ) -> None:
        self._provider = provider
        self._options = Secret(options)
        self._resolvers = context.resolvers
        self._guard = context.guard
        self._program = program
        self._limit = limit

    @property
    def timing(self) -> PropagationTiming:
        """Return how long records take to be seen."""
        return _TIMING

    @property
    def servers(self) -> Mapping[str, int]:
        """Return nothing: vendors' name servers listen where all do."""
        return {}

    def zones(self) -> Sequence[str]:
        """Return the zone of the options, and nothing without one: the library cannot list zones."""
        given = self._options.reveal().get("delegated")
        return [plain(str(given))] if given else []

    def present(self, record: TxtRecord) -> None:
        """Add the record unless it is there."""
        self._run(PRESENT, record)

    def cleanup(self, record: TxtRecord, handle: str | None) -> None:
        """Remove the record if it is there."""
        del handle
        self._run(CLEANUP, record)

    def _zone(self, name: str, step: str) -> str:
        """Return the zone of a name; the library would guess it from a list of suffixes in the network."""
        # Imported late: it brings the DNS library.
        from strongroom.dns.zone import Lookup

        found = Lookup(self._resolvers, timeout_s=_RESOLVER_S, deadline=Deadline(_LOOKUP))
        zone = next(iter(self.zones()), None) or found.zone_of(name)
        if not zone or "." not in zone or not is_within(name, zone):
            raise DnsProblem(
                f'dns-lexicon ({self._provider}): "{name}" lies in no zone that can be found; '
                "lexicon_options.delegated can name it.",
                refusal=DnsRefusal.NO_ZONE,
                step=step,
            )
        return zone

    def _run(self, step: str, record: TxtRecord) -> None:
        if _place() is None:
            detail = f"The extra dns-lexicon is not installed on this server; {_INSTALL}"
            raise DnsProblem(detail, refusal=DnsRefusal.ERROR, step=step)
        options = dict(self._options.reveal())
        options.pop("delegated", None)
        asked = {
            "provider": self._provider,
            "ttl": options.pop("ttl", None) or int(TTL.total_seconds()),
            "options": options,
            "zone": self._zone(record.name, step),
            "step": step,
            "name": record.name,
            "value": record.value,
        }
        argv = [sys.executable, "-I", "-B", "-m", self._program]
        process = start(argv, environment=_ENVIRONMENT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        late = threading.Event()

        def too_late() -> None:
            late.set()
            stop(process)

        timer = threading.Timer(self._limit.total_seconds(), too_late)
        timer.daemon = True
        timer.start()
        conversation = _Conversation(process, self._guard)
        try:
            said = conversation.hold(asked)
        finally:
            timer.cancel()
            stop(process)
            conversation.close()
        self._judge(said, step, is_late=late.is_set(), refused=conversation.refused)

    def _judge(self, said: Mapping[str, Any], step: str, *, is_late: bool, refused: Invalid | None) -> None:
        """Raise what the library's answer stands for, if it is not good."""
        outcome = said.get("outcome")
        if outcome == "done":
            return
        if refused is not None:
            raise refused
        who = f"dns-lexicon ({self._provider})"
        if is_late:
            detail = f"{who} was stopped: it took longer than {self._limit.total_seconds():g} s."
            raise Unavailable(ErrorCode.UNAVAILABLE, detail, retry_after=_RETRY)
        words = self._clean(str(said.get("message", "")))
        if outcome == "unavailable":
            seconds = said.get("retry_after")
            wait = timedelta(seconds=min(seconds, 86_400)) if isinstance(seconds, int) and seconds > 0 else None
            raise Unavailable(ErrorCode.UNAVAILABLE, f"{who}: {words}", retry_after=wait)
        if outcome in {"authorization", "no_zone", "error"}:
            refusal = {"authorization": DnsRefusal.AUTHORIZATION, "no_zone": DnsRefusal.NO_ZONE}
            raise DnsProblem(f"{who}: {words}", refusal=refusal.get(outcome, DnsRefusal.ERROR), step=step)
        raise DnsProblem(f"{who} ended without an answer.", refusal=DnsRefusal.ERROR, step=step)

    def _clean(self, words: str) -> str:
        """Return the library's words without our secrets: addresses in its messages may hold them."""
        for given in self._options.reveal().values():
            if isinstance(given, str) and len(given) > 3:
                words = words.replace(given, STARS).replace(quote(given, safe=""), STARS)
        return scrub(words)[:_SHOWN]


class _Conversation:
    """Talks with the process: one question, its questions about addresses, and one answer, all as lines of JSON."""

    def __init__(self, process: subprocess.Popen[bytes], guard: Guard) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("The process has no pipes.")
        self._to: IO[bytes] = process.stdin
        self._from: IO[bytes] = process.stdout
        self._guard = guard
        self.refused: Invalid | None = None

    def hold(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the last answer; nothing if the process ended without one."""
        with contextlib.suppress(BrokenPipeError):
            self._say(asked)
            while line := self._from.readline(_MOST_LINE):
                try:
                    said = as_object(json.loads(line))
                except ValueError:
                    break
                if "address" not in said:
                    return said
                self._say({"allowed": self._may(str(said["address"]))})
        return {}

    def close(self) -> None:
        """Close the pipes."""
        with contextlib.suppress(BrokenPipeError):
            self._to.close()
        self._from.close()

    def _may(self, address: str) -> bool:
        try:
            self._guard.check_address(address)
        except Invalid as refusal:
            self.refused = refusal
            return False
        return True

    def _say(self, said: Mapping[str, Any]) -> None:
        self._to.write(json.dumps(said).encode() + b"\n")
        self._to.flush()


def _place() -> Path | None:
    """Return where the library is installed; it is not imported."""
    found = importlib.util.find_spec("lexicon")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations)))


def _has_provider(place: Path, name: str) -> bool:
    providers = place / "_private" / "providers"
    return not providers.is_dir() or (providers / f"{name}.py").is_file()


def _wrong_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with options, in words; their values are never shown."""
    wrong: list[str] = []
    if len(options) > _MOST_OPTIONS:
        wrong.append(f"lexicon_options must have at most {_MOST_OPTIONS} members; it has {len(options)}.")
    for name, given in list(options.items())[:_MOST_OPTIONS]:
        if _OPTION.fullmatch(name) is None:
            wrong.append("Names in lexicon_options must be small letters, digits and underscores, as in auth_token.")
        elif name in _OURS:
            wrong.append(f"lexicon_options.{name} is set by the server; leave it out.")
        elif not isinstance(given, str | int | bool) or len(str(given)) > _MOST_CHARACTERS:
            wrong.append(f"lexicon_options.{name} must be a text of up to {_MOST_CHARACTERS} characters, or a number.")
        elif name == "ttl" and (isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= 86_400):
            wrong.append("lexicon_options.ttl must be a whole number of seconds from 1 to 86400.")
        elif name == "delegated" and not (isinstance(given, str) and HOST.fullmatch(plain(given)) and "." in given):
            wrong.append("lexicon_options.delegated must be the name of a zone such as example.com.")
    return wrong
