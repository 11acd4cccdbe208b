"""A value that does not show itself."""

from __future__ import annotations

from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


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
