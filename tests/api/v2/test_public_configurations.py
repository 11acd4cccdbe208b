"""Configurations of public CAs and DNS providers: who may, what is refused, what is shown to whom.

Source: contract domain section 4.1; api-v2-models M5; design, sections 5, 7, 8 and 12.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strongroom.domain.access.actions import Role
from strongroom.domain.orders.dns import DnsRefusal
from strongroom.domain.ports import Unit
from strongroom.domain.secrets.model import SecretType
from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import ErrorCode
from tests.api.authorities import CONFIGURATIONS, create_configuration, make_tree
from tests.api.public_cas import ACME, CRN, DNS, LETS_ENCRYPT, OTHER, PROVIDERS, STAGING, TEST, World, world_of
from tests.api.v2.conftest import watch
from tests.api.v2.sending import code, error, field, make_group
from tests.contract.storage.builders import make_secret
from tests.factories.certificates import make_leaf
from tests.peers.in_process import InProcess
from tests.peers.server import Answer

EXTENSIONS = {"X-Strongroom-Extensions": "1"}
CONTRACT_DNS = ("cloud_internet_services", "classic_infrastructure")
EXTENSION_DNS = tuple(name.removeprefix(DNS) for name in PROVIDERS if not name.endswith(CONTRACT_DNS))


@pytest.fixture
def world(prepared_data_dir: Path, data_dir: Path, clock: FrozenClock) -> Iterator[World]:
    shutil.copytree(prepared_data_dir, data_dir)
    with world_of(data_dir, clock) as running:
        watch(running.server)
        yield running


def listed(world: World, query: str = "", *, extensions: bool = False, **more: Any) -> Any:
    headers = EXTENSIONS if extensions else {}
    answer = world.server.request("GET", f"{CONFIGURATIONS}{query}", headers=headers, **more)
    assert answer.status == 200, answer.raw
    return answer.json


def steps(answer: Answer) -> dict[str, bool]:
    assert answer.status == 201, answer.raw
    return {step["name"]: step["success"] for step in answer.json["steps"]}


def message(answer: Answer, step: str) -> str:
    return next(str(item["message"]) for item in answer.json["steps"] if item["name"] == step)


# --- who may


def test_only_managers_of_the_instance_make_read_change_delete_and_test_them(world: World) -> None:
    assert world.provider().status == 201
    group = make_group(world.server)
    body = {"config_type": LETS_ENCRYPT, "name": "le", "lets_encrypt_environment": "staging"}
    callers: list[tuple[str | None, int]] = [(None, 401), (world.server.login_with(Role.WRITER), 403)]
    callers.append((world.server.login_with(Role.MANAGER, group=group), 403))

    for token, status in callers:
        for method, path, sent in (
            ("POST", CONFIGURATIONS, body),
            ("GET", f"{CONFIGURATIONS}/dns", None),
            ("PATCH", f"{CONFIGURATIONS}/dns", {"rfc2136_port": 54}),
            ("DELETE", f"{CONFIGURATIONS}/dns", None),
            ("POST", f"{CONFIGURATIONS}/dns/actions", {"action_type": TEST}),
        ):
            answer = world.server.request(method, path, sent, token=token)
            assert answer.status == status, (method, path)
            assert b"c2lnLXNlY3JldA" not in answer.raw
    manager = world.server.login_with(Role.MANAGER)
    assert world.server.request("POST", CONFIGURATIONS, body, token=manager).status == 201
    assert world.server.request("DELETE", f"{CONFIGURATIONS}/dns", token=manager).status == 204
    assert world.acme.calls["register"] == 1


def test_zones_are_for_who_may_create_secrets_somewhere(world: World) -> None:
    assert world.provider().status == 201
    group = make_group(world.server)
    path = f"{CONFIGURATIONS}/dns/zones"

    assert world.server.request("GET", path, token=None).status == 401
    for role in (Role.READER, Role.SECRETS_READER):
        assert world.server.request("GET", path, token=world.server.login_with(role)).status == 403
    assert world.dns.calls["zones"] == 0
    for token in (world.server.login_with(Role.WRITER), world.server.login_with(Role.WRITER, group=group)):
        answer = world.server.request("GET", path, token=token)
        assert answer.json == {"zones": ["example.com", "example.org"]}


def test_zones_of_what_has_none_are_refused(world: World) -> None:
    assert world.lets_encrypt().status == 201

    assert code(world.server.request("GET", f"{CONFIGURATIONS}/le/zones")) == ErrorCode.NOT_SUPPORTED
    assert world.server.request("GET", f"{CONFIGURATIONS}/nobody/zones").status == 404


def test_zones_of_a_provider_that_does_not_answer_are_unavailable(world: World, clock: FrozenClock) -> None:
    assert world.provider().status == 201
    world.dns.outage_until = clock.now() + timedelta(hours=1)

    assert world.server.request("GET", f"{CONFIGURATIONS}/dns/zones").status == 503


# --- CAs


def test_a_ca_with_the_key_of_a_known_account_is_kept_and_shown_with_its_key(world: World) -> None:
    key = world.account(world.staging)

    answer = world.lets_encrypt(lets_encrypt_private_key=key, lets_encrypt_preferred_chain="Example Root")

    assert answer.status == 201, answer.raw
    expected = {
        "config_type": LETS_ENCRYPT,
        "name": "le",
        "secret_type": "public_cert",
        "lets_encrypt_environment": "staging",
        "lets_encrypt_private_key": key,
        "lets_encrypt_preferred_chain": "Example Root",
    }
    assert {name: answer.json[name] for name in expected} == expected
    assert set(answer.json) == {*expected, "created_by", "created_at", "updated_at"}
    assert world.get("le").json == answer.json
    assert world.acme.calls["register"] == 0


def test_a_ca_without_a_key_has_an_account_registered(world: World) -> None:
    answer = world.lets_encrypt()

    assert answer.status == 201, answer.raw
    assert answer.json["lets_encrypt_private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert list(world.staging.accounts) == [world.acme.thumbprint(answer.json["lets_encrypt_private_key"])]
    assert not world.production.accounts


def test_an_account_that_the_ca_does_not_know_is_refused_with_the_number_of_the_reference(world: World) -> None:
    key = world.account(world.staging)

    answer = world.lets_encrypt(lets_encrypt_environment="production", lets_encrypt_private_key=key)

    problem = error(answer)
    assert problem["code"] == ErrorCode.ACME_ACCOUNT_NOT_FOUND
    assert problem["reference_code"] == "07023"
    assert problem["target"]["name"] == "lets_encrypt_private_key"
    assert b"BEGIN" not in answer.raw
    assert world.get("le").status == 404


def test_a_text_that_is_no_key_is_refused_by_its_field(world: World) -> None:
    problem = error(world.lets_encrypt(lets_encrypt_private_key="-----BEGIN PRIVATE KEY-----\nAAAA\n" + "planted" * 9))

    assert problem["target"]["name"] == "lets_encrypt_private_key"
    assert problem["reference_code"] == "07021"
    assert "planted" not in str(problem)
    assert world.acme.calls["find_account"] == 0


@pytest.mark.parametrize(
    ("members", "at_fault"),
    [
        ({"lets_encrypt_environment": ...}, "lets_encrypt_environment"),
        ({"lets_encrypt_environment": "testing"}, "lets_encrypt_environment"),
        ({"lets_encrypt_preferred_chain": "x"}, "lets_encrypt_preferred_chain"),
        ({"lets_encrypt_preferred_chain": "x" * 31}, "lets_encrypt_preferred_chain"),
        ({"lets_encrypt_private_key": "x" * 100_001}, "lets_encrypt_private_key"),
        ({"lets_encrypt_private_key": 7}, "lets_encrypt_private_key"),
        ({"ca_fallback": "nobody"}, "ca_fallback"),
        ({"ca_fallback": "le"}, "ca_fallback"),
        ({"ca_fallback": "dns"}, "ca_fallback"),
        ({"acme_profile": "shortlived"}, "acme_profile"),
    ],
)
def test_members_of_lets_encrypt_that_break_a_rule_are_refused_before_the_ca_is_asked(
    world: World, members: dict[str, Any], at_fault: str
) -> None:
    assert world.provider().status == 201

    assert field(world.lets_encrypt(**members)) == at_fault
    assert not world.acme.calls


@pytest.mark.parametrize(
    ("members", "at_fault"),
    [
        ({"acme_directory_url": ...}, "acme_directory_url"),
        ({"acme_directory_url": ""}, "acme_directory_url"),
        ({"acme_directory_url": "http://acme.example.org/directory"}, "acme_directory_url"),
        ({"acme_directory_url": "https://user:word@acme.example.org/"}, "acme_directory_url"),
        ({"acme_directory_url": "https://acme.example.org:99999/"}, "acme_directory_url"),
        ({"acme_directory_url": "ftp://acme.example.org/"}, "acme_directory_url"),
        ({"acme_directory_url": "https://acme.example.org/ x"}, "acme_directory_url"),
        ({"acme_directory_url": "https://[::1/"}, "acme_directory_url"),
        ({"acme_eab_key_id": "kid"}, "acme_eab_hmac_key"),
        ({"acme_eab_hmac_key": "c2VjcmV0"}, "acme_eab_key_id"),
        ({"acme_eab_key_id": "kid", "acme_eab_hmac_key": "planted+/"}, "acme_eab_hmac_key"),
        ({"acme_eab_key_id": "k id", "acme_eab_hmac_key": "c2VjcmV0"}, "acme_eab_key_id"),
        ({"acme_root_bundle": "no PEM" * 20}, "acme_root_bundle"),
        ({"acme_contact": "nobody"}, "acme_contact"),
        ({"acme_contact": "mailto:a@example.com?subject=x"}, "acme_contact"),
        ({"acme_contact": "tel:+3161234567"}, "acme_contact"),
        ({"acme_profile": "two words"}, "acme_profile"),
        ({"acme_preferred_chain": "x" * 65}, "acme_preferred_chain"),
        ({"lets_encrypt_environment": "staging"}, "lets_encrypt_environment"),
    ],
)
def test_members_of_another_ca_that_break_a_rule_are_refused_before_it_is_asked(
    world: World, members: dict[str, Any], at_fault: str
) -> None:
    answer = world.other_ca(**members)

    assert field(answer) == at_fault
    assert b"planted" not in answer.raw
    assert not world.acme.calls


def test_every_broken_rule_is_told_at_once(world: World) -> None:
    answer = world.other_ca(acme_contact="nobody", acme_profile="two words", acme_eab_key_id="kid")

    assert answer.status == 400
    assert {item["target"]["name"] for item in answer.json["errors"]} == {
        "acme_contact",
        "acme_profile",
        "acme_eab_hmac_key",
    }


def test_another_ca_is_kept_with_all_its_members(world: World, clock: FrozenClock) -> None:
    world.other.eab_keys["kid-1"] = "c2VjcmV0LXNlY3JldA"
    world.other.profiles["shortlived"] = "six days"
    bundle = make_leaf(30, now=clock.now()).pem
    members = {
        "acme_eab_key_id": "kid-1",
        "acme_eab_hmac_key": "c2VjcmV0LXNlY3JldA",
        "acme_profile": "shortlived",
        "acme_preferred_chain": "Example Root",
        "acme_contact": "pki@example.com, mailto:night@example.com",
        "acme_root_bundle": bundle,
    }

    answer = world.other_ca(**members)

    assert answer.status == 201, answer.raw
    assert {name: answer.json[name] for name in members} == members
    account = next(iter(world.other.accounts.values()))
    assert account.eab_key_id == "kid-1"
    assert account.contact == ("mailto:pki@example.com", "mailto:night@example.com")
    shown = listed(world, extensions=True)["configurations"][0]
    assert set(shown) & set(members) == {"acme_profile", "acme_preferred_chain"}
    assert shown["acme_directory_url"] == OTHER


def test_a_binding_is_asked_for_where_the_ca_wants_one(world: World) -> None:
    world.other.eab_keys["kid-1"] = "c2VjcmV0"

    assert field(world.other_ca()) == "acme_eab_key_id"
    refused = world.other_ca(acme_eab_key_id="kid-2", acme_eab_hmac_key="cGxhbnRlZA")
    assert field(refused) == "acme_eab_key_id"
    assert b"cGxhbnRlZA" not in refused.raw
    key = world.acme.new_account_key()
    made = world.other_ca(acme_account_private_key=key, acme_eab_key_id="kid-1", acme_eab_hmac_key="c2VjcmV0")
    assert made.status == 201, made.raw
    assert list(world.other.accounts) == [world.acme.thumbprint(key)]


def test_a_profile_that_the_ca_does_not_offer_is_refused_with_those_it_does(world: World) -> None:
    world.other.profiles.update({"classic": "90 days", "shortlived": "6 days"})

    problem = error(world.other_ca(acme_profile="tlsserver"))

    assert problem["target"]["name"] == "acme_profile"
    assert "classic, shortlived" in problem["message"]
    world.other.profiles.clear()
    assert "none" in error(world.other_ca(acme_profile="tlsserver"))["message"]


def test_a_ca_that_does_not_answer_leaves_no_configuration(world: World, clock: FrozenClock) -> None:
    world.staging.outage_until = clock.now() + timedelta(hours=1)

    assert code(world.lets_encrypt(), 503) == ErrorCode.UNAVAILABLE
    assert code(world.other_ca(acme_directory_url="https://nobody.example.net/"), 503) == ErrorCode.UNAVAILABLE
    assert listed(world, extensions=True)["total_count"] == 0


def test_a_fallback_must_be_another_public_ca(world: World) -> None:
    assert world.lets_encrypt().status == 201

    made = world.other_ca(ca_fallback="le")

    assert made.json["ca_fallback"] == "le"
    assert world.patch("le", lets_encrypt_environment="staging", ca_fallback="other").json["ca_fallback"] == "other"
    assert field(world.patch("other", ca_fallback="other")) == "ca_fallback"
    assert "ca_fallback" not in world.patch("other", ca_fallback="").json
    assert "ca_fallback" not in world.patch("le", lets_encrypt_environment="staging", ca_fallback=None).json


@pytest.mark.parametrize("host", ["127.0.0.1:14000", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[fe80::1]"])
def test_a_private_ca_is_not_contacted_unless_a_setting_allows_it(server: InProcess, host: str) -> None:
    answer = create_configuration(server, ACME, "own", acme_directory_url=f"https://{host}/directory?secret=planted")

    problem = error(answer)
    assert problem["code"] == ErrorCode.DESTINATION_NOT_ALLOWED
    assert problem["target"]["name"] == "acme_directory_url"
    assert "planted" not in str(problem)


# --- changing CAs


def test_the_environment_must_be_said_in_every_patch(world: World) -> None:
    assert world.lets_encrypt().status == 201

    problem = error(world.patch("le", lets_encrypt_preferred_chain="Example Root"))

    assert problem["code"] == ErrorCode.MISSING_FIELD
    assert problem["target"]["name"] == "lets_encrypt_environment"


def test_a_patch_that_leaves_ca_and_key_alone_asks_nobody(world: World) -> None:
    assert world.lets_encrypt().status == 201
    before = dict(world.acme.calls)

    for chain, shown in (("Example Root", "Example Root"), ("", None), (None, None)):
        answer = world.patch("le", lets_encrypt_environment="staging", lets_encrypt_preferred_chain=chain)
        assert answer.status == 200, answer.raw
        assert answer.json.get("lets_encrypt_preferred_chain") == shown
    assert dict(world.acme.calls) == before


def test_another_key_is_looked_up(world: World) -> None:
    assert world.lets_encrypt().status == 201
    unknown, known = world.acme.new_account_key(), world.account(world.staging)

    refused = world.patch("le", lets_encrypt_environment="staging", lets_encrypt_private_key=unknown)
    assert error(refused)["reference_code"] == "07023"
    taken = world.patch("le", lets_encrypt_environment="staging", lets_encrypt_private_key=known)

    assert taken.json["lets_encrypt_private_key"] == known
    assert field(world.patch("le", lets_encrypt_environment="staging", lets_encrypt_private_key=None)) == (
        "lets_encrypt_private_key"
    )
    assert world.get("le").json["lets_encrypt_private_key"] == known


def test_another_environment_needs_an_account_there_that_is_made_where_we_made_the_first(world: World) -> None:
    given = world.account(world.staging)
    assert world.lets_encrypt("given", lets_encrypt_private_key=given).status == 201
    assert world.lets_encrypt("ours").status == 201

    refused = world.patch("given", lets_encrypt_environment="production")
    moved = world.patch("ours", lets_encrypt_environment="production")

    assert error(refused)["reference_code"] == "07023"
    assert world.get("given").json["lets_encrypt_environment"] == "staging"
    assert moved.status == 200, moved.raw
    assert list(world.production.accounts) == [world.acme.thumbprint(moved.json["lets_encrypt_private_key"])]


def test_members_of_another_ca_are_patched_one_by_one(world: World) -> None:
    world.other.profiles["shortlived"] = "six days"
    assert world.other_ca(acme_contact="pki@example.com").status == 201

    assert world.patch("other", acme_profile="shortlived").json["acme_profile"] == "shortlived"
    assert field(world.patch("other", acme_profile="nobody")) == "acme_profile"
    assert field(world.patch("other", acme_directory_url=None)) == "acme_directory_url"
    moved = world.patch("other", acme_directory_url=STAGING, acme_profile=None, acme_contact="")

    assert moved.json["acme_directory_url"] == STAGING
    assert {"acme_profile", "acme_contact"}.isdisjoint(moved.json)
    assert len(world.staging.accounts) == 1


# --- DNS providers


@pytest.mark.parametrize("kind", [*CONTRACT_DNS, *EXTENSION_DNS])
def test_a_dns_provider_is_kept_and_shows_its_credentials_in_full_reads_only(world: World, kind: str) -> None:
    if kind == "lexicon":
        pytest.importorskip("lexicon")
    answer = world.provider(kind)

    assert answer.status == 201, answer.raw
    given = PROVIDERS[f"{DNS}{kind}"]
    assert {name: answer.json[name] for name in given} == given
    assert world.get("dns").json == answer.json
    common = {"config_type", "name", "secret_type", "created_by", "created_at", "updated_at"}
    assert [set(item) for item in listed(world, extensions=True)["configurations"]] == [common]
    assert not world.dns.calls
    with closing(sqlite3.connect(world.server.directory.path / "strongroom.db")) as connection:
        assert "planted" not in str(connection.execute("SELECT document FROM configurations").fetchall())


@pytest.mark.parametrize("kind", [*CONTRACT_DNS, *EXTENSION_DNS])
def test_a_dns_provider_without_its_settings_is_refused_with_each_that_is_missing(world: World, kind: str) -> None:
    if kind == "lexicon":
        pytest.importorskip("lexicon")
    body = {"config_type": f"{DNS}{kind}", "name": "dns"}
    answer = world.server.request("POST", CONFIGURATIONS, body)

    assert answer.status == 400
    missing = {item["target"]["name"] for item in answer.json["errors"]}
    optional = {"cloud_internet_services_apikey", "lexicon_options"}
    assert missing >= set(PROVIDERS[f"{DNS}{kind}"]) - optional


def test_a_member_of_another_provider_is_refused(world: World) -> None:
    assert field(world.provider("cloudflare", rfc2136_port=53)) == "rfc2136_port"


def test_the_key_of_cloud_internet_services_must_be_said_in_patches_and_empty_removes_it(world: World) -> None:
    assert world.provider("cloud_internet_services").status == 201

    assert field(world.patch("dns", cloud_internet_services_crn=CRN)) == "cloud_internet_services_apikey"
    other = world.patch("dns", cloud_internet_services_apikey="another-key")
    assert other.json["cloud_internet_services_apikey"] == "another-key"
    assert other.json["cloud_internet_services_crn"] == CRN
    emptied = world.patch("dns", cloud_internet_services_apikey="")

    assert emptied.status == 200, emptied.raw
    assert "cloud_internet_services_apikey" not in emptied.json
    assert world.provider("cloud_internet_services", "no-key", cloud_internet_services_apikey="").status == 201


def test_defaults_of_a_provider_are_shown_and_its_members_patched(world: World) -> None:
    made = world.provider()
    assert (made.json["rfc2136_port"], made.json["rfc2136_tsig_algorithm"]) == (53, "hmac-sha256")

    changed = world.patch("dns", rfc2136_port=5353, rfc2136_zone="example.com")
    assert (changed.json["rfc2136_port"], changed.json["rfc2136_zone"]) == (5353, "example.com")
    assert world.patch("dns", rfc2136_port=None).json["rfc2136_port"] == 53
    assert field(world.patch("dns", rfc2136_server=None)) == "rfc2136_server"
    assert field(world.patch("dns", rfc2136_tsig_secret="!")) == "rfc2136_tsig_secret"


# --- names, quotas, lists


def test_names_are_unique_within_cas_and_within_dns_providers(world: World) -> None:
    assert world.lets_encrypt("both").status == world.provider(name="both").status == 201

    for taken in (world.other_ca("both"), world.provider("cloudflare", name="both")):
        problem = error(taken, 409)
        assert problem["reference_code"] == "07003"
        assert "already exists" in problem["message"]
    assert world.get("both").status == 300
    headers = {"X-Sm-Accept-Configuration-Type": f"{DNS}rfc2136"}
    path = f"{CONFIGURATIONS}/both"
    assert world.server.request("GET", f"{path}/zones", headers=headers).json["zones"]
    assert world.server.request("GET", path, headers=headers).json["config_type"] == f"{DNS}rfc2136"


def test_quotas_count_all_cas_together_and_all_dns_providers(
    prepared_data_dir: Path, data_dir: Path, clock: FrozenClock
) -> None:
    shutil.copytree(prepared_data_dir, data_dir)
    with world_of(data_dir, clock, limits={"public_authorities": 1, "dns_configurations": 2}) as world:
        assert world.lets_encrypt().status == world.provider(name="one").status == 201
        assert world.provider("cloudflare", name="two").status == 201

        for answer in (world.other_ca(), world.provider("classic_infrastructure", name="three")):
            problem = error(answer)
            assert (problem["code"], problem["reference_code"]) == (ErrorCode.LIMIT_REACHED, "07002")
            assert "reached the maximum of" in problem["message"]
        assert len(world.staging.accounts) + len(world.other.accounts) == 1


def test_ten_of_each_fit_by_default(world: World) -> None:
    for number in range(10):
        assert world.lets_encrypt(f"ca-{number}").status == world.provider(name=f"dns-{number}").status == 201

    assert code(world.lets_encrypt("ca-10")) == code(world.provider(name="dns-10")) == ErrorCode.LIMIT_REACHED


def test_types_beyond_the_contract_are_in_lists_for_those_only_who_know_them(world: World) -> None:
    assert world.lets_encrypt().status == world.other_ca().status == 201
    assert world.provider("classic_infrastructure", name="classic").status == world.provider().status == 201

    plain, whole = listed(world), listed(world, extensions=True)

    assert [item["name"] for item in plain["configurations"]] == ["classic", "le"]
    assert plain["total_count"] == 2
    assert [item["name"] for item in whole["configurations"]] == ["dns", "classic", "other", "le"]
    page = listed(world, "?limit=1&offset=1")
    assert [item["name"] for item in page["configurations"]] == ["le"]
    assert page["total_count"] == 2
    assert "next" not in page
    assert listed(world, "?search=acme")["total_count"] == 0
    assert world.get("other").json["config_type"] == ACME
    assert b"BEGIN" not in json.dumps(whole).encode()


def test_lists_are_filtered_by_engine(world: World) -> None:
    make_tree(world.server)
    assert world.lets_encrypt().status == world.provider().status == 201

    public = listed(world, "?secret_types=public_cert")
    assert [item["name"] for item in public["configurations"]] == ["le"]
    assert listed(world, "?secret_types=public_cert", extensions=True)["total_count"] == 2
    assert listed(world, "?secret_types=private_cert", extensions=True)["total_count"] == 3
    assert listed(world, "?secret_types=private_cert,public_cert")["total_count"] == 4
    assert listed(world)["total_count"] == 4


def test_a_role_on_a_group_lists_names_and_types_of_public_configurations(world: World) -> None:
    make_tree(world.server)
    world.other.profiles["shortlived"] = "six days"
    assert world.lets_encrypt(lets_encrypt_preferred_chain="Example Root").status == 201
    assert world.other_ca(acme_profile="shortlived").status == world.provider().status == 201
    token = world.server.login_with(Role.WRITER, group=make_group(world.server))

    assert world.server.request("GET", CONFIGURATIONS, token=token).status == 403
    shown = listed(world, extensions=True, token=token)

    assert [item["name"] for item in shown["configurations"]] == ["dns", "other", "le", "leaves"]
    assert shown["total_count"] == 4
    inside = {"lets_encrypt_preferred_chain", "acme_profile", "rfc2136_server", "acme_contact"}
    assert all(inside.isdisjoint(item) for item in shown["configurations"])
    filtered = listed(world, "?secret_types=public_cert&limit=2&offset=1", extensions=True, token=token)
    assert [item["name"] for item in filtered["configurations"]] == ["other", "le"]
    assert filtered["total_count"] == 3
    assert world.server.request("GET", f"{CONFIGURATIONS}/le", token=token).status == 403


# --- deleting


def event_details(world: World, event: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(world.server.directory.path / "strongroom.db")) as connection:
        rows = connection.execute("SELECT payload FROM events WHERE event_type LIKE ?", (f"%.{event}",)).fetchall()
    return [json.loads(row[0]) for row in rows]


def test_deleting_what_nothing_uses_says_nothing(world: World) -> None:
    assert world.lets_encrypt().status == world.provider().status == 201

    for name in ("le", "dns"):
        assert world.server.request("DELETE", f"{CONFIGURATIONS}/{name}").status == 204
        assert world.get(name).status == 404
    assert event_details(world, "configuration_deleted_in_use") == []


def test_deleting_a_fallback_is_allowed_and_warned_about(world: World) -> None:
    assert world.lets_encrypt().status == world.other_ca(ca_fallback="le").status == 201

    assert world.server.request("DELETE", f"{CONFIGURATIONS}/le").status == 204

    (details,) = event_details(world, "configuration_deleted_in_use")
    assert details["configuration_name"] == "le"
    assert details["fallback_of"] == ["other"]
    assert details["secret_names"] == []


def test_deleting_what_certificates_name_is_allowed_and_warned_about(world: World) -> None:
    assert world.lets_encrypt().status == world.provider().status == 201
    now = world.server.clock.now()

    def fill(unit: Unit) -> None:
        for number in range(11):
            secret = make_secret(
                f"web-{number}",
                secret_type=SecretType.PUBLIC_CERT,
                attributes={"ca": "le", "dns": "dns" if number == 4 else "manual"},
                created_at=now,
                updated_at=now,
            )
            unit.secrets.add(secret)

    world.server.container.store.storage.write(fill)

    for name in ("le", "dns"):
        assert world.server.request("DELETE", f"{CONFIGURATIONS}/{name}").status == 204

    le, dns = event_details(world, "configuration_deleted_in_use")
    assert le["secret_names"] == [f"web-{number}" for number in range(10)]
    assert le["more_secrets"] is True
    assert (dns["secret_names"], dns["more_secrets"]) == (["web-4"], False)
    assert dns["configuration_type"] == f"{DNS}rfc2136"
    assert dns["event_triggered_by"].startswith("iam-ServiceId-")


def test_a_fallback_that_goes_while_the_ca_is_asked_is_refused(world: World) -> None:
    assert world.lets_encrypt().status == 201

    def delete(when: str, call: str) -> None:
        if (when, call) == ("after", "register"):
            storage = world.server.container.store.storage
            storage.write(lambda unit: unit.configurations.remove(unit.configurations.named("le")[0].id))

    world.acme.hooks.append(delete)

    assert field(world.other_ca(ca_fallback="le")) == "ca_fallback"
    assert world.get("other").status == 404


# --- trying out


def test_a_ca_is_tried_out(world: World, clock: FrozenClock) -> None:
    assert world.lets_encrypt().status == 201

    fine = world.test("le")
    assert fine.json["success"] is True
    assert steps(fine) == {"directory": True, "account": True}
    assert all(step["duration_ms"] >= 0 for step in fine.json["steps"])
    world.staging.accounts.clear()
    gone = world.test("le")
    assert gone.json["success"] is False
    assert steps(gone) == {"directory": True, "account": False}
    world.staging.outage_until = clock.now() + timedelta(hours=1)
    assert steps(world.test("le")) == {"directory": False}
    assert "503" in message(world.test("le"), "directory")


def test_a_test_of_a_ca_tells_of_a_profile_that_is_gone(world: World) -> None:
    world.other.profiles["shortlived"] = "six days"
    assert world.other_ca(acme_profile="shortlived").status == 201
    world.other.profiles.clear()

    answer = world.test("other")

    assert steps(answer) == {"directory": False}
    assert "shortlived" in message(answer, "directory")


def test_a_dns_provider_is_tried_out_and_nothing_left(world: World) -> None:
    assert world.provider().status == 201

    for members in ({}, {"domain": "deep.example.org"}, {"domain": "*.EXAMPLE.org."}):
        answer = world.test("dns", **members)
        assert answer.json["success"] is True, answer.raw
        assert steps(answer) == {"zones": True, "write": True, "see": True, "remove": True}
    names = [record.name for record in world.dns.presented]
    assert [name.partition(".")[2] for name in names] == ["example.com", "deep.example.org", "example.org"]
    assert all(name.startswith("_strongroom-probe-") for name in names)
    assert len(set(names)) == 3
    assert world.dns.left == []
    assert world.providers.opened[-1]["rfc2136_tsig_secret"] == PROVIDERS[f"{DNS}rfc2136"]["rfc2136_tsig_secret"]


def test_a_write_that_is_refused_is_told_and_removed_all_the_same(world: World) -> None:
    assert world.provider().status == 201
    world.dns.refusal = DnsRefusal.AUTHORIZATION

    answer = world.test("dns")

    assert answer.json["success"] is False
    assert steps(answer) == {"zones": True, "write": False, "remove": False}
    assert "dns_authorization_failed" in message(answer, "write")


@pytest.mark.parametrize(
    "domain", ["example.net", "notexample.com", "com", "a b.example.com", "x" * 70 + ".example.com"]
)
def test_a_domain_outside_the_zones_is_not_tried(world: World, domain: str) -> None:
    assert world.provider().status == 201

    answer = world.test("dns", domain=domain)

    assert steps(answer) == {"zones": False}
    assert world.dns.calls["present"] == 0


def test_a_provider_that_does_not_answer_fails_at_its_zones(world: World, clock: FrozenClock) -> None:
    assert world.provider().status == 201
    world.dns.outage_until = clock.now() + timedelta(hours=1)

    assert steps(world.test("dns")) == {"zones": False}


def test_actions_of_other_engines_do_not_apply(world: World) -> None:
    make_tree(world.server)
    assert world.lets_encrypt().status == world.provider().status == 201
    rotate = {"action_type": "private_cert_configuration_action_rotate_crl"}

    for name in ("le", "dns"):
        assert field(world.server.request("POST", f"{CONFIGURATIONS}/{name}/actions", rotate)) == "action_type"
    for name in ("root", "leaves"):
        assert field(world.test(name)) == "action_type"
    assert field(world.test("le", domain="example.com")) == "domain"
