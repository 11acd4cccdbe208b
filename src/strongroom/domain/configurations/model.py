"""Configurations as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.ids import ConfigurationId, IamId
from strongroom.kernel.result import Sort
from strongroom.kernel.value import value


class ConfigType(StrEnum):
    """The API's discriminator ``config_type``; types join with their engines."""

    ROOT_CA = "private_cert_configuration_root_ca"
    INTERMEDIATE_CA = "private_cert_configuration_intermediate_ca"
    TEMPLATE = "private_cert_configuration_template"

    @property
    def kind(self) -> ConfigKind:
        """Return the set of types within which a name is taken once."""
        return _KINDS[self]

    @property
    def secret_type(self) -> SecretType:
        """Return the engine that it configures."""
        return SecretType.PRIVATE_CERT


class ConfigKind(StrEnum):
    """Within a kind a name stands for one configuration (design, section 8)."""

    PRIVATE_CA = "private_ca"
    TEMPLATE = "template"


_KINDS = {
    ConfigType.ROOT_CA: ConfigKind.PRIVATE_CA,
    ConfigType.INTERMEDIATE_CA: ConfigKind.PRIVATE_CA,
    ConfigType.TEMPLATE: ConfigKind.TEMPLATE,
}


@value
class Configuration:
    """A named set of an engine's settings.

    Attributes:
        document: clear settings in the API's spelling, defaults filled in; durations as seconds (``max_ttl_seconds``).
        sealed: settings that only full reads show, sealed.
        row_version: optimistic lock; grows with every save.
    """

    id: ConfigurationId
    config_type: ConfigType
    name: str
    document: Mapping[str, Any]
    sealed: bytes | None = field(default=None, repr=False)
    created_at: datetime
    created_by: IamId
    updated_at: datetime
    row_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationQuery:
    """One page of configurations.

    Attributes:
        config_types: only these; ``None`` for all.
        search: part of a name, a config type or a secret type, whatever its case.
        sort: by ``config_type``, ``secret_type`` or ``name``; without one, newest first.
    """

    limit: int
    offset: int = 0
    config_types: frozenset[ConfigType] | None = None
    search: str | None = None
    sort: Sort | None = None
