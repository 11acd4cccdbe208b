"""Rules that hold for every type: names, descriptions, labels, metadata objects.

Source: contract domain section 2.7; the name pattern is the linear form of the published one
(api-v2 section 1.4), matched whole so that a trailing newline fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from strongroom.domain.limits import Limits
from strongroom.kernel.errors import Problems

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*[A-Za-z0-9]")
LOCK_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9\-_.]{1,63}")
SECRET_NAME_LENGTHS: Final = (2, 256)
GROUP_NAME_LENGTHS: Final = (2, 64)
CONFIGURATION_NAME_LENGTHS: Final = (2, 128)
LABEL_LENGTHS: Final = (2, 64)
DESCRIPTION_MAX: Final = 1024
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_name(problems: Problems, name: str, *, field: str = "name", lengths: tuple[int, int]) -> None:
    """Check a secret's or group's name."""
    low, high = lengths
    if not low <= len(name) <= high:
        problems.add(field, f"{field} must have {low} to {high} characters; it has {len(name)}.")
    elif NAME.fullmatch(name) is None:
        problems.add(
            field,
            f"{field} may hold letters, digits, '_', '-' and '.', starts with a letter, digit or '_' "
            "and ends with a letter or digit.",
        )


def check_description(problems: Problems, text: str, *, field: str = "description") -> None:
    """Check a description."""
    if len(text) > DESCRIPTION_MAX:
        problems.add(field, f"{field} must have at most {DESCRIPTION_MAX} characters; it has {len(text)}.")
    elif _CONTROL.search(text):
        problems.add(field, f"{field} must not hold control characters.")


def check_labels(problems: Problems, labels: Sequence[str], limits: Limits) -> None:
    """Check the labels of a secret."""
    low, high = LABEL_LENGTHS
    if len(labels) > limits.labels:
        problems.add("labels", f"labels may hold at most {limits.labels} items; it has {len(labels)}.")
    for index, label in enumerate(labels[: limits.labels]):
        if not low <= len(label) <= high:
            problems.add(f"labels[{index}]", f"A label must have {low} to {high} characters; it has {len(label)}.")
        elif _CONTROL.search(label) or "\n" in label:
            problems.add(f"labels[{index}]", "A label must not hold line breaks or control characters.")


def check_metadata(problems: Problems, value: Mapping[str, Any] | None, *, field: str, limit: int) -> None:
    """Check the size of a free JSON object."""
    if value is None:
        return
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if size > limit:
        problems.add(field, f"{field} must take at most {limit} bytes as JSON; it takes {size}.")


def check_lock_name(problems: Problems, name: str, *, field: str) -> None:
    """Check a lock's name."""
    if LOCK_NAME.fullmatch(name) is None:
        problems.add(
            field,
            "A lock name has 2 to 64 characters, starts with a letter and holds letters, digits, '-', '_' and '.'.",
        )
