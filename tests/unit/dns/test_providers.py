"""Which providers there are, how their settings are read, and that nothing large is loaded for it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from strongroom.dns.kinds import Fields
from strongroom.dns.providers import KINDS, Providers
from strongroom.domain.configurations.model import ConfigKind, ConfigType
from strongroom.kernel.errors import ErrorCode, Invalid, Problems
from tests.factories.dns import make_context

_LOADED = """
import sys
from tests.factories.dns import make_context
from strongroom.dns.propagation import AuthoritativeServers
from strongroom.dns.providers import KINDS, Providers
context = make_context()
AuthoritativeServers(resolvers=[], guard=context.guard, clock=context.clock)
providers = Providers(context)
for config_type in KINDS:
    providers.secret_members(config_type)
heavy = {"dns", "lexicon", "requests", "httpx2", "acme", "josepy"}
print(*sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_every_type_of_dns_configuration_has_a_provider() -> None:
    assert set(KINDS) == {config_type for config_type in ConfigType if config_type.kind is ConfigKind.DNS}


@pytest.mark.parametrize("config_type", sorted(KINDS))
def test_kind_of_each_type_is_found_and_has_members_of_its_own(config_type: ConfigType) -> None:
    members = Providers(make_context(exec_allowed=True)).secret_members(config_type)

    prefix = config_type.value.removeprefix("public_cert_configuration_dns_")
    assert all(member.startswith(f"{prefix}_") for member in members)


def test_programs_are_offered_only_where_they_are_allowed() -> None:
    assert ConfigType.DNS_EXEC not in Providers(make_context()).config_types
    assert ConfigType.DNS_EXEC in Providers(make_context(exec_allowed=True)).config_types


def test_lexicon_is_offered_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ConfigType.DNS_LEXICON in Providers(make_context()).config_types
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert ConfigType.DNS_LEXICON not in Providers(make_context()).config_types


def test_client_libraries_are_not_loaded_before_they_are_needed() -> None:
    printed = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True, text=True, timeout=60)

    assert printed.stdout.split() == []


def test_text_that_breaks_a_rule_is_shown_unless_it_is_secret() -> None:
    form = re.compile("[a-z]+")

    def read(fields: Fields, *, secret: bool) -> None:
        fields.text("member", form=form, says="small letters", secret=secret)

    assert _refusal("member", "PLANTED", read, secret=False) == 'member must be small letters, not "PLANTED".'
    assert _refusal("member", "PLANTED", read, secret=True) == "member must be small letters."


def test_member_that_is_missing_has_a_code_of_its_own() -> None:
    problems = Problems()
    Fields({"member": ""}, problems).text("member")

    with pytest.raises(Invalid) as refused:
        problems.raise_any()

    assert refused.value.code is ErrorCode.MISSING_FIELD


def test_table_must_be_an_object_if_it_is_given() -> None:
    assert Fields({}, Problems()).table("member") == {}
    fields = Fields({"member": {"a": 1}}, Problems())
    assert fields.table("member") == {"a": 1} == fields.checked["member"]
    assert _refusal("member", ["a"], lambda fields: fields.table("member")) == "member must be an object."


def _refusal(name: str, given: Any, read: Any, **more: Any) -> str:
    problems = Problems()
    read(Fields({name: given}, problems), **more)
    with pytest.raises(Invalid) as refused:
        problems.raise_any()
    return refused.value.detail
