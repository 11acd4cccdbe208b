"""The actions of the service and the roles that grant them.

Source: contract domain section 1.3 (service roles); ADR 0003 for the platform roles.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What an operation does; the audit trail shows it behind ``secrets-manager.``."""

    DASHBOARD_VIEW = "dashboard.view"
    SECRET_GROUP_CREATE = "secret-group.create"
    SECRET_GROUP_UPDATE = "secret-group.update"
    SECRET_GROUP_DELETE = "secret-group.delete"
    SECRET_GROUP_READ = "secret-group.read"
    SECRET_GROUPS_LIST = "secret-groups.list"
    SECRET_CREATE = "secret.create"
    SECRET_READ = "secret.read"
    SECRET_DELETE = "secret.delete"
    SECRETS_LIST = "secrets.list"
    SECRET_METADATA_READ = "secret-metadata.read"
    SECRET_METADATA_UPDATE = "secret-metadata.update"
    SECRET_ACTION_CREATE = "secret-action.create"
    SECRET_VERSION_CREATE = "secret-version.create"
    SECRET_VERSION_READ = "secret-version.read"
    SECRET_VERSION_METADATA_READ = "secret-version-metadata.read"
    SECRET_VERSION_METADATA_UPDATE = "secret-version-metadata.update"
    SECRET_VERSIONS_LIST = "secret-versions.list"
    SECRET_VERSION_ACTION_CREATE = "secret-version-action.create"
    SECRET_VERSION_DATA_DELETE = "secret-version-data.delete"
    SECRET_LOCKS_CREATE = "secret-locks.create"
    SECRET_LOCKS_DELETE = "secret-locks.delete"
    SECRET_LOCKS_LIST = "secret-locks.list"
    SECRETS_LOCKS_LIST = "secrets-locks.list"
    SECRET_VERSION_LOCKS_CREATE = "secret-version-locks.create"
    SECRET_VERSION_LOCKS_DELETE = "secret-version-locks.delete"
    SECRET_VERSION_LOCKS_LIST = "secret-version-locks.list"
    CONFIGURATION_CREATE = "configuration.create"
    CONFIGURATION_UPDATE = "configuration.update"
    CONFIGURATION_DELETE = "configuration.delete"
    CONFIGURATION_READ = "configuration.read"
    CONFIGURATIONS_LIST = "configurations.list"
    CONFIGURATION_ACTION_CREATE = "configuration-action.create"
    ENDPOINTS_VIEW = "endpoints.view"
    NOTIFICATIONS_REGISTRATION_CREATE = "notifications-registration.create"
    NOTIFICATIONS_REGISTRATION_DELETE = "notifications-registration.delete"
    NOTIFICATIONS_REGISTRATION_READ = "notifications-registration.read"
    NOTIFICATIONS_REGISTRATION_TEST = "notifications-registration.test"
    SECRET_TASKS_LIST = "secret-tasks.list"
    SECRET_TASK_READ = "secret-task.read"
    SECRET_TASK_UPDATE = "secret-task.update"
    SECRET_TASK_DELETE = "secret-task.delete"
    # Strongroom's own
    NOTIFICATIONS_DESTINATION_CREATE = "notifications-destination.create"
    NOTIFICATIONS_DESTINATION_UPDATE = "notifications-destination.update"
    NOTIFICATIONS_DESTINATION_DELETE = "notifications-destination.delete"
    NOTIFICATIONS_DESTINATION_READ = "notifications-destination.read"
    NOTIFICATIONS_DESTINATION_TEST = "notifications-destination.test"
    SETTINGS_READ = "settings.read"
    METRICS_READ = "metrics.read"
    MASTER_KEY_ROTATE = "master-key.rotate"
    ACCESS_READ = "access.read"
    AUDIT_READ = "audit.read"
    JOBS_LIST = "jobs.list"
    JOB_ACTION_CREATE = "job-action.create"
    INSTANCE_JOBS_LIST = "instance-jobs.list"
    INSTANCE_JOB_ACTION_CREATE = "instance-job-action.create"
    IDENTITY_MANAGE = "identity.manage"
    IDENTITY_OWN_KEYS = "identity.own-keys"
    INSTANCE_LOGIN = "instance.login"
    SECRET_EXPIRE = "secret.expire"

    @property
    def audit_name(self) -> str:
        """Return the name used in the audit trail."""
        return f"secrets-manager.{self.value}"


class Role(StrEnum):
    """A role by the last part of its ``role_id``."""

    READER = "Reader"
    SECRETS_READER = "SecretsReader"
    WRITER = "Writer"
    MANAGER = "Manager"
    SECRET_TASK_UPDATER = "SecretTaskUpdater"
    VIEWER = "Viewer"
    OPERATOR = "Operator"
    EDITOR = "Editor"
    ADMINISTRATOR = "Administrator"


PLATFORM_ROLES: Final = frozenset({Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMINISTRATOR})
"""Roles that count on the instance only and give no access to secrets."""

