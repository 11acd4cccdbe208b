"""Settings of configurations that only full reads show: sealed to their row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from strongroom.domain.configurations.model import Configuration
from strongroom.domain.ports import Binding, Sealer
from strongroom.kernel.ids import ConfigurationId


class ConfigurationVault:
    """Seals and opens them."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, configuration_id: ConfigurationId, secrets: Mapping[str, Any] | None) -> bytes | None:
        """Return what is to be stored; ``None`` if there is nothing to hide."""
        if not secrets:
            return None
        return self._sealer.seal(json.dumps(dict(secrets)).encode(), _binding(configuration_id))

    def open(self, configuration: Configuration) -> Mapping[str, Any]:
        """Return the settings; empty without any.

        Raises:
            Integrity: what is stored was changed, or belongs to another configuration.
        """
        if configuration.sealed is None:
            return {}
        opened: dict[str, Any] = json.loads(self._sealer.unseal(configuration.sealed, _binding(configuration.id)))
        return opened


def _binding(configuration_id: ConfigurationId) -> Binding:
    return Binding("configurations", configuration_id, "sealed")
