"""Value objects that are quick to make.

A frozen dataclass is three times as slow to make as a plain one, because it sets each member around its own
guard. A read of a secret makes a dozen of them, so here the type checker is the guard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a class of named members: nobody changes them, it compares by them and hashes by them."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
