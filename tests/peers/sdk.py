"""The official Python client, set up as its documentation says."""

from __future__ import annotations

from typing import Any

from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2

from tests.peers.server import LiveServer


def connect(server: LiveServer) -> SecretsManagerV2:
    """Return a client of a server; ``REQUESTS_CA_BUNDLE`` has to name its CA."""
    client = SecretsManagerV2(authenticator=IAMAuthenticator(server.api_key, url=server.url))
    client.set_service_url(server.url)
    return client


def result(answer: Any) -> dict[str, Any]:
    """Return what an operation answered."""
    found = answer.get_result()
    assert isinstance(found, dict)
    return found
