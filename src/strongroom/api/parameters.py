"""Texts with a known form, as schemas: what they may look like is told here and ruled in the domain.

The domain reports every broken rule of a request at once, with its own sentences; so these forms
are written into the OpenAPI document and not checked a second time by the models.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

from strongroom.domain.secrets.checks import (
    CONFIGURATION_NAME_LENGTHS,
    DESCRIPTION_MAX,
    GROUP_NAME_LENGTHS,
    LABEL_LENGTHS,
    LOCK_NAME,
    NAME,
    SECRET_NAME_LENGTHS,
)
from strongroom.domain.secrets.model import SecretType

Json = dict[str, Any]

_UUID: Final = "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"
_NO_CONTROLS: Final = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"
_NO_BREAKS: Final = r"^[^\u0000-\u0008\u000a-\u000c\u000e-\u001f\u007f]*$"


def text(low: int, high: int, *, pattern: str | None = None, **more: Any) -> Json:
    """Return the schema of a text of ``low`` to ``high`` characters."""
    schema: Json = {"type": "string", "minLength": low, "maxLength": high}
    if pattern is not None:
        schema["pattern"] = pattern
    return {**schema, **more}


UUID: Final[Json] = {"type": "string", "format": "uuid", "pattern": f"^{_UUID}$"}
GROUP_REFERENCE: Final[Json] = text(7, 36, pattern=f"^(default|{_UUID})$")
VERSION_REFERENCE: Final[Json] = text(7, 36, pattern=f"^(current|previous|{_UUID})$")
SECRET_NAME: Final[Json] = text(*SECRET_NAME_LENGTHS, pattern=f"^{NAME.pattern}$")
GROUP_NAME: Final[Json] = text(*GROUP_NAME_LENGTHS, pattern=f"^{NAME.pattern}$")
CONFIGURATION_NAME: Final[Json] = text(*CONFIGURATION_NAME_LENGTHS, pattern=f"^{NAME.pattern}$")
CONFIGURATION_TYPES: Final = (
    "custom_credentials_configuration",
    "iam_credentials_configuration",
    "private_cert_configuration_intermediate_ca",
    "private_cert_configuration_root_ca",
    "private_cert_configuration_template",
    "public_cert_configuration_ca_lets_encrypt",
    "public_cert_configuration_dns_classic_infrastructure",
    "public_cert_configuration_dns_cloud_internet_services",
)
"""Every ``config_type`` of the contract, also those that this server has none of."""
CONFIGURATION_TYPE_HEADER: Final = "X-Sm-Accept-Configuration-Type"

DateTime = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
SecretName = Annotated[str, WithJsonSchema(SECRET_NAME)]
GroupName = Annotated[str, WithJsonSchema(GROUP_NAME)]
GroupReference = Annotated[str, WithJsonSchema(GROUP_REFERENCE)]
LockName = Annotated[str, WithJsonSchema(text(2, 64, pattern=f"^{LOCK_NAME.pattern}$"))]
Description = Annotated[str, WithJsonSchema(text(0, DESCRIPTION_MAX, pattern=_NO_CONTROLS))]
Label = Annotated[str, WithJsonSchema(text(*LABEL_LENGTHS, pattern=_NO_BREAKS))]
Labels = Annotated[
    list[Label],
    WithJsonSchema({"type": "array", "maxItems": 30, "items": text(*LABEL_LENGTHS, pattern=_NO_BREAKS)}),
]
Metadata = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": True, "description": "At most 10 KB as JSON."}),
]
Pem = Annotated[str, WithJsonSchema(text(50, 100_000, description="PEM text; kept byte for byte."))]
PayloadText = Annotated[str, WithJsonSchema(text(0, 1_000_000))]
KeyValues = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": True, "minProperties": 1}),
]
Username = Annotated[str, WithJsonSchema(text(2, 64, pattern="^[A-Za-z0-9+,./:;<=-]*$"))]
Password = Annotated[str, WithJsonSchema(text(6, 256))]
PasswordLength = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 12, "maximum": 256})]
Interval = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 26_280})]


def texts(most: int, items: Json | None = None) -> WithJsonSchema:
    """Describe a list of at most so many texts."""
    return WithJsonSchema({"type": "array", "maxItems": most, "items": items or {"type": "string"}})


ConfigurationName = Annotated[str, WithJsonSchema(CONFIGURATION_NAME)]
Duration = Annotated[
    str, WithJsonSchema(text(1, 10, pattern="^[0-9]+[smhd]?$", description="A bare number means seconds."))
]
CommonName = Annotated[str, WithJsonSchema(text(1, 128))]
AltNames = Annotated[list[str], texts(99)]
CommaSans = Annotated[str, WithJsonSchema(text(0, 2048, description="Joined by commas; empty for none."))]
OtherSans = Annotated[list[str], texts(100, {"type": "string", "description": "`<oid>;UTF8:<value>`"})]
SubjectValues = Annotated[list[str], texts(10)]
SubjectSerial = Annotated[
    str, WithJsonSchema(text(1, 64, description="The subject's `serialNumber`, not the certificate's."))
]
PathLength = Annotated[
    int, WithJsonSchema({"type": "integer", "minimum": -1, "maximum": 10, "description": "-1 means unlimited."})
]
KeyBits = Annotated[
    int,
    WithJsonSchema(
        {
            "type": "integer",
            "description": "RSA: 2048 (default), 3072, 4096 or 8192. EC: 256 (default), 384 or 521. Ed25519: 0.",
        }
    ),
]
Csr = Annotated[str, WithJsonSchema(text(1, 4096, description="PEM text."))]
Listed = Annotated[list[str], texts(100)]
KeyUsages = Annotated[list[str], texts(100, {"type": "string", "pattern": "^[a-zA-Z]+$"})]
GroupList = Annotated[str, WithJsonSchema(text(0, 1024, description="Ids of secret groups, joined by commas."))]


def comma_list(items: Json, *, most: int) -> WithJsonSchema:
    """Describe a query parameter that holds items joined by commas."""
    return WithJsonSchema({"type": "array", "items": items, "maxItems": most})


def one_of(*values: str) -> WithJsonSchema:
    """Describe a parameter that takes one of some words."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


def sort_key(*keys: str) -> WithJsonSchema:
    """Describe ``sort``: one of the keys, with ``-`` in front for descending order."""
    return one_of(*(f"{sign}{key}" for key in keys for sign in ("", "-")))


_PATH: Final[dict[tuple[str, str], Json]] = {
    ("secrets", "id"): UUID,
    ("secrets", "secret_id"): UUID,
    ("secrets", "name"): SECRET_NAME,
    ("versions", "id"): VERSION_REFERENCE,
    ("secret_groups", "id"): GROUP_REFERENCE,
    ("secret_groups", "secret_group_name"): text(*GROUP_NAME_LENGTHS),
    ("secret_types", "secret_type"): {"type": "string", "enum": sorted(SecretType)},
    ("configurations", "name"): CONFIGURATION_NAME,
}
_HEADERS: Final[dict[str, Json]] = {
    CONFIGURATION_TYPE_HEADER: {"type": "string", "enum": list(CONFIGURATION_TYPES)},
}


def path_parameter(before: str, name: str) -> Json:
    """Return the schema of a path parameter by the segment before it and its name."""
    return _PATH.get((before, name), {"type": "string", "minLength": 1})


def header_parameter(name: str) -> Json:
    """Return the schema of a request header."""
    return _HEADERS.get(name, {"type": "string"})
