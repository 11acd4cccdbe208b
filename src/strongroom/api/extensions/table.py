"""Every operation that Strongroom adds to the contract."""

from __future__ import annotations

from strongroom.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = ()
