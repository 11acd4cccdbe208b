"""Which names an order may hold. Source: contract domain section 4.2."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from strongroom.kernel.errors import ErrorCode, Problems
from strongroom.kernel.value import value
from strongroom.pki.members import shorten
from strongroom.pki.names import NameProblem, check_host, is_address

MOST_COMMON_NAME: Final = 64
"""Bytes. Source: RFC 5280 appendix A (ub-common-name)."""
_WILDCARD: Final = "*."

# Numbers of the reference. Source: contract domain section 4.6.
_NO_DOMAIN: Final = "07105"
_TOO_LONG: Final = "07106"
_REPEATED: Final = "07108"
_COVERED: Final = "07109"


@value
class OrderNames:
    """The names of a certificate, lower case, international ones as A-labels.

    Attributes:
        common_name: as asked for; ``None`` leaves the choice to the CA.
        alt_names: without the common name.
    """

    common_name: str | None
    alt_names: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Return every name, the common name first."""
        return (*([self.common_name] if self.common_name else []), *self.alt_names)

    @property
    def subject(self) -> str | None:
        """Return what the certificate's common name shall be: without one, the first that is short enough."""
        return self.common_name or next((name for name in self.alt_names if len(name) <= MOST_COMMON_NAME), None)


def check_names(problems: Problems, common_name: str | None, alt_names: Sequence[str], *, most: int) -> OrderNames:
    """Read the names of an order; broken rules go to ``problems``.

    Args:
        problems: where they are noted.
        common_name: of the request.
        alt_names: of the request.
        most: names in all.
    """
    given = [("common_name", common_name)] if common_name else []
    given += [(f"alt_names[{index}]", name) for index, name in enumerate(alt_names)]
    if not given:
        problems.add(
            "common_name",
            "common_name or alt_names must name at least one domain.",
            code=ErrorCode.MISSING_FIELD,
        )
    if len(given) > most:
        problems.add(
            "alt_names", f"A certificate has at most {most} names; common_name and alt_names hold {len(given)}."
        )
        return OrderNames(common_name=None, alt_names=())
    read: dict[str, str] = {}
    for field, text in given:
        name = _read(problems, field, text or "")
        if name is None:
            continue
        if name in read:
            problems.add(
                field,
                f"{field} repeats {shorten(name)}, which {read[name]} holds; name each domain once.",
                reference_code=_REPEATED,
            )
        else:
            read[name] = field
    for name, field in read.items():
        _check_covered(problems, name, field, read)
    if common_name and (known := next(iter(read), None)) is not None and read[known] == "common_name":
        if len(known) > MOST_COMMON_NAME:
            problems.add(
                "common_name",
                f"common_name has at most {MOST_COMMON_NAME} characters; it has {len(known)}. Put longer names into "
                "alt_names and leave common_name out.",
                reference_code=_TOO_LONG,
            )
        return OrderNames(common_name=known, alt_names=tuple(list(read)[1:]))
    return OrderNames(common_name=None, alt_names=tuple(read))


def names_key(names: Sequence[str]) -> str:
    """Return a text that is the same for the same set of names, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode()).hexdigest()


def _read(problems: Problems, field: str, text: str) -> str | None:
    try:
        if is_address(text.strip()):
            raise NameProblem("public certificates hold domain names, no IP addresses")
        name = check_host(text.strip()).lower()
        bare = name.removeprefix(_WILDCARD)
        if "." not in bare:
            raise NameProblem("a public certificate is for a domain with at least one dot, such as www.example.com")
        if "_" in bare:
            raise NameProblem("public certificates hold no names with an underscore")
    except NameProblem as problem:
        problems.add(field, f"{field}: {shorten(text)} cannot be used: {problem}.", reference_code=_NO_DOMAIN)
        return None
    return name


def _check_covered(problems: Problems, name: str, field: str, read: dict[str, str]) -> None:
    if name.startswith(_WILDCARD):
        return
    wildcard = _WILDCARD + name.partition(".")[2]
    if wildcard in read:
        problems.add(
            field,
            f"{field}: {shorten(name)} is covered by {shorten(wildcard)} of {read[wildcard]} already; remove one of "
            "the two.",
            reference_code=_COVERED,
        )
