"""The setting ``dns_resolvers`` says who is asked where a name's servers are."""

from __future__ import annotations

from pathlib import Path

import dns.message
import pytest

from strongroom.kernel.clock import FrozenClock
from strongroom.kernel.errors import Invalid
from strongroom.runtime.outside import Outside
from strongroom.runtime.settings import load_settings
from tests.peers.scripted_dns import reply, scripted_dns


@pytest.fixture(autouse=True)
def _no_settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_resolvers_of_the_settings_are_asked(clock: FrozenClock) -> None:
    def answers(question: dns.message.Message) -> dns.message.Message:
        is_alias = question.question[0].name.to_text() == "www.example.com."
        return reply(question, "www.example.com. 5 CNAME end.example.org.") if is_alias else reply(question)

    with scripted_dns(answers) as server:
        settings = load_settings({"dns_resolvers": f"127.0.0.1:{server.port}"})
        outside = Outside.build(settings, clock)

        assert outside.propagation.target("www.example.com") == "end.example.org"
        outside.http.close()


@pytest.mark.parametrize("given", ["ns1.example.com:53", "127.0.0.1", "127.0.0.1:99999", ":53"])
def test_resolvers_are_addresses_with_ports(given: str) -> None:
    with pytest.raises(Invalid, match="dns_resolvers"):
        load_settings({"dns_resolvers": given})
