"""Short forms of the requests about certificate authorities, templates and private certificates."""

from __future__ import annotations

from typing import Any

from tests.peers.in_process import InProcess
from tests.peers.server import Answer

CONFIGURATIONS = "/api/v2/configurations"
SECRETS = "/api/v2/secrets"
EVALUATE = f"{SECRETS}/evaluate"
TEMPLATES = "/api/v2/certificate_templates"
FILES = "/v1/ibmcloud/private_cert/config/certificate_authorities"
SHORT_FILES = "/pki"
ROOT = "private_cert_configuration_root_ca"
INTERMEDIATE = "private_cert_configuration_intermediate_ca"
TEMPLATE = "private_cert_configuration_template"
ACTION = "private_cert_configuration_action_"
REVOKE = "private_cert_action_revoke_certificate"


def create_configuration(server: InProcess, config_type: str, name: str, **members: Any) -> Answer:
    """Ask for a configuration; members that are given as ``...`` are left out."""
    body = {"config_type": config_type, "name": name, **members}
    return server.request("POST", CONFIGURATIONS, {key: value for key, value in body.items() if value is not ...})


def create_root(server: InProcess, name: str = "root", **members: Any) -> Answer:
    """Ask for a root."""
    given = {"common_name": "Example Root", "max_ttl": "43830h", "key_type": "ec", **members}
    return create_configuration(server, ROOT, name, **given)


def create_intermediate(server: InProcess, name: str = "issuing", **members: Any) -> Answer:
    """Ask for an intermediate below ``root``, not signed yet."""
    given = {"common_name": "Example Issuing", "max_ttl": "26300h", "key_type": "ec", **members}
    return create_configuration(server, INTERMEDIATE, name, **{"signing_method": "internal", "issuer": "root", **given})


def create_template(server: InProcess, name: str = "leaves", **members: Any) -> Answer:
    """Ask for a template of ``issuing``."""
    given = {"certificate_authority": "issuing", "max_ttl": "8760h", "key_type": "ec", **members}
    return create_configuration(server, TEMPLATE, name, **given)


def act(server: InProcess, name: str, action: str, **members: Any) -> Answer:
    """Ask for an action on a configuration, by the last part of its name."""
    headers = members.pop("headers", None)
    body = {"action_type": f"{ACTION}{action}", **members}
    return server.request("POST", f"{CONFIGURATIONS}/{name}/actions", body, headers=headers)


def sign(server: InProcess, name: str = "issuing", *, by: str = "root", **members: Any) -> Answer:
    """Ask a CA to sign an intermediate."""
    return act(server, by, "sign_intermediate", intermediate_certificate_authority=name, **members)


def make_tree(server: InProcess, **template: Any) -> None:
    """Make a root, an intermediate that it signed, and a template."""
    for answer in (
        create_root(server),
        create_intermediate(server, auto_sign=True),
        create_template(server, **template),
    ):
        assert answer.status == 201, answer.raw


def create_certificate(server: InProcess, name: str = "first", **members: Any) -> Answer:
    """Ask for a private certificate."""
    token = members.pop("token", "administrator")
    body = {"secret_type": "private_cert", "name": name, "certificate_template": "leaves", "common_name": "localhost"}
    return server.request("POST", SECRETS, {**body, **members}, token=token)
