"""An ACME server of somebody's own: its certificate is not in any list, and it wants to know who asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.public_certs.orders import issue, names_of, require_clean, verify
from tests.peers.pebble import EAB_KEYS, Pebble
from tests.peers.public_peers import PublicPeers
from tests.peers.server import Answer, LiveServer

pytestmark = [pytest.mark.integration, pytest.mark.peers]

_CONFIGURATIONS = "/api/v2/configurations"


def configure(server: LiveServer, ca: Pebble, name: str, **members: Any) -> Answer:
    """Ask for a configuration of the private CA; ``None`` leaves a member out."""
    body = {
        "config_type": "public_cert_configuration_ca_acme",
        "name": name,
        "acme_directory_url": ca.directory_url,
        "acme_root_bundle": ca.trust_pem,
        "acme_contact": "mailto:pki@example.com",
        **members,
    }
    return server.request("POST", _CONFIGURATIONS, {key: item for key, item in body.items() if item is not None})


@pytest.fixture(scope="module")
def private_name(ordering_server: LiveServer, private_ca: Pebble) -> Iterator[str]:
    """Give the name of a configuration with an external account."""
    key_id, hmac_key = next(iter(EAB_KEYS.items()))
    made = configure(ordering_server, private_ca, "private-ca", acme_eab_key_id=key_id, acme_eab_hmac_key=hmac_key)
    assert made.status == 201, made.raw
    yield "private-ca"
    ordering_server.request("DELETE", f"{_CONFIGURATIONS}/private-ca")


def test_account_is_bound_to_the_external_one_and_orders(
    ordering_server: LiveServer, private_ca: Pebble, private_name: str, tmp_path: Path
) -> None:
    verify(tmp_path, private_ca.roots(), issue(ordering_server, ca=private_name))


def test_delegated_challenge_is_written_where_the_alias_leads(
    ordering_server: LiveServer,
    public_peers: PublicPeers,
    private_ca: Pebble,
    private_name: str,
    tmp_path: Path,
) -> None:
    bind, challenge = public_peers.bind, "_acme-challenge.delegated.example.com"
    before = bind.serial("acme.example.net")
    bind.add_cname(challenge, "delegated.acme.example.net")
    try:
        secret = issue(ordering_server, ca=private_name, common_name="delegated.example.com")
    finally:
        bind.remove(challenge)
    assert names_of(verify(tmp_path, private_ca.roots(), secret)) == {"delegated.example.com"}
    require_clean(ordering_server, bind, "delegated.acme.example.net")
    assert bind.serial("acme.example.net") != before, "its record was written there"


def test_without_an_external_account_the_request_is_refused(ordering_server: LiveServer, private_ca: Pebble) -> None:
    refused = configure(ordering_server, private_ca, "nobody")
    assert refused.status == 400, refused.raw
    (problem,) = refused.json["errors"]
    assert problem["target"]["name"] == "acme_eab_key_id"
    assert "external account" in problem["message"]


def test_unknown_external_account_is_refused_with_the_words_of_the_ca(
    ordering_server: LiveServer, private_ca: Pebble
) -> None:
    refused = configure(ordering_server, private_ca, "stranger", acme_eab_key_id="kid-9", acme_eab_hmac_key="c2VjcmV0")
    assert refused.status == 400, refused.raw
    (problem,) = refused.json["errors"]
    assert problem["target"]["name"] == "acme_eab_key_id"
    assert "'kid'" in problem["message"]


def test_ca_whose_certificate_nobody_vouches_for_is_not_believed(
    ordering_server: LiveServer, private_ca: Pebble
) -> None:
    refused = configure(ordering_server, private_ca, "unvouched", acme_root_bundle=None)
    assert refused.status == 503, refused.raw
    assert "certificate" in refused.json["errors"][0]["message"].lower(), refused.raw
