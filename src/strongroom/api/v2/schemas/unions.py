"""Unions that have a name in the contract. Source: api-v2-models M9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from strongroom.api.v2.schemas import authorities, configuration_actions, configurations, secrets

NAMED_UNIONS: Final[Mapping[str, Any]] = {
    "Configuration": configurations.Configuration,
    "ConfigurationAction": configuration_actions.ConfigurationAction,
    "ConfigurationActionPrototype": configuration_actions.ConfigurationActionPrototype,
    "ConfigurationMetadata": configurations.ConfigurationMetadata,
    "ConfigurationPatch": configurations.ConfigurationPatch,
    "ConfigurationPrototype": configurations.ConfigurationPrototype,
    "PrivateCertificateCAData": authorities.PrivateCertificateCAData,
    "PrivateCertificateCryptoProvider": authorities.PrivateCertificateCryptoProvider,
    "RotationPolicy": secrets.RotationPolicy,
    "Secret": secrets.Secret,
    "SecretAction": secrets.SecretAction,
    "SecretActionPrototype": secrets.SecretActionPrototype,
    "SecretMetadata": secrets.SecretMetadata,
    "SecretMetadataPatch": secrets.SecretMetadataPatch,
    "SecretPrototype": secrets.SecretPrototype,
    "SecretVersion": secrets.SecretVersion,
    "SecretVersionMetadata": secrets.SecretVersionMetadata,
    "SecretVersionPrototype": secrets.SecretVersionPrototype,
}
"""The OpenAPI document shows them under these names."""
