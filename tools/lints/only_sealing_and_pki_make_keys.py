"""Only ``sealing/`` and ``pki/keys.py`` make key material, so that two places answer for its quality.

Asking those two for a key is what everybody else does. Choosing (``secrets.choice``) and jitter are no keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.lints.model import Finding, Module, report

NAME = "only_sealing_and_pki_make_keys"
_ALLOWED = ("sealing/", "pki/keys.py")
_IDENTIFIERS = "kernel/ids.py"
"""Identifiers of things are random, and no keys."""
_NAMES = frozenset(
    {
        "os.getrandom",
        "os.urandom",
        "secrets.randbits",
        "secrets.token_bytes",
        "secrets.token_hex",
        "secrets.token_urlsafe",
    }
)
_METHODS = frozenset({"generate_key", "generate_private_key"})
_KEY_CLASSES = ("PrivateKey", "OctKey", "RSAKey", "ECKey", "OKPKey", "Fernet")


def check(module: Module) -> Iterator[Finding]:
    """Yield random bytes and key generation elsewhere."""
    if module.lies_in(*_ALLOWED, _IDENTIFIERS):
        return
    for line, name in module.references():
        if name.startswith("strongroom."):
            continue
        owner, _, method = name.rpartition(".")
        makes_key = method in _METHODS or (method == "generate" and owner.endswith(_KEY_CLASSES))
        if name in _NAMES or makes_key:
            yield report(NAME, module, line, f"{name} is used outside {' and '.join(_ALLOWED)}")
