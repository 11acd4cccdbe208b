"""Read the members of ``managed_csr`` one by one, noting every broken rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from strongroom.kernel.errors import ErrorCode, Problems
from strongroom.pki.names import NameProblem

T = TypeVar("T")

PREFIX: Final = "managed_csr"
MAX_SUBJECT_VALUES: Final = 10
MAX_LISTED: Final = 100
_SHOWN_CHARACTERS: Final = 80


class Values:
    """The members as they were sent, with the strings kept as given."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self.problems = Problems()
        self.given: dict[str, str] = {}

    def refuse(self, name: str, detail: str, *, code: ErrorCode = ErrorCode.INVALID_FIELD) -> None:
        """Note that a member breaks a rule; the message begins with the member's name."""
        field = f"{PREFIX}.{name}"
        self.problems.add(field, f"{field} {detail}", code=code)

    def refuse_unknown(self, known: frozenset[str]) -> None:
        """Note every member that does not exist."""
        for name in self._values:
            if name not in known:
                self.refuse(shorten(name), "is no member of a managed CSR.", code=ErrorCode.UNKNOWN_FIELD)

    def read_flag(self, name: str, *, default: bool) -> bool:
        """Read a boolean; absent and null mean the default."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "must be true or false.")
            return default
        return value

    def read_number(self, name: str) -> int:
        """Read a whole number; absent and null mean 0."""
        value = self._values.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "must be a whole number.")
            return 0
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

    def read_subject(self, name: str, check: Callable[[str], str]) -> tuple[str, ...]:
        """Read a list of subject values."""
        value = self._values.get(name)
        if value is None:
            return ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.refuse(name, "must be a list of strings.")
            return ()
        if len(value) > MAX_SUBJECT_VALUES:
            self.refuse(name, f"has {len(value)} values; at most {MAX_SUBJECT_VALUES} are allowed.")
            return ()
        read = []
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.refuse(f"{name}[{index}]", "must be a string.")
            else:
                read += self._check(f"{name}[{index}]", item, check)
        return tuple(read)

    def read_listed(self, name: str, check: Callable[[str], T]) -> tuple[T, ...]:
        """Read a string of values separated by commas; repeated values count once."""
        items = [item.strip() for item in self.read_text(name).split(",")]
        items = [item for item in items if item]
        if len(items) > MAX_LISTED:
            self.refuse(name, f"has {len(items)} values; at most {MAX_LISTED} are allowed.")
            return ()
        read: list[T] = []
        for item in items:
            read += self._check(name, item, check)
        return tuple(dict.fromkeys(read))

    def _check(self, field: str, item: str, check: Callable[[str], T]) -> list[T]:
        try:
            return [check(item)]
        except NameProblem as problem:
            self.refuse(field, f"cannot use `{shorten(item)}`: {problem}.")
            return []


def shorten(text: str) -> str:
    """Return a value for a message: without control characters, and not longer than a line."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:_SHOWN_CHARACTERS])
    return shown + ("..." if len(text) > _SHOWN_CHARACTERS else "")
