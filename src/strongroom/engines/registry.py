"""Which engine serves which secret type: an explicit list, nothing is discovered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from strongroom.domain.engine import Engine
from strongroom.domain.secrets.model import SecretType
from strongroom.engines.arbitrary.engine import ArbitraryEngine
from strongroom.engines.imported.engine import ImportedEngine
from strongroom.engines.kv.engine import KeyValueEngine
from strongroom.engines.username_password.engine import UsernamePasswordEngine

_ALL: Final[tuple[Engine, ...]] = (ArbitraryEngine(), ImportedEngine(), KeyValueEngine(), UsernamePasswordEngine())

ENGINES: Final[Mapping[SecretType, Engine]] = MappingProxyType({engine.secret_type: engine for engine in _ALL})
