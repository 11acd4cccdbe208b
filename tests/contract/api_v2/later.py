"""What later issues bring. Each of them takes its own names out; nothing is ever added."""

from __future__ import annotations

from typing import Final

LATER_OPERATIONS: Final = frozenset(
    {
        "delete_secret_task",
        "get_secret_task",
        "list_secret_tasks",
        "replace_secret_task",
    }
)
"""Tasks."""
LATER_MODELS: Final = frozenset(
    {
        "CustomCredentialsConfiguration",
        "CustomCredentialsConfigurationCodeEngine",
        "CustomCredentialsConfigurationMetadata",
        "CustomCredentialsConfigurationPatch",
        "CustomCredentialsConfigurationPrototype",
        "CustomCredentialsConfigurationSchema",
        "CustomCredentialsConfigurationSchemaCredentials",
        "CustomCredentialsConfigurationSchemaParameter",
        "CustomCredentialsNewCredentials",
        "CustomCredentialsSecret",
        "CustomCredentialsSecretMetadata",
        "CustomCredentialsSecretMetadataPatch",
        "CustomCredentialsSecretPrototype",
        "CustomCredentialsSecretVersion",
        "CustomCredentialsSecretVersionMetadata",
        "CustomCredentialsSecretVersionPrototype",
        "IAMCredentialsConfiguration",
        "IAMCredentialsConfigurationMetadata",
        "IAMCredentialsConfigurationPatch",
        "IAMCredentialsConfigurationPrototype",
        "IAMCredentialsSecret",
        "IAMCredentialsSecretMetadata",
        "IAMCredentialsSecretMetadataPatch",
        "IAMCredentialsSecretPrototype",
        "IAMCredentialsSecretRestoreFromVersionPrototype",
        "IAMCredentialsSecretVersion",
        "IAMCredentialsSecretVersionMetadata",
        "IAMCredentialsSecretVersionPrototype",
        "SecretTask",
        "SecretTaskCollection",
        "SecretTaskError",
        "SecretTaskPrototypeUpdateSecretTaskCredentialsCreated",
        "SecretTaskPrototypeUpdateSecretTaskCredentialsDeleted",
        "SecretTaskPrototypeUpdateSecretTaskFailed",
        "ServiceCredentialsResourceKey",
        "ServiceCredentialsSecret",
        "ServiceCredentialsSecretCredentials",
        "ServiceCredentialsSecretMetadata",
        "ServiceCredentialsSecretMetadataPatch",
        "ServiceCredentialsSecretPrototype",
        "ServiceCredentialsSecretSourceService",
        "ServiceCredentialsSecretSourceServiceRO",
        "ServiceCredentialsSecretVersion",
        "ServiceCredentialsSecretVersionMetadata",
        "ServiceCredentialsSecretVersionPrototype",
        "ServiceCredentialsSourceServiceIam",
        "ServiceCredentialsSourceServiceIamApikey",
        "ServiceCredentialsSourceServiceIamRole",
        "ServiceCredentialsSourceServiceIamServiceid",
        "ServiceCredentialsSourceServiceInstance",
        "ServiceCredentialsSourceServiceParameters",
        "ServiceCredentialsSourceServiceRole",
    }
)
"""Models of the operations above, and of the other four secret types and their configurations."""
LATER_UNIONS: Final = frozenset(
    {
        "SecretTaskPrototype",
    }
)
"""Unions of which no variant is here yet."""
