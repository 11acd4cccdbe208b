"""Files that are written by a program and committed, and the check that they are up to date.

``python -m tools.generated`` names the files that drifted; ``--write`` renews them. To add one, put its path
and a function that returns its whole text into `GENERATED`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Producer = Callable[[], str]


def adr_index() -> str:
    """Return ``docs/adr/README.md``: how decisions are kept, and a list of them."""
    folder = ROOT / "docs" / "adr"
    lines = [
        "# Decisions",
        "",
        "One file per decision that a newcomer would otherwise question: a new runtime dependency, a changed rule of",
        "layering, a deviation from a standard or from the compatible API. Ten lines are enough; start from",
        "[the template](0000-template.md). A decision is never edited into another one: a later file supersedes it.",
        "",
        "`make fix` renews this list.",
        "",
    ]
    for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]-*.md")):
        if path.name != "0000-template.md":
            title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
            lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def openapi_snapshot() -> str:
    """Return ``docs/reference/openapi.json``: what the server shows at ``/openapi.json``."""
    from strongroom import __version__
    from strongroom.api.openapi import OpenApiDocument
    from strongroom.api.tables import OPERATIONS

    return OpenApiDocument(OPERATIONS, __version__).snapshot()


def cli_page() -> str:
    """Return ``docs/reference/cli.md``."""
    from tools.reference import cli_reference

    return cli_reference()


def roles_page() -> str:
    """Return ``docs/reference/roles.md``."""
    from tools.reference import roles_reference

    return roles_reference()


def sqlite_statements() -> str:
    """Return ``src/strongroom/storage/compiled/sqlite.json``."""
    from tools.compiled_statements import compiled_statements

    return compiled_statements("sqlite")


def postgresql_statements() -> str:
    """Return ``src/strongroom/storage/compiled/postgresql.json``."""
    from tools.compiled_statements import compiled_statements

    return compiled_statements("postgresql")


GENERATED: Mapping[str, Producer] = {
    "src/strongroom/storage/compiled/postgresql.json": postgresql_statements,
    "src/strongroom/storage/compiled/sqlite.json": sqlite_statements,
    "docs/adr/README.md": adr_index,
    "docs/reference/cli.md": cli_page,
    "docs/reference/openapi.json": openapi_snapshot,
    "docs/reference/roles.md": roles_page,
}


def drifted(root: Path, generated: Mapping[str, Producer]) -> list[str]:
    """Return the paths whose content is not what their producer returns."""
    found = []
    for name, produce in generated.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != produce():
            found.append(name)
    return found


def write(root: Path, generated: Mapping[str, Producer]) -> None:
    """Renew every file that drifted."""
    for name in drifted(root, generated):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated[name](), encoding="utf-8")
        print(f"wrote {name}")


def main(arguments: Sequence[str]) -> int:
    """Check, or with ``--write`` renew."""
    if list(arguments) == ["--write"]:
        write(ROOT, GENERATED)
        return 0
    if arguments:
        print("usage: python -m tools.generated [--write]", file=sys.stderr)
        return 2
    stale = drifted(ROOT, GENERATED)
    for name in stale:
        print(f"{name} is not up to date: run 'make fix' and commit it")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
