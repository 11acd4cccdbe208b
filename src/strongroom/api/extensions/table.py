"""Every extension operation."""

from __future__ import annotations

from strongroom.api.extensions import audit, certificates, destinations, instance, jobs, orders
from strongroom.api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *audit.OPERATIONS,
    *jobs.OPERATIONS,
    *orders.OPERATIONS,
    *instance.OPERATIONS,
    *certificates.OPERATIONS,
    *destinations.OPERATIONS,
)
