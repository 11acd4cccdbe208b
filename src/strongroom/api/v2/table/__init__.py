"""Operation tables of API v2."""

from typing import Final

from strongroom.api.operations import Operation
from strongroom.api.v2.table import configurations, groups, locks, notifications, secrets, versions

OPERATIONS: Final[list[Operation]] = [
    *secrets.OPERATIONS,
    *versions.OPERATIONS,
    *groups.OPERATIONS,
    *locks.OPERATIONS,
    *configurations.OPERATIONS,
    *notifications.OPERATIONS,
]
