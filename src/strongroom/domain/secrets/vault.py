"""Payloads in and out of their sealed form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from strongroom.domain.ports import Binding, Sealer
from strongroom.kernel.ids import JobId, SecretId, VersionId

# What was sealed here has no white space around it: the scanner alone reads it, and reads are what matters.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Vault:
    """Seals payloads to the row they belong to.

    A payload is a JSON object whose members have the API's names. Floats and key order survive:
    the text is stored as it is.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal_payload(self, version_id: VersionId, payload: Mapping[str, Any]) -> bytes:
        """Seal a version's payload."""
        return self._sealer.seal(_encode(payload), Binding("versions", version_id, "payload"))

    def open_payload(self, version_id: VersionId, sealed: bytes) -> dict[str, Any]:
        """Open a version's payload.

        Raises:
            Integrity: it was changed or belongs elsewhere.
        """
        return _decode(self._sealer.unseal(sealed, Binding("versions", version_id, "payload")))

    def seal_state(self, secret_id: SecretId, state: Mapping[str, Any]) -> bytes:
        """Seal what an engine keeps beside the versions."""
        return self._sealer.seal(_encode(state), Binding("secrets", secret_id, "private_state"))

    def open_state(self, secret_id: SecretId, sealed: bytes) -> dict[str, Any]:
        """Open what an engine keeps beside the versions.

        Raises:
            Integrity: it was changed or belongs elsewhere.
        """
        return _decode(self._sealer.unseal(sealed, Binding("secrets", secret_id, "private_state")))

    def seal_order_key(self, order_id: JobId, der: bytes) -> bytes:
        """Seal the private key of a certificate that is on order."""
        return self._sealer.seal(der, Binding("orders", order_id, "sealed_key"))

    def open_order_key(self, order_id: JobId, sealed: bytes) -> bytes:
        """Open the private key of a certificate that is on order.

        Raises:
            Integrity: it was changed or belongs elsewhere.
        """
        return self._sealer.unseal(sealed, Binding("orders", order_id, "sealed_key"))


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _decode(text: bytes) -> dict[str, Any]:
    return cast("dict[str, Any]", _scan(text.decode("utf-8", "surrogatepass"), 0)[0])
