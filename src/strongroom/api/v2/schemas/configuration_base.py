"""What the models of all configurations share. Source: api-v2-models M4.2 and M4.3."""

from __future__ import annotations

from typing import Literal

from strongroom.api.parameters import DateTime
from strongroom.api.v2.schemas.base import Answer

EngineName = Literal["public_cert", "private_cert", "iam_credentials", "custom_credentials"]


class ConfigurationBase(Answer):
    """Members of every configuration."""

    name: str
    secret_type: EngineName
    created_by: str
    created_at: DateTime
    updated_at: DateTime
