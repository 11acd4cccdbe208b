"""How hard the property tests of this folder look: harder than others, and as hard as the profile asks."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, settings

MANY: Final = settings(
    max_examples=2 * settings().max_examples,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
