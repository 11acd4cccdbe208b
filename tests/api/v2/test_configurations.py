"""Configurations of private certificates: what they show, refuse, and how they are found by name.

Source: api-v2 sections 1.8, 2.5, 4.5 and 4.6; api-v2-models M4.2 to M4.7; design, section 8.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode
from strongroom.runtime import lint
from tests.api.authorities import (
    CONFIGURATIONS,
    INTERMEDIATE,
    ROOT,
    TEMPLATE,
    act,
    create_certificate,
    create_configuration,
    create_intermediate,
    create_root,
    create_template,
    make_tree,
    sign,
)
from tests.api.v2.conftest import watch
from tests.api.v2.sending import code, error, field, make_group
from tests.peers.in_process import InProcess, in_process
from tests.peers.server import Answer

HEADER = "X-Sm-Accept-Configuration-Type"
EXTENSIONS = {"X-Strongroom-Extensions": "1"}


def get(server: InProcess, name: str, config_type: str | None = None, **more: Any) -> Answer:
    """Read a configuration, with a type in the header if one is given."""
    headers = {HEADER: config_type} if config_type else {}
    return server.request("GET", f"{CONFIGURATIONS}/{name}", headers=headers | more.pop("headers", {}), **more)


def patch(server: InProcess, name: str, changes: Any, **more: Any) -> Answer:
    return server.request("PATCH", f"{CONFIGURATIONS}/{name}", changes, **more)


def delete(server: InProcess, name: str, config_type: str | None = None) -> Answer:
    return server.request("DELETE", f"{CONFIGURATIONS}/{name}", headers={HEADER: config_type} if config_type else {})


def status(server: InProcess, name: str) -> str:
    return str(get(server, name).json["status"])


def names(server: InProcess, query: str = "") -> list[str]:
    answer = server.request("GET", f"{CONFIGURATIONS}{query}")
    assert answer.status == 200, answer.raw
    return [item["name"] for item in answer.json["configurations"]]


# --- names


def test_a_name_of_a_ca_and_a_template_is_ambiguous_until_the_header_picks(server: InProcess) -> None:
    assert create_root(server).status == create_intermediate(server, auto_sign=True).status == 201
    assert create_template(server, "issuing").status == 201

    for answer in (
        get(server, "issuing"),
        patch(server, "issuing", {"max_ttl": "2h"}),
        delete(server, "issuing"),
        act(server, "issuing", "rotate_crl"),
    ):
        problem = error(answer, 300)
        assert problem["code"] == ErrorCode.AMBIGUOUS_NAME
        assert HEADER in str(problem)
        assert INTERMEDIATE in problem["message"]
        assert TEMPLATE in problem["message"]
    assert [get(server, "issuing", kind).json["config_type"] for kind in (TEMPLATE, INTERMEDIATE)] == [
        TEMPLATE,
        INTERMEDIATE,
    ]
    assert delete(server, "issuing", TEMPLATE).status == 204
    assert get(server, "issuing").json["config_type"] == INTERMEDIATE


@pytest.mark.parametrize("kind", [TEMPLATE, INTERMEDIATE, "public_cert_configuration_ca_lets_encrypt", "nonsense"])
def test_a_header_of_a_type_that_the_name_does_not_have_finds_nothing(server: InProcess, kind: str) -> None:
    assert create_root(server).status == 201

    assert code(get(server, "root", kind), 404) == "not_found"
    assert delete(server, "root", kind).status == 404
    assert act(server, "root", "rotate_crl", headers={HEADER: kind}).status == 404
    assert server.request("PATCH", f"{CONFIGURATIONS}/root", {}, headers={HEADER: kind}).status == 404
    assert get(server, "root", ROOT).status == 200


def test_an_unknown_name_is_not_found_and_not_repeated(server: InProcess) -> None:
    for answer in (get(server, "nobody"), patch(server, "nobody", {}), delete(server, "nobody")):
        assert code(answer, 404) == "not_found"
        assert b"nobody" not in answer.raw
    assert act(server, "nobody", "rotate_crl").status == 404


def test_roots_and_intermediates_share_their_names(server: InProcess) -> None:
    assert create_root(server, "one").status == 201

    for answer in (create_root(server, "one"), create_intermediate(server, "one", issuer="one")):
        problem = error(answer, 409)
        assert problem["code"] == ErrorCode.ALREADY_EXISTS
        assert "already exists" in problem["message"]
    assert create_template(server, "one", certificate_authority="one").status == 400


@pytest.mark.parametrize("name", ["", "x", "-x", "a b", "x" * 129, "ex\u00e4mple", "a/b"])
def test_names_that_break_the_rules_are_refused(shared: InProcess, name: str) -> None:
    assert field(create_root(shared, name)) == "name"


# --- quotas


@pytest.mark.parametrize(
    ("limit", "what"),
    [("root_authorities", ROOT), ("intermediate_authorities", INTERMEDIATE), ("certificate_templates", TEMPLATE)],
)
def test_the_quota_of_each_type_is_counted_apart(data_dir: Path, clock: FrozenClock, limit: str, what: str) -> None:
    with in_process(data_dir, clock, limits={limit: 1}) as running:
        server = watch(running)
        make_tree(server)
        creators = {ROOT: create_root, INTERMEDIATE: create_intermediate, TEMPLATE: create_template}
        problem = error(creators[what](server, "another"))
        others = [create(server, f"{kind[-6:]}-2").status for kind, create in creators.items() if kind != what]

    assert problem["code"] == ErrorCode.LIMIT_REACHED
    assert "reached the maximum of 1" in problem["message"]
    assert others == [201, 201]


# --- references in bodies


def test_a_template_of_an_unknown_ca_is_refused_by_its_name(server: InProcess) -> None:
    problem = error(create_template(server, certificate_authority="nobody"))

    assert problem["target"]["name"] == "certificate_authority"
    assert "nobody" in problem["message"]


def test_a_template_of_a_root_is_refused(server: InProcess) -> None:
    assert create_root(server).status == 201

    problem = error(create_template(server, certificate_authority="root"))

    assert problem["target"]["name"] == "certificate_authority"
    assert "intermediate" in problem["message"]


def test_an_unknown_issuer_is_refused_by_its_name(server: InProcess) -> None:
    problem = error(create_intermediate(server, issuer="nobody"))

    assert problem["target"]["name"] == "issuer"
    assert "nobody" in problem["message"]
    assert field(create_intermediate(server, "itself", issuer="itself")) == "issuer"


def test_an_unknown_intermediate_cannot_be_signed(server: InProcess) -> None:
    make_tree(server)

    for name in ("nobody", "leaves", "root"):
        problem = error(sign(server, name))
        assert problem["target"]["name"] == "intermediate_certificate_authority"
        assert name in problem["message"]


def test_the_cloud_hsm_is_refused_by_its_name(server: InProcess) -> None:
    provider = {
        "type": "hyper_protect_crypto_services",
        "instance_crn": "crn:v1:x",
        "pin_iam_credentials_secret_id": "00000000-0000-4000-8000-000000000000",
        "private_keystore_id": "00000000-0000-4000-8000-000000000001",
    }

    problem = error(create_root(server, crypto_key={"label": "one", "provider": provider}))

    assert problem["code"] == ErrorCode.NOT_SUPPORTED
    assert problem["target"]["name"] == "crypto_key.provider.type"
    assert "pkcs11" in problem["message"]


def test_a_type_of_configuration_that_this_server_lacks_is_refused(server: InProcess) -> None:
    answer = create_configuration(server, "iam_credentials_configuration", "one", api_key="planted-api-key")

    assert field(answer) == "config_type"
    assert b"planted-api-key" not in answer.raw


def test_everything_wrong_is_told_at_once(server: InProcess) -> None:
    answer = create_root(server, "x", max_ttl="1s", key_bits=1, format="der")

    assert answer.status == 400
    told = {problem["target"]["name"] for problem in answer.json["errors"]}
    assert {"name", "max_ttl", "key_bits"} <= told or told == {"format"}


# --- changing


PATCHES = [
    pytest.param("root", {"max_ttl": "100h"}, ("max_ttl_seconds", 360_000), id="root"),
    pytest.param("issuing", {"crl_disable": True}, ("crl_disable", True), id="intermediate"),
    pytest.param("leaves", {"allow_any_name": True}, ("allow_any_name", True), id="template"),
    pytest.param("leaves", {"allow_wildcard_certificates": False}, ("allow_wildcard_certificates", False), id="wild"),
    pytest.param("leaves", {"max_ttl": None}, ("max_ttl_seconds", 0), id="null removes"),
    pytest.param("root", {"crl_expiry": None}, ("crl_expiry_seconds", 259_200), id="null gives the default"),
]


@pytest.mark.parametrize(("name", "changes", "shown"), PATCHES)
def test_a_patch_changes_what_it_names(
    server: InProcess, name: str, changes: dict[str, Any], shown: tuple[str, Any]
) -> None:
    make_tree(server)
    before = get(server, name).json
    server.clock.advance(timedelta(minutes=1))

    after = patch(server, name, changes).json

    assert after[shown[0]] == shown[1]
    assert after["updated_at"] > before["updated_at"]
    assert get(server, name).json == after
    differing = {key for key in before | after if before.get(key) != after.get(key)}
    assert differing <= {shown[0], "updated_at"}


@pytest.mark.parametrize("name", ["root", "issuing", "leaves"])
def test_an_empty_patch_changes_nothing_at_all(server: InProcess, name: str) -> None:
    make_tree(server)
    before = get(server, name).json
    server.clock.advance(timedelta(minutes=1))

    assert patch(server, name, {}).json == before
    assert get(server, name).json == before


WRONG_PATCHES = [
    ("root", {"max_ttl": None}, "max_ttl"),
    ("root", {"max_ttl": "1s"}, "max_ttl"),
    ("root", {"common_name": "Other"}, "common_name"),
    ("root", {"key_type": "rsa"}, "key_type"),
    ("root", {"nothing": 1}, "nothing"),
    ("issuing", {"issuer": "other"}, "issuer"),
    ("issuing", {"signing_method": "external"}, "signing_method"),
    ("leaves", {"name": "other"}, "name"),
    ("leaves", {"certificate_authority": "root"}, "certificate_authority"),
    ("leaves", {"max_ttl": "forever"}, "max_ttl"),
    ("leaves", {"allow_any_name": "yes"}, "allow_any_name"),
    ("leaves", {"crl_disable": True}, "crl_disable"),
]


@pytest.mark.parametrize(("name", "changes", "told"), WRONG_PATCHES)
def test_a_wrong_patch_is_refused_by_its_member(
    server: InProcess, name: str, changes: dict[str, Any], told: str
) -> None:
    make_tree(server)
    before = get(server, name).json

    assert field(patch(server, name, changes)) == told
    assert get(server, name).json == before


def test_a_patch_that_is_no_merge_patch_is_refused(server: InProcess) -> None:
    make_tree(server)

    assert patch(server, "leaves", [], headers={}).status == 400
    assert patch(server, "leaves", {}, headers={"content-type": "text/plain"}).status == 415


# --- deleting


def test_what_stands_against_deleting_is_listed(server: InProcess) -> None:
    make_tree(server)
    assert create_certificate(server, "web-server").status == 201

    for name, dependants in {
        "root": ["intermediate CA issuing"],
        "issuing": ["certificate template leaves"],
        "leaves": ["private certificate web-server"],
    }.items():
        problem = error(delete(server, name), 409)
        assert problem["code"] == ErrorCode.IN_USE
        assert all(dependant in problem["message"] for dependant in dependants), problem
    assert names(server) == ["leaves", "issuing", "root"]


def test_many_certificates_of_a_template_are_not_all_listed(server: InProcess) -> None:
    make_tree(server)
    for number in range(7):
        assert create_certificate(server, f"certificate-{number}").status == 201

    message = error(delete(server, "leaves"), 409)["message"]

    assert message.count("private certificate") == 5
    assert "and more" in message


def test_an_intermediate_that_waits_for_its_signature_holds_its_issuer(server: InProcess) -> None:
    assert create_root(server).status == create_intermediate(server).status == 201

    assert code(delete(server, "root"), 409) == ErrorCode.IN_USE
    assert delete(server, "issuing").status == delete(server, "root").status == 204


def test_a_deleted_configuration_is_gone_and_its_name_is_free(server: InProcess) -> None:
    assert create_root(server).status == 201

    assert delete(server, "root").status == 204

    assert get(server, "root").status == delete(server, "root").status == 404
    assert create_root(server).status == 201


# --- lists


def test_lists_show_pages_newest_first_with_what_was_filtered(server: InProcess) -> None:
    make_tree(server)

    page = server.request("GET", f"{CONFIGURATIONS}?limit=2&search=CERT").json

    assert [item["name"] for item in page["configurations"]] == ["leaves", "issuing"]
    assert (page["total_count"], page["limit"], page["offset"]) == (3, 2, 0)
    assert page["next"]["href"].endswith(f"{CONFIGURATIONS}?limit=2&offset=2&search=CERT")
    assert "previous" not in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["leaves", "issuing", "root"]),
        ("?sort=name", ["issuing", "leaves", "root"]),
        ("?sort=-name", ["root", "leaves", "issuing"]),
        ("?sort=config_type", ["issuing", "root", "leaves"]),
        ("?sort=-config_type", ["leaves", "root", "issuing"]),
        ("?sort=secret_type", ["root", "issuing", "leaves"]),
        ("?search=ROOT", ["root"]),
        ("?search=intermediate_ca", ["issuing"]),
        ("?search=private_cert", ["leaves", "issuing", "root"]),
        ("?search=nothing", []),
        ("?secret_types=private_cert", ["leaves", "issuing", "root"]),
        ("?secret_types=iam_credentials", []),
        ("?secret_types=iam_credentials,private_cert&limit=1", ["leaves"]),
        ("?limit=1&offset=1", ["issuing"]),
        ("?offset=3", []),
    ],
)
def test_lists_are_sorted_searched_and_filtered(tree: InProcess, query: str, expected: list[str]) -> None:
    assert names(tree, query) == expected


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sort=created_at", "sort"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("offset=-1", "offset"),
        ("search=x", "search"),
        ("secret_types=,", "secret_types"),
        ("secret_types=nonsense", "secret_types"),
    ],
)
def test_wrong_list_parameters_are_refused(tree: InProcess, query: str, told: str) -> None:
    assert field(tree.request("GET", f"{CONFIGURATIONS}?{query}")) == told


def test_lists_show_status_and_no_certificate(tree: InProcess) -> None:
    shown = {item["name"]: item for item in tree.request("GET", CONFIGURATIONS).json["configurations"]}

    assert shown["root"]["status"] == shown["issuing"]["status"] == "configured"
    assert shown["leaves"]["certificate_authority"] == "issuing"
    assert not any({"data", "max_ttl_seconds"} & item.keys() for item in shown.values())


@pytest.fixture(scope="module")
def tree(shared: InProcess) -> InProcess:
    make_tree(shared)
    return shared


# --- statuses


def test_an_intermediate_goes_through_its_statuses(server: InProcess) -> None:
    assert create_root(server).json["status"] == "configured"
    created = create_intermediate(server)
    seen = [created.json["status"]]
    assert set(created.json["data"]) == {"csr", "private_key_type"}
    assert sign(server).status == 201
    seen.append(status(server, "issuing"))
    assert create_template(server).status == 201
    seen.append(status(server, "issuing"))
    assert get(server, "issuing").json["data"]["csr"] == created.json["data"]["csr"]
    assert delete(server, "leaves").status == 204
    seen.append(status(server, "issuing"))
    assert act(server, "issuing", "revoke_ca_certificate").status == 201
    seen.append(status(server, "issuing"))

    required = "certificate_template_required"
    assert seen == ["signing_required", required, "configured", required, "revoked"]


def test_an_external_intermediate_waits_for_its_certificate(server: InProcess) -> None:
    answer = create_intermediate(server, signing_method="external", issuer=...)

    assert answer.json["status"] == "signed_certificate_required"
    assert "BEGIN CERTIFICATE REQUEST" in answer.json["data"]["csr"]


def test_a_template_may_come_before_the_signature_but_issues_nothing(server: InProcess) -> None:
    assert create_root(server).status == create_intermediate(server).status == create_template(server).status == 201
    assert status(server, "issuing") == "signing_required"

    assert code(create_certificate(server)) == ErrorCode.STATE_FORBIDS
    assert sign(server).status == 201
    assert status(server, "issuing") == "configured"
    assert create_certificate(server).status == 201


def test_cas_expire(server: InProcess) -> None:
    make_tree(server)
    server.clock.advance(timedelta(hours=26_301))
    server.forget_tokens()
    assert [status(server, name) for name in ("root", "issuing")] == ["configured", "expired"]
    server.clock.advance(timedelta(hours=20_000))
    server.forget_tokens()
    assert [status(server, name) for name in ("root", "issuing")] == ["expired", "expired"]

    problem = error(create_certificate(server))
    assert problem["code"] == ErrorCode.STATE_FORBIDS
    assert "expired" in problem["message"]
    for action in ("rotate_crl", "rotate_intermediate", "revoke_ca_certificate"):
        assert code(act(server, "issuing", action)) == ErrorCode.STATE_FORBIDS


# --- actions that do not apply

EVERY = [
    "sign_csr",
    "sign_intermediate",
    "set_signed",
    "revoke_ca_certificate",
    "rotate_crl",
    "rotate_intermediate",
]
MEMBERS = {
    "sign_csr": {"csr": "x" * 60},
    "sign_intermediate": {"intermediate_certificate_authority": "issuing"},
    "set_signed": {"certificate": "x" * 60},
}


@pytest.mark.parametrize("action", EVERY)
def test_templates_have_no_actions(tree: InProcess, action: str) -> None:
    problem = error(act(tree, "leaves", action, **MEMBERS.get(action, {})))

    assert problem["code"] == ErrorCode.NOT_SUPPORTED
    assert problem["target"]["name"] == "action_type"
    assert "template" in problem["message"]


@pytest.mark.parametrize("action", ["set_signed", "revoke_ca_certificate", "rotate_intermediate"])
def test_roots_are_not_signed_revoked_or_rotated(tree: InProcess, action: str) -> None:
    problem = error(act(tree, "root", action, **MEMBERS.get(action, {})))

    assert problem["code"] == ErrorCode.STATE_FORBIDS
    assert "intermediate" in problem["message"]


def test_an_internal_intermediate_takes_no_certificate_from_outside(tree: InProcess) -> None:
    assert code(act(tree, "issuing", "set_signed", **MEMBERS["set_signed"])) == ErrorCode.STATE_FORBIDS


def test_actions_on_one_that_waits_say_what_is_missing(server: InProcess) -> None:
    assert create_root(server).status == create_intermediate(server).status == 201
    assert create_intermediate(server, "outside", signing_method="external", issuer=...).status == 201

    for action in ("rotate_crl", "rotate_intermediate", "revoke_ca_certificate"):
        assert code(act(server, "issuing", action)) == ErrorCode.STATE_FORBIDS
        assert code(act(server, "outside", action)) == ErrorCode.STATE_FORBIDS
    problem = error(sign(server, "outside"))
    assert problem["code"] == ErrorCode.STATE_FORBIDS
    assert "set_signed" in problem["message"]


def test_only_the_named_issuer_signs(server: InProcess) -> None:
    assert create_root(server).status == create_root(server, "other-root").status == 201
    assert create_intermediate(server).status == 201

    problem = error(sign(server, by="other-root"))

    assert problem["code"] == ErrorCode.STATE_FORBIDS
    assert "root" in problem["message"]


def test_what_was_revoked_is_neither_revoked_signed_nor_rotated_again(server: InProcess) -> None:
    make_tree(server)
    assert act(server, "issuing", "revoke_ca_certificate").status == 201

    for answer in (
        act(server, "issuing", "revoke_ca_certificate"),
        act(server, "issuing", "rotate_intermediate"),
        sign(server),
        create_certificate(server),
    ):
        problem = error(answer)
        assert problem["code"] == ErrorCode.STATE_FORBIDS
        assert "revoked" in problem["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action_type": "nonsense"},
        {"action_type": "private_cert_configuration_action_rotate_crl", "more": 1},
        {"action_type": "private_cert_configuration_action_sign_intermediate"},
        {"action_type": "private_cert_configuration_action_sign_csr", "csr": 7},
        [],
    ],
)
def test_bodies_that_are_no_action_are_refused(tree: InProcess, body: Any) -> None:
    assert tree.request("POST", f"{CONFIGURATIONS}/root/actions", body).status == 400


# --- keys


def test_no_answer_has_a_private_key(server: InProcess) -> None:
    answers = [
        create_root(server, format="pem_bundle"),
        create_intermediate(server, format="pem_bundle", private_key_format="pkcs8"),
        sign(server),
        get(server, "root", headers=EXTENSIONS),
        get(server, "issuing", headers=EXTENSIONS),
        act(server, "issuing", "rotate_intermediate"),
        patch(server, "issuing", {"max_ttl": "100h"}),
        server.request("GET", CONFIGURATIONS),
        server.request("GET", "/api/v2/audit_events"),
    ]

    for answer in answers:
        assert answer.status in (200, 201), answer.raw
        assert b"PRIVATE KEY" not in answer.raw


# --- trail


def test_the_trail_names_what_was_done_to_which_configuration(server: InProcess) -> None:
    make_tree(server)
    reader = server.login_with(Role.READER)
    assert patch(server, "leaves", {"allow_any_name": True}).status == 200
    assert act(server, "issuing", "rotate_crl").status == 201
    assert delete(server, "leaves").status == 204
    assert get(server, "root", token=reader).status == 403
    # What is read goes into the trail with the next commit.
    make_group(server)

    events = server.request("GET", "/api/v2/audit_events").json["audit_events"]
    told = [
        (event["action"].removeprefix("secrets-manager."), event["target"].get("name"), event["outcome"])
        for event in reversed(events)
        if event["target"].get("type") == "configuration"
    ]
    ids = {event["target"].get("id") for event in events if event["target"].get("name") == "leaves"}

    assert told == [
        ("configuration.create", "root", "success"),
        ("configuration.create", "issuing", "success"),
        ("configuration.create", "leaves", "success"),
        ("configuration.update", "leaves", "success"),
        ("configuration-action.create", "issuing", "success"),
        ("configuration.delete", "leaves", "success"),
        # Refused before anything was looked up.
        ("configuration.read", None, "denied"),
    ]
    assert len(ids) == 1
    assert None not in ids


# --- refusals by rules


def test_each_failed_rule_is_one_error_with_what_would_pass(server: InProcess) -> None:
    make_tree(server, allowed_domains=["example.com"], allow_subdomains=True, allow_ip_sans=False)

    answer = create_certificate(
        server, common_name="example.net", ip_sans="192.0.2.1", uri_sans="spiffe://example.com/x", ttl="9000h"
    )

    assert answer.status == 400
    problems = answer.json["errors"]
    assert {problem["code"] for problem in problems} == {ErrorCode.TEMPLATE_VIOLATION}
    assert len(problems) >= 4
    text = " ".join(str(problem) for problem in problems)
    for value in ("example.net", "192.0.2.1", "spiffe://example.com/x"):
        assert value in text
    assert all(problem.get("more_info") or problem["message"] for problem in problems)


def test_a_group_that_the_template_does_not_allow_is_refused(server: InProcess) -> None:
    group = server.request("POST", "/api/v2/secret_groups", {"name": "edge"}).json["id"]
    make_tree(server, allowed_secret_groups=group)

    problem = error(create_certificate(server))

    assert problem["code"] == ErrorCode.TEMPLATE_VIOLATION
    assert problem["target"]["name"] == "secret_group_id"
    assert create_certificate(server, secret_group_id=group).status == 201


def test_what_the_linter_calls_an_error_is_refused_at_the_level_error(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(server, lint_level="error", allow_any_name=True)
    assert create_certificate(server, "good", common_name="www.example.com").status == 201
    mistake = {"severity": "error", "code": "example.wrong", "message": "it is wrong"}
    monkeypatch.setattr(lint.Linter, "lint_certificate", lambda *_: [mistake])

    answer = create_certificate(server, "bad", common_name="other.example.com")

    assert answer.status == 400, answer.raw
    assert {problem["code"] for problem in answer.json["errors"]} == {ErrorCode.LINT_FAILED}
    assert "example.wrong" in answer.raw.decode()
    assert names(server) == ["leaves", "issuing", "root"]
    assert server.request("GET", "/api/v2/secrets?search=bad").json["total_count"] == 0
