"""Which key is meant: ``crypto_key`` of a configuration, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from strongroom.kernel.errors import Problems
from strongroom.kernel.ids import SecretId
from strongroom.kernel.value import value

PROVIDER: Final = "pkcs11"
_MAX_LABEL: Final = 255
_MAX_TOKEN_LABEL_BYTES: Final = 32
"""PKCS#11 section 3.2, CK_TOKEN_INFO."""
_ID: Final = re.compile(r"([0-9a-fA-F]{2}){1,64}")


@value
class KeyReference:
    """A key in a token; at least one of ``label`` and ``key_id`` is there.

    Attributes:
        pin_secret_id: the secret that holds the PIN of the token.
        key_id: CKA_ID, which the private key shares with its public key object.
    """

    token_label: str
    pin_secret_id: SecretId
    label: str | None = None
    key_id: bytes | None = None
    allow_generate: bool = False

    @property
    def field(self) -> str:
        """Return the member to blame for what the key is."""
        return "crypto_key.label" if self.label is not None else "crypto_key.id"

    def __str__(self) -> str:
        """Return how messages call the key."""
        names = [f"label '{self.label}'"] if self.label is not None else []
        names += [f"id {self.key_id.hex()}"] if self.key_id is not None else []
        return " and ".join(names)

    def to_mapping(self) -> dict[str, Any]:
        """Return what is stored to find the key again."""
        named: dict[str, Any] = {} if self.label is None else {"label": self.label}
        if self.key_id is not None:
            named["id"] = self.key_id.hex()
        provider = {"type": PROVIDER, "token_label": self.token_label, "pin_secret_id": self.pin_secret_id}
        return {**named, "provider": provider}


def parse_reference(reference: Mapping[str, Any]) -> KeyReference:
    """Read ``crypto_key``.

    Raises:
        Invalid: ``invalid_field``, naming every member that cannot be used.

    Source: api-v2-models M4.5; design section 12 for the provider ``pkcs11``.
    """
    problems = Problems()
    provider = reference.get("provider")
    if not isinstance(provider, Mapping):
        provider = {}
    if provider.get("type") != PROVIDER:
        problems.add("crypto_key.provider.type", f"crypto_key.provider.type must be {PROVIDER}.")
    token_label = _text(problems, provider, "token_label", "crypto_key.provider.")
    if token_label is not None and len(token_label.encode()) > _MAX_TOKEN_LABEL_BYTES:
        problems.add(
            "crypto_key.provider.token_label",
            f"crypto_key.provider.token_label must have at most {_MAX_TOKEN_LABEL_BYTES} bytes; tokens have no more.",
        )
    pin_secret_id = _text(problems, provider, "pin_secret_id", "crypto_key.provider.")
    for name in ("token_label", "pin_secret_id"):
        if provider.get(name) is None:
            problems.add(f"crypto_key.provider.{name}", f"crypto_key.provider.{name} is required.")
    label = _text(problems, reference, "label", "crypto_key.")
    key_id = reference.get("id")
    if key_id is not None and not (isinstance(key_id, str) and _ID.fullmatch(key_id)):
        problems.add("crypto_key.id", "crypto_key.id must be 1 to 64 bytes in hexadecimal, such as 01a7.")
        key_id = None
    elif key_id is None and reference.get("label") is None:
        problems.add("crypto_key.label", "crypto_key needs a label or an id: one of them finds the key.")
    problems.raise_any()
    return KeyReference(
        token_label=token_label or "",
        pin_secret_id=SecretId(pin_secret_id or ""),
        label=label,
        key_id=bytes.fromhex(key_id) if key_id is not None else None,
        allow_generate=reference.get("allow_generate_key") is True,
    )


def _text(problems: Problems, holder: Mapping[str, Any], name: str, prefix: str) -> str | None:
    text = holder.get(name)
    if text is None:
        return None
    if isinstance(text, str) and 1 <= len(text) <= _MAX_LABEL and text.isprintable() and text == text.strip():
        return text
    problems.add(
        f"{prefix}{name}",
        f"{prefix}{name} must be 1 to {_MAX_LABEL} printable characters without spaces around them.",
    )
    return None
