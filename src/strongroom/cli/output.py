"""Turn an answer into text: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from strongroom.cli.errors import CommandError, Exit


class Format(StrEnum):
    """The forms that a result can have."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


_GAP = "   "
# Everything that could move the cursor or recolour a terminal; names and descriptions come from other people.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def apply_query(expression: str, data: Any) -> Any:
    """Return what a JMESPath expression finds.

    Raises:
        CommandError: the expression does not compile, or does not fit the data.
    """
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.search(expression, data)
    except JMESPathError as error:
        first = str(error).splitlines()[0]
        detail = f"The query cannot be used: {first}"
        hint = "Quote it for the shell, for example: -j 'secrets[*].name'"
        raise CommandError(detail, exit_code=Exit.USAGE, field="--jmes-query", hint=hint) from error


def render(data: Any, form: Format, *, star: bool = False) -> str:
    """Return the text for stdout, with its last newline, or nothing for an empty result.

    Args:
        data: the answer, or what a query left of it.
        form: how to print it.
        star: sort the columns of a list, ids and names first; otherwise they stand in the order of the data.
    """
    # A lone surrogate, legal as an escape in JSON, cannot be printed.
    return _text(data, form, star=star).encode("utf-8", "replace").decode()


def _text(data: Any, form: Format, *, star: bool) -> str:
    if form is Format.JSON:
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    if form is Format.YAML:
        import yaml

        return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=4096))
    text = _table(data, star=star)
    return text if not text or text.endswith("\n") else text + "\n"


def safe(text: str) -> str:
    """Return text whose control characters are spelled out, so that it cannot drive a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


def _table(data: Any, *, star: bool) -> str:
    if data is None:
        return ""
    if isinstance(data, Mapping):
        return _object(data)
    if isinstance(data, list):
        if data and all(isinstance(item, Mapping) for item in data):
            return _rows(data, _columns(data, star=star))
        return "\n".join(_cell(item) for item in data)
    return _scalar(data)


def _object(data: Mapping[str, Any]) -> str:
    """Return two columns, and texts of several lines in full below them."""
    short: list[tuple[str, str]] = []
    long: list[tuple[str, str]] = []
    for key, value in _flattened(data):
        text = _cell(value) if not isinstance(value, str) else safe(value)
        (long if "\n" in text else short).append((safe(key), text))
    width = max((len(key) for key, _ in short), default=0)
    lines = [f"{key.ljust(width)}{_GAP}{text}".rstrip() for key, text in short]
    for key, text in long:
        lines += ["", f"{key}:", text.removesuffix("\n")]
    return "\n".join(lines).lstrip("\n")


def _flattened(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _columns(rows: Sequence[Mapping[str, Any]], *, star: bool) -> list[str]:
    names = list(dict.fromkeys(key for row in rows for key in row))
    if not star:
        return names
    first = [name for name in ("id", "name") if name in names]
    rest = sorted(name for name in names if name not in first)
    ids = [name for name in rest if name.endswith(("_id", "_name"))]
    return first + ids + [name for name in rest if name not in ids]


def _rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    cells = [list(map(safe, columns))] + [
        [_cell(row.get(name)).replace("\n", "\\n") for name in columns] for row in rows
    ]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join(
        _GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list):
        if isinstance(value, list) and all(isinstance(item, str) and "," not in item for item in value):
            return safe(", ".join(value))
        return safe(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return safe(_scalar(value))


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
