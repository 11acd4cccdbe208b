"""POST /identity/token and GET /identity/keys."""

from __future__ import annotations

import base64

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from strongroom.domain.audit.record import AuditQuery
from tests.api.iam.conftest import Server
from tests.factories.identities import ISSUER

GRANT = "urn:ibm:params:oauth:grant-type:apikey"


def test_the_form_of_the_official_sdk_gets_a_token(server: Server) -> None:
    form = {"grant_type": GRANT, "apikey": server.world.administrator_key, "response_type": "cloud_iam"}
    answer = server.form(form)
    assert answer.status == 200
    assert set(answer.json) == {
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "expiration",
        "scope",
    }
    assert answer.json["refresh_token"] == "not_supported"
    assert answer.headers["cache-control"] == "no-store"


def test_the_published_keys_verify_the_token(server: Server) -> None:
    token = server.form({"grant_type": GRANT, "apikey": server.world.administrator_key}).json["access_token"]
    answer = server.call("GET", "/identity/keys", token=None)
    assert answer.status == 200
    assert all("d" not in key for key in answer.json["keys"])
    claims = jwt.decode(token, KeySet.import_key_set(answer.json), ["RS256"]).claims
    assert claims["iss"] == ISSUER


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_the_reference_command_line_gets_a_refresh_token_that_works(server: Server) -> None:
    form = {"grant_type": GRANT, "apikey": server.world.administrator_key}
    first = server.form(form, headers=basic("bx:bx")).json
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = server.form(form, headers=basic("bx:bx"))
    assert second.status == 200
    assert second.json["refresh_token"] not in ("not_supported", first["refresh_token"])
    assert server.call("GET", "/v2/roles", token=second.json["access_token"]).status == 200


@pytest.mark.parametrize("header", [basic("other:bx"), basic("nothing"), {"authorization": "Basic ###"}])
def test_any_other_client_gets_none(server: Server, header: dict[str, str]) -> None:
    form = {"grant_type": GRANT, "apikey": server.world.administrator_key}
    assert server.form(form, headers=header).json["refresh_token"] == "not_supported"


def test_a_refused_key_is_400_in_the_form_of_iam(server: Server) -> None:
    answer = server.form({"grant_type": GRANT, "apikey": "sr_wrong"})
    assert answer.status == 400
    assert answer.json["errorCode"] == "BXNIM0415E"
    assert "API key" in answer.json["errorMessage"]
    assert answer.json["errorDetails"]
    assert "sr_wrong" not in answer.raw.decode()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "missing_field"),
        ({"grant_type": "urn:ibm:params:oauth:grant-type:assume", "profile_id": "x"}, "not_supported"),
        ({"grant_type": "password"}, "not_supported"),
        ({"grant_type": GRANT}, "missing_field"),
        ({"grant_type": "refresh_token", "refresh_token": "none"}, "BXNIM0415E"),
    ],
)
def test_other_grants_are_400(server: Server, form: dict[str, str], code: str) -> None:
    answer = server.form(form)
    assert (answer.status, answer.json["errorCode"]) == (400, code)


@pytest.mark.parametrize("raw", [b"grant_type=a&grant_type=b", b"\xff", b"a=%ff", b"&".join([b"a=1"] * 60)])
def test_a_broken_form_is_400(server: Server, raw: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = server.call("POST", "/identity/token", raw=raw, headers=headers, token=None)
    assert (answer.status, answer.json["errorCode"]) == (400, "malformed_request")


def test_another_media_type_is_415(server: Server) -> None:
    answer = server.call("POST", "/identity/token", {"grant_type": GRANT}, token=None)
    assert (answer.status, answer.json["errorCode"]) == (415, "unsupported_media_type")


def test_the_eleventh_failure_within_a_minute_is_429(server: Server) -> None:
    for _ in range(10):
        assert server.form({"grant_type": GRANT, "apikey": "sr_wrong"}).status == 400
    answer = server.form({"grant_type": GRANT, "apikey": server.world.administrator_key})
    assert (answer.status, answer.json["errorCode"]) == (429, "too_many_attempts")
    assert answer.headers["retry-after"] == "60"


def test_logins_are_in_the_audit_trail_by_name_and_never_by_key(server: Server) -> None:
    server.form({"grant_type": GRANT, "apikey": server.world.administrator_key})
    server.form({"grant_type": GRANT, "apikey": "sr_wrong"})
    server.world.storage.write(lambda unit: unit.identities.generation())  # waits for what is queued
    records, _ = server.world.read(lambda unit: unit.audit_trail.page(AuditQuery(limit=10)))
    bodies = [record.body for record in records]
    assert sum("secrets-manager.instance.login" in body for body in bodies) == 2
    assert any('"administrator"' in body for body in bodies)
    assert not any("sr_wrong" in body or server.world.administrator_key in body for body in bodies)
