"""What long runs found once: each request got a 500 on one database or the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from strongroom.kernel.errors import Invalid
from strongroom.kernel.ids import GroupId
from tests.fuzz.wire import Wire, wired
from tests.peers.postgres import PostgresServer

_CSR: Final = {"secret_type": "imported_cert", "name": "request"}
_POLICY: Final[dict[str, Any]] = {
    "type": "access",
    "subjects": [{"attributes": [{"name": "iam_id", "value": "iam-ServiceId-nobody"}]}],
    "roles": [{"role_id": "crn:v1:bluemix:public:iam::::serviceRole:Reader"}],
    "resources": [{"attributes": [{"name": "serviceName", "value": "secrets-manager"}]}],
}


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.peers, pytest.mark.integration])],
)
def wire(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    path = tmp_path_factory.mktemp("before") / "data"
    if request.param == "sqlite":
        with wired(path) as running:
            yield running
        return
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    with wired(path, database_url=postgres.url(postgres.create_database())) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (
            "/api/v2/secrets",
            {"secret_type": "arbitrary", "name": "plain", "payload": "text", "secret_group_id": "defa\0lt"},
            "secret_group_id",
        ),
        ("/v2/groups", {"name": "group", "description": "te\0xt"}, "description"),
        ("/v1/policies", {**_POLICY, "description": "\0"}, "description"),
        (
            "/v1/policies",
            {**_POLICY, "subjects": [{"attributes": [{"name": "iam_id", "value": "a\0"}]}]},
            "subjects[0].attributes[0].value",
        ),
        ("/v1/apikeys", {"name": "key", "iam_id": "a\0"}, "iam_id"),
    ],
)
def test_nul_in_a_text_is_400(wire: Wire, path: str, body: dict[str, Any], field: str) -> None:
    answer = wire.ask("POST", path, json.dumps(body).encode())

    assert answer.status == 400, (answer.raw, wire.bugs)
    assert field in {problem["target"]["name"] for problem in answer.json["errors"]}


def test_nul_in_a_member_of_an_access_group_is_400(wire: Wire) -> None:
    group = wire.ask("POST", "/v2/groups", json.dumps({"name": f"group-{wire.count()}"}).encode()).json["id"]
    body = {"members": [{"iam_id": "a\0", "type": "user"}]}

    answer = wire.ask("PUT", f"/v2/groups/{group}/members", json.dumps(body).encode())

    assert answer.status == 400, (answer.raw, wire.bugs)


def test_a_nul_that_reaches_the_store_is_no_bug(wire: Wire) -> None:
    storage = wire.server.container.services.storage
    try:
        assert storage.read(lambda unit: unit.groups.find(GroupId("a\0"))) is None
    except Invalid as error:
        assert error.detail == "Text must not hold NUL characters."  # noqa: PT017  (one of two right outcomes)


def test_a_common_name_is_measured_in_characters(wire: Wire) -> None:
    name = "\N{LOCK}" * 20
    body = {**_CSR, "name": f"lock-{wire.count()}", "managed_csr": {"common_name": name, "key_type": "ec"}}

    answer = wire.ask("POST", "/api/v2/secrets", json.dumps(body).encode())

    assert answer.status == 201, (answer.raw, wire.bugs)
    assert answer.json["managed_csr"]["common_name"] == name


@pytest.mark.parametrize(
    "head", [[], 5, {"alg": "RS256", "crit": [["exp"]]}, {"alg": ["RS256"]}, {"alg": "RS256", "kid": {}}]
)
def test_a_token_with_a_strange_head_is_401(wire: Wire, head: Any) -> None:
    import base64

    encoded = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    rest = wire.server.administrator().partition(".")[2]

    answer = wire.exchange("GET", "/api/v2/secrets", {"authorization": f"Bearer {encoded}.{rest}"})

    assert answer.status == 401, (answer.raw, wire.bugs)


def test_answer_to_empty_names_is_described(wire: Wire) -> None:
    body = {
        "config_type": "private_cert_configuration_root_ca",
        "name": "nothing-else",
        "common_name": "Example Root",
        "max_ttl": "1000h",
        "key_type": "ec",
        "ip_sans": "",
        "uri_sans": "",
    }
    answer = wire.ask("POST", "/api/v2/configurations", json.dumps(body).encode())
    assert answer.status == 201, answer.raw
    described = wire.ask("GET", "/openapi.json").json
    schema = {
        "$ref": "#/components/schemas/PrivateCertificateConfigurationRootCA",
        "components": described["components"],
    }
    assert [problem.message for problem in Draft202012Validator(schema).iter_errors(answer.json)] == []
