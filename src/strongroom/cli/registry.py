"""Name every command, where it lives and what it is for.

The list of commands is printed from here, so that ``strongroom --help`` imports no command module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_COMMANDS = "strongroom.cli.commands"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command word.

    Attributes:
        module: module that defines it, below ``cli/commands``.
        attribute: name of the click command in that module; of its ``COMMANDS`` mapping when empty.
        section: heading it stands under in the help.
        summary: one sentence, the first line of its own help too.
        hidden: an alias or old spelling, left out of the list.
    """

    module: str
    section: str
    summary: str
    attribute: str = ""
    hidden: bool = False

    @property
    def module_path(self) -> str:
        """Return the full module name."""
        return f"{_COMMANDS}.{self.module}"


def _section(section: str, module: str, summaries: Mapping[str, str]) -> dict[str, Entry]:
    """Return the entries of one module."""
    return {word: Entry(module=module, section=section, summary=summary) for word, summary in summaries.items()}


SERVER = "Server"
ACCESS = "Session"
GROUPS = "Secret groups"
SECRETS = "Secrets"
VERSIONS = "Versions"
CONFIGURATIONS = "Configurations and private certificates"
ORDERS = "Orders and renewals"
LOCKS = "Locks"
NOTICES = "Notifications"
OPERATIONS = "Operations"

SECTIONS = (SERVER, ACCESS, SECRETS, VERSIONS, CONFIGURATIONS, ORDERS, GROUPS, LOCKS, NOTICES, OPERATIONS)

REGISTRY: dict[str, Entry] = {
    **_section(
        SERVER,
        "server",
        {
            "server": "Run the server: HTTP, scheduler and workers in one command.",
            "init": "Prepare an empty data directory without starting the server.",
        },
    ),
    **_section(
        SERVER,
        "backup",
        {
            "backup": "Write an encrypted copy of everything to a file, while the server runs or not.",
            "restore": "Fill an empty server from a backup file.",
        },
    ),
    **_section(ACCESS, "login", {"login": "Check an API key against a server and remember both in a profile."}),
    **_section(
        SECRETS,
        "secrets",
        {
            "secret-create": "Create or import a secret of any type.",
            "secrets": "List secrets, with filters, sorting and paging.",
            "secret": "Fetch a secret with its payload.",
            "secret-by-name": "Fetch a secret with its payload by group, type and name.",
            "secret-metadata": "Fetch everything about a secret except its payload.",
            "secret-metadata-update": "Change a secret's metadata, rotation policy or managed CSR.",
            "secret-delete": "Delete a secret with all its versions.",
            "secret-action-create": "Act on a secret: revoke its certificate, or validate its DNS records.",
        },
    ),
    **_section(
        SECRETS,
        "download",
        {"download": "Write a certificate, its chain and its key to files (the key readable by you only)."},
    ),
    **_section(
        VERSIONS,
        "versions",
        {
            "secret-version-create": "Rotate a secret: store or generate its next version.",
            "secret-versions": "List the versions of a secret.",
            "secret-version": "Fetch one version with its payload.",
            "secret-version-metadata": "Fetch one version without its payload.",
            "secret-version-metadata-update": "Change the custom metadata of one version.",
            "secret-version-data-delete": "Destroy the payload of one version and keep its metadata.",
            "secret-version-action-create": "Act on one version: revoke its certificate.",
        },
    ),
    **_section(
        CONFIGURATIONS,
        "configurations",
        {
            "configuration-create": "Create a configuration: a CA, a certificate template, a DNS provider.",
            "configurations": "List the configurations.",
            "configuration": "Show one configuration, with the certificate or CSR of a CA.",
            "configuration-update": "Change a configuration.",
            "configuration-delete": "Delete a configuration that nothing uses.",
            "configuration-action-create": "Act with a CA: sign, take a signed certificate, revoke, rotate.",
            "configuration-test": "Try a public CA or DNS provider out, step by step.",
            "configuration-zones": "List the zones that a DNS configuration can write.",
        },
    ),
    **_section(
        CONFIGURATIONS,
        "private_certs",
        {
            "certificate-templates": "List the certificate templates that you may use, with their rules.",
            "secret-evaluate": "Tell what a request for a private certificate would give, rule by rule.",
        },
    ),
    **_section(
        ORDERS,
        "orders",
        {
            "orders": "List orders of public certificates.",
            "order": "Show one order, with what name servers say of its records.",
            "renewals": "List what will be renewed by itself, soonest first.",
        },
    ),
    **_section(
        GROUPS,
        "groups",
        {
            "secret-group-create": "Create a secret group.",
            "secret-groups": "List the secret groups.",
            "secret-group": "Show one secret group.",
            "secret-group-update": "Rename a secret group or change its description.",
            "secret-group-delete": "Delete an empty secret group.",
        },
    ),
    **_section(
        LOCKS,
        "locks",
        {
            "secrets-locks": "List secrets with the locks on their versions.",
            "secret-locks": "List the locks of one secret.",
            "secret-locks-bulk-create": "Lock the current version of a secret.",
            "secret-locks-bulk-delete": "Remove locks from a secret, by name or all of them.",
            "secret-version-locks": "List the locks of one version.",
            "secret-version-locks-bulk-create": "Lock one version.",
            "secret-version-locks-bulk-delete": "Remove locks from one version, by name or all of them.",
        },
    ),
    **_section(
        NOTICES,
        "notifications",
        {
            "notifications-registration-create": "Register this instance as an event source.",
            "notifications-registration": "Show the registration.",
            "notifications-registration-delete": "Drop the registration.",
            "notifications-registration-test": "Send a test event to every notification destination.",
            "notification-destination-create": "Tell somebody of events: by webhook, e-mail, Slack or Apprise.",
            "notification-destinations": "List the notification destinations.",
            "notification-destination": "Show one notification destination.",
            "notification-destination-update": "Change a notification destination.",
            "notification-destination-delete": "Delete a notification destination with its delivery log.",
            "notification-destination-test": "Send a test event to one notification destination now.",
            "notification-deliveries": "List what was sent to a notification destination, and what came of it.",
        },
    ),
    **_section(OPERATIONS, "key", {"key": "Manage the master key of the running server."}),
    **_section(OPERATIONS, "audit", {"audit": "Check the audit trail."}),
    "secret--version-action-create": Entry(
        module="versions",
        attribute="version_action",
        section=VERSIONS,
        summary="Act on one version: revoke its certificate.",
        hidden=True,
    ),
    "notifications-test": Entry(
        module="notifications",
        attribute="registration_test",
        section=NOTICES,
        summary="Send a test event to every notification destination.",
        hidden=True,
    ),
    "secret-download": Entry(
        module="download",
        attribute="download",
        section=SECRETS,
        summary="Write a certificate, its chain and its key to files (the key readable by you only).",
        hidden=True,
    ),
}


def summary_of(word: str) -> str:
    """Return the one-sentence summary of a command."""
    return REGISTRY[word].summary
