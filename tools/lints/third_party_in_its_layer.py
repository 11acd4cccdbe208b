"""Each layer uses the third-party packages that are its own, and no others.

import-linter keeps the arrows between our own packages; for foreign ones it only knows lists of what is
forbidden, which forget what is added later. This is the list of what is allowed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from tools.lints.model import Finding, Module, report

NAME = "third_party_in_its_layer"
_STANDARD = sys.stdlib_module_names | {"strongroom"}

ALLOWED: Mapping[str, frozenset[str]] = {
    "__init__": frozenset(),
    "kernel": frozenset(),
    "pki": frozenset({"cryptography"}),
    "domain": frozenset(),
    "engines": frozenset({"acme", "cryptography", "josepy", "publicsuffixlist", "requests"}),
    "net": frozenset({"cryptography", "httpcore2", "httpx2", "requests"}),
    "dns": frozenset({"dns", "lexicon"}),
    "notify": frozenset({"apprise"}),
    "hsm": frozenset({"cryptography", "pkcs11"}),
    "sealing": frozenset({"argon2", "cryptography", "joserfc"}),
    "storage": frozenset({"alembic", "psycopg", "psycopg_pool", "sqlalchemy"}),
    "api": frozenset({"anyio", "msgspec", "prometheus_client", "pydantic", "pydantic_core"}),
    "runtime": frozenset(
        {
            "anyio",
            "cryptography",
            "msgspec",
            "pkilint",
            "prometheus_client",
            "pydantic",
            "uvicorn",
            "uvloop",
        }
    ),
    "cli": frozenset({"click", "jmespath", "yaml"}),
}


def check(module: Module) -> Iterator[Finding]:
    """Yield imports of packages that belong to another layer, and layers that nobody described."""
    allowed = ALLOWED.get(module.layer)
    if allowed is None:
        yield report(NAME, module, 1, f"{module.layer} is a new layer: add what it may import to {__name__}")
        return
    for line, name in module.imports():
        package = name.partition(".")[0]
        if package not in _STANDARD and package not in allowed:
            permitted = ", ".join(sorted(allowed)) or "the standard library alone"
            yield report(NAME, module, line, f"{package} does not belong in {module.layer} ({permitted})")
