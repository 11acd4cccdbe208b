"""Every extension operation."""

from __future__ import annotations

from strongroom.api.extensions import audit, certificates, instance, jobs
from strongroom.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *audit.OPERATIONS,
    *jobs.OPERATIONS,
    *instance.OPERATIONS,
    *certificates.OPERATIONS,
)
