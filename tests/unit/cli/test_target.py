from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.profile import Profile, read_environment, save_profile
from strongroom.cli.target import Flags, Target, base_url, is_clear_text_abroad, resolve_target
from strongroom.kernel.secret import Secret

PROFILE_URL = "https://profile.example.com"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config" / "profiles.toml"
    save_profile(path, Profile(name="other", url="https://other.example.com", apikey=Secret("other-key")))
    save_profile(path, Profile(name="work", url=PROFILE_URL, apikey=Secret("profile-key"), ca_file=Path("/etc/ca.pem")))
    return path


def resolve(config: Path | str, flags: Flags | None = None, **variables: str) -> Target:
    return resolve_target(flags or Flags(), read_environment({"STRONGROOM_CONFIG": str(config), **variables}))


def key_of(target: Target) -> str | None:
    return target.apikey.reveal() if target.apikey else None


def test_the_current_profile_is_used_when_nothing_else_is_given(config: Path) -> None:
    target = resolve(config)
    assert (target.url, key_of(target), target.ca_file) == (PROFILE_URL, "profile-key", Path("/etc/ca.pem"))
    assert target.token_url == PROFILE_URL + "/identity/token"


@pytest.mark.parametrize(
    ("flags", "variables", "url"),
    [
        (Flags(service_url="https://flag.example.com/", instance_id="i"), {}, "https://flag.example.com"),
        (
            Flags(instance_id="abc-1", region="eu-de"),
            {"STRONGROOM_URL": "https://env.example.com"},
            "https://abc-1.eu-de.secrets-manager.appdomain.cloud",
        ),
        (Flags(instance_id="abc"), {}, "https://abc.us-south.secrets-manager.appdomain.cloud"),
        (Flags(profile="other"), {"STRONGROOM_URL": "https://env.example.com"}, "https://other.example.com"),
        (
            Flags(),
            {
                "IBM_CLOUD_SECRETS_MANAGER_API_URL": "https://old.example.com/api",
                "STRONGROOM_URL": "https://env.example.com",
                "SECRETS_MANAGER_URL": "https://sm.example.com",
            },
            "https://sm.example.com",
        ),
        (Flags(), {"IBM_CLOUD_SECRETS_MANAGER_API_URL": "https://old.example.com/api"}, "https://old.example.com"),
        (Flags(), {"STRONGROOM_PROFILE": "other"}, "https://other.example.com"),
    ],
)
def test_the_first_source_of_the_address_wins(config: Path, flags: Flags, variables: dict[str, str], url: str) -> None:
    assert resolve(config, flags, STRONGROOM_APIKEY="k", **variables).url == url


@pytest.mark.parametrize(
    "flags", [Flags(service_url="https://thief.example.com"), Flags(service_url="http://profile.example.com")]
)
def test_the_key_of_a_profile_goes_to_no_other_server(config: Path, flags: Flags) -> None:
    with pytest.raises(CommandError, match="not logged in") as caught:
        resolve(config, flags)
    assert caught.value.exit_code is Exit.NOT_ALLOWED


def test_the_key_of_a_profile_is_not_exchanged_elsewhere(config: Path) -> None:
    target = resolve(config, SECRETS_MANAGER_AUTH_URL="https://thief.example.com")
    assert target.token_url == PROFILE_URL + "/identity/token"


def test_the_address_of_the_profile_may_be_given_too(config: Path) -> None:
    assert key_of(resolve(config, Flags(service_url=PROFILE_URL + "/api/v2/"))) == "profile-key"


def test_credentials_of_the_environment_come_before_the_profile(config: Path) -> None:
    assert key_of(resolve(config, STRONGROOM_API_KEY="environment-key")) == "environment-key"
    target = resolve(config, STRONGROOM_TOKEN="t", STRONGROOM_APIKEY="k")
    assert target.token is not None
    assert target.token.reveal() == "t"


