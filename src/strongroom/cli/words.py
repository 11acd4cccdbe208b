"""Tidy the words of a command line before click reads them.

Scripts written for the reference plug-in spell options with underscores, give booleans as two words, and expand PEM
text without quotes so that the shell tears it into dozens of words. All of that is put right here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,64}?)-----(.*?)-----END \1-----", re.DOTALL)
_BOOLEANS = frozenset({"true", "false", "t", "f", "1", "0", "yes", "no"})
_DURATION = re.compile(r"[0-9]{1,9}[smhd]?")
DEFAULT_DURATION = "10m"
"""Of an option that stands alone and could carry another."""
_LINE = 64

PREFIXES = (("ibmcloud", "secrets-manager"), ("ibmcloud", "sm"), ("secrets-manager",), ("sm",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the options of one command take their values.

    Attributes:
        valued: spellings of options whose next word is their value.
        flags: spellings of options that never take a value.
        booleans: spellings of options that may stand alone or carry true or false.
        durations: spellings of options that may stand alone or carry a duration.
        pem: spellings of options whose value may have been torn apart.
        renamed: other spellings, each with the one that stands in the sets above.
        lone: option that a single word without one belongs to; empty for commands that have none.
        lone_body: option that such a word belongs to if it is a JSON object.
    """

    valued: frozenset[str]
    flags: frozenset[str]
    booleans: frozenset[str]
    pem: frozenset[str]
    durations: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    lone: str = ""
    lone_body: str = ""

    @property
    def known(self) -> frozenset[str]:
        """Return every spelling."""
        return self.valued | self.flags | self.booleans | self.pem | self.durations


def drop_prefix(words: Sequence[str]) -> list[str]:
    """Return the words without the original program's name before them."""
    for prefix in PREFIXES:
        if tuple(words[: len(prefix)]) == prefix:
            return list(words[len(prefix) :])
    return list(words)


def tidy(words: Sequence[str], shape: Shape, *, until_command: bool = False) -> list[str]:
    """Return the words in the one spelling that click reads without doubt.

    Every option with a value becomes ``--name=value``, so that a value may begin with a dash.

    Args:
        words: what the shell passed.
        shape: the options of the command.
        until_command: stop at the first word that is no option, and keep the rest as it is.
    """
    done: list[str] = []
    loose: list[int] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" or (until_command and not word.startswith("-")):
            return [*done, word, *rest]
        name, given, value = _split(word, shape)
        if name is None:
            loose += [] if word.startswith("-") else [len(done)]
            done.append(word)
        elif name in shape.pem:
            pieces = [value] if given else []
            while rest and not _is_option(rest[0], shape):
                pieces.append(rest.pop(0))
            done += _joined(name, join_pem(pieces)) if pieces else [name]
        elif name in shape.booleans | shape.durations:
            done += _joined(name, value if given else _value_or_default(name, rest, shape))
        elif name in shape.valued and (given or rest):
            done += _joined(name, value if given else rest.pop(0))
        else:
            done.append(f"{name}={value}" if given else name)
    return _with_lone_word(done, loose, shape)


def _with_lone_word(done: list[str], loose: Sequence[int], shape: Shape) -> list[str]:
    """Put the option before a single word that has none; scripts leave it out."""
    if len(loose) != 1:
        return done
    word = done[loose[0]]
    option = shape.lone_body if word.startswith("{") else shape.lone
    if not option or any(other.startswith(f"{option}=") for other in done):
        return done
    return [*done[: loose[0]], f"{option}={word}", *done[loose[0] + 1 :]]


def _value_or_default(name: str, rest: list[str], shape: Shape) -> str:
    """Take the next word if it can be the value of an option that may stand alone."""
    following = rest[0] if rest else ""
    if name in shape.booleans:
        return rest.pop(0) if following.lower() in _BOOLEANS else "true"
    return rest.pop(0) if _DURATION.fullmatch(following) else DEFAULT_DURATION


def _joined(name: str, value: str) -> list[str]:
    # click knows -j=value only as the value "=value"; two words are right for short options.
    return [f"{name}={value}"] if name.startswith("--") else [name, value]


def _split(word: str, shape: Shape) -> tuple[str | None, bool, str]:
    """Return the option's name in its known spelling, whether a value is attached, and that value."""
    if not word.startswith("-") or word == "-":
        return None, False, ""
    name, given, value = word.partition("=")
    for spelling in (name, name.replace("_", "-")):
        found = shape.renamed.get(spelling, spelling)
        if found in shape.known:
            return found, bool(given), value
    return None, False, ""


def _is_option(word: str, shape: Shape) -> bool:
    return not word.startswith("-----") and _split(word, shape)[0] is not None


def join_pem(pieces: Sequence[str]) -> str:
    """Return PEM text from the words that a shell made of it.

    A single word is returned as it is: PEM text is stored byte for byte. Several words are put together and each
    block is written anew with lines of 64 characters; text between blocks is dropped. Words that hold no complete
    block are joined with blanks and left to the check of the value.
    """
    if len(pieces) == 1:
        return pieces[0]
    text = " ".join(pieces)
    blocks = []
    for label, body in _BLOCK.findall(re.sub(r"\s+", " ", text)):
        packed = "".join(body.split())
        lines = [packed[start : start + _LINE] for start in range(0, len(packed), _LINE)]
        blocks.append("\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]))
    return "".join(blocks) or text
