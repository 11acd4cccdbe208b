from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import (
    CERTIFICATE,
    ISSUER,
    KEY,
    LEAF,
    REQUEST,
    SECRET_ID,
    Answer,
    FakeServer,
    Strongroom,
    refusal,
)

GROUP = "8b0b6c1e-6f0a-4b77-9a55-0d3f5b6f7a10"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def test_import_from_files_sends_the_text_byte_for_byte(
    strongroom: Strongroom, server: FakeServer, tmp_path: Path
) -> None:
    leaf = "Bag Attributes\r\n" + LEAF.replace("\n", "\r\n")
    for name, text in (("leaf.pem", leaf), ("chain.pem", ISSUER), ("key.pem", KEY)):
        (tmp_path / name).write_bytes(text.encode())
    server.on("POST", "/api/v2/secrets", Answer(201, CERTIFICATE))
    ran = strongroom(
        *("secret-create", "--secret-type", "imported_cert", "--secret-name=shop-web"),
        *("--imported-cert-certificate", "@leaf.pem", "--imported-cert-intermediate", "@chain.pem"),
        *("--imported-cert-private-key", "@key.pem", "--secret-labels", "dev, us-south"),
        *("--secret-custom-metadata", '{"a": "b"}', "--secret-version-custom_metadata", '{"v": "1"}'),
    )
    assert ran.code == 0, ran.err
    assert server.last.body == {
        "secret_type": "imported_cert",
        "name": "shop-web",
        "certificate": leaf,
        "intermediate": ISSUER,
        "private_key": KEY,
        "labels": ["dev", "us-south"],
        "custom_metadata": {"a": "b"},
        "version_custom_metadata": {"v": "1"},
    }
    assert server.last.headers["Content-Type"] == "application/json"
    assert server.last.headers["X-Strongroom-Extensions"] == "1"
    assert SECRET_ID in ran.out
    assert "visible to other users" not in ran.err


def test_import_with_unquoted_variables_succeeds(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, CERTIFICATE))
    ran = strongroom(
        *("ibmcloud", "secrets-manager", "secret-create", "--secret-name", "example-imported-cert-secret"),
        *("--secret-type", "imported_cert", "--imported-cert-certificate", *LEAF.split()),
        *("--imported-cert-private-key", *KEY.split()),
    )
    assert ran.code == 0, ran.err
    assert (server.last.body["certificate"], server.last.body["private_key"]) == (LEAF, KEY)
    assert "visible to other users" in ran.err


def test_pem_on_one_line_gets_its_line_breaks_back(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, CERTIFICATE))
    one_line = LEAF.replace("\n", "\\n")
    ran = strongroom(
        *("secret-create", "--secret-name", "x1", "--secret-type", "imported_cert"),
        *("--imported-cert-certificate", one_line),
    )
    assert ran.code == 0, ran.err
    assert server.last.body["certificate"] == LEAF


def test_managed_csr_is_sent_as_it_is(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, {"id": SECRET_ID, "managed_csr": {"csr": REQUEST}}))
    ran = strongroom(
        *("secret-create", "--secret-name", "example-csr", "--secret-type", "imported_cert"),
        *("--imported-cert-managed-csr", '{"common_name":"example.com"}'),
    )
    assert ran.code == 0
    assert server.last.body["managed_csr"] == {"common_name": "example.com"}
    assert REQUEST in ran.out


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (
            ["--secret-type=arbitrary", "--arbitrary-payload", "-starts with a dash"],
            {"payload": "-starts with a dash"},
        ),
        (["--secret-type", "arbitrary", "--arbitrary-payload", "@not-a-file"], {"payload": "@not-a-file"}),
        (["--secret-type", "kv", "--kv-data", '{"k1": {"deep": [1, null]}}'], {"data": {"k1": {"deep": [1, None]}}}),
        (
            ["--secret-type=kv", '--secret-labels=["dev","eu,de"]', "--kv-data={}"],
            {"labels": ["dev", "eu,de"], "data": {}},
        ),
        (
            [
                *("--secret-type=username_password", "--username-password-username", "app"),
                *("--username-password-password", "--pass-word", "--secret-rotation", '{"enabled": true}'),
                *("--username-password-policy", '{"length": 20}'),
            ],
            {
                "username": "app",
                "password": "--pass-word",
                "rotation": {"auto_rotate": True},
                "password_generation_policy": {"length": 20},
            },
        ),
        (
            [
                "--secret-type=arbitrary",
                "--arbitrary-payload=x",
                "--secret-expiration-date",
                "2033-04-12T23:20:50.520Z",
            ],
            {"payload": "x", "expiration_date": "2033-04-12T23:20:50.520Z"},
        ),
        (["--secret-type=imported_cert", "--secret-expiration-date", "2033-04-12T23:20:50Z"], {}),
        (["--secret-type=kv", "--kv-data", '{"a":"line\nbreak"}'], {"data": {"a": "line\nbreak"}}),
        (
            [
                "--secret-type=kv",
                "--kv-data={}",
                "--secret-labels",
                "a,b",
                "--secret-labels",
                '"c,d"',
                "--secret-labels=[]",
            ],
            {"data": {}, "labels": ["a", "b", "c,d"]},
        ),
    ],
)
def test_create_options_become_the_body(
    strongroom: Strongroom, server: FakeServer, words: list[str], body: dict[str, Any]
) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, {"id": SECRET_ID}))
    ran = strongroom("secret-create", "--secret-name", "n1", *words)
    assert ran.code == 0, ran.err
    sent = server.last.body
    assert sent.pop("name") == "n1"
    assert sent.pop("secret_type") in words[0] + words[1]
    assert sent == body


