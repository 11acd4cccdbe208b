"""Configurations that callers with roles on secret groups only may name in their requests.

Source: design, section 5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from strongroom.domain.access.principals import Scope
from strongroom.domain.authorities.templates import allowed_groups
from strongroom.domain.configurations.model import ConfigKind, ConfigType, Configuration, ConfigurationQuery
from strongroom.domain.ports import ReadUnit
from strongroom.kernel.result import Page

_KINDS: Final = frozenset({ConfigKind.TEMPLATE, ConfigKind.PUBLIC_CA, ConfigKind.DNS})
_TYPES: Final = frozenset(item for item in ConfigType if item.kind in _KINDS)
_ALL: Final = 2**31 - 1


def usable_by(unit: ReadUnit, scope: Scope, query: ConfigurationQuery) -> Page[Configuration]:
    """Return one page of the public configurations and of the templates that allow some group of a caller's scope."""
    types = _TYPES if query.config_types is None else _TYPES & query.config_types
    wanted = replace(query, config_types=types, limit=_ALL, offset=0)
    # Which groups a template allows stands in its document; there are few configurations.
    found = [item for item in unit.configurations.page(wanted).items if _is_usable(item, scope)]
    shown = found[query.offset : query.offset + query.limit]
    return Page(items=shown, total=len(found), limit=query.limit, offset=query.offset)


def _is_usable(configuration: Configuration, scope: Scope) -> bool:
    if configuration.config_type is not ConfigType.TEMPLATE:
        return True
    groups = allowed_groups(configuration)
    return not groups or any(map(scope.covers, groups))
