"""Read the code blocks of a page, and run them as a reader would: in order, in one shell.

A ``sh`` or ``python`` block is run. A ``text`` block shows what the block before it printed: ``...`` stands for any
text inside a line, and on a line of its own for any number of lines. Runs of blanks count as one.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUN = ("sh", "python")
OUTPUT = "text"
_FENCE = re.compile(r"^(`{3,})(\S*)\s*$")
_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One code block.

    Attributes:
        language: the word after the fence.
        line: where it starts on the page.
        code: its text.
    """

    language: str
    line: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A block to run, and what it must print if the page says so."""

    place: str
    block: Block
    expected: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run of several steps printed."""

    exit_code: int
    outputs: tuple[str, ...]


def read_blocks(text: str) -> list[Block]:
    """Return the code blocks of a page in their order."""
    found: list[Block] = []
    fence, language, start, lines = "", "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if not fence and mark:
            fence, language, start, lines = mark[1], mark[2], number, []
        elif fence and line.rstrip() == fence:
            found.append(Block(language=language, line=start, code="\n".join(lines) + "\n"))
            fence = ""
        elif fence:
            lines.append(line)
    return found


def read_steps(page: Path, *, name: str, strict: bool = True) -> list[Step]:
    """Return what a page has people run.

    Args:
        page: the file.
        name: how failures call it.
        strict: every block must be run or be an output; otherwise blocks of other languages are passed over.

    Raises:
        ValueError: a block is neither run nor the output of one.
    """
    steps: list[Step] = []
    may_show = False
    for block in read_blocks(page.read_text(encoding="utf-8")):
        place = f"{name}:{block.line}"
        if block.language in RUN:
            steps.append(Step(place=place, block=block, expected=None))
            may_show = True
        elif block.language == OUTPUT and may_show:
            last = steps.pop()
            steps.append(Step(place=last.place, block=last.block, expected=block.code))
            may_show = False
        elif strict or block.language == OUTPUT:
            message = f"{place}: a block of language '{block.language}' is not run, and no output of one that is"
            raise ValueError(message)
    return steps


def run_steps(steps: Sequence[Step], *, folder: Path, environment: Mapping[str, str]) -> Outcome:
    """Run the steps in one bash; it stops at the first command that fails."""
    scripts = folder / ".steps"
    scripts.mkdir()
    lines = ["set -euo pipefail"]
    for index, step in enumerate(steps):
        lines.append(f"exec >{shlex.quote(str(scripts / f'{index}.out'))} 2>&1")
        if step.block.language == "python":
            program = scripts / f"{index}.py"
            program.write_text(step.block.code, encoding="utf-8")
            lines.append(f"python3 {shlex.quote(str(program))}")
        else:
            lines.append(step.block.code)
    whole = scripts / "page.sh"
    whole.write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        ["/bin/bash", str(whole)],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    outputs = []
    for index in range(len(steps)):
        output = scripts / f"{index}.out"
        if not output.exists():
            break
        outputs.append(output.read_text(encoding="utf-8", errors="replace"))
    return Outcome(exit_code=done.returncode, outputs=tuple(outputs) or (done.stderr.decode(errors="replace"),))


def is_shown(expected: str, printed: str) -> bool:
    """Return whether a page tells the truth about an output."""
    pattern = ""
    for line in _lines(expected):
        if line == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.strip().splitlines()]