def test_fields_of_another_type_are_left_out_with_a_word(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("POST", "/api/v2/secrets", Answer(201, {"id": SECRET_ID}))
    words = ("secret-create", "--secret-name=n1", "--secret-type=kv", "--kv-data={}", "--arbitrary-payload=planted")
    ran = strongroom(*words)
    assert "--arbitrary-payload was left out" in ran.err
    assert strongroom(*words, "--quiet").err == ""


def test_a_prototype_is_sent_untouched(strongroom: Strongroom, server: FakeServer, stdin: Any) -> None:
    body = {"secret_type": "kv", "name": "n", "payload": 1, "rotation": {"enabled": True}}
    server.on("POST", "/api/v2/secrets", Answer(201, {"id": SECRET_ID}))
    stdin(json.dumps(body))
    assert strongroom("secret-create", "--secret-prototype", "-").code == 0
    assert server.last.body == body


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--secret-prototype", "{}", "--secret-name", "n"], "cannot be combined with --secret-name"),
        (["--secret-name", "n"], "Missing --secret-type"),
        (["--secret-type", "kv"], "Missing --secret-name"),
        (["--secret-type", "nonsense"], "--secret-type"),
        (["--secret-prototype", "{'a': 1}"], "line 1, column 2"),
        (["--secret-prototype", '{"a": 1, "a": 2}'], "twice"),
        (["--secret-prototype", '{"a": NaN}'], "NaN"),
        (["--secret-prototype", "[]"], "must be an object"),
        (["--secret-prototype", "[" * 100_000], "nested too deeply"),
        (["--secret-prototype", "@missing.json"], "cannot be read"),
        (["--imported-cert-certificate", "MIID"], "no PEM block"),
        (["--secret-labels", "[1]"], "texts only"),
        (["--secret-labels", "[x"], "begins like a JSON array"),
        (["--secret-labels", '"a'], "not a comma list"),
        (["--secret-expiration-date", "tomorrow"], "RFC 3339"),
        (["--imported-cert-certificate", "-", "--imported-cert-private-key", "-"], "already read"),
        (
            ["--secret-type=kv", "--secret-name=n", "--arbitrary-payload=a", "--arbitrary-payload-file=f"],
            "cannot be read",
        ),
    ],
)
def test_bad_values_end_before_any_request(
    strongroom: Strongroom, server: FakeServer, stdin: Any, words: list[str], message: str
) -> None:
    stdin(LEAF)
    ran = strongroom("secret-create", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert server.requests == []


def test_binary_files_get_the_line_that_converts_them(strongroom: Strongroom, tmp_path: Path) -> None:
    (tmp_path / "leaf.der").write_bytes(b"0\x82\x03\x6b\xff\xfe")
    ran = strongroom("secret-create", "--imported-cert-certificate", "@leaf.der")
    assert ran.code == 2
    assert "openssl x509 -inform DER -in leaf.der" in ran.err


def test_files_over_four_mebibytes_are_refused(strongroom: Strongroom, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    ran = strongroom("secret-create", "--arbitrary-payload-file", "big")
    assert ran.code == 2
    assert "4 MiB" in ran.err


def test_payload_may_come_from_a_file(strongroom: Strongroom, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "payload").write_text("two\nlines\n")
    server.on("POST", "/api/v2/secrets", Answer(201, {"id": SECRET_ID}))
    strongroom("secret-create", "--secret-type=arbitrary", "--secret-name=n", "--arbitrary-payload-file=payload")
    assert server.last.body["payload"] == "two\nlines"


def test_the_same_member_from_two_options_is_refused(
    strongroom: Strongroom, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "payload").write_text("x")
    words = ("--secret-type=arbitrary", "--secret-name=n", "--arbitrary-payload=a", "--arbitrary-payload-file=payload")
    ran = strongroom("secret-create", *words)
    assert ran.code == 2
    assert "a second time" in ran.err
    assert server.requests == []


def test_list_options_become_the_query(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", "/api/v2/secrets", Answer(200, {"secrets": [], "total_count": 0}))
    ran = strongroom(
        *("secrets", "--offset", "0", "--limit", "10", "--sort", "-created_at", "--search", "shop & co"),
        *("--groups", f"default,{GROUP}", "--secret-types", "imported_cert,kv", "--match-all-labels", "prod,shop"),
    )
    assert ran.code == 0, ran.err
    assert server.last.query == {
        "offset": "0",
        "limit": "10",
        "sort": "-created_at",
        "search": "shop & co",
        "groups": f"default,{GROUP}",
        "secret_types": "imported_cert,kv",
        "match_all_labels": "prod,shop",
    }


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_numbers_out_of_range_end_before_any_request(strongroom: Strongroom, server: FakeServer, limit: str) -> None:
    assert strongroom("secrets", "--limit", limit).code == 2
    assert server.requests == []


def test_the_table_of_secrets_has_the_documented_columns(strongroom: Strongroom, server: FakeServer) -> None:
    page = {"secrets": [CERTIFICATE], "total_count": 3, "next": {"href": f"{server.url}/api/v2/secrets?offset=1"}}
    server.on("GET", "/api/v2/secrets", Answer(200, page))
    ran = strongroom("secrets")
    heading, row = ran.out.splitlines()
    assert heading.split() == ["Name", "ID", "Secret_Type", "secret_group_id", "State", "Locks", "Expiration"]
    assert row.split() == ["shop-web", SECRET_ID, "imported_cert", "default", "active", "0", "2027-03-01T23:59:59Z"]
    assert "1 of 3 shown" in ran.err


def _paged(total: int, size: int) -> Any:
    def answer(request: Any) -> Answer:
        offset = int(request.query.get("offset", 0))
        page: dict[str, Any] = {
            "secrets": [{"name": f"s{index}"} for index in range(offset, min(total, offset + size))],
            "total_count": total,
            "first": {"href": "https://elsewhere.example.com/api/v2/secrets?offset=0"},
        }
        if offset + size < total:
            page["next"] = {"href": f"https://elsewhere.example.com/api/v2/secrets?limit={size}&offset={offset + size}"}
        return Answer(200, page)

    return answer


def test_all_pages_are_fetched_from_the_known_server(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", "/api/v2/secrets", _paged(7, 3))
    ran = strongroom("secrets", "--all-pages", "--search", "s", "--output", "json")
    assert ran.code == 0, ran.err
    assert ran.json == {"secrets": [{"name": f"s{index}"} for index in range(7)], "total_count": 7}
    assert [(r.query.get("offset"), r.query["search"]) for r in server.api_requests] == [
        (None, "s"),
        ("3", "s"),
        ("6", "s"),
    ]


def test_paging_that_does_not_move_ends(strongroom: Strongroom, server: FakeServer) -> None:
    page = {"secrets": [{"name": "s"}], "total_count": 9, "next": {"href": "/api/v2/secrets?offset=0"}}
    server.on("GET", "/api/v2/secrets", Answer(200, page))
    assert strongroom("secrets", "--all-pages", "true", "-o", "json").json["secrets"] == [{"name": "s"}]


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        (["secret", "--id", SECRET_ID], "GET", f"/api/v2/secrets/{SECRET_ID}"),
        (["secret-metadata", "--id", SECRET_ID], "GET", f"/api/v2/secrets/{SECRET_ID}/metadata"),
        (
            ["secret-by-name", "--secret-type=kv", "--name", "a b", "--secret-group-name", "x/y"],
            "GET",
            "/api/v2/secret_groups/x%2Fy/secret_types/kv/secrets/a%20b",
        ),
        (["secret-versions", "--secret-id", "S"], "GET", "/api/v2/secrets/S/versions"),
        (["secret-version", "--secret-id=S", "--id=previous"], "GET", "/api/v2/secrets/S/versions/previous"),
        (["secret-version-metadata", "--secret-id=S", "--id=V"], "GET", "/api/v2/secrets/S/versions/V/metadata"),
        (
            ["secret-version-data-delete", "--secret-id=S", "--id=V"],
            "DELETE",
            "/api/v2/secrets/S/versions/V/secret_data",
        ),
        (["secret-groups"], "GET", "/api/v2/secret_groups"),
        (["secret-group", "--secret-group-id", "default"], "GET", "/api/v2/secret_groups/default"),
        (["secret-group", "--id", GROUP], "GET", f"/api/v2/secret_groups/{GROUP}"),
        (["secret-group-delete", "--id", GROUP, "-f"], "DELETE", f"/api/v2/secret_groups/{GROUP}"),
        (["secrets-locks"], "GET", "/api/v2/secrets_locks"),
        (["secret-locks", "--id=S", "--sort=-name"], "GET", "/api/v2/secrets/S/locks"),
        (["secret-version-locks", "--secret-id=S", "--id=V"], "GET", "/api/v2/secrets/S/versions/V/locks"),
    ],
)
def test_commands_address_their_operation(
    strongroom: Strongroom, server: FakeServer, words: list[str], method: str, path: str
) -> None:
    server.on(method, ".*", Answer(200, {}))
    assert strongroom(*words).code == 0
    assert (server.last.method, server.last.path) == (method, path)


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (["secret-version-create", "--secret-id=S"], "POST", "/api/v2/secrets/S/versions", {}),
        (
            [
                *("secret-version-create", "--secret-id=S", "--arbitrary-payload=new value"),
                *('--secret-version-custom-metadata={"k":"v"}', '--secret-version-version-custom-metadata={"w":1}'),
            ],
            "POST",
            "/api/v2/secrets/S/versions",
            {"payload": "new value", "custom_metadata": {"k": "v"}, "version_custom_metadata": {"w": 1}},
        ),
        (
            ["secret-version-create", "--secret-id=S", "--secret-version-restore-from-version=previous"],
            "POST",
            "/api/v2/secrets/S/versions",
            {"restore_from_version": "previous"},
        ),
        (
            ["secret-metadata-update", "--id=S", "--labels", "[]", "--expiration-date", "null"],
            "PATCH",
            "/api/v2/secrets/S/metadata",
            {"labels": [], "expiration_date": None},
        ),
        (
            ["secret-metadata-update", "--id=S", "--imported-cert-managed-csr", '{"alt_names":"alt1"}'],
            "PATCH",
            "/api/v2/secrets/S/metadata",
            {"managed_csr": {"alt_names": "alt1"}},
        ),
        (
            ["secret-version-metadata-update", "--secret-id=S", "--id=current", '--version-custom-metadata={"a":"b"}'],
            "PATCH",
            "/api/v2/secrets/S/versions/current/metadata",
            {"version_custom_metadata": {"a": "b"}},
        ),
        (
            ["secret-group-create", "--name", "payments", "--description", ""],
            "POST",
            "/api/v2/secret_groups",
            {"name": "payments", "description": ""},
        ),
        (
            ["secret-group-update", "--id", GROUP, "--secret-group-patch", '{"name":"b"}'],
            "PATCH",
            f"/api/v2/secret_groups/{GROUP}",
            {"name": "b"},
        ),
        (
            ["secret-locks-bulk-create", "--id=S", '--locks=[{"name":"lb-1","attributes":{"zone":"a"}}]'],
            "POST",
            "/api/v2/secrets/S/locks_bulk",
            {"locks": [{"name": "lb-1", "attributes": {"zone": "a"}}]},
        ),
        (
            ["secret-version-locks-bulk-create", "--secret-id=S", "--id=V", '--locks=[{"name":"lb-1"}]'],
            "POST",
            "/api/v2/secrets/S/versions/V/locks_bulk",
            {"locks": [{"name": "lb-1"}]},
        ),
    ],
)
def test_changes_send_their_body(
    strongroom: Strongroom, server: FakeServer, words: list[str], method: str, path: str, body: Any
) -> None:
    server.on(method, path, Answer(200, {"id": "x"}))
    ran = strongroom(*words)
    assert ran.code == 0, ran.err
    assert server.last.body == body
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    assert server.last.headers["Content-Type"] == kind


