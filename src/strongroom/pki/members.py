"""Read the members of a request that describes a certificate one by one, noting every broken rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from strongroom.kernel.time import parse_duration
from strongroom.pki.keys import EC_CURVES, RSA_SIZES, KeySpec
from strongroom.pki.names import NameProblem

T = TypeVar("T")

MAX_LISTED: Final = 100
MAX_TEXT: Final = 2048
_DISABLED_CURVE: Final = 224
_SHOWN_CHARACTERS: Final = 80


class Members:
    """The members as they were sent, with the strings kept as given.

    Args:
        values: members by their API names; null is the same as absent.
        within: the member that holds them all (``managed_csr``), if they are not at the top.
        what: what they describe, for messages.
    """

    def __init__(self, values: Mapping[str, object], *, within: str = "", what: str) -> None:
        self._values = values
        self._within = f"{within}." if within else ""
        self._what = what
        self.problems = Problems()
        self.given: dict[str, str] = {}

    def refuse(self, name: str, detail: str, *, code: ErrorCode = ErrorCode.INVALID_FIELD) -> None:
        """Note that a member breaks a rule; the message begins with the member's name."""
        field = f"{self._within}{name}"
        self.problems.add(field, f"{field} {detail}", code=code)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Note every member that does not exist."""
        for name in self._values:
            if name not in known:
                self.refuse(shorten(name), f"is no member of {self._what}.", code=ErrorCode.UNKNOWN_FIELD)

    def require(self, name: str) -> None:
        """Note a member that is absent, null or an empty text."""
        value = self._values.get(name)
        if value is None or value == "":
            self.refuse(name, "is required.", code=ErrorCode.MISSING_FIELD)

    def has(self, name: str) -> bool:
        """Return whether a member was given, null not counting."""
        return self._values.get(name) is not None

    def read_flag(self, name: str, *, default: bool) -> bool:
        """Read a boolean; absent and null mean the default."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "must be true or false.")
            return default
        return value

    def read_number(self, name: str, *, default: int = 0) -> int:
        """Read a whole number; absent and null mean the default."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "must be a whole number.")
            return default
        return value

    def read_text(self, name: str) -> str:
        """Read a string without the spaces around it; absent and null mean empty."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.refuse(name, "must be a string.")
            return ""
        self.given[name] = value
        return value.strip()

    def read_choice(self, name: str, choices: Sequence[str], *, default: str) -> str:
        """Read one of a few words; absent and null mean the default."""
        text = self.read_text(name) or default
        if text and text not in choices:
            self.refuse(name, f"must be {' or '.join(choices)}.")
            return default
        return text

    def read_duration(self, name: str, *, least: timedelta, most: timedelta) -> timedelta | None:
        """Read ``90d``, ``12h`` or a number of seconds; absent and null mean ``None``."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.refuse(name, "must be a duration such as 90d or 2160h.")
            return None
        try:
            duration = parse_duration(str(value).strip(), field=f"{self._within}{name}")
        except Invalid as problem:
            self.problems.note(problem)
            return None
        if not least <= duration <= most:
            self.refuse(name, f"is {write_duration(duration)}; {_allowed(least, most)}.")
            return None
        return duration

    def read_subject(self, name: str, check: Callable[[str], str], *, most: int) -> tuple[str, ...]:
        """Read a list of subject values."""
        return tuple(self._read_items(name, check, most))

    def read_texts(self, name: str, check: Callable[[str], T], *, most: int = MAX_LISTED) -> tuple[T, ...]:
        """Read a list of strings; repeated values count once."""
        return tuple(dict.fromkeys(self._read_items(name, check, most)))

    def read_listed(self, name: str, check: Callable[[str], T], *, most: int = MAX_LISTED) -> tuple[T, ...]:
        """Read a string of values separated by commas; repeated values count once."""
        items = [item.strip() for item in self.read_text(name).split(",")]
        items = [item for item in items if item]
        if len(items) > most:
            self._refuse_count(name, len(items), most)
            return ()
        read: list[T] = []
        for item in items:
            read += self._check(name, item, check)
        return tuple(dict.fromkeys(read))

    def read_list_or_listed(self, name: str, check: Callable[[str], T], *, most: int = MAX_LISTED) -> tuple[T, ...]:
        """Read values that come as a list, or as a string with commas."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return self.read_texts(name, check, most=most)
        if len(value) > MAX_TEXT:
            self.refuse(name, f"has {len(value)} characters; at most {MAX_TEXT} are allowed.")
            return ()
        return self.read_listed(name, check, most=most)

    def read_key_spec(self, *, allow_p224: bool) -> KeySpec:
        """Read ``key_type`` and ``key_bits``; 0 bits mean the usual size."""
        kind, bits = self.read_text("key_type") or "rsa", self.read_number("key_bits")
        match kind:
            case "rsa":
                sizes, default = tuple(RSA_SIZES), 2048
            case "ec":
                sizes, default = tuple(size for size in EC_CURVES if allow_p224 or size != _DISABLED_CURVE), 256
            case "ed25519":
                return KeySpec(kind="ed25519", bits=0)
            case _:
                self.refuse("key_type", "must be rsa, ec or ed25519.")
                return KeySpec(kind="rsa", bits=2048)
        bits = bits or default
        if bits not in sizes:
            self.refuse("key_bits", f"is {bits}; for key_type {kind} it must be one of {', '.join(map(str, sizes))}.")
        return KeySpec(kind=kind, bits=bits)

    def _read_items(self, name: str, check: Callable[[str], T], most: int) -> list[T]:
        value = self._values.get(name)
        if value is None:
            return []
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.refuse(name, "must be a list of strings.")
            return []
        if len(value) > most:
            self._refuse_count(name, len(value), most)
            return []
        read: list[T] = []
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.refuse(f"{name}[{index}]", "must be a string.")
            else:
                read += self._check(f"{name}[{index}]", item, check)
        return read

    def _refuse_count(self, name: str, count: int, most: int) -> None:
        self.refuse(name, f"has {count} values; at most {most} are allowed.")

    def _check(self, field: str, item: str, check: Callable[[str], T]) -> list[T]:
        try:
            return [check(item)]
        except NameProblem as problem:
            self.refuse(field, f"cannot use `{shorten(item)}`: {problem}.")
            return []


def shorten(text: str) -> str:
    """Return a value for a message: without control characters, and not longer than a line."""
    if len(text) <= _SHOWN_CHARACTERS and text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else "?" for char in text[:_SHOWN_CHARACTERS])
    return shown + ("..." if len(text) > _SHOWN_CHARACTERS else "")


def write_duration(duration: timedelta) -> str:
    """Return a duration as one would send it: ``36h``, ``90s``."""
    seconds = int(duration.total_seconds())
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _allowed(least: timedelta, most: timedelta) -> str:
    return f"at least {write_duration(least)} and at most {write_duration(most)} are allowed"
