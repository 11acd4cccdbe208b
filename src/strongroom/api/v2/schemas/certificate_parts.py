"""Names and subjects, which authorities, templates and signing share. Source: api-v2-models M4.2, M4.3 and M4.7."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from strongroom.api.parameters import AltNames, CommaSans, Listed, OtherSans, PathLength, SubjectSerial, SubjectValues

KeyType = Literal["rsa", "ec", "ed25519"]
PART: Final = ConfigDict(extra="forbid", defer_build=True)
"""Parts stand in requests and in answers, which are equally closed."""


class Subject(BaseModel):
    """What a distinguished name holds beside the common name."""

    model_config = PART

    ou: SubjectValues | None = None
    organization: SubjectValues | None = None
    country: SubjectValues | None = None
    locality: SubjectValues | None = None
    province: SubjectValues | None = None
    street_address: SubjectValues | None = None
    postal_code: SubjectValues | None = None
    serial_number: SubjectSerial | None = None


class AlternativeNames(BaseModel):
    """Subject alternative names."""

    model_config = PART

    alt_names: AltNames | None = None
    ip_sans: CommaSans | None = None
    uri_sans: CommaSans | None = None
    other_sans: OtherSans | None = None
    exclude_cn_from_sans: bool | None = None


class BelowAuthority(BaseModel):
    """What an authority may sign."""

    model_config = PART

    max_path_length: PathLength | None = None
    permitted_dns_domains: Listed | None = None
