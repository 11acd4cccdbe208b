"""Backup and restore: the store's logical copy inside an encrypted box."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from strongroom.kernel.errors import ErrorCode, NotFound, StrongroomError
from strongroom.runtime.data_dir import DataDir
from strongroom.runtime.settings import Settings

@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds."""

    records: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What was restored."""

    records: int
