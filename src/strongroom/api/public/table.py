"""Operations that need no identity."""

from __future__ import annotations

from typing import Final

from strongroom.api.operations import Operation
from strongroom.api.public import authorities, documents, guide, health, metrics

OPERATIONS: Final[tuple[Operation, ...]] = (
    *health.OPERATIONS,
    *documents.OPERATIONS,
    *guide.OPERATIONS,
    *metrics.OPERATIONS,
    *authorities.OPERATIONS,
)
