"""Every operation of the server: the one list that routing, documentation and tests start from."""

from __future__ import annotations

from typing import Final

from strongroom.api.extensions.table import OPERATIONS as EXTENSIONS
from strongroom.api.iam.table import OPERATIONS as IDENTITY
from strongroom.api.operations import Operation
from strongroom.api.public.table import OPERATIONS as PUBLIC
from strongroom.api.v2.table import OPERATIONS as V2

OPERATIONS: Final[tuple[Operation, ...]] = (*V2, *IDENTITY, *EXTENSIONS, *PUBLIC)
