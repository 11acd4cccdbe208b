"""What a registration may say. Source: api-v2-models M1.7."""

from __future__ import annotations

import re
from typing import Final

from strongroom.kernel.errors import Problems

CRN: Final = re.compile("crn:v[0-9]" + r":(?:[A-Za-z0-9\-._~!$&'()*+,;=@\/]|%[0-9A-Z]{2})*" * 8)
CRN_LENGTHS: Final = (9, 512)
SOURCE_NAME_LENGTHS: Final = (2, 256)
SOURCE_DESCRIPTION_MAX: Final = 1024


def check_registration(*, instance_crn: str, source_name: str, source_description: str) -> None:
    """Refuse what breaks a rule.

    Raises:
        Invalid: every broken rule, by field.
    """
    problems = Problems()
    low, high = CRN_LENGTHS
    if not low <= len(instance_crn) <= high or CRN.fullmatch(instance_crn) is None:
        problems.add(
            "event_notifications_instance_crn",
            f"event_notifications_instance_crn must be a CRN of {low} to {high} characters: crn:v1 and eight more "
            "parts, with colons between.",
        )
    _check_length(problems, "event_notifications_source_name", source_name, *SOURCE_NAME_LENGTHS)
    _check_length(problems, "event_notifications_source_description", source_description, 0, SOURCE_DESCRIPTION_MAX)
    problems.raise_any()


def _check_length(problems: Problems, field: str, text: str, low: int, high: int) -> None:
    if not low <= len(text) <= high or "\0" in text:
        problems.add(field, f"{field} must have {low} to {high} characters; it has {len(text)}.")