_A = Action
_SEE_DESTINATIONS: Final = frozenset({_A.NOTIFICATIONS_DESTINATION_READ, _A.NOTIFICATIONS_DESTINATION_TEST})
_CHANGE_DESTINATIONS: Final = frozenset(
    {
        _A.NOTIFICATIONS_DESTINATION_CREATE,
        _A.NOTIFICATIONS_DESTINATION_UPDATE,
        _A.NOTIFICATIONS_DESTINATION_DELETE,
    }
)
_READER: Final = frozenset(
    {
        _A.SECRET_GROUP_READ,
        _A.SECRET_GROUPS_LIST,
        _A.SECRETS_LIST,
        _A.SECRET_METADATA_READ,
        _A.SECRET_VERSION_METADATA_READ,
        _A.SECRET_VERSIONS_LIST,
        _A.SECRET_LOCKS_LIST,
        _A.SECRETS_LOCKS_LIST,
        _A.SECRET_VERSION_LOCKS_LIST,
        _A.CONFIGURATIONS_LIST,
        _A.ENDPOINTS_VIEW,
        _A.NOTIFICATIONS_REGISTRATION_READ,
        _A.NOTIFICATIONS_REGISTRATION_TEST,
        _A.SECRET_TASKS_LIST,
        _A.SECRET_TASK_READ,
        _A.JOBS_LIST,
        *_SEE_DESTINATIONS,
    }
)
_SECRETS_READER: Final = (_READER - {_A.CONFIGURATIONS_LIST}) | {_A.SECRET_READ, _A.SECRET_VERSION_READ}
_WRITER: Final = (
    _READER
    | _SECRETS_READER
    | {
        _A.SECRET_CREATE,
        _A.SECRET_METADATA_UPDATE,
        _A.SECRET_ACTION_CREATE,
        _A.SECRET_VERSION_CREATE,
        _A.SECRET_VERSION_METADATA_UPDATE,
        _A.SECRET_VERSION_ACTION_CREATE,
        _A.SECRET_LOCKS_CREATE,
        _A.SECRET_VERSION_LOCKS_CREATE,
        _A.JOB_ACTION_CREATE,
    }
)
_MANAGER: Final = _WRITER | {
    _A.SECRET_GROUP_CREATE,
    _A.SECRET_GROUP_UPDATE,
    _A.SECRET_GROUP_DELETE,
    _A.SECRET_DELETE,
    _A.SECRET_VERSION_DATA_DELETE,
    _A.SECRET_LOCKS_DELETE,
    _A.SECRET_VERSION_LOCKS_DELETE,
    _A.CONFIGURATION_CREATE,
    _A.CONFIGURATION_UPDATE,
    _A.CONFIGURATION_DELETE,
    _A.CONFIGURATION_READ,
    _A.CONFIGURATION_ACTION_CREATE,
    _A.NOTIFICATIONS_REGISTRATION_CREATE,
    _A.NOTIFICATIONS_REGISTRATION_DELETE,
    *_CHANGE_DESTINATIONS,
    _A.SECRET_TASK_DELETE,
    _A.SETTINGS_READ,
    _A.ACCESS_READ,
    _A.AUDIT_READ,
}
_OPERATOR: Final = frozenset(
    {
        _A.DASHBOARD_VIEW,
        _A.METRICS_READ,
        _A.SETTINGS_READ,
        _A.INSTANCE_JOBS_LIST,
        _A.INSTANCE_JOB_ACTION_CREATE,
    }
)
_EDITOR: Final = _OPERATOR | _SEE_DESTINATIONS | _CHANGE_DESTINATIONS
_ADMINISTRATOR: Final = _EDITOR | {_A.MASTER_KEY_ROTATE, _A.ACCESS_READ, _A.AUDIT_READ, _A.IDENTITY_MANAGE}

ROLE_ACTIONS: Final[dict[Role, frozenset[Action]]] = {
    Role.READER: _READER,
    Role.SECRETS_READER: _SECRETS_READER,
    Role.WRITER: _WRITER,
    Role.MANAGER: _MANAGER,
    Role.SECRET_TASK_UPDATER: frozenset({_A.SECRET_TASK_UPDATE}),
    Role.VIEWER: frozenset(),
    Role.OPERATOR: _OPERATOR,
    Role.EDITOR: _EDITOR,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}

EVERYBODY: Final = frozenset({_A.IDENTITY_OWN_KEYS})
"""Actions that every authenticated identity holds, for itself."""

GROUP_ACTIONS: Final = frozenset(
    {
        _A.SECRET_GROUP_READ,
        _A.SECRET_GROUPS_LIST,
        _A.SECRET_CREATE,
        _A.SECRET_READ,
        _A.SECRET_DELETE,
        _A.SECRETS_LIST,
        _A.SECRET_METADATA_READ,
        _A.SECRET_METADATA_UPDATE,
        _A.SECRET_ACTION_CREATE,
        _A.SECRET_VERSION_CREATE,
        _A.SECRET_VERSION_READ,
        _A.SECRET_VERSION_METADATA_READ,
        _A.SECRET_VERSION_METADATA_UPDATE,
        _A.SECRET_VERSIONS_LIST,
        _A.SECRET_VERSION_ACTION_CREATE,
        _A.SECRET_VERSION_DATA_DELETE,
        _A.SECRET_LOCKS_CREATE,
        _A.SECRET_LOCKS_DELETE,
        _A.SECRET_LOCKS_LIST,
        _A.SECRETS_LOCKS_LIST,
        _A.SECRET_VERSION_LOCKS_CREATE,
        _A.SECRET_VERSION_LOCKS_DELETE,
        _A.SECRET_VERSION_LOCKS_LIST,
        _A.SECRET_TASKS_LIST,
        _A.SECRET_TASK_READ,
        _A.SECRET_TASK_UPDATE,
        _A.SECRET_TASK_DELETE,
        # The certificate templates that the group may use, and nothing else.
        _A.CONFIGURATIONS_LIST,
        _A.ENDPOINTS_VIEW,
        _A.JOBS_LIST,
        _A.JOB_ACTION_CREATE,
    }
)
"""Actions that a role on one secret group can give; all others need a role on the instance (design, section 5)."""
