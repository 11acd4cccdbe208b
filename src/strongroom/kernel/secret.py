"""Values that do not show themselves, and texts without those that somebody put in the wrong place."""

from __future__ import annotations

import re
from typing import Final, Generic, NoReturn, TypeVar

T = TypeVar("T")

STARS: Final = "***"
_SECRET_TEXT: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\bsr_[\w-]{20,}"
    r"|(?<=[Bb]earer )[^\s\"']{8,}",
    re.DOTALL,
)


def scrub(text: str) -> str:
    """Return the text without anything that looks like a private key, a token or an API key."""
    return _SECRET_TEXT.sub(STARS, text)


class Secret(Generic[T]):
    """Hold a secret value so that printing, logging, pickling or formatting cannot leak it."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value; every call is a place to review."""
        return self._value

    def __repr__(self) -> str:
        """Return stars."""
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        """Return stars whatever the format."""
        return "***"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        message = "a Secret cannot be pickled"
        raise TypeError(message)
