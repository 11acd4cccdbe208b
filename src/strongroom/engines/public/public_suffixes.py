"""Which registered domain a name belongs to, by the list of public suffixes. Source: https://publicsuffix.org.

The list comes with the library, and is read when it is first asked for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def registered_domain(name: str) -> str:
    """Return the part of a name that somebody registered: the public suffix and one label.

    Args:
        name: lower case, A-labels, without ``*.``.

    Returns:
        The name itself if it is a public suffix.
    """
    found = _list().privatesuffix(name)
    return name if found is None else str(found)


@cache
def _list() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