def test_lock_names_and_mode_go_to_the_query(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("DELETE", ".*", Answer(200, {"versions": []}))
    strongroom("secret-locks-bulk-delete", "--id=S", "--name", "a,b", "--name", "c")
    assert (server.last.query, server.last.raw) == ({"name": "a,b,c"}, b"")
    strongroom("secret-version-locks-bulk-delete", "--secret-id=S", "--id=V")
    assert server.last.query == {}
    server.on("POST", ".*", Answer(201, {}))
    strongroom("secret-locks-bulk-create", "--id=S", "--locks=[]", "--mode=remove_previous")
    assert server.last.query == {"mode": "remove_previous"}


def test_an_update_of_nothing_is_a_usage_error(strongroom: Strongroom, server: FakeServer) -> None:
    ran = strongroom("secret-metadata-update", "--id", "S")
    assert ran.code == 2
    assert "Nothing to send" in ran.err
    assert server.requests == []


@pytest.mark.parametrize("value", ["", ".", "..", " "])
def test_ids_that_would_address_something_else_are_refused(
    strongroom: Strongroom, server: FakeServer, value: str
) -> None:
    assert strongroom("secret-delete", "--id", value).code == 2
    assert server.requests == []


def test_delete_answers_nothing_and_says_ok(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("DELETE", f"/api/v2/secrets/{SECRET_ID}", Answer(204))
    ran = strongroom("secret-delete", "--id", SECRET_ID, "--force-delete")
    assert (ran.code, ran.out, ran.err) == (0, "", "OK\n")
    assert server.last.query == {"force_delete": "true"}
    ran = strongroom("secret-delete", "--id", SECRET_ID, "--output", "json")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_delete_asks_on_a_terminal(
    strongroom: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    server.on("DELETE", ".*", Answer(204))
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(answer.encode())))
    ran = strongroom("secret-delete", "--id", SECRET_ID)
    assert ran.code == code
    assert f"Delete the secret {SECRET_ID}" in ran.err
    assert len(server.requests) == (2 if code == 0 else 0)


@pytest.mark.parametrize(
    ("status", "code", "word", "exit_code"),
    [
        (400, "certificate_expired", "certificate", 1),
        (401, "token_expired", None, 3),
        (403, "forbidden", None, 3),
        (404, "not_found", None, 4),
        (409, "already_exists", "name", 5),
        (412, "secret_version_locked", None, 5),
        (413, "request_too_large", None, 1),
        (500, "internal_error", None, 1),
        (300, "ambiguous", None, 1),
    ],
)
def test_refusals_have_their_exit_codes(
    strongroom: Strongroom, server: FakeServer, status: int, code: str, word: str | None, exit_code: int
) -> None:
    server.on("POST", ".*", refusal(status, code, "The sentence of the server.", word))
    ran = strongroom("secret-version-create", "--secret-id", "S")
    assert (ran.code, ran.out) == (exit_code, "")
    field = f"{word}: " if word else ""
    lines = ran.err.splitlines()
    assert lines[:2] == ["FAILED", f"{field}The sentence of the server. ({code})"]
    assert "Trace: 3f0f2a5a-6b0d" in lines
    assert "See https://docs.example.com/errors" in lines


def test_refusals_are_printed_unchanged_as_json(strongroom: Strongroom, server: FakeServer) -> None:
    refused = refusal(412, "secret_version_locked", "Locked.")
    server.on("DELETE", ".*", refused)
    ran = strongroom("secret-delete", "--id", "S", "--output", "json")
    assert (ran.code, ran.out) == (5, "")
    assert json.loads(ran.err) == refused.body


def test_control_characters_of_others_do_not_reach_the_terminal(strongroom: Strongroom, server: FakeServer) -> None:
    server.on("GET", "/api/v2/secret_groups", Answer(200, {"secret_groups": [{"name": "a\x1b[31mb\x9b"}]}))
    ran = strongroom("secret-groups")
    assert "\x1b" not in ran.out
    assert "a\\x1b[31mb\\x9b" in ran.out
    server.on("GET", "/api/v2/secret_groups", refusal(400, "x", "bad \x1b]0;title\x07"))
    assert "\x1b" not in strongroom("secret-groups").err
