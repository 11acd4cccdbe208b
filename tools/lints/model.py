"""What a rule sees of a module, and what it reports."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

_ALLOWED = re.compile(r"#\s*lint: allow (?P<rule>[a-z_]+): (?P<reason>\S.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken rule."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        """Return the line an editor can jump to."""
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Module:
    """One parsed source file.

    Attributes:
        path: below ``src/strongroom``, with slashes (``storage/writer.py``).
        source: its text.
        tree: its syntax.
    """

    path: str
    source: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, source: str) -> Module:
        """Parse a source text."""
        return cls(path=path, source=source, tree=ast.parse(source, filename=path))

    @property
    def layer(self) -> str:
        """Return the first folder, or the module's own name at the top (``__init__``)."""
        return PurePosixPath(self.path).parts[0].removesuffix(".py")

    def lies_in(self, *places: str) -> bool:
        """Tell whether the module is one of these files or in one of these folders (``storage/``)."""
        return any(self.path == place or (place.endswith("/") and self.path.startswith(place)) for place in places)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Return the full dotted name of everything the module imports, by its local name."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    # `import a.b` binds `a`; `import a.b as c` binds the whole.
                    local = name.asname or name.name.partition(".")[0]
                    found[local] = name.name if name.asname else local
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for name in node.names:
                    found[name.asname or name.name] = f"{node.module}.{name.name}"
        return found

    def dotted(self, node: ast.expr) -> str | None:
        """Return the full dotted name that an expression refers to, through the module's imports."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])

    def imports(self) -> Iterator[tuple[int, str]]:
        """Yield line and full dotted name of every import, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield node.lineno, name.name
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for name in node.names:
                    yield node.lineno, f"{node.module}.{name.name}"

    def references(self) -> Iterator[tuple[int, str]]:
        """Yield line and full dotted name of every name and attribute chain that is used."""
        inner: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute):
                inner.add(id(node.value))
            if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
                name = self.dotted(node)
                if name:
                    yield node.lineno, name

    def calls(self) -> Iterator[ast.Call]:
        """Yield every call."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node

    def is_allowed(self, finding: Finding) -> bool:
        """Tell whether the line or the one above carries ``# lint: allow <rule>: <reason>``."""
        lines = self.source.splitlines()
        near = lines[max(0, finding.line - 2) : finding.line]
        return any(match["rule"] == finding.rule for line in near if (match := _ALLOWED.search(line)))


def report(rule: str, module: Module, line: int, message: str) -> Finding:
    """Make a finding in a module."""
    return Finding(path=f"src/strongroom/{module.path}", line=line, rule=rule, message=message)


def is_within(name: str, prefixes: tuple[str, ...]) -> bool:
    """Tell whether a dotted name is one of these or below one of these."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


Rule = Callable[[Module], Iterator[Finding]]
"""The ``check`` of one rule."""
