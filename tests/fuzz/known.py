"""What a run knows of the server: things that paths and bodies can name, and requests that are right."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

_FIRST: Final = 0.6
_NEWEST: Final = 11


@dataclass(frozen=True)
class Known:
    """What requests can name; grows during a run.

    Attributes:
        by_place: by the part of the path before it, by the name of a parameter or member, or by an operation's label
            and the name, for parameters that only some of the things suit.
    """

    by_place: dict[str, list[str]] = field(default_factory=dict)
    _settled: dict[str, int] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything."""
        self.by_place.clear()
        self._settled.clear()

    def settle(self) -> None:
        """Keep what is known by now, whatever is added."""
        self._settled.update({place: len(known) for place, known in self.by_place.items()})

    def add(self, place: str, *values: str) -> None:
        """Note values; beside those that are kept, the newest stay."""
        known = self.by_place.setdefault(place, [])
        known.extend(value for value in values if value not in known)
        if self._settled:
            del known[self._settled.get(place, 1) : -_NEWEST]

    def at(self, place: str) -> list[str]:
        """Return what is known there."""
        return self.by_place.get(place, [])

    def choose(self, place: str, chance: random.Random) -> str | None:
        """Return one of what is known there; most often the first, which everything else was made for."""
        known = self.at(place)
        if not known:
            return None
        return known[0] if chance.random() < _FIRST else chance.choice(known)

    def forget(self, value: str) -> None:
        """Note that something is gone."""
        for place, known in self.by_place.items():
            if value in known:
                if known.index(value) < self._settled.get(place, 0):
                    self._settled[place] -= 1
                known.remove(value)


@dataclass(frozen=True)
class Seed:
    """A request that is accepted.

    Attributes:
        body: JSON, or the text of an OCSP request in Base64.
        form: the body is sent as a form, not as JSON.
    """

    method: str
    path: str
    body: Any = None
    form: bool = False
