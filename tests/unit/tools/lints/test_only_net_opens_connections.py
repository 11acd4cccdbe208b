from __future__ import annotations

from tests.unit.tools.lints.conftest import Broken
from tools.lints.only_net_opens_connections import check


def test_a_client_library_outside_net_is_refused(broken: Broken) -> None:
    assert broken(check, "engines/imported/engine.py", "import httpx2\n") == [1]
    assert broken(check, "api/app.py", "from urllib.request import urlopen\n") == [1]
    assert broken(check, "domain/jobs/model.py", "import http.client\n") == [1]


def test_a_socket_outside_net_is_refused(broken: Broken) -> None:
    assert broken(check, "api/app.py", "import socket\nsocket.create_connection(('example.com', 443))\n") == [2]
    assert broken(check, "api/app.py", "from socket import socket as s\ns()\n") == [2]


def test_only_the_dns_layer_sends_queries_of_its_own(broken: Broken) -> None:
    assert broken(check, "runtime/outside.py", "import dns.query\n") == [1]
    assert broken(check, "engines/public/engine.py", "from dns.resolver import Resolver\n") == [1]
    assert broken(check, "dns/zone.py", "import dns.query\n") == []
    assert broken(check, "dns/zone.py", "import httpx2\n") == [1]


def test_the_guarded_way_out_and_the_clients_own_may(broken: Broken) -> None:
    assert broken(check, "net/client.py", "import httpx2\n") == []
    assert broken(check, "cli/client.py", "import http.client\n") == []
    assert broken(check, "runtime/serve.py", "import socket\nsocket.socket()\n") == []


def test_addresses_may_be_parsed_anywhere(broken: Broken) -> None:
    assert broken(check, "api/app.py", "from urllib.parse import urlsplit\nimport socket\nsocket.inet_pton\n") == []
