"""What every type of DNS configuration brings along, in one shape.

A type is one module with two small classes: its `ProviderKind`, which knows the settings, and its provider, which
knows the vendor. `providers.py` names the first. The module is imported when the first configuration of its type is
met, and imports what is large (a client library) inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Protocol

from strongroom.domain.orders.dns import DnsProvider
from strongroom.kernel.clock import Clock
from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.value import value
from strongroom.net.guard import Guard

if TYPE_CHECKING:
    from strongroom.net.client import HttpClient

_SHOWN: Final = 80


@value
class ProviderContext:
    """What providers are made with, beside their settings.

    Attributes:
        http: the guarded client.
        guard: for what does not speak HTTP.
        resolvers: host and port of the operator's resolvers; empty for the system's.
        cis_url: base address of Cloud Internet Services, without a slash at the end.
        classic_url: base address of the classic infrastructure's API, likewise.
        exec_allowed: whether programs may be run.
    """

    http: HttpClient = field(repr=False)
    guard: Guard = field(repr=False)
    clock: Clock = field(repr=False)
    resolvers: Sequence[tuple[str, int]] = ()
    cis_url: str
    classic_url: str
    exec_allowed: bool = False


class ProviderKind(Protocol):
    """One type of DNS configuration."""

    @property
    def secret_members(self) -> frozenset[str]:
        """Return the members that only full reads show."""
        ...

    def check(self, fields: Fields, context: ProviderContext) -> None:
        """Read every member once; what breaks a rule is noted by field. No network."""
        ...

    def build(self, values: Mapping[str, Any], context: ProviderContext) -> DnsProvider:
        """Return the provider of checked settings; no request is made."""
        ...


class Fields:
    """Reads the members of a configuration and notes what breaks a rule.

    A member that is absent, null or empty counts as not given. Values of secret members are never part of a message.

    Args:
        values: in the API's spelling.
        problems: where broken rules are noted.

    Attributes:
        checked: the members that were read and are valid, defaults filled in.
    """

    def __init__(self, values: Mapping[str, Any], problems: Problems) -> None:
        self._values = values
        self._problems = problems
        self.checked: dict[str, Any] = {}

    def text(
        self,
        name: str,
        *,
        least: int = 1,
        most: int = 1024,
        form: re.Pattern[str] | None = None,
        says: str = "",
        secret: bool = False,
    ) -> str | None:
        """Read a text that must be there.

        Args:
            name: of the member.
            least: characters.
            most: characters.
            form: what the whole text must match.
            says: ends the sentence ``<name> must be``, where there is a form.
            secret: whether the value may not be shown.

        Returns:
            The text, or ``None`` if something was noted.
        """
        if not self.is_given(name):
            self._problems.add(name, f"{name} is required.", code=ErrorCode.MISSING_FIELD)
            return None
        return self.optional_text(name, least=least, most=most, form=form, says=says, secret=secret)

    def optional_text(
        self,
        name: str,
        *,
        least: int = 1,
        most: int = 1024,
        form: re.Pattern[str] | None = None,
        says: str = "",
        secret: bool = False,
    ) -> str | None:
        """Read a text that may be missing; as `text` otherwise."""
        if not self.is_given(name):
            return None
        given = self._values[name]
        if not isinstance(given, str):
            self.refuse(name, f"{name} must be a text.")
            return None
        if not least <= len(given) <= most:
            self.refuse(name, f"{name} must have {least} to {most} characters; it has {len(given)}.")
            return None
        if any(ord(character) < 0x20 or character == "\x7f" for character in given):
            self.refuse(name, f"{name} must not contain control characters.")
            return None
        if form is not None and form.fullmatch(given) is None:
            shown = "" if secret else f', not "{given[:_SHOWN]}"'
            self.refuse(name, f"{name} must be {says}{shown}.")
            return None
        self.checked[name] = given
        return given

    def number(self, name: str, *, least: int, most: int, default: int) -> int | None:
        """Read a whole number."""
        given = self._values[name] if self.is_given(name) else default
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            self.refuse(name, f"{name} must be a whole number from {least} to {most}.")
            return None
        self.checked[name] = given
        return given

    def choice(self, name: str, choices: Sequence[str], *, default: str) -> str | None:
        """Read one word of several; capitals do not matter."""
        given = self._values[name] if self.is_given(name) else default
        word = given.lower() if isinstance(given, str) else ""
        if word not in choices:
            self.refuse(name, f'{name} must be one of {", ".join(choices)}, not "{str(given)[:_SHOWN]}".')
            return None
        self.checked[name] = word
        return word

    def table(self, name: str) -> Mapping[str, Any]:
        """Read an object that may be missing; its members are left to the caller."""
        given = self._values.get(name)
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.refuse(name, f"{name} must be an object.")
            return {}
        self.checked[name] = dict(given)
        return given

    def is_given(self, name: str) -> bool:
        """Tell whether a member was given at all."""
        given = self._values.get(name)
        return given is not None and given != ""

    def keep(self, name: str, changed: Any) -> None:
        """Store a member in another spelling than it came in."""
        self.checked[name] = changed

    def note(self, name: str, problem: Invalid) -> None:
        """Note a refusal that was raised elsewhere, with its code."""
        self.checked.pop(name, None)
        self._problems.add(name, problem.detail, code=problem.code, hint=problem.hint)

    def refuse(self, name: str, detail: str, *, hint: str | None = None) -> None:
        """Note a broken rule."""
        self.checked.pop(name, None)
        self._problems.add(name, detail, hint=hint)
