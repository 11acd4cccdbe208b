"""Below a CA that was revoked nothing is signed any more: nobody would trust it."""

from __future__ import annotations

from strongroom.kernel.errors import ErrorCode
from tests.api.authorities import (
    act,
    create_certificate,
    create_intermediate,
    create_root,
    create_template,
)
from tests.peers.in_process import InProcess


def make_three_levels(server: InProcess) -> None:
    for answer in (
        create_root(server),
        create_intermediate(server, "policy", common_name="Example Policy", auto_sign=True),
        create_intermediate(server, issuer="policy", auto_sign=True),
        create_template(server),
    ):
        assert answer.status == 201, answer.raw


def test_an_authority_below_a_revoked_one_signs_nothing(server: InProcess) -> None:
    make_three_levels(server)
    first = create_certificate(server, "first").json
    assert act(server, "policy", "revoke_ca_certificate").status == 201

    refused = create_certificate(server, "second")

    assert refused.status == 400
    assert refused.json["errors"][0]["code"] == ErrorCode.STATE_FORBIDS
    assert "above it was revoked" in refused.json["errors"][0]["message"]
    assert server.request("POST", f"/api/v2/secrets/{first['id']}/versions", {}).status == 400


def test_what_an_authority_below_a_revoked_one_signed_can_still_be_revoked(server: InProcess) -> None:
    make_three_levels(server)
    first = create_certificate(server, "first").json
    assert act(server, "policy", "revoke_ca_certificate").status == 201

    path = f"/api/v2/secrets/{first['id']}/actions"
    assert server.request("POST", path, {"action_type": "private_cert_action_revoke_certificate"}).status == 201
    assert act(server, "issuing", "revoke_ca_certificate").status == 201
