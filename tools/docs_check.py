"""Check the documentation: links inside the project lead somewhere, code blocks name their language."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("*.md", "docs/**/*.md", "changelog.d/*.md")
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")


def documents(root: Path) -> list[Path]:
    """Return every page, once, in a stable order."""
    return sorted({path for pattern in PLACES for path in root.glob(pattern)})


def check_page(path: Path, root: Path) -> Iterator[str]:
    """Yield what is wrong on one page, as ``path:line: message``."""
    name = path.relative_to(root).as_posix()
    fence = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            continue
        if mark:
            fence = mark[1]
            if not mark[2].strip():
                yield f"{name}:{number}: a code block must name its language (text if it has none)"
            continue
        # A link inside code is an example.
        for target in _LINK.findall(re.sub(r"`[^`]*`", "", line)):
            problem = check_link(target, path, root)
            if problem:
                yield f"{name}:{number}: {problem}"
    if fence:
        yield f"{name}: a code block is never closed"


def check_link(target: str, page: Path, root: Path) -> str | None:
    """Return what is wrong with a link, or ``None``; links to other sites are not followed."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    place, _, anchor = target.partition("#")
    file = (page.parent / unquote(place)).resolve() if place else page
    if not file.exists() or not file.is_relative_to(root):
        return f"the link to {target} leads nowhere"
    if anchor and file.suffix == ".md" and anchor not in anchors(file):
        return f"{place or page.name} has no heading for #{anchor}"
    return None


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get on the usual hosts."""
    found: dict[str, int] = {}
    result = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        match = _HEADING.match(line)
        if match:
            slug = re.sub(r"[^\w\- ]", "", match[1].lower()).replace(" ", "-")
            seen = found.get(slug, 0)
            found[slug] = seen + 1
            result.add(f"{slug}-{seen}" if seen else slug)
    return result


def main() -> int:
    """Print every problem; fail if there is one."""
    problems = [problem for page in documents(ROOT) for problem in check_page(page, ROOT)]
    print("\n".join(problems) if problems else f"{len(documents(ROOT))} pages are sound")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
