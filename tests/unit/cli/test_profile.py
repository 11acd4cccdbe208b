from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.cli.errors import CommandError, Exit
from strongroom.cli.profile import Profile, load_profiles, read_environment, readable_by_others, save_profile
from strongroom.kernel.secret import Secret
from tests.unit.cli.conftest import APIKEY, Answer, FakeServer, Strongroom


@pytest.fixture
def profiles(home: Path) -> Path:
    return home / ".config" / "strongroom" / "profiles.toml"


def test_login_checks_the_key_and_stores_it_for_the_user_alone(
    alone: Strongroom, server: FakeServer, profiles: Path, tmp_path: Path
) -> None:
    (tmp_path / "admin-apikey").write_text(APIKEY + "\n")
    ran = alone("login", "--url", server.url + "/api/v2", "--apikey-file", "admin-apikey")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert APIKEY not in ran.err
    assert stat.S_IMODE(profiles.stat().st_mode) == 0o600
    assert stat.S_IMODE(profiles.parent.stat().st_mode) == 0o700
    server.on("GET", "/api/v2/secret_groups", Answer(200, {"secret_groups": []}))
    assert alone("secret-groups").code == 0


def test_a_refused_key_is_not_stored(alone: Strongroom, server: FakeServer, profiles: Path) -> None:
    ran = alone("login", "--url", server.url, "--apikey", "planted-wrong")
    assert ran.code == 3
    assert "planted-wrong" not in ran.err
    assert "Provided API key could not be found" in ran.err
    assert not profiles.exists()


def test_a_key_in_the_arguments_is_remarked(alone: Strongroom, server: FakeServer) -> None:
    ran = alone("login", "--service-url", server.url, "--api-key", APIKEY)
    assert ran.code == 0
    assert "visible to other users" in ran.err


def test_the_key_is_asked_for_on_a_terminal(
    alone: Strongroom, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: APIKEY)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ran = alone("login", "--url", server.url)
    assert ran.code == 0
    assert APIKEY not in ran.err + ran.out


def test_profiles_are_kept_beside_each_other(
    alone: Strongroom, server: FakeServer, profiles: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRONGROOM_APIKEY", APIKEY)
    (tmp_path / "ca.pem").write_text("")
    assert alone("login", "--url", server.url, "--profile", "one").code == 0
    # Plain HTTP does not read the file; it is only remembered.
    assert alone("--profile=two", "login", "--url", server.url, "--ca-file", "ca.pem").code == 0
    stored = load_profiles(profiles)
    assert (stored.current, sorted(stored.profiles)) == ("two", ["one", "two"])
    assert stored.profiles["two"].ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["login"], "Missing --url"),
        (["login", "--url", "nonsense", "--apikey", "k"], "no server address"),
        (["login", "--url", "http://127.0.0.1:1"], "Missing --apikey-file"),
        (["login", "--url", "http://127.0.0.1:1", "--apikey", "k", "--apikey-file", "f"], "not both"),
        (["login", "--url", "http://127.0.0.1:1", "--apikey-file", "missing"], "cannot be read"),
        (["login", "--url", "http://127.0.0.1:1", "--apikey-file", "empty"], "is empty"),
        (["login", "--url", "http://127.0.0.1:1", "--apikey-file", "two-lines"], "one line"),
        (["login", "--url", "http://127.0.0.1:1", "--apikey", "k", "--profile", "a/b"], "profile name"),
    ],
)
def test_incomplete_logins_are_usage_errors(
    alone: Strongroom, profiles: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two-lines").write_text("planted\nkey\n")
    ran = alone(*words)
    assert ran.code == 2
    assert message in ran.err
    assert "planted" not in ran.err
    assert not profiles.exists()


def test_login_to_a_server_that_is_not_there_is_unreachable(alone: Strongroom) -> None:
    assert alone("login", "--url", "http://127.0.0.1:1", "--apikey", "k").code == 6


def test_commands_without_login_say_how_to_log_in(alone: Strongroom, server: FakeServer) -> None:
    assert alone("secrets").code == 2
    ran = alone("secrets", "--service-url", server.url)
    assert ran.code == 3
    assert "strongroom login" in ran.err


def test_a_profile_file_that_others_can_read_is_remarked(alone: Strongroom, server: FakeServer, profiles: Path) -> None:
    server.on("GET", ".*", Answer(200, {"secret_groups": []}))
    save_profile(profiles, Profile(name="default", url=server.url, apikey=Secret(APIKEY)))
    assert not readable_by_others(profiles)
    assert alone("secret-groups").err == ""
    profiles.chmod(0o644)
    assert "chmod 600" in alone("secret-groups").err


@given(
    url=st.just("https://sm.example.com"),
    key=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1),
    name=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
)
def test_any_key_survives_the_file(tmp_path_factory: pytest.TempPathFactory, url: str, key: str, name: str) -> None:
    path = tmp_path_factory.mktemp("config") / "profiles.toml"
    save_profile(path, Profile(name=name, url=url, apikey=Secret(key)))
    found = load_profiles(path).profiles[name]
    assert found.apikey is not None
    assert (found.url, found.apikey.reveal()) == (url, key)
    assert key not in repr(found) or len(key) < 6


@pytest.mark.parametrize("text", ["not toml", "[profiles.a]\napikey = 'planted'", "[profiles]\na = 1"])
def test_a_broken_profile_file_is_a_usage_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(text)
    with pytest.raises(CommandError) as caught:
        load_profiles(path)
    assert caught.value.exit_code is Exit.USAGE
    assert "planted" not in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"STRONGROOM_CONFIG": "/a/b.toml", "STRONGROOM_CONFIG_DIR": "/c"}, "/a/b.toml"),
        ({"STRONGROOM_CONFIG_DIR": "/c", "XDG_CONFIG_HOME": "/x"}, "/c/profiles.toml"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/strongroom/profiles.toml"),
        ({"HOME": "/h"}, "/h/.config/strongroom/profiles.toml"),
    ],
)
def test_the_place_of_the_profiles_can_be_chosen(variables: dict[str, str], place: str) -> None:
    assert read_environment(variables).profiles_file == Path(place)


@pytest.mark.parametrize(
    ("variables", "colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "CLICOLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours_follow_the_environment(variables: dict[str, str], colour: bool) -> None:
    assert read_environment(variables).colour is colour


def test_empty_variables_count_as_absent() -> None:
    found = read_environment({"STRONGROOM_URL": "", "STRONGROOM_TOKEN": " ", "STRONGROOM_CA_FILE": "/ca.pem"})
    assert (found.url, found.token, found.ca_file) == (None, None, Path("/ca.pem"))
    assert read_environment({"SECRETS_MANAGER_DISABLE_SSL": "True"}).insecure


def test_a_passphrase_keeps_its_blanks_and_stays_hidden() -> None:
    found = read_environment({"STRONGROOM_BACKUP_PASSPHRASE": " planted phrase "})
    assert found.backup_passphrase is not None
    assert found.backup_passphrase.reveal() == " planted phrase "
    assert "planted" not in repr(found)