def test_a_profile_named_by_a_flag_comes_before_the_environment(config: Path) -> None:
    target = resolve(config, Flags(profile="other"), STRONGROOM_APIKEY="k", STRONGROOM_TOKEN="t")
    assert (key_of(target), target.token) == ("other-key", None)


def test_the_kind_of_authentication_can_be_chosen(config: Path) -> None:
    assert resolve(config, SECRETS_MANAGER_AUTH_TYPE="noAuth").anonymous
    key = resolve(config, SECRETS_MANAGER_AUTH_TYPE="IAM", STRONGROOM_TOKEN="t", SECRETS_MANAGER_APIKEY="k")
    assert (key_of(key), key.token) == ("k", None)
    token = resolve(config, SECRETS_MANAGER_AUTH_TYPE="bearerToken", STRONGROOM_TOKEN="t", SECRETS_MANAGER_APIKEY="k")
    assert (token.apikey, token.token is None) == (None, False)
    with pytest.raises(CommandError, match="not logged in"):
        resolve(config, SECRETS_MANAGER_AUTH_TYPE="bearerToken", STRONGROOM_APIKEY="k")


@pytest.mark.parametrize("auth_url", ["https://iam.example.com/", "https://iam.example.com/identity/token"])
def test_keys_of_the_environment_may_be_exchanged_elsewhere(config: Path, auth_url: str) -> None:
    target = resolve(config, SECRETS_MANAGER_AUTH_URL=auth_url, IBMCLOUD_API_KEY="k")
    assert target.token_url == "https://iam.example.com/identity/token"


def test_an_unknown_profile_names_the_known_ones(config: Path) -> None:
    with pytest.raises(CommandError, match="other, work") as caught:
        resolve(config, Flags(profile="nothing"))
    assert caught.value.exit_code is Exit.USAGE


def test_no_server_at_all_names_every_way_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        resolve(tmp_path / "none")
    assert caught.value.exit_code is Exit.USAGE
    for way in ("login", "--service-url", "--instance-id", "STRONGROOM_URL"):
        assert way in (caught.value.hint or "")


@pytest.mark.parametrize("bad", ["a.b", "evil.example.com/", "", "-a"])
def test_instance_and_region_are_one_label_each(config: Path, bad: str) -> None:
    if bad:
        with pytest.raises(CommandError, match="DNS label"):
            resolve(config, Flags(instance_id=bad))
    with pytest.raises(CommandError, match="DNS label"):
        resolve(config, Flags(instance_id="i", region=bad or "."))


@pytest.mark.parametrize("rest", ["", "/", "/api", "/api/", "/api/v1", "/api/v2/", "/ui", "/ui/", "//"])
def test_remnants_of_old_addresses_are_dropped(rest: str) -> None:
    assert base_url("https://sm.example.com:8443" + rest, option="--url") == "https://sm.example.com:8443"


def test_a_path_before_the_api_is_kept() -> None:
    assert base_url(" https://sm.example.com/strongroom/api ", option="--url") == "https://sm.example.com/strongroom"


@pytest.mark.parametrize(
    "bad",
    [
        "sm.example.com",
        "ftp://sm.example.com",
        "https://",
        "https://a:99999999",
        "https://[::1",
        "https://u:p@sm.example.com",
        "https://sm.example.com?x=1",
        "https://sm.example.com#x",
        "https://sm.exa mple.com",
        "https://sm.example.com\r\nHost: x",
        "",
    ],
)
def test_other_addresses_are_usage_errors(bad: str) -> None:
    with pytest.raises(CommandError) as caught:
        base_url(bad, option="--url")
    assert caught.value.exit_code is Exit.USAGE


@pytest.mark.parametrize(
    ("url", "abroad"),
    [
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("http://localhost", False),
        ("https://sm.example.com", False),
        ("http://sm.example.com", True),
        ("http://192.0.2.1", True),
    ],
)
def test_clear_text_to_other_machines_is_noticed(url: str, abroad: bool) -> None:
    assert is_clear_text_abroad(url) is abroad
