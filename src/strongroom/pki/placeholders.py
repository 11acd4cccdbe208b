"""Facts about the caller inside the allowed domains of a template.

Written ``{{iam_id}}``, ``{{name}}``, ``{{email}}`` or ``{{secret_group_id}}``; Vault's ``{{identity.entity.id}}`` and
``{{identity.entity.name}}`` mean the first two. A fact goes in as it is, dots included: with ``allow_subdomains`` a
lone ``{{name}}`` gives whoever is called ``com`` every name below ``.com``, so callers should not choose their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from strongroom.pki.names import NameProblem

FACTS: Final = ("iam_id", "name", "email", "secret_group_id")

_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")
_VAULT_WORDS: Final = {"identity.entity.id": "iam_id", "identity.entity.name": "name"}
# No `*`, so that nobody brings a glob along, and no braces.
_USABLE: Final = re.compile(r"[A-Za-z0-9._@-]{1,253}")


def fill(entry: str, caller: Mapping[str, str]) -> str:
    """Return an allowed domain with its placeholders filled.

    The result is empty, and so allows nothing, if a fact is unknown or is no text of letters, digits and ``.-_@``.
    """
    facts = {word: caller.get(_find_fact(word), "") for word in _PLACEHOLDER.findall(entry)}
    if not all(_USABLE.fullmatch(fact) for fact in facts.values()):
        return ""
    return _PLACEHOLDER.sub(lambda found: facts[found[1]], entry)


def check(entry: str) -> None:
    """Check that every placeholder of an allowed domain is known.

    Raises:
        NameProblem: if one is not.
    """
    for word in _PLACEHOLDER.findall(entry):
        if not _find_fact(word):
            known = ", ".join(f"{{{{{fact}}}}}" for fact in FACTS)
            raise NameProblem(f"its placeholder is none of {known}")
    if re.search(r"\{\{|\}\}", _PLACEHOLDER.sub("", entry)):
        raise NameProblem("its double braces do not pair")


def _find_fact(word: str) -> str:
    fact = _VAULT_WORDS.get(word.strip(), word.strip())
    return fact if fact in FACTS else ""
