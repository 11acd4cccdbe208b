"""Rotation policies with an interval, and when they fire next.

Source: contract domain section 6; design, section 8 ("interval of a rotation policy").
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from strongroom.domain.secrets.model import RotationUnit
from strongroom.kernel.errors import ErrorCode, Problems
from strongroom.kernel.time import add_months

OFF: Final[Mapping[str, Any]] = {"auto_rotate": False}
_MOST: Final = {RotationUnit.HOUR: 26_280, RotationUnit.DAY: 1_095, RotationUnit.MONTH: 36}


def check_interval_policy(problems: Problems, rotation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check ``auto_rotate``, ``interval`` and ``unit`` and return the policy to store.

    Raises nothing; broken rules go to ``problems``.
    """
    if not rotation.get("auto_rotate"):
        return OFF
    interval, unit = rotation.get("interval"), rotation.get("unit")
    if interval is None:
        problems.add(
            "rotation.interval", "rotation.interval is needed when auto_rotate is true.", code=ErrorCode.MISSING_FIELD
        )
    if unit is None:
        problems.add("rotation.unit", "rotation.unit is needed when auto_rotate is true.", code=ErrorCode.MISSING_FIELD)
    if interval is None or unit is None:
        return OFF
    if unit not in set(RotationUnit):
        problems.add("rotation.unit", "rotation.unit must be day, month or hour.")
    elif not 1 <= interval <= _MOST[RotationUnit(unit)]:
        problems.add(
            "rotation.interval", f"rotation.interval must be 1 to {_MOST[RotationUnit(unit)]} with unit {unit}."
        )
    return {"auto_rotate": True, "interval": interval, "unit": unit}


def next_rotation(
    rotation: Mapping[str, Any] | None,
    last: datetime,
    *,
    latest: datetime | None = None,
    after: datetime | None = None,
) -> datetime | None:
    """Return when a policy fires next.

    Args:
        rotation: the policy.
        last: the creation or the last rotation, from which it counts.
        latest: it fires no later than that.
        after: whole intervals until then are passed over.
    """
    if not rotation or not rotation.get("auto_rotate"):
        return None
    if "interval" not in rotation:
        # The policy of a public certificate has none: its engine says when.
        return latest
    interval, unit = int(rotation["interval"]), RotationUnit(rotation["unit"])
    passed = max(after - last, timedelta()) if after is not None else timedelta()
    if unit is RotationUnit.MONTH:
        # No month is longer than 31 days, so this many intervals have passed at least.
        times = passed // (timedelta(days=31) * interval) + 1
        while after is not None and add_months(last, times * interval) <= after:
            times += 1
        fires = add_months(last, times * interval)
    else:
        step = timedelta(hours=interval) if unit is RotationUnit.HOUR else timedelta(days=interval)
        fires = last + (passed // step + 1) * step
    return fires if latest is None else min(fires, latest)
